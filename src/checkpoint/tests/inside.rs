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
