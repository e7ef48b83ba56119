//! Any tree, saved and brought back.

use std::{ffi::OsStr, sync::Arc};

use proptest::{collection, prelude::*, sample};

use super::*;
use crate::{
    checkpoint::{
        repo::tests::meta,
        shadow::{HUGE, Order, Rules, Saved},
    },
    shell::{Command, local::LocalShell, run},
};

/// Something in a directory.
#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Vec<u8>, u32),
    Link(Vec<u8>),
    Dir(Nodes, u32),
    /// A repository with what is in its work tree, and whether there is a commit.
    Repository(Nodes, bool),
}

pub(super) type Nodes = BTreeMap<Vec<u8>, Node>;

/// Names that are the same often enough, and odd ones.
fn name() -> impl Strategy<Value = Vec<u8>> {
    let few: Vec<&[u8]> = vec![
        b"a",
        b"b",
        b"c",
        b"dir",
        b"-n",
        b".gitattributes",
        b"two\nlines",
        b"\xff\xfe",
        b"back\\",
        b".git~1",
        b"GIT",
        b".GIT",
        b".giT",
        b" ",
        b"'$(x)\"",
        b"*",
        b"caf\xc3\xa9",
    ];
    let any = collection::vec(1..=255u8, 1..8).prop_map(|mut it| {
        it.iter_mut().filter(|it| **it == b'/').for_each(|it| *it = b'_');
        it
    });
    let any = any.prop_filter("a name that leads nowhere else and is no secret", |it| {
        !it.starts_with(b".") && !it.contains(&b'.')
    });
    prop_oneof![6 => sample::select(few).prop_map(<[u8]>::to_vec), 1 => any]
}

fn content() -> impl Strategy<Value = Vec<u8>> {
    let few: Vec<&[u8]> = vec![
        b"",
        b"x\n",
        b"x\r\n",
        b"$Id$\n",
        b"* text=auto eol=crlf ident filter=x\n",
        b"* working-tree-encoding=UTF-16\na export-ignore\n",
        b"gitdir: nowhere\n",
    ];
    prop_oneof![
        3 => sample::select(few).prop_map(<[u8]>::to_vec),
        1 => collection::vec(any::<u8>(), 0..40),
        1 => (any::<u8>(), 0..9000usize).prop_map(|(it, length)| vec![it; length]),
    ]
}

fn nodes() -> impl Strategy<Value = Nodes> {
    let file_mode = sample::select(vec![0o644, 0o644, 0o755, 0o640, 0o600, 0o444, 0o4755, 0o664]);
    let dir_mode = || sample::select(vec![0o755, 0o755, 0o700, 0o555, 0o2775, 0o1777]);
    let link = prop_oneof![
        Just(b"a".to_vec()),
        Just(b"../outside".to_vec()),
        Just(b"/etc".to_vec()),
        name(),
    ];
    let leaf = prop_oneof![
        5 => (content(), file_mode).prop_map(|(it, mode)| Node::File(it, mode)),
        1 => link.prop_map(Node::Link),
    ];
    let node = leaf.prop_recursive(3, 24, 5, move |inner| {
        let nodes = || collection::btree_map(name(), inner.clone(), 0..5);
        prop_oneof![
            4 => (nodes(), dir_mode()).prop_map(|(it, mode)| Node::Dir(it, mode)),
            1 => (nodes(), any::<bool>()).prop_map(|(it, commit)| Node::Repository(it, commit)),
        ]
    });
    collection::btree_map(name(), node, 0..7).prop_map(without_odd_files)
}

/// Leaves of what is called `.git` in odd case only directories.
fn without_odd_files(nodes: Nodes) -> Nodes {
    let fine = |name: &[u8], node: &Node| {
        !name.eq_ignore_ascii_case(b".git") || matches!(node, Node::Dir(..))
    };
    let inner = |node| match node {
        Node::Repository(nodes, commit) => Node::Repository(without_odd_files(nodes), commit),
        Node::Dir(nodes, mode) => Node::Dir(without_odd_files(nodes), mode),
        other => other,
    };
    let all = nodes.into_iter().filter(|(name, node)| fine(name, node));
    all.map(|(name, node)| (name, inner(node))).collect()
}

#[expect(clippy::disallowed_methods, reason = "a test waits for git on a thread of its own")]
fn git(at: &Path, script: &str) -> String {
    let mut command = std::process::Command::new("sh");
    command.args(["-ec", script]).current_dir(at);
    for name in ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"]
    {
        command.env(name, "t@t");
    }
    let output = command.env("GIT_CONFIG_GLOBAL", "/dev/null").output().unwrap();
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

fn write(dir: &Path, nodes: &Nodes) {
    for (name, node) in nodes {
        let at = dir.join(OsStr::from_bytes(name));
        match node {
            Node::File(content, mode) => {
                std::fs::write(&at, content).unwrap();
                chmod(&at, *mode);
            }
            Node::Link(to) => symlink(OsStr::from_bytes(to), &at).unwrap(),
            Node::Dir(nodes, mode) => {
                std::fs::create_dir(&at).unwrap();
                write(&at, nodes);
                chmod(&at, *mode);
            }
            Node::Repository(nodes, commit) => {
                std::fs::create_dir(&at).unwrap();
                let commit = if *commit { "git commit -q --allow-empty -m c" } else { "" };
                git(&at, &format!("git init -q .; {commit}"));
                write(&at, nodes);
            }
        }
    }
}

/// Returns what is there but for the workspace's own repository.
fn without_git(root: &Path) -> BTreeMap<PathBuf, (u32, Vec<u8>)> {
    let mut all = tree(root);
    all.retain(|path, _| !path.starts_with(".git"));
    all
}

pub(super) struct Bench {
    dir: tempfile::TempDir,
    pub(super) shadow: Shadow,
}

impl Bench {
    pub(super) fn new() -> Bench {
        let dir = tempfile::tempdir().unwrap();
        let run = dir.path().canonicalize().unwrap().join("run");
        Bench { shadow: Shadow::new(Arc::new(LocalShell::new()), &host(&run)), dir }
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    pub(super) async fn save(&self, previous: Option<&str>) -> String {
        let mut facts = meta(&[]).facts;
        facts.at = crate::stdx::time::Timestamp(1_700_000_000_000);
        let order = Order {
            workspace: host(&self.path("ws")),
            facts,
            rules: Rules { include: Vec::new(), secrets: false, huge: HUGE },
            beside: Vec::new(),
            previous: previous.map(str::to_owned),
            unless_same: false,
            limit: WHOLE,
        };
        match self.shadow.save(&order).await.unwrap() {
            Saved::Made(made) => made.commit,
            Saved::Same => unreachable!("it was asked for"),
        }
    }

    /// As if what the shadow borrows had come from the vault.
    fn own(&self) {
        let own = "git repack -qad && rm -f objects/info/alternates";
        git(&self.path("run/shadow.git"), own);
    }

    async fn restore(&self, from: Option<&str>, commit: &str, name: &str) {
        let restored = self.shadow.restore(from, commit, &host(&self.path(name)), WHOLE).await;
        assert_eq!(restored.unwrap().missing, Vec::<String>::new());
    }

    /// Replaces all but the workspace's own repository.
    pub(super) async fn fill(&self, nodes: &Nodes) {
        let clear = "mkdir -p ws; chmod -R u+rwx ws; \
            find ws -mindepth 1 -maxdepth 1 ! -name .git -exec rm -rf {} +";
        let command = Command::new(["sh", "-ec", clear]).cwd(host(&self.path("")));
        assert_eq!(run(&*self.shadow.repo.shell, &command, WHOLE).await.unwrap().code, 0);
        write(&self.path("ws"), nodes);
    }
}

async fn elsewhere(nodes: Nodes, repository: bool) {
    let bench = Bench::new();
    bench.fill(&nodes).await;
    if repository {
        git(&bench.path("ws"), BEGIN);
    }
    let saved = bench.save(None).await;
    bench.restore(None, &saved, "elsewhere").await;
    same(&without_git(&bench.path("elsewhere")), &without_git(&bench.path("ws")));
}

/// Makes a repository of a directory.
const BEGIN: &str = "git init -q .; git add -A . 2>/dev/null || :; \
    git commit -q --allow-empty -m one";

pub(super) async fn there_and_back(a: Nodes, b: Nodes, repository: bool) {
    let bench = Bench::new();
    bench.fill(&a).await;
    if repository {
        git(&bench.path("ws"), BEGIN);
    }
    let one = bench.save(None).await;
    let as_a = without_git(&bench.path("ws"));
    bench.fill(&b).await;
    let two = bench.save(Some(&one)).await;
    let as_b = without_git(&bench.path("ws"));
    for _ in 0..2 {
        bench.restore(Some(&two), &one, "ws").await;
        same(&without_git(&bench.path("ws")), &as_a);
        bench.restore(Some(&one), &two, "ws").await;
        same(&without_git(&bench.path("ws")), &as_b);
    }
}

#[track_caller]
fn same(left: &BTreeMap<PathBuf, (u32, Vec<u8>)>, right: &BTreeMap<PathBuf, (u32, Vec<u8>)>) {
    let facts = |it: &BTreeMap<PathBuf, (u32, Vec<u8>)>| -> Vec<String> {
        let line = |(path, (mode, content)): (&PathBuf, &(u32, Vec<u8>))| {
            let start = &content[..content.len().min(20)];
            let path = path.as_os_str().as_bytes().escape_ascii();
            format!("{path} {mode:o} {} {}", content.len(), start.escape_ascii())
        };
        it.iter().map(line).collect()
    };
    let (left_facts, right_facts) = (facts(left), facts(right));
    let only = |it: &[String], other: &[String]| -> Vec<String> {
        it.iter().filter(|it| !other.contains(it)).cloned().collect()
    };
    assert_eq!(only(&left_facts, &right_facts), only(&right_facts, &left_facts));
    assert!(left == right, "content differs");
}

/// Returns how often: a few times, unless PROPTEST_CASES says otherwise.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    if usual.cases == 256 {
        ProptestConfig { max_shrink_iters: 20, ..ProptestConfig::with_cases(8) }
    } else {
        ProptestConfig { max_shrink_iters: 20, ..usual }
    }
}

proptest! {
    #![proptest_config(config())]
    #[test]
    fn any_tree_comes_back_elsewhere(nodes in nodes(), repository in any::<bool>()) {
        wait(elsewhere(nodes, repository));
    }

    #[test]
    fn any_tree_comes_back_in_place(a in nodes(), b in nodes(), repository in any::<bool>()) {
        wait(there_and_back(a, b, repository));
    }
}

fn wait(work: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = { runtime }.worker_threads(1).enable_all().build().unwrap();
    runtime.block_on(work);
}

#[tokio::test]
async fn a_repository_that_is_gone_with_its_workspace_comes_back_without_the_shadow() {
    let bench = Bench::new();
    bench.fill(&Nodes::new()).await;
    let ws = bench.path("ws");
    let begin = "git init -q -b main .; echo 1 > a; git add a; git commit -qm one; git tag v1; \
        git branch other; echo 2 > a; git commit -qam two; echo stash >> a; git stash -q; \
        git remote add origin https://example.com/x.git; \
        echo staged > b; git add b; echo edited >> b; echo new > c";
    git(&ws, begin);
    let look = "git status --porcelain=v1 -b; git for-each-ref; git log --format=%H%s --all; \
        git stash list; git remote -v; git diff; git diff --cached";
    let before = git(&ws, look);
    let commit = bench.save(None).await;
    bench.own();
    std::fs::remove_dir_all(&ws).unwrap();
    bench.restore(None, &commit, "ws").await;
    std::fs::rename(bench.path("run"), bench.path("moved")).unwrap();
    let strip = |it: String| it.replace("restored", "").replace("WIP on main", "");
    let lines = |it: String| -> Vec<String> {
        strip(it).lines().filter(|it| !it.starts_with("stash@")).map(str::to_owned).collect()
    };
    assert_eq!(lines(git(&ws, look)), lines(before));
    git(&ws, "git fsck --strict && git stash drop -q && git checkout -q -f --detach v1");

    // A detached HEAD, and no index that could be saved.
    std::fs::rename(bench.path("moved"), bench.path("run")).unwrap();
    let commit = bench.save(Some(&commit)).await;
    bench.own();
    std::fs::remove_dir_all(&ws).unwrap();
    bench.restore(None, &commit, "ws").await;
    assert_eq!(git(&ws, "git rev-parse --abbrev-ref HEAD"), "HEAD");
    assert_eq!(git(&ws, "git rev-parse HEAD"), git(&ws, "git rev-parse v1"));
    // One that is there is left alone.
    git(&ws, "git checkout -q -b mine");
    let now = bench.save(Some(&commit)).await;
    bench.restore(Some(&now), &commit, "ws").await;
    assert_eq!(git(&ws, "git branch --show-current"), "mine");
}

#[tokio::test]
async fn what_was_staged_is_staged_in_another_repository() {
    let bench = Bench::new();
    bench.fill(&Nodes::new()).await;
    let ws = bench.path("ws");
    git(&ws, "git init -q .; echo 1 > a; git add a; git commit -qm one; echo 2 > a; git add a");
    let commit = bench.save(None).await;
    git(&bench.path(""), "git clone -q ws other; echo 2 > other/a");
    let other = host(&bench.path("other"));
    assert!(bench.shadow.stage(&commit, &other, WHOLE).await.unwrap());
    assert_eq!(git(&bench.path("other"), "git status --porcelain"), "M  a");
    git(&bench.path("other"), "git fsck --strict");
}
