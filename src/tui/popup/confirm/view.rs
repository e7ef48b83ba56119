//! How the question looks.

use ratatui::layout::Rect;

use crate::{
    api::types::Losses,
    stdx::text::one_line,
    tui::{
        canvas::Canvas,
        model::Shared,
        money,
        popup::confirm::{Known, Model, Subject, What},
        theme::Role,
        widget::frame,
        words,
    },
};

/// The size it would like to have.
const SIZE: (u16, u16) = (78, 22);

/// From so many tasks on each has one line.
const MANY: usize = 4;

/// A line of the body.
type Line = (Role, String);

/// Draws it over what is there.
pub fn view(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let lines = body(model, shared);
    let choices = u16::try_from(model.choices.len()).unwrap_or(u16::MAX);
    let foot = choices.saturating_add(if model.what == What::Purge { 3 } else { 2 });
    let wanted = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_add(foot + 2);
    let height = wanted.clamp(8, SIZE.1.max(area.height / 2));
    let inside = frame::popup(canvas, area, (SIZE.0, height), &title(model), theme);
    let room = inside.height.saturating_sub(foot);
    let most = u16::try_from(lines.len()).unwrap_or(u16::MAX).saturating_sub(room);
    let top = usize::from(model.top.min(most));
    for (y, (role, text)) in (inside.y..inside.y + room).zip(lines.iter().skip(top)) {
        canvas.fit(inside.x, y, inside.width, text, theme.style(*role));
    }
    let foot_area = Rect { y: inside.y + room, height: inside.height - room, ..inside };
    view_foot(model, shared, foot_area, canvas);
}

fn title(model: &Model) -> String {
    let whom = match &model.tasks[..] {
        [one] => one_line(&one.name, 40),
        all => format!("{} tasks", all.len()),
    };
    match model.what {
        What::Kill => format!(" Kill {whom}? "),
        What::Purge => format!(" Delete {whom} with its workspace? "),
        What::Recover => format!(" Recover {whom} "),
        What::Park => format!(" Park {whom}? "),
        What::Retry => format!(" Run {whom} again from the start? "),
    }
}

fn view_foot(model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let mut y = area.y.saturating_add(1);
    let mut row = |canvas: &mut Canvas, text: &str, role: Role| {
        if y < area.bottom() {
            canvas.fit(area.x, y, area.width, text, theme.style(role));
        }
        y = y.saturating_add(1);
        y - 1
    };
    if model.what == What::Purge {
        let at = row(canvas, "Type its name to delete it: ", Role::Warning);
        let input = Rect { x: area.x + 28, y: at, width: area.width.saturating_sub(28), height: 1 };
        if at < area.bottom() {
            model.typed.view(input, true, theme, canvas);
        }
        row(canvas, "Enter deletes once the name is right   Esc keeps it", Role::Key);
        return;
    }
    for (at, it) in model.choices.iter().enumerate() {
        let chosen = at == model.choice;
        let mark = if chosen { "> " } else { "  " };
        let best = if model.what == What::Recover && at == 0 { "  (recommended)" } else { "" };
        let role = if chosen { Role::Selected } else { Role::Text };
        row(canvas, &format!("{mark}[{}]{best}", it.label), role);
    }
    let keys = match model.what {
        What::Kill => "y checkpoint and kill   Enter does what is chosen   Tab choose   Esc cancel",
        What::Park => "y park   Enter does what is chosen   Tab choose   Esc cancel",
        _ => "Enter does what is chosen   Tab choose   Esc cancel",
    };
    row(canvas, keys, Role::Key);
}

fn body(model: &Model, shared: &Shared) -> Vec<Line> {
    let mut lines = Vec::new();
    if !model.why.is_empty() {
        lines.push((Role::Text, model.why.clone()));
    }
    let many = MANY <= model.tasks.len();
    for it in &model.tasks {
        if 1 < model.tasks.len() {
            lines.push((Role::Title, summary(it, shared)));
        } else {
            facts(it, shared, &mut lines);
        }
        if !many {
            losses(model.what, it, &mut lines);
        }
    }
    if many && model.what == What::Kill {
        let stays = "each is saved first; workspace, branch and conversation stay; z resumes one";
        lines.push((Role::Dim, stays.to_owned()));
    }
    if model.what == What::Park {
        let goes = "what runs is interrupted, its worker is released";
        let stays = "workspace, branch, conversation: saved first; u lets it go on";
        lines.push((Role::Removed, format!("goes   {goes}")));
        lines.push((Role::Added, format!("stays  {stays}")));
    }
    lines
}

/// Says a task in one line, with the worst of what would be lost.
fn summary(subject: &Subject, shared: &Shared) -> String {
    let mut text = subject.name.clone();
    if let Some(task) = shared.replica.task(&subject.id) {
        text.push_str(&format!(
            "  {}  ${}",
            words::what(task),
            words::money(money::cost(task, shared.now))
        ));
    }
    match &subject.losses {
        Known::Is(it) => text.push_str(&format!("  {}", in_short(it))),
        Known::UnderWay => text.push_str("  looking at its workspace"),
        Known::NotAsked | Known::Not(_) => (),
    }
    text
}

fn in_short(losses: &Losses) -> String {
    let mut parts = Vec::new();
    if losses.turn_running {
        parts.push("a turn runs".to_owned());
    }
    if 0 < losses.dirty_files {
        parts.push(format!("{} files not committed", losses.dirty_files));
    }
    if let Some(count) = losses.unpushed_commits.filter(|it| 0 < *it) {
        parts.push(format!("{count} commits not pushed"));
    }
    parts.join(", ")
}

fn facts(subject: &Subject, shared: &Shared, lines: &mut Vec<Line>) {
    let Some(task) = shared.replica.task(&subject.id) else {
        return lines.push((Role::Warning, "the task is not known any more".to_owned()));
    };
    let state = match task.activity {
        Some(activity) => format!("{} ({})", task.state, activity.as_str()),
        None => task.state.clone(),
    };
    lines.push((Role::Text, format!("{state}  {}", words::what(task))));
    let spent = format!(
        "cost so far ${} ({})",
        words::money(money::cost(task, shared.now)),
        task.cost_source
    );
    lines.push((Role::Money, spent));
    if let Some(it) = &task.workspace {
        lines.push((Role::Dim, format!("workspace {it}")));
    }
    if let Some(it) = words::last_checkpoint(task, shared.now, shared.facts.utc_offset_ms) {
        lines.push((Role::Dim, format!("last checkpoint {it}")));
    }
    if let Some(why) = &task.checkpoint_failed {
        let text = format!("! the last attempt to save it failed: {}", one_line(why, 200));
        lines.push((Role::Warning, text));
    }
}

fn losses(what: What, subject: &Subject, lines: &mut Vec<Line>) {
    let found = match &subject.losses {
        Known::NotAsked => return,
        Known::UnderWay => {
            return lines.push((Role::Dim, "looking at what would be lost".to_owned()));
        }
        Known::Not(why) => {
            let text = format!("what would be lost is not known: {why}");
            return lines.push((Role::Warning, text));
        }
        Known::Is(it) => it,
    };
    let mut warn = |text: String| lines.push((Role::Warning, text));
    if found.turn_running {
        warn("! a turn is running".to_owned());
    }
    if 0 < found.background {
        warn(format!("! {} background tasks run", found.background));
    }
    if 0 < found.viewers {
        warn(format!("! attached now: {}", found.viewers));
    }
    if 0 < found.dirty_files {
        let some: Vec<String> = found.dirty.iter().take(3).map(|it| one_line(it, 60)).collect();
        warn(format!("! {} files not committed: {}", found.dirty_files, some.join(", ")));
    }
    if let Some(count) = found.unpushed_commits.filter(|it| 0 < *it) {
        warn(format!("! {count} commits on no remote"));
    }
    if let Some(why) = &found.unseen {
        lines.push((Role::Dim, format!("of its workspace nothing is known: {why}")));
    }
    let (goes, stays) = match what {
        What::Purge => (&found.purge_goes, &found.purge_stays),
        _ => (&found.goes, &found.stays),
    };
    let line = |role, word: &str, it: &String| (role, format!("{word} {}", one_line(it, 200)));
    lines.extend(goes.iter().map(|it| line(Role::Removed, "goes  ", it)));
    lines.extend(stays.iter().map(|it| line(Role::Added, "stays ", it)));
}
