//! Watches evidence come to be, by its own eyes, so that what was committed can be timed.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use parhelia::{
    agent::{hooks, registry},
    api::types::EventView,
    domain::{
        event::EventBody,
        evidence::{Observation, Registry, RegistryStatus},
    },
};

use crate::support::row::{AT_ONCE, now, written};

/// How often the files are looked at: evidence is never younger than it is taken for, and older
/// by this at most.
const LOOK: Duration = Duration::from_millis(10);

/// How long a word of the registry has to stand so that we should have seen it.
const STOOD: Duration = Duration::from_millis(300);

/// Watches the files of one task. Dropping it stops it.
pub struct Witness {
    run_dir: PathBuf,
    seen: Arc<Mutex<Seen>>,
    stop: Arc<AtomicBool>,
}

/// What was seen, and when.
#[derive(Default)]
struct Seen {
    /// Lines of hooks.
    hooks: Vec<(i64, Vec<u8>)>,
    /// What Claude's registry file said each time it said something else.
    registry: Vec<(i64, Registry)>,
}

impl Witness {
    /// Starts to watch a task by its directory and Claude's.
    pub fn start(run_dir: &Path, claude_config: &Path) -> Witness {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let stop = Arc::new(AtomicBool::new(false));
        let mut eyes = Eyes {
            run_dir: run_dir.to_owned(),
            sessions: claude_config.join("sessions"),
            seen: Arc::clone(&seen),
            attempt: 1,
            read: 0,
        };
        let stopped = Arc::clone(&stop);
        thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                eyes.look();
                thread::sleep(LOOK);
            }
        });
        Witness { run_dir: run_dir.to_owned(), seen, stop }
    }

    /// Checks that every piece of evidence was committed once, in order, and at once.
    ///
    /// # Panics
    ///
    /// If not; adds what `told` says.
    pub fn check(&self, events: &[EventView], told: &impl Fn() -> String) {
        self.check_hooks(events, told);
        self.check_registry(events, told);
        self.check_exit(events, told);
    }

    fn check_hooks(&self, events: &[EventView], told: &impl Fn() -> String) {
        let mut committed = events.iter().filter_map(|it| match &it.body {
            EventBody::Observed { observation } => Some((it.at.0, observation)),
            _ => None,
        });
        for (at, line) in &self.seen.lock().unwrap().hooks {
            let Some(observation) = self.observation(line) else { continue };
            let found = committed.find(|(_, it)| **it == observation);
            let Some((took, _)) = found else {
                panic!("lost or out of order: {observation:?}: {}", told());
            };
            in_time(*at, took, &format!("{observation:?}"), told);
        }
    }

    fn observation(&self, line: &[u8]) -> Option<Observation> {
        let hook = hooks::parse(line)?;
        let Some(big) = hook.big else { return hook.observation };
        let mut attempts = (1..10).map(|it| self.run_dir.join(format!("a{it}/big/{big}")));
        let whole = attempts.find_map(|it| fs::read(it).ok())?;
        hooks::parse(&whole)?.observation
    }

    /// What the file said is found again by the time that Claude gives with it.
    fn check_registry(&self, events: &[EventView], told: &impl Fn() -> String) {
        let seen = &self.seen.lock().unwrap().registry;
        let word = |it: &Registry| (it.status, it.updated_at, it.conversation.clone());
        let (mut committed, mut timed) = (0, 0);
        let words: Vec<_> = events.iter().filter_map(|it| Some((it.at.0, word_of(it)?))).collect();
        for (place, (took, registry)) in words.iter().enumerate() {
            let Some(registry) = registry else { continue };
            let found = seen.iter().find(|(_, it)| word(it) == word(registry));
            if let Some((at, _)) = found {
                in_time(*at, *took, &format!("{registry:?}"), told);
            }
            // One that stood for a moment may have been missed.
            let until = words.get(place + 1).map_or(i64::MAX, |it| it.0);
            if until - took >= i64::try_from(STOOD.as_millis()).unwrap() {
                committed += 1;
                timed += usize::from(found.is_some());
            }
        }
        // A machine that is busy elsewhere makes us miss others too, but not most of them.
        assert!(committed <= 2 * timed, "{timed} of {committed} words timed: {}", told());
    }

    fn check_exit(&self, events: &[EventView], told: &impl Fn() -> String) {
        let mut attempt = 0;
        for event in events {
            if let EventBody::Dispatched { .. } = event.body {
                attempt += 1;
            }
            let EventBody::SessionEnded { code: Some(_), .. } = event.body else { continue };
            if let Some(at) = written(&self.run_dir.join(format!("a{attempt}/exit"))) {
                in_time(at, event.at.0, "the exit status", told);
            }
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Returns what an event says of the registry: a word, or nothing where that is gone.
fn word_of(event: &EventView) -> Option<Option<&Registry>> {
    match &event.body {
        EventBody::Observed { observation: Observation::Registry { registry } } => {
            Some(Some(registry))
        }
        EventBody::Observed { observation: Observation::RegistryGone } => Some(None),
        _ => None,
    }
}

fn in_time(at: i64, took: i64, what: &str, told: &impl Fn() -> String) {
    let limit = i64::try_from(AT_ONCE.as_millis()).unwrap();
    assert!(took - at <= limit, "{} ms until it was committed: {what}: {}", took - at, told());
}

/// What looks.
struct Eyes {
    run_dir: PathBuf,
    sessions: PathBuf,
    seen: Arc<Mutex<Seen>>,
    attempt: u32,
    read: u64,
}

impl Eyes {
    fn look(&mut self) {
        let dir = self.run_dir.join(format!("a{}", self.attempt));
        self.look_at_registry(&dir);
        let events = dir.join("events.jsonl");
        let length = fs::metadata(&events).map_or(0, |it| it.len());
        if self.read < length {
            self.take(&events);
        } else if self.run_dir.join(format!("a{}", self.attempt + 1)).exists() {
            self.attempt += 1;
            self.read = 0;
        }
    }

    fn look_at_registry(&self, dir: &Path) {
        let Ok(pid) = fs::read_to_string(dir.join("pid")) else { return };
        let Ok(bytes) = fs::read(self.sessions.join(format!("{}.json", pid.trim()))) else {
            return;
        };
        let registry = registry::parse(&bytes).filter(|it| it.status != RegistryStatus::Unknown);
        let Some(registry) = registry else { return };
        let mut seen = self.seen.lock().unwrap();
        if seen.registry.last().is_none_or(|(_, last)| *last != registry) {
            seen.registry.push((now(), registry));
        }
    }

    /// Takes the whole lines that are new.
    fn take(&mut self, events: &Path) {
        let at = now();
        let bytes = fs::read(events).unwrap_or_default();
        let new = bytes.get(usize::try_from(self.read).unwrap()..).unwrap_or_default();
        let Some(end) = new.iter().rposition(|it| *it == b'\n') else { return };
        let lines = new[..end].split(|it| *it == b'\n').map(|it| (at, it.to_vec()));
        self.seen.lock().unwrap().hooks.extend(lines);
        self.read += end as u64 + 1;
    }
}
