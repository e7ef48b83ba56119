//! Actions: what a key, the palette or `:` asked for.

use std::time::Duration;

use crate::tui::{
    effect::{Ask, Effect, HandOver},
    keymap::{Action, Context, binding},
    model::{Level, Model, Out, Panel, Purpose, Then},
    pane::{budget, checkpoints, inbox, log, tasks, term},
    popup::{self, Kind},
};

/// Within this time a second Ctrl+C quits.
const TWICE: Duration = Duration::from_secs(2);

/// Does an action, wherever the keys are.
pub fn act(model: &mut Model, action: Action, out: &mut Out) {
    let shared = &model.shared;
    match binding(action).context {
        Context::Global => global(model, action, out),
        // Scrolls the preview without giving it the keys.
        Context::Tasks if matches!(action, Action::PreviewUp | Action::PreviewDown) => {
            term::act(&mut model.term, shared, action, out);
        }
        Context::Tasks => tasks::act(&mut model.tasks, shared, action, out),
        Context::Preview | Context::Scroll => term::act(&mut model.term, shared, action, out),
        Context::Attached => term::act(&mut model.term, shared, action, out),
        Context::Log => log::act(&mut model.log, shared, action, out),
        Context::Checkpoints => checkpoints::act(&mut model.checkpoints, shared, action, out),
        Context::Budget => budget::act(&mut model.budget, shared, action, out),
        Context::Inbox => inbox::act(&mut model.inbox, shared, action, out),
        Context::Form => {
            if let Some(it) = model.popups.last_mut() {
                popup::act(it, shared, action, out);
            }
        }
    }
}

/// Gives a panel the keys, and shows it if it was not.
pub fn focus(model: &mut Model, panel: Panel) {
    let place = &mut model.place;
    if place.focus != panel {
        place.before = place.focus;
    }
    place.focus = panel;
    if panel != Panel::Tasks {
        place.lower = panel;
    }
    if matches!(panel, Panel::Checkpoints | Panel::Budget | Panel::Inbox) {
        place.corner = panel;
    }
}

fn global(model: &mut Model, action: Action, out: &mut Out) {
    use Action as A;
    match action {
        A::PanelTasks | A::Out => focus(model, Panel::Tasks),
        A::PanelPreview => focus(model, Panel::Preview),
        A::PanelLog => focus(model, Panel::Log),
        A::PanelCheckpoints => focus(model, Panel::Checkpoints),
        A::PanelBudget => focus(model, Panel::Budget),
        A::PanelInbox => focus(model, Panel::Inbox),
        A::NextPanel => cycle(model, 1),
        A::PanelBefore => cycle(model, Panel::ALL.len() - 1),
        A::LastView => focus(model, model.place.before),
        A::FullScreen => model.place.full = !model.place.full,
        A::Bigger => resize(model, 5),
        A::Smaller => resize(model, -5),
        A::Close => up(model, out),
        A::Down | A::Up | A::Top | A::Bottom | A::PageDown | A::PageUp => {
            move_in(model, action, out);
        }
        A::NextNeeds | A::NeedsBefore | A::ClearFilter => {
            tasks::act(&mut model.tasks, &model.shared, action, out);
        }
        A::Quit => out.effects.push(Effect::Quit),
        A::QuitTwice => quit_twice(model, out),
        A::Suspend => {
            out.then.push(Then::HandOver { to: HandOver::Suspend, purpose: Purpose::Quiet });
        }
        A::Redraw => out.effects.push(Effect::Redraw),
        A::Refresh => {
            out.effects.extend([Effect::Reconnect, Effect::AskStatus]);
            tasks::act(&mut model.tasks, &model.shared, action, out);
        }
        A::Record => out.ask("recording", Ask::DumpRecording, Purpose::Tell),
        A::Theme => {
            let next = model.shared.look.theme.next();
            model.shared.look.theme = next;
            out.note(Level::Info, format!("theme: {}", next.name()));
        }
        A::Undo => super::then::undo(model, out),
        _ => open(model, action, out),
    }
}

/// Quits if it was asked for a moment ago. Once is what a hand does that means another program.
fn quit_twice(model: &mut Model, out: &mut Out) {
    let now = model.shared.now;
    match model.place.quit_asked.replace(now) {
        Some(at) if now.since(at) < TWICE => out.effects.push(Effect::Quit),
        _ => out.note(Level::Info, "Ctrl+C once more quits; tasks keep running"),
    }
}

/// Actions that open something.
fn open(model: &mut Model, action: Action, out: &mut Out) {
    use Action as A;
    let shared = &model.shared;
    match action {
        A::New => out.open(Kind::Form(Box::new(popup::form::Model::fresh(shared)))),
        A::NewLike => out.open(Kind::Form(Box::new(popup::form::Model::like(shared)))),
        A::RepeatLast => out.open(Kind::Form(Box::new(popup::form::Model::again(shared)))),
        A::Help => {
            let (context, _) = super::input::context(model);
            out.open(Kind::Help(popup::help::Model::new(context)));
        }
        A::Palette => out.open(Kind::Palette(popup::palette::Model::default())),
        A::CommandLine => out.open(Kind::Command(popup::command::Model::default())),
        A::Filter => {
            out.open(Kind::Filter(popup::filter::Model::new(&tasks::filter(&model.tasks))))
        }
        A::Jobs => out.open(Kind::Jobs(popup::jobs::Model::running())),
        A::Calls => out.open(Kind::Jobs(popup::jobs::Model::past())),
        A::UndoList => out.open(Kind::Pick(popup::pick::Model::undo(shared))),
        A::Setup => out.open(Kind::Setup(popup::setup::Model::default())),
        _ => (),
    }
}

fn cycle(model: &mut Model, by: usize) {
    let shown: Vec<Panel> = Panel::ALL.to_vec();
    let at = shown.iter().position(|it| *it == model.place.focus).unwrap_or(0);
    focus(model, shown[(at + by) % shown.len()]);
}

fn resize(model: &mut Model, by: i16) {
    use crate::tui::layout::Kind as Layout;
    let kind = crate::tui::update::areas(model).kind;
    let tasks = model.place.focus == Panel::Tasks;
    let prefs = &mut model.place.prefs;
    let (share, by) = match kind {
        Layout::Wide if matches!(model.place.focus, Panel::Tasks | Panel::Preview) => {
            (&mut prefs.wide_left, if tasks { by } else { -by })
        }
        Layout::Wide => (&mut prefs.wide_top, -by),
        Layout::Narrow => (&mut prefs.narrow_top, if tasks { by } else { -by }),
        Layout::Attached => (&mut prefs.attached_left, -by),
        Layout::Tiny | Layout::Full => return,
    };
    *share = share.saturating_add_signed(by);
    *prefs = prefs.within_bounds();
}

/// Goes up one level: full screen, then the panel's own, then marks, then the filter.
fn up(model: &mut Model, out: &mut Out) {
    if model.place.full {
        model.place.full = false;
    } else if model.place.focus == Panel::Checkpoints
        && checkpoints::clear_marks(&mut model.checkpoints)
    {
        // The marks were all there was to leave.
    } else if model.place.focus != Panel::Tasks {
        focus(model, Panel::Tasks);
    } else if !model.shared.marks.is_empty() {
        out.then.push(Then::SetMarks(Default::default()));
    } else if !tasks::filter(&model.tasks).is_empty() {
        out.then.push(Then::Filter(String::new()));
    } else {
        out.note(Level::Info, "q quits; tasks keep running");
    }
}

fn move_in(model: &mut Model, action: Action, out: &mut Out) {
    let shared = &model.shared;
    match model.place.focus {
        Panel::Tasks => tasks::act(&mut model.tasks, shared, action, out),
        Panel::Preview => term::act(&mut model.term, shared, action, out),
        Panel::Log => log::act(&mut model.log, shared, action, out),
        Panel::Checkpoints => checkpoints::act(&mut model.checkpoints, shared, action, out),
        Panel::Budget => budget::act(&mut model.budget, shared, action, out),
        Panel::Inbox => inbox::act(&mut model.inbox, shared, action, out),
    }
}
