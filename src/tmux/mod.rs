//! tmux, in which sessions outlive whoever looks at them.
//!
//! A driver over any [`Shell`] and nothing else: it knows sessions and panes, not tasks. It talks
//! to a server of its own (`-L`) with its own configuration, so the user's tmux is neither read
//! nor touched. Every target is an exact name (`=name:`), and names are checked before they get
//! near a command line, so no name can mean another session, a format or an option.

pub mod conf;
pub mod watch;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use crate::{
    domain::ids::HostPath,
    shell::{Command, Output, Shell, ShellError, Size, run},
    stdx::random,
};

/// How long a tmux command may take. They take milliseconds; one that does not come back has a
/// stopped server behind it, and waiting longer does not help.
const DEADLINE: Duration = Duration::from_secs(10);
/// How often a session is tried again on a server that is ending, and how long after: such a
/// server is gone in milliseconds. At the limit the launch has failed.
const BIRTHS: u32 = 5;
const BIRTH_PAUSE: Duration = Duration::from_millis(50);

/// What went wrong.
#[derive(Debug, thiserror::Error)]
pub enum TmuxError {
    /// The host could not be asked, or has no tmux.
    #[error(transparent)]
    Shell(#[from] ShellError),
    /// There is no session of this name.
    #[error("there is no tmux session `{name}` on {host}")]
    NoSession {
        /// The host.
        host: String,
        /// The session.
        name: String,
    },
    /// A name that tmux could take for something else.
    #[error("`{}` cannot name a tmux session: use letters, digits, `-` and `_`", name.escape_debug())]
    BadName {
        /// The name.
        name: String,
    },
    /// tmux refused.
    #[error("tmux failed to {verb} on {host}: {detail}")]
    Refused {
        /// The host.
        host: String,
        /// What was tried.
        verb: &'static str,
        /// What tmux said.
        detail: String,
    },
}

/// Whether a session was made or found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Born {
    /// It was made now.
    New,
    /// There was one of this name; nothing was started.
    Existed,
}

/// A session to be made.
#[derive(Clone, Copy, Debug)]
pub struct NewSession<'a> {
    /// What it is called.
    pub name: &'a str,
    /// The size it is born with.
    pub size: Size,
    /// Where its command runs.
    pub cwd: &'a HostPath,
    /// Its command.
    pub argv: &'a [Vec<u8>],
    /// The text that its status line shows for it.
    pub label: &'a str,
}

/// One pane of the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The session.
    pub session: String,
    /// The pane, as in `%3`.
    pub pane_id: String,
    /// The process in it.
    pub pane_pid: i32,
    /// Whether that process has ended.
    pub pane_dead: bool,
    /// Clients that look at the session; control clients, which show nobody anything, do not
    /// count.
    pub attached: u32,
    /// Columns of the pane.
    pub cols: u16,
    /// Rows of the pane.
    pub rows: u16,
}

/// What to capture of a pane.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capture {
    /// Everything that scrolled away as well, not only the screen.
    pub history: bool,
    /// Colours and attributes as escape sequences.
    pub escapes: bool,
}

/// A tmux server on a host.
#[derive(Clone)]
pub struct Tmux {
    shell: Arc<dyn Shell>,
    socket: String,
    conf: HostPath,
}

impl Tmux {
    /// Creates a driver of the server named `socket`, which reads `conf` when it starts.
    pub fn new(shell: Arc<dyn Shell>, socket: String, conf: HostPath) -> Tmux {
        Tmux { shell, socket, conf }
    }

    /// Returns what `tmux -V` says, such as `tmux 3.3a`.
    pub async fn version(&self) -> Result<String, TmuxError> {
        let output = run(&*self.shell, &Command::new(["tmux", "-V"]), DEADLINE).await?;
        if output.code != 0 {
            return Err(self.refused("say its version", &output));
        }
        Ok(output.text())
    }

    /// Starts a session. If there is one of this name already, it is left alone, so asking twice
    /// starts one.
    pub async fn new_session(&self, new: NewSession<'_>) -> Result<Born, TmuxError> {
        let NewSession { name, size, cwd, argv, label } = new;
        check_name(name)?;
        let (cols, rows) = (size.cols.max(1).to_string(), size.rows.max(1).to_string());
        // `-c` would be expanded as a format; the client's own directory is taken as it is.
        let mut command = self
            .command(["new-session", "-d", "-s", name, "-x", &cols, "-y", &rows, "--"])
            .cwd(cwd.clone());
        // A single word would be given to the user's shell; several are run as they are.
        if argv.len() == 1 {
            for word in ["sh", "-c", "exec \"$0\""] {
                command = command.arg(word);
            }
        }
        for word in argv {
            command = command.arg(literal(word));
        }
        // In the same breath: each tmux command of its own is a process, a connection and a reply.
        for word in [";", "set-option", "-t", &target(name), "--", "@task", &label_text(label)] {
            command = command.arg(word);
        }
        let mut output = run(&*self.shell, &command, DEADLINE).await?;
        for _ in 0..BIRTHS {
            if output.code == 0 || !no_server(&output) {
                break;
            }
            // A server whose last session has just ended took the call on its way out.
            tokio::time::sleep(BIRTH_PAUSE).await;
            output = run(&*self.shell, &command, DEADLINE).await?;
        }
        match output.code {
            0 => Ok(Born::New),
            _ if output.complaint().contains("duplicate session") => Ok(Born::Existed),
            _ => Err(self.refused("start a session", &output)),
        }
    }

    /// Returns every pane of the server; none if there is no server.
    pub async fn list(&self) -> Result<Vec<Row>, TmuxError> {
        let panes = "pane #{pane_id} #{pane_pid} #{pane_dead} #{pane_width} #{pane_height} \
            #{session_name}";
        let clients = "client #{client_control_mode} #{session_name}";
        let command = self
            .command(["list-panes", "-a", "-F", panes])
            .arg(";")
            .arg("list-clients")
            .arg("-F")
            .arg(clients);
        let output = run(&*self.shell, &command, DEADLINE).await?;
        match output.code {
            0 => Ok(parse_rows(&output.text())),
            _ if no_server(&output) => Ok(Vec::new()),
            _ => Err(self.refused("list its panes", &output)),
        }
    }

    /// Returns whether there is a session of this name.
    pub async fn has(&self, name: &str) -> Result<bool, TmuxError> {
        match self.on(name, "look for a session", ["has-session", "-t", &target(name)]).await {
            Ok(_) => Ok(true),
            Err(TmuxError::NoSession { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends a session. That there is none is fine.
    pub async fn kill(&self, name: &str) -> Result<(), TmuxError> {
        match self.on(name, "end a session", ["kill-session", "-t", &target(name)]).await {
            Ok(_) | Err(TmuxError::NoSession { .. }) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Sets who may set the clipboard, on a server that runs; a later one takes it from its
    /// configuration.
    pub async fn set_clipboard(&self, clipboard: conf::Clipboard) -> Result<(), TmuxError> {
        let command = self.command(["set-option", "-s", "set-clipboard", clipboard.option()]);
        let output = run(&*self.shell, &command, DEADLINE).await?;
        match output.code {
            0 => Ok(()),
            _ if no_server(&output) => Ok(()),
            _ => Err(self.refused("set its clipboard", &output)),
        }
    }

    /// Returns what a session shows.
    pub async fn capture(&self, name: &str, capture: Capture) -> Result<Vec<u8>, TmuxError> {
        let target = target(name);
        let mut args = vec!["capture-pane", "-p", "-t", &target];
        if capture.history {
            args.extend(["-S", "-"]);
        }
        if capture.escapes {
            args.push("-e");
        }
        Ok(self.on(name, "capture a pane", args).await?.stdout)
    }

    /// Presses keys, by tmux's names for them (`Enter`, `C-c`).
    pub async fn send_keys(&self, name: &str, keys: &[&str]) -> Result<(), TmuxError> {
        check_name(name)?;
        let mut command = self.command(["send-keys", "-t", &target(name), "--"]);
        for key in keys {
            command = command.arg(literal(key.as_bytes()));
        }
        self.checked(name, "press keys", &command).await.map(drop)
    }

    /// Pastes text, bracketed if the program asked for that, with newlines as they are. Escape
    /// characters are left out: with them, text could end the brackets and press keys.
    pub async fn paste(&self, name: &str, bytes: &[u8]) -> Result<(), TmuxError> {
        check_name(name)?;
        let bytes: Vec<u8> = bytes.iter().copied().filter(|it| *it != 0x1b).collect();
        if bytes.is_empty() {
            return Ok(());
        }
        // Several may paste at once, so each has a buffer of its own.
        let buffer = format!("ph-{}", random::base32(12));
        let mut command = self.command(["load-buffer", "-b", &buffer, "-", ";"]);
        for word in ["paste-buffer", "-p", "-r", "-d", "-b", &buffer, "-t", &target(name)] {
            command = command.arg(word);
        }
        let pasted = self.checked(name, "paste", &command.stdin(bytes)).await;
        if pasted.is_err() {
            let delete = self.command(["delete-buffer", "-b", &buffer]);
            let _ = run(&*self.shell, &delete, DEADLINE).await;
        }
        pasted.map(drop)
    }

    /// Returns the command that shows a session on the terminal it runs on.
    pub fn attach_command(
        &self,
        name: &str,
        access: Access,
        ability: Ability,
    ) -> Result<Command, TmuxError> {
        check_name(name)?;
        let target = target(name);
        // A surrounding tmux must not take this for an attempt to nest in itself.
        let mut command = Command::new(["env", "-u", "TMUX", "-u", "TMUX_PANE"]);
        let mut attach = self.command(["attach-session", "-t", &target]).argv;
        if ability == Ability::Pane {
            attach.splice(1..1, ["-T".into(), PANE_FEATURES.into()]);
        }
        command.argv.extend(attach);
        Ok(match access {
            Access::Full => command,
            Access::ReadOnly => command.arg("-r").arg("-f").arg("ignore-size,read-only"),
        })
    }

    /// Returns a format expanded for a session.
    pub async fn display(&self, name: &str, format: &str) -> Result<String, TmuxError> {
        // For a session that is not there tmux expands the format to nothing and is content, so
        // the name is asked for along with it.
        let format = format!("#{{session_name}} {format}");
        let format = String::from_utf8_lossy(&literal(format.as_bytes())).into_owned();
        let args = ["display-message", "-p", "-t", &target(name), &format];
        let output = self.checked_args(name, "expand a format", args).await?;
        let text = output.text();
        match text.strip_prefix(name).and_then(|it| it.strip_prefix(' ')) {
            Some(text) => Ok(text.to_owned()),
            None => Err(self.no_session(name)),
        }
    }

    /// Returns how many clients look at a session; control clients do not count.
    pub async fn viewers(&self, name: &str) -> Result<u32, TmuxError> {
        let format = "client #{client_control_mode} #{session_name}";
        let args = ["list-clients", "-t", &target(name), "-F", format];
        let output = self.on(name, "list clients", args).await?;
        Ok(count_viewers(&output.text(), name))
    }

    /// Returns a tmux command for this server. `-u`: the host's locale does not matter.
    fn command<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command =
            Command::new(["tmux", "-u", "-L", &self.socket, "-f", self.conf.as_str()]);
        command.argv.extend(args.into_iter().map(|it| it.as_bytes().to_vec()));
        command
    }

    async fn on<'a>(
        &self,
        name: &str,
        verb: &'static str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Result<Output, TmuxError> {
        self.checked_args(name, verb, args).await
    }

    async fn checked_args<'a>(
        &self,
        name: &str,
        verb: &'static str,
        args: impl IntoIterator<Item = &'a str>,
    ) -> Result<Output, TmuxError> {
        check_name(name)?;
        let command = self.command(args);
        self.checked(name, verb, &command).await
    }

    async fn checked(
        &self,
        name: &str,
        verb: &'static str,
        command: &Command,
    ) -> Result<Output, TmuxError> {
        let output = run(&*self.shell, command, DEADLINE).await?;
        let missing = || {
            no_server(&output)
                || ["can't find ", "no current target"]
                    .iter()
                    .any(|it| output.complaint().contains(it))
        };
        match output.code {
            0 => Ok(output),
            _ if missing() => Err(self.no_session(name)),
            _ => Err(self.refused(verb, &output)),
        }
    }

    fn no_session(&self, name: &str) -> TmuxError {
        TmuxError::NoSession { host: self.shell.host().to_owned(), name: name.to_owned() }
    }

    fn refused(&self, verb: &'static str, output: &Output) -> TmuxError {
        let detail = match output.complaint() {
            complaint if complaint.is_empty() => format!("status {}", output.code),
            complaint => complaint,
        };
        TmuxError::Refused { host: self.shell.host().to_owned(), verb, detail }
    }
}

/// What tmux need not find out of Parhelia's own pane, as words of its `terminal-features`. At a
/// word it does not know it passes over the rest, so those of newer versions (3.4) stand last.
const PANE_FEATURES: &str = "256,RGB,bpaste,ccolour,cstyle,extkeys,focus,mouse,overline,\
    strikethrough,sync,title,usstyle,hyperlinks";

/// How tmux learns what an attached client's terminal can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ability {
    /// From the description of its `TERM`.
    Described,
    /// It is Parhelia's own pane, and is known: an xterm with true colour, styled and coloured
    /// underlines, cursor shapes, extended keys and links.
    Pane,
}

/// What an attached client may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Type, and count for the size.
    Full,
    /// Look.
    ReadOnly,
}

fn check_name(name: &str) -> Result<(), TmuxError> {
    let fine = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    if name.is_empty() || name.starts_with('-') || !name.chars().all(fine) {
        return Err(TmuxError::BadName { name: name.to_owned() });
    }
    Ok(())
}

/// Returns the target that means this session and no other.
fn target(name: &str) -> String {
    format!("={name}:")
}

/// Returns `word` such that tmux takes it as it is: it would take a `;` at the end for the end of
/// the command, and drops one backslash before it.
fn literal(word: &[u8]) -> Vec<u8> {
    let mut word = word.to_vec();
    if word.last() == Some(&b';') {
        word.insert(word.len() - 1, b'\\');
    }
    word
}

/// Returns a label as tmux must be given it. Each format character doubled stands for itself;
/// control characters have no place there.
fn label_text(label: &str) -> String {
    let label = crate::stdx::text::one_line(label, 200).replace('#', "##");
    String::from_utf8_lossy(&literal(label.as_bytes())).into_owned()
}

fn no_server(output: &Output) -> bool {
    says_no_server(&output.complaint())
}

fn says_no_server(complaint: &str) -> bool {
    // A server that is just ending closes the connection or its socket under our hands.
    ["no server running", "error connecting to", "server exited", "lost server", "no sessions"]
        .iter()
        .any(|it| complaint.contains(it))
}

/// Parses the lines of [`Tmux::list`]. The name stands last, so nothing in it can shift a field.
fn parse_rows(text: &str) -> Vec<Row> {
    let mut rows: Vec<Row> = text.lines().filter_map(parse_pane).collect();
    for row in &mut rows {
        row.attached = count_viewers(text, &row.session);
    }
    rows
}

fn parse_pane(line: &str) -> Option<Row> {
    let mut words = line.strip_prefix("pane ")?.splitn(6, ' ');
    let mut word = || words.next();
    Some(Row {
        pane_id: word()?.to_owned(),
        pane_pid: word()?.parse().ok()?,
        pane_dead: word()? == "1",
        cols: word()?.parse().ok()?,
        rows: word()?.parse().ok()?,
        session: word()?.to_owned(),
        attached: 0,
    })
}

fn count_viewers(text: &str, session: &str) -> u32 {
    let viewer = |line: &&str| line.strip_prefix("client 0 ") == Some(session);
    u32::try_from(text.lines().filter(viewer).count()).unwrap_or(u32::MAX)
}
