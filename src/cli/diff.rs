//! `task diff`: what a task changed.

use crate::{
    api::types::{Diff, DiffFile},
    cli::{args::task, context::Context, out::Done, paint::Paint},
    stdx::text::{one_line, printable},
};

/// Shows what a task changed.
pub async fn diff(context: &Context, args: &task::Diff) -> Done {
    let found = context.client().await?.diff(&args.id).await?;
    let out = &context.out;
    if out.json {
        out.json(&found)?;
    } else if found.files == 0 {
        out.note("Nothing changed.");
    } else if args.stat {
        out.line(&stat(&found, out.paint))?;
    } else {
        out.line(&text(&found.text, out.paint))?;
        if found.cut {
            out.note("That is not all: the differences are too long to show. See --stat.");
        }
    }
    Ok(0)
}

/// Returns a line for each file, and their sum.
pub fn stat(found: &Diff, paint: Paint) -> String {
    let mut lines: Vec<String> = found.stat.iter().map(|it| file(it, paint)).collect();
    let sum =
        |of: fn(&DiffFile) -> u32| found.stat.iter().fold(0u64, |sum, it| sum + u64::from(of(it)));
    let more = if found.stat.len() < found.files as usize { " at least" } else { "" };
    let files = if found.files == 1 { "1 file".into() } else { format!("{} files", found.files) };
    lines.push(format!("{files},{more} +{} -{}", sum(|it| it.added), sum(|it| it.removed)));
    lines.join("\n")
}

fn file(file: &DiffFile, paint: Paint) -> String {
    let path = one_line(&file.path, 400);
    let now = file.now.as_deref().map(|it| format!(" (now {})", one_line(it, 40)));
    let path = format!("{path}{}", now.unwrap_or_default());
    let letter = match file.status {
        Some(it @ 'A') => format!("{} ", paint.green(&it.to_string())),
        Some(it @ 'D') => format!("{} ", paint.red(&it.to_string())),
        Some(it) => format!("{} ", one_line(&it.to_string(), 1)),
        None => String::new(),
    };
    if file.binary {
        return format!("{letter}{:>13}  {path}", "binary");
    }
    let (added, removed) = (format!("+{}", file.added), format!("-{}", file.removed));
    let pad = " ".repeat(12usize.saturating_sub(added.len() + removed.len()));
    format!("{letter}{pad}{} {}  {path}", paint.green(&added), paint.red(&removed))
}

/// Returns differences as a person reads them.
pub fn text(text: &str, paint: Paint) -> String {
    let line = |it: &str| match it.as_bytes() {
        [b'+', b'+', b'+', ..] | [b'-', b'-', b'-', ..] | [b'd', b'i', b'f', b'f', ..] => {
            paint.bold(it)
        }
        [b'+', ..] => paint.green(it),
        [b'-', ..] => paint.red(it),
        [b'@', ..] => paint.cyan(it),
        _ => it.to_owned(),
    };
    let lines: Vec<String> = printable(text).lines().map(line).collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_has_a_line_and_all_a_sum() {
        let file = |path: &str, added, removed, binary| DiffFile {
            path: path.into(),
            added,
            removed,
            binary,
            ..DiffFile::default()
        };
        let stat_of = vec![file("a.rs", 12, 3, false), file("pic\x1b.png", 0, 0, true)];
        let found = Diff { files: 2, stat: stat_of, ..Diff::default() };
        insta::assert_snapshot!(format!("|\n{}", stat(&found, Paint { on: false })), @r"
        |
               +12 -3  a.rs
               binary  pic�.png
        2 files, +12 -3
        ");
        let known = DiffFile {
            status: Some('M'),
            now: Some("executable".into()),
            ..file("run.sh", 0, 0, false)
        };
        let shown = super::file(&known, Paint { on: false });
        assert_eq!(shown, "M         +0 -0  run.sh (now executable)");
    }

    #[test]
    fn what_was_added_is_told_from_what_was_removed() {
        let paint = Paint { on: true };
        let shown = text("diff --git a b\n+++ b\n+new\n-old\n@@ x\n same \x1b[2J\n", paint);
        let expected = [
            paint.bold("diff --git a b"),
            paint.bold("+++ b"),
            paint.green("+new"),
            paint.red("-old"),
            paint.cyan("@@ x"),
            " same �[2J".to_owned(),
        ];
        assert_eq!(shown, expected.join("\n"));
    }
}
