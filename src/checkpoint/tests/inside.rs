//! Repositories inside the workspace.

use super::*;

const IDENTITY: &str = "git config user.name T && git config user.email t@t";

fn units(made: &Made) -> Vec<(String, UnitKind)> {
    let text = |it: &Unit| (String::from_utf8_lossy(&it.path).into_owned(), it.kind);
    made.meta.units.iter().map(text).collect()
}

fn expected(units: &[(&str, UnitKind)]) -> Vec<(String, UnitKind)> {
    units.iter().map(|it| (it.0.to_owned(), it.1)).collect()
}

#[tokio::test]
async fn repositories_inside_are_saved_with_their_history() {
    let world = World::git().await;
    world
        .run(&format!(
            "git init -q in && cd in && {IDENTITY} && printf 'build/\\nforced\\n' >.gitignore && mkdir build \
             && echo b >build/b && echo x >x && echo f >forced && git add -f . && git rm -q --cached build/b && git commit -qm one \
             && echo y >y && echo private >.git/info/exclude && echo p >private \
             && git init -q deep/er && echo z >deep/er/z \
             && git init -q build/skipped && cd .. && git init -q bare-bones && mkdir 'a dir' && git init -q 'a dir/re\npo'"
        ))
        .await;
    let before = tree(&world.ws, &[]);
    let first = world.save().await;
    let (work, git) = (UnitKind::Work, UnitKind::Git);
    let all = [
        ("a dir/re\\npo", work),
        ("a dir/re\\npo/.git", git),
        ("bare-bones", work),
        ("bare-bones/.git", git),
        ("in", work),
        ("in/.git", git),
        ("in/deep/er", work),
        ("in/deep/er/.git", git),
    ];
    let all = all.map(|it| {
        (it.0.replace("\\n", if units(&first)[0].0.contains('\n') { "\n" } else { "\\n" }), it.1)
    });
    assert_eq!(units(&first), all);
    assert_eq!(tree(&world.ws, &[]), before);
    let files = tree(&world.ws, &[".git", "in/build", "in/private"]);
    same(&world.whole(&first).await, &files);
    assert!(world.is_same(&first).await);
    world.write("in/x", "changed\n");
    world.run(&format!("cd in && git commit -qam two && cd deep/er && {IDENTITY} && git add z && git commit -qm one")).await;
    assert!(!world.is_same(&first).await);
    let second = world.save_after(Some(&first)).await;
    same(&world.whole(&second).await, &tree(&world.ws, &[".git", "in/build", "in/private"]));
    assert_eq!((second.change.added, second.change.modified, second.change.deleted), (0, 1, 0));
    // One goes, another comes: the numbers change.
    world.run("rm -rf bare-bones && git init -q first && echo f >first/f").await;
    let third = world.save_after(Some(&second)).await;
    same(&world.whole(&third).await, &tree(&world.ws, &[".git", "in/build", "in/private"]));
}

#[tokio::test]
async fn submodules_stay_links_and_are_saved() {
    let world = World::git().await;
    world
        .run_in(&world.top, &format!("git init -q lib && cd lib && {IDENTITY} && echo l >l && git add . && git commit -qm lib"))
        .await;
    world.run("git -c protocol.file.allow=always submodule --quiet add ../lib lib && git commit -qm sub").await;
    world.write("lib/l", "changed");
    world.write("lib/new", "new");
    let saved = world.save().await;
    let (work, git) = (UnitKind::Work, UnitKind::Git);
    assert_eq!(units(&saved), expected(&[("lib", work), ("lib/.git", git)]));
    let mut files = world.whole(&saved).await;
    let link = files.remove(&b"lib"[..]).unwrap();
    assert_eq!(link.0, 0o160000);
    same(&files, &tree(&world.ws, &[".git"]));
    assert!(world.is_same(&saved).await);
}

/// Saves as one who knows what was seen before, and by git and find alone, which must see the same.
async fn saved_both_ways(world: &World, previous: Option<&Made>) -> Made {
    let saved = world.save_after(previous).await;
    let files = world.whole(&saved).await;
    same(&files, &tree(&world.ws, &[".git"]));
    let mut order = Order { previous: Some(saved.commit.clone()), ..world.order() };
    order.rules.include = vec!["nothing is called so".into()];
    // By nobody who saw anything before.
    let fresh = Shadow::new(world.shell.clone(), &path(&world.top.join("other run")));
    let _ = std::fs::remove_dir_all(world.top.join("other run"));
    let first = fresh.save(&Order { previous: None, ..order.clone() }).await;
    let listed = made(first).meta;
    assert_eq!((listed.files, &listed.units), (saved.meta.files, &saved.meta.units));
    assert_eq!(
        world.shadow.save(&Order { unless_same: true, ..order }).await.unwrap(),
        Saved::Same
    );
    saved
}

/// Has a submodule `lib` that is there.
const WITH_LIB: &str = "git init -q ../lib && (cd ../lib && git config user.name T && git config user.email t@t \
    && echo l >l && git add . && git commit -qm lib) \
    && git -c protocol.file.allow=always submodule --quiet add ../lib lib && git commit -qm sub";

#[tokio::test]
async fn files_where_the_index_names_a_repository_that_is_none_are_saved() {
    // Known before anything is saved, or after.
    for knew in [false, true] {
        let world = World::git().await;
        world.run(WITH_LIB).await;
        let mut last = if knew { Some(world.save().await) } else { None };
        for step in [
            "rm -rf lib && mkdir -p lib/in && echo x >lib/x && echo y >lib/in/y",
            "echo more >lib/x && echo z >lib/in/z",
            "rm -rf lib && echo a file >lib",
            "rm -f lib && ln -s nowhere lib",
            "rm -f lib && git -c protocol.file.allow=always submodule --quiet update --init && rm lib/.git",
            "rm -rf lib",
        ] {
            world.run(step).await;
            let saved = saved_both_ways(&world, last.as_ref()).await;
            assert_eq!(world.left(&saved), BTreeMap::new(), "{step}");
            last = Some(saved);
        }
    }
}

#[tokio::test]
async fn files_of_a_hollow_submodule_are_saved_in_a_linked_work_tree_and_come_back() {
    let mut world = World::git().await;
    world.run(WITH_LIB).await;
    world.run("git worktree add -q ../linked").await;
    world.ws = world.top.join("linked");
    world.write("lib/x", "x");
    let saved = saved_both_ways(&world, None).await;
    let at = world.top.join("elsewhere");
    let back = world.shadow.restore(None, &saved.commit, &path(&at), LIMIT).await.unwrap();
    assert_eq!(back.missing, Vec::<String>::new());
    assert_eq!(std::fs::read(at.join("lib/x")).unwrap(), b"x");
}

#[tokio::test]
async fn a_link_to_a_repository_goes_with_its_directory() {
    let world = World::git().await;
    world.run(WITH_LIB).await;
    let first = world.save().await;
    assert!(world.whole(&first).await.contains_key(&b"lib"[..]));
    world.run("rm -rf lib").await;
    let second = saved_both_ways(&world, Some(&first)).await;
    assert_eq!(second.meta.units, []);
}

#[tokio::test]
async fn an_ignored_submodule_that_is_hollow_disturbs_nothing() {
    let world = World::git().await;
    world.run(WITH_LIB).await;
    world.run("rm -rf lib && mkdir lib && echo lib >>.gitignore").await;
    let saved = world.save().await;
    assert_eq!(world.left(&saved), BTreeMap::new());
    same(&world.whole(&saved).await, &tree(&world.ws, &[".git"]));
    assert!(world.is_same(&saved).await);
}

#[tokio::test]
async fn work_trees_inside_what_is_only_called_like_a_repository_are_saved() {
    let world = World::new();
    world.write(".GIT/x.lock", "x");
    world.write("a/.Git/r/file", "f");
    world.write("a/.Git/r/in/Cargo.lock", "l");
    world.run("git init -q a/.Git/r && git init -q .GIT/two/repo && echo t >.GIT/two/repo/t").await;
    let saved = saved_both_ways(&world, None).await;
    world.write("a/.Git/r/file", "changed");
    world.write("a/.Git/r/new", "new");
    let saved = saved_both_ways(&world, Some(&saved)).await;
    assert_eq!(world.left(&saved), BTreeMap::new());
}

#[tokio::test]
async fn a_round_that_finds_only_files_of_such_names_is_looked_at() {
    let world = World::new();
    world.write("a/.GIT", "a file");
    world.write("b", "b");
    std::os::unix::fs::symlink("nowhere", world.ws.join(".gitmodules")).unwrap();
    let saved = saved_both_ways(&world, None).await;
    assert!(saved.meta.units.iter().all(|it| it.kind == UnitKind::Git));
    assert_eq!(saved.meta.units.len(), 2);
}

#[tokio::test]
async fn whatever_is_called_git_is_saved() {
    let world = World::new();
    world.write("a/.GIT/x", "x");
    world.write("a/y", "y");
    world.write("b/.git", "no repository");
    world.write("b/z", "z");
    std::fs::create_dir_all(world.ws.join("c/.git")).unwrap();
    world.write("c/w", "w");
    world.write("d/.git/hooks/.git/odd", "o");
    world.write("d/.git/index.lock", "l");
    world.write(".git/half", "h");
    std::os::unix::fs::symlink("nowhere", world.ws.join("a/.Git")).unwrap();
    std::os::unix::fs::symlink("nowhere", world.ws.join("a/.gitmodules")).unwrap();
    let saved = world.save().await;
    same(&world.whole(&saved).await, &tree(&world.ws, &["d/.git/index.lock"]));
    assert!(saved.meta.units.iter().any(|it| it.path == b".git" && it.kind == UnitKind::Git));
    assert_eq!(world.left(&saved), BTreeMap::new());
    assert!(world.is_same(&saved).await);
}

#[tokio::test]
async fn files_that_became_those_of_a_repository_are_taken_once() {
    let world = World::git().await;
    let first = world.save().await;
    world.run("git init -q sub").await;
    let second = world.save_after(Some(&first)).await;
    same(&world.whole(&second).await, &tree(&world.ws, &[".git"]));
    world.run("rm -rf sub/.git").await;
    let third = world.save_after(Some(&second)).await;
    same(&world.whole(&third).await, &tree(&world.ws, &[".git"]));
    assert_eq!(third.meta.units, []);
}

#[tokio::test]
async fn a_git_directory_keeps_its_empty_directories() {
    let world = World::new();
    world.run("git init -q in").await;
    let saved = world.save().await;
    let manifest = world.manifest(&saved, 2).await;
    for dir in ["objects/info", "objects/pack", "refs/heads", "refs/tags"] {
        assert!(manifest.empty.contains(dir.as_bytes()), "{dir}");
    }
}
