//! `checkpoint prune` and `checkpoint verify`: what goes, and whether the rest is whole.

use std::collections::BTreeSet;

use crate::{
    api::checkpoints::{Prune, Pruned, Verified, VerifiedOne, Verify},
    cli::{
        args::checkpoint as args,
        checkpoint::{line, origin, table},
        context::Context,
        out::{Answer, Done},
        paint::Paint,
        view::{FIELD_MAX, count, size},
    },
    stdx::{
        text::one_line,
        time::{Clock, SystemClock, Timestamp},
    },
};

/// Deletes what is older than is kept; on a terminal after a question.
pub async fn prune(context: &Context, args: &args::Prune) -> Done {
    let out = &context.out;
    let client = context.client().await?;
    let what = Prune {
        task: args.session.clone(),
        older_than_seconds: args.older_than.map(|it| it.as_secs()),
        dry_run: args.dry_run,
    };
    if !args.dry_run && !args.yes && out.can_ask() {
        let found = client.prune(&Prune { dry_run: true, ..what.clone() }).await?;
        if found.checkpoints.is_empty() {
            out.note("Nothing is old enough to be deleted.");
            return Ok(0);
        }
        let now = SystemClock.now();
        out.note(&table::table(&found.checkpoints, now, Some(out.line_width()), out.paint_err));
        let n = count(found.checkpoints.len() as u64, "checkpoint");
        if !out.ask(&format!("Delete {n}?"), Answer::No) {
            out.note("Nothing was deleted.");
            return Ok(1);
        }
    }
    let done = client.prune(&what).await?;
    match out.json {
        true => out.json(&done)?,
        false => out.line(&pruned(&done, SystemClock.now()))?,
    }
    Ok(0)
}

fn pruned(done: &Pruned, now: Timestamp) -> String {
    let n = count(done.checkpoints.len() as u64, "checkpoint");
    let mut lines: Vec<String> = done.checkpoints.iter().map(|it| line(it, now)).collect();
    lines.push(match done.dry_run {
        true => format!("{n} would be deleted; {} kept now", size(done.store_bytes)),
        false => format!(
            "{n} deleted; {} freed, {} kept now",
            size(done.freed_bytes),
            size(done.store_bytes)
        ),
    });
    lines.join("\n")
}

/// Checks checkpoints; exits with 1 if one is damaged.
pub async fn verify(context: &Context, args: &args::Verify) -> Done {
    let what = Verify { checkpoint: args.id.clone(), task: args.session.clone() };
    let found = context.client().await?.verify(&what).await?;
    let out = &context.out;
    match out.json {
        true => out.json(&found)?,
        false => out.line(&verified(&found, SystemClock.now(), out.paint))?,
    }
    Ok(if found.checkpoints.iter().all(|it| it.damage.is_none()) { 0 } else { 1 })
}

fn verified(found: &Verified, now: Timestamp, paint: Paint) -> String {
    let mut lines: Vec<String> = Vec::new();
    for one in &found.checkpoints {
        lines.extend(verdict(one, now, paint));
    }
    // Those that share an object share what git says of it.
    let words: BTreeSet<&str> =
        found.checkpoints.iter().filter_map(|it| it.git.as_deref()).collect();
    lines
        .extend(words.into_iter().map(|it| paint.dim(&format!("git says: {}", one_line(it, 400)))));
    let bad = found.checkpoints.iter().filter(|it| it.damage.is_some()).count() as u64;
    let all = count(found.checkpoints.len() as u64, "checkpoint");
    let healed = found.checkpoints.iter().filter(|it| it.healed.is_some()).count();
    let healed = if healed == 0 { String::new() } else { format!(", {healed} healed") };
    lines.push(match bad {
        0 => format!("{all} checked, all whole{healed}"),
        n => format!("{all} checked, {n} damaged{healed}"),
    });
    lines.join("\n")
}

fn verdict(one: &VerifiedOne, now: Timestamp, paint: Paint) -> Vec<String> {
    let it = &one.checkpoint;
    let (id, task) = (one_line(&it.id, 40), one_line(&it.task, 40));
    let what = format!("{id} of {task} ({})", origin(it, now));
    let Some(damage) = &one.damage else {
        let mut lines = vec![format!("{} {what}", paint.green("ok"))];
        lines.extend(one.healed.iter().map(|it| format!("   Healed: {}", one_line(it, FIELD_MAX))));
        return lines;
    };
    let instead = match &one.instead {
        Some(it) => format!("the newest whole one is {}", one_line(it, 40)),
        None => "there is no whole one of this task".to_owned(),
    };
    vec![
        format!("{} {what}", paint.red("!!")),
        format!("   Corrupted checkpoint: {}; {instead}", one_line(damage, FIELD_MAX)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::checkpoint::tests::{NOON, no_clock, sample};

    #[test]
    fn what_is_damaged_names_what_to_use_instead() {
        let one = |damage: Option<&str>, instead: Option<&str>| VerifiedOne {
            checkpoint: sample(),
            damage: damage.map(str::to_owned),
            git: damage.map(|_| "fatal: bad object".to_owned()),
            healed: None,
            instead: instead.map(str::to_owned),
        };
        let mended = VerifiedOne { healed: Some("it was damaged".into()), ..one(None, None) };
        let plain = Paint { on: false };
        let found = Verified {
            checkpoints: vec![
                one(None, None),
                one(Some("object 12ab is missing\x07"), Some("cp-aaaa2345")),
                one(Some("unreadable"), None),
                mended,
            ],
        };
        insta::assert_snapshot!(no_clock(&verified(&found, NOON, plain)), @r"
        ok cp-abcd2345 of task-abcd2345 (hh:mm:ss, turn)
        !! cp-abcd2345 of task-abcd2345 (hh:mm:ss, turn)
           Corrupted checkpoint: object 12ab is missing�; the newest whole one is cp-aaaa2345
        !! cp-abcd2345 of task-abcd2345 (hh:mm:ss, turn)
           Corrupted checkpoint: unreadable; there is no whole one of this task
        ok cp-abcd2345 of task-abcd2345 (hh:mm:ss, turn)
           Healed: it was damaged
        git says: fatal: bad object
        4 checkpoints checked, 2 damaged, 1 healed
        ");
        let whole = Verified { checkpoints: vec![one(None, None)] };
        assert!(verified(&whole, NOON, plain).ends_with("1 checkpoint checked, all whole"));
        let none = verified(&Verified::default(), NOON, plain);
        assert_eq!(none, "0 checkpoints checked, all whole");
    }

    #[test]
    fn pruning_says_what_went_and_what_was_won() {
        let done = Pruned {
            checkpoints: vec![sample()],
            freed_bytes: 3 << 20,
            store_bytes: 812 << 20,
            dry_run: false,
        };
        insta::assert_snapshot!(no_clock(&pruned(&done, NOON)), @r"
        cp-abcd2345 of task-abcd2345 (hh:mm:ss, turn): 3 files changed, +86 -14, 2.1 MiB in all
        1 checkpoint deleted; 3.0 MiB freed, 812 MiB kept now
        ");
        let look = Pruned { dry_run: true, checkpoints: vec![], ..done };
        assert_eq!(pruned(&look, NOON), "0 checkpoints would be deleted; 812 MiB kept now");
    }
}
