//! `checkpoint diff`: what differs between two checkpoints.

use crate::{
    api::checkpoints::CheckpointDiff,
    cli::{
        args::checkpoint::Diff,
        context::Context,
        diff,
        out::Done,
        paint::Paint,
        view::{count, dollars},
    },
    stdx::text::one_line,
};

/// Shows what differs.
pub async fn diff(context: &Context, args: &Diff) -> Done {
    let client = context.client().await?;
    let to = args.to.as_deref().unwrap_or("previous");
    let found = client.checkpoint_diff(&args.id, to).await?;
    let out = &context.out;
    if out.json {
        out.json(&found)?;
        return Ok(0);
    }
    out.line(&head(&found, out.paint))?;
    if found.diff.files == 0 {
        out.note("No file differs.");
        return Ok(0);
    }
    out.line(&diff::stat(&found.diff, out.paint))?;
    if !args.stat {
        out.line("")?;
        out.line(&diff::text(&found.diff.text, out.paint))?;
        if found.diff.cut {
            out.note("That is not all: the differences are too long to show. See --stat.");
        }
    }
    Ok(0)
}

/// Returns both sides, how many files differ, and what was spent between them.
fn head(found: &CheckpointDiff, paint: Paint) -> String {
    let sides = format!("{} → {}", one_line(&found.from, 40), one_line(&found.to, 40));
    let sides = paint.bold(&sides);
    let change = &found.change;
    let files =
        format!("{} added, {} modified, {} deleted", change.added, change.modified, change.deleted);
    format!("{sides}  {files}, {}", between(found))
}

/// Returns turns, tokens and dollars between the two. Going back they are less than nothing.
fn between(found: &CheckpointDiff) -> String {
    let signed = |n: i64, what: &str| {
        let sign = if n < 0 { "-" } else { "" };
        format!("{sign}{}", count(n.unsigned_abs(), what))
    };
    let cost = match found.cost_usd {
        it if it < 0.0 => format!("-{}", dollars(-it)),
        it => dollars(it),
    };
    format!("{}, {}, {cost}", signed(found.turns, "turn"), signed(found.tokens, "token"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::checkpoints::ChangeView;

    #[test]
    fn the_head_says_what_lies_between() {
        let found = CheckpointDiff {
            from: "cp-aaaa2345".into(),
            to: "now".into(),
            change: ChangeView { added: 2, modified: 1, ..ChangeView::default() },
            turns: 1,
            tokens: 12_345,
            cost_usd: 0.31,
            ..CheckpointDiff::default()
        };
        let plain = Paint { on: false };
        insta::assert_snapshot!(head(&found, plain), @r"cp-aaaa2345 → now  2 added, 1 modified, 0 deleted, 1 turn, 12345 tokens, $0.31");
        let back = CheckpointDiff { turns: -2, tokens: -1, cost_usd: -0.5, ..found };
        assert_eq!(between(&back), "-2 turns, -1 token, -$0.50");
    }
}
