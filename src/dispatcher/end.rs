//! Ending a session: saved first, then asked, made to afterwards. One that is ended for money is
//! interrupted before that, since saving takes time and a turn costs. Only processes that were
//! written down as this session's are touched.

use std::time::Duration;

use crate::{
    agent::{deliver, launch::RunDir},
    api::checkpoints::CreateCheckpoint,
    dispatcher::{
        Crew, decide::Command as Order, session::run_dir, typing::Typist, watch::WatchRequest,
    },
    domain::{
        activity::Activity,
        checkpoint::Trigger,
        event::{Delivery, EventBody},
        ids::TaskId,
        state::{ParkCause, StopCause},
        task::Task,
    },
    shell::{Command, Shell, run},
    stdx::backoff::Backoff,
    tmux::Tmux,
};

/// How long Claude may take to end by itself: in a running tool it needs about 1.2 s (measured).
const ASKED: Duration = Duration::from_secs(4);
/// How long saving may hold up an end: a person waits for it, and a ceiling costs money meanwhile.
const SAVED: Duration = Duration::from_secs(20);
/// How often a turn is interrupted: what is queued behind it begins the next at once.
const INTERRUPTS_MAX: u32 = 3;
/// Deadline of interrupting a turn once.
const INTERRUPTED: Duration = Duration::from_secs(10);
/// How long Claude may take to say that the turn is over.
const CALM: Duration = Duration::from_secs(2);
/// Deadline of the commands that end a session.
const LIMIT: Duration = Duration::from_secs(20);
/// Between two attempts on a host that does not answer.
const AGAIN: Backoff = Backoff { first: Duration::from_secs(1), most: Duration::from_secs(30) };

/// Asks the process whose id the launcher wrote down to end, if it is still the launcher's.
///
/// `$1` is the file with the id, `$2` the launch directory, `$3` the signal. A number may have
/// gone to another process since, so the environment of the process is asked whose it is, or its
/// command line where the system does not show the environment.
const SIGNAL: &str = r#"
pid=$(cat "$1" 2>/dev/null) || exit 0
case $pid in '' | *[!0-9]*) exit 0 ;; esac
kill -0 "$pid" 2>/dev/null || exit 0
if [ -r "/proc/$pid/cmdline" ]; then
    tr '\0' '\n' <"/proc/$pid/cmdline" | grep -qF "$2/" || exit 3
else
    ps -o command= -p "$pid" | grep -qF "$2/" || exit 3
fi
kill "-$3" "$pid"
"#;

/// Ends the session of `task`; the watcher reports that it has ended.
pub async fn end(crew: &Crew, task: &Task) {
    let Some((session, place)) = task.state.session().zip(task.place.as_ref()) else { return };
    let Ok(run_dir) = run_dir(place) else { return };
    let files = RunDir::new(&run_dir, session.attempt);
    let mut failures = 0;
    let worker = loop {
        match crew.hosts.worker(place, &task.spec.requirements).await {
            Ok(worker) => break worker,
            Err(error) => {
                tracing::warn!(task = %task.id, %error, "cannot reach the session to end it");
                failures += 1;
                tokio::time::sleep(AGAIN.after(failures)).await;
            }
        }
    };
    let name = task.id.session_name();
    let tmux = crew.hosts.tmux(&worker);
    if session.stopping.is_some_and(is_for_money) {
        interrupt(crew, &task.id, &tmux, &name).await;
    }
    save_first(crew, task, session.stopping).await;
    signal(&*worker.shell, &files, "TERM").await;
    if wait_for_exit(&*worker.shell, &files).await {
        return;
    }
    tracing::info!(task = %task.id, "did not end when asked; closing its terminal");
    if let Err(error) = tmux.kill(&name).await {
        tracing::warn!(task = %task.id, %error, "failed to close its terminal");
    }
    signal(&*worker.shell, &files, "KILL").await;
    crew.hosts.watch(&worker, WatchRequest::Check(task.id.clone())).await;
}

fn is_for_money(cause: StopCause) -> bool {
    match cause {
        StopCause::OverCeiling { .. } => true,
        // Its own watchdog has ended Claude already.
        StopCause::Parked { why: ParkCause::LeaseOver { .. } | ParkCause::LeaseSpent { .. } } => {
            false
        }
        StopCause::Parked { why: ParkCause::Person | ParkCause::OverCeiling { .. } } => true,
        StopCause::Person | StopCause::TimedOut { .. } | StopCause::IdleTimedOut { .. } => false,
    }
}

/// Interrupts the turn that runs, if one does, so that it costs no more. A turn that cannot be
/// interrupted ends with Claude.
async fn interrupt(crew: &Crew, id: &TaskId, tmux: &Tmux, name: &str) {
    for _ in 0..INTERRUPTS_MAX {
        if !works(crew, id).await {
            return;
        }
        let typist = Typist(tmux);
        let done = deliver::interrupt(&typist, name);
        let outcome = match tokio::time::timeout(INTERRUPTED, done).await {
            Ok(Ok(done)) => done.outcome,
            Ok(Err(error)) => {
                tracing::warn!(task = %id, %error, "failed to interrupt the turn");
                return;
            }
            Err(_) => Delivery::NotDelivered,
        };
        let body = EventBody::Interrupted { outcome };
        // Said for people; nothing hangs on it.
        let _ = crew.core.command(Order::Record { id: id.clone(), body }).await;
        if outcome == Delivery::NotDelivered
            || tokio::time::timeout(CALM, until_calm(crew, id)).await.is_ok()
        {
            return;
        }
    }
}

/// Waits until no turn runs.
async fn until_calm(crew: &Crew, id: &TaskId) {
    let mut events = crew.core.subscribe();
    while works(crew, id).await {
        if events.recv().await.is_err() {
            events = crew.core.subscribe();
        }
    }
}

async fn works(crew: &Crew, id: &TaskId) -> bool {
    let id = id.clone();
    let works = crew.core.read(move |world| {
        let session = world.task(&id).and_then(|it| it.state.session());
        session.is_some_and(|it| it.verdict().activity == Activity::Working)
    });
    works.await.unwrap_or(false)
}

/// Makes a checkpoint of what is about to be cut off. A session is ended even if none can be made,
/// since someone, or a limit, said so; the keeper writes down why there is none.
async fn save_first(crew: &Crew, task: &Task, cause: Option<StopCause>) {
    let what = CreateCheckpoint::default();
    let trigger = match cause {
        Some(StopCause::Parked { .. }) => Trigger::BeforePark,
        _ => Trigger::BeforeKill,
    };
    let saved = crew.keeper.save(task, trigger, &what, SAVED).await;
    if let Err(error) = saved {
        tracing::warn!(task = %task.id, %error, "ends without a checkpoint");
    }
}

async fn signal(shell: &dyn Shell, files: &RunDir, signal: &str) {
    let argv = ["sh", "-c", SIGNAL, "sh", files.pid().as_str(), files.path().as_str(), signal]
        .map(str::to_owned);
    match run(shell, &Command::new(argv), LIMIT).await {
        Ok(output) if output.code == 3 => {
            tracing::warn!(pid = %files.pid(), "the process id went to another program");
        }
        Ok(_) => (),
        Err(error) => tracing::warn!(%error, "failed to signal"),
    }
}

/// Waits on the host until the launcher has written down how Claude ended: one command, not one
/// question after another.
async fn wait_for_exit(shell: &dyn Shell, files: &RunDir) -> bool {
    const SCRIPT: &str = r#"
n=0
while [ ! -e "$1" ] && [ "$n" -lt "$2" ]; do n=$((n + 1)); sleep 0.1 2>/dev/null || sleep 1; done
[ -e "$1" ]
"#;
    let tenths = (ASKED.as_millis() / 100).to_string();
    let argv = ["sh", "-c", SCRIPT, "sh", files.exit().as_str(), &tenths].map(str::to_owned);
    matches!(run(shell, &Command::new(argv), LIMIT).await, Ok(output) if output.code == 0)
}
