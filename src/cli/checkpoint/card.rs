//! `checkpoint show`: everything about one checkpoint.

use crate::{
    api::checkpoints::{CheckpointDetail, CheckpointFiles, CheckpointView, LeftOutView},
    cli::{
        context::Context,
        out::Done,
        paint::Paint,
        show::Facts,
        view::{FIELD_MAX, count, dollars, pad_left, size},
        when::date_and_clock,
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp, short},
    },
};

/// Files that were left out which are named; the rest is counted.
const LEFT_OUT_SHOWN: usize = 20;

/// Shows a checkpoint.
pub async fn show(context: &Context, id: &str) -> Done {
    let detail = context.client().await?.checkpoint_detail(id).await?;
    let out = &context.out;
    match out.json {
        true => out.json(&detail)?,
        false => out.line(&card(&detail, SystemClock.now(), out.paint))?,
    }
    Ok(0)
}

/// Lists a checkpoint's files.
pub async fn files(context: &Context, id: &str) -> Done {
    let found = context.client().await?.checkpoint_files(id).await?;
    let out = &context.out;
    if out.json {
        out.json(&found)?;
        return Ok(0);
    }
    if !found.files.is_empty() {
        out.line(&listing(&found))?;
    }
    let shown = found.files.len() as u64;
    if shown < found.count {
        out.note(&format!("{} more; checkpoint export has all of them.", found.count - shown));
    }
    Ok(0)
}

fn listing(found: &CheckpointFiles) -> String {
    let line = |it: &crate::api::checkpoints::CheckpointFile| {
        let mark = match it.kind.as_str() {
            "program" => "*",
            "link" => "@",
            "repository" => "/",
            _ => "",
        };
        format!("{}  {}{mark}", pad_left(&size(it.bytes), 9), one_line(&it.path, FIELD_MAX))
    };
    found.files.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Returns a checkpoint's card: one fact a line, so that `grep` finds it.
pub fn card(detail: &CheckpointDetail, now: Timestamp, paint: Paint) -> String {
    let it = &detail.checkpoint;
    let mut facts = Facts::new(paint);
    facts.raw("checkpoint", &paint.bold(&one_line(&it.id, 40)));
    facts.maybe("label", it.label.as_deref());
    facts.add("task", &format!("{} ({})", it.task, it.task_name));
    let ago = short(now.since(it.at));
    facts.raw("created", &format!("{} ({ago} ago), {}", date_and_clock(it.at), it.trigger));
    if it.pinned {
        facts.raw("pinned", "yes");
    }
    if let Some(damage) = &it.damage {
        facts.raw("damaged", &paint.red(&one_line(damage, FIELD_MAX)));
    }
    contents(&mut facts, detail);
    places(&mut facts, detail);
    money(&mut facts, it);
    left_out(&mut facts, it, &detail.left_out);
    facts.text().to_owned()
}

fn contents(facts: &mut Facts, detail: &CheckpointDetail) {
    let it = &detail.checkpoint;
    let change = &it.change;
    let changes = match it.parent {
        Some(_) => format!(
            "{} added, {} modified, {} deleted, +{} -{}",
            change.added, change.modified, change.deleted, change.lines_added, change.lines_removed
        ),
        None => "none: it is the first".to_owned(),
    };
    facts.raw("changes", &changes);
    facts.maybe("before it", it.parent.as_deref());
    facts.raw("files", &format!("{}, {}", count(it.files, "file"), size(it.bytes)));
    facts.add("repositories", &detail.nested.join(", "));
    if detail.staged {
        facts.raw("index", "saved, with what is staged");
    }
    facts.add("beside", &detail.beside.join(", "));
    facts.add("env", &detail.env.join(" "));
}

fn places(facts: &mut Facts, detail: &CheckpointDetail) {
    let it = &detail.checkpoint;
    facts.add("workspace", &format!("{} ({})", it.workspace, it.provider));
    let head = it.head.as_deref().map(|it| it.chars().take(12).collect::<String>());
    match (&it.branch, head) {
        (Some(branch), Some(head)) => facts.add("branch", &format!("{branch} at {head}")),
        (Some(branch), None) => facts.add("branch", &format!("{branch}, without a commit")),
        (None, Some(head)) => facts.add("branch", &format!("none, at {head}")),
        (None, None) => (),
    }
    facts.maybe("conversation", it.conversation.as_deref());
    let stored = match it.stored_bytes {
        Some(bytes) => format!("on this machine, {} more than before it", size(bytes)),
        None => "not on this machine yet".to_owned(),
    };
    facts.raw("stored", &stored);
    facts.add("readable", &detail.places.join(", "));
}

fn money(facts: &mut Facts, it: &CheckpointView) {
    facts.raw("turns", &it.turns.to_string());
    let tokens = &it.tokens;
    facts.add("tokens", &format!("{} in, {} out ({})", tokens.input, tokens.output, tokens.source));
    facts.add("cost", &format!("{} ({})", dollars(it.cost_usd), it.cost_source));
}

fn left_out(facts: &mut Facts, it: &CheckpointView, named: &[LeftOutView]) {
    for one in named.iter().take(LEFT_OUT_SHOWN) {
        let bytes = one.bytes.map(|it| format!(", {}", size(it))).unwrap_or_default();
        facts.add("left out", &format!("{} ({}{bytes})", one.path, one.why));
    }
    let shown = named.len().min(LEFT_OUT_SHOWN) as u64;
    if shown < it.left_out {
        facts.raw("left out", &format!("{} more", it.left_out - shown));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::checkpoints::CheckpointFile,
        cli::checkpoint::tests::{NOON, no_clock, sample},
    };

    #[test]
    fn a_card_is_a_fact_a_line() {
        let left = |path: &str, why: &str, bytes| LeftOutView {
            path: path.into(),
            why: why.into(),
            bytes,
        };
        let detail = CheckpointDetail {
            checkpoint: CheckpointView {
                label: Some("tests green".into()),
                pinned: true,
                damage: Some("w/a.rs is missing".into()),
                left_out: 3,
                ..sample()
            },
            left_out: vec![left(".env", "secret", Some(120)), left("\x1b[2Jx", "special", None)],
            beside: vec!["conversation/0b7b6e0c.jsonl".into(), "terminal/scrollback".into()],
            env: vec!["LANG".into(), "TERM".into()],
            staged: true,
            nested: vec!["vendor/lib".into()],
            places: vec!["host".into(), "here".into()],
        };
        let shown = card(&detail, NOON, Paint { on: false });
        insta::assert_snapshot!(no_clock(&shown), @r"
        checkpoint    cp-abcd2345
        label         tests green
        task          task-abcd2345 (fix the race)
        created       DATE hh:mm:ss (5m ago), turn
        pinned        yes
        damaged       w/a.rs is missing
        changes       2 added, 1 modified, 0 deleted, +86 -14
        before it     cp-aaaa2345
        files         120 files, 2.1 MiB
        repositories  vendor/lib
        index         saved, with what is staged
        beside        conversation/0b7b6e0c.jsonl, terminal/scrollback
        env           LANG TERM
        workspace     /runs/task-abcd2345/workspace (local)
        branch        parhelia/task-abcd2345 at 0123456789ab
        conversation  0b7b6e0c
        stored        on this machine, 12 KiB more than before it
        readable      host, here
        turns         3
        tokens        10 in, 20 out (estimated)
        cost          $0.31 (reported)
        left out      .env (secret, 120 B)
        left out      �[2Jx (special)
        left out      1 more
        ");
    }

    #[test]
    fn files_are_listed_with_what_they_are() {
        let file = |path: &str, kind: &str, bytes| CheckpointFile {
            path: path.into(),
            kind: kind.into(),
            bytes,
        };
        let files = vec![
            file("a\n.rs", "file", 12),
            file("run", "program", 4 << 20),
            file("link", "link", 3),
            file("vendor/lib", "repository", 0),
        ];
        let shown = listing(&CheckpointFiles { files, count: 4 });
        insta::assert_snapshot!(format!("|\n{shown}"), @r"
        |
             12 B  a .rs
          4.0 MiB  run*
              3 B  link@
              0 B  vendor/lib/
        ");
    }
}
