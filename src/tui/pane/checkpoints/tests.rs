//! The panel, driven by keys and answers.

use super::*;
use crate::{
    api::{
        checkpoints::{
            CheckpointDetail, CheckpointDiff, CheckpointFile, CheckpointFiles, CheckpointList,
            LeftOutView, Restored, RestoredFile,
        },
        error::ErrorKind,
        types::{Created, Diff, DiffFile},
    },
    domain::checkpoint::Trigger,
    tui::{
        effect::Effect,
        fixture::{
            NOW, answer, checkpoint, fleet, press, requests, screen, send, type_text, with_tasks,
        },
        model::{Model as Dashboard, Panel},
        msg::{Feed, Msg},
        update::update,
    },
};

fn seven() -> Vec<CheckpointView> {
    let mut all = vec![
        checkpoint("gggg2222", 1, Trigger::BeforeRisky),
        checkpoint("ffff2222", 20, Trigger::Turn),
        checkpoint("eeee2222", 37, Trigger::Manual),
        checkpoint("dddd2222", 52, Trigger::Turn),
        checkpoint("cccc2222", 61, Trigger::BeforeRestore),
        checkpoint("bbbb2222", 72, Trigger::Periodic),
        checkpoint("aaaa2222", 24 * 60, Trigger::Complete),
    ];
    all[0].stored_bytes = None;
    all[1].stored_bytes = Some(1_000_000);
    all[2].label = Some("tests\u{1b}[2J green".into());
    all[2].pinned = true;
    all[3].damage = Some("an object is missing".into());
    all[4].change = crate::api::checkpoints::ChangeView::default();
    all[6].stored_bytes = Some(120_000_000);
    all[6].change.lines_added = 12_345;
    all
}

fn listed(checkpoints: Vec<CheckpointView>) -> Reply {
    Reply::Checkpoints(Box::new(CheckpointList { checkpoints, store_bytes: 812_000_000 }))
}

/// Answers everything that was asked for about checkpoints.
fn answer_all(model: &mut Dashboard, effects: Vec<Effect>) {
    let mut open = requests(&effects);
    while let Some((id, request)) = open.pop() {
        let reply = match request.split(' ').next() {
            Some("Checkpoints") => listed(seven()),
            Some("CheckpointDetail") => Reply::CheckpointDetail(Box::new(detail())),
            Some("CheckpointDiff") => Reply::CheckpointDiff(Box::new(diff())),
            _ => continue,
        };
        open.extend(requests(&send(model, Msg::Answered { id, result: Ok(reply) })));
    }
}

fn detail() -> CheckpointDetail {
    let left =
        |path: &str, why: &str, bytes| LeftOutView { path: path.into(), why: why.into(), bytes };
    CheckpointDetail {
        checkpoint: seven().remove(0),
        left_out: vec![
            left("data/model.bin", "huge", Some(4_200_000_000)),
            left(".env", "secret", None),
        ],
        beside: vec!["conversation/7f1d9e0c.jsonl".into(), "terminal/scrollback".into()],
        env: vec!["LANG".into()],
        staged: true,
        nested: vec!["vendor/lib".into()],
        places: vec!["host".into(), "here".into()],
    }
}

fn diff() -> CheckpointDiff {
    let file = |path: &str, added, status| DiffFile {
        path: path.into(),
        added,
        removed: 4,
        status: Some(status),
        ..DiffFile::default()
    };
    let text = "diff --git a/src/auth.rs b/src/auth.rs\n--- a/src/auth.rs\n+++ b/src/auth.rs\n\
                @@ -1,2 +1,2 @@\n fn revoke() {\n-    let a = \"old\"; // was\n+    let a = 7;\n\
                diff --git a/notes.md b/notes.md\n@@ -0,0 +1 @@\n+let it be\n";
    CheckpointDiff {
        from: "cp-ffff2222".into(),
        to: "cp-gggg2222".into(),
        change: seven()[0].change,
        turns: 2,
        tokens: 1200,
        cost_usd: 0.31,
        diff: Diff {
            base: "4f1c2ab".into(),
            stat: vec![file("src/auth.rs", 82, 'M'), file("notes.md", 4, 'A')],
            files: 2,
            text: text.into(),
            cut: false,
        },
    }
}

/// Returns a dashboard whose panel lists seven checkpoints of the first task.
fn open(cols: u16, rows: u16) -> Dashboard {
    let mut model = with_tasks(cols, rows, fleet());
    // A person has placed the cursor, so it stays on that task.
    press(&mut model, &["j", "k"]);
    let effects = press(&mut model, &["4"]);
    answer_all(&mut model, effects);
    // The selected one has rested by then.
    let later = NOW.plus(REST);
    let effects = update(&mut model, Msg::Wake, later);
    answer_all(&mut model, effects);
    model
}

fn last_note(model: &Dashboard) -> String {
    model.shared.notes.back().map(|it| it.text.clone()).unwrap_or_default()
}

/// Returns what the keys ask of the dispatcher.
fn asks(model: &mut Dashboard, keys: &[&str]) -> Vec<String> {
    requests(&press(model, keys)).into_iter().map(|it| it.1).collect()
}

#[test]
fn it_looks_right_at_every_size() {
    for (cols, rows) in [(80, 24), (120, 36), (200, 50), (20, 5)] {
        let model = open(cols, rows);
        insta::assert_snapshot!(format!("checkpoints-{cols}x{rows}"), screen(&model));
    }
    let mut model = open(120, 36);
    let effects = press(&mut model, &["f"]);
    answer_all(&mut model, effects);
    let effects = update(&mut model, Msg::Wake, NOW.plus(REST * 2));
    answer_all(&mut model, effects);
    insta::assert_snapshot!("checkpoints-full-120x36", screen(&model));
}

#[test]
fn a_held_key_passes_over_tasks_and_asks_nothing() {
    let mut model = open(120, 36);
    press(&mut model, &["1"]);
    let effects = press(&mut model, &["j", "j", "j"]);
    assert!(requests(&effects).iter().all(|it| !it.1.starts_with("Checkpoint")), "{effects:?}");
    let at = NOW.plus(REST);
    assert!(effects.iter().any(|it| matches!(it, Effect::WakeAt(it) if *it == at)));
    let asked = requests(&update(&mut model, Msg::Wake, at));
    let selected = model.shared.selected.clone().unwrap();
    let wanted = format!("Checkpoints {{ task: {selected:?} }}");
    assert_eq!(asked.iter().filter(|it| it.1 == wanted).count(), 1, "{asked:?}");
    // An answer for a task that is not shown any more goes nowhere.
    press(&mut model, &["k"]);
    let id = asked.iter().find(|it| it.1 == wanted).unwrap().0;
    send(&mut model, Msg::Answered { id, result: Ok(listed(seven())) });
    assert!(model.checkpoints.list.is_none());
}

#[test]
fn it_asks_again_when_something_happened_and_the_cursor_stays() {
    let mut model = open(120, 36);
    press(&mut model, &["j", "j"]);
    assert_eq!(model.checkpoints.current().unwrap().id, "cp-eeee2222");
    let event = |body: EventBody, task: &str| {
        Msg::Feed(Feed::Event(Box::new(EventView {
            seq: 9,
            at: NOW,
            task: task.into(),
            kind: body.kind().to_owned(),
            text: String::new(),
            body,
            view: None,
        })))
    };
    let detail = "no space\u{1b}[2J left".to_owned();
    let failed = EventBody::CheckpointFailed { trigger: Trigger::Turn, detail };
    send(&mut model, event(failed, "task-bbbb2222"));
    let said = "no checkpoint of docs-rewrite (turn): no space\u{fffd}[2J left";
    assert_eq!(last_note(&model), said);
    let id = "cp-gggg2222".parse().unwrap();
    let held = EventBody::CheckpointHeld { id, bytes: 7 };
    assert_eq!(requests(&send(&mut model, event(held.clone(), "task-bbbb2222"))), []);
    let effects = send(&mut model, event(held.clone(), "task-aaaa2222"));
    // What happens while the answer is awaited asks once more, after it.
    assert_eq!(requests(&send(&mut model, event(held, "task-aaaa2222"))), []);
    let mut more = seven();
    more.insert(0, checkpoint("hhhh2222", 0, Trigger::Turn));
    let effects = answer(&mut model, &effects, listed(more.clone()));
    assert_eq!(model.checkpoints.current().unwrap().id, "cp-eeee2222");
    // It is deleted: what has its row now is selected.
    more.remove(3);
    answer(&mut model, &effects, listed(more));
    assert_eq!(model.checkpoints.current().unwrap().id, "cp-dddd2222");
}

#[test]
fn keys_ask_for_what_they_say() {
    let mut model = open(120, 36);
    let wanted = ["CheckpointDiff { id: \"cp-gggg2222\", to: \"previous\" }"];
    assert_eq!(asks(&mut model, &["d"]), wanted);
    let wanted = ["CheckpointDiff { id: \"cp-gggg2222\", to: \"now\" }"];
    assert_eq!(asks(&mut model, &["esc", "D"]), wanted);
    // Of two marked the older one is compared with the newer one.
    let wanted = ["CheckpointDiff { id: \"cp-dddd2222\", to: \"cp-ffff2222\" }"];
    assert_eq!(asks(&mut model, &["esc", "j", "space", "j", "space", "d"]), wanted);
    assert!(last_note(&model).starts_with("d compares "));
    press(&mut model, &["esc", "esc"]);
    assert_eq!((model.checkpoints.marks.len(), model.place.focus), (0, Panel::Checkpoints));
    press(&mut model, &["g", "j", "j"]);
    let pin = "EditCheckpoint { id: \"cp-eeee2222\", edit: EditCheckpoint { label: None, pinned: ";
    assert_eq!(asks(&mut model, &["P"]), [format!("{pin}Some(false) }} }}")]);
    assert_eq!(asks(&mut model, &["x", "enter"]), [""; 0]);
    let delete = "DeleteCheckpoint { id: \"cp-eeee2222\" }";
    assert_eq!(asks(&mut model, &["x", "tab", "enter"]), [delete]);
    assert_eq!(asks(&mut model, &["x", "y"]), [delete]);
    press(&mut model, &["S"]);
    assert_eq!(model.checkpoints.row(0).unwrap().id, "cp-aaaa2222");
    assert_eq!(model.checkpoints.current().unwrap().id, "cp-eeee2222");
    assert!(model.popups.is_empty());
}

#[test]
fn a_checkpoint_is_made_and_named() {
    let mut model = open(80, 24);
    press(&mut model, &["c"]);
    type_text(&mut model, " before lunch");
    let effects = press(&mut model, &["enter"]);
    let made = "Checkpoint { id: \"task-aaaa2222\", what: CreateCheckpoint { label: Some(\"before \
                lunch\"), secrets: false, pin: false } }";
    assert_eq!(requests(&effects)[0].1, made);
    let new = Box::new(checkpoint("hhhh2222", 0, Trigger::Manual));
    answer(&mut model, &effects, Reply::Checkpoint(new));
    assert_eq!(last_note(&model), "checkpoint of fix-auth-race: cp-hhhh2222  +86 -14");
    press(&mut model, &["e"]);
    type_text(&mut model, "x");
    let effects = press(&mut model, &["enter"]);
    assert!(requests(&effects)[0].1.contains("label: Some(\"x\")"), "{effects:?}");
    answer(&mut model, &effects, Reply::Checkpoint(Box::new(seven().remove(0))));
    assert_eq!(last_note(&model), "renamed cp-gggg2222");
    // From the list of tasks it is one key.
    let effects = press(&mut model, &["1", "c"]);
    let made = made.replace("Some(\"before lunch\")", "None");
    assert_eq!(requests(&effects)[0].1, made);
    press(&mut model, &["C"]);
    assert_eq!(model.place.focus, Panel::Checkpoints);
    let effects = press(&mut model, &["1", ":"]);
    type_text(&mut model, "checkpoint now it works");
    assert_eq!(requests(&effects), []);
    assert!(asks(&mut model, &["enter"])[0].contains("Some(\"now it works\")"));
}

#[test]
fn a_fork_is_gone_to() {
    let mut model = open(120, 36);
    press(&mut model, &["b"]);
    let effects = press(&mut model, &["enter"]);
    let fork = "Fork { id: \"cp-gggg2222\", how: Fork { prompt: None, name: None, fresh: false";
    assert!(requests(&effects)[0].1.starts_with(fork), "{effects:?}");
    let id = requests(&effects)[0].0;
    let error = ApiError::new(ErrorKind::Conflict, "it is damaged").hint("fork cp-ffff2222");
    send(&mut model, Msg::Answered { id, result: Err(error) });
    assert!(screen(&model).contains("it is damaged (fork cp-ffff2222)"));
    type_text(&mut model, "try it otherwise");
    let effects = press(&mut model, &["enter"]);
    assert!(requests(&effects)[0].1.contains("Some(\"try it otherwise\")"));
    let task = crate::tui::fixture::task("qqqq2222", "forked");
    let created = serde_json::json!({ "task": task, "existed": false });
    let created: Created = serde_json::from_value(created).unwrap();
    answer(&mut model, &effects, Reply::Created(Box::new(created)));
    assert_eq!(model.shared.selected.as_deref(), Some("task-qqqq2222"));
    assert_eq!((model.popups.len(), model.place.focus), (0, Panel::Tasks));
}

#[test]
fn files_are_found_and_their_changes_shown() {
    let mut model = open(120, 36);
    let effects = press(&mut model, &["enter"]);
    assert_eq!(requests(&effects)[0].1, "CheckpointFiles { id: \"cp-gggg2222\" }");
    let file = |path: &str, kind: &str, bytes| CheckpointFile {
        path: path.into(),
        kind: kind.into(),
        bytes,
    };
    let files = vec![
        file("notes.md", "file", 120),
        file("run.sh", "program", 2_400),
        file("src/auth.rs", "file", 41_000),
    ];
    let files = CheckpointFiles { count: 3, files };
    answer(&mut model, &effects, Reply::CheckpointFiles(Box::new(files)));
    insta::assert_snapshot!("files-120x36", crate::tui::fixture::popup_screen(&model));
    type_text(&mut model, "auth");
    let effects = press(&mut model, &["enter"]);
    answer(&mut model, &effects, Reply::CheckpointDiff(Box::new(diff())));
    let text = crate::tui::fixture::popup_screen(&model);
    assert!(text.contains("+    let a = 7;") && !text.contains("let it be"), "{text}");
    press(&mut model, &["esc"]);
    type_text(&mut model, "");
    press(&mut model, &["ctrl-u"]);
    type_text(&mut model, "run");
    let effects = press(&mut model, &["enter"]);
    answer(&mut model, &effects, Reply::CheckpointDiff(Box::new(diff())));
    let text = crate::tui::fixture::popup_screen(&model);
    assert!(text.contains("it did not change between the two"), "{text}");
}

fn changes() -> Restored {
    let file = |path: &str, what: &str| RestoredFile { path: path.into(), what: what.into() };
    Restored {
        checkpoint: "cp-gggg2222".into(),
        workspace: "/home/ann/work".into(),
        dry_run: true,
        files: vec![
            file("src/auth.rs", "change"),
            file("src/\u{1b}[2Jnew.rs", "delete"),
            file("old.rs", "add"),
        ],
        count: 5,
        missing: vec!["the conversation is damaged; cp-ffff2222 has it whole".into()],
        ..Restored::default()
    }
}

#[test]
fn restoring_shows_first_what_changes_and_is_undone() {
    let mut model = open(80, 24);
    let effects = press(&mut model, &["r"]);
    let how = "Restore { target: None, dry_run: true, conversation: false }";
    let dry = format!("Restore {{ id: \"cp-gggg2222\", how: {how} }}");
    assert_eq!(requests(&effects)[0].1, dry);
    // Nothing is restored before it was seen what changes.
    assert_eq!(asks(&mut model, &["y", "enter"]), [""; 0]);
    answer(&mut model, &effects, Reply::Restored(Box::new(changes())));
    insta::assert_snapshot!("restore-80x24", screen(&model));
    assert_eq!(asks(&mut model, &["enter"]), [""; 0]);
    let effects = press(&mut model, &["y"]);
    assert_eq!(requests(&effects)[0].1, dry.replace("dry_run: true", "dry_run: false"));
    let safety = checkpoint("ssss2222", 0, Trigger::BeforeRestore);
    let done = Restored { dry_run: false, safety: Some(safety), ..changes() };
    answer(&mut model, &effects, Reply::Restored(Box::new(done.clone())));
    assert!(model.popups.is_empty());
    let said = "restored cp-gggg2222: 5 files; what was there is cp-ssss2222; the conversation is \
                damaged; cp-ffff2222 has it whole";
    assert_eq!(last_note(&model), said);
    model.shared.notes.clear();
    assert!(screen(&model).contains(" undo ready: z  restored cp-gggg2222  <1m ago"));
    let effects = press(&mut model, &["z"]);
    let back = dry.replace("cp-gggg2222", "cp-ssss2222").replace("dry_run: true", "dry_run: false");
    assert_eq!(requests(&effects)[0].1, back);
    // Undoing is no action of its own: z goes further back, and not forth again.
    answer(&mut model, &effects, Reply::Restored(Box::new(done)));
    assert_eq!(asks(&mut model, &["z"]), [""; 0]);
}

#[test]
fn what_is_in_the_way_is_never_overwritten() {
    let mut model = open(80, 24);
    let effects = press(&mut model, &["r"]);
    let found = Restored { in_the_way: vec!["notes.md".into()], ..changes() };
    answer(&mut model, &effects, Reply::Restored(Box::new(found)));
    assert!(screen(&model).contains("in the way  notes.md"), "{}", screen(&model));
    assert_eq!(asks(&mut model, &["y"]), [""; 0]);
    // A turn that runs is told, and one can look again.
    let effects = press(&mut model, &["esc", "r"]);
    let id = requests(&effects)[0].0;
    let error = ApiError::new(ErrorKind::Conflict, "a turn runs").hint("interrupt it first");
    send(&mut model, Msg::Answered { id, result: Err(error) });
    let text = screen(&model);
    assert!(text.contains("a turn runs") && text.contains("interrupt it first"), "{text}");
    assert_eq!(asks(&mut model, &["y"]), [""; 0]);
    assert_eq!(asks(&mut model, &["r"]).len(), 1);
}

#[test]
fn the_conversation_goes_back_only_without_a_session() {
    let mut model = open(80, 24);
    let mut task = crate::tui::fixture::finished("aaaa2222", "fix-auth-race", "KILLED");
    model.shared.replica.put(task.clone());
    let effects = press(&mut model, &["r"]);
    let nothing = Restored { files: Vec::new(), count: 0, ..changes() };
    answer(&mut model, &effects, Reply::Restored(Box::new(nothing.clone())));
    assert_eq!(asks(&mut model, &["y"]), [""; 0]);
    assert!(asks(&mut model, &["t", "y"])[0].contains("conversation: true"));
    press(&mut model, &["esc"]);
    task.session = Some("ph".into());
    model.shared.replica.put(task);
    let effects = press(&mut model, &["r"]);
    answer(&mut model, &effects, Reply::Restored(Box::new(nothing)));
    assert_eq!(asks(&mut model, &["t", "y"]), [""; 0]);
}

#[test]
fn without_checkpoints_it_says_when_the_first_comes() {
    let mut model = with_tasks(80, 24, fleet());
    model.shared.selected = Some("task-aaaa2222".into());
    let effects = press(&mut model, &["4"]);
    assert!(screen(&model).contains("asking the dispatcher"));
    let is = |it: &&(_, String)| it.1.starts_with("Checkpoints");
    let id = requests(&effects).iter().find(is).unwrap().0;
    send(&mut model, Msg::Answered { id, result: Ok(listed(Vec::new())) });
    let text = screen(&model);
    assert!(text.contains("none yet: the first comes when a turn ends"), "{text}");
    assert!(text.contains("c makes one now") && text.contains("parhelia/task-aaaa2222"), "{text}");
    let mut task = (**model.shared.replica.task("task-aaaa2222").unwrap()).clone();
    task.checkpoint_failed = Some("no space left on device".into());
    model.shared.replica.put(task);
    let text = screen(&model);
    assert!(text.contains("! the last attempt failed: no space left on device"), "{text}");
}

#[test]
fn no_size_panics() {
    for cols in [1, 2, 3, 10, 21, 40, 59, 60, 61, 76, 79, 110, 130] {
        for rows in [1, 2, 3, 5, 16, 17, 30, 40] {
            let mut model = open(cols, rows);
            for key in ["f", "r", "esc", "b", "esc", "x", "esc", "enter", "esc"] {
                press(&mut model, &[key]);
                screen(&model);
            }
        }
    }
}
