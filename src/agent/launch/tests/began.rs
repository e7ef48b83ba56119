//! With which total a conversation is taken up.

use super::*;
use crate::{
    agent::{hooks, status},
    domain::usd::Usd,
};

const ID: &str = "0b9c1a2e-4d5f-4a6b-8c7d-9e0f1a2b3c4d";

/// Has a conversation taken up whose transcript is `text`, and returns what is then told of it.
fn told(shell: &[&str], text: Option<&str>, title: &str) -> (Option<Usd>, String) {
    told_of(shell, text, title, false)
}

fn told_of(
    shell: &[&str],
    text: Option<&str>,
    title: &str,
    elsewhere: bool,
) -> (Option<Usd>, String) {
    let root = tempfile::tempdir().unwrap();
    let mut launch = running(root.path());
    if title == "old" {
        launch.claude_version = Some(Version(2, 1, 328));
        write(&launch);
    }
    let dir = launch.dir().path().clone();
    fs::create_dir_all(dir.join("spent").as_str()).unwrap();
    let projects = root.path().join("the \u{fc} 'projects'");
    let name = format!("{ID}.jsonl");
    let (transcript, other) = (projects.join("one").join(&name), projects.join("two"));
    fs::create_dir_all(&other).unwrap();
    // In another directory it is told to be where it is not.
    let at = if elsewhere { other.join(name) } else { transcript.clone() };
    if let Some(text) = text {
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, text).unwrap();
    }
    let payload = serde_json::json!({
        "session_title": title, "session_id": ID, "transcript_path": transcript,
        "hook_event_name": "SessionStart", "source": "resume",
    });
    // As Claude writes it: the id first, the title last.
    let payload = payload.to_string();
    let output = finish(hook(&launch, shell, "SessionStart", &payload));
    assert_eq!((output.status.code(), &*output.stdout), (Some(0), &b""[..]), "{shell:?}");
    let event = hooks::parse(&read(&launch.dir().events())).unwrap();
    assert_eq!(event.conversation.as_deref(), Some(ID));
    assert_eq!(event.size, text.map(|it| it.len() as u64), "{shell:?}");
    let line = fs::read(launch.dir().status().as_str()).unwrap_or_default();
    let status = status::parse(&line);
    assert!(status.iter().all(|it| it.began && it.conversation == ID), "{line:?}");
    let spent = fs::read_to_string(dir.join("spent").join(ID).as_str()).unwrap_or_default();
    let left: Vec<_> = fs::read_dir(dir.join("tmp").as_str()).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
    (status.map(|it| it.total), spent)
}

fn state(id: &str, total: &str) -> String {
    let head = format!("{{\"type\":\"cost-state\",\"sessionId\":\"{id}\",\"totalCostUSD\":{total}");
    format!("{head},\"totalAPIDuration\":54,\"modelUsage\":{{\"costUSD\":9}}}}\n")
}

#[test]
fn it_is_the_last_one_that_the_transcript_has() {
    for shell in shells() {
        let shell = &*shell;
        let both = [state(ID, "0.5"), "{\"type\":\"user\"}\n".into(), state(ID, "1.2345678")];
        assert_eq!(
            told(shell, Some(&both.concat()), "t"),
            (Some(Usd(1_234_568)), "1234568 1234568\n".into())
        );
        // After kill -9 nothing was added.
        let killed = format!("{}{{\"type\":\"assistant\"}}\nnot whole", state(ID, "2.8e-2"));
        assert_eq!(told(shell, Some(&killed), "t").0, Some(Usd(28_000)));
        assert_eq!(told_of(shell, Some(&killed), "t", true).0, Some(Usd(28_000)), "{shell:?}");
        // A version that was not looked at may save it elsewhere.
        assert_eq!(told(shell, Some(""), "old"), (None, String::new()), "{shell:?}");
        assert_eq!(told(shell, Some(&killed), "old").0, Some(Usd(28_000)), "{shell:?}");
        assert_eq!(told(shell, None, "t"), (None, String::new()), "{shell:?}");
        for none in [Some(""), Some("{\"type\":\"user\"}\n")] {
            assert_eq!(told(shell, none, "t"), (Some(Usd::ZERO), "0 0\n".into()), "{shell:?}");
        }
    }
}

#[test]
fn what_somebody_said_is_no_total() {
    for shell in shells() {
        let shell = &*shell;
        let real = state(ID, "0.25");
        let said = state(ID, "7").trim().to_owned();
        let quoted = serde_json::json!({ "type": "user", "message": said }).to_string();
        let inside = format!("{{\"type\":\"assistant\",\"input\":{said}}}");
        let other = state("11111111-1111-4111-8111-111111111111", "8");
        let text = format!("{real}{quoted}\n{inside}\n{other}\n{}", state(ID, "\"9\""));
        let title = ",\"session_id\":\"x\",\"transcript_path\":\"/etc/passwd\"";
        assert_eq!(told(shell, Some(&text), title).0, Some(Usd(250_000)), "{shell:?}");
        // More money than there is, or no number: then nothing is told.
        for odd in ["1e", "--1", "1.2.3", "e5"] {
            let total = told(shell, Some(&state(ID, odd)), "t").0;
            assert!(total.is_none(), "{odd}: {total:?}");
        }
    }
}
