//! The money on the event stream.

use std::{sync::Arc, time::Duration};

use axum::body::Bytes;
use tokio::sync::mpsc;

use crate::dispatcher::http::{App, budget::view};

/// A subscriber is told at most so often; what changes in between is in the next frame.
const STEP: Duration = Duration::from_secs(1);

/// Sends how the money stands at once, and again whenever it changed, until the subscriber is gone
/// or the dispatcher ends. These frames have no id: they are no events, and none is missed by
/// beginning anew.
pub async fn frames(app: Arc<App>, frames: mpsc::Sender<Bytes>) {
    let mut changed = app.core.budget_changed();
    let mut end = app.end.subscribe();
    loop {
        changed.mark_unchanged();
        // A store that cannot be read now may be later.
        if let Ok(view) = view(&app).await
            && let Ok(data) = serde_json::to_string(&view)
            && frames.send(format!("event: budget\ndata: {data}\n\n").into()).await.is_err()
        {
            return;
        }
        let next = async {
            tokio::time::sleep(STEP).await;
            changed.changed().await
        };
        tokio::select! {
            next = next => if next.is_err() { return },
            () = frames.closed() => return,
            _ = end.changed() => return,
        }
    }
}
