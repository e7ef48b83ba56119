use super::*;

/// Moves the files of a work tree away and back, as restoring them does: without git's link.
async fn lose(world: &World, dest: &Path, files: &str) {
    world.run_in(dest.parent().unwrap(), &format!("rm -f tree/.git; {files}")).await;
}

async fn adoption(world: &World, plan: &Plan) -> Adoption {
    Adoption {
        root: plan.repo.root.clone(),
        dest: plan.dest.clone(),
        branch: plan.branch.clone(),
        head: world.run("git rev-parse HEAD").await,
        spare: plan.repo.root.clone(),
        files: Files::None,
    }
}

#[tokio::test]
async fn files_that_were_put_back_are_a_work_tree_again() {
    let world = World::committed().await;
    let plan = world.plan(false).await;
    world.git.worktree(&plan).await.unwrap();
    let dest = PathBuf::from(plan.dest.as_str());
    world
        .run_in(&dest, "echo later >> a && git commit -qam later && echo now >> a && git add a")
        .await;
    let (tip, status) = (
        world.run_in(&dest, "git rev-parse HEAD").await,
        world.run_in(&dest, "git status --porcelain --branch").await,
    );
    let (before, files) = (world.state().await, tree(&dest));
    let adoption = adoption(&world, &plan).await;

    // What git knows of it is still there: even what was staged is as it was.
    lose(&world, &dest, "").await;
    world.git.adopt(&adoption).await.unwrap();
    assert_eq!(world.run_in(&dest, "git status --porcelain --branch").await, status);

    // Pruned: the branch stays where it is, nothing is staged.
    lose(&world, &dest, "").await;
    world.run("git worktree prune").await;
    for _ in 0..2 {
        world.git.adopt(&adoption).await.unwrap();
        assert_eq!(world.run_in(&dest, "git rev-parse HEAD").await, tip);
        let status = world.run_in(&dest, "git status --porcelain --branch").await;
        assert_eq!(status, "## parhelia/task-a\n M a");
    }
    assert_eq!(tree(&dest), files);
    assert_eq!(world.state().await, before);
    let listed = world.run("git worktree list --porcelain | grep -c ^worktree").await;
    assert_eq!(listed, "2");
    world.git.remove_worktree(&plan.from, &plan.dest, Some(&plan.branch)).await.unwrap();
    assert!(!dest.exists());
}

#[tokio::test]
async fn a_commit_that_the_repository_lost_comes_from_the_spare_one() {
    let world = World::committed().await;
    let plan = world.plan(false).await;
    let dest = PathBuf::from(plan.dest.as_str());
    let spare = dest.parent().unwrap().join("spare.git");
    std::fs::create_dir_all(&dest).unwrap();
    std::fs::write(dest.join("a"), "mine\n").unwrap();
    world.run(&format!("git clone -q --bare . '{}'", spare.display())).await;
    let head = "tree=$(git write-tree) && git commit-tree -p HEAD -m lost $tree";
    let head = world
        .run_in(
            &spare,
            &format!(
                "export GIT_INDEX_FILE=i GIT_AUTHOR_NAME=T GIT_AUTHOR_EMAIL=t@t \
            GIT_COMMITTER_NAME=T GIT_COMMITTER_EMAIL=t@t; git read-tree HEAD && {head}"
            ),
        )
        .await;
    let adoption =
        Adoption { head: head.clone(), spare: path(&spare), ..adoption(&world, &plan).await };
    let before = world.state().await;
    world.git.adopt(&adoption).await.unwrap();
    assert_eq!(world.run_in(&dest, "git rev-parse parhelia/task-a").await, head);
    assert_eq!(world.state().await, before);
    assert_eq!(std::fs::read(dest.join("a")).unwrap(), b"mine\n");
    let gone = Adoption { head: "1".repeat(40), ..adoption };
    std::fs::remove_file(dest.join(".git")).unwrap();
    world.run("git worktree prune").await;
    let error = world.git.adopt(&gone).await.unwrap_err();
    assert!(matches!(error, GitError::Refused { .. }), "{error}");
}

#[tokio::test]
async fn what_was_not_saved_around_a_directory_comes_from_git() {
    let world = World::committed().await;
    let plan = world.plan(false).await;
    let dest = PathBuf::from(plan.dest.as_str());
    std::fs::create_dir_all(dest.join("sub")).unwrap();
    std::fs::write(dest.join("sub/new"), "n\n").unwrap();
    let files = Files::Outside("sub".into());
    let adoption = Adoption { files, ..adoption(&world, &plan).await };
    world.git.adopt(&adoption).await.unwrap();
    let status = world.run_in(&dest, "git status --porcelain -uall").await;
    assert_eq!(status, " D sub/c\n D sub/deep/d\n?? sub/new");
}

#[tokio::test]
async fn a_branch_gets_its_work_tree_anew() {
    let world = World::committed().await;
    let plan = world.plan(false).await;
    world.git.worktree(&plan).await.unwrap();
    let dest = PathBuf::from(plan.dest.as_str());
    world.run_in(&dest, "echo later >> a && git commit -qam later").await;
    let files = tree(&dest);
    std::fs::remove_dir_all(&dest).unwrap();
    let root = &plan.repo.root;
    assert!(world.git.worktree_again(root, &plan.dest, &plan.branch).await.unwrap());
    assert_eq!(tree(&dest), files);
    assert_eq!(world.run_in(&dest, "git status --porcelain --branch").await, "## parhelia/task-a");
    let again = world.git.worktree(&plan).await.unwrap();
    assert_eq!(again.workspace, plan.dest);
    assert!(!world.git.worktree_again(root, &plan.dest, "parhelia/none").await.unwrap());
}
