//! Completion of the workspace's path.

use std::path::PathBuf;

use crate::tui::{
    effect::Ask,
    model::{Out, Purpose},
    popup::{
        PopupId,
        form::{Field, LIST, Model, fields::Value},
    },
};

/// The directory that was listed last.
#[derive(Debug, Default)]
pub struct Completion {
    dir: String,
    /// Its directories, with `/` at the end.
    names: Vec<String>,
}

impl Completion {
    /// Takes the names in the directory.
    pub fn listed(&mut self, names: &[String]) {
        self.names = names.iter().filter(|it| it.ends_with('/')).cloned().collect();
    }
}

/// Lists the directory that is being typed, unless it is listed already.
pub fn ask(model: &mut Model, id: PopupId, out: &mut Out) {
    if model.focus != Field::Workspace {
        return;
    }
    let path = model.fields.workspace();
    let Some((dir, _)) = path.rsplit_once('/') else { return };
    let dir = format!("{dir}/");
    if !dir.starts_with('/') || dir == model.completion.dir {
        return;
    }
    model.completion = Completion { dir: dir.clone(), names: Vec::new() };
    out.ask("list a directory", Ask::ListDir(PathBuf::from(dir)), Purpose::PopupItem(id, LIST));
}

/// Returns the directories that go on from what is typed.
pub fn candidates(model: &Model) -> Vec<&str> {
    let path = model.fields.workspace();
    let Some((dir, begun)) = path.rsplit_once('/') else { return Vec::new() };
    if model.completion.dir.strip_suffix('/') != Some(dir) {
        return Vec::new();
    }
    // Hidden ones only if they are asked for.
    let fits = |it: &&String| it.starts_with(begun) && (!begun.is_empty() || !it.starts_with('.'));
    let longer = |it: &&String| begun.len() < it.len();
    model.completion.names.iter().filter(fits).filter(longer).map(String::as_str).collect()
}

/// Returns what [`take`] would add.
pub fn ghost(model: &Model) -> String {
    let path = model.fields.workspace();
    let begun = path.rsplit_once('/').map_or("", |it| it.1).len();
    let candidates = candidates(model);
    let Some(first) = candidates.first() else { return String::new() };
    let same = |it: &&str| {
        let pairs = first.char_indices().zip(it.chars());
        pairs.take_while(|((_, a), b)| a == b).map(|((at, a), _)| at + a.len_utf8()).last()
    };
    let common = candidates.iter().map(|it| same(it).unwrap_or(0)).min().unwrap_or(0);
    first.get(begun..common).unwrap_or_default().to_owned()
}

/// Completes as far as it is clear; tells whether there was something to complete.
pub fn take(model: &mut Model) -> bool {
    let ghost = ghost(model);
    match model.fields.value_mut(Field::Workspace) {
        Some(Value::Line(input)) if !ghost.is_empty() && input.at_end() => {
            input.insert(&ghost);
            true
        }
        _ => false,
    }
}
