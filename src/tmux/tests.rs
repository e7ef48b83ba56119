use std::path::{Path, PathBuf};

use tokio::io::AsyncReadExt;

use super::{watch::TmuxEvent, *};
use crate::shell::local::LocalShell;

const LIMIT: Duration = Duration::from_secs(60);
const SIZE: Size = Size { cols: 100, rows: 30 };

/// A server of its own in a directory of its own, which ends with it.
struct Server {
    tmux: Tmux,
    dir: tempfile::TempDir,
}

impl Server {
    async fn new() -> Server {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("conf");
        std::fs::write(&path, conf::conf(&[], conf::Clipboard::Closed)).unwrap();
        let shell = Arc::new(LocalShell::new());
        let socket = format!("ph-test-{}", random::base32(8));
        let tmux = Tmux::new(shell, socket, host_path(&path));
        Server { tmux, dir }
    }

    async fn start(&self, name: &str, argv: &[&str]) -> Born {
        self.start_labelled(name, argv, "").await
    }

    async fn start_labelled(&self, name: &str, argv: &[&str], label: &str) -> Born {
        let argv: Vec<Vec<u8>> = argv.iter().map(|it| it.as_bytes().to_vec()).collect();
        let cwd = host_path(self.dir.path());
        let new = NewSession { name, size: SIZE, cwd: &cwd, argv: &argv, label };
        self.tmux.new_session(new).await.unwrap()
    }

    async fn raw(&self, args: &[&str]) -> Output {
        run(&*self.tmux.shell, &self.tmux.command(args.iter().copied()), DEADLINE).await.unwrap()
    }

    async fn shows(&self, name: &str, what: &str) {
        let text = async || {
            let bytes = self.tmux.capture(name, Capture::default()).await.unwrap();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        until(&format!("{name} shows {what}"), async || text().await.contains(what)).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        #[expect(clippy::disallowed_methods, reason = "a destructor cannot wait for a shell")]
        let tmux = |args: &[&str]| {
            std::process::Command::new("tmux")
                .args(["-f", "/dev/null", "-L", &self.tmux.socket])
                .args(args)
                .output()
        };
        // A server that is killed leaves its socket behind.
        let path = tmux(&["start-server", ";", "display-message", "-p", "#{socket_path}"]);
        let _ = tmux(&["kill-server"]);
        if let Some(path) = path.ok().and_then(|it| String::from_utf8(it.stdout).ok()) {
            let _ = std::fs::remove_file(path.trim());
        }
    }
}

fn host_path(path: &Path) -> HostPath {
    HostPath::new(path.to_str().unwrap()).unwrap()
}

async fn until(what: &str, condition: impl AsyncFn() -> bool) {
    let work = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    assert!(tokio::time::timeout(LIMIT, work).await.is_ok(), "timed out: {what}");
}

async fn file(path: PathBuf) -> Vec<u8> {
    until(&format!("{} is written", path.display()), async || path.exists()).await;
    std::fs::read(path).unwrap()
}

#[tokio::test]
async fn the_configuration_loads_without_complaint() {
    let server = Server::new().await;
    server.start("a", &["cat", "-"]).await;
    let source = server.raw(&["source-file", server.tmux.conf.as_str()]).await;
    assert_eq!((source.code, source.text(), source.complaint()), (0, "".into(), "".into()));
    let option = async |it: &str| server.raw(&["show-options", "-gv", it]).await.text();
    assert_eq!(option("history-limit").await, "50000");
    assert_eq!(option("allow-passthrough").await, "off");
    assert_eq!(option("update-environment").await, "");
    let keys = server.raw(&["list-keys", "-T", "root"]).await.text();
    assert!(keys.contains("C-q") && keys.contains("F12"), "{keys}");
    assert!(server.tmux.version().await.unwrap().starts_with("tmux "));
}

#[tokio::test]
async fn starting_twice_starts_one() {
    let server = Server::new().await;
    assert_eq!(server.tmux.list().await.unwrap(), []);
    assert_eq!(server.start("ph-task-a", &["cat", "-"]).await, Born::New);
    assert_eq!(server.start("ph-task-a", &["cat", "-"]).await, Born::Existed);
    let rows = server.tmux.list().await.unwrap();
    let [row] = rows.as_slice() else { panic!("{rows:?}") };
    let expected = Row {
        session: "ph-task-a".into(),
        pane_id: "%0".into(),
        pane_pid: row.pane_pid,
        pane_dead: false,
        attached: 0,
        cols: 100,
        rows: 30,
    };
    assert_eq!(row, &expected);
}

#[tokio::test]
async fn names_are_exact() {
    let server = Server::new().await;
    server.start("ph-task-abc", &["cat", "-"]).await;
    assert!(!server.tmux.has("ph-task-ab").await.unwrap());
    server.tmux.kill("ph-task-ab").await.unwrap();
    assert!(server.tmux.has("ph-task-abc").await.unwrap());
    assert!(matches!(
        server.tmux.display("ph-task-ab", "#{pane_id}").await,
        Err(TmuxError::NoSession { .. })
    ));
    for bad in ["", "-x", "a:b", "a.b", "*", "=a", "@1", "$0", "a b", "#{x}", "a;"] {
        let result = server.tmux.has(bad).await;
        assert!(matches!(result, Err(TmuxError::BadName { .. })), "{bad}: {result:?}");
    }
    assert_eq!(server.tmux.display("ph-task-abc", "#{pane_id};").await.unwrap(), "%0;");
    server.tmux.kill("ph-task-abc").await.unwrap();
    assert!(!server.tmux.has("ph-task-abc").await.unwrap());
    server.tmux.kill("ph-task-abc").await.unwrap();
}

#[tokio::test]
async fn arguments_and_directories_are_taken_literally() {
    let server = Server::new().await;
    let words = [
        "-x",
        "a;",
        ";",
        "a\\;",
        "\\;",
        "#{pane_id}",
        "$HOME",
        "a b",
        "'",
        "\"",
        "",
        "#",
        "\n",
        "{",
        "ü",
    ];
    let out = server.dir.path().join("words");
    let script =
        format!("printf '%s\\0' \"$@\" > {0}.new; mv {0}.new {0}; exec cat", out.display());
    let argv = [&["sh", "-c", &script, "sh"][..], &words].concat();
    server.start("words", &argv).await;
    let expected: Vec<u8> = words.iter().flat_map(|it| [it.as_bytes(), b"\0"].concat()).collect();
    assert_eq!(file(out).await, expected);
    for (n, name) in ["#{pane_id}", "a#b", "##", "#[x", "##[", "%H", "$HOME", " ;", "-c", "~"]
        .into_iter()
        .enumerate()
    {
        let cwd = server.dir.path().join(name);
        std::fs::create_dir(&cwd).unwrap();
        let argv = ["sh", "-c", "pwd > pwd.new; mv pwd.new pwd; exec cat"].map(|it| it.into());
        let session = format!("cwd-{n}");
        let path = host_path(&cwd);
        let new = NewSession { name: &session, size: SIZE, cwd: &path, argv: &argv, label: "" };
        server.tmux.new_session(new).await.unwrap();
        let expected = format!("{}\n", cwd.canonicalize().unwrap().display());
        assert_eq!(String::from_utf8(file(cwd.join("pwd")).await).unwrap(), expected);
    }
    // One word is a program, not a line for the user's shell.
    let program = server.dir.path().join("a program;");
    std::fs::write(
        &program,
        format!("#!/bin/sh\n: > {}/ran; exec cat\n", server.dir.path().display()),
    )
    .unwrap();
    std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    server.start("single", &[program.to_str().unwrap()]).await;
    file(server.dir.path().join("ran")).await;
}

#[tokio::test]
async fn text_is_pasted_and_keys_are_pressed() {
    let server = Server::new().await;
    let out = server.dir.path().join("typed");
    let script =
        format!("stty raw -echo; printf '\\033[?2004hready'; exec head -c 29 > {}", out.display());
    server.start("a", &["sh", "-c", &script]).await;
    server.shows("a", "ready").await;
    server.tmux.paste("a", b"-l1\nl2\x1b[201~;").await.unwrap();
    server.tmux.send_keys("a", &["-x", ";", "Enter", "C-c"]).await.unwrap();
    until("it is typed", async || !server.tmux.has("a").await.unwrap()).await;
    let expected = b"\x1b[200~-l1\nl2[201~;\x1b[201~-x;\r\x03";
    assert_eq!(expected.len(), 29);
    assert_eq!(file(out).await.escape_ascii().to_string(), expected.escape_ascii().to_string());
    assert!(matches!(server.tmux.paste("a", b"x").await, Err(TmuxError::NoSession { .. })));
    server.start("b", &["cat", "-"]).await;
    assert!(matches!(server.tmux.paste("a", b"x").await, Err(TmuxError::NoSession { .. })));
    assert_eq!(server.raw(&["list-buffers"]).await.text(), "");
}

#[tokio::test]
async fn history_and_colours_are_captured_when_asked_for() {
    let server = Server::new().await;
    let script = "printf '\\033[31mfirst\\033[0m\\n'; seq 100; echo last; exec cat";
    server.start("a", &["sh", "-c", script]).await;
    server.shows("a", "last").await;
    let screen = server.tmux.capture("a", Capture::default()).await.unwrap();
    assert!(!String::from_utf8_lossy(&screen).contains("first"));
    let all = Capture { history: true, escapes: true };
    let all = server.tmux.capture("a", all).await.unwrap();
    assert!(String::from_utf8_lossy(&all).starts_with("\x1b[31mfirst"));
}

#[tokio::test]
async fn viewers_come_and_go_and_the_watcher_is_none() {
    let server = Server::new().await;
    server.start("a", &["cat", "-"]).await;
    let mut watcher = server.tmux.watch().await.unwrap();
    next(&mut watcher, &TmuxEvent::SessionsChanged).await;
    let size = Size { cols: 60, rows: 20 };
    let attached = async |count: u32| {
        let viewers = server.tmux.viewers("a").await.unwrap();
        let rows = server.tmux.list().await.unwrap();
        viewers == count && rows.iter().all(|it| it.attached == count)
    };
    assert!(attached(0).await);
    assert_eq!(server.tmux.list().await.unwrap()[0].cols, 100, "the watcher sizes nothing");
    let command = server
        .tmux
        .attach_command("a", Access::Full, Ability::Described)
        .unwrap()
        .env("TERM", "xterm");
    let mut full = server.tmux.shell.open_pty(&command, size).await.unwrap();
    until("one looks", async || attached(1).await).await;
    until("it sizes", async || server.tmux.list().await.unwrap()[0].cols == 60).await;
    let command = server
        .tmux
        .attach_command("a", Access::ReadOnly, Ability::Described)
        .unwrap()
        .env("TERM", "xterm");
    let tiny = Size { cols: 20, rows: 5 };
    let reader = server.tmux.shell.open_pty(&command, tiny).await.unwrap();
    until("two look", async || attached(2).await).await;
    assert_eq!(server.tmux.list().await.unwrap()[0].cols, 60, "a reader sizes nothing");
    drop(reader);
    until("one is left", async || attached(1).await).await;
    // C-q leaves; the session stays.
    tokio::io::AsyncWriteExt::write_all(&mut full.input, b"\x11").await.unwrap();
    let mut rest = Vec::new();
    tokio::time::timeout(LIMIT, full.output.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert_eq!(tokio::time::timeout(LIMIT, full.exit).await.unwrap().unwrap().code, 0);
    until("none is left", async || attached(0).await).await;
    assert!(server.tmux.has("a").await.unwrap());
    let screen = server.tmux.capture("a", Capture::default()).await.unwrap();
    assert_eq!(String::from_utf8_lossy(&screen).trim(), "", "leaving typed nothing");
}

async fn next(watcher: &mut watch::Watcher, wanted: &TmuxEvent) {
    let work = async {
        loop {
            let event = watcher.events.recv().await;
            match event {
                Some(event) if event == *wanted => return,
                Some(TmuxEvent::Lost { detail }) => panic!("lost: {detail}"),
                Some(_) => {}
                None => panic!("ended before {wanted:?}"),
            }
        }
    };
    assert!(tokio::time::timeout(LIMIT, work).await.is_ok(), "timed out: {wanted:?}");
}

#[tokio::test]
async fn the_watcher_tells_of_every_end_and_of_the_server_s() {
    let server = Server::new().await;
    for name in ["a", "b", "c"] {
        server.start(name, &["cat", "-"]).await;
    }
    let mut watcher = server.tmux.watch().await.unwrap();
    next(&mut watcher, &TmuxEvent::SessionsChanged).await;
    for name in ["a", "b"] {
        server.tmux.kill(name).await.unwrap();
        next(&mut watcher, &TmuxEvent::SessionsChanged).await;
    }
    server.raw(&["kill-server"]).await;
    next(&mut watcher, &TmuxEvent::Gone).await;
    assert_eq!(watcher.events.recv().await, None);
    let mut watcher = server.tmux.watch().await.unwrap();
    next(&mut watcher, &TmuxEvent::Gone).await;
}

#[tokio::test]
async fn what_ends_while_nobody_waits_is_told_afterwards() {
    let server = Server::new().await;
    server.start("a", &["cat", "-"]).await;
    server.start("b", &["cat", "-"]).await;
    let mut watcher = server.tmux.watch().await.unwrap();
    next(&mut watcher, &TmuxEvent::SessionsChanged).await;
    drop(watcher);
    server.tmux.kill("a").await.unwrap();
    let mut watcher = server.tmux.watch().await.unwrap();
    next(&mut watcher, &TmuxEvent::SessionsChanged).await;
    assert_eq!(server.tmux.list().await.unwrap().len(), 1);
}

#[tokio::test]
async fn the_status_line_shows_the_task_as_it_is_and_how_to_leave() {
    let server = Server::new().await;
    let label = "-x fix #[fg=red] #{pane_id} 100% #1;";
    server.start_labelled("a", &["cat", "-"], label).await;
    let command = server
        .tmux
        .attach_command("a", Access::Full, Ability::Described)
        .unwrap()
        .env("TERM", "xterm");
    let mut pty = server.tmux.shell.open_pty(&command, SIZE).await.unwrap();
    let mut text = String::new();
    let reading = async {
        let mut chunk = [0; 4096];
        while !text.contains("-x fix #[fg=red] #{pane_id} 100% #1;")
            || !text.contains("C-q or F12 leaves; the task keeps running")
        {
            let n = pty.output.read(&mut chunk).await.unwrap();
            assert_ne!(n, 0, "{text}");
            text.push_str(&String::from_utf8_lossy(&chunk[..n]));
        }
    };
    let read = tokio::time::timeout(LIMIT, reading).await;
    assert!(read.is_ok(), "{}", text.escape_debug());
}
