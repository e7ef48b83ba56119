//! Configuration files that are followed, for whoever reads them.

use std::path::PathBuf;

use tokio::sync::mpsc;

use crate::{
    domain::ids::HostPath,
    shell::{
        Shell,
        follow::{FollowRequest, Frame, Watch},
        local::LocalShell,
    },
};

/// Says when one of these files of this machine changed, appeared or went. One message that waits
/// stands for all that came meanwhile. Nothing wakes while nothing changes.
pub fn changes(files: Vec<PathBuf>) -> mpsc::Receiver<()> {
    let (changed, changes) = mpsc::channel(1);
    tokio::spawn(async move {
        let Ok(mut follower) = LocalShell::new().follow().await else { return };
        // The first word on a file that is there is how it is, which the reader knows.
        let mut known = std::collections::BTreeSet::new();
        for (key, file) in (0..).zip(files) {
            // What a link leads to is what is edited.
            let real = file.canonicalize().unwrap_or(file);
            let Some(path) = real.to_str().and_then(|it| HostPath::new(it).ok()) else { continue };
            if real.is_file() {
                known.insert(key);
            }
            let request = FollowRequest::Add(key, Watch::Whole { path });
            if follower.requests.send(request).await.is_err() {
                return;
            }
        }
        loop {
            let frame = tokio::select! {
                () = changed.closed() => return,
                it = follower.frames.recv() => it,
            };
            match frame {
                Some(Frame::Whole { key, .. }) => {
                    if !known.remove(&key) {
                        let _ = changed.try_send(());
                    }
                }
                Some(Frame::Appended { .. } | Frame::Truncated { .. } | Frame::Synced { .. }) => (),
                Some(Frame::Lost { .. }) | None => return,
            }
        }
    });
    changes
}
