//! Shapes that trade places, and what is written while that is done.

use super::{
    any::{Bench, Node, Nodes, there_and_back},
    *,
};
use crate::checkpoint::restore::work::Work;

fn dir<const N: usize>(nodes: [(&str, Node); N]) -> Nodes {
    nodes.into_iter().map(|(name, node)| (name.into(), node)).collect()
}

fn plain<const N: usize>(nodes: [(&str, Node); N]) -> Node {
    Node::Dir(dir(nodes), 0o755)
}

fn repository<const N: usize>(nodes: [(&str, Node); N]) -> Node {
    Node::Repository(dir(nodes), true)
}

fn file(content: &str) -> Node {
    Node::File(content.into(), 0o644)
}

#[tokio::test]
async fn a_repository_with_a_commit_and_a_file_trade_places() {
    there_and_back(dir([("a", repository([]))]), dir([("a", file("a"))]), false).await;
}

#[tokio::test]
async fn a_closed_directory_with_a_repository_becomes_one() {
    let inside = dir([("a", repository([("x", file("x"))])), ("way", Node::Link(b"a".into()))]);
    let a = dir([("a", Node::Dir(inside, 0o555))]);
    let b = dir([("a", repository([("a", plain([("a", repository([]))]))]))]);
    there_and_back(a.clone(), b, false).await;
    there_and_back(a, dir([("a", repository([("way", plain([]))]))]), true).await;
}

#[tokio::test]
async fn a_directory_hands_nothing_on_to_what_takes_its_place() {
    let a = dir([("a", Node::Dir(dir([("x", plain([]))]), 0o2775))]);
    there_and_back(a, dir([("a", repository([("y", plain([]))]))]), false).await;
}

#[tokio::test]
async fn a_repository_around_another_becomes_a_plain_directory() {
    let inner = || ("in", repository([("same", file("same"))]));
    let a = dir([("n", repository([inner(), ("x", file("x"))]))]);
    let b = dir([("n", plain([inner(), ("x", file("y"))]))]);
    there_and_back(a, b, false).await;
}

#[tokio::test]
async fn a_repository_that_the_index_still_names_leaves_nothing() {
    there_and_back(dir([("c", repository([]))]), dir([("a", file(""))]), true).await;
}

#[tokio::test]
async fn a_directory_named_as_repositories_are_but_for_case_comes_back() {
    let odd = |name, content| dir([(name, plain([("x", file(content)), ("y", plain([]))]))]);
    there_and_back(odd(".GIT", "1"), odd(".giT", "2"), true).await;
    there_and_back(odd(".GIT", "1"), odd(".GIT", "2"), false).await;
}

#[tokio::test]
async fn what_is_there_already_is_restored_once_more_and_nothing_else_is() {
    let bench = Bench::new();
    bench.fill(&dir([("a", file("a")), ("n", plain([("x", file("x"))])), ("e", plain([]))])).await;
    let saved = bench.save(None).await;
    let to = host(&bench.path("elsewhere"));
    // The second is as if the first had been killed after its last command.
    for _ in 0..2 {
        let restored = bench.shadow.restore(None, &saved, &to, WHOLE).await.unwrap();
        assert_eq!(restored.missing, [""; 0]);
        assert_eq!(std::fs::read(bench.path("elsewhere/n/x")).unwrap(), b"x");
    }
    for (path, content) in [("n/x", ""), ("n/x", "mine"), ("mine", "m")] {
        let at = bench.path("elsewhere").join(path);
        std::fs::write(&at, content).unwrap();
        let refused = bench.shadow.restore(None, &saved, &to, WHOLE).await;
        assert!(matches!(refused, Err(CheckpointError::InTheWay { .. })), "{path}: {refused:?}");
        assert_eq!(std::fs::read(&at).unwrap(), content.as_bytes());
        std::fs::write(bench.path("elsewhere/n/x"), "x").unwrap();
    }
}

/// What `mine` says is written after it was looked at, and before anything is changed.
async fn raced(a: Nodes, b: Nodes, path: &str) -> (Bench, Result<Vec<String>, CheckpointError>) {
    let bench = Bench::new();
    bench.fill(&a).await;
    let one = bench.save(None).await;
    bench.fill(&b).await;
    let two = bench.save(Some(&one)).await;
    let to = host(&bench.path("ws"));
    let plan = bench.shadow.plan(Some(&two), &one, &to, WHOLE).await.unwrap();
    assert!(plan.changes().in_the_way.is_empty());
    std::fs::write(bench.path("ws").join(path), "mine").unwrap();
    let done = Work::new(&bench.shadow.repo, &plan, &to, WHOLE).carry_out().await;
    let held = std::fs::read(bench.path("ws").join(path)).unwrap();
    assert_eq!(String::from_utf8(held).unwrap(), "mine", "{path}");
    (bench, done)
}

#[tokio::test]
async fn a_file_written_after_the_look_is_not_lost() {
    let a = dir([("changes", file("1")), ("comes", file("1")), ("same", file("s"))]);
    let b = dir([("changes", file("2")), ("goes", file("1")), ("same", file("s"))]);
    for path in ["changes", "comes", "goes"] {
        let (bench, done) = raced(a.clone(), b.clone(), path).await;
        assert!(matches!(done, Err(CheckpointError::InTheWay { .. })), "{path}: {done:?}");
        let other = if path == "changes" { "goes" } else { "changes" };
        let other = std::fs::read(bench.path("ws").join(other)).unwrap();
        assert_eq!(other, if path == "changes" { b"1" } else { b"2" }, "nothing was changed");
    }
    // It is as if it had been written before: the next attempt names it.
    let (bench, _) = raced(a.clone(), b, "same").await;
    assert_eq!(std::fs::read(bench.path("ws/comes")).unwrap(), b"1");
}

#[tokio::test]
async fn a_file_written_while_others_are_replaced_is_passed_over_and_named() {
    let a = dir([("n", repository([("x", file("1")), ("z", file("1"))]))]);
    let b = dir([("n", plain([("x", file("2")), ("y", file("2"))]))]);
    // What makes room for it is taken away first, then it is found that something came.
    let (bench, done) = raced(a, b, "n/z").await;
    let done = done.unwrap();
    assert_eq!(done, ["n/z: it changed meanwhile, and was left alone"]);
    assert_eq!(std::fs::read(bench.path("ws/n/x")).unwrap(), b"1");
    assert!(!bench.path("ws/n/y").exists());
}
