//! A disk that is full.

use super::*;
use crate::{
    checkpoint::{
        meta::Facts,
        shadow::{HUGE, Order, Rules, Saved as Outcome},
    },
    domain::{checkpoint::Trigger, event::Tokens, usd::Usd},
    stdx::time::Timestamp,
};

/// A small file system at `at` below the world's directory; nothing where none may be mounted.
pub struct Mount {
    pub at: std::path::PathBuf,
}

impl Mount {
    /// Mounts by `script`, whose `$1` is the mount point.
    pub async fn new(world: &World, name: &str, script: &str) -> Option<Mount> {
        let at = world.root.join(name);
        std::fs::create_dir_all(&at).unwrap();
        let output = world.try_with(script, &[at.to_str().unwrap()]).await;
        if output.code != 0 {
            eprintln!("skipped: nothing can be mounted here: {}", output.complaint());
            return None;
        }
        Some(Mount { at })
    }
}

impl Drop for Mount {
    #[expect(clippy::disallowed_methods, reason = "a destructor cannot wait")]
    fn drop(&mut self) {
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.at).status();
    }
}

pub fn order(world: &World, id: &CheckpointId) -> Order {
    Order {
        workspace: world.path("ws"),
        facts: Facts {
            id: id.clone(),
            task: world.task.clone(),
            task_name: "t".into(),
            at: Timestamp(1_800_000_000_000),
            trigger: Trigger::Manual,
            label: None,
            conversation: None,
            transcript: None,
            env: std::collections::BTreeMap::new(),
            turns: 0,
            tokens: Tokens::default(),
            cost: Usd::default(),
        },
        rules: Rules { include: Vec::new(), secrets: true, huge: HUGE },
        beside: Vec::new(),
        previous: None,
        unless_same: false,
        limit: LIMIT,
    }
}

fn is_full<T: std::fmt::Debug>(said: Result<T, CheckpointError>) {
    assert!(matches!(said, Err(CheckpointError::Full { .. })), "{said:?}");
}

#[tokio::test]
async fn a_full_disk_hurts_nothing_that_is_there() {
    let mut world = World::new().await;
    let script = "mount -t tmpfs -o size=6m none \"$1\"";
    let Some(mount) = Mount::new(&world, "small", script).await else { return };
    world.vault = Vault::new(world.shell.clone(), world.path("small/vault.git"));
    world.shadow = Shadow::new(world.shell.clone(), &world.path("run"));
    let first = world.save("one").await;
    world.receive(&first, true).await.unwrap();
    // Too large from the start; then so full that there is no room for anything.
    world.run("head -c 8000000 /dev/urandom >ws/long").await;
    let long = world.save("long").await;
    for near in [true, false] {
        is_full(world.receive(&long, near).await);
    }
    assert_eq!(world.run("find small -name '*tmp*'").await, "", "what came of it is gone");
    world.run("rm ws/long").await;
    let last = world.save("last").await;
    world.run("cat /dev/zero >small/filler 2>/dev/null || true").await;
    for near in [true, false] {
        is_full(world.receive(&last, near).await);
    }
    world.check(&[&first]).await;
    // It may not be possible to collect now; it must not do harm.
    let _ = world.vault.collect(LIMIT).await;
    world.check(&[&first]).await;
    assert_eq!(world.vault.list().await.unwrap(), [world.row(&first)]);
    // There is room again.
    world.run("rm small/filler").await;
    world.receive(&last, true).await.unwrap();
    world.vault.collect(LIMIT).await.unwrap();
    world.remove_shadow();
    world.check(&[&first, &last]).await;
    drop(mount);
}

#[tokio::test]
async fn saving_on_a_full_disk_says_so_and_works_later() {
    let mut world = World::new().await;
    let script = "mount -t tmpfs -o size=6m none \"$1\"";
    let Some(mount) = Mount::new(&world, "small", script).await else { return };
    world.shadow = Shadow::new(world.shell.clone(), &world.path("small/run"));
    let save = async |id: &CheckpointId| world.shadow.save(&order(&world, id)).await;
    let (first, second, third) =
        (CheckpointId::random(), CheckpointId::random(), CheckpointId::random());
    let Outcome::Made(made) = save(&first).await.unwrap() else { panic!("nothing was made") };
    world.run_with("mkdir was; cp -a ws was/$1", &[first.as_str()]).await;
    world.run("head -c 8000000 /dev/urandom >ws/long").await;
    is_full(save(&second).await);
    world.run("cat /dev/zero >small/filler 2>/dev/null || true").await;
    is_full(save(&second).await);
    world.run("rm small/filler ws/long").await;
    let Outcome::Made(_) = save(&third).await.unwrap() else { panic!("nothing was made") };
    let first = world::Saved { id: first, commit: made.commit };
    world.check_in("small/run/shadow.git", &first).await;
    drop(mount);
}
