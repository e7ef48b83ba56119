//! Directories without git.

use std::os::unix::fs::symlink;

use super::*;

#[tokio::test]
async fn a_directory_is_saved_whole() {
    let world = World::new();
    for name in [
        &b"new\nline"[..],
        b"-dash",
        b"'quo\"te",
        b"\xff\xfe",
        b" space ",
        b"#",
        b":(top)x",
        b"back\\slash",
        b".git~1",
        b"a\tb",
        b"[x]*?",
        b"dir\n/in\x01side",
        b"git~1/x",
    ] {
        world.write(OsStr::from_bytes(name), name);
    }
    world.write("run.sh", "#!");
    world.mode("run.sh", 0o755);
    world.write("zero", "");
    symlink("nowhere", world.ws.join("dangling")).unwrap();
    symlink("/etc", world.ws.join("to a directory")).unwrap();
    let made = world.save().await;
    same(&world.whole(&made).await, &tree(&world.ws, &[]));
    assert_eq!(made.meta.files, 17);
    assert_eq!(made.change.added, 17);
    assert_eq!(made.meta.position, None);
    let bytes: usize = tree(&world.ws, &[]).values().map(|it| it.1.len()).sum();
    assert_eq!(made.meta.bytes, bytes as u64);
    let held = world.shadow(&format!("rev-parse refs/checkpoints/{}", made.meta.facts.id)).await;
    assert_eq!(String::from_utf8_lossy(&held).trim(), made.commit);
    // What it says of itself can be read from it.
    let meta = world.shadow(&format!("cat-file blob {}:meta.json", made.commit)).await;
    assert_eq!(serde_json::from_slice::<crate::checkpoint::meta::Meta>(&meta).unwrap(), made.meta);
    // Nobody else may look in, and nothing is left lying.
    let dir = world.top.join("run dir/shadow.git");
    assert_eq!(std::fs::metadata(&dir).unwrap().mode() & 0o7777, 0o700);
    assert_eq!(std::fs::read_dir(dir.join("tmp")).unwrap().count(), 0);
}

#[tokio::test]
async fn what_changes_is_saved_and_counted() {
    let world = World::new();
    for name in ["a", "b", "c", "d/e", "f"] {
        world.write(name, "one\ntwo\n");
    }
    let first = world.save().await;
    assert!(world.is_same(&first).await);
    world.write("a", "one\nthree\nfour\n");
    std::fs::remove_file(world.ws.join("b")).unwrap();
    world.mode("c", 0o755);
    world.write("new/file", "x\n");
    // A file becomes a directory, and a directory a link.
    std::fs::remove_file(world.ws.join("f")).unwrap();
    world.write("f/g", "y\n");
    std::fs::remove_dir_all(world.ws.join("d")).unwrap();
    symlink("new", world.ws.join("d")).unwrap();
    let second = world.save_after(Some(&first)).await;
    same(&world.whole(&second).await, &tree(&world.ws, &[]));
    let change = second.change;
    assert_eq!((change.added, change.modified, change.deleted), (3, 2, 3));
    assert_eq!((change.lines_added, change.lines_removed), (2 + 1 + 1 + 1, 1 + 2 + 2 + 2));
    assert!(world.is_same(&second).await);
    // It is not a parent, so that the first can be forgotten.
    let parents = world.shadow(&format!("rev-list --parents --no-walk {}", second.commit)).await;
    assert_eq!(String::from_utf8_lossy(&parents).trim(), second.commit);
    // The other way round: a link becomes a directory, and a directory a file.
    std::fs::remove_file(world.ws.join("d")).unwrap();
    world.write("d/e", "again");
    std::fs::remove_dir_all(world.ws.join("f")).unwrap();
    world.write("f", "again");
    let third = world.save_after(Some(&second)).await;
    same(&world.whole(&third).await, &tree(&world.ws, &[]));
}

#[tokio::test]
async fn an_edit_within_the_same_instant_is_seen() {
    let world = World::new();
    world.write("a", "0");
    let mut last = world.save().await;
    for round in 1..8u8 {
        // Same length, and as good as the same time.
        world.write("a", [b'0' + round]);
        last = world.save_after(Some(&last)).await;
        assert_eq!(world.whole(&last).await[&b"a"[..]].1, [b'0' + round]);
    }
}

#[tokio::test]
async fn what_git_does_not_record_is_recorded() {
    let world = World::new();
    for (name, mode) in [("private", 0o640), ("tool", 0o700), ("set", 0o4755), ("none\n", 0o400)] {
        world.write(name, "x");
        world.mode(name, mode);
    }
    world.write("plain", "x");
    world.mode("plain", 0o644);
    world.write("exec", "x");
    world.mode("exec", 0o755);
    std::fs::create_dir_all(world.ws.join("empty/in it")).unwrap();
    world.write("closed/x", "x");
    world.mode("closed", 0o700);
    world.mode("empty/in it", 0o1777);
    world.mode("", 0o750);
    let order = world.order();
    let made = made(world.shadow.save(&order).await);
    let manifest = world.manifest(&made, 0).await;
    let base = manifest.base;
    assert_eq!((base.file, base.executable, base.dir), (0o644, 0o755, 0o755));
    let map = |entries: &[(&str, u32)]| -> BTreeMap<Vec<u8>, u32> {
        entries.iter().map(|(path, mode)| (path.as_bytes().to_vec(), *mode)).collect()
    };
    let files = [("none\n", 0o400), ("private", 0o640), ("set", 0o4755), ("tool", 0o700)];
    assert_eq!(manifest.files, map(&files));
    assert_eq!(manifest.dirs, map(&[("", 0o750), ("closed", 0o700), ("empty/in it", 0o1777)]));
    assert_eq!(manifest.empty.into_iter().collect::<Vec<_>>(), [b"empty/in it".to_vec()]);
    // A mode alone is a change, a time is not.
    world.run("touch -d '2001-02-03 04:05:06' plain").await;
    assert!(world.is_same(&made).await);
    let times = {
        let made = world.save_after(Some(&made)).await;
        let blob = world.shadow(&format!("cat-file blob {}:t/0", made.commit)).await;
        parse_times(&blob)
    };
    // In the order of their names: closed/x, exec, none, plain…
    let plain = std::fs::metadata(world.ws.join("plain")).unwrap();
    assert_eq!(times.len(), 7);
    assert_eq!(times[3].unwrap().seconds, plain.mtime() as u64);
    world.mode("private", 0o600);
    assert!(!world.is_same(&made).await);
}

#[tokio::test]
async fn ignored_secret_huge_and_special_files_are_left_out_and_named() {
    let world = World::new();
    world.write(".gitignore", "out/\n*.o\n");
    for name in ["out/big/x", "a.o", "keep.o", ".env", "sub/key.pem", ".env.example", "large"] {
        world.write(name, "0123456789");
    }
    world.write("larger", "0123456789x");
    world.run("mkdir pipes && mkfifo pipes/fifo").await;
    let mut order = world.order();
    order.rules = Rules { huge: 10, ..order.rules };
    let saved = made(world.shadow.save(&order).await);
    let left = world.left(&saved);
    let expected = [
        (".env", Why::Secret),
        ("larger", Why::Huge),
        ("pipes/fifo", Why::Special),
        ("sub/key.pem", Why::Secret),
    ];
    assert_eq!(left, expected.map(|(path, why)| (path.to_owned(), why)).into());
    let names = |files: Files| -> Vec<String> {
        files.into_keys().map(|it| String::from_utf8(it).unwrap()).collect()
    };
    assert_eq!(names(world.whole(&saved).await), [".env.example", ".gitignore", "large"]);
    assert!(world.manifest(&saved, 0).await.empty.contains(&b"pipes"[..]));
    // Asked for, they are taken.
    let include = ["out/", "keep.o", ".env"].map(str::to_owned).into();
    let previous = Some(saved.commit.clone());
    let order =
        Order { rules: Rules { include, secrets: false, huge: 10 }, previous, ..world.order() };
    let saved = made(world.shadow.save(&order).await);
    let expected = [".env", ".env.example", ".gitignore", "keep.o", "large", "out/big/x"];
    assert_eq!(names(world.whole(&saved).await), expected);
    assert_eq!(world.left(&saved).len(), 3);
    // And when they are asked for no more, they go.
    let saved = world.save_after(Some(&saved)).await;
    let expected = [".env.example", ".gitignore", "large", "larger"];
    assert_eq!(names(world.whole(&saved).await), expected);
    // All secrets, even if they are ignored; and then no more.
    world.write(".gitignore", "out/\n*.o\n.env\n");
    world.write("out/.env", "not this one");
    let rules = Rules { include: Vec::new(), secrets: true, huge: HUGE };
    let saved = made(world.shadow.save(&Order { rules, ..world.order() }).await);
    let expected = [".env", ".env.example", ".gitignore", "large", "larger", "sub/key.pem"];
    assert_eq!(names(world.whole(&saved).await), expected);
    let saved = world.save_after(Some(&saved)).await;
    let expected = [".env.example", ".gitignore", "large", "larger"];
    assert_eq!(names(world.whole(&saved).await), expected);
    assert_eq!(
        world.left(&saved).keys().collect::<Vec<_>>(),
        [".env", "pipes/fifo", "sub/key.pem"]
    );
    assert!(world.is_same(&saved).await);
}

#[tokio::test]
async fn what_lies_beside_is_saved() {
    use crate::checkpoint::shadow::{Beside, Source};
    let world = World::new();
    world.write("a", "a");
    world
        .run_in(
            &world.top,
            "mkdir -p c/d/e && echo 1 >c/d/1 && echo 2 >'c/d/e/new\nline' && echo t >c/t",
        )
        .await;
    let from = |name: &str, source| Beside { name: name.into(), source };
    let there = |name: &str| Source::Path(path(&world.top.join(name)));
    let order = Order {
        beside: vec![
            from("conversation/x.jsonl", there("c/t")),
            from("conversation/x", there("c/d")),
            from("conversation/none", there("nowhere")),
            from("terminal/layout", Source::Bytes(b"\0\xff".to_vec())),
        ],
        ..world.order()
    };
    let saved = made(world.shadow.save(&order).await);
    let stored = world.stored(&format!("{}:beside", saved.commit)).await;
    let expected = [
        ("conversation/x.jsonl", &b"t\n"[..]),
        ("conversation/x/1", b"1\n"),
        ("conversation/x/e/new\nline", b"2\n"),
        ("terminal/layout", b"\0\xff"),
    ];
    let expected =
        expected.map(|(name, content)| (name.as_bytes().to_vec(), (0o100644, content.to_vec())));
    same(&stored, &expected.into());
}

#[tokio::test]
async fn what_lay_beside_and_is_gone_stays_as_it_was_saved_last() {
    use crate::checkpoint::shadow::{Beside, Source};
    let world = World::new();
    world.write("a", "a");
    world.run_in(&world.top, "mkdir c && echo 1 >'c/new\nline' && echo t >t && echo u >u").await;
    let there = |name: &str| Source::Path(path(&world.top.join(name)));
    let order = |previous: Option<&Made>, x| Order {
        previous: previous.map(|it| it.commit.clone()),
        beside: [("x.jsonl", x), ("x", there("c")), ("y.jsonl", there("u"))]
            .map(|(name, source)| Beside { name: format!("conversation/{name}"), source })
            .into(),
        ..world.order()
    };
    let first = made(world.shadow.save(&order(None, there("t"))).await);
    let beside = async |it: &Made| world.stored(&format!("{}:beside", it.commit)).await;
    let before = beside(&first).await;
    assert_eq!(before.len(), 3);
    world.run_in(&world.top, "rm -r c && : >t && echo more >>u").await;
    let second = made(world.shadow.save(&order(Some(&first), there("t"))).await);
    let third = made(world.shadow.save(&order(Some(&second), Source::Before)).await);
    for later in [second, third] {
        let mut stored = beside(&later).await;
        assert_eq!(
            stored.insert(b"conversation/y.jsonl".into(), (0, Vec::new())).unwrap().1,
            b"u\nmore\n"
        );
        let mut before = before.clone();
        before.insert(b"conversation/y.jsonl".into(), (0, Vec::new()));
        same(&stored, &before);
    }
    // One that lost a piece of it hinders none.
    let blob = format!("rev-parse {}:beside/conversation/x.jsonl", first.commit);
    let blob = String::from_utf8(world.shadow(&blob).await).unwrap();
    let (dir, rest) = blob.trim().split_at(2);
    world.run_in(&world.top, &format!("rm 'run dir/shadow.git/objects/{dir}/{rest}'")).await;
    let fourth = made(world.shadow.save(&order(Some(&first), there("t"))).await);
    let names: Vec<_> = beside(&fourth).await.into_keys().collect();
    assert_eq!(names, [b"conversation/x/new\nline".to_vec(), b"conversation/y.jsonl".to_vec()]);
}

#[tokio::test]
async fn very_many_files_are_saved() {
    save_many(&World::new()).await;
    let world = World::with_program();
    save_many(&world).await;
    assert!(world.done_by_program().starts_with("walk files index times "));
}

async fn save_many(world: &World) {
    for dir in 0..50 {
        std::fs::create_dir(world.ws.join(format!("d{dir}"))).unwrap();
        for file in 0..45 {
            std::fs::write(world.ws.join(format!("d{dir}/f\n{file}")), [dir, file]).unwrap();
        }
    }
    world.mode("d3/f\n4", 0o755);
    symlink("nowhere", world.ws.join("d5/link")).unwrap();
    world.write("empty", "");
    let first = world.save().await;
    same(&world.whole(&first).await, &tree(&world.ws, &[]));
    assert_eq!((first.meta.files, first.meta.bytes), (2252, 2 * 2250 + 7));
    // Trees as well as files are in packs, but for a few.
    let loose = String::from_utf8(world.shadow("count-objects").await).unwrap();
    let loose = loose.split(' ').next().unwrap().parse::<u32>().unwrap();
    assert!(loose < 20, "{loose} loose objects");
    // git knows them by what they were like, and need not read them again.
    let index = "GIT_INDEX_FILE='run dir/shadow.git/index.0'";
    let stale = format!(
        "{index} git --git-dir='run dir/shadow.git' --work-tree='{}' diff-files | wc -l",
        world.ws.display()
    );
    assert_eq!(world.run_in(&world.top, &stale.replace("the user's", "the user'\\''s")).await, "0");
    world.write("d7/f\n8", "x");
    let second = world.save_after(Some(&first)).await;
    assert_eq!((second.change.modified, second.change.added), (1, 0));
    same(&world.whole(&second).await, &tree(&world.ws, &[]));
}
