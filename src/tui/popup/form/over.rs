//! What lies over the form: prompts sent before, templates, and the dry run in full.

use ratatui::layout::Rect;

use crate::{
    stdx::text::printable,
    tui::{
        canvas::Canvas,
        keymap::Action,
        model::{Level, Out, Shared},
        popup::form::{Field, Model, Preview},
        theme::Role,
        widget::{
            chooser::{Chooser, Picked},
            frame,
            input::Input,
        },
    },
    vt::input::{Code, Key},
};

/// Templates that are kept.
const TEMPLATES_MAX: usize = 100;

/// What lies over the form.
#[derive(Debug)]
pub enum Over {
    History(Chooser),
    /// With the names, in the chooser's order.
    Templates(Chooser, Vec<String>),
    /// The name of a template that is saved.
    SaveAs(Input),
    /// The dry run, from this line on.
    Plan {
        top: usize,
    },
}

impl Over {
    /// Takes pasted text.
    pub fn paste(&mut self, text: &str) {
        if let Over::SaveAs(input) = self {
            input.insert(text);
        }
    }
}

/// Shows the prompts sent before.
pub fn history(model: &mut Model) {
    if model.before.is_empty() {
        model.problem = Some((None, "no prompt was sent before".to_owned()));
        return;
    }
    model.over = Some(Over::History(Chooser::new(model.before.iter().map(String::as_str))));
}

/// Shows the templates, or asks for a name if there are none yet.
pub fn templates(model: &mut Model) {
    let names: Vec<String> = model.templates.keys().filter(|it| !it.is_empty()).cloned().collect();
    model.over = Some(match names.is_empty() {
        true => Over::SaveAs(Input::default()),
        false => Over::Templates(Chooser::new(names.iter().map(String::as_str)), names),
    });
}

/// Does an action of the form while something lies over it.
pub fn act(model: &mut Model, _shared: &Shared, action: Action, out: &mut Out) {
    match (action, &mut model.over) {
        (Action::FormTemplates, Some(Over::Templates(..))) => {
            model.over = Some(Over::SaveAs(Input::default()));
        }
        (Action::FormHistory, Some(Over::History(chooser))) => chooser.step(1),
        (Action::FormClose | Action::FormDryRun, _) => model.over = None,
        _ => out.note(Level::Info, "Esc goes back to the form"),
    }
}

/// Takes a key.
pub fn key(model: &mut Model, shared: &Shared, key: &Key, out: &mut Out) {
    match &mut model.over {
        Some(Over::History(chooser)) => match chooser.key(key) {
            Picked::Take(at) | Picked::Edit(at) => {
                model.fields.prompt.set(&model.before[at].clone());
                (model.over, model.focus) = (None, Field::Prompt);
                model.changed(shared);
            }
            Picked::None | Picked::Delete(_) => (),
        },
        Some(Over::Templates(chooser, names)) => match chooser.key(key) {
            Picked::Take(at) | Picked::Edit(at) => {
                let saved = model.templates.get(&names[at]).cloned().unwrap_or_default();
                model.fields.load(&saved);
                model.over = None;
                model.changed(shared);
            }
            Picked::Delete(at) => {
                model.templates.remove(&names[at]);
                out.note(Level::Done, format!("template {} deleted", names[at]));
                model.write_templates(out);
                model.over = None;
            }
            Picked::None => (),
        },
        Some(Over::SaveAs(input)) => match key.code {
            Code::Enter => {
                let name = input.text().trim().to_owned();
                save(model, name, out);
            }
            _ => {
                input.key(key);
            }
        },
        Some(Over::Plan { top }) => match key.code {
            Code::Down | Code::Char('j') => *top += 1,
            Code::Up | Code::Char('k') => *top = top.saturating_sub(1),
            Code::PageDown => *top += 10,
            Code::PageUp => *top = top.saturating_sub(10),
            Code::Enter | Code::Char('q') => model.over = None,
            _ => (),
        },
        None => (),
    }
}

fn save(model: &mut Model, name: String, out: &mut Out) {
    if name.is_empty() {
        return out.note(Level::Info, "a template needs a name");
    }
    if TEMPLATES_MAX <= model.templates.len() && !model.templates.contains_key(&name) {
        return out.note(Level::Warning, "there are 100 templates; delete one first");
    }
    out.note(Level::Done, format!("template {name} saved"));
    model.templates.insert(name, model.fields.save());
    model.write_templates(out);
    model.over = None;
}

/// Draws it.
pub fn view(over: &Over, model: &Model, shared: &Shared, area: Rect, canvas: &mut Canvas) {
    let theme = shared.look.theme;
    let size = (area.width.saturating_sub(4), area.height.saturating_sub(4));
    let mut list = |title: &str, chooser: &Chooser| {
        let inside = frame::popup(canvas, area, size, title, theme);
        chooser.view(inside, theme, canvas);
    };
    match over {
        Over::History(it) => list(" Prompts sent before — Enter takes, Esc back ", it),
        Over::Templates(it, _) => {
            list(" Templates — Enter loads, Ctrl+T saves this, Ctrl+Delete deletes ", it);
        }
        Over::SaveAs(input) => {
            let title = " Save as a template: name, then Enter ";
            let inside = frame::popup(canvas, area, (60, 3), title, theme);
            input.view(inside, true, theme, canvas);
        }
        Over::Plan { top } => {
            let title = " Dry run: nothing is started — Esc back ";
            let inside = frame::popup(canvas, area, size, title, theme);
            let text = plan(model);
            let lines: Vec<&str> = text.lines().collect();
            let most = lines.len().saturating_sub(1);
            let rest = lines[(*top).min(most)..].join("\n");
            frame::paragraph(canvas, inside, &rest, theme.style(Role::Text));
        }
    }
}

/// Returns the dry run in full.
fn plan(model: &Model) -> String {
    let plan = match &model.preview {
        Preview::Nothing | Preview::Asked => return "asking the dispatcher".to_owned(),
        Preview::Not(why) => return format!("it would be refused: {}", printable(why)),
        Preview::Is(it) => it,
    };
    let mut text = format!("Target:    {}\n", plan.target);
    if let Some(waits) = &plan.waits {
        text.push_str(&format!("Waits:     {waits}\n"));
    }
    text.push_str(&format!("Workspace: {}\n", plan.workspace));
    plan.notes.iter().for_each(|it| text.push_str(&format!("           {it}\n")));
    let price = plan.price_per_hour_usd;
    text.push_str(&format!("Price:     ${price:.2} per hour, and what Claude costs\n"));
    if !plan.estimate.text.is_empty() {
        text.push_str(&format!("Estimate:  {}\n", plan.estimate.text));
    }
    if let Some(refused) = &plan.estimate.refused {
        text.push_str(&format!("Refused:   {refused}\n"));
    }
    text.push_str("\nCommands:\n");
    plan.commands.iter().for_each(|it| text.push_str(&format!("  {it}\n")));
    printable(&text)
}
