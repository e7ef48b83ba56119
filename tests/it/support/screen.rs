//! A terminal a test types into and reads, played by a private tmux.

use std::{
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use crate::support::{
    sandbox::{Sandbox, run},
    wait::{PATIENCE, wait_or_explain},
};

/// The private server's configuration: nothing but the program on the screen, kept when it has
/// ended. (`window-size manual` here ends tmux 3.3a; with no client the size stays as it is set.)
const CONFIG: &str = "\
set -g remain-on-exit on
set -g status off
set -g history-limit 5000
set -s escape-time 0
set -g default-terminal tmux-256color
";

/// Runs a program and leaves its status in a file, whole or not at all: tmux 3.3a now and then
/// misses that a program ended, and then has no status to give.
const KEEP_STATUS: &str = r#""$@"; echo $? >"$0.new"; mv "$0.new" "$0""#;

/// What the dispatcher tells tmux of Parhelia's own pane.
const PANE_FEATURES: &str = "256,RGB,bpaste,ccolour,cstyle,extkeys,focus,mouse,overline,\
    strikethrough,sync,title,usstyle,hyperlinks";

/// A program on a terminal. Dropping it hangs up.
pub struct Screen<'a> {
    sandbox: &'a Sandbox,
    socket: PathBuf,
}

impl<'a> Screen<'a> {
    /// Starts `parhelia` on a terminal of `cols` by `rows`.
    pub fn parhelia(sandbox: &'a Sandbox, cols: u16, rows: u16, args: &[&str]) -> Screen<'a> {
        let mut argv = vec![env!("CARGO_BIN_EXE_parhelia")];
        argv.extend(args);
        Screen::start(sandbox, cols, rows, &argv)
    }

    /// Starts a program in the sandbox on a terminal of `cols` by `rows`.
    pub fn start(sandbox: &'a Sandbox, cols: u16, rows: u16, argv: &[&str]) -> Screen<'a> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let config = sandbox.root().join(format!("{name}.conf"));
        fs::write(&config, CONFIG).unwrap();
        let screen = Screen { sandbox, socket: sandbox.root().join(format!("{name}.sock")) };
        let (cols, rows) = (cols.to_string(), rows.to_string());
        let workspace = sandbox.workspace();
        let mut args: Vec<&str> = vec!["-f", config.to_str().unwrap(), "new-session", "-d"];
        args.extend(["-x", &cols, "-y", &rows, "-c", workspace.to_str().unwrap(), "--"]);
        // A plain terminal: whatever runs in it must not see the tmux that plays it.
        let env: Vec<String> = sandbox
            .env()
            .iter()
            .filter(|(name, _)| *name != "TERM")
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        args.extend(["env", "-i", "TERM=tmux-256color"]);
        args.extend(env.iter().map(String::as_str));
        let exit = screen.exit_file();
        args.extend(["sh", "-c", KEEP_STATUS, exit.to_str().unwrap()]);
        args.extend(argv);
        screen.tmux(&args);
        screen
    }

    /// Presses keys by their tmux names: `Enter`, `Escape`, `C-c`, `Down`, `q`.
    pub fn keys(&self, keys: &[&str]) {
        let mut args = vec!["send-keys", "--"];
        args.extend(keys);
        self.tmux(&args);
    }

    /// Types text as it is.
    pub fn type_text(&self, text: &str) {
        self.tmux(&["send-keys", "-l", "--", text]);
    }

    /// Gives the terminal another size.
    pub fn resize(&self, cols: u16, rows: u16) {
        self.tmux(&["resize-window", "-x", &cols.to_string(), "-y", &rows.to_string()]);
    }

    /// Returns what is on the screen, one line a row, without trailing spaces.
    pub fn capture(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Returns what programs may have switched on in the terminal: the alternate screen, mouse
    /// reports, application keys, and whether the cursor is hidden.
    pub fn modes(&self) -> String {
        let format = "alternate=#{alternate_on} mouse=#{mouse_any_flag} \
                      keys=#{keypad_cursor_flag}#{keypad_flag} cursor=#{cursor_flag}";
        self.tmux(&["display-message", "-p", format]).trim().to_owned()
    }

    /// Returns the screen once it shows `text`.
    ///
    /// # Panics
    ///
    /// If it does not within [`PATIENCE`]; shows the screen.
    pub fn wait_for(&self, text: &str) -> String {
        self.wait_until(&format!("`{text}` on the screen"), PATIENCE, |it| it.contains(text))
    }

    /// Returns the screen once `shows` accepts it.
    ///
    /// # Panics
    ///
    /// If it does not by the deadline; shows the screen.
    pub fn wait_until(
        &self,
        what: &str,
        deadline: Duration,
        shows: impl Fn(&str) -> bool,
    ) -> String {
        let look = || Some(self.capture()).filter(|it| shows(it));
        wait_or_explain(what, deadline, look, || format!("the screen shows:\n{}", self.capture()))
    }

    /// Returns the program's status once it has ended.
    ///
    /// # Panics
    ///
    /// If it does not within [`PATIENCE`]; shows the screen.
    pub fn wait_exit(&self) -> i32 {
        let look = || fs::read_to_string(self.exit_file()).ok()?.trim().parse().ok();
        wait_or_explain("the program on the screen to end", PATIENCE, look, || {
            format!("the screen shows:\n{}", self.capture())
        })
    }

    /// Returns what is on the screen with its colours and attributes, and with the spaces at the
    /// end of lines that a program wrote there.
    pub fn capture_looks(&self) -> String {
        self.tmux(&["capture-pane", "-e", "-p", "-N"])
    }

    /// Returns a format expanded for the screen.
    pub fn format(&self, format: &str) -> String {
        self.tmux(&["display-message", "-p", format]).trim_end_matches('\n').to_owned()
    }

    /// Returns the command that looks at the screen as Parhelia's pane does.
    pub fn attach_argv(&self) -> Vec<String> {
        let socket = self.socket.to_str().unwrap();
        let argv = ["tmux", "-u", "-T", PANE_FEATURES, "-S", socket, "attach-session"];
        argv.map(str::to_owned).into()
    }

    fn exit_file(&self) -> PathBuf {
        self.socket.with_extension("exit")
    }

    fn tmux(&self, args: &[&str]) -> String {
        let mut command = self.sandbox.command("tmux");
        command.arg("-S").arg(&self.socket).args(args);
        let ran = run(command);
        assert_eq!(ran.code, Some(0), "tmux {args:?}: {ran:?}");
        ran.stdout
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        let mut command = self.sandbox.command("tmux");
        command.arg("-S").arg(&self.socket).arg("kill-server");
        let _ = command.output();
    }
}
