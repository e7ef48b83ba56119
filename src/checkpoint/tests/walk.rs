//! Looking again only at what changed, by perl and by the program.

use super::*;

/// Runs each on a host of either kind.
macro_rules! by_either {
    ($($name:ident,)*) => {
        mod by_perl {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                super::$name(&World::git().await).await;
            })*
        }

        mod by_program {
            use super::*;

            $(#[tokio::test]
            async fn $name() {
                let world = World::with_program().with_git().await;
                super::$name(&world).await;
                let done = world.done_by_program();
                assert!(done.contains("walk ") && !done.contains("no walk "), "{done}");
            })*
        }
    };
}

by_either! {
    a_mode_alone_is_seen_by_a_quick_look,
    what_comes_and_goes_is_seen_by_a_quick_look,
    nothing_is_seen_through_a_link,
    other_rules_are_seen,
    what_was_left_out_is_judged_anew,
    repositories_that_come_and_go_are_seen,
    what_is_known_is_not_believed_of_another_index,
    another_mask_is_seen,
}

/// Returns how the newest look at the workspace went: `quick`, or why it was not.
fn looked(world: &World) -> String {
    std::fs::read_to_string(world.top.join("run dir/shadow.git/looked.0")).unwrap_or_default()
}

/// Saves until nothing is in doubt any more, as what was written just now is.
async fn settled(world: &World) -> Made {
    let mut last = world.save().await;
    for _ in 0..50 {
        last = world.save_after(Some(&last)).await;
        let state = std::fs::read(world.top.join("run dir/shadow.git/state.0")).unwrap_or_default();
        if looked(world) == "quick" && !state.windows(3).any(|it| it == b"\0r\0") {
            return last;
        }
    }
    panic!("never quick: {}", looked(world));
}

/// Saves by git and find alone, which must see the same.
async fn is_same_by_lists(world: &World, previous: &Made) -> bool {
    let mut order =
        Order { previous: Some(previous.commit.clone()), unless_same: true, ..world.order() };
    order.rules.include = vec!["nothing is called so".into()];
    world.shadow.save(&order).await.unwrap() == Saved::Same
}

async fn check(world: &World, made: &Made, how: &str) {
    assert_eq!(looked(world), how);
    same(&world.whole(made).await, &tree(&world.ws, &[".git"]));
}

async fn a_mode_alone_is_seen_by_a_quick_look(world: &World) {
    world.write("deep/er/file", "x");
    world.mode("b", 0o640);
    let first = settled(world).await;
    assert_eq!(world.manifest(&first, 0).await.files, [(b"b".to_vec(), 0o640)].into());
    assert!(world.is_same(&first).await);
    assert_eq!(looked(world), "quick");
    let mut last = back_and_forth(world, first).await;
    world.mode("deep/er", 0o700);
    last = world.save_after(Some(&last)).await;
    check(world, &last, "quick").await;
    assert_eq!(world.manifest(&last, 0).await.dirs, [(b"deep/er".to_vec(), 0o700)].into());
    assert!(world.is_same(&last).await);
    assert!(is_same_by_lists(world, &last).await);
}

/// Changes a mode several times within one second.
async fn back_and_forth(world: &World, mut last: Made) -> Made {
    for mode in [0o600, 0o644, 0o4755, 0o644] {
        world.mode("deep/er/file", mode);
        assert!(!world.is_same(&last).await, "{mode:o}");
        assert_eq!(looked(world), "quick");
        last = world.save_after(Some(&last)).await;
        let found = world.manifest(&last, 0).await.files.get(&b"deep/er/file"[..]).copied();
        assert_eq!(found, (mode & 0o7000 != 0 || mode == 0o600).then_some(mode));
    }
    last
}

async fn what_comes_and_goes_is_seen_by_a_quick_look(world: &World) {
    let mut last = settled(world).await;
    for step in [
        "mkdir -p empty/in && mkdir e2",
        "echo new >empty/in/new && rmdir e2 && echo top >top",
        "rm empty/in/new && ln -s nowhere sub/link",
        "rm sub/link && mkdir sub/link && echo x >sub/link/x && rm a",
        "echo again >a && mv sub moved",
        "mv moved sub && mkfifo sub/pipe && mkdir -p out/x && echo o >out/x/o && echo i >ignored",
        "rm -rf out ignored && rm sub/pipe && echo i >sub/ignored",
        "rm -rf sub && echo now a file >sub",
        "rm sub && mkdir -p sub/deep && echo d >sub/deep/d",
        "mkdir other && echo o >other/o && rm -r sub && ln -s other sub",
        "rm sub && mkdir sub && echo s >sub/s",
        "rm -r sub && ln -s nowhere sub",
    ] {
        world.run(step).await;
        last = world.save_after(Some(&last)).await;
        assert_eq!(looked(world), "quick", "{step}");
        let skip = [".git", "out", "ignored", "sub/ignored"];
        same(&world.whole(&last).await, &tree(&world.ws, &skip));
        let names = world
            .run("find . -path ./.git -prune -o -path ./out -prune -o -type d -empty -print")
            .await;
        let empty: BTreeSet<String> =
            names.lines().map(|it| it.trim_start_matches("./").to_owned()).collect();
        let recorded = world.manifest(&last, 0).await.empty;
        let recorded: BTreeSet<String> =
            recorded.iter().map(|it| String::from_utf8_lossy(it).into_owned()).collect();
        let special = BTreeSet::from(["sub".to_owned()]);
        let extra = if step.contains("mkfifo") { special } else { BTreeSet::new() };
        assert_eq!(recorded, &empty | &extra, "{step}");
        assert_eq!(world.left(&last).contains_key("sub/pipe"), step.contains("mkfifo"));
        assert!(world.is_same(&last).await, "{step}");
    }
    assert!(is_same_by_lists(world, &last).await);
}

async fn nothing_is_seen_through_a_link(world: &World) {
    world
        .run("mkdir other && echo o >other/x && chmod 4711 other/x && mkdir dir && echo d >dir/x")
        .await;
    let first = world.save().await;
    world.run("rm -r dir && ln -s other dir").await;
    let second = world.save_after(Some(&first)).await;
    assert!(world.manifest(&second, 0).await.empty.is_empty());
    let third = world.save_after(Some(&second)).await;
    assert_eq!(world.left(&third), BTreeMap::new());
    assert!(world.manifest(&third, 0).await.empty.is_empty());
    assert!(world.is_same(&second).await);
}

async fn other_rules_are_seen(world: &World) {
    world.write("sub/x.o", "x");
    world.write("y.o", "y");
    let mut last = settled(world).await;
    let holds = |files: &Files, name: &str| files.contains_key(name.as_bytes());
    for (step, x, y) in [
        ("echo '*.o' >>.gitignore", false, false),
        ("git add -f y.o", false, true),
        ("git rm -q --cached y.o", false, false),
        ("echo out/ >.gitignore", true, true),
        ("echo x.o >>.git/info/exclude", false, true),
        (": >.git/info/exclude", true, true),
        ("printf 'x.o\\n' >sub/.gitignore", false, true),
        ("rm sub/.gitignore", true, true),
    ] {
        world.run(step).await;
        last = world.save_after(Some(&last)).await;
        let files = world.whole(&last).await;
        assert_eq!((holds(&files, "sub/x.o"), holds(&files, "y.o")), (x, y), "{step}");
        assert!(world.is_same(&last).await, "{step}");
    }
    assert!(is_same_by_lists(world, &last).await);
}

async fn what_was_left_out_is_judged_anew(world: &World) {
    world.write("key.pem", "k");
    world.write("sub/large", "0123456789");
    let rules = Rules { huge: 5, ..world.order().rules };
    let save = |last: Option<String>| {
        let order = Order { previous: last, rules: rules.clone(), ..world.order() };
        async move { made(world.shadow.save(&order).await) }
    };
    let mut last = save(None).await;
    for _ in 0..3 {
        last = save(Some(last.commit.clone())).await;
        assert_eq!(looked(world), "quick");
        let left = [("key.pem".to_owned(), Why::Secret), ("sub/large".to_owned(), Why::Huge)];
        assert_eq!(world.left(&last), left.into());
    }
    world.write("sub/large", "small");
    world.run("git add key.pem").await;
    last = save(Some(last.commit.clone())).await;
    assert_eq!(looked(world), "quick");
    assert_eq!(world.left(&last), BTreeMap::new());
    let files = world.whole(&last).await;
    assert!(files.contains_key(&b"key.pem"[..]) && files.contains_key(&b"sub/large"[..]));
    // A file that is known and grows.
    world.write("sub/large", "large again");
    last = save(Some(last.commit.clone())).await;
    assert_eq!(world.left(&last), [("sub/large".to_owned(), Why::Huge)].into());
    world.write("sub/large", "l");
    last = save(Some(last.commit.clone())).await;
    assert_eq!(looked(world), "quick");
    assert!(world.whole(&last).await.contains_key(&b"sub/large"[..]));
}

async fn repositories_that_come_and_go_are_seen(world: &World) {
    let mut last = settled(world).await;
    for (step, units) in [
        ("git init -q sub/deep", 2),
        ("echo more >sub/deep/more", 2),
        ("rm -rf sub/deep/.git", 0),
        ("mkdir new && git init -q new/repo && echo x >new/repo/x", 2),
        ("rm -rf new", 0),
    ] {
        world.run(step).await;
        last = world.save_after(Some(&last)).await;
        same(&world.whole(&last).await, &tree(&world.ws, &[".git"]));
        assert_eq!(last.meta.units.len(), units, "{step}");
        assert!(world.is_same(&last).await, "{step}");
    }
    assert!(is_same_by_lists(world, &last).await);
}

async fn what_is_known_is_not_believed_of_another_index(world: &World) {
    world.write("zero", "0");
    settled(world).await;
    let shadow = world.top.join("run dir/shadow.git");
    for harm in [
        "rm index.0",
        "printf 'x' | dd of=state.0 conv=notrunc 2>/dev/null",
        "truncate -s -9 state.0",
        "truncate -s 30 state.0",
        "head -c 20 state.0 >s && mv s state.0",
        "rm state.0",
    ] {
        world.run_in(&shadow, harm).await;
        world.write("new", harm);
        let last = world.save().await;
        assert_ne!(looked(world), "quick", "{harm}");
        same(&world.whole(&last).await, &tree(&world.ws, &[".git"]));
        world.write("new", "other");
        let last = world.save_after(Some(&last)).await;
        check(world, &last, "quick").await;
    }
}

async fn another_mask_is_seen(world: &World) {
    let first = settled(world).await;
    let text = std::fs::read(world.top.join("run dir/shadow.git/state.0")).unwrap();
    let at = text.windows(6).position(|it| it == b" 0022 ").unwrap();
    // As if it had been made by one with another.
    let other = [&text[..at], b" 0027 ", &text[at + 6..]].concat();
    std::fs::write(world.top.join("run dir/shadow.git/state.0"), other).unwrap();
    assert!(world.is_same(&first).await);
    assert_eq!(looked(world).trim(), "other rules");
}

#[tokio::test]
async fn either_goes_on_from_the_other() {
    let mut world = World::with_program().with_git().await;
    world.write("deep/er/file", "x");
    world.mode("deep/er", 0o700);
    let mut last = settled(&world).await;
    let settling = world.done_by_program().matches("walk ").count();
    let mut other = Shadow::new(Arc::new(LocalShell::new()), &path(&world.top.join("run dir")));
    for step in [
        "echo new >deep/er/new",
        "mv deep/er moved && echo i >moved/ignored",
        "rm -rf moved && mkdir -p empty/er",
        "chmod 600 a && echo '*.o' >>.gitignore && echo o >x.o",
        "echo again >sub/c",
    ] {
        std::mem::swap(&mut world.shadow, &mut other);
        world.run(step).await;
        last = world.save_after(Some(&last)).await;
        assert_eq!(looked(&world) == "quick", !step.contains(".gitignore"), "{step}");
        let skip = [".git", "x.o", "moved/ignored"];
        same(&world.whole(&last).await, &tree(&world.ws, &skip));
        assert!(world.is_same(&last).await, "{step}");
    }
    // Perl did every other one.
    assert_eq!(world.done_by_program().matches("walk ").count(), settling + 4);
    assert!(is_same_by_lists(&world, &last).await);
    assert!(!world.done_by_program().contains("no walk "));
}

/// Returns a world whose host has a program that does nothing but this.
async fn with_another(script: &str) -> World {
    let mut world = World::new().with_git().await;
    let at = world.top.join("another");
    std::fs::write(&at, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&at, std::fs::Permissions::from_mode(0o755)).unwrap();
    world.shell = Arc::new(LocalShell::new().with_program_at(path(&at)));
    world.shadow = Shadow::new(world.shell.clone(), &path(&world.top.join("run dir")));
    world
}

#[tokio::test]
async fn perl_looks_where_the_program_cannot() {
    for script in ["exit 3", "exit 6", "kill -9 $$"] {
        let world = with_another(script).await;
        let first = settled(&world).await;
        check(&world, &first, "quick").await;
        world.write("new", "new");
        let last = world.save_after(Some(&first)).await;
        check(&world, &last, "quick").await;
    }
}

#[tokio::test]
async fn what_git_refuses_the_program_is_told() {
    let world = with_another("echo 'git has had enough' >&2; exit 4").await;
    let error = world.shadow.save(&world.order()).await.unwrap_err();
    assert!(error.to_string().contains("git has had enough"), "{error}");
}
