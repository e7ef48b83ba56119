use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use super::*;
use crate::{
    checkpoint::meta::{Facts, Unit},
    domain::{checkpoint::Trigger, event::Tokens, usd::Usd},
    shell::{Command, local::LocalShell},
    stdx::time::Timestamp,
};

const LIMIT: Duration = Duration::from_secs(60);

/// A repository of checkpoints that are made by hand.
pub(in crate::checkpoint) struct World {
    pub dir: tempfile::TempDir,
    pub repo: Repo,
}

impl World {
    pub async fn new() -> World {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let shadow = HostPath::new(root.join("run/shadow.git").to_str().unwrap()).unwrap();
        let world = World { dir, repo: Repo::new(Arc::new(LocalShell::new()), shadow) };
        world.sh("git init -q --bare run/shadow.git; mkdir top").await;
        world
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    /// Runs a script where everything is.
    pub async fn sh(&self, script: &str) -> String {
        let command = Command::new(["sh", "-ec", script])
            .cwd(HostPath::new(self.path("").to_str().unwrap()).unwrap())
            .env("GIT_AUTHOR_NAME", "T")
            .env("GIT_AUTHOR_EMAIL", "t@t")
            .env("GIT_COMMITTER_NAME", "T")
            .env("GIT_COMMITTER_EMAIL", "t@t");
        let output = run(&*self.repo.shell, &command, LIMIT).await.unwrap();
        assert_eq!(output.code, 0, "{script}: {}", output.complaint());
        output.text()
    }

    /// Returns the tree of a directory.
    pub async fn tree(&self, dir: &str) -> String {
        let script = "export GIT_DIR=$PWD/run/shadow.git GIT_WORK_TREE=$PWD/HERE \
            GIT_INDEX_FILE=$PWD/index; rm -f index; mkdir -p HERE; cd HERE; \
            mkdir -p $GIT_DIR/info; echo '* -text -ident -filter !working-tree-encoding' \
            > $GIT_DIR/info/attributes; git add -Af .; rm $GIT_DIR/info/attributes; \
            git write-tree";
        self.sh(&script.replace("HERE", dir)).await
    }

    /// Makes a checkpoint out of the directories `top/w`, `top/u/<n>`, and so on.
    pub async fn commit(&self, meta: &Meta) -> String {
        std::fs::write(self.path("top/meta.json"), serde_json::to_vec(meta).unwrap()).unwrap();
        let tree = self.tree("top").await;
        self.sh(&format!("git --git-dir=run/shadow.git commit-tree -m c {tree}")).await
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path("top").join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }
}

pub(in crate::checkpoint) fn meta(units: &[(&str, UnitKind)]) -> Meta {
    let facts = Facts {
        id: crate::domain::ids::CheckpointId::random(),
        task: crate::domain::ids::TaskId::random(),
        task_name: "t".into(),
        at: Timestamp::default(),
        trigger: Trigger::Manual,
        label: None,
        conversation: None,
        transcript: None,
        env: Default::default(),
        turns: 0,
        tokens: Tokens::default(),
        cost: Usd::default(),
    };
    let unit = |(path, kind): &(&str, UnitKind)| Unit { path: (*path).into(), kind: *kind };
    Meta {
        form: FORM,
        facts,
        workspace: HostPath::new("/w").unwrap(),
        position: None,
        units: units.iter().map(unit).collect(),
        left_out: Vec::new(),
        left_out_count: 0,
        files: 0,
        bytes: 0,
    }
}

#[tokio::test]
async fn what_is_there_is_read_and_what_is_not_is_missing() {
    let world = World::new().await;
    world.write("w/a\nb", "12345");
    world.write("u/1/in", "123");
    world.write("u/2/HEAD", "ref");
    world.write("beside/conversation/x.jsonl", "\0\n1");
    let meta = meta(&[("sub dir", UnitKind::Work), ("sub dir", UnitKind::Git)]);
    let commit = world.commit(&meta).await;
    let repo = &world.repo;
    assert!(repo.has(&commit).await.unwrap());
    assert_eq!(repo.meta(&commit).await.unwrap(), meta);
    let file = |path: &str, bytes| File { path: path.into(), mode: 0o100_644, bytes };
    let files = vec![file("a\nb", 5), file("sub dir/in", 3)];
    assert_eq!(repo.files(&commit, 9).await.unwrap(), (files.clone(), 2));
    assert_eq!(repo.files(&commit, 1).await.unwrap(), (files[..1].to_vec(), 2));
    assert_eq!(repo.beside(&commit).await.unwrap(), ["conversation/x.jsonl"]);
    let read = repo.read_beside(&commit, "conversation/x.jsonl").await.unwrap();
    assert_eq!(read.unwrap(), b"\0\n1");
    for absent in ["conversation", "nothing", "../meta.json"] {
        assert_eq!(repo.read_beside(&commit, absent).await.unwrap(), None, "{absent}");
    }

    let other = "c0ffee".repeat(7)[..40].to_owned();
    for (repo, commit) in [
        (repo.clone(), other.as_str()),
        (repo.clone(), "--help"),
        (Repo::new(repo.shell.clone(), repo.dir.join("nowhere")), commit.as_str()),
    ] {
        assert!(!repo.has(commit).await.unwrap());
        let missing = |it: &CheckpointError| matches!(it, CheckpointError::Missing { .. });
        assert!(missing(&repo.meta(commit).await.unwrap_err()));
        assert!(missing(&repo.files(commit, 1).await.unwrap_err()));
        assert!(missing(&repo.diff(commit, commit).await.unwrap_err()));
        assert!(missing(&repo.beside(commit).await.unwrap_err()));
    }
}

#[tokio::test]
async fn a_form_of_later_and_a_part_that_is_gone_are_damage() {
    let world = World::new().await;
    world.write("w/a", "1");
    let mut later = meta(&[]);
    later.form = FORM + 1;
    let commit = world.commit(&later).await;
    let said = world.repo.meta(&commit).await.unwrap_err().to_string();
    assert!(said.contains("form 2"), "{said}");
    let commit = world.commit(&meta(&[("gone", UnitKind::Work)])).await;
    let said = world.repo.files(&commit, 9).await.unwrap_err();
    assert!(matches!(said, CheckpointError::Damaged { .. }), "{said}");
}

#[tokio::test]
async fn two_states_are_compared_without_running_anything() {
    let world = World::new().await;
    world.write("w/.gitattributes", "* diff=evil filter=evil\n");
    world.write("w/same", "same");
    world.write("w/gone", "1\n2\n");
    world.write("w/text", "1\n2\n3\n");
    world.write("w/mode", "m");
    world.write("w/kind", "k");
    world.write("w/binary", b"\0\0");
    world.write("u/1/inner", "1\n");
    world.sh("git --git-dir=run/shadow.git config diff.evil.textconv 'touch ran;'").await;
    world.sh("git --git-dir=run/shadow.git config diff.evil.command 'touch ran;'").await;
    let from = world.commit(&meta(&[("nest", UnitKind::Work), ("nest", UnitKind::Git)])).await;
    world.sh("cd top/w; rm gone kind; ln -s text kind; chmod +x mode").await;
    world.write("w/text", "1\n\x1b[2J\n3\n4\n");
    world.write("w/binary", b"\0\x01");
    world.write("u/1/inner", "1\n2\n");
    world.write("u/2/fresh", "f\n");
    let units = [("nest", UnitKind::Work), ("other nest", UnitKind::Work)];
    let to = world.commit(&meta(&units)).await;
    let found = world.repo.diff(&from, &to).await.unwrap();
    let change = Change { added: 1, modified: 5, deleted: 1, lines_added: 5, lines_removed: 4 };
    assert_eq!(found.change, change, "{}", found.text);
    let names: Vec<_> = found.files.iter().map(|it| it.path.as_str()).collect();
    let expected = ["binary", "gone", "kind", "mode", "text", "nest/inner", "other nest/fresh"];
    assert_eq!(names, expected);
    let lines = |at: usize| found.files[at].lines;
    assert_eq!(
        (lines(0), lines(1), lines(3), lines(4)),
        (None, Some((0, 2)), Some((0, 0)), Some((2, 1)))
    );
    for it in ["a/nest/inner", "b/nest/inner", "new mode 100755", "Binary files", "+4"] {
        assert!(found.text.contains(it), "{it}: {}", found.text);
    }
    assert!(!found.text.contains('\x1b') && !found.cut);
    assert!(!world.path("ran").exists() && !Path::new("ran").exists());

    let tree = world.sh(&format!("git --git-dir=run/shadow.git rev-parse {to}^{{tree}}")).await;
    assert_eq!(world.repo.diff(&to, &tree).await.unwrap(), Difference::default());
    assert_eq!(world.repo.diff(&from, &tree).await.unwrap(), found);
}

#[tokio::test]
async fn a_long_difference_is_cut() {
    let world = World::new().await;
    world.write("w/a", "");
    let from = world.commit(&meta(&[])).await;
    world.write("w/a", "one more line\n".repeat(40_000));
    let to = world.commit(&meta(&[])).await;
    let found = world.repo.diff(&from, &to).await.unwrap();
    assert!(found.cut && found.text.len() <= crate::git::diff::TEXT_MAX);
    assert!(found.text.ends_with("+one more line\n"));
    assert_eq!((found.change.modified, found.change.lines_added), (1, 40_000));
}

#[tokio::test]
async fn every_flipped_byte_and_every_missing_object_is_found() {
    let world = World::new().await;
    world.write("w/dir/a", "some content that is long enough to be worth a byte or two");
    world.write("w/b", [0u8; 5000]);
    world.write("u/1/in", "inner");
    world.write("beside/conversation", "beside");
    let commit = world.commit(&meta(&[("nest", UnitKind::Work)])).await;
    assert_eq!(world.repo.verify(&commit).await.unwrap(), None);
    let objects = world.path("run/shadow.git/objects");
    let list = "cd run/shadow.git/objects && chmod -R u+w . && find . -type f -path './??/*'";
    let loose: Vec<String> = world.sh(list).await.lines().map(str::to_owned).collect();
    assert!(loose.len() > 8, "{loose:?}");
    for name in &loose {
        let path = objects.join(name);
        let whole = std::fs::read(&path).unwrap();
        let mut flipped = whole.clone();
        let at = flipped.len() / 2;
        flipped[at] ^= 0x10;
        std::fs::write(&path, &flipped).unwrap();
        let found = world.repo.verify(&commit).await.unwrap();
        assert!(found.is_some(), "{name}: {} bytes", whole.len());
        std::fs::remove_file(&path).unwrap();
        assert!(world.repo.verify(&commit).await.unwrap().is_some(), "{name}");
        std::fs::write(&path, whole).unwrap();
    }
    // A whole object in the place of another, which only its name tells.
    let blob = |it: &str| format!("git --git-dir=run/shadow.git rev-parse {commit}:{it}");
    let (a, b) = (world.sh(&blob("w/dir/a")).await, world.sh(&blob("w/b")).await);
    let of = |it: &str| objects.join(&it[..2]).join(&it[2..]);
    let whole = std::fs::read(of(&a)).unwrap();
    std::fs::copy(of(&b), of(&a)).unwrap();
    assert!(world.repo.verify(&commit).await.unwrap().is_some());
    std::fs::write(of(&a), whole).unwrap();
    assert_eq!(world.repo.verify(&commit).await.unwrap(), None);

    let pack = "cd run/shadow.git && git update-ref refs/checkpoints/x COMMIT && \
        git repack -qad && chmod u+w objects/pack/* && ls $PWD/objects/pack/*.pack";
    let pack = world.sh(&pack.replace("COMMIT", &commit)).await;
    assert_eq!(world.repo.verify(&commit).await.unwrap(), None);
    let whole = std::fs::read(&pack).unwrap();
    let all = "git --git-dir=run/shadow.git cat-file --batch --batch-all-objects 2>&1 | cksum";
    let (content, mut found) = (world.sh(all).await, 0);
    // Behind its head, before its own checksum.
    for at in (14..whole.len() - 20).step_by(whole.len() / 12) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        std::fs::write(&pack, &flipped).unwrap();
        // A bit that nothing depends on may change.
        let is_same = world.sh(all).await == content;
        assert!(is_same || world.repo.verify(&commit).await.unwrap().is_some(), "{at}");
        found += u32::from(!is_same);
    }
    assert!(found > 6, "{found}");
    std::fs::write(&pack, &whole).unwrap();
    assert_eq!(world.repo.verify(&commit).await.unwrap(), None);
    assert_eq!(world.sh("ls run/shadow.git | grep -c verify || :").await, "0");
    let gone = "c0ffee".repeat(7)[..40].to_owned();
    assert!(world.repo.verify(&gone).await.unwrap().is_some());
}

#[tokio::test]
async fn an_archive_holds_everything_in_its_place() {
    use tokio::io::AsyncReadExt;

    use crate::checkpoint::manifest::{Base, Manifest};

    let world = World::new().await;
    let long = format!("w/{}/file", "long name ".repeat(15));
    world.write(&long, "1");
    world.write("w/private", "p".repeat(700));
    world.write("w/.gitattributes", "private export-ignore\n");
    std::os::unix::fs::symlink("private", world.path("top/w/link")).unwrap();
    world.write("u/1/in", "in");
    world.write("u/2/HEAD", "ref");
    world.write("beside/conversation/x.jsonl", "beside");
    let mut manifest = Manifest::new(Base::of_umask(0o022));
    manifest.files.insert(b"private".to_vec(), 0o600);
    manifest.empty.insert(b"void".to_vec());
    world.write("m/0", manifest.write());
    let units = [("nest", UnitKind::Work), ("nest/.git", UnitKind::Git)];
    let commit = world.commit(&meta(&units)).await;
    let mut process = world.repo.export(&commit).await.unwrap();
    let mut archive = Vec::new();
    process.stdout.read_to_end(&mut archive).await.unwrap();
    assert_eq!(process.exit.await.unwrap().code, 0);
    std::fs::write(world.path("a.tar"), archive).unwrap();
    world.sh("mkdir out; tar -xpf a.tar -C out").await;
    world.sh("cd out/workspace; cmp private ../../top/w/private; [ -d void ]").await;
    world
        .sh("cd out; [ -f meta.json ] && [ \"$(cat beside/conversation/x.jsonl)\" = beside ]")
        .await;
    let said = world.sh("cd out/workspace; stat -c %a private; readlink link; cat */file").await;
    assert_eq!(said, "600\nprivate\n1");
    let said = world.sh("cd out/workspace; cat nest/in nest/.git/HEAD .gitattributes").await;
    assert_eq!(said, "inrefprivate export-ignore");

    // What is damaged is no archive.
    let id = world.sh(&format!("git --git-dir=run/shadow.git rev-parse {commit}:w/private")).await;
    world.sh(&format!("rm -f run/shadow.git/objects/{}/{}", &id[..2], &id[2..])).await;
    let mut process = world.repo.export(&commit).await.unwrap();
    process.stdout.read_to_end(&mut Vec::new()).await.unwrap();
    assert!(process.exit.await.is_err());
}
