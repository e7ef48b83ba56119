//! The second `Shell` itself: what it promises is what every test on it stands on.

use std::time::Duration;

use futures_util::future::join_all;
use parhelia::{
    domain::ids::HostPath,
    shell::{self, Command, Output, Process, Shell, ShellError, Size},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

use crate::support::{
    other_user::{OtherUser, USER},
    wait::PATIENCE,
};

async fn run(shell: &OtherUser, command: Command) -> Output {
    shell::run(shell, &command, PATIENCE).await.unwrap()
}

async fn sh(shell: &OtherUser, script: &str) -> Output {
    run(shell, Command::new(["sh", "-c", script])).await
}

fn path(text: String) -> HostPath {
    HostPath::new(text).unwrap()
}

#[tokio::test]
async fn is_somebody_else_with_a_login_and_nothing_of_ours() {
    let other = OtherUser::start();
    assert_eq!(sh(&other, "id -un").await.text(), USER);
    assert_eq!(sh(&other, "pwd; echo $HOME").await.text(), format!("{0}\n{0}", other.home()));
    let env = sh(&other, "env").await.text();
    assert!(!env.contains("CARGO"), "{env}");
}

#[tokio::test]
async fn every_command_is_a_child_of_the_one_shell() {
    let other = OtherUser::start();
    // The parent of a command's wrapper.
    let parent = "read -r _ _ _ up _ </proc/$PPID/stat; echo $up";
    let first = sh(&other, parent).await.text();
    assert_eq!(sh(&other, parent).await.text(), first);
    let above = sh(&other, &format!("read -r _ _ _ up _ </proc/{first}/stat; echo $up")).await;
    assert_eq!(above.text(), other.pid().to_string());
}

#[tokio::test]
async fn streams_any_bytes_both_ways() {
    let other = OtherUser::start();
    let bytes: Vec<u8> = (0..1_000_000_u32).flat_map(|it| it.to_le_bytes()).collect();
    let output = run(&other, Command::new(["cat"]).stdin(bytes.clone())).await;
    assert_eq!(output.code, 0);
    assert!(output.stdout == bytes, "{} bytes came back", output.stdout.len());
}

#[tokio::test]
async fn answers_while_the_command_runs() {
    let other = OtherUser::start();
    let Process { mut stdin, mut stdout, exit, .. } =
        other.exec(&Command::new(["cat"])).await.unwrap();
    for word in ["one", "two"] {
        stdin.write_all(word.as_bytes()).await.unwrap();
        let mut back = [0; 3];
        timeout(PATIENCE, stdout.read_exact(&mut back)).await.unwrap().unwrap();
        assert_eq!(back, word.as_bytes());
    }
    stdin.shutdown().await.unwrap();
    assert_eq!(timeout(PATIENCE, exit).await.unwrap().unwrap().code, 0);
}

#[tokio::test]
async fn gives_status_output_and_complaint() {
    let other = OtherUser::start();
    for code in [0, 1, 3, 127, 255] {
        assert_eq!(sh(&other, &format!("exit {code}")).await.code, code);
    }
    assert_eq!(sh(&other, "kill -TERM $$").await.code, 128 + 15);
    let output = sh(&other, "echo out; echo err >&2").await;
    assert_eq!((output.text().as_str(), output.complaint().as_str()), ("out", "err"));
}

#[tokio::test]
async fn a_command_that_reads_nothing_does_not_hold_its_input() {
    let other = OtherUser::start();
    let output = run(&other, Command::new(["true"]).stdin(vec![0; 10_000_000])).await;
    assert_eq!(output.code, 0);
}

#[tokio::test]
async fn passes_words_environment_and_directory_as_they_are() {
    let other = OtherUser::start();
    let words: Vec<Vec<u8>> =
        [b"a b".as_slice(), b"", b"'", b"\"$HOME`id`\\", b"line\nline", b"\xff\xfe", b"*", b"-n"]
            .map(<[u8]>::to_vec)
            .to_vec();
    let mut argv = vec![b"printf".to_vec(), b"%s\\0".to_vec()];
    argv.extend(words.clone());
    let output = run(&other, Command::new(argv)).await;
    let mut expected: Vec<u8> = Vec::new();
    for word in words {
        expected.extend(word);
        expected.push(0);
    }
    assert_eq!(output.stdout, expected);

    let command = Command::new(["sh", "-c", "pwd; echo \"$ODD\""])
        .cwd(path("/usr".into()))
        .env("ODD", "it's $HOME\nhere");
    assert_eq!(run(&other, command).await.text(), "/usr\nit's $HOME\nhere");
}

#[tokio::test]
async fn says_what_is_missing() {
    let other = OtherUser::start();
    let err = other.exec(&Command::new(["no-such-program"])).await.err().unwrap();
    assert!(
        matches!(&err, ShellError::NoProgram { program, .. } if program == "no-such-program"),
        "{err}"
    );
    let nowhere = Command::new(["true"]).cwd(path("/no/such/directory".into()));
    let err = other.exec(&nowhere).await.err().unwrap();
    assert!(matches!(err, ShellError::Other { .. }), "{err}");
}

#[tokio::test]
async fn dropping_a_command_ends_it_and_what_it_started() {
    let other = OtherUser::start();
    let script = "trap '' TERM HUP; sleep 1000 & echo $$ $!; wait";
    let mut process = other.exec(&Command::new(["sh", "-c", script])).await.unwrap();
    let mut said = Vec::new();
    while !said.contains(&b'\n') {
        timeout(PATIENCE, process.stdout.read_buf(&mut said)).await.unwrap().unwrap();
    }
    drop(process);
    let pids = String::from_utf8(said).unwrap();
    // A process that has ended has no directory, even where nobody has collected it yet.
    let gone = "for pid; do while [ -d /proc/$pid/cwd/ ]; do :; done; done";
    let mut argv = vec!["sh", "-c", gone, "gone"];
    argv.extend(pids.split_whitespace());
    assert_eq!(run(&other, Command::new(argv)).await.code, 0);
}

#[tokio::test]
async fn runs_eight_commands_at_once() {
    let other = OtherUser::start();
    // Each waits for all the others, so they do run at the same time.
    let dir = path(format!("{}/meet-{}", other.home(), std::process::id()));
    let script = "mkdir -p \"$1\" && : >\"$1/$2\"; \
                  while [ \"$(ls \"$1\" | wc -l)\" -lt 8 ]; do :; done; echo $2";
    let all = (0..8).map(|it| {
        let number = it.to_string();
        let argv = ["sh", "-c", script, "sh", dir.as_str(), &number];
        run(&other, Command::new(argv))
    });
    let said: Vec<String> = join_all(all).await.iter().map(Output::text).collect();
    let _ = run(&other, Command::new(["rm", "-r", dir.as_str()])).await;
    assert_eq!(said, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[tokio::test]
async fn puts_and_gets_files_of_any_name_and_content() {
    let other = OtherUser::start();
    let root = path(format!("{}/put-{}", other.home(), std::process::id()));
    let bytes: Vec<u8> = (0..=255).cycle().take(300_000).collect();
    for name in ["plain", "a b", "it's", "-n", "$(id)", "line\nline", "ü", "`", "deep/er/still"] {
        let file = root.join(name);
        assert_eq!(other.get(&file, 0, 10).await.unwrap(), None, "{name}");
        other.put(&file, &bytes, 0o640).await.unwrap();
        assert!(other.get(&file, 0, usize::MAX >> 1).await.unwrap().unwrap() == bytes, "{name}");
        assert_eq!(other.get(&file, 250, 10).await.unwrap().unwrap(), bytes[250..260], "{name}");
        assert_eq!(other.get(&file, 400_000, 10).await.unwrap().unwrap(), b"", "{name}");
        other.put(&file, b"", 0o600).await.unwrap();
        assert_eq!(other.get(&file, 0, 10).await.unwrap().unwrap(), b"", "{name}");
    }
    let modes = sh(&other, &format!("stat -c %a {root} {root}/deep {root}/plain")).await;
    assert_eq!(modes.text(), "700\n700\n600");
    let left = sh(&other, &format!("find {root} -name '.put*'")).await;
    assert_eq!(left.text(), "");
    for path in [&root, &path("/etc/shadow".into())] {
        let err = other.get(path, 0, 10).await.unwrap_err();
        assert!(matches!(err, ShellError::File { verb: "read", .. }), "{err}");
        let err = other.put(path, b"x", 0o600).await.unwrap_err();
        assert!(matches!(err, ShellError::File { verb: "write", .. }), "{err}");
    }
    let _ = run(&other, Command::new(["rm", "-r", root.as_str()])).await;
}

#[tokio::test]
async fn a_terminal_has_a_size_and_hears_of_a_new_one() {
    let other = OtherUser::start();
    let script = "trap 'stty size; id -un; exit 3' WINCH; tty; stty size; echo $TERM $ODD; \
                  while :; do read -r _; done";
    let command = Command::new(["sh", "-c", script]).env("TERM", "xterm").env("ODD", "it's");
    let mut pty = other.open_pty(&command, Size { cols: 100, rows: 30 }).await.unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("30 100\r\nxterm it's\r\n") {
        timeout(PATIENCE, pty.output.read_buf(&mut said)).await.unwrap().unwrap();
    }
    (pty.resize)(Size { cols: 77, rows: 11 }).await;
    said.clear();
    timeout(PATIENCE, pty.output.read_to_end(&mut said)).await.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&said), format!("11 77\r\n{USER}\r\n"));
    assert_eq!(timeout(PATIENCE, pty.exit).await.unwrap().unwrap().code, 3);
}

#[tokio::test]
async fn typing_reaches_the_terminal_and_dropping_it_hangs_up() {
    let other = OtherUser::start();
    let mut pty =
        other.open_pty(&Command::new(["cat"]), Size { cols: 80, rows: 24 }).await.unwrap();
    pty.input.write_all(b"hello\r").await.unwrap();
    let mut said = Vec::new();
    while !String::from_utf8_lossy(&said).contains("hello\r\nhello\r\n") {
        timeout(PATIENCE, pty.output.read_buf(&mut said)).await.unwrap().unwrap();
    }
    drop(pty);

    let command = Command::new(["sh", "-c", "echo $$; exec sleep 1000"]);
    let mut pty = other.open_pty(&command, Size { cols: 80, rows: 24 }).await.unwrap();
    let mut said = Vec::new();
    while !said.contains(&b'\n') {
        timeout(PATIENCE, pty.output.read_buf(&mut said)).await.unwrap().unwrap();
    }
    drop(pty);
    let pid = String::from_utf8(said).unwrap();
    let gone = format!("while [ -d /proc/{}/cwd/ ]; do :; done", pid.trim());
    assert_eq!(sh(&other, &gone).await.code, 0);
}

#[tokio::test]
async fn a_cut_connection_is_unreachable() {
    let other = OtherUser::start();
    other.cut();
    let err = other.exec(&Command::new(["true"])).await.err().unwrap();
    assert!(matches!(err, ShellError::Unreachable { .. }), "{err}");
}

#[tokio::test]
async fn a_command_past_its_deadline_is_ended() {
    let other = OtherUser::start();
    let command = Command::new(["sleep", "1000"]);
    let err = shell::run(&other, &command, Duration::from_millis(200)).await.unwrap_err();
    assert!(matches!(err, ShellError::Deadline { .. }), "{err}");
}
