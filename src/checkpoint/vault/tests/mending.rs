//! A byte has turned in one of the two copies, or in both.

use super::*;

/// Turns a bit of the middle byte of the file `$1` of the repository `$2`, in a file of its own.
const FLIP: &str = "cd $2/objects; cp -p $1 x; chmod u+w x; at=$(($(wc -c <x) / 2))
    byte=$(od -An -tu1 -j $at -N 1 x | tr -d ' ')
    printf \"\\\\$(printf %o $((byte ^ 16)))\" | dd of=x bs=1 seek=$at conv=notrunc 2>/dev/null
    mv -f x $1";

/// Lists the files with objects of the repository `$1`, those that it borrows not among them.
const LIST: &str = "cd $1/objects; find . -type f \\( -path './??/*' -o -name '*.pack' \\) | sort";

async fn flip(world: &World, repo: &str, name: &str) {
    world.run_with(FLIP, &[name, repo]).await;
}

async fn flip_all(world: &World, repo: &str) {
    for name in world.run_with(LIST, &[repo]).await.lines() {
        flip(world, repo, name).await;
    }
}

impl World {
    async fn mend_there(&self, it: &world::Saved, near: bool) -> Result<(), CheckpointError> {
        self.vault.mend_there(&self.shadow, &it.id, &it.commit, near, LIMIT).await
    }

    async fn mend_here(&self, it: &world::Saved, near: bool) -> Result<(), CheckpointError> {
        let (vault, task) = (&self.vault, &self.task);
        vault.mend_here(&self.shadow, task, &it.id, &it.commit, near, LIMIT).await
    }
}

#[tokio::test]
async fn what_is_damaged_in_one_copy_is_taken_from_the_other() {
    for near in [true, false] {
        let world = World::new().await;
        // Nothing is borrowed, so that everything is in both.
        world.run("git init -q --bare run/shadow.git").await;
        world.run("git --git-dir=run/shadow.git fetch -q $PWD/user.git HEAD").await;
        let first = world.save("one").await;
        world.receive(&first, near).await.unwrap();
        flip_all(&world, "run/shadow.git").await;
        assert!(world.shadow.repo.verify(&first.commit).await.unwrap().is_some());
        world.mend_there(&first, near).await.unwrap();
        assert_eq!(world.shadow.repo.verify(&first.commit).await.unwrap(), None);

        flip_all(&world, "vault.git").await;
        assert!(world.vault.repo.verify(&first.commit).await.unwrap().is_some());
        world.mend_here(&first, near).await.unwrap();
        assert_eq!(world.vault.repo.verify(&first.commit).await.unwrap(), None);
        assert_eq!(world.vault.list().await.unwrap(), [world.row(&first)]);
        assert_eq!(world.run("find . -name '*tmp_objdir*'").await, "");
    }
}

#[tokio::test]
async fn what_was_mended_stays_whole_when_all_is_packed_anew() {
    let world = World::new().await;
    let first = world.save("one").await;
    world.receive(&first, true).await.unwrap();
    // The user's pack is linked and kept as it is.
    let kept = world.run("cd vault.git/objects; ls ./pack/*.keep").await.replace(".keep", ".pack");
    flip(&world, "vault.git", &kept).await;
    assert!(world.vault.repo.verify(&first.commit).await.unwrap().is_some());
    world.mend_here(&first, true).await.unwrap();
    assert_eq!(world.vault.repo.verify(&first.commit).await.unwrap(), None);
    for i in 0..9 {
        world.edit(&format!("state {i}")).await;
        let it = world.save("many").await;
        world.receive(&it, true).await.unwrap();
    }
    let _ = world.vault.collect(LIMIT).await;
    assert_eq!(world.vault.repo.verify(&first.commit).await.unwrap(), None);
}

#[tokio::test]
async fn of_two_damaged_copies_only_that_stays_lost_which_neither_has() {
    let world = World::new().await;
    world.run("echo a >ws/a; echo b >ws/b; echo c >ws/c").await;
    let first = world.save("one").await;
    world.receive(&first, true).await.unwrap();
    world
        .run(
            "cd vault.git/objects; for it in pack/*.pack; do mv $it p; rm -f ${it%.pack}.*; \
             git --git-dir=.. unpack-objects -q <p; rm -f p; done",
        )
        .await;
    let [a, b, c] = ["a", "b", "c"].map(|it| format!("git hash-object ws/{it} | tr -d '\\n'"));
    let (a, b, c) = (world.run(&a).await, world.run(&b).await, world.run(&c).await);
    let loose = |it: &str| format!("./{}/{}", &it[..2], &it[2..]);
    flip(&world, "run/shadow.git", &loose(&a)).await;
    flip(&world, "vault.git", &loose(&b)).await;
    for repo in ["run/shadow.git", "vault.git"] {
        flip(&world, repo, &loose(&c)).await;
    }
    world.mend_there(&first, true).await.unwrap();
    world.mend_here(&first, true).await.unwrap();
    for repo in ["run/shadow.git", "vault.git"] {
        let read = async |it: &str| {
            let script = "git --git-dir=$1 cat-file blob $2 2>/dev/null || echo lost";
            world.run_with(script, &[repo, it]).await
        };
        assert_eq!([read(&a).await, read(&b).await, read(&c).await], ["a", "b", "lost"]);
    }
}
