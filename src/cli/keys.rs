//! `keys`: the dashboard's keys as they are, and what stands in their way.

use serde_json::{Value, json};

use crate::{
    api::error::ErrorKind,
    cli::{context::Context, out::Done},
    stdx::{
        text::printable,
        time::{Clock, SystemClock},
    },
    tui::{
        keymap::{Binding, Keymap, TABLE, outer::taken, show},
        model::look::Facts,
        perform::around,
    },
};

/// Shows every action with its keys; exits with 7 if `[keys]` is wrong.
pub async fn keys(context: &Context) -> Done {
    let out = &context.out;
    let settings = &context.setup.settings;
    let (keymap, problems) = Keymap::with(&settings.keys, &settings.ui.detach_keys);
    let facts = around::facts(false, false, SystemClock.now()).await;
    if out.json {
        let keys: Vec<Value> = TABLE.iter().map(|it| entry(it, &keymap, &facts)).collect();
        out.json(&json!({ "keys": keys, "problems": problems }))?;
    } else {
        out.line(&printable(&render(&keymap, &facts)))?;
        for problem in &problems {
            out.note(problem);
        }
    }
    Ok(if problems.is_empty() { 0 } else { ErrorKind::Config.exit_code() })
}

fn entry(row: &Binding, keymap: &Keymap, facts: &Facts) -> Value {
    let keys = keymap.keys(row.action);
    let lost: Vec<Value> = keys
        .iter()
        .filter_map(|it| taken(it, facts).map(|why| json!({ "key": show(it), "why": why })))
        .collect();
    json!({
        "action": row.name,
        "place": row.context.name(),
        "keys": keymap.labels(row.action),
        "does": row.long,
        "taken": lost,
    })
}

/// Returns the table, place by place: keys, name, what it does, and who takes which key.
fn render(keymap: &Keymap, facts: &Facts) -> String {
    let mut lines = Vec::new();
    let mut place = None;
    for row in TABLE {
        if place != Some(row.context) {
            if place.is_some() {
                lines.push(String::new());
            }
            lines.push(format!("# {}", row.context.name()));
            place = Some(row.context);
        }
        let keys = match keymap.labels(row.action) {
            none if none.is_empty() => "-".to_owned(),
            some => some.join(" "),
        };
        lines.push(format!("{keys:<22} {:<24} {}", row.name, row.long));
        for key in keymap.keys(row.action) {
            if let Some(why) = taken(key, facts) {
                lines.push(format!("{:<22} ! {}: {why}", "", show(key)));
            }
        }
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_action_is_shown_and_a_key_that_is_taken_says_by_whom() {
        let facts =
            Facts { in_tmux: true, outer_prefix: Some("ctrl-q".to_owned()), ..Facts::default() };
        let text = render(&Keymap::default(), &facts);
        for row in TABLE {
            assert!(text.contains(row.name) && text.contains(row.long), "{}", row.name);
        }
        assert!(text.contains("! Ctrl+Q: the prefix of the tmux around it"), "{text}");
    }
}
