//! Following a task over its life, also across restarts of the dispatcher.

use std::time::Duration;

use tokio::{sync::mpsc, time::sleep};

use crate::{
    api::{
        client::{Client, Feed, FeedStream},
        error::{ApiError, ErrorKind},
        view::TaskView,
    },
    cli::context::Context,
    domain::event::EventBody,
    stdx::backoff::Backoff,
};

/// Changes not yet taken before the follower waits for its reader.
const PENDING_MAX: usize = 64;

/// How a lost dispatcher is looked for again.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(100), most: Duration::from_secs(5) };

/// Failures in a row after which a dispatcher that cannot be started is given up: about 30 s.
const FAILURES_MAX: u32 = 11;

/// What a follower tells.
#[derive(Debug)]
pub enum Change {
    /// How the task is now.
    Task(Box<TaskView>),
    /// Something a person should know.
    Note(String),
    /// The dispatcher went away and is looked for.
    Lost,
    /// There is no more to come, for this reason.
    End(ApiError),
}

/// Opens the event stream and reads its first frame, so that nothing from here on is missed.
pub async fn open(client: &Client) -> Result<FeedStream, ApiError> {
    let mut feed = client.feed(None).await?;
    match feed.next().await? {
        Some(_) => Ok(feed),
        None => Err(ApiError::new(ErrorKind::Dispatcher, "the dispatcher is ending")
            .hint("try again: it is started anew")),
    }
}

/// Follows a task from how it is now: on `feed`, and on a new one whenever that ends.
///
/// The follower runs apart, since reading a frame cannot be broken off; it ends with its reader.
pub fn follow(context: &Context, feed: FeedStream, task: &TaskView) -> mpsc::Receiver<Change> {
    let (changes, reader) = mpsc::channel(PENDING_MAX);
    let context = context.clone();
    let first = task.clone();
    tokio::spawn(async move {
        let id = first.id.clone();
        if changes.send(Change::Task(Box::new(first))).await.is_err() {
            return;
        }
        let mut feed = Some(feed);
        let mut failures = 0;
        loop {
            if let Some(feed) = feed.take() {
                match drain(feed, &id, &changes).await {
                    Drained::Over => return,
                    Drained::Broken if changes.send(Change::Lost).await.is_err() => return,
                    Drained::Broken => (),
                }
            }
            match reopen(&context, &id).await {
                Ok((task, again)) => {
                    failures = 0;
                    feed = Some(again);
                    if changes.send(Change::Task(Box::new(task))).await.is_err() {
                        return;
                    }
                }
                Err(it) if it.kind != ErrorKind::Dispatcher || failures == FAILURES_MAX => {
                    let _ = changes.send(Change::End(it)).await;
                    return;
                }
                Err(_) => {
                    failures += 1;
                    sleep(AGAIN.after(failures)).await;
                }
            }
        }
    });
    reader
}

enum Drained {
    /// Nobody reads, or the task is gone.
    Over,
    /// The stream ended before the task did.
    Broken,
}

async fn drain(mut feed: FeedStream, id: &str, changes: &mpsc::Sender<Change>) -> Drained {
    loop {
        let task = match feed.next().await {
            Ok(Some(Feed::Event(event))) if event.task == id => {
                if event.kind == "deleted" {
                    let _ = changes.send(Change::End(deleted(id))).await;
                    return Drained::Over;
                }
                if let EventBody::Noted { text } = event.body
                    && changes.send(Change::Note(text)).await.is_err()
                {
                    return Drained::Over;
                }
                event.view
            }
            Ok(Some(Feed::Event(_) | Feed::Budget(_))) => None,
            Ok(Some(Feed::Snapshot(snapshot))) => {
                // A gap: a finished task without session is in no snapshot, and is asked for.
                match snapshot.tasks.into_iter().find(|it| it.id == id) {
                    Some(it) => Some(Box::new(it)),
                    None => return Drained::Broken,
                }
            }
            Ok(None) | Err(_) => return Drained::Broken,
        };
        let Some(task) = task else { continue };
        if changes.send(Change::Task(task)).await.is_err() {
            return Drained::Over;
        }
    }
}

async fn reopen(context: &Context, id: &str) -> Result<(TaskView, FeedStream), ApiError> {
    let client = context.client().await?;
    let feed = open(&client).await?;
    Ok((client.task(id).await?, feed))
}

fn deleted(id: &str) -> ApiError {
    ApiError::new(ErrorKind::NotFound, format!("{id} was deleted"))
}
