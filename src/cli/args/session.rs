//! Arguments of the commands that step into a session.

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use crate::cli::args::{checkpoint::Recover, task::Stopped};

/// What to do with a session.
#[derive(Debug, Subcommand)]
pub enum SessionCommand {
    /// List the tasks that have a session
    #[command(visible_alias = "ls")]
    List,
    Attach(Attach),
    /// Open a login shell in the task's workspace, also when its session has ended
    Shell {
        /// The task: its id or a unique prefix
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    /// End the session; on a terminal asks once, and says what would be lost
    Kill(Stopped),
    Recover(Recover),
    Prompt(Prompt),
    /// Interrupt the turn that runs, as Esc does
    Interrupt {
        /// The task: its id or a unique prefix
        #[arg(value_parser = NonEmptyStringValueParser::new())]
        id: String,
    },
    Answer(Answer),
}

/// Put this terminal into a session
///
/// Everything you type goes to Claude. Leave with Ctrl-Q or F12, or with tmux's own prefix and
/// d: the task keeps running. Inside another tmux that takes Ctrl-Q for itself, use F12.
#[derive(Args, Debug)]
pub struct Attach {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Only look: keys do nothing, except those that leave
    #[arg(long, short)]
    pub read_only: bool,

    /// Print each step with its time before the session appears
    #[arg(long, short)]
    pub verbose: bool,

    /// One more key that leaves, taken here before tmux sees it: C-] for instance
    #[arg(long, value_name = "KEY", value_parser = control_key)]
    pub detach_key: Option<u8>,
}

/// Send a prompt into a session
///
/// Exits 0 only if Claude confirmed it. `typed` means it stands in the input box and was not
/// confirmed, `not delivered` that it did not arrive.
#[derive(Args, Debug)]
pub struct Prompt {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// The text, or - to read it from stdin; after -- it may begin with a dash
    #[arg(value_name = "TEXT|-")]
    pub text: std::ffi::OsString,
}

/// Answer what a session asks
#[derive(Args, Debug)]
pub struct Answer {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// yes, no, the number or the label of an option, or words of your own
    pub words: String,

    /// Which question, if there are several: its id or a prefix (see `task show`)
    #[arg(long, value_name = "ASK")]
    pub ask: Option<String>,

    /// What to say to Claude with a no
    #[arg(long, short, value_name = "TEXT")]
    pub message: Option<String>,
}

/// Reads `C-x` or `^x` as the byte that the key sends.
fn control_key(text: &str) -> Result<u8, String> {
    let rest = text.strip_prefix("C-").or_else(|| text.strip_prefix('^')).unwrap_or_default();
    match rest.as_bytes() {
        [c @ (b'a'..=b'z' | b'A'..=b'Z' | b'\\' | b']' | b'^' | b'_')] => {
            Ok(c.to_ascii_uppercase() & 0x1f)
        }
        _ => Err(r"write a control key, such as C-], C-\ or C-g".to_owned()),
    }
}
