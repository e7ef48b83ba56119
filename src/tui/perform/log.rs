//! Logs, as they are read.

use std::time::Duration;

use tokio::{
    sync::{mpsc, watch},
    task::AbortHandle,
    time::timeout,
};

use crate::{
    api::{
        client::{Client, Lines, LogQuery},
        error::ApiError,
        types::LogLine,
    },
    tui::{
        effect::{LogAsk, LogView},
        msg::{LogMsg, Msg, ReadId},
        perform::connected,
    },
};

/// The most lines passed on at once.
const CHUNK: usize = 500;

/// Lines that come this soon after each other are passed on together.
const TOGETHER: Duration = Duration::from_millis(4);

/// A following read that brought nothing for so long has sent all there was.
const QUIET: Duration = Duration::from_millis(60);

/// Starts to read; the handle ends it.
pub fn read(
    client: watch::Receiver<Option<Client>>,
    news: mpsc::Sender<Msg>,
    read: ReadId,
    task: String,
    ask: LogAsk,
) -> AbortHandle {
    let reading = async move {
        let end = match pass(client, &news, read, &task, &ask).await {
            Ok(()) => LogMsg::Ended,
            Err(error) => LogMsg::Failed(error),
        };
        let _ = news.send(Msg::Log { read, what: end }).await;
    };
    tokio::spawn(reading).abort_handle()
}

async fn pass(
    client: watch::Receiver<Option<Client>>,
    news: &mpsc::Sender<Msg>,
    read: ReadId,
    task: &str,
    ask: &LogAsk,
) -> Result<(), ApiError> {
    let client = connected(client).await?;
    let mut lines = client.log(task, &query(ask)).await?;
    let mut caught_up = !ask.follow;
    loop {
        let first = if caught_up {
            lines.next().await?
        } else {
            // Where a following read stands still, all there was is sent.
            match timeout(QUIET, lines.next()).await {
                Ok(it) => it?,
                Err(_) => {
                    caught_up = true;
                    let what = LogMsg::CaughtUp;
                    if news.send(Msg::Log { read, what }).await.is_err() {
                        return Ok(());
                    }
                    continue;
                }
            }
        };
        let Some(first) = first else { break };
        let (chunk, end) = chunk(&mut lines, first).await;
        let what = LogMsg::Lines(chunk);
        if news.send(Msg::Log { read, what }).await.is_err() {
            break;
        }
        match end {
            End::More => (),
            End::Over => break,
            End::Failed(error) => return Err(error),
        }
    }
    if !ask.follow {
        let _ = news.send(Msg::Log { read, what: LogMsg::CaughtUp }).await;
    }
    Ok(())
}

/// What comes after a chunk.
enum End {
    More,
    Over,
    Failed(ApiError),
}

/// Returns a line with those that come right after it.
async fn chunk(lines: &mut Lines<LogLine>, first: LogLine) -> (Vec<LogLine>, End) {
    let mut chunk = vec![first];
    while chunk.len() < CHUNK {
        match timeout(TOGETHER, lines.next()).await {
            Ok(Ok(Some(line))) => chunk.push(line),
            Ok(Ok(None)) => return (chunk, End::Over),
            Ok(Err(error)) => return (chunk, End::Failed(error)),
            Err(_) => break,
        }
    }
    (chunk, End::More)
}

fn query(ask: &LogAsk) -> LogQuery {
    let view = match ask.view {
        LogView::Activity => "activity",
        LogView::Events => "events",
        LogView::Terminal => "raw",
    };
    LogQuery {
        view: view.to_owned(),
        tail: Some(ask.tail),
        since: None,
        follow: ask.follow,
        before: ask.before,
    }
}
