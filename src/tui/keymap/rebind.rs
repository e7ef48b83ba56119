//! What `[keys]` and `ui.detach_keys` change, and what is wrong with them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    stdx::text::{nearest, one_line},
    tui::keymap::{Action, Binding, Context, Keymap, TABLE, binding, defaults, named, parse, show},
    vt::input::{Code, Key, Mods},
};

/// Returns the table with the changes, and the problems, one line each. What is wrong changes
/// nothing, so a mistake never takes a key away that was not touched.
pub fn with(changes: &BTreeMap<String, String>, detach: &[String]) -> (Keymap, Vec<String>) {
    let mut keys = defaults();
    let mut problems = Vec::new();
    let mut touched = BTreeSet::new();
    for (name, text) in changes {
        match change(name, text) {
            Ok((action, wanted)) => {
                keys[action as usize] = wanted;
                touched.insert(action);
            }
            Err(problem) => problems.push(problem),
        }
    }
    leave(&mut keys, detach, &mut problems);
    settle(&mut keys, &touched, &mut problems);
    hidden(&keys, &touched, &mut problems);
    (Keymap::of(keys), problems)
}

fn change(name: &str, text: &str) -> Result<(Action, Vec<Key>), String> {
    let shown = one_line(name, 40);
    let Some(action) = named(name) else {
        let near = nearest(name, TABLE.iter().map(|it| it.name));
        let hint = near.first().map(|it| format!("; did you mean `{it}`?")).unwrap_or_default();
        return Err(format!("`keys.{shown}`: there is no such action{hint}"));
    };
    if action == Action::Leave {
        return Err("`keys.leave`: the keys that leave a session are `ui.detach_keys`".to_owned());
    }
    let row = binding(action);
    let keys: Result<Vec<Key>, String> =
        text.split_whitespace().map(|it| key_for(row, it)).collect();
    let keys = keys.map_err(|problem| format!("`keys.{shown}`: {problem}"))?;
    Ok((action, keys))
}

fn key_for(row: &Binding, text: &str) -> Result<Key, String> {
    let key = parse(text).ok_or_else(|| {
        format!("`{}` is no key; write for example `q`, `ctrl-q` or `f12`", one_line(text, 20))
    })?;
    let held = key.mods != Mods::NONE && key.mods != Mods::SHIFT;
    if row.context.is_text() && matches!(key.code, Code::Char(_)) && !held {
        return Err(format!("`{}` is text there; hold Ctrl or Alt with it", show(&key)));
    }
    Ok(key)
}

/// The keys that leave a session; never none, since there would be no way back.
fn leave(keys: &mut [Vec<Key>], detach: &[String], problems: &mut Vec<String>) {
    let row = binding(Action::Leave);
    let mut wanted = Vec::new();
    for text in detach {
        match key_for(row, text) {
            Ok(key) => wanted.push(key),
            Err(problem) => problems.push(format!("`ui.detach_keys`: {problem}")),
        }
    }
    if wanted.is_empty() {
        let kept: Vec<String> = keys[Action::Leave as usize].iter().map(show).collect();
        if !detach.is_empty() {
            let kept = kept.join(", ");
            problems.push(format!("`ui.detach_keys`: no key is left, so {kept} leave a session"));
        }
    } else {
        keys[Action::Leave as usize] = wanted;
    }
}

/// Of two actions of one place that claim one key, one gets it: what leaves a session, else what
/// the person chose.
fn settle(keys: &mut [Vec<Key>], touched: &BTreeSet<Action>, problems: &mut Vec<String>) {
    for (i, row) in TABLE.iter().enumerate() {
        for (j, other) in TABLE.iter().enumerate().skip(i + 1) {
            if other.context != row.context {
                continue;
            }
            let shared: Vec<Key> =
                keys[i].iter().filter(|it| keys[j].contains(it)).copied().collect();
            for key in shared {
                let leaves = |it: &Binding| it.action == Action::Leave;
                let second = leaves(other) || (!leaves(row) && !touched.contains(&row.action));
                let (loser, won, lost) = if second { (i, other, row) } else { (j, row, other) };
                keys[loser].retain(|it| *it != key);
                let (key, won, lost) = (show(&key), won.name, lost.name);
                problems.push(format!("`keys.{won}`: {key} was `{lost}`, which now lacks it"));
            }
        }
    }
}

/// A key that counts everywhere but where a panel has it for itself: in the table that is meant,
/// in a configuration it may not be.
fn hidden(keys: &[Vec<Key>], touched: &BTreeSet<Action>, problems: &mut Vec<String>) {
    let is_new = |row: &Binding, key: &Key| {
        touched.contains(&row.action) && !row.keys.iter().any(|it| parse(it).as_ref() == Some(key))
    };
    for (own, own_keys) in TABLE.iter().zip(keys) {
        if !own.context.has_global() || own.context == Context::Global {
            continue;
        }
        for (global, global_keys) in TABLE.iter().zip(keys) {
            if global.context != Context::Global {
                continue;
            }
            for key in own_keys.iter().filter(|it| global_keys.contains(it)) {
                if is_new(own, key) || is_new(global, key) {
                    let (place, key) = (own.context.name(), show(key));
                    let (own, global) = (own.name, global.name);
                    problems
                        .push(format!("{key} is `{own}` in {place}, so `{global}` lacks it there"));
                }
            }
        }
    }
}
