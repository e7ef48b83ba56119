//! With real git. Checkpoints are made by its plumbing, so that nothing else is under test.

mod borrowing;
mod durable;
mod full;
mod kills;
mod mending;
mod world;

use world::{LIMIT, World};

use super::*;

#[tokio::test]
async fn what_is_received_is_whole_without_its_shadow() {
    let world = World::new().await;
    let first = world.save("one").await;
    let grown = world.receive(&first, false).await.unwrap();
    assert!(0 < grown && grown <= world.vault.size().await.unwrap(), "{grown}");
    assert_eq!(world.receive(&first, false).await.unwrap(), 0, "it is here already");
    world.edit("a 2").await;
    let second = world.save("two").await;
    assert!(world.receive(&second, false).await.unwrap() < grown, "only what is new travels");
    let mut expected = vec![world.row(&first), world.row(&second)];
    expected.sort();
    assert_eq!(world.vault.list().await.unwrap(), expected);
    world.remove_shadow();
    world.check(&[&first, &second]).await;
    // What says that this is a repository is lost; what it holds is not.
    world.run("rm vault.git/HEAD && : >vault.git/config").await;
    world.check(&[&first, &second]).await;
}

#[tokio::test]
async fn nothing_is_here_before_the_first() {
    let world = World::new().await;
    assert_eq!(world.vault.list().await.unwrap(), []);
    assert_eq!(world.vault.size().await.unwrap(), 0);
    assert_eq!(world.vault.collect(LIMIT).await.unwrap(), 0);
    let (task, id) = (TaskId::random(), CheckpointId::random());
    world.vault.forget(&task, &id).await.unwrap();
    let none = Shadow::new(world.shell.clone(), &world.path("nowhere"));
    for commit in ["0123456789012345678901234567890123456789", "--output=x", "", "HEAD"] {
        for near in [false, true] {
            let said = world.vault.receive(&none, &task, &id, commit, near, LIMIT).await;
            assert!(matches!(said, Err(CheckpointError::Missing { .. })), "{commit}: {said:?}");
        }
        let said = world.vault.send(&none, &id, commit, true, LIMIT).await;
        assert!(matches!(said, Err(CheckpointError::Missing { .. })), "{commit}: {said:?}");
    }
    assert_eq!(world.vault.list().await.unwrap(), []);
}

#[tokio::test]
async fn a_long_file_that_grew_is_kept_as_what_was_added() {
    for (chained, near) in [(true, false), (false, false), (true, true), (false, true)] {
        let world = World::new().await;
        world.run("head -c 4000000 /dev/urandom >ws/long").await;
        let first = world.save_after(None).await;
        let grown = world.receive(&first, near).await.unwrap();
        assert!(4_000_000 < grown, "{grown}");
        world.run("head -c 100000 /dev/urandom >>ws/long").await;
        let second = world.save_after(chained.then_some(&first)).await;
        let grown = world.receive(&second, near).await.unwrap();
        let won = world.vault.collect(LIMIT).await.unwrap();
        assert!(grown < won + 200_000, "{won} of {grown}");
        world.remove_shadow();
        world.check(&[&first, &second]).await;
    }
}

#[tokio::test]
async fn a_long_file_that_grew_is_made_small_though_the_vault_is_large() {
    let world = World::new().await;
    world.run("head -c 16000000 /dev/urandom >ws/much").await;
    world.run("head -c 3000000 /dev/urandom >ws/long").await;
    let mut all = vec![world.save("one").await];
    world.receive(&all[0], true).await.unwrap();
    world.edit("a little").await;
    all.push(world.save("two").await);
    world.receive(&all[1], true).await.unwrap();
    world.vault.collect(LIMIT).await.unwrap();
    world.run("head -c 100000 /dev/urandom >>ws/long").await;
    all.push(world.save("three").await);
    let grown = world.receive(&all[2], true).await.unwrap();
    assert!(3_000_000 < grown, "{grown}");
    let won = world.vault.collect(LIMIT).await.unwrap();
    assert!(grown < won + 200_000, "{won} of {grown}");
    assert_eq!(world.vault.collect(LIMIT).await.unwrap(), 0, "once is enough");
    world.remove_shadow();
    world.check(&all.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn what_is_forgotten_gives_its_room_back() {
    let world = World::new().await;
    let first = world.save("one").await;
    world.receive(&first, true).await.unwrap();
    world.run("head -c 3000000 /dev/urandom >ws/long").await;
    let long = world.save("long").await;
    world.receive(&long, true).await.unwrap();
    world.run("rm ws/long").await;
    let last = world.save("last").await;
    world.receive(&last, true).await.unwrap();
    let won = world.vault.collect(LIMIT).await.unwrap();
    assert!(won < 10_000, "all of it is needed: {won}");
    world.vault.forget(&world.task, &long.id).await.unwrap();
    world.vault.forget(&world.task, &long.id).await.unwrap();
    let won = world.vault.collect(LIMIT).await.unwrap();
    assert!((2_900_000..3_200_000).contains(&won), "{won}");
    world.remove_shadow();
    world.check(&[&first, &last]).await;
    for it in [&first, &last] {
        world.vault.forget(&world.task, &it.id).await.unwrap();
    }
    world.vault.collect(LIMIT).await.unwrap();
    assert_eq!(world.vault.list().await.unwrap(), []);
    let left = world.vault.size().await.unwrap();
    assert!(left < 1000, "{left} bytes are left of nothing");
}

#[tokio::test]
async fn many_small_packs_become_one() {
    let world = World::new().await;
    let mut all = Vec::new();
    for i in 0..9 {
        world.edit(&format!("state {i}")).await;
        let it = world.save("many").await;
        world.receive(&it, true).await.unwrap();
        all.push(it);
    }
    world.vault.collect(LIMIT).await.unwrap();
    let count = world.run("ls vault.git/objects/pack/*.pack | wc -l").await;
    assert!(count.trim().parse::<u32>().unwrap() <= 2, "{count}");
    assert_eq!(world.run("ls vault.git/refs/checkpoints 2>/dev/null | wc -l").await.trim(), "0");
    world.remove_shadow();
    world.check(&all.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn what_the_dead_left_is_in_nobodys_way() {
    let world = World::new().await;
    let first = world.save("one").await;
    world.receive(&first, true).await.unwrap();
    let second = world.save("two").await;
    let reference = |it: &world::Saved| format!("refs/checkpoints/{}/{}", world.task, it.id);
    world
        .run(&format!(
            "cd vault.git && touch {}.lock {}.lock packed-refs.lock objects/pack/tmp_pack_abc \
             && mkdir -p objects/aa objects/tmp_objdir-abc/pack && touch objects/aa/tmp_obj_abc \
             objects/tmp_adopt-abc objects/pack/.tmp-1-pack-ab.pack objects/tmp_objdir-abc/pack/x",
            reference(&first),
            reference(&second),
        ))
        .await;
    world.receive(&second, true).await.unwrap();
    world.vault.forget(&world.task, &first.id).await.unwrap();
    world.vault.collect(LIMIT).await.unwrap();
    assert_eq!(
        world.run("find vault.git -name '*abc*' -o -name '*.lock' -o -name '.tmp*'").await,
        ""
    );
    assert_eq!(world.vault.list().await.unwrap(), [world.row(&second)]);
    // A pack without its index: of one who was killed while packs came or went.
    world.run("cd vault.git/objects/pack && rm -f *.idx && echo broken >pack-0123.pack").await;
    world.vault.collect(LIMIT).await.unwrap();
    world.remove_shadow();
    world.check(&[&second]).await;
    assert_eq!(world.run("find vault.git -name 'pack-0123*'").await, "");
}

#[tokio::test]
async fn collecting_what_is_damaged_drops_nothing() {
    let world = World::new().await;
    world.run("head -c 300000 /dev/urandom >ws/long").await;
    let first = world.save("one").await;
    world.receive(&first, false).await.unwrap();
    world.run("rm ws/long").await;
    let second = world.save("two").await;
    world.receive(&second, false).await.unwrap();
    // The tree of the second is gone from the disk.
    world.vault.forget(&world.task, &first.id).await.unwrap();
    let list = "ls -l vault.git/objects/pack | grep -v rev | awk '{ print $5, $9 }'";
    world.run("cd vault.git/objects/pack && rm $(ls -t *.pack | head -1)").await;
    let before = world.run(list).await;
    let said = world.vault.collect(LIMIT).await;
    assert!(said.is_err() || world.run(list).await == before, "{said:?}");
    assert_eq!(world.run(list).await, before);
    // Taking it in once more heals it.
    world.receive(&second, false).await.unwrap();
    world.vault.collect(LIMIT).await.unwrap();
    world.remove_shadow();
    world.check(&[&second]).await;
}

#[tokio::test]
async fn a_checkpoint_that_is_not_whole_is_not_received() {
    let world = World::new().await;
    let first = world.save("one").await;
    world.receive(&first, true).await.unwrap();
    world.edit("other").await;
    let second = world.save("two").await;
    world.run("rm run/shadow.git/objects/$(git hash-object ws/edited | sed 's|..|&/|')").await;
    for near in [true, false] {
        let said = world.receive(&second, near).await;
        assert!(matches!(said, Err(CheckpointError::Refused { .. })), "{said:?}");
    }
    // The user's own history lacks something: nothing that is new tells.
    let world = World::new().await;
    world.run("mv user.git/objects/pack/*.pack p; rm -f user.git/objects/pack/*; git --git-dir=user.git unpack-objects -q <p").await;
    let third = world.save("three").await;
    let lost = world.run("git --git-dir=user.git rev-parse HEAD~1:1 | sed 's|..|&/|'").await;
    world.run(&format!("rm user.git/objects/{lost}")).await;
    let said = world.receive(&third, true).await;
    assert!(matches!(said, Err(CheckpointError::Damaged { .. })), "{said:?}");
    assert_eq!(world.vault.list().await.unwrap(), []);
    let left = world.run("find vault.git -name '*tmp*'").await;
    assert_eq!(left, "", "what came of it is gone");
}

#[tokio::test]
async fn receiving_and_collecting_at_the_same_time_hurts_nobody() {
    let world = World::new().await;
    let mut all = Vec::new();
    for i in 0..24 {
        world.edit(&format!("state {i}")).await;
        all.push(world.save("many").await);
    }
    let receive = async |it: &world::Saved| {
        let vault = world.vault.clone();
        // Each as of a task of its own, so that they share nothing but the vault.
        let task = TaskId::random();
        vault.receive(&world.shadow, &task, &it.id, &it.commit, true, LIMIT).await.unwrap();
        vault.receive(&world.shadow, &world.task, &it.id, &it.commit, true, LIMIT).await.unwrap();
        vault.forget(&task, &it.id).await.unwrap();
    };
    let collect = async || world.vault.clone().collect(LIMIT).await.unwrap();
    futures_util::future::join(
        futures_util::future::join_all(all.iter().map(receive)),
        futures_util::future::join_all((0..4).map(|_| collect())),
    )
    .await;
    world.vault.collect(LIMIT).await.unwrap();
    world.remove_shadow();
    world.check(&all.iter().collect::<Vec<_>>()).await;
}

#[tokio::test]
async fn what_is_here_goes_back_into_any_shadow() {
    for near in [true, false] {
        let world = World::new().await;
        let first = world.save("one").await;
        world.receive(&first, near).await.unwrap();
        world.edit("a 2").await;
        let second = world.save("two").await;
        world.receive(&second, near).await.unwrap();
        let send = async |it: &world::Saved| {
            world.vault.send(&world.shadow, &it.id, &it.commit, near, LIMIT).await.unwrap();
        };
        // It is there, and stays as it is.
        send(&second).await;
        // It is gone, with the user's repository.
        world.remove_shadow();
        send(&second).await;
        world.check_in("run/shadow.git", &second).await;
        send(&first).await;
        // It says it has what it has not.
        world.run("rm -rf run/shadow.git/objects/??; rm -f run/shadow.git/objects/pack/*").await;
        send(&second).await;
        world.check_in("run/shadow.git", &second).await;
        // Neither depends on the other.
        assert_eq!(world.run("find . -name alternates").await, "");
        world.vault.forget(&world.task, &first.id).await.unwrap();
        world.vault.forget(&world.task, &second.id).await.unwrap();
        world.vault.collect(LIMIT).await.unwrap();
        world.check_in("run/shadow.git", &second).await;
        let said = world.vault.send(&world.shadow, &first.id, &"1".repeat(40), near, LIMIT).await;
        assert!(matches!(said, Err(CheckpointError::Missing { .. })), "{said:?}");
    }
}

#[tokio::test]
async fn the_deadline_ends_both_sides() {
    let world = World::new().await;
    let first = world.save("one").await;
    let stuck = "#!/bin/sh\nexec sleep 300\n";
    world.shell.put(&world.path("bin/nice"), stuck.as_bytes(), 0o755).await.unwrap();
    let slow = world.vault_with_path("bin");
    let said = slow.receive(&world.shadow, &world.task, &first.id, &first.commit, false, {
        Duration::from_millis(300)
    });
    assert!(matches!(
        said.await,
        Err(CheckpointError::Shell(crate::shell::ShellError::Deadline { .. }))
    ));
}

#[test]
fn git_quotes_paths_as_in_c() {
    for (said, meant) in [
        ("/plain path", "/plain path"),
        (r#""/a\"b""#, "/a\"b"),
        (r#""/a\nb\tc\\d""#, "/a\nb\tc\\d"),
        (r#""/\303\274""#, "/ü"),
        (r#""/a\""#, "/a\\"),
        (r#"""#, r#"""#),
    ] {
        assert_eq!(String::from_utf8_lossy(&unquote(said.as_bytes())), meant, "{said}");
    }
}
