//! The connection to the dispatcher: made, kept, and made again.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, mpsc, watch},
    time::sleep,
};

use crate::{
    api::{
        client::{self, Client, ListQuery},
        error::ApiError,
    },
    stdx::{
        backoff::Backoff,
        time::{Clock, SystemClock},
    },
    tui::msg::{Feed, Msg},
};

/// How a lost dispatcher is looked for again.
const AGAIN: Backoff = Backoff { first: Duration::from_millis(250), most: Duration::from_secs(5) };

/// How long a request waits for a connection that is being made.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Tasks of the past that are asked for at once.
const PAGE: usize = 500;

/// Tasks of the past that are asked for at all.
const PAST_MAX: usize = 20_000;

/// Makes connections to the dispatcher.
#[async_trait]
pub trait Connect: Send + Sync + 'static {
    /// Connects, starting the dispatcher if need be.
    async fn connect(&self) -> Result<Client, ApiError>;

    /// Connects if a dispatcher listens.
    async fn connect_running(&self) -> Result<Option<Client>, ApiError>;
}

/// Keeps the connection for as long as it lives.
pub struct Link {
    again: Arc<Notify>,
    keeper: tokio::task::AbortHandle,
}

impl Link {
    /// Begins to connect, and returns where the client is while there is one.
    pub fn start(
        connect: Arc<dyn Connect>,
        news: mpsc::Sender<Msg>,
    ) -> (Link, watch::Receiver<Option<Client>>) {
        let (client, present) = watch::channel(None);
        let again = Arc::new(Notify::new());
        let keeper = Keeper { connect, news, client, again: Arc::clone(&again) };
        let keeper = tokio::spawn(keeper.keep()).abort_handle();
        (Link { again, keeper }, present)
    }

    /// Ends a wait for the next attempt; the next one starts the dispatcher if it is not there.
    pub fn reconnect(&self) {
        self.again.notify_one();
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.keeper.abort();
    }
}

struct Keeper {
    connect: Arc<dyn Connect>,
    news: mpsc::Sender<Msg>,
    client: watch::Sender<Option<Client>>,
    again: Arc<Notify>,
}

/// How a connection ended.
enum Ended {
    /// The dashboard is over.
    Over,
    /// The dispatcher was told to end.
    Orderly,
    /// It died, or was never reached.
    Broken(ApiError),
}

impl Keeper {
    async fn keep(self) {
        // Whether the dispatcher may be started where there is none.
        let mut start = true;
        let mut failures = 0;
        loop {
            let (ended, worked) = self.once(start).await;
            self.client.send_replace(None);
            if worked {
                failures = 0;
            }
            failures += 1;
            let wait = AGAIN.after(failures);
            let news = match ended {
                Ended::Over => return,
                Ended::Orderly if start => {
                    start = false;
                    Some(Feed::Stopped)
                }
                Ended::Orderly => None,
                Ended::Broken(error) => {
                    start |= worked;
                    Some(Feed::Lost {
                        why: error.message,
                        hint: error.hints.into_iter().next(),
                        again: SystemClock.now().plus(wait),
                    })
                }
            };
            if let Some(news) = news
                && self.tell(news).await.is_none()
            {
                return;
            }
            tokio::select! {
                () = self.again.notified() => {
                    start = true;
                    failures = 0;
                }
                () = sleep(wait) => (),
            }
        }
    }

    /// Connects and follows until that ends; tells also whether there was a connection.
    async fn once(&self, start: bool) -> (Ended, bool) {
        let client = match self.dial(start).await {
            Ok(Some(client)) => client,
            Ok(None) => return (Ended::Orderly, false),
            Err(error) => return (Ended::Broken(error), false),
        };
        let mut stream = match client.feed(None).await {
            Ok(stream) => stream,
            Err(error) => return (Ended::Broken(error), false),
        };
        let mut past = None;
        loop {
            let feed = match stream.next().await {
                Ok(Some(client::Feed::Snapshot(it))) => Feed::Snapshot(it),
                Ok(Some(client::Feed::Event(it))) => Feed::Event(it),
                Ok(Some(client::Feed::Budget(it))) => Feed::Budget(it),
                Ok(None) => return (Ended::Orderly, past.is_some()),
                Err(error) => return (Ended::Broken(error), past.is_some()),
            };
            let snapshot = matches!(feed, Feed::Snapshot(_));
            if self.tell(feed).await.is_none() {
                return (Ended::Over, true);
            }
            if snapshot {
                self.client.send_replace(Some(client.clone()));
                let listing = list_past(client.clone(), self.news.clone());
                past = Some(Listing(tokio::spawn(listing).abort_handle()));
            }
        }
    }

    async fn dial(&self, start: bool) -> Result<Option<Client>, ApiError> {
        if start {
            return self.connect.connect().await.map(Some);
        }
        self.connect.connect_running().await
    }

    async fn tell(&self, feed: Feed) -> Option<()> {
        self.news.send(Msg::Feed(feed)).await.ok()
    }
}

/// A listing under way, given up with its connection or when another begins.
struct Listing(tokio::task::AbortHandle);

impl Drop for Listing {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Asks how all is, then for the past page by page. A page is asked for when the one before was
/// taken in, so that keys and frames find their way between them.
async fn list_past(client: Client, news: mpsc::Sender<Msg>) {
    if let Ok(status) = client.status().await {
        let status = Msg::Feed(Feed::Status(Box::new(status)));
        if news.send(status).await.is_err() {
            return;
        }
    }
    let mut before = None;
    let mut listed = 0;
    while listed < PAST_MAX {
        let query = ListQuery { status: None, limit: Some(PAGE), before: before.take() };
        let Ok(page) = client.tasks(&query).await else { return };
        listed += page.tasks.len();
        before = page.tasks.last().map(|it| it.id.clone());
        let last = page.tasks.len() < PAGE || page.total <= listed;
        if news.send(Msg::Feed(Feed::Listed(page))).await.is_err() || last {
            return;
        }
    }
}

/// Asks how all is.
pub fn ask_status(client: watch::Receiver<Option<Client>>, news: mpsc::Sender<Msg>) {
    tokio::spawn(async move {
        let client = client.borrow().clone();
        if let Some(client) = client
            && let Ok(status) = client.status().await
        {
            let _ = news.send(Msg::Feed(Feed::Status(Box::new(status)))).await;
        }
    });
}
