//! `budget export`: the ledger, entry by entry.

use futures_util::{Stream, StreamExt, pin_mut, stream};

use crate::{
    api::{
        budget::EntryView,
        client::{Client, budget::EntriesQuery},
        error::{ApiError, ErrorKind},
    },
    cli::{
        args::budget::Export,
        budget::{moment, print_csv},
        checkpoint::export::into_file,
        context::Context,
        csv,
        out::Done,
        view::size,
    },
    domain::ids::TaskId,
    stdx::text::one_line,
};

const HEAD: [&str; 19] = [
    "id",
    "from",
    "to",
    "task",
    "type",
    "worker",
    "host",
    "attempt",
    "kind",
    "model",
    "unit_seconds",
    "usd_per_unit_hour",
    "amount_usd",
    "amount_micros",
    "source",
    "tokens_in",
    "tokens_out",
    "tokens_cache_read",
    "tokens_cache_write",
];

/// Prints the ledger, page by page, so that it may be as long as it likes.
pub async fn export(context: &Context, args: &Export) -> Done {
    let out = &context.out;
    if let Some(path) = &args.output
        && !args.force
        && path.symlink_metadata().is_ok()
    {
        let message = format!("{} is there already", path.display());
        return Err(ApiError::new(ErrorKind::Conflict, message).hint("--force replaces it").into());
    }
    let client = context.client().await?;
    let query = EntriesQuery {
        task: match &args.task {
            Some(id) => Some(whole_id(&client, id).await?),
            None => None,
        },
        from: moment(args.from.as_deref())?,
        to: moment(args.to.as_deref())?,
        ..EntriesQuery::default()
    };
    let text: fn(&[EntryView]) -> Result<String, ApiError> = if out.json { lines } else { records };
    let head = if out.json { String::new() } else { csv::record(HEAD) };
    let first = stream::once(async move { Ok(head) });
    let pages = first.chain(pages(client, query, text));
    if let Some(path) = &args.output {
        let bytes = into_file(pages, path).await?;
        out.note(&format!("Wrote {}, {}", one_line(&path.display().to_string(), 400), size(bytes)));
        return Ok(0);
    }
    pin_mut!(pages);
    while let Some(page) = pages.next().await {
        match out.json {
            true => out.bytes(page?.as_bytes())?,
            false => print_csv(context, &page?)?,
        }
    }
    Ok(0)
}

/// A task that is deleted is known by its whole id only.
async fn whole_id(client: &Client, id: &str) -> Result<String, ApiError> {
    match client.task(id).await {
        Ok(task) => Ok(task.id),
        Err(error) if error.kind == ErrorKind::NotFound && id.parse::<TaskId>().is_ok() => {
            Ok(id.to_owned())
        }
        Err(error) => Err(error),
    }
}

/// Returns the pages as text.
fn pages(
    client: Client,
    query: EntriesQuery,
    text: fn(&[EntryView]) -> Result<String, ApiError>,
) -> impl Stream<Item = Result<String, ApiError>> {
    stream::try_unfold(Some((client, query)), move |state| async move {
        let Some((client, mut query)) = state else { return Ok(None) };
        let page = client.entries(&query).await?;
        let next = page.entries.last().filter(|_| page.more).map(|it| it.id);
        let text = text(&page.entries)?;
        let state = next.map(|after| {
            query.after = after;
            (client, query)
        });
        Ok(Some((text, state)))
    })
}

fn lines(entries: &[EntryView]) -> Result<String, ApiError> {
    let mut text = String::new();
    for it in entries {
        let line = serde_json::to_string(it)
            .map_err(|it| ApiError::new(ErrorKind::Internal, it.to_string()))?;
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

#[expect(clippy::unnecessary_wraps, reason = "the other form of an entry can fail")]
fn records(entries: &[EntryView]) -> Result<String, ApiError> {
    Ok(entries.iter().map(record).collect())
}

fn record(it: &EntryView) -> String {
    csv::record([
        it.id.to_string(),
        it.from.rfc3339(),
        it.to.rfc3339(),
        it.task.clone(),
        it.task_kind.clone(),
        it.worker.clone(),
        it.host.clone(),
        it.attempt.to_string(),
        it.kind.to_string(),
        it.model.clone().unwrap_or_default(),
        it.quantity.to_string(),
        it.rate_usd.to_string(),
        decimal(it.amount_micros),
        it.amount_micros.to_string(),
        it.source.to_string(),
        it.tokens_in.to_string(),
        it.tokens_out.to_string(),
        it.tokens_cache_read.to_string(),
        it.tokens_cache_write.to_string(),
    ])
}

/// Returns micro-dollars as dollars, to the last digit.
fn decimal(micros: i64) -> String {
    let sign = if micros < 0 { "-" } else { "" };
    let whole = micros.unsigned_abs();
    format!("{sign}{}.{:06}", whole / 1_000_000, whole % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::ledger::{CostKind, Source},
        stdx::time::Timestamp,
    };

    #[test]
    fn an_entry_is_a_record_with_nothing_lost() {
        let entry = EntryView {
            id: 7,
            task: "task-abcd2345".into(),
            task_kind: "test".into(),
            worker: "worker-abcd2345".into(),
            host: "a, \"b\"".into(),
            attempt: 2,
            kind: CostKind::Model,
            model: Some("claude\nmodel".into()),
            from: Timestamp(0),
            to: Timestamp(1500),
            quantity: 0.0,
            rate_usd: 0.0,
            amount_micros: 9_007_199_254_740_993,
            amount_usd: 9_007_199_254.740_993,
            source: Source::Reported,
            tokens_in: 1,
            tokens_out: 2,
            tokens_cache_read: 3,
            tokens_cache_write: 4,
        };
        assert_eq!(
            record(&entry),
            "7,1970-01-01T00:00:00.000Z,1970-01-01T00:00:01.500Z,task-abcd2345,test,\
             worker-abcd2345,\"a, \"\"b\"\"\",2,model,\"claude\nmodel\",0,0,\
             9007199254.740993,9007199254740993,reported,1,2,3,4\r\n"
        );
        assert_eq!((decimal(-1), decimal(60_624)), ("-0.000001".into(), "0.060624".into()));
    }
}
