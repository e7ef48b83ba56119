//! What a shadow borrows from the user's repository.

use super::*;

/// Everything about the user's repository that a person could find changed.
const LOOK: &str =
    "cd user.git && find . -type f -exec sha1sum {} + | sort -k2; find . -type d | sort";

#[tokio::test]
async fn what_is_borrowed_is_linked_and_outlives_the_users_repository() {
    let world = World::new().await;
    let before = world.run(LOOK).await;
    let first = world.save("one").await;
    world.receive(&first, true).await.unwrap();
    assert_eq!(world.run(LOOK).await, before, "the user's repository is as it was");
    let shared = world.run("find vault.git/objects -type f -links +1 -name '*.pack' | wc -l").await;
    assert_eq!(shared, "1", "the user's pack is linked");
    let alone = world.vault.size().await.unwrap();
    assert!(alone < 4000, "{alone} bytes of our own");
    // The user packs anew, so that what was linked is ours alone, and then some more happens.
    world.run("git --git-dir=user.git repack -qad && git --git-dir=user.git prune-packed").await;
    assert!(alone < world.vault.size().await.unwrap(), "it counts now");
    world.edit("2").await;
    let second = world.save("two").await;
    world.receive(&second, true).await.unwrap();
    world.vault.collect(LIMIT).await.unwrap();
    world.remove_shadow();
    world.check(&[&first, &second]).await;
    world.vault.collect(LIMIT).await.unwrap();
    world.check(&[&first, &second]).await;
    for it in [&first, &second] {
        world.vault.forget(&world.task, &it.id).await.unwrap();
    }
    world.vault.collect(LIMIT).await.unwrap();
    assert!(world.vault.size().await.unwrap() < 1000);
}

#[tokio::test]
async fn links_that_no_checkpoint_needs_go_though_the_user_has_the_files() {
    let world = World::new().await;
    let first = world.save("one").await;
    world.receive(&first, true).await.unwrap();
    world.vault.forget(&world.task, &first.id).await.unwrap();
    world.vault.collect(LIMIT).await.unwrap();
    assert_eq!(world.run("find vault.git/objects -type f").await, "");
    world.receive(&first, true).await.unwrap();
    world.remove_shadow();
    world.check(&[&first]).await;
}

#[tokio::test]
async fn objects_come_from_repositories_that_borrow_themselves_whatever_they_are_called() {
    let world = World::among("odd \"name\"\n:\\ü -x").await;
    world
        .run(
            "cp -r user.git base.git && rm -rf user.git/objects/??
             rm -f user.git/objects/pack/*; echo ../../base.git/objects >user.git/objects/info/alternates
             git --git-dir=user.git fsck --no-progress",
        )
        .await;
    // git borrows from a path with a line break only if that is quoted.
    world
        .run(
            "git init -q --bare run/shadow.git
             echo \"$PWD/user.git/objects\" >run/shadow.git/objects/info/alternates
             sed 's/[\\\\\"]/\\\\&/g' run/shadow.git/objects/info/alternates | \
             awk '{ printf \"%s%s\", sep, $0; sep = \"\\\\n\" }' >quoted
             { printf '\"'; cat quoted; printf '\"\\n'; } >run/shadow.git/objects/info/alternates
             rm quoted",
        )
        .await;
    let first = world.save("one").await;
    let borrowed = world.run("find run/shadow.git/objects -type f | wc -l").await;
    assert!(borrowed.parse::<u32>().unwrap() < 8, "{borrowed}");
    world.receive(&first, true).await.unwrap();
    world.run("rm -rf base.git").await;
    world.remove_shadow();
    world.check(&[&first]).await;
}

#[tokio::test]
async fn objects_are_copied_where_they_cannot_be_linked() {
    let Ok(other) = tempfile::tempdir_in("/dev/shm") else { return };
    let mut world = World::new().await;
    let dir = HostPath::new(other.path().join("vault.git").to_str().unwrap()).unwrap();
    world.vault = Vault::new(world.shell.clone(), dir);
    let first = world.save("one").await;
    let grown = world.receive(&first, true).await.unwrap();
    assert!(5_000 < grown, "{grown}");
    let size = world.vault.size().await.unwrap();
    assert!(grown <= size && size < grown + 1000, "{grown} of {size}");
    world.remove_shadow();
    world.check(&[&first]).await;
}
