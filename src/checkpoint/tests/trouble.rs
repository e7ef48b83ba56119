//! Damage, and workspaces that do not hold still.

use super::*;

#[tokio::test]
async fn what_is_not_there_is_said() {
    let world = World::new();
    std::fs::remove_dir(&world.ws).unwrap();
    let error = world.shadow.save(&world.order()).await.unwrap_err();
    assert!(matches!(error, CheckpointError::NoWorkspace { .. }), "{error}");
}

#[tokio::test]
async fn a_shadow_without_its_files_is_begun_again() {
    begun_again(&["rm HEAD", "rm -rf objects && mkdir objects", "rm -rf refs", "rm -rf info"])
        .await;
}

#[tokio::test]
async fn a_shadow_with_damaged_files_is_begun_again() {
    begun_again(&[
        "printf broken >index.0",
        "printf '[core' >config",
        "find objects -type f | while read -r it; do chmod u+w $it; printf x >$it; done",
        "echo /nowhere >objects/info/alternates",
    ])
    .await;
}

async fn begun_again(harms: &[&str]) {
    for harm in harms {
        let world = World::git().await;
        world.write("new", "new");
        let first = world.save().await;
        world.run_in(&world.top.join("run dir/shadow.git"), harm).await;
        world.write("newer", "newer");
        let second = world.save_after(Some(&first)).await;
        same(&world.whole(&second).await, &tree(&world.ws, &[".git"]));
        world.shadow(&format!("rev-list --objects {}", second.commit)).await;
        world.write("newest", "newest");
        let third = world.save_after(Some(&second)).await;
        same(&world.whole(&third).await, &tree(&world.ws, &[".git"]));
        assert_eq!(third.change.added, 1, "{harm}");
    }
}

#[tokio::test]
async fn a_repository_that_lost_what_it_lent_is_got_over() {
    let world = World::git().await;
    world.write("staged", "staged");
    world.run("git add staged").await;
    let first = world.save().await;
    world.run("rm -rf .git").await;
    let second = world.save_after(Some(&first)).await;
    same(&world.whole(&second).await, &tree(&world.ws, &[]));
    world.shadow(&format!("rev-list --objects {}", second.commit)).await;
    // A repository without most of its objects lends nothing.
    let world = World::git().await;
    world.run("find .git/objects -type f -delete").await;
    let saved = world.save().await;
    same(&world.whole(&saved).await, &tree(&world.ws, &[".git"]));
    world.shadow(&format!("rev-list --objects {}", saved.commit)).await;
    assert!(world.is_same(&saved).await || !saved.meta.position.unwrap().history);
}

#[tokio::test]
async fn what_was_left_by_one_that_was_killed_does_no_harm() {
    let world = World::git().await;
    let first = world.save().await;
    let shadow = world.top.join("run dir/shadow.git");
    world
        .run_in(&shadow, "mkdir -p tmp/old && printf x >tmp/old/index.0 && touch index.0.lock HEAD.lock && cp -r . ../shadow.git.new-x")
        .await;
    world.write("new", "new");
    let second = world.save_after(Some(&first)).await;
    same(&world.whole(&second).await, &tree(&world.ws, &[".git"]));
    // Killed at any moment, the next one is whole.
    for milliseconds in [5u64, 15, 30, 45, 60, 80] {
        world.write("new", format!("{milliseconds}"));
        let order = Order { limit: Duration::from_millis(milliseconds), ..world.order() };
        let _ = world.shadow.save(&order).await;
        let next = world.save_after(Some(&second)).await;
        same(&world.whole(&next).await, &tree(&world.ws, &[".git"]));
    }
}

#[tokio::test]
async fn a_workspace_in_motion_is_saved_all_the_same() {
    let world = World::git().await;
    let script = "i=0; while [ ! -e ../stop ]; do i=$((i + 1)); \
        for n in 1 2 3 4 5 6 7 8; do printf '%s%s%s' $i $i $i >grow$n; rm -f gone$n; echo $i >gone$((9 - n)); done; \
        rm -rf d; mkdir d; echo $i >d/$i; done";
    let shell = world.shell.clone();
    let command = Command::new(["sh", "-c", script]).cwd(path(&world.ws));
    let motion = tokio::spawn(async move { run(&*shell, &command, LIMIT).await });
    let mut last = None;
    for _ in 0..4 {
        last = Some(world.save_after(last.as_ref()).await);
    }
    std::fs::write(world.top.join("stop"), "").unwrap();
    motion.await.unwrap().unwrap();
    let saved = world.save_after(last.as_ref()).await;
    same(&world.whole(&saved).await, &tree(&world.ws, &[".git"]));
    assert_eq!(world.left(&saved), BTreeMap::new());
}

#[tokio::test]
async fn forgetting_and_tidying_gives_space_back() {
    let world = World::git().await;
    let mut noise = vec![0; 200_000];
    getrandom::fill(&mut noise).unwrap();
    world.write("noise", &noise);
    let first = world.save().await;
    std::fs::remove_file(world.ws.join("noise")).unwrap();
    let second = world.save_after(Some(&first)).await;
    world.shadow.tidy(LIMIT).await.unwrap();
    same(&world.whole(&second).await, &tree(&world.ws, &[".git"]));
    let size = || {
        std::fs::read_dir(world.top.join("run dir/shadow.git/objects/pack"))
            .unwrap()
            .flatten()
            .map(|it| it.metadata().unwrap().len())
            .sum::<u64>()
    };
    assert!(size() > 200_000);
    world.shadow.forget(first.meta.facts.id.as_str()).await.unwrap();
    world.shadow.forget(first.meta.facts.id.as_str()).await.unwrap();
    world.shadow.tidy(LIMIT).await.unwrap();
    assert!(size() < 100_000);
    world.shadow(&format!("rev-list --objects {}", second.commit)).await;
    assert!(world.is_same(&second).await);
}

#[tokio::test]
async fn the_tree_of_now_is_no_checkpoint() {
    let world = World::git().await;
    let first = world.save().await;
    world.write("new", "new");
    let tree_now = world.shadow.now(&path(&world.ws), &world.order().rules, LIMIT).await.unwrap();
    same(&world.stored(&format!("{tree_now}:w")).await, &tree(&world.ws, &[".git"]));
    let refs = world.shadow("for-each-ref --format='%(objectname)' refs/checkpoints").await;
    assert_eq!(String::from_utf8_lossy(&refs).trim(), first.commit);
    assert!(!world.is_same(&first).await);
}

#[tokio::test]
async fn a_lent_file_that_the_users_repository_dropped_is_taken_again() {
    let world = World::git().await;
    world.write("f", "only here");
    world.run("git add f && git commit -qm f").await;
    let first = world.save().await;
    world
        .run("git reset -q --soft HEAD~1 && git reset -q && git reflog expire --expire=now --all && git gc -q --prune=now")
        .await;
    world.write("new", "new");
    let second = world.save_after(Some(&first)).await;
    same(&world.whole(&second).await, &tree(&world.ws, &[".git"]));
    world.shadow(&format!("rev-list --objects {}", second.commit)).await;
}

#[tokio::test]
async fn a_directory_that_became_a_way_out_is_not_followed() {
    let world = World::git().await;
    let first = world.save().await;
    world.run_in(&world.top, "mkdir outside && echo secret >outside/c && echo s >outside/d").await;
    world.run("rm -rf sub && ln -s ../outside sub").await;
    let second = world.save_after(Some(&first)).await;
    same(&world.whole(&second).await, &tree(&world.ws, &[".git"]));
    assert_eq!(world.whole(&second).await[&b"sub"[..]], (0o120000, b"../outside".to_vec()));
}
