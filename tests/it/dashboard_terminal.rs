//! The dashboard takes a terminal and gives it back as it was, however it ends.

use std::{collections::BTreeMap, fs, os::unix::fs::PermissionsExt, path::PathBuf};

use parhelia::vt::screen::{Screen, Size};
use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    dispatcher::{self, create, wait_task},
    pty::Pty,
    sandbox::Sandbox,
    screen::Screen as Tmux,
    stand_in,
    wait::{PATIENCE, wait, wait_or_explain, wait_until},
};

/// Runs the program between two looks at the terminal's settings, and says which process it is.
const SCRIPT: &str = r#"
stty -a >"$0/before"
sh -c 'echo $$ >"$0/pid.new"; mv "$0/pid.new" "$0/pid"; exec "$@"' "$0" "$@"
echo $? >"$0/status.new"
stty -a >"$0/after"
echo "the seat is left"
mv "$0/status.new" "$0/status"
"#;

/// A dashboard on a terminal of its own.
struct Seat {
    pty: Pty,
    /// All that was written to the terminal.
    seen: Vec<u8>,
    /// What it shows.
    screen: Screen,
    dir: PathBuf,
}

impl Seat {
    /// Opens `parhelia` with `args`.
    fn open(sandbox: &Sandbox, args: &[&str]) -> Seat {
        let dir = sandbox.root().join("seat");
        fs::create_dir_all(&dir).unwrap();
        let mut argv: Vec<String> =
            ["sh", "-c", SCRIPT, dir.to_str().unwrap()].map(Into::into).into();
        argv.push(env!("CARGO_BIN_EXE_parhelia").into());
        argv.extend(args.iter().map(|it| (*it).to_owned()));
        Seat {
            pty: Pty::open(sandbox, &argv, 120, 36),
            seen: Vec::new(),
            screen: Screen::new(Size { cols: 120, rows: 36 }),
            dir,
        }
    }

    fn take(&mut self) -> String {
        let bytes = self.pty.take().concat();
        self.screen.feed(&bytes);
        self.seen.extend(bytes);
        String::from_utf8_lossy(&self.seen).into_owned()
    }

    /// Waits until the screen shows a text.
    fn wait_for(&mut self, text: &str) {
        let mut shown = String::new();
        let look = || {
            self.take();
            shown = (0..36).map(|it| self.screen.row_text(it) + "\n").collect();
            shown.contains(text).then_some(())
        };
        if wait(PATIENCE, look).is_none() {
            panic!("no `{text}` on the screen:\n{shown}");
        }
    }

    /// Tells whether any frame so far showed a text.
    fn ever_showed(&self, text: &str) -> bool {
        let mut screen = Screen::new(Size { cols: 120, rows: 36 });
        String::from_utf8_lossy(&self.seen).split_inclusive("\x1b[?2026l").any(|frame| {
            screen.feed(frame.as_bytes());
            (0..36).any(|it| screen.row_text(it).contains(text))
        })
    }

    /// Waits until the first frame is there.
    fn wait_frame(&mut self) {
        let mut seen = String::new();
        wait_or_explain(
            "a frame",
            PATIENCE,
            || {
                seen = self.take();
                seen.contains("\x1b[?2026l").then_some(())
            },
            || "no frame".to_owned(),
        );
    }

    fn pid(&self) -> Pid {
        let file = self.dir.join("pid");
        let pid = wait_until("the program to start", PATIENCE, || {
            fs::read_to_string(&file).ok()?.trim().parse().ok()
        });
        Pid::from_raw(pid).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits for the end, and returns the status once the terminal is as it was.
    fn end(mut self) -> (i32, String) {
        let file = self.dir.join("status");
        let status = wait_or_explain(
            "the program to end",
            PATIENCE,
            || fs::read_to_string(&file).ok()?.trim().parse().ok(),
            || format!("it wrote {:?}", self.take()),
        );
        // What it wrote last may still be on its way.
        let seen = wait_until("the last word", PATIENCE, || {
            Some(self.take()).filter(|it| it.contains("the seat is left"))
        });
        assert_eq!(balance(&seen), [""; 0], "{seen:?}");
        let read = |name: &str| fs::read_to_string(self.dir.join(name)).unwrap();
        assert_eq!(read("after"), read("before"));
        (status, seen)
    }
}

/// Returns what output switched on and did not switch off again.
fn balance(output: &str) -> Vec<String> {
    let mut modes: BTreeMap<u32, bool> = BTreeMap::new();
    let (mut keys, mut titles, mut shape) = (0, 0, 0);
    for part in output.split("\x1b[").skip(1) {
        let Some(end) = part.find(|it: char| ('\x40'..='\x7e').contains(&it)) else { continue };
        let (parameters, last) = (&part[..end], &part[end..=end]);
        match (parameters.as_bytes().first(), last) {
            (Some(b'?'), "h" | "l") => {
                for number in parameters[1..].split(';').filter_map(|it| it.parse().ok()) {
                    modes.insert(number, last == "h");
                }
            }
            (Some(b'>'), "u") => keys += 1,
            (Some(b'<'), "u") => keys -= 1,
            (_, "t") if parameters.starts_with("22") => titles += 1,
            (_, "t") if parameters.starts_with("23") => titles -= 1,
            (_, "q") => shape = parameters.trim().parse().unwrap_or(0),
            _ => (),
        }
    }
    // The cursor is there when a program begins; every other mode is off.
    let mut open: Vec<String> = modes
        .iter()
        .filter(|(number, on)| **on != (**number == 25))
        .map(|(number, _)| format!("mode {number}"))
        .collect();
    for (what, count) in [("keys", keys), ("titles", titles), ("cursor shape", shape)] {
        if count != 0 {
            open.push(format!("{what} {count}"));
        }
    }
    open
}

fn switched_on(output: &str) -> bool {
    ["\x1b[?1049h", "\x1b[?1002h", "\x1b[?2004h", "\x1b[?1004h", "\x1b[>1u", "\x1b[22;2t"]
        .iter()
        .all(|it| output.contains(it))
}

#[test]
fn quitting_gives_the_terminal_back() {
    let sandbox = stand_in::sandbox(1);
    let mut seat = Seat::open(&sandbox, &[]);
    seat.wait_frame();
    assert!(!balance(&seat.take()).is_empty());
    seat.pty.type_bytes(b"q");
    let (status, seen) = seat.end();
    assert_eq!(status, 0);
    assert!(switched_on(&seen), "{seen:?}");
}

#[test]
fn signals_give_the_terminal_back() {
    let sandbox = stand_in::sandbox(1);
    for (signal, number) in [(Signal::TERM, 15), (Signal::HUP, 1), (Signal::INT, 2)] {
        let mut seat = Seat::open(&sandbox, &[]);
        seat.wait_frame();
        seat.signal(signal);
        let (status, seen) = seat.end();
        assert_eq!(status, 128 + number);
        assert!(switched_on(&seen), "{seen:?}");
        fs::remove_dir_all(sandbox.root().join("seat")).unwrap();
    }
}

/// The defect is a real one: a task of the dashboard panics while the dashboard is open.
#[test]
fn a_defect_gives_the_terminal_back_and_is_told() {
    let sandbox = stand_in::sandbox(1);
    let seat = Seat::open(&sandbox, &["debug", "defect"]);
    let (status, seen) = seat.end();
    assert_eq!(status, 70);
    assert!(switched_on(&seen), "{seen:?}");
    let told = seen.rfind("a defect on purpose").expect(&seen);
    assert!(
        seen.rfind("\x1b[?1049l").unwrap() < told,
        "told on the screen that goes away: {seen:?}"
    );
    // What led to it was written down, for nobody else.
    let files = fs::read_dir(sandbox.state().join("ui")).unwrap().flatten();
    let recording =
        files.map(|it| it.path()).find(|it| it.to_string_lossy().contains("recording-"));
    let recording = recording.expect("no recording");
    assert_eq!(fs::metadata(&recording).unwrap().permissions().mode() & 0o777, 0o600);
    let screen = sandbox.ok(&["debug", "replay", recording.to_str().unwrap(), "--dump", "99"]);
    assert!(screen.contains("parhelia"), "{screen}");
}

#[test]
fn an_error_at_the_start_leaves_the_terminal_alone() {
    let sandbox = stand_in::sandbox(1);
    fs::set_permissions(sandbox.state(), fs::Permissions::from_mode(0o777)).unwrap();
    let seat = Seat::open(&sandbox, &[]);
    let (status, seen) = seat.end();
    assert_ne!(status, 0);
    assert!(!seen.contains('\x1b') || !seen.contains("?1049h"), "{seen:?}");
    assert!(seen.contains("cannot be trusted"), "{seen:?}");
}

#[test]
fn a_killed_dispatcher_is_started_again_and_nothing_is_lost() {
    let sandbox = stand_in::sandbox(2);
    let id = create(&sandbox, &["--interactive", "--name", "sturdy", "turn"]);
    wait_task(&sandbox, &id, "to wait", |it| it["activity"] == "idle");
    let mut seat = Seat::open(&sandbox, &[]);
    seat.wait_for("sturdy");
    let old = dispatcher::kill(&sandbox).unwrap();
    let new = wait_until("another dispatcher", PATIENCE, || {
        dispatcher::pid(&sandbox).filter(|it| *it != old)
    });
    sandbox.record(new);
    seat.wait_for("answers again");
    assert!(seat.ever_showed("LOST"), "nothing was said of it");
    wait_task(&sandbox, &id, "to be as before", |it| it["activity"] == "idle");
    seat.pty.type_bytes(b"q");
    let (status, seen) = seat.end();
    assert_eq!(status, 0);
    assert!(seen.contains("1 task keeps running"), "{seen:?}");
}

#[test]
fn a_dispatcher_that_was_told_to_end_stays_ended() {
    let sandbox = stand_in::sandbox(1);
    let mut seat = Seat::open(&sandbox, &[]);
    wait_until("a dispatcher", PATIENCE, || dispatcher::pid(&sandbox));
    seat.wait_for("host");
    dispatcher::stop(&sandbox);
    seat.wait_for("STOPPED");
    assert_eq!(dispatcher::pid(&sandbox), None);
    // A key of the person's starts it.
    seat.pty.type_bytes(b"\x12");
    wait_until("a dispatcher", PATIENCE, || dispatcher::pid(&sandbox));
    seat.pty.type_bytes(b"q");
    assert_eq!(seat.end().0, 0);
}

#[test]
fn the_terminal_is_lent_out_while_it_is_suspended() {
    let sandbox = stand_in::sandbox(1);
    let screen = Tmux::start(&sandbox, 120, 36, &["bash", "--norc", "-i"]);
    let parhelia = env!("CARGO_BIN_EXE_parhelia");
    screen.type_text(&format!("PS1='$ '; stty -a >before; {parhelia}"));
    screen.keys(&["Enter"]);
    let taken = |it: &str| it.starts_with("alternate=1 mouse=1");
    wait_until("the dashboard", PATIENCE, || taken(&screen.modes()).then_some(()));
    screen.keys(&["C-z"]);
    screen.wait_for("Stopped");
    assert_eq!(screen.modes(), "alternate=0 mouse=0 keys=00 cursor=1");
    screen.type_text("stty -a >during; cmp before during && echo alike; fg");
    screen.keys(&["Enter"]);
    wait_until("the dashboard", PATIENCE, || taken(&screen.modes()).then_some(()));
    screen.keys(&["q"]);
    screen.wait_for("alike");
    wait_until("the terminal", PATIENCE, || {
        (screen.modes() == "alternate=0 mouse=0 keys=00 cursor=1").then_some(())
    });
}
