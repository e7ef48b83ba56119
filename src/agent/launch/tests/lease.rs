//! The watchdog and what the status line tells it, in the shells they will meet.

use crate::agent::lease::{Allowed, Lease, Total, over};
use crate::domain::{state::ParkCause, usd::Usd};

use super::*;

const CONVERSATION: &str = "11111111-2222-4333-8444-555555555555";

/// A launch directory with a watchdog at work, and a Claude that does nothing.
struct Watched {
    launch: Launch,
    shell: Vec<&'static str>,
    claude: Child,
    watchdog: Child,
    _root: tempfile::TempDir,
}

impl Watched {
    fn new(shell: &[&'static str], lease: &[u8]) -> Watched {
        Watched::of(shell, lease, "$0")
    }

    /// Its Claude is told in `named` where to write its process id: with `$0` in its arguments.
    fn of(shell: &[&'static str], lease: &[u8], named: &str) -> Watched {
        let root = tempfile::tempdir().unwrap();
        let launch = running(root.path());
        let dir = launch.dir();
        let path = |name: &str| dir.path().join(name).as_str().to_owned();
        fs::create_dir_all(path("spent")).unwrap();
        assert!(Process::new("mkfifo").arg(path("lease.fifo")).status().unwrap().success());
        // Nobody answers, so a short wait for an answer is as good as a long one.
        let script = fs::read_to_string(path("lease.sh")).unwrap();
        let quick = script.replace("tries=10\n", "tries=2\n");
        assert_ne!(quick, script);
        fs::write(path("lease.sh"), quick).unwrap();
        let work = "while :; do sleep 0.05; done";
        let claude = Process::new("dash")
            .args(["-c", &format!("trap 'exit 7' TERM; echo $$ >\"{named}\"; {work}")])
            .args((named == "$0").then(|| path("pid")))
            .env("PID_FILE", path("pid"))
            .spawn()
            .unwrap();
        wait_until("claude runs", || fs::read(path("pid")).is_ok_and(|it| it.ends_with(b"\n")));
        put(&launch, lease);
        let watchdog = Process::new(shell[0])
            .args(&shell[1..])
            .arg(path("lease.sh"))
            .env_remove("TMUX_PANE")
            .spawn()
            .unwrap();
        Watched { launch, shell: shell.to_vec(), claude, watchdog, _root: root }
    }

    fn path(&self, name: &str) -> String {
        self.launch.dir().path().join(name).as_str().to_owned()
    }

    /// What wakes it. Held open, so that it never waits for the process that sleeps to begin.
    fn fifo(&self) -> fs::File {
        fs::OpenOptions::new().read(true).write(true).open(self.path("lease.fifo")).unwrap()
    }

    /// Says as Claude would what a conversation has cost.
    fn cost(&self, conversation: &str, dollars: &str) {
        let line = format!(
            "{{\"session_id\":\"{conversation}\",\"cost\":{{\"total_cost_usd\":{dollars}}}}}"
        );
        status(&self.launch, &self.shell, &line);
    }

    fn lives(&mut self) -> bool {
        self.claude.try_wait().unwrap().is_none()
    }

    /// Waits until the watchdog has ended Claude, and returns why.
    fn ended(&mut self) -> Option<ParkCause> {
        let shell = self.shell.clone();
        let child = std::cell::RefCell::new(&mut self.claude);
        wait_until(&format!("{shell:?} ends claude"), || {
            child.borrow_mut().try_wait().unwrap().is_some_and(|it| it.code() == Some(7))
        });
        over(&read(&self.launch.dir().lease_over()))
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path("lease.fifo"));
        for child in [&mut self.claude, &mut self.watchdog] {
            let _ = Process::new("pkill").args(["-P", &child.id().to_string()]).status();
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn put(launch: &Launch, lease: &[u8]) {
    let file = launch.dir().lease();
    let new = format!("{file}.new");
    fs::write(&new, lease).unwrap();
    fs::rename(new, file.as_str()).unwrap();
}

fn status(launch: &Launch, shell: &[&str], line: &str) {
    let mut child = Process::new(shell[0])
        .args(&shell[1..])
        .arg(launch.dir().path().join("statusline.sh").as_str())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(line.as_bytes()).unwrap();
    assert!(finish(child).status.success());
}

/// A lease of so many seconds and micro-dollars, of more in all.
fn lease(secs: u64, share: i64, most: i64, totals: &[(&str, i64, bool)]) -> Vec<u8> {
    let written = SystemClock.now();
    let total = |it: &(&str, i64, bool)| Total {
        conversation: it.0.to_owned(),
        total: Usd(it.1),
        carried: it.2,
    };
    Lease {
        written,
        // Written as a whole second more.
        until: written.plus(Duration::from_secs(secs - 1)),
        allowed: Some(Allowed { share: Usd(share), most: Usd(most) }),
        totals: totals.iter().map(total).collect(),
    }
    .encode()
}

/// Runs `test` in every shell at once.
fn in_all(test: impl Fn(&[&'static str]) + Sync) {
    std::thread::scope(|scope| {
        for shell in shells() {
            let test = &test;
            scope.spawn(move || test(&shell));
        }
    });
}

#[test]
fn a_lease_that_nobody_renews_ends_claude() {
    in_all(|shell| {
        let mut watched = Watched::new(shell, &lease(2, 9, 9, &[]));
        let Some(ParkCause::LeaseOver { ended }) = watched.ended() else { panic!("{shell:?}") };
        assert!(ended.0 <= SystemClock.now().0 && SystemClock.now().0 < ended.0 + 10_000);
        let _ = watched.watchdog.wait();
    });
}

#[test]
fn an_agent_is_known_by_its_launcher_whatever_its_arguments_are() {
    in_all(|shell| {
        let mut it = Watched::of(shell, &lease(1, 1_000_000, 1_000_000, &[]), "$PID_FILE");
        assert!(matches!(it.ended(), Some(ParkCause::LeaseOver { .. })), "{shell:?}");
    });
}

#[test]
fn a_lease_that_is_spent_ends_claude_and_not_before() {
    in_all(|shell| {
        let lease = lease(900, 1_000_000, 1_000_000, &[(CONVERSATION, 500_000, false)]);
        let mut watched = Watched::new(shell, &lease);
        watched.cost(CONVERSATION, "0.5");
        watched.cost(CONVERSATION, "1.0999996");
        watched.cost("other", "0.3999993");
        // The older of two lines that come at once is no news.
        watched.cost(CONVERSATION, "0.7");
        assert!(watched.lives(), "{shell:?}");
        assert!(!Path::new(&watched.path("lease.over")).exists(), "{shell:?}");
        watched.cost("other", "0.4");
        let (spent, limit) = (Usd(1_000_000), Usd(1_000_000));
        assert_eq!(watched.ended(), Some(ParkCause::LeaseSpent { spent, limit }), "{shell:?}");
    });
}

#[test]
fn what_an_earlier_launch_spent_is_not_counted_again() {
    in_all(|shell| {
        // Claude was killed, so this launch begins at an older total than that one ended with.
        let totals = [(CONVERSATION, 5_000_000, true), ("copy", i64::MAX, true)];
        let mut watched = Watched::new(shell, &lease(900, 1_000_000, 1_000_000, &totals));
        watched.cost(CONVERSATION, "4");
        watched.cost("copy", "70");
        watched.cost("copy", "70.3");
        watched.cost(CONVERSATION, "4.6");
        assert!(watched.lives(), "{shell:?}");
        watched.cost(CONVERSATION, "4.8");
        let (spent, limit) = (Usd(1_100_000), Usd(1_000_000));
        assert_eq!(watched.ended(), Some(ParkCause::LeaseSpent { spent, limit }), "{shell:?}");
    });
}

#[test]
fn who_spent_a_share_asks_for_more_and_goes_on_with_it() {
    in_all(|shell| {
        let mut watched = Watched::new(shell, &lease(900, 1_000_000, 9_000_000, &[]));
        watched.cost(CONVERSATION, "1.5");
        wait_until("it asks", || Path::new(&watched.path("lease.ask")).exists());
        let more = lease(900, 1_000_000, 7_000_000, &[(CONVERSATION, 1_500_000, false)]);
        put(&watched.launch, &more);
        wait_until("it has it", || !Path::new(&watched.path("lease.ask")).exists());
        assert!(watched.lives(), "{shell:?}");
        watched.cost(CONVERSATION, "2.6");
        let (spent, limit) = (Usd(1_100_000), Usd(1_000_000));
        assert_eq!(watched.ended(), Some(ParkCause::LeaseSpent { spent, limit }), "{shell:?}");
    });
}

#[test]
fn a_word_that_comes_as_it_falls_asleep_wakes_it() {
    in_all(|shell| {
        let mut watched = Watched::new(shell, &lease(900, 1_000_000, 1_000_000, &[]));
        let mut fifo = watched.fifo();
        for _ in 0..200 {
            fifo.write_all(b"wake\n").unwrap();
        }
        watched.cost(CONVERSATION, "1.5");
        let (spent, limit) = (Usd(1_500_000), Usd(1_000_000));
        assert_eq!(watched.ended(), Some(ParkCause::LeaseSpent { spent, limit }), "{shell:?}");
    });
}

#[test]
fn a_deadline_is_asked_about_and_a_renewed_lease_holds() {
    in_all(|shell| {
        let mut watched = Watched::new(shell, &lease(2, 9, 9, &[]));
        wait_until("it asks", || Path::new(&watched.path("lease.ask")).exists());
        put(&watched.launch, &lease(900, 9, 9, &[]));
        wait_until("it has it", || !Path::new(&watched.path("lease.ask")).exists());
        assert!(watched.lives(), "{shell:?}");
        assert!(!Path::new(&watched.path("lease.over")).exists(), "{shell:?}");
    });
}

#[test]
fn a_watchdog_that_was_stopped_looks_at_the_clock_when_it_goes_on() {
    in_all(|shell| {
        let mut watched = Watched::new(shell, &lease(2, 9, 9, &[]));
        let pid = watched.watchdog.id().to_string();
        assert!(Process::new("kill").args(["-STOP", &pid]).status().unwrap().success());
        let until = SystemClock.now().plus(Duration::from_secs(4));
        wait_until("the lease is over", || until <= SystemClock.now());
        assert!(watched.lives(), "{shell:?}");
        assert!(Process::new("kill").args(["-CONT", &pid]).status().unwrap().success());
        assert!(matches!(watched.ended(), Some(ParkCause::LeaseOver { .. })), "{shell:?}");
    });
}

#[test]
fn hostile_leases_and_status_lines_run_nothing_and_end_nothing() {
    let leases: &[&[u8]] = &[
        b"",
        b"\n",
        b"parhelia-lease-1",
        b"parhelia-lease-1 1 2000 5 5\nx[$(touch${IFS}pwned)] 1 seen\na a[$(touch${IFS}pwned)]\n",
        b"parhelia-lease-1 1 a[$(touch${IFS}pwned)] 1 1\n",
        b"parhelia-lease-1 1 2000 $(touch${IFS}pwned) `touch${IFS}pwned`\nx[$(touch${IFS}pwned)] 1 seen\n",
        b"parhelia-lease-2 1 2000 0 0\n",
        b"parhelia-lease-1 -5 -9 0 0\n",
        b"parhelia-lease-1 1 08 0 0\n",
        b"parhelia-lease-1 1 99999999999999999999999 0 0\n",
        b"\x00\xff\xfe\n\x00",
        b"* * * * *\n",
    ];
    let lines = [
        "",
        "{",
        r#"{"session_id":"../../pwned","cost":{"total_cost_usd":9}}"#,
        r#"{"session_id":"a;touch pwned","cost":{"total_cost_usd":9}}"#,
        r#"{"session_id":"a","cost":{"total_cost_usd":$(touch pwned)}}"#,
        r#"{"session_id":"a","cost":{"total_cost_usd":-9}}"#,
        r#"{"session_id":"a","cost":{"total_cost_usd":"9"}}"#,
        r#"{"session_id":"a","cwd":"*,\"cost\":{\"total_cost_usd\":9,","cost":{"total_cost_usd":0}}"#,
        "{\"session_id\":\"a\",\"cwd\":\"\u{0}\u{ff}\",\"cost\":{\"total_cost_usd\":00}}",
    ];
    in_all(|shell| {
        let mut watched = Watched::new(shell, leases[0]);
        for lease in leases {
            put(&watched.launch, lease);
            for line in lines {
                status(&watched.launch, shell, line);
            }
            // So that it reads the lease.
            watched.fifo().write_all(b"wake\n").unwrap();
        }
        // It has read them all when it has read this one.
        let sound = lease(900, 1_000_000, 1_000_000, &[]);
        put(&watched.launch, &sound);
        watched.cost("sound", "1.5");
        let (spent, limit) = (Usd(1_500_000), Usd(1_000_000));
        assert_eq!(watched.ended(), Some(ParkCause::LeaseSpent { spent, limit }), "{shell:?}");
        for dir in [watched.path("."), watched.path("spent"), watched.path("..")] {
            assert!(!Path::new(&dir).join("pwned").exists(), "{shell:?} {dir}");
        }
        assert!(!Path::new("pwned").exists(), "{shell:?}");
    });
}

#[test]
fn dollars_become_whole_millionths() {
    let cases = [
        ("0", Some("0 0")),
        ("0.008748", Some("8748 8748")),
        ("0.0000005", Some("1 1")),
        ("1e-7", Some("0 0")),
        ("9.5e-7", Some("1 1")),
        ("1.5e-3", Some("1500 1500")),
        ("12e-3", Some("12000 12000")),
        ("12.3456789", Some("12345679 12345679")),
        ("0.30000000000000004", Some("300000 300000")),
        ("123456789012", Some("999999999000000 999999999000000")),
        ("1e+21", Some("999999999000000 999999999000000")),
        ("-5", None),
        ("1.2.3", None),
        ("e-3", None),
        (".", None),
    ];
    in_all(|shell| {
        let watched = Watched::new(shell, b"");
        for (number, expected) in cases {
            let file = watched.path("spent/a");
            let _ = fs::remove_file(&file);
            watched.cost("a", number);
            let written = fs::read_to_string(file).ok();
            assert_eq!(written.as_deref().map(str::trim_end), expected, "{shell:?} {number}");
        }
    });
}

#[test]
fn the_watchdog_ends_with_claude() {
    in_all(|shell| {
        let root = tempfile::tempdir().unwrap();
        let launch = launch(root.path(), "until [ -e go ]; do sleep 0.02; done; exit 4");
        write(&launch);
        put(&launch, &lease(900, 9, 9, &[]));
        let dir = launch.dir();
        let pid = dir.path().join("lease.pid");
        let pid = || fs::read_to_string(pid.as_str()).unwrap_or_default().trim().to_owned();
        let lives = |pid: &str| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(") ").is_some_and(|it| !it.1.starts_with(['Z', 'X']))
        };
        let sleeps = |pid: &str| {
            let children = format!("/proc/{pid}/task/{pid}/children");
            fs::read_to_string(children).unwrap_or_default().trim().to_owned()
        };
        std::thread::scope(|scope| {
            let run = scope.spawn(|| run(&launch, shell));
            wait_until("the watchdog sleeps", || {
                !pid().is_empty() && lives(&pid()) && !sleeps(&pid()).is_empty()
            });
            let (pid, sleeper) = (pid(), sleeps(&pid()));
            fs::write(launch.workspace.join("go").as_str(), "").unwrap();
            assert_eq!(run.join().unwrap().status.code(), Some(4), "{shell:?}");
            wait_until("the watchdog is gone", || !lives(&pid) && !lives(&sleeper));
        });
        assert!(!Path::new(dir.lease_over().as_str()).exists(), "{shell:?}");
    });
}
