//! Power fails: what was not put on disk is gone.
//!
//! The disk is an image whose file system writes nothing of its own accord for minutes. A copy of
//! the image is what a machine finds after power has failed.

use super::{
    full::Mount,
    kills::{Driven, Step},
    *,
};

const MAKE: &str = "truncate -s 96M disk && mkfs.ext4 -q -F disk && \
    mount -o loop,commit=600,noatime disk \"$1\"";

/// Takes the copy, and lets a file system recover on it.
const FAIL: &str = "cp --sparse=always disk after && mount -o loop after \"$1\"";

struct Machine {
    /// The directory with the disk's image.
    outside: World,
    /// What is on the disk.
    inside: World,
    disk: Mount,
}

impl Machine {
    async fn new() -> Option<Machine> {
        let outside = World::new().await;
        // Programs write, and the kernel waits as long as it may before it does.
        let disk = Mount::new(&outside, "mnt", MAKE).await?;
        let inside = World::within(&disk.at).await;
        Some(Machine { outside, inside, disk })
    }

    /// Lets power fail, and returns the disk as it is found then.
    async fn fail(&self) -> Option<Mount> {
        Mount::new(&self.outside, "found", FAIL).await
    }

    /// Finds these checkpoints whole on the disk that was found.
    async fn check(&self, found: &Mount, all: &[world::Saved]) {
        let mut after = World::again(&found.at, self.inside.task.clone());
        let list = after.vault.list().await.unwrap();
        for it in all {
            assert!(list.contains(&after.row(it)), "{} is lost", it.id);
            // What the workspace was is known from the disk that did not fail.
            let was = self.disk.at.join("was").join(it.id.as_str());
            after.check_against("vault.git", it, was.to_str().unwrap()).await;
        }
        // And it goes on from there.
        after.shadow = self.inside.shadow.clone();
        let next = self.inside.save("next").await;
        after.receive(&next, true).await.unwrap();
        after.vault.collect(LIMIT).await.unwrap();
        after.run_with("git --git-dir=vault.git fsck --no-progress --no-dangling", &[]).await;
    }
}

#[tokio::test]
async fn what_is_received_outlives_a_loss_of_power() {
    let Some(machine) = Machine::new().await else { return };
    let mut received = Vec::new();
    for i in 0..5 {
        let world = &machine.inside;
        world.edit(&format!("state {i}")).await;
        let it = world.save("one").await;
        world.receive(&it, i != 3).await.unwrap();
        received.push(it);
        // What nobody put on disk is what shows that this is a loss of power.
        world.run("echo lost >unwritten").await;
        if i == 4 {
            // Of what was forgotten before nothing may be missed afterwards.
            world.vault.forget(&world.task, &received.remove(0).id).await.unwrap();
            world.vault.collect(LIMIT).await.unwrap();
        }
        let Some(found) = machine.fail().await else { return };
        let unwritten = std::fs::read(found.at.join("unwritten")).unwrap_or_default();
        assert!(unwritten.is_empty(), "the disk holds what nobody put there");
        machine.check(&found, &received).await;
        machine.inside.run("rm unwritten").await;
    }
}

#[tokio::test]
async fn power_fails_at_any_moment() {
    let Some(machine) = Machine::new().await else { return };
    let mut driven = Driven::new(&machine.inside).await;
    for _ in 0..2 {
        for step in [Step::Receive, Step::Receive, Step::Collect] {
            driven.begin_and_kill(step, true).await;
            let old = driven.received.len().saturating_sub(3);
            driven.received.drain(..old);
            let Some(found) = machine.fail().await else { return };
            machine.check(&found, &driven.received).await;
        }
    }
}
