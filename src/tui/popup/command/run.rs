//! What lines of `:` mean.

use crate::{
    api::view::TaskView,
    stdx::text::{nearest, one_line},
    tui::{
        effect::{Ask, File, LogView, TermKind},
        filter,
        keymap::{self, Action, Context, TABLE, binding},
        model::{Level, Model, Out, Panel, Purpose, Shared, Then, replica::Letter},
        money::set::{Target, Wish},
        pane::{tasks, term},
        popup::entry,
        sort::{Group, Sort},
        theme::Theme,
        words,
    },
};

/// Completions that are offered at once.
const OFFERED_MAX: usize = 50;

/// Themes by name.
const THEMES: [Theme; 4] = [Theme::Dark, Theme::Light, Theme::HighContrast, Theme::Plain];

/// What a word takes after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Takes {
    Nothing,
    Task,
    Theme,
    Sort,
    Group,
    Filter,
    Path,
    Keys,
    Label,
    Budget,
}

/// Words besides the names of actions. Where both exist, this one counts.
const WORDS: &[(&str, Takes)] = &[
    ("attach", Takes::Task),
    ("task", Takes::Task),
    ("theme", Takes::Theme),
    ("sort", Takes::Sort),
    ("group", Takes::Group),
    ("filter", Takes::Filter),
    ("save", Takes::Path),
    ("send-keys", Takes::Keys),
    ("tasks", Takes::Nothing),
    ("preview", Takes::Nothing),
    ("logs", Takes::Nothing),
    ("checkpoints", Takes::Nothing),
    ("checkpoint", Takes::Label),
    ("budget", Takes::Budget),
    ("inbox", Takes::Nothing),
    ("events", Takes::Nothing),
    ("jobs", Takes::Nothing),
    ("undo", Takes::Nothing),
    ("new", Takes::Nothing),
    ("keys", Takes::Nothing),
    ("q", Takes::Nothing),
];

/// Runs a line of `:`.
pub fn run(model: &mut Model, line: &str, out: &mut Out) {
    let line = line.trim().trim_start_matches(':').trim_start();
    let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if let Err(problem) = does(model, word, rest.trim(), out) {
        out.note(Level::Error, problem);
    }
}

fn does(model: &mut Model, word: &str, rest: &str, out: &mut Out) -> Result<(), String> {
    match word {
        "" => (),
        "attach" if !rest.is_empty() => {
            let task = find(&model.shared, rest)?.id.clone();
            out.then.push(Then::Attach { task, kind: TermKind::Attach });
        }
        "task" => {
            let task = find(&model.shared, rest)?.id.clone();
            out.then.extend([Then::Select(task), Then::Focus(Panel::Tasks)]);
        }
        "theme" if !rest.is_empty() => {
            let theme = among(&THEMES.map(|it| (it.name(), it)), rest, "theme")?;
            model.shared.look.theme = Theme::named(theme.name(), &model.shared.facts);
        }
        "sort" if !rest.is_empty() => {
            let sort = among(&Sort::ALL.map(|it| (it.name(), it)), rest, "sort")?;
            tasks::set_sort(&mut model.tasks, &model.shared, sort, out);
        }
        "group" if !rest.is_empty() => {
            let group = among(&Group::ALL.map(|it| (it.name(), it)), rest, "group")?;
            tasks::set_group(&mut model.tasks, &model.shared, group, out);
        }
        "filter" if !rest.is_empty() => {
            filter::Filter::parse(rest)?;
            out.then.push(Then::Filter(rest.to_owned()));
        }
        "events" => {
            let steps = match model.log.view_shown() {
                LogView::Events => 0,
                LogView::Activity => 1,
                LogView::Terminal => 2,
            };
            out.then.push(Then::Focus(Panel::Log));
            out.then.extend((0..steps).map(|_| Then::Act(Action::LogView)));
        }
        "copy-answer" => {
            tasks::want_answer(&mut model.tasks, rest, tasks::Want::Copy, out);
        }
        "checkpoint" if !rest.is_empty() => {
            let task = model.shared.task().ok_or("no task is selected")?;
            entry::save(&task.id, &task.name, rest, out);
        }
        "budget" if !rest.is_empty() => set_budget(&model.shared, rest, out)?,
        "save" => save(model, rest, out)?,
        "send-keys" => send_keys(model, rest, out)?,
        _ => out.then.push(Then::Act(action(word)?)),
    }
    Ok(())
}

/// Returns the action of a word without more.
fn action(word: &str) -> Result<Action, String> {
    use Action as A;
    let action = match word {
        "tasks" => A::PanelTasks,
        "preview" => A::PanelPreview,
        "logs" | "log" => A::PanelLog,
        "checkpoints" => A::PanelCheckpoints,
        "budget" => A::PanelBudget,
        "inbox" => A::PanelInbox,
        "undo" => A::UndoList,
        "keys" => A::Help,
        "q" => A::Quit,
        _ => match keymap::named(word).filter(|it| named_here(*it)) {
            Some(it) => it,
            None => {
                let word = one_line(word, 40);
                let near = nearest(&word, names());
                let hint = near.first().map(|it| format!("; did you mean `{it}`?"));
                return Err(format!("`{word}` is no command{}", hint.unwrap_or_default()));
            }
        },
    };
    Ok(action)
}

/// Tells whether an action can be named here: not those that count only where text is typed.
fn named_here(action: Action) -> bool {
    !matches!(binding(action).context, Context::Form | Context::Scroll)
}

fn names() -> impl Iterator<Item = &'static str> {
    let actions = TABLE.iter().filter(|it| named_here(it.action)).map(|it| it.name);
    WORDS.iter().map(|it| it.0).chain(actions)
}

fn among<T: Copy>(all: &[(&'static str, T)], word: &str, what: &str) -> Result<T, String> {
    let exact = all.iter().find(|it| it.0 == word);
    if let Some(it) = exact.or_else(|| all.iter().find(|it| it.0.starts_with(word))) {
        return Ok(it.1);
    }
    let names: Vec<&str> = all.iter().map(|it| it.0).collect();
    Err(format!("no {what} `{}`; there are {}", one_line(word, 40), names.join(", ")))
}

/// Returns the task of that id or name, or the only one whose id or name begins so.
fn find<'a>(shared: &'a Shared, word: &str) -> Result<&'a TaskView, String> {
    if word.is_empty() {
        return Err("which task? give its id, its name, or how one begins".to_owned());
    }
    if let Some(it) = shared.replica.task(word) {
        return Ok(it);
    }
    let all = || shared.replica.tasks.values();
    let exact: Vec<_> = all().filter(|it| it.name == word).collect();
    let begins = |it: &&std::sync::Arc<TaskView>| {
        it.id.starts_with(word)
            || it.id.trim_start_matches("task-").starts_with(word)
            || it.name.starts_with(word)
    };
    let found = if exact.is_empty() { all().filter(begins).collect() } else { exact };
    match found.as_slice() {
        [one] => Ok(one),
        [] => Err(format!("no task begins with `{}`", one_line(word, 40))),
        several => {
            let mut names: Vec<String> = several.iter().map(|it| one_line(&it.name, 30)).collect();
            names.sort();
            names.truncate(3);
            let count = several.len();
            Err(format!("{count} tasks begin so, among them {}", names.join(", ")))
        }
    }
}

/// Writes the tasks that are listed to a file, one a line, separated by tabs.
fn save(model: &Model, path: &str, out: &mut Out) -> Result<(), String> {
    if path.is_empty() {
        return Err("save to which file?".to_owned());
    }
    let path = entry::path(&model.shared, path);
    let mut text = String::from("id\tname\tstate\twhere\tcost_usd\twhat\n");
    let listed = tasks::listed_ids(&model.tasks);
    for task in listed.filter_map(|it| model.shared.replica.task(it)) {
        let cells = [
            one_line(&task.id, 80),
            one_line(&task.name, 200),
            crate::tui::sort::state_name(Letter::of(task)).to_owned(),
            words::place(task),
            format!("{:.4}", task.cost_usd),
            words::what(task),
        ];
        text.push_str(&cells.join("\t"));
        text.push('\n');
    }
    let ask = Ask::WriteFile { file: File::Chosen(path), text };
    out.ask("saved the tasks listed", ask, Purpose::Tell);
    Ok(())
}

/// Sets a ceiling: `set 50`, `set 50 day`, `set none host gpu-box`.
fn set_budget(shared: &Shared, text: &str, out: &mut Out) -> Result<(), String> {
    let usage = "budget set AMOUNT, with `day` or `host NAME` behind it for another ceiling";
    let mut words = text.split_whitespace();
    if words.next() != Some("set") {
        return Err(usage.to_owned());
    }
    let amount = words.next().ok_or(usage)?;
    let target = match (words.next(), words.next(), words.next()) {
        (None | Some("all"), None, _) => Target::All,
        (Some("day"), None, _) => Target::Day,
        (Some("host"), Some(name), None) => Target::Host(name.to_owned()),
        _ => return Err(usage.to_owned()),
    };
    let wish = Wish::parse(amount, &target)?;
    target.set(wish, shared, out);
    Ok(())
}

/// Sends keys to the attached session that the dashboard keeps to itself.
fn send_keys(model: &mut Model, text: &str, out: &mut Out) -> Result<(), String> {
    if model.term.attached().is_none() {
        return Err("no session is attached".to_owned());
    }
    let keys: Result<Vec<_>, String> = text
        .split_whitespace()
        .map(|it| keymap::parse(it).ok_or_else(|| format!("`{}` is no key", one_line(it, 20))))
        .collect();
    for key in keys? {
        term::send_key(&mut model.term, &key, out);
    }
    Ok(())
}

/// Returns lines that begin as `text` does, completed by one word.
pub fn completions(text: &str, shared: &Shared) -> Vec<String> {
    let Some((word, rest)) = text.split_once(' ') else {
        let mut found: Vec<&str> = names().filter(|it| it.starts_with(text)).collect();
        found.sort_unstable();
        found.dedup();
        let space = |it: &str| match WORDS.iter().find(|word| word.0 == it) {
            Some((_, takes)) if *takes != Takes::Nothing => format!("{it} "),
            _ => it.to_owned(),
        };
        return found.into_iter().filter(|it| *it != text).take(OFFERED_MAX).map(space).collect();
    };
    let takes = WORDS.iter().find(|it| it.0 == word).map_or(Takes::Nothing, |it| it.1);
    let fits = |all: Vec<String>| -> Vec<String> {
        let begins = all.into_iter().filter(|it| it.starts_with(rest) && it != rest);
        begins.take(OFFERED_MAX).map(|it| format!("{word} {it}")).collect()
    };
    match takes {
        Takes::Task => {
            let all = shared.replica.tasks.values();
            let mut names: Vec<String> = all
                .filter(|it| word != "attach" || it.session.is_some())
                .map(|it| if it.name.contains(char::is_whitespace) { &it.id } else { &it.name })
                .map(|it| one_line(it, 80))
                .collect();
            names.sort();
            names.dedup();
            fits(names)
        }
        Takes::Theme => fits(THEMES.iter().map(|it| it.name().to_owned()).collect()),
        Takes::Sort => fits(Sort::ALL.iter().map(|it| it.name().to_owned()).collect()),
        Takes::Group => fits(Group::ALL.iter().map(|it| it.name().to_owned()).collect()),
        Takes::Filter => filter::completions(rest, &[])
            .into_iter()
            .map(|(it, _)| format!("{word} {}", filter::complete(rest, &it)))
            .collect(),
        Takes::Budget => {
            let hosts = shared.replica.budget.iter().flat_map(|it| &it.ceilings);
            let hosts = hosts.filter_map(|it| it.host.as_deref());
            let amount = rest.split_whitespace().nth(1).unwrap_or("50");
            let all = ["", " day"].map(str::to_owned).into_iter();
            let all = all.chain(hosts.map(|it| format!(" host {}", one_line(it, 40))));
            fits(all.map(|it| format!("set {amount}{it}")).collect())
        }
        Takes::Nothing | Takes::Path | Takes::Keys | Takes::Label => Vec::new(),
    }
}
