//! Arguments of the commands about checkpoints, and of those that bring a task back.

use std::{ffi::OsString, num::NonZeroU32, path::PathBuf, time::Duration};

use clap::{Args, Subcommand, builder::NonEmptyStringValueParser};

use crate::cli::args::duration;

/// What to do with checkpoints.
#[derive(Debug, Subcommand)]
pub enum CheckpointCommand {
    Create(Create),
    #[command(visible_alias = "ls")]
    List(List),
    /// Show everything about a checkpoint
    Show {
        /// The checkpoint: its id or a unique prefix
        #[arg(value_name = "CP", value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// List its files in place of that
        #[arg(long)]
        files: bool,
    },
    Diff(Diff),
    Restore(Restore),
    Rollback(Rollback),
    Fork(Fork),
    /// Delete checkpoints
    #[command(visible_alias = "rm")]
    Delete {
        /// The checkpoints: their ids or unique prefixes
        #[arg(value_name = "CP", required = true, value_parser = NonEmptyStringValueParser::new())]
        ids: Vec<String>,
        /// Do not ask
        #[arg(long, short)]
        yes: bool,
    },
    /// Keep a checkpoint however old it gets
    Pin {
        /// The checkpoint: its id or a unique prefix
        #[arg(value_name = "CP", value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// Leave it to age and number again
        #[arg(long)]
        off: bool,
    },
    /// Name a checkpoint; an empty TEXT takes the name away
    Label {
        /// The checkpoint: its id or a unique prefix
        #[arg(value_name = "CP", value_parser = NonEmptyStringValueParser::new())]
        id: String,
        /// What to call it
        text: String,
    },
    Export(Export),
    Prune(Prune),
    Verify(Verify),
}

/// Save a task's workspace and conversation now
///
/// Saved are all files that git does not ignore, with modes, links and times, the index, the
/// branch, repositories inside the workspace, the conversation and the terminal. Left out, and
/// named by `checkpoint show`, are files larger than `checkpoint.max_file_mb` and files that look
/// like secrets (`.env`, `*.pem`, keys) unless git tracks them.
#[derive(Args, Debug)]
pub struct Create {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// What to call it
    #[arg(long, short, value_name = "TEXT")]
    pub message: Option<String>,

    /// Save files that look like secrets, too, also those that git ignores
    #[arg(long)]
    pub secrets: bool,

    /// Keep it however old it gets
    #[arg(long)]
    pub pin: bool,
}

/// List checkpoints, newest first, those of deleted tasks included
#[derive(Args, Debug)]
#[command(after_help = "\
The first column: * pinned  ! damaged  … not on this machine yet")]
pub struct List {
    /// Only of this task: its id or a unique prefix, or a deleted task's whole id
    #[arg(long, visible_alias = "task", value_name = "ID",
          value_parser = NonEmptyStringValueParser::new())]
    pub session: Option<String>,

    /// Only those older than this: 7d, 12h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub older_than: Option<Duration>,

    /// Show at most the newest N
    #[arg(long, short = 'n', value_name = "N", default_value = "50")]
    pub limit: NonZeroU32,
}

/// Show what differs between two checkpoints, or between one and now
///
/// With one id: what that checkpoint changed over the one before it.
#[derive(Args, Debug)]
pub struct Diff {
    /// The checkpoint: its id or a unique prefix
    #[arg(value_name = "CP", value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// What to compare it with: a newer checkpoint, or `now` for the workspace as it is
    #[arg(value_name = "CP|now", value_parser = NonEmptyStringValueParser::new())]
    pub to: Option<String>,

    /// Show only how much changed in each file
    #[arg(long)]
    pub stat: bool,
}

/// Put a checkpoint's files back
///
/// First shows which files change, and asks. What is there now is saved as a checkpoint before
/// anything is touched, so that `parhelia undo` takes it back. Ignored files and files that were
/// left out of the checkpoint stay as they are; a file that stands in the way is never
/// overwritten. The conversation stays as well, unless --conversation says otherwise.
#[derive(Args, Debug)]
pub struct Restore {
    /// The checkpoint: its id or a unique prefix
    #[arg(value_name = "CP", value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Restore into this directory, which is empty or not there, and leave the workspace alone
    #[arg(long, value_name = "DIR")]
    pub target: Option<PathBuf>,

    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,

    /// Put the conversation back as well; needs a task without a session
    #[arg(long, conflicts_with = "target")]
    pub conversation: bool,

    /// Do not ask; needed where nobody can be asked
    #[arg(long, short)]
    pub yes: bool,
}

/// Take back a task's newest change: workspace and conversation
///
/// Goes to the newest whole checkpoint that the workspace differs from; the same as `checkpoint
/// restore --conversation` of that one. Repeat it to go back further; `parhelia undo` takes the
/// last one back.
#[derive(Args, Debug)]
pub struct Rollback {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Go back to this checkpoint
    #[arg(long, value_name = "CP", value_parser = NonEmptyStringValueParser::new())]
    pub to: Option<String>,

    /// Only show what would change
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask; needed where nobody can be asked
    #[arg(long, short)]
    pub yes: bool,
}

/// Make a new task of a checkpoint, in a workspace of its own
///
/// The new task begins with the checkpoint's files on a branch of its own, and with the
/// conversation as it was then. The old task, its workspace and its conversation stay as they are.
#[derive(Args, Debug)]
pub struct Fork {
    /// The checkpoint: its id or a unique prefix
    #[arg(value_name = "CP", value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// What to ask first, or - to read it from stdin; without one it waits for a prompt
    #[arg(value_name = "PROMPT|-")]
    pub prompt: Option<OsString>,

    /// What to call the new task
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,

    /// Begin without the conversation
    #[arg(long)]
    pub fresh: bool,
}

/// Write a checkpoint's files into a tar archive
#[derive(Args, Debug)]
#[command(after_help = "Example: parhelia checkpoint export cp-abcd2345 - | zstd > saved.tar.zst")]
pub struct Export {
    /// The checkpoint: its id or a unique prefix
    #[arg(value_name = "CP", value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// The archive, or - for stdout
    #[arg(value_name = "FILE.tar|-")]
    pub file: PathBuf,

    /// Replace a file that is there
    #[arg(long, short)]
    pub force: bool,
}

/// Delete what is older than the configuration keeps
///
/// Pinned checkpoints and the newest one of each task stay. On a terminal shows what goes, and
/// asks.
#[derive(Args, Debug)]
pub struct Prune {
    /// Only of this task: its id or a unique prefix, or a deleted task's whole id
    #[arg(long, visible_alias = "task", value_name = "ID",
          value_parser = NonEmptyStringValueParser::new())]
    pub session: Option<String>,

    /// Those older than this, in place of what the configuration says: 7d, 12h
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub older_than: Option<Duration>,

    /// Only show what would go
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}

/// Check that checkpoints are whole, against their hashes
///
/// Reads everything that a checkpoint is made of; without an argument, of all there are. Exits
/// with 1 if one is damaged, and names the newest whole one to use instead.
#[derive(Args, Debug)]
pub struct Verify {
    /// The checkpoint: its id or a unique prefix
    #[arg(value_name = "CP", conflicts_with = "session",
          value_parser = NonEmptyStringValueParser::new())]
    pub id: Option<String>,

    /// All of this task
    #[arg(long, visible_alias = "task", value_name = "ID",
          value_parser = NonEmptyStringValueParser::new())]
    pub session: Option<String>,
}

/// Go on with a task whose session is over
///
/// With the same conversation, in the same workspace; what is missing of either is taken from the
/// newest whole checkpoint.
#[derive(Args, Debug)]
pub struct Resume {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// What to ask, or - to read it from stdin; without one it waits for a prompt
    #[arg(value_name = "PROMPT|-")]
    pub prompt: Option<OsString>,

    /// Go back to this checkpoint first; what is there now is saved before
    #[arg(long, visible_alias = "checkpoint", value_name = "CP",
          value_parser = NonEmptyStringValueParser::new())]
    pub checkpoint_id: Option<String>,

    /// Go on in this directory, which is empty or not there
    #[arg(long, value_name = "DIR")]
    pub target: Option<PathBuf>,
}

/// Bring a task back whose session broke
///
/// Shows what happened and what there is, and offers what can be done, the best first. Where
/// nobody can be asked it only shows; --yes does what is best.
#[derive(Args, Debug)]
pub struct Recover {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Do what is recommended
    #[arg(long, short)]
    pub yes: bool,
}

/// Take back the last kill or restore of a task
///
/// After a kill its conversation goes on; after a restore the files are put back that were there
/// before, which on a terminal are shown first. To take that back as well, repeat it.
#[derive(Args, Debug)]
pub struct Undo {
    /// The task: its id or a unique prefix
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub id: String,

    /// Only show what would be done
    #[arg(long)]
    pub dry_run: bool,

    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
}
