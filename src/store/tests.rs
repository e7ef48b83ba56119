//! The store against real files: what survives, what is refused.

use std::{
    collections::{BTreeMap, HashMap},
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    thread,
};

use proptest::prelude::{Strategy, any, prop, prop_assert_eq, proptest};
use tempfile::TempDir;

use super::{error::StoreError, ledger::LedgerLoaded, *};
use crate::domain::{
    checkpoint::{Change, Kept, Newest, Trigger},
    event::{EventBody, Tokens},
    evidence::Observation,
    ids::HostPath,
    state::TaskState,
    task::{Isolation, Next, PermissionMode, Requirements, TaskKind, TaskSpec, Usage},
    usd::Usd,
};

/// Set for the child that the crash test kills: the directory it writes in.
const CRASH_DIR: &str = "PARHELIA_TEST_CRASH_DIR";

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

fn id(number: usize) -> TaskId {
    let letters = b"abcdefghijklmnopqrstuvwxyz234567";
    let text: String =
        (0..8).rev().map(|it| char::from(letters[(number >> (5 * it)) & 31])).collect();
    format!("task-{text}").parse().unwrap()
}

fn task(id: TaskId, name: &str) -> Task {
    Task {
        id,
        name: name.into(),
        created_at: Timestamp(1_700_000_000_000),
        prompt_head: "do it".into(),
        prompt_bytes: 5,
        spec: TaskSpec {
            kind: TaskKind::Generic,
            requirements: Requirements::default(),
            target: None,
            workspace: HostPath::new("/w").unwrap(),
            isolation: Isolation::Worktree,
            include_dirty: true,
            interactive: false,
            timeout: None,
            idle_timeout: None,
            permission_mode: PermissionMode::AcceptEdits,
            model: None,
            max_cost: None,
            priority: 0,
            env_names: Vec::new(),
        },
        state: TaskState::Created,
        attempts: 0,
        place: None,
        conversation: None,
        next: Next::Fresh,
        usage: Usage::default(),
        last: String::new(),
        answer_bytes: None,
        kept: crate::domain::checkpoint::Kept::default(),
        home: None,
        origin: None,
        hold: None,
    }
}

fn event(seq: u64, task: TaskId) -> Event {
    Event { seq, at: Timestamp(seq as i64), task, body: EventBody::Noted { text: "x".into() } }
}

/// A batch with events `from..=to` of task 1, and the offset `to`.
fn batch(from: u64, to: u64) -> Batch {
    Batch {
        tasks: vec![task(id(1), &format!("after {to}"))],
        events: (from..=to).map(|it| event(it, id(1))).collect(),
        offsets: vec![(id(1), "events.jsonl".into(), to)],
        ..Batch::default()
    }
}

/// Opens the store as it is on disk and returns all there is in it.
fn reopen(dir: &Path) -> (Loaded, Vec<Event>) {
    let (store, loaded) = Store::open(dir).unwrap();
    let found = block_on(store.events(Query { limit: usize::MAX, ..Query::default() })).unwrap();
    assert_eq!(found.skipped, 0);
    block_on(store.close());
    (loaded, found.events)
}

fn seqs(events: &Events) -> Vec<u64> {
    events.events.iter().map(|it| it.seq).collect()
}

#[test]
fn what_was_committed_is_there_after_reopening() {
    let dir = TempDir::new().unwrap();
    let (store, empty) = Store::open(dir.path()).unwrap();
    assert_eq!((empty.tasks.len(), empty.last_seq, empty.offsets.len()), (0, 0, 0));
    let full = Batch {
        prompts: vec![(id(1), 0, b"first".into()), (id(1), 1, b"\xff second".into())],
        answers: vec![(id(1), b"answer".into())],
        ..batch(1, 3)
    };
    block_on(async {
        assert_eq!(store.commit(full).await.unwrap(), 3);
        assert_eq!(store.prompt(&id(1)).await.unwrap(), Some(b"\xff second".into()));
        assert_eq!(store.answer(&id(1)).await.unwrap(), Some(b"answer".into()));
        assert_eq!(store.task(&id(1)).await.unwrap(), Some(task(id(1), "after 3")));
        assert_eq!(store.prompt(&id(2)).await.unwrap(), None);
        store.close().await;
    });
    let (loaded, events) = reopen(dir.path());
    let expected = Loaded {
        tasks: vec![task(id(1), "after 3")],
        last_seq: 3,
        offsets: HashMap::from([((id(1), "events.jsonl".to_owned()), 3)]),
        dispatcher_id: empty.dispatcher_id,
        ledger: LedgerLoaded::default(),
    };
    assert_eq!(loaded, expected);
    assert_eq!(events, [1, 2, 3].map(|it| event(it, id(1))));
}

#[test]
fn a_deleted_task_leaves_only_its_events() {
    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let first = Batch {
        prompts: vec![(id(1), 0, b"p".into())],
        answers: vec![(id(1), b"a".into())],
        ..batch(1, 2)
    };
    let delete = Batch { deleted: vec![id(1)], events: vec![event(3, id(1))], ..batch(3, 3) };
    block_on(async {
        store.commit(first).await.unwrap();
        store.commit(delete).await.unwrap();
        assert_eq!(store.prompt(&id(1)).await.unwrap(), None);
        assert_eq!(store.answer(&id(1)).await.unwrap(), None);
        store.close().await;
    });
    let (loaded, events) = reopen(dir.path());
    assert_eq!((loaded.tasks, loaded.offsets), (vec![], HashMap::new()));
    assert_eq!(events.len(), 3);
}

#[test]
fn events_out_of_turn_are_refused_whole() {
    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    block_on(async {
        store.commit(batch(1, 2)).await.unwrap();
        for wrong in [batch(2, 3), batch(4, 4)] {
            let error = store.commit(wrong).await.unwrap_err();
            assert!(matches!(error, StoreError::OutOfTurn { expected: 3, .. }), "{error}");
        }
        // One bad batch in a group takes only itself and those that build on it.
        let (good, bad, on_bad) =
            tokio::join!(store.commit(batch(3, 3)), store.commit(batch(9, 9)), async {
                store
                    .commit(Batch { answers: vec![(id(1), b"a".into())], ..Batch::default() })
                    .await
            });
        assert_eq!(good.unwrap(), 3);
        assert!(bad.is_err());
        assert_eq!(on_bad.unwrap(), 3);
        store.close().await;
    });
    assert_eq!(reopen(dir.path()).0.last_seq, 3);
}

#[test]
fn a_query_picks_by_task_range_kind_and_time() {
    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let mut events: Vec<Event> = (1..=10).map(|it| event(it, id(it as usize % 2))).collect();
    events[4].body = EventBody::Queued;
    events[7].body = EventBody::Observed { observation: Observation::DialogGone };
    events[8].body = EventBody::Observed { observation: Observation::RegistryGone };
    let gone = || vec!["dialog-gone".to_owned()];
    let query = Query::default;
    block_on(async {
        store.commit(Batch { events, ..Batch::default() }).await.unwrap();
        let cases = [
            (Query { limit: 3, ..query() }, vec![1, 2, 3]),
            (Query { limit: 3, newest_first: true, ..query() }, vec![10, 9, 8]),
            (Query { task: Some(id(1)), after_seq: 3, before: Some(9), ..query() }, vec![5, 7]),
            (Query { kinds: vec!["queued".into(), "held".into()], ..query() }, vec![5]),
            (Query { kinds: vec!["observed".into()], seen: gone(), ..query() }, vec![8]),
            (Query { seen: gone(), ..query() }, vec![1, 2, 3, 4, 5, 6, 7, 8, 10]),
            (Query { since: Some(Timestamp(9)), ..query() }, vec![9, 10]),
            (Query { limit: 0, ..query() }, vec![]),
            (Query { after_seq: u64::MAX, ..query() }, vec![]),
        ];
        for (query, expected) in cases {
            assert_eq!(seqs(&store.events(query.clone()).await.unwrap()), expected, "{query:?}");
        }
    });
}

#[test]
fn events_of_another_version_are_skipped_and_counted() {
    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    block_on(store.commit(batch(1, 3))).unwrap();
    let other = rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap();
    other
        .execute(
            "UPDATE events SET kind = 'dreamt', body = '{\"event\":\"dreamt\"}' WHERE seq = 2",
            [],
        )
        .unwrap();
    let found = block_on(store.events(Query { limit: 2, ..Query::default() })).unwrap();
    assert_eq!((seqs(&found), found.skipped), (vec![1, 3], 1));
}

#[test]
fn a_newer_file_is_refused_untouched() {
    let dir = TempDir::new().unwrap();
    drop(reopen(dir.path()));
    let path = dir.path().join(FILE_NAME);
    let other = rusqlite::Connection::open(&path).unwrap();
    other.pragma_update(None, "user_version", 7).unwrap();
    drop(other);
    let before = std::fs::read(&path).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the database was written by a newer parhelia (schema 7, this one knows 3)"
    );
    assert_eq!(std::fs::read(&path).unwrap(), before);
}

#[test]
fn a_damaged_file_is_refused_and_moved_aside_on_word() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(FILE_NAME);
    std::fs::write(
        &path,
        b"this is no database, and long enough for SQLite to look at it".repeat(99),
    )
    .unwrap();
    std::fs::write(dir.path().join("parhelia.db-wal"), b"old").unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
    assert!(error.hint().unwrap().contains("--move-corrupt-aside"));
    std::fs::write(dir.path().join("parhelia.db.corrupt-17-shm"), b"mine").unwrap();
    let moved = Store::move_aside(dir.path(), Timestamp(17_999)).unwrap();
    assert_eq!(moved, dir.path().join("parhelia.db.corrupt-17-2"));
    assert!(std::fs::read(&moved).unwrap().starts_with(b"this is no database"));
    assert_eq!(std::fs::read(dir.path().join("parhelia.db.corrupt-17-shm")).unwrap(), b"mine");
    assert_eq!(reopen(dir.path()).0.last_seq, 0);
}

#[test]
fn damage_inside_is_found_after_an_unclean_end() {
    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    for seq in (1..500).step_by(50) {
        block_on(store.commit(batch(seq, seq + 49))).unwrap();
    }
    block_on(store.close());
    let path = dir.path().join(FILE_NAME);
    rusqlite::Connection::open(&path)
        .unwrap()
        .execute("UPDATE meta SET value = '0' WHERE key = 'clean'", [])
        .unwrap();
    let mut bytes = std::fs::read(&path).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xa5);
    std::fs::write(&path, bytes).unwrap();
    let error = Store::open(dir.path()).unwrap_err();
    assert!(matches!(error, StoreError::Corrupt { .. }), "{error}");
}

#[test]
fn a_database_of_another_program_is_refused() {
    let dir = TempDir::new().unwrap();
    let other = rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap();
    other.execute_batch("CREATE TABLE history (url TEXT)").unwrap();
    drop(other);
    let error = Store::open(dir.path()).unwrap_err();
    assert!(error.to_string().ends_with("it is a database of another program"), "{error}");
}

#[test]
fn only_the_owner_can_read_the_files() {
    use std::os::unix::fs::PermissionsExt;

    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    block_on(store.commit(batch(1, 1))).unwrap();
    for name in ["parhelia.db", "parhelia.db-wal", "parhelia.db-shm", "parhelia.lock"] {
        let mode = dir.path().join(name).metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
}

#[test]
fn an_open_store_locks_others_out() {
    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    let error = file::lock_within(dir.path(), 2).unwrap_err();
    assert!(matches!(error, StoreError::Locked { .. }), "{error}");
    block_on(store.close());
    assert!(file::lock_within(dir.path(), 1).is_ok(), "closed means that it can be opened");
}

#[test]
fn ten_openers_take_turns() {
    let dir = TempDir::new().unwrap();
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                let (store, loaded) = Store::open(dir.path()).unwrap();
                let next = loaded.last_seq + 1;
                assert_eq!(block_on(store.commit(batch(next, next))).unwrap(), next);
                block_on(store.close());
            });
        }
    });
    let (loaded, events) = reopen(dir.path());
    assert_eq!((loaded.last_seq, events.len()), (10, 10));
}

#[test]
fn commits_from_many_callers_all_land() {
    let dir = TempDir::new().unwrap();
    let (store, _) = Store::open(dir.path()).unwrap();
    block_on(async {
        let mut set = tokio::task::JoinSet::new();
        for number in 0..500 {
            let store = store.clone();
            set.spawn(async move {
                let batch = Batch { tasks: vec![task(id(number), "t")], ..Batch::default() };
                store.commit(batch).await.unwrap()
            });
        }
        assert_eq!(set.join_all().await, vec![0; 500]);
        store.close().await;
    });
    assert_eq!(reopen(dir.path()).0.tasks.len(), 500);
}

#[test]
fn a_full_disk_loses_nothing_and_is_got_over() {
    let dir = TempDir::new().unwrap();
    let lock = file::lock(dir.path()).unwrap();
    let path = dir.path().join(FILE_NAME);
    file::create(&path).unwrap();
    let connection = schema::open(&path).unwrap();
    // As if the disk had room for 64 pages (256 KiB).
    connection.query_row("PRAGMA max_page_count = 64", [], |_| Ok(())).unwrap();
    let jobs = reader::start(&path).unwrap();
    let writes = writer::start(connection, path, lock, 0, 0).unwrap();
    let store = Store { writes, jobs };
    let big = Batch { prompts: vec![(id(1), 0, vec![b'x'; 1 << 20])], ..batch(2, 2) };
    block_on(async {
        store.commit(batch(1, 1)).await.unwrap();
        let error = store.commit(big).await.unwrap_err();
        assert!(matches!(error, StoreError::Full { .. }), "{error}");
        assert_eq!(store.task(&id(1)).await.unwrap(), Some(task(id(1), "after 1")));
        assert_eq!(store.prompt(&id(1)).await.unwrap(), None);
        assert_eq!(store.commit(batch(2, 2)).await.unwrap(), 2);
        store.close().await;
    });
    let (loaded, events) = reopen(dir.path());
    assert_eq!((loaded.last_seq, events.len()), (2, 2));
}

/// Commits for ever when started by the test below; otherwise does nothing.
#[test]
fn crash_child() {
    let Some(dir) = std::env::var_os(CRASH_DIR) else { return };
    let (store, loaded) = Store::open(Path::new(&dir)).unwrap();
    let mut last = loaded.last_seq;
    loop {
        last = block_on(store.commit(batch(last + 1, last + 3))).unwrap();
        println!("acknowledged {last}");
    }
}

#[test]
fn kill_9_loses_nothing_that_was_acknowledged() {
    let dir = TempDir::new().unwrap();
    for round in 1..=5 {
        let acknowledged = run_and_kill(dir.path(), 10 * round);
        let (loaded, events) = reopen(dir.path());
        assert!(acknowledged <= loaded.last_seq, "{acknowledged} {}", loaded.last_seq);
        assert_eq!(loaded.last_seq % 3, 0, "a batch is there in part");
        let seqs: Vec<u64> = events.iter().map(|it| it.seq).collect();
        assert_eq!(seqs, (1..=loaded.last_seq).collect::<Vec<_>>());
        assert_eq!(loaded.offsets[&(id(1), "events.jsonl".to_owned())], loaded.last_seq);
        assert_eq!(loaded.tasks, [task(id(1), &format!("after {}", loaded.last_seq))]);
    }
}

/// Kills the child after `commits` answers and returns the last number it was told.
#[expect(clippy::disallowed_methods, reason = "the child is this test binary itself")]
fn run_and_kill(dir: &Path, commits: usize) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "store::tests::crash_child", "--nocapture"])
        .env(CRASH_DIR, dir)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut last = 0;
    let acknowledged =
        lines.map_while(Result::ok).filter_map(|it| it.strip_prefix("acknowledged ")?.parse().ok());
    for number in acknowledged.take(commits) {
        last = number;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_ne!(last, 0, "the child wrote nothing");
    last
}

/// What a released version wrote is read by this one.
#[test]
fn a_store_of_schema_1_opens() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(FILE_NAME);
    let old = rusqlite::Connection::open(&path).unwrap();
    old.execute_batch(include_str!("../../tests/data/store/schema-1.sql")).unwrap();
    drop(old);
    let (loaded, events) = reopen(dir.path());
    let expected = Loaded {
        tasks: vec![task(id(1), "after 2")],
        last_seq: 2,
        offsets: HashMap::from([((id(1), "events.jsonl".to_owned()), 2)]),
        dispatcher_id: "abcdefgh".into(),
        ledger: LedgerLoaded::default(),
    };
    assert_eq!(loaded, expected);
    assert_eq!(events, [1, 2].map(|it| event(it, id(1))));
}

#[test]
fn a_store_of_schema_2_opens() {
    let dir = TempDir::new().unwrap();
    let old = rusqlite::Connection::open(dir.path().join(FILE_NAME)).unwrap();
    old.execute_batch(include_str!("../../tests/data/store/schema-2.sql")).unwrap();
    drop(old);
    let (store, loaded) = Store::open(dir.path()).unwrap();
    let (task_id, checkpoint): (_, CheckpointId) = (id(1), "cp-aaaaaaaa".parse().unwrap());
    let at = Timestamp(1_700_000_001_000);
    let last = Newest { id: checkpoint.clone(), at, trigger: Trigger::BeforeKill };
    let kept = Kept { count: 1, last: Some(last), failed: None };
    assert_eq!(loaded.tasks, [Task { kept, ..task(task_id.clone(), "after 2") }]);
    let expected = Checkpoint {
        id: checkpoint,
        task: task_id.clone(),
        task_name: "after 2".into(),
        at,
        trigger: Trigger::BeforeKill,
        label: None,
        pinned: true,
        commit: "4b825dc642cb6eb9a060e54bf8d69288fbee4904".into(),
        parent: None,
        provider: "local".into(),
        workspace: HostPath::new("/w").unwrap(),
        change: Change { added: 1, modified: 2, deleted: 3, lines_added: 4, lines_removed: 5 },
        files: 6,
        bytes: 7,
        left_out: 8,
        stored: Some(9),
        damage: None,
        conversation: Some("c".into()),
        branch: Some("main".into()),
        head: None,
        turns: 10,
        tokens: Tokens { input: 11, output: 12, cache_read: 13, cache_write: 14 },
        cost: Usd(15),
    };
    let query = CheckpointQuery { task: Some(task_id), ..CheckpointQuery::default() };
    assert_eq!(block_on(store.checkpoints(query)).unwrap(), [expected]);
    block_on(store.close());
}

#[test]
fn a_migration_happens_wholly_or_not_at_all() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join(FILE_NAME);
    drop(reopen(dir.path()));
    let version = |connection: &rusqlite::Connection| -> (u32, bool) {
        let number = connection.query_row("PRAGMA user_version", [], |it| it.get(0)).unwrap();
        (number, connection.prepare("SELECT * FROM extra").is_ok())
    };
    let mut connection = rusqlite::Connection::open(&path).unwrap();
    let now = u32::try_from(schema::MIGRATIONS.len()).unwrap();
    let and = |step: &'static str| [schema::MIGRATIONS, &[step]].concat();
    let broken = and("CREATE TABLE extra (a); CREATE TABLE tasks (b);");
    assert!(schema::migrate(&mut connection, &broken).is_err());
    assert_eq!(version(&connection), (now, false));
    schema::migrate(&mut connection, &and("CREATE TABLE extra (a);")).unwrap();
    assert_eq!(version(&connection), (now + 1, true));
}

/// A batch with its events still unnumbered: (tasks, deleted, events, offsets).
type Plan = (Vec<(usize, String)>, Vec<usize>, Vec<usize>, Vec<(usize, u64)>);

fn plans() -> impl Strategy<Value = Vec<Plan>> {
    let ids = 0usize..4;
    let batch = (
        prop::collection::vec((ids.clone(), any::<String>()), 0..3),
        prop::collection::vec(ids.clone(), 0..2),
        prop::collection::vec(ids.clone(), 0..4),
        prop::collection::vec((ids, 0..u64::MAX / 2), 0..3),
    );
    prop::collection::vec(batch, 0..8)
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(24))]

    #[test]
    fn any_batches_reload_as_they_were(plans in plans()) {
        let dir = TempDir::new().unwrap();
        let (store, _) = Store::open(dir.path()).unwrap();
        let (mut tasks, mut offsets, mut events) = (BTreeMap::new(), HashMap::new(), vec![]);
        for (upserts, deleted, noted, files) in plans {
            let first = events.len() as u64 + 1;
            let numbered: Vec<Event> =
                noted.iter().zip(first..).map(|(it, seq)| event(seq, id(*it))).collect();
            let batch = Batch {
                tasks: upserts.iter().map(|(it, name)| task(id(*it), name)).collect(),
                deleted: deleted.iter().map(|it| id(*it)).collect(),
                events: numbered.clone(),
                offsets: files.iter().map(|(it, at)| (id(*it), "f".into(), *at)).collect(),
                ..Batch::default()
            };
            for task in &batch.tasks {
                tasks.insert(task.id.clone(), task.clone());
            }
            for (task, file, at) in &batch.offsets {
                offsets.insert((task.clone(), file.clone()), *at);
            }
            for id in &batch.deleted {
                tasks.remove(id);
                offsets.retain(|(task, _), _| task != id);
            }
            events.extend(numbered);
            prop_assert_eq!(block_on(store.commit(batch)).unwrap(), events.len() as u64);
        }
        block_on(store.close());
        let (loaded, found) = reopen(dir.path());
        prop_assert_eq!(loaded.tasks, tasks.into_values().collect::<Vec<_>>());
        prop_assert_eq!(loaded.offsets, offsets);
        prop_assert_eq!(found, events);
    }
}
