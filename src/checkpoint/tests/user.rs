//! Workspaces that are repositories of the user's.

use super::*;

/// Returns everything in `dir` with what it holds, and when each file was written. Reading a file
/// that we already have tells git to keep it for longer, so the times of objects are left out; so
/// does reading an index that is shared.
fn frozen(dir: &Path) -> Vec<(PathBuf, u32, i64, Vec<u8>)> {
    let mut entries = Vec::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(&dir).unwrap().flatten() {
            let (at, data) = (entry.path(), entry.metadata().unwrap());
            let content = if data.is_file() { std::fs::read(&at).unwrap() } else { Vec::new() };
            if data.is_dir() {
                dirs.push(at.clone());
            }
            let is_kept = |it: &str| it == "objects" || it.starts_with("sharedindex.");
            let object = at.components().any(|it| it.as_os_str().to_str().is_some_and(is_kept));
            let time = if object { 0 } else { data.mtime() * 1_000_000_000 + data.mtime_nsec() };
            entries.push((at, data.mode(), time, content));
        }
    }
    entries.sort();
    entries
}

async fn position(world: &World) -> crate::checkpoint::meta::Position {
    world.save().await.meta.position.unwrap()
}

#[tokio::test]
async fn a_repository_is_saved_and_not_touched() {
    let world = World::git().await;
    world.write("a", "changed");
    world.write("b", "staged");
    world.run("git add b && git rm -q --cached sub/c && rm sub/deep/d && git tag -a -m x v1 && git stash list").await;
    world.write("b", "staged, then changed");
    world.write("new", "new");
    world.write("out/x", "ignored");
    world.write("ignored", "ignored");
    world.run("git remote add origin https://me:secret@host/x.git").await;
    let before = frozen(&world.ws);
    let first = world.save().await;
    assert!(frozen(&world.ws) == before);
    let expected = tree(&world.ws, &[".git", "out", "ignored"]);
    same(&world.whole(&first).await, &expected);
    let head = world.run("git rev-parse HEAD").await;
    let other = world.run("git rev-parse other").await;
    let position = first.meta.position.clone().unwrap();
    assert_eq!(
        (position.branch.as_deref(), position.head.as_deref()),
        (Some("main"), Some(&*head))
    );
    assert!(position.staged && position.inside && position.history);
    let refs = [("refs/heads/main", &head), ("refs/heads/other", &other), ("refs/tags/v1", &head)];
    let refs = refs.map(|(name, id)| (name.to_owned(), id.clone()));
    assert_eq!(position.refs, refs.into());
    assert_eq!(position.remotes["origin"], "https://host/x.git");
    // What was staged is staged, and the history hangs on it.
    let staged = world.stored(&format!("{}:staged", first.commit)).await;
    assert_eq!(staged[&b"b"[..]].1, b"staged");
    assert!(!staged.contains_key(&b"sub/c"[..]) && staged.contains_key(&b"sub/deep/d"[..]));
    let parents = world.shadow(&format!("rev-list --parents --no-walk {}", first.commit)).await;
    assert_eq!(String::from_utf8_lossy(&parents).trim(), format!("{} {head}", first.commit));
    // What was there already is borrowed.
    let held = world.shadow("count-objects -v").await;
    let held = String::from_utf8_lossy(&held).into_owned();
    let number = |name: &str| -> u64 {
        let line = held.lines().find_map(|it| it.strip_prefix(name)).unwrap();
        line.trim_start_matches(": ").parse().unwrap()
    };
    assert!(number("count") < 24, "{held}");
    assert!(world.is_same(&first).await);
    assert!(frozen(&world.ws) == before);
}

#[tokio::test]
async fn a_commit_alone_is_a_change() {
    let world = World::git().await;
    let first = world.save().await;
    world.run("git commit -q --allow-empty -m three").await;
    assert!(!world.is_same(&first).await);
    let second = world.save_after(Some(&first)).await;
    world.run("git branch more HEAD~1 && git checkout -q -b far && git commit -q --allow-empty -m far && git checkout -q main").await;
    assert!(!world.is_same(&second).await);
    let third = world.save_after(Some(&second)).await;
    let parents = world.shadow(&format!("rev-list --parents --no-walk {}", third.commit)).await;
    let tips = world.run("git rev-parse main far").await.replace('\n', " ");
    assert_eq!(String::from_utf8_lossy(&parents).trim(), format!("{} {tips}", third.commit));
}

#[tokio::test]
async fn attributes_do_not_change_what_is_saved() {
    let world = World::git().await;
    world.run("git config filter.up.clean 'tr a-z A-Z' && git config filter.up.smudge 'tr A-Z a-z' && git config core.autocrlf true").await;
    world.write(
        ".gitattributes",
        "* text=auto\n*.up filter=up\n*.id ident\n*.u16 working-tree-encoding=UTF-16\n*.crlf eol=crlf\n",
    );
    world.write("x.up", "lower");
    world.write("x.id", "$Id: nothing $");
    world.write("x.u16", b"\xff\xfea\0\r\0\n\0");
    world.write("x.txt", "one\r\ntwo\nthree\r\n");
    world.write("x.crlf", "one\ntwo\r\n");
    let untracked = world.save().await;
    let expected = tree(&world.ws, &[".git"]);
    same(&world.whole(&untracked).await, &expected);
    // Also if the user's git has them the other way.
    world.run("git add . 2>/dev/null && git commit -qm attributes").await;
    let fresh = Shadow::new(world.shell.clone(), &path(&world.top.join("run dir")));
    std::fs::remove_dir_all(world.top.join("run dir/shadow.git")).unwrap();
    let saved = made(fresh.save(&world.order()).await);
    let stored = world.whole(&saved).await;
    same(&stored, &expected);
}

#[tokio::test]
async fn what_git_tracks_is_saved_though_ignored_or_secret() {
    let world = World::git().await;
    world.write("out/tracked", "t");
    world.write("out/not", "n");
    world.write("key.pem", "k");
    world.write("other.pem", "k");
    let before = world.save().await;
    assert_eq!(world.left(&before).len(), 2);
    world.run("git add -f out/tracked key.pem").await;
    let after = world.save_after(Some(&before)).await;
    let files = world.whole(&after).await;
    assert!(files.contains_key(&b"out/tracked"[..]) && files.contains_key(&b"key.pem"[..]));
    assert!(!files.contains_key(&b"out/not"[..]) && !files.contains_key(&b"other.pem"[..]));
    // What becomes ignored goes, what git tracks stays.
    world.write(".gitignore", "out/\nnew\na\n");
    world.write("new", "n");
    let last = world.save_after(Some(&after)).await;
    let files = world.whole(&last).await;
    assert!(files.contains_key(&b"a"[..]) && !files.contains_key(&b"new"[..]));
    assert!(files.contains_key(&b"out/tracked"[..]));
}

#[tokio::test]
async fn any_kind_of_index_will_do() {
    any_index(&[
        "git update-index --split-index && echo x >> b && git add b",
        "git sparse-checkout set --cone sub && git sparse-checkout reapply --sparse-index",
        "rm .git/index",
        "printf broken >.git/index",
    ])
    .await;
}

#[tokio::test]
async fn an_index_with_anything_in_it_will_do() {
    any_index(&[
        "git update-index --assume-unchanged a && git update-index --skip-worktree b && echo 1 >>a && echo 2 >>b",
        "git add -N . && echo n >n && git add -N n",
        "git update-index --index-version 4 && echo 3 >>a",
        "git config core.untrackedCache true && git update-index --untracked-cache && echo x >x",
    ])
    .await;
}

async fn any_index(setups: &[&str]) {
    for setup in setups {
        let world = World::git().await;
        world.run(setup).await;
        let before = frozen(&world.ws);
        let first = world.save().await;
        same(&world.whole(&first).await, &tree(&world.ws, &[".git"]));
        assert!(frozen(&world.ws) == before, "{setup}");
        let position = first.meta.position.clone().unwrap();
        assert_eq!(position.staged, !setup.contains("broken"), "{setup}");
        assert!(world.is_same(&first).await, "{setup}");
        world.write("a", "after");
        world.write("b", "after");
        let second = world.save_after(Some(&first)).await;
        same(&world.whole(&second).await, &tree(&world.ws, &[".git"]));
    }
}

#[tokio::test]
async fn a_conflict_is_saved_as_the_files_are() {
    let world = World::git().await;
    world
        .run(
            "git checkout -q other && echo theirs >a && git rm -q b && git commit -qam theirs \
             && git checkout -q main && echo more >>b && echo mine >a && git commit -qam mine && ! git merge other >/dev/null",
        )
        .await;
    let saved = world.save().await;
    same(&world.whole(&saved).await, &tree(&world.ws, &[".git"]));
    let position = saved.meta.position.unwrap();
    assert!(!position.staged && position.head.is_some());
    world.shadow(&format!("rev-parse {}:w", saved.commit)).await;
    assert_eq!(world.shadow(&format!("ls-tree {} staged", saved.commit)).await, b"");
}

#[tokio::test]
async fn beginnings_worktrees_and_shallow_copies_are_known() {
    let world = World::new();
    world.run("git init -q -b main .").await;
    world.write("a", "a");
    let at = position(&world).await;
    assert_eq!((at.branch.as_deref(), at.head), (Some("main"), None));

    let world = World::git().await;
    world.run("git checkout -q --detach").await;
    assert_eq!(position(&world).await.branch, None);

    // A linked work tree: the repository does not go with it.
    let world = World::git().await;
    let linked = world.top.join("linked");
    world.run("git worktree add -q ../linked other").await;
    std::fs::write(linked.join("new"), "new").unwrap();
    let order = Order { workspace: path(&linked), ..world.order() };
    let saved = made(world.shadow.save(&order).await);
    same(&world.whole(&saved).await, &tree(&linked, &[".git"]));
    let at = saved.meta.position.unwrap();
    assert_eq!((at.branch.as_deref(), at.inside, at.refs.len()), (Some("other"), false, 0));
    assert!(at.history && at.staged && saved.meta.units.is_empty());

    // A shallow copy does not have its history.
    let world = World::git().await;
    let shallow = world.top.join("shallow");
    world.run("git clone -q --depth 1 \"file://$PWD\" ../shallow").await;
    let order = Order { workspace: path(&shallow), ..world.order() };
    let saved = made(world.shadow.save(&order).await);
    same(&world.whole(&saved).await, &tree(&shallow, &[".git"]));
    assert!(!saved.meta.position.unwrap().history);
    let parents = world.shadow(&format!("rev-list --parents --no-walk {}", saved.commit)).await;
    assert_eq!(String::from_utf8_lossy(&parents).trim(), saved.commit);

    // A repository with another kind of ids lends nothing.
    let world = World::new();
    world.run("git init -q --object-format=sha256 . && git config user.name T && git config user.email t@t && echo a >a && git add . && git commit -qm one").await;
    let saved = world.save().await;
    same(&world.whole(&saved).await, &tree(&world.ws, &[".git"]));
    let at = saved.meta.position.clone().unwrap();
    assert!(!at.history && !at.staged && at.head.unwrap().len() == 64);
    assert!(world.is_same(&saved).await);
}

#[tokio::test]
async fn a_directory_of_a_repository_is_saved_by_itself() {
    let world = World::git().await;
    world.write("sub/new", "n");
    let sub = world.ws.join("sub");
    let order = Order { workspace: path(&sub), ..world.order() };
    let saved = made(world.shadow.save(&order).await);
    same(&world.whole(&saved).await, &tree(&sub, &[]));
    let at = saved.meta.position.unwrap();
    assert!(!at.inside && !at.staged && at.head.is_some());
}

#[tokio::test]
async fn below_the_top_of_its_repository_the_rules_above_hold_too() {
    let mut world = World::new();
    let rules = "# no rule\n*.log\n/sub/deep/out\nsub/*/tmp/\n**/cache\n/other\n/sub/deep\n\
                 /sub/deep/sub/x\n!keep.log\n/elsewhere/plain\n";
    world.write(".gitignore", rules);
    world.write("sub/.gitignore", "deep/[ab]\n/plain\n*.o");
    world.write("sub/deep/.gitignore", "!wanted.o\n");
    world.run("git init -q; echo private >>.git/info/exclude").await;
    world.ws = world.ws.join("sub/deep");
    let gone = ["x.log", "in/x.log", "out", "tmp/x", "in/cache/x", "a", "b", "x.o", "sub/x"];
    let stay =
        [".gitignore", "keep.log", "in/out", "in/tmp/x", "other", "c", "plain", "wanted.o", "x"];
    for name in gone.iter().chain(&stay[1..]).chain(&["private"]) {
        world.write(name, name);
    }
    let saved = world.save().await;
    let files = world.whole(&saved).await;
    let names: BTreeSet<String> =
        files.keys().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
    assert_eq!(names, stay.iter().map(ToString::to_string).collect());
}

#[tokio::test]
async fn all_stashes_come_back_in_their_order() {
    let world = World::git().await;
    for name in ["first", "second", "third"] {
        world.write("a", name);
        world.run(&format!("git stash push -q -m {name}")).await;
    }
    let list = world.run("git stash list").await;
    assert_eq!(list.lines().count(), 3, "{list}");
    let saved = world.save().await;
    // Nothing is taken from what they were borrowed from.
    let at = world.top.join("elsewhere");
    let back = world.shadow.restore(None, &saved.commit, &path(&at), LIMIT).await.unwrap();
    assert_eq!(back.missing, Vec::<String>::new());
    assert_eq!(world.run_in(&at, "git stash list").await, list);
    let shown = "git stash show -p stash@{2} | tail -n 2; git fsck --no-progress 2>&1";
    assert_eq!(world.run_in(&at, shown).await, world.run(shown).await);
}
