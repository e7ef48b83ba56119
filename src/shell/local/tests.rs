use std::{
    os::unix::fs::{PermissionsExt, symlink},
    time::Duration,
};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::shell::run;

const LIMIT: Duration = Duration::from_secs(60);

async fn within<T>(what: &str, work: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, work).await.unwrap_or_else(|_| panic!("timed out: {what}"))
}

fn host_path(path: &Path) -> HostPath {
    HostPath::new(path.to_str().unwrap()).unwrap()
}

fn alive(pid: i32) -> bool {
    rustix::process::test_kill_process(Pid::from_raw(pid).unwrap()).is_ok()
        && !std::fs::read_to_string(format!("/proc/{pid}/stat"))
            .is_ok_and(|it| it.rsplit(')').next().unwrap_or_default().starts_with(" Z"))
}

async fn until_dead(pid: i32) {
    let gone = async {
        while alive(pid) {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the process dies", gone).await;
}

#[tokio::test]
async fn a_command_runs_with_its_input_environment_and_directory() {
    let dir = tempfile::tempdir().unwrap();
    let command = Command::new(["sh", "-c", "cat; echo \"$A\"; pwd; echo no >&2; exit 3"])
        .env("A", "b c")
        .cwd(host_path(dir.path()))
        .stdin("in\0put\n");
    let output = run(&LocalShell::new(), &command, LIMIT).await.unwrap();
    let real = dir.path().canonicalize().unwrap();
    let expected = format!("in\0put\nb c\n{}\n", real.display());
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    assert_eq!((output.code, output.stderr.as_slice()), (3, &b"no\n"[..]));
}

#[tokio::test]
async fn what_cannot_start_says_why() {
    let shell = LocalShell::new();
    let error = run(&shell, &Command::new(["/no/such"]), LIMIT).await.unwrap_err();
    assert_eq!(error.to_string(), "this machine has no program `/no/such`");
    let nowhere = Command::new(["true"]).cwd(HostPath::new("/no/where").unwrap());
    let error = run(&shell, &nowhere, LIMIT).await.unwrap_err();
    assert!(error.to_string().contains("enter /no/where"), "{error}");
    let error = shell.open_pty(&nowhere, Size { cols: 80, rows: 24 }).await.err().unwrap();
    assert!(error.to_string().contains("enter /no/where"), "{error}");
    let none = Command::new(["no-such-program-here"]);
    let error = shell.open_pty(&none, Size { cols: 80, rows: 24 }).await.err().unwrap();
    assert!(matches!(error, ShellError::NoProgram { .. }), "{error}");
}

#[tokio::test]
async fn a_deadline_ends_the_command_and_what_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pid_file = dir.path().join("pid");
    let script = format!("sleep 1000 & echo $! > '{}'; wait", pid_file.display());
    let shell = LocalShell::new();
    let command = Command::new(["sh", "-c", &script]);
    for command in [command.clone(), command.in_background(10)] {
        let process = shell.exec(&command).await.unwrap();
        let pid = within("the pid is written", async {
            loop {
                let text = std::fs::read_to_string(&pid_file).unwrap_or_default();
                if text.ends_with('\n') {
                    break text.trim().parse().unwrap();
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
        assert!(alive(pid));
        drop(process);
        until_dead(pid).await;
        std::fs::remove_file(&pid_file).unwrap();
    }
    let limit = Duration::from_millis(50);
    let error = run(&shell, &Command::new(["sleep", "1000"]), limit).await.unwrap_err();
    assert!(matches!(error, ShellError::Deadline { .. }), "{error}");
}

#[tokio::test]
async fn what_nobody_waits_for_gives_way_and_is_otherwise_the_same() {
    let script = "read -r it; echo \"$it $1 $NAME\"; pwd; cat /proc/$$/stat; \
        cat /proc/$$/autogroup 2>/dev/null; exit 7";
    let command = Command::new(["sh", "-c", script, "x", "an 'argument"])
        .env("NAME", "value")
        .cwd(HostPath::new("/").unwrap())
        .stdin("a line\n")
        .in_background(10);
    let output = run(&LocalShell::new(), &command, LIMIT).await.unwrap();
    assert_eq!((output.code, output.complaint()), (7, String::new()));
    let said = String::from_utf8(output.stdout).unwrap();
    let mut lines = said.lines();
    assert_eq!(lines.next(), Some("a line an 'argument value"));
    assert_eq!(lines.next(), Some("/"));
    let (head, rest) = lines.next().unwrap().split_once(" (sh) ").unwrap();
    // From the third field on, see proc(5): its state, its parent, its group, its session.
    let fields: Vec<&str> = rest.split(' ').collect();
    assert_eq!((fields[2], fields[3], fields[16]), (head, head, "10"), "{said}");
    // Only where the kernel has them.
    if let Some(group) = lines.next() {
        assert!(group.ends_with(" nice 10"), "{said}");
    }
}

#[tokio::test]
async fn a_signal_is_a_status_above_128() {
    let command = Command::new(["sh", "-c", "kill -TERM $$"]);
    assert_eq!(run(&LocalShell::new(), &command, LIMIT).await.unwrap().code, 143);
}

#[tokio::test]
async fn files_are_put_whole_and_got_in_parts() {
    let dir = tempfile::tempdir().unwrap();
    let shell = LocalShell::new();
    let path = host_path(&dir.path().join("a/b/file"));
    assert_eq!(shell.get(&path, 0, 10).await.unwrap(), None);
    shell.put(&path, b"0123456789", 0o640).await.unwrap();
    shell.put(&path, b"abcdefghij", 0o755).await.unwrap();
    assert_eq!(shell.get(&path, 3, 4).await.unwrap().unwrap(), b"defg");
    assert_eq!(shell.get(&path, 30, 4).await.unwrap().unwrap(), b"");
    assert_eq!(shell.get(&path.join("below"), 0, 4).await.unwrap(), None);
    let mode =
        |it: &str| std::fs::metadata(dir.path().join(it)).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode("a/b/file"), mode("a"), mode("a/b")), (0o755, 0o700, 0o700));
    assert_eq!(std::fs::read_dir(dir.path().join("a/b")).unwrap().count(), 1);
    assert!(shell.get(&host_path(dir.path()), 0, 4).await.is_err());
}

#[tokio::test]
async fn putting_over_a_link_replaces_the_link() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("target"), "kept").unwrap();
    symlink("target", dir.path().join("link")).unwrap();
    let link = host_path(&dir.path().join("link"));
    LocalShell::new().put(&link, b"new", 0o600).await.unwrap();
    assert_eq!(std::fs::read(dir.path().join("target")).unwrap(), b"kept");
    assert_eq!(std::fs::read(dir.path().join("link")).unwrap(), b"new");
}

async fn read_until(output: &mut (impl AsyncReadExt + Unpin), end: &str) -> String {
    let mut text = String::new();
    let reading = async {
        let mut chunk = [0; 1024];
        while !text.contains(end) {
            let n = output.read(&mut chunk).await.unwrap();
            assert_ne!(n, 0, "ended before {end:?}: {text:?}");
            text.push_str(&String::from_utf8_lossy(&chunk[..n]));
        }
    };
    tokio::time::timeout(LIMIT, reading).await.unwrap_or_else(|_| panic!("no {end:?}"));
    text
}

#[tokio::test]
async fn a_terminal_talks_resizes_and_ends() {
    let script = "trap 'stty size' WINCH; stty size; echo ready; \
        while :; do read line || continue; echo \"got $line\"; [ \"$line\" = end ] && exit 7; done";
    let size = Size { cols: 81, rows: 25 };
    let command = Command::new(["sh", "-c", script]).env("TERM", "xterm-256color");
    let mut pty = LocalShell::new().open_pty(&command, size).await.unwrap();
    assert!(read_until(&mut pty.output, "ready").await.contains("25 81"));
    (pty.resize)(Size { cols: 100, rows: 40 }).await;
    pty.input.write_all(b"one\r").await.unwrap();
    read_until(&mut pty.output, "40 100").await;
    pty.input.write_all(b"end\r").await.unwrap();
    read_until(&mut pty.output, "got end").await;
    assert_eq!(within("it exits", pty.exit).await.unwrap(), Exit { code: 7 });
    let mut rest = Vec::new();
    within("the output ends", pty.output.read_to_end(&mut rest)).await.unwrap();
}

#[tokio::test]
async fn what_is_typed_after_a_new_size_is_read_after_it() {
    let script = "stty -echo; echo ready; while read line; do stty size; done";
    let size = Size { cols: 81, rows: 25 };
    let mut pty =
        LocalShell::new().open_pty(&Command::new(["sh", "-c", script]), size).await.unwrap();
    read_until(&mut pty.output, "ready\r\n").await;
    for cols in 100..200 {
        (pty.resize)(Size { cols, rows: 40 }).await;
        pty.input.write_all(b"\r").await.unwrap();
        let shown = read_until(&mut pty.output, "\n").await;
        assert_eq!(shown, format!("40 {cols}\r\n"));
    }
}

#[tokio::test]
async fn a_terminal_nobody_reads_makes_the_command_wait() {
    let dir = tempfile::tempdir().unwrap();
    let done = dir.path().join("done");
    let script = format!("stty raw; head -c 5000000 /dev/zero; : > '{}'", done.display());
    let command = Command::new(["sh", "-c", &script]);
    let size = Size { cols: 80, rows: 24 };
    let mut pty = LocalShell::new().open_pty(&command, size).await.unwrap();
    let mut first = vec![0; 1000];
    within("bytes come", pty.output.read_exact(&mut first)).await.unwrap();
    assert!(!done.exists(), "five megabytes fit nowhere on the way");
    let mut all = Vec::new();
    within("the output ends", pty.output.read_to_end(&mut all)).await.unwrap();
    assert_eq!(all.len() + first.len(), 5_000_000);
    assert!(done.exists());
}

fn pty_threads() -> usize {
    let name = |it: std::fs::DirEntry| std::fs::read_to_string(it.path().join("comm"));
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    tasks.flatten().filter_map(|it| name(it).ok()).filter(|it| it.starts_with("pty-")).count()
}

/// Runs apart from the other tests under nextest; the count is this process's.
#[tokio::test]
async fn dropping_a_terminal_hangs_it_up_and_leaves_no_thread() {
    // One that leaves when told, one that will not, and one with a child that holds the terminal.
    for script in [
        "echo $$ ready; exec sleep 1000",
        "trap '' HUP TERM; echo $$ ready; while :; do sleep 1; done",
        "(trap '' HUP; sleep 2) & echo $$ ready; wait",
    ] {
        let before = pty_threads();
        let command = Command::new(["sh", "-c", script]);
        let size = Size { cols: 80, rows: 24 };
        let mut pty = LocalShell::new().open_pty(&command, size).await.unwrap();
        let text = read_until(&mut pty.output, "ready").await;
        let pid = text.split_whitespace().next().unwrap().parse().unwrap();
        drop(pty);
        until_dead(pid).await;
        within("the threads end", async {
            while before < pty_threads() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        })
        .await;
    }
}
