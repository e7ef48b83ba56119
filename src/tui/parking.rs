//! Parking tasks and letting them go on.

use crate::{
    api::{budget::CeilingView, view::TaskView},
    stdx::text::one_line,
    tui::{
        effect::{Ask, Request},
        model::{Back, Level, Out, Purpose, Shared, Then, Undo, replica::Letter},
        money::{self, State, set::Target},
        popup::{Kind, confirm, entry},
    },
};

/// Tells whether a task is parked.
pub fn is_parked(task: &TaskView) -> bool {
    task.state == "PARKED"
}

/// Tells whether a task can be parked.
pub fn can_park(task: &TaskView) -> bool {
    matches!(task.state.as_str(), "CREATED" | "PENDING" | "DISPATCHED" | "RUNNING")
}

/// Tells whether parking a task interrupts what its session does.
fn interrupts(task: &TaskView) -> bool {
    matches!(Letter::of(task), Letter::Working | Letter::NeedsYou)
}

/// Parks tasks; asks first if that would interrupt a session that works.
pub fn ask_or_park(shared: &Shared, ids: Vec<String>, out: &mut Out) {
    let tasks = || ids.iter().filter_map(|it| shared.replica.task(it));
    if tasks().any(|it| interrupts(it)) {
        return out.open(Kind::Confirm(confirm::Model::park(shared, ids)));
    }
    ids.iter().for_each(|it| park(shared, it, out));
}

/// Parks a task; `z` lets it go on.
pub fn park(shared: &Shared, id: &str, out: &mut Out) {
    let label = format!("park {}", name(shared, id));
    let by = Back::Request(Box::new(Request::Unpark { id: id.to_owned() }));
    let what = format!("parked {}; undo lets it go on", name(shared, id));
    let undo = Undo { what, at: shared.now, by };
    out.then.push(Then::Ask {
        ask: Ask::Request(Request::Park { id: id.to_owned() }),
        label,
        purpose: Purpose::Tell,
        undo: Some(undo),
    });
}

/// Lets a parked task go on; one that spent all it may is asked for more first, and so is a
/// ceiling that is reached.
pub fn unpark(shared: &Shared, id: &str, out: &mut Out) {
    let task = shared.replica.task(id);
    if task.is_some_and(|it| spent_all(it)) {
        out.note(Level::Info, "it spent all it may: give it more, then let it go on");
        return out.open(Kind::Entry(entry::Model::cap(shared, vec![id.to_owned()])));
    }
    if let Some(target) = task.and_then(|it| in_the_way(shared, it)) {
        let what = target.words(shared);
        out.note(Level::Info, format!("the {what} is reached: raise it, then unpark"));
        return out.then.push(Then::EditCeiling(target));
    }
    let label = format!("unpark {}", name(shared, id));
    out.request(label, Request::Unpark { id: id.to_owned() });
}

/// Tells whether a task spent all that it itself may.
fn spent_all(it: &TaskView) -> bool {
    it.max_cost_usd.is_some_and(|most| most <= it.cost_usd)
}

/// Returns the ceiling that keeps a task from going on: the first one over it that is reached,
/// unless its own is.
pub fn in_the_way(shared: &Shared, task: &TaskView) -> Option<Target> {
    let over = |it: &&CeilingView| {
        let its = it.scope != "host" || it.host == task.provider;
        its && State::of(it) == State::Over
    };
    let budget = shared.replica.budget.as_ref().filter(|_| !spent_all(task))?;
    budget.ceilings.iter().find(over).and_then(Target::of)
}

fn name(shared: &Shared, id: &str) -> String {
    one_line(shared.replica.task(id).map_or(id, |it| &it.name), 40)
}

/// Returns the tasks with a session that spent more than `share`, the dearest first; of `host`, or
/// wherever they are.
pub fn over_share(shared: &Shared, host: Option<&str>, share: f64) -> Vec<String> {
    let spent = |it: &TaskView| money::cost(it, shared.now);
    let mut over: Vec<_> =
        running(shared, host).filter(|it| share < spent(it)).map(|it| (spent(it), it)).collect();
    over.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.id.cmp(&b.1.id)));
    over.into_iter().map(|it| it.1.id.clone()).collect()
}

/// Returns the tasks that hold a worker.
pub fn running<'a>(
    shared: &'a Shared,
    host: Option<&'a str>,
) -> impl Iterator<Item = &'a TaskView> {
    let all = shared.replica.tasks.values().map(AsRef::as_ref);
    all.filter(|it: &&TaskView| matches!(it.state.as_str(), "DISPATCHED" | "RUNNING"))
        .filter(move |it| host.is_none_or(|host| it.provider.as_deref() == Some(host)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tui::fixture::{
        budget, finished, fleet, popup_screen, press, requests, screen, with_tasks,
    };

    fn sent(effects: &[crate::tui::effect::Effect]) -> Vec<String> {
        let mut all: Vec<String> = requests(effects).into_iter().map(|it| it.1).collect();
        all.retain(|it| it.contains("ark"));
        all
    }

    fn parked(cost_usd: f64, max_cost_usd: Option<f64>) -> TaskView {
        let reason = Some("task ceiling $5.00 reached (spent $5.02)".to_owned());
        let task = finished("pppp2222", "refactor-orm", "PARKED");
        TaskView { reason, cost_usd, max_cost_usd, ..task }
    }

    #[test]
    fn an_idle_session_is_parked_at_once_and_z_lets_it_go_on() {
        let idle = fleet().remove(6);
        let mut model = with_tasks(80, 24, vec![idle]);
        let effects = press(&mut model, &["u"]);
        assert_eq!(sent(&effects), ["Park { id: \"task-gggg2222\" }"]);
        let parked = finished("gggg2222", "review-pr-812", "PARKED");
        let reply = crate::tui::msg::Reply::Task(Box::new(parked));
        crate::tui::fixture::answer(&mut model, &effects, reply);
        assert_eq!(sent(&press(&mut model, &["z"])), ["Unpark { id: \"task-gggg2222\" }"]);
    }

    #[test]
    fn a_session_that_works_is_asked_about_once() {
        let mut model = with_tasks(80, 24, vec![fleet().remove(2)]);
        assert!(sent(&press(&mut model, &["u"])).is_empty());
        assert!(popup_screen(&model).contains("Park train-small-lm?"), "{}", popup_screen(&model));
        assert!(sent(&press(&mut model, &["enter"])).is_empty(), "Enter cancels");
        assert_eq!(sent(&press(&mut model, &["u", "y"])).len(), 1);
    }

    #[test]
    fn a_parked_task_says_why_and_goes_on_without_a_question() {
        let mut model = with_tasks(120, 36, vec![parked(1.0, None)]);
        let shown = screen(&model);
        assert!(shown.contains("= refactor-orm") && shown.contains("parked: task cei"), "{shown}");
        assert!(shown.contains("= 1 parked"), "{shown}");
        assert_eq!(sent(&press(&mut model, &["u"])), ["Unpark { id: \"task-pppp2222\" }"]);
        // Killed or deleted it can be; attaching offers the ways back.
        press(&mut model, &["x"]);
        assert!(popup_screen(&model).contains("[Kill]"), "{}", popup_screen(&model));
        press(&mut model, &["esc", "X"]);
        assert!(popup_screen(&model).contains("Delete refactor-orm"), "{}", popup_screen(&model));
        press(&mut model, &["esc", "enter"]);
        assert!(popup_screen(&model).contains("Recover refactor-orm"), "{}", popup_screen(&model));
    }

    #[test]
    fn one_that_spent_all_it_may_is_asked_for_more() {
        let mut model = with_tasks(80, 24, vec![parked(5.02, Some(5.0))]);
        assert!(sent(&press(&mut model, &["u"])).is_empty());
        let shown = popup_screen(&model);
        assert!(shown.contains("The most refactor-orm may cost"), "{shown}");
        press(&mut model, &["backspace", "backspace", "backspace", "backspace"]);
        let set = requests(&press(&mut model, &["8", "enter"]));
        assert!(set[0].1.contains("Some(8.0)") && set[0].1.contains("task-pppp"), "{set:?}");
    }

    #[test]
    fn a_ceiling_that_is_reached_is_raised_first() {
        let mut model = with_tasks(120, 36, vec![parked(1.0, None)]);
        model.shared.replica.know_budget(Box::new(budget(31.0)));
        assert!(sent(&press(&mut model, &["u"])).is_empty());
        let shown = screen(&model);
        assert!(shown.contains("ceiling over everything is reached"), "{shown}");
        assert!(shown.contains("$31.00 is spent already"), "{shown}");
        press(&mut model, &["ctrl-u"]);
        let set = requests(&press(&mut model, &["9", "0", "enter"]));
        assert!(set[0].1.contains("Some(90.0)") && set[0].1.contains("all"), "{set:?}");
        // From the inbox as well.
        press(&mut model, &["6", "g", "e"]);
        assert!(screen(&model).contains("is spent already"), "{}", screen(&model));
    }

    #[test]
    fn of_several_those_that_run_are_parked() {
        let mut tasks = fleet();
        tasks.push(parked(1.0, None));
        let mut model = with_tasks(120, 36, tasks);
        press(&mut model, &["ctrl-a", "u"]);
        assert!(popup_screen(&model).contains("Park 9 tasks?"), "{}", popup_screen(&model));
        let all = sent(&press(&mut model, &["y"]));
        assert_eq!(all.len(), 9, "{all:?}");
        assert!(all.iter().all(|it| it.starts_with("Park")), "{all:?}");
    }
}
