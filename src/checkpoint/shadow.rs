//! Saving: the repository in the run directory whose work tree is the workspace.

use std::{sync::Arc, time::Duration};

use crate::{
    checkpoint::{
        BACKGROUND, CheckpointError,
        meta::{Facts, Meta},
        repo::Repo,
        save::Job,
    },
    domain::{checkpoint::Change, ids::HostPath},
    shell::{Command, Output, Shell, run},
};

/// What every script of ours begins with.
const PRELUDE: &str = concat!(include_str!("scripts/prelude.sh"), include_str!("scripts/above.sh"));

const FORGET: &str = "[ -e \"$1/HEAD\" ] || exit 0; \
    exec git --git-dir=\"$1\" update-ref -d \"refs/checkpoints/$2\"";

const TIDY: &str = include_str!("scripts/tidy.sh");

/// How long dropping a reference may take.
const SMALL_LIMIT: Duration = Duration::from_secs(30);

/// The shadow repository of a task.
#[derive(Clone)]
pub struct Shadow {
    /// The repository, for reading.
    pub repo: Repo,
}

/// What is saved and what is not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules {
    /// Ignored files that are saved all the same, as gitignore patterns.
    pub include: Vec<String>,
    /// Whether files that look like secrets are saved too, if git does not track them.
    pub secrets: bool,
    /// Files longer than so many bytes are named, not saved.
    pub huge: u64,
}

/// The length from which on a file is not taken unasked.
pub const HUGE: u64 = 100 * 1024 * 1024;

/// Something that is saved beside the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// Its name in the checkpoint: ours, such as `conversation/ID.jsonl`. A directory's files get
    /// names below it.
    pub name: String,
    /// Where it comes from.
    pub source: Source,
}

/// Where something comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file or a directory on the host. If it is not there, or is an empty file, it stays as the
    /// checkpoint before has it: what was saved once is not to go with that one.
    Path(HostPath),
    /// The checkpoint before.
    Before,
    /// These bytes.
    Bytes(Vec<u8>),
}

/// What to save.
#[derive(Clone, Debug)]
pub struct Order {
    /// The workspace.
    pub workspace: HostPath,
    /// What the dispatcher knows.
    pub facts: Facts,
    /// What is saved.
    pub rules: Rules,
    /// What is saved beside it.
    pub beside: Vec<Beside>,
    /// The commit of the checkpoint before this one.
    pub previous: Option<String>,
    /// Whether nothing is made if the workspace is as the previous one has it.
    pub unless_same: bool,
    /// How long it may take.
    pub limit: Duration,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Saved {
    /// Nothing, since nothing differs.
    Same,
    /// A checkpoint was made.
    Made(Box<Made>),
}

/// A checkpoint that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// The commit; `refs/checkpoints/<id>` holds it in the shadow.
    pub commit: String,
    /// What differs from the previous one.
    pub change: Change,
    /// What it says of itself.
    pub meta: Meta,
}

impl Shadow {
    /// Creates the driver of the shadow of the task whose directory is `run_dir`.
    pub fn new(shell: Arc<dyn Shell>, run_dir: &HostPath) -> Shadow {
        Shadow { repo: Repo::new(shell, run_dir.join("shadow.git")) }
    }

    /// Returns the index of unit `number`, 0 for the workspace: it is as the newest checkpoint has
    /// that unit, or as [`Shadow::now`] saw it later. Only a cache: copy it before use.
    pub fn index(&self, number: usize) -> HostPath {
        self.repo.dir.join(&format!("index.{number}"))
    }

    /// Saves a workspace.
    ///
    /// Nothing of the user's is written. May be killed at any moment: the next one starts afresh
    /// and earlier checkpoints stay whole. If the shadow itself turns out damaged it is moved
    /// aside and begun again.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]; no checkpoint was made then.
    pub async fn save(&self, order: &Order) -> Result<Saved, CheckpointError> {
        let job = Job {
            workspace: &order.workspace,
            rules: &order.rules,
            order: Some(order),
            limit: order.limit,
        };
        self.work(&job).await
    }

    /// Returns the tree of the workspace as it is now, without making a checkpoint: what
    /// [`Repo::diff`] takes.
    ///
    /// # Errors
    ///
    /// As [`Shadow::save`].
    pub async fn now(
        &self,
        workspace: &HostPath,
        rules: &Rules,
        limit: Duration,
    ) -> Result<String, CheckpointError> {
        match self.work(&Job { workspace, rules, order: None, limit }).await? {
            Saved::Made(made) => Ok(made.commit),
            Saved::Same => Err(self.damaged("a tree was not made".into())),
        }
    }

    /// Forgets a checkpoint: drops its reference. Space comes back with [`Shadow::tidy`].
    ///
    /// # Errors
    ///
    /// If the host does not answer or git refuses.
    pub async fn forget(&self, id: &str) -> Result<(), CheckpointError> {
        self.small(FORGET, &[id], "forget a checkpoint", SMALL_LIMIT).await
    }

    /// Packs what is loose and drops what no checkpoint needs, at low priority. May be killed.
    ///
    /// # Errors
    ///
    /// If the host does not answer or git refuses.
    pub async fn tidy(&self, limit: Duration) -> Result<(), CheckpointError> {
        self.small(TIDY, &[], "tidy up", limit).await
    }

    async fn small(
        &self,
        script: &str,
        args: &[&str],
        verb: &'static str,
        limit: Duration,
    ) -> Result<(), CheckpointError> {
        let args = std::iter::once(self.repo.dir.as_str()).chain(args.iter().copied());
        let args = args.map(|it| it.as_bytes().to_vec()).collect();
        let output = self.script(script, args, Vec::new(), limit).await?;
        if output.code == 0 { Ok(()) } else { Err(self.refused(verb, &output)) }
    }

    /// Runs a script on the shadow at low priority.
    pub(super) async fn script(
        &self,
        script: &str,
        args: Vec<Vec<u8>>,
        input: Vec<u8>,
        limit: Duration,
    ) -> Result<Output, CheckpointError> {
        self.script_at(Some(BACKGROUND), script, args, input, limit).await
    }

    /// Runs a script on the shadow, giving way by `nice` if nobody waits for it.
    pub(super) async fn script_at(
        &self,
        nice: Option<u8>,
        script: &str,
        args: Vec<Vec<u8>>,
        input: Vec<u8>,
        limit: Duration,
    ) -> Result<Output, CheckpointError> {
        let script = [PRELUDE, script].concat();
        let mut command = Command::new(["sh", "-c", &script, "checkpoint"]).stdin(input);
        command.argv.extend(args);
        if let Some(nice) = nice {
            command = command.in_background(nice);
        }
        Ok(run(&*self.repo.shell, &command, limit).await?)
    }

    pub(super) fn refused(&self, verb: &'static str, output: &Output) -> CheckpointError {
        let host = self.repo.shell.host().to_owned();
        let detail = match output.complaint() {
            complaint if complaint.is_empty() => format!("status {}", output.code),
            complaint => complaint,
        };
        let full = ["No space left on device", "Disk quota exceeded", "file too large"];
        if full.iter().any(|it| detail.contains(it)) {
            return CheckpointError::Full { host, detail };
        }
        CheckpointError::Refused { host, verb, detail }
    }

    pub(super) fn damaged(&self, detail: String) -> CheckpointError {
        CheckpointError::Damaged { what: format!("the repository {}", self.repo.dir), detail }
    }
}
