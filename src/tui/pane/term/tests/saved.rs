use super::*;
use crate::{api::view::LastCheckpoint, domain::checkpoint::Trigger};

#[test]
fn f4_saves_the_attached_task_and_the_pane_says_when_it_was_saved_last() {
    let (mut model, _) = attached(120, 36);
    let effects = press(&mut model, &["f4"]);
    let saved = effects.iter().any(|it| {
        matches!(it, Effect::Ask { ask: Ask::Request(Request::Checkpoint { id, what }), .. }
            if id == "task-aaaa2222" && what.label.is_none())
    });
    assert!(saved && typed(&effects).is_empty(), "{effects:?}");
    press(&mut model, &["ctrl-q"]);
    let mut task = (**model.shared.replica.task("task-aaaa2222").unwrap()).clone();
    task.last_checkpoint = Some(LastCheckpoint {
        id: "cp-aaaa2222".into(),
        at: Timestamp(NOW.0 - 60_000),
        trigger: Trigger::BeforeKill,
    });
    model.shared.replica.put(task.clone());
    assert!(screen(&model).contains(" last checkpoint 14:31 before-kill "), "{}", screen(&model));
    task.checkpoint_failed = Some("no space left".into());
    model.shared.replica.put(task.clone());
    assert!(screen(&model).contains(" ! no checkpoint: no space left "), "{}", screen(&model));
    // Without a session it stands among the facts.
    (task.session, task.state) = (None, "KILLED".into());
    let mut model = with_tasks(120, 36, vec![task]);
    send(&mut model, Msg::Wake);
    let text = screen(&model);
    assert!(text.contains("last checkpoint 14:31 before-kill"), "{text}");
    assert!(text.contains("! no checkpoint: no space left"), "{text}");
}
