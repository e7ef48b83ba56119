//! A diff as rows: what differs, in the colours of its code.

use crate::{
    api::{checkpoints::CheckpointDiff, types::Diff},
    stdx::text::one_line,
    tui::{
        popup::text::{Model, Row},
        syntax::{self, Reader},
        theme::Role,
        words,
    },
};

/// Takes what a task changed.
pub fn of_task(model: &mut Model, diff: &Diff) {
    let base: String = diff.base.chars().take(12).collect();
    let files = words::count(diff.files, "file");
    model.title = format!("Diff  {files} since {}", one_line(&base, 12));
    model.rows = rows(diff, "nothing was changed", None);
}

/// Takes what lies between two checkpoints, or of it what concerns one file.
pub fn of_checkpoints(model: &mut Model, it: &CheckpointDiff) {
    let (from, to) = (one_line(&it.from, 40), one_line(&it.to, 40));
    let change = words::change(&it.change);
    model.title = match &model.only {
        Some(file) => format!("{}  {from} to {to}", one_line(file, 60)),
        None => format!("Diff  {from} to {to}  {change}"),
    };
    model.rows = match &model.only {
        Some(file) => rows(&it.diff, "it did not change between the two", Some(file)),
        None => {
            let c = &it.change;
            let files = format!("{} new, {} changed, {} deleted", c.added, c.modified, c.deleted);
            let cost = words::money(it.cost_usd);
            let (turns, tokens) =
                (words::count(it.turns, "turn"), words::count(it.tokens, "token"));
            let spent = format!("{turns}, {tokens}, ${cost}");
            let mut all = vec![Row::fact("files", &files), Row::fact("between", &spent)];
            all.push(Row::default());
            all.extend(rows(&it.diff, "no file differs", None));
            all
        }
    };
}

/// Returns the files with their counts, and the text; or what concerns `only` one file.
fn rows(diff: &Diff, nothing: &str, only: Option<&str>) -> Vec<Row> {
    let mut rows = Vec::new();
    for file in diff.stat.iter().filter(|it| only.is_none_or(|only| it.path == only)) {
        let (counts, path) = words::file(file);
        rows.push(Row::fact(&counts, &path));
    }
    if rows.is_empty() {
        rows.push(Row::new(Some(Role::Dim), nothing));
    }
    let stat = rows.len();
    rows.push(Row::default());
    let mut code = Code::default();
    let mut wanted = true;
    for line in diff.text.lines() {
        if let Some(header) = line.strip_prefix("diff --git ") {
            wanted = only.is_none_or(|only| names(header, only));
        }
        if wanted {
            rows.push(code.row(line));
        }
    }
    if only.is_some() && rows.len() <= stat + 1 && rows[0].role.is_none() && !diff.cut {
        rows.push(Row::new(Some(Role::Dim), "its content is not shown: it is no text"));
    }
    if diff.cut {
        let text = "this is not all: the command line and git in the workspace show more";
        rows.push(Row::new(Some(Role::Warning), text));
    }
    rows
}

/// Tells whether the first line of a file's part names a file.
fn names(header: &str, path: &str) -> bool {
    let tail = |it: &str| it.trim_end_matches('"').ends_with(&format!("/{path}"));
    // Old and new path, which differ for a renamed file.
    tail(header) || header.strip_prefix("a/").is_some_and(|it| it.starts_with(&format!("{path} ")))
}

/// Reads the lines of a diff, each side of it as one text.
#[derive(Default)]
struct Code {
    old: Option<Reader>,
    new: Option<Reader>,
    /// The file's name, as the diff gave it last.
    path: String,
    /// Whether the lines are those of a file, and not about it.
    body: bool,
}

impl Code {
    fn row(&mut self, line: &str) -> Row {
        let is = |it: &str| line.starts_with(it);
        if is("diff ") {
            self.body = false;
            (self.old, self.new) = (None, None);
            return Row::new(Some(Role::Title), line);
        }
        if is("@@") {
            self.body = true;
            let language = syntax::of(&self.path);
            (self.old, self.new) = (language.map(Reader::new), language.map(Reader::new));
            return Row::new(Some(Role::Dim), line);
        }
        if !self.body {
            if is("--- ") || is("+++ ") {
                self.named(&line[4..]);
                return Row::new(Some(Role::Title), line);
            }
            return Row::new(None, line);
        }
        match line.as_bytes().first() {
            Some(b'+') => self.code(line, Role::Added),
            Some(b'-') => self.code(line, Role::Removed),
            _ => self.code(line, Role::Text),
        }
    }

    /// Takes a file's name; `/dev/null` is none.
    fn named(&mut self, name: &str) {
        let name = name.trim_end().trim_matches('"');
        if let Some(path) = name.strip_prefix("a/").or_else(|| name.strip_prefix("b/")) {
            path.clone_into(&mut self.path);
        }
    }

    /// Returns a line of the file: the sign in its colour, the code in the colours of its parts.
    fn code(&mut self, line: &str, role: Role) -> Row {
        let mut row = Row::new((role != Role::Text).then_some(role), line);
        // Read as it is shown: with tabs spread out.
        let Some(code) = row.text.get(1..) else { return row };
        let parts = match role {
            Role::Added => self.new.as_mut().map(|it| it.line(code)),
            Role::Removed => self.old.as_mut().map(|it| it.line(code)),
            _ => {
                let parts = self.new.as_mut().map(|it| it.line(code));
                if let Some(it) = &mut self.old {
                    it.line(code);
                }
                parts
            }
        };
        for part in parts.unwrap_or_default() {
            row.parts.push((part.end + 1, part.role));
        }
        row
    }
}
