//! The one repository on this machine that holds the checkpoints of all tasks.
//!
//! ```text
//! shadow ──what is borrowed: links──▶ objects/            adopt.sh, if it is on this machine
//!        ──what the vault lacks: a pack──▶ objects/tmp_objdir-…   offer.sh | accept.sh
//!                                          │ whole? on disk?
//!                                          ▼
//!                                  objects/pack, then refs/checkpoints/<task>/<id>   keep.sh
//! ```
//!
//! The reference is written last, when everything it needs is on disk: a reference that is there
//! is the promise that its checkpoint is whole. Whoever is killed before that leaves files that
//! nothing refers to, which [`Vault::collect`] removes.
//!
//! Links are safe because git never writes to a pack or an object again, and because they hold
//! what they link to whatever becomes of the user's repository. Deliberately absent: alternates.

mod mend;
mod pipe;

#[cfg(test)]
mod tests;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Mutex, RwLock};

use crate::{
    checkpoint::{BACKGROUND, CheckpointError, repo::Repo, shadow::Shadow},
    domain::ids::{CheckpointId, HostPath, TaskId},
    shell::{Command, Output, Shell, run},
    stdx::random,
};

/// How long a question may take, or a change of one reference.
const ASK_LIMIT: Duration = Duration::from_secs(60);

/// How long linking may take, which is copying where links cannot be made.
const COPY_LIMIT: Duration = Duration::from_secs(3600);

/// How many packs of ours are left apart: git looks into each.
const PACKS_MAX: &str = if cfg!(test) { "8" } else { "64" };

/// From how many bytes on packs are looked through for long files that differ little.
pub const LARGE: u64 = if cfg!(test) { 1 << 20 } else { 16 << 20 };

macro_rules! script {
    ($name:literal) => {
        concat!(include_str!("vault/prelude.sh"), include_str!(concat!("vault/", $name, ".sh")))
    };
}

const READY: &str = script!("ready");
const OFFER: &str = script!("offer");
const ACCEPT: &str = script!("accept");
const KEEP: &str = script!("keep");
const FORGET: &str = script!("forget");
const HAVE: &str = script!("have");
const BORROWS: &str = script!("borrows");
const ADOPT: &str = script!("adopt");
const WHOLE: &str = script!("whole");
const CLEAN: &str = script!("clean");
const COLLECT: &str = script!("collect");
const SIZE: &str = script!("size");
const GATHER: &str = script!("gather");
const MEND: &str = script!("mend");
const LIST: &str = concat!(
    include_str!("vault/prelude.sh"),
    // A repository that lacks what says that it is one must not pass for an empty one.
    "[ -d \"$1\" ] || exit 0\n(\n",
    include_str!("vault/ready.sh"),
    ") || exit; GIT_DIR=$1; export GIT_DIR; ",
    "ours for-each-ref --format='%(refname) %(objectname)' refs/checkpoints"
);

/// What a script ends with if the commit is not there.
const NO_COMMIT: i32 = 9;

/// What a script ends with if something is missing of what it was given.
const NOT_WHOLE: i32 = 8;

/// What a command ends with that writes to one who is gone.
const SIGPIPE: i32 = 128 + 13;

/// The vault. Clones share its locks.
#[derive(Clone)]
pub struct Vault {
    /// The repository, for reading.
    pub repo: Repo,
    locks: Arc<Locks>,
}

#[derive(Default)]
struct Locks {
    /// Shared by those who bring objects or read many; whoever drops objects has it alone.
    objects: RwLock<()>,
    /// Held by whoever writes references, so that a lock file of git's is a dead one's.
    references: Mutex<()>,
}

/// From where to where objects travel, and how.
#[derive(Clone, Copy)]
struct Way<'a> {
    from: &'a Repo,
    to: &'a Repo,
    /// Whether nobody waits for it.
    unasked: bool,
    /// Git's word for what must be on disk at the end: `all` or `none`.
    fsync: &'a str,
    /// Whether what travels is costly, rather than what is computed.
    thin: bool,
}

impl Vault {
    /// Creates the driver of the vault in `dir`, on this machine. It is made when first needed.
    pub fn new(shell: Arc<dyn Shell>, dir: HostPath) -> Vault {
        Vault { repo: Repo::new(shell, dir), locks: Arc::default() }
    }

    /// Brings a checkpoint's objects here, as far as they are not here yet, and keeps them by the
    /// reference `refs/checkpoints/<task>/<id>`. Everything is on disk when this returns (power
    /// may fail after it). Returns by how many bytes the vault grew.
    ///
    /// `near` says that the shadow is on this machine, so that objects which the shadow borrows
    /// from the user's repository can be linked instead of copied.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`]; what was here before is untouched. Harmless to repeat.
    #[expect(clippy::too_many_arguments, reason = "each is known to the caller alone")]
    pub async fn receive(
        &self,
        shadow: &Shadow,
        task: &TaskId,
        id: &CheckpointId,
        commit: &str,
        near: bool,
        limit: Duration,
    ) -> Result<u64, CheckpointError> {
        must_be_name(commit, &shadow.repo)?;
        let _shared = self.locks.objects.read().await;
        let reference = format!("refs/checkpoints/{task}/{id}");
        let work = self.take_in(&shadow.repo, &reference, commit, near);
        pipe::within(limit, &*self.repo.shell, "take in a checkpoint", work).await?
    }

    async fn take_in(
        &self,
        from: &Repo,
        reference: &str,
        commit: &str,
        near: bool,
    ) -> Result<u64, CheckpointError> {
        let here = &self.repo;
        self.ready(here).await?;
        let of_task = reference.rsplit_once('/').map_or(reference, |it| it.0);
        let have = self.have(here, of_task).await?;
        let mut lent = Vec::new();
        let mut grown = 0;
        if near {
            let copied;
            (copied, lent) = self.adopt(from, of_task, commit).await?;
            grown += copied;
        }
        let way = Way { from, to: here, unasked: true, fsync: "all", thin: !near };
        grown += way.transfer(commit, &have, &lent).await?;
        self.keep(here, reference, commit, way.fsync).await?;
        Ok(grown)
    }

    /// Sees to it that `shadow` holds a checkpoint that is here: sends what it lacks, making the
    /// repository there if there is none.
    ///
    /// If `near`, what is here is linked there, so that nothing is copied and neither depends on
    /// the other.
    ///
    /// # Errors
    ///
    /// [`CheckpointError`].
    pub async fn send(
        &self,
        shadow: &Shadow,
        id: &CheckpointId,
        commit: &str,
        near: bool,
        limit: Duration,
    ) -> Result<(), CheckpointError> {
        must_be_name(commit, &self.repo)?;
        let _shared = self.locks.objects.read().await;
        let reference = format!("refs/checkpoints/{id}");
        let work = self.hand_out(&shadow.repo, &reference, commit, near);
        pipe::within(limit, &*self.repo.shell, "hand out a checkpoint", work).await?
    }

    async fn hand_out(
        &self,
        there: &Repo,
        reference: &str,
        commit: &str,
        near: bool,
    ) -> Result<(), CheckpointError> {
        if !self.whole(there, commit).await? {
            if !self.whole(&self.repo, commit).await? {
                return Err(missing(commit, &self.repo));
            }
            self.ready(there).await?;
            // Where links cannot be made the pack that follows holds what is missing.
            let linked = near && self.link(there).await.is_ok();
            if !linked || !self.whole(there, commit).await? {
                self.hand_over(there, commit, near).await?;
            }
        }
        self.keep(there, reference, commit, "none").await
    }

    async fn hand_over(
        &self,
        there: &Repo,
        commit: &str,
        near: bool,
    ) -> Result<(), CheckpointError> {
        let way = Way { from: &self.repo, to: there, unasked: false, fsync: "none", thin: !near };
        let have = self.have(there, "refs/checkpoints").await?;
        if have.is_empty() || way.transfer(commit, &have, &[]).await.is_err() {
            // What is there may lack what it says it has.
            way.transfer(commit, &[], &[]).await?;
        }
        Ok(())
    }

    /// Forgets a checkpoint: drops its reference. Space comes back with [`Vault::collect`].
    ///
    /// # Errors
    ///
    /// If git refuses.
    pub async fn forget(&self, task: &TaskId, id: &CheckpointId) -> Result<(), CheckpointError> {
        let _alone = self.locks.references.lock().await;
        let reference = format!("refs/checkpoints/{task}/{id}");
        let args = [self.repo.dir.as_str(), &reference];
        ask(&self.repo, "forget a checkpoint", FORGET, &args, Vec::new()).await?;
        Ok(())
    }

    /// Returns every checkpoint that has a reference here: task, id, commit.
    ///
    /// # Errors
    ///
    /// If git refuses.
    pub async fn list(&self) -> Result<Vec<(String, String, String)>, CheckpointError> {
        let args = [self.repo.dir.as_str(), &random::base32(12)];
        let output = ask(&self.repo, "list the checkpoints", LIST, &args, Vec::new()).await?;
        let text = output.text();
        let of_line = |line: &str| {
            let (reference, commit) = line.split_once(' ')?;
            let (task, id) = reference.strip_prefix("refs/checkpoints/")?.split_once('/')?;
            Some((task.to_owned(), id.to_owned(), commit.to_owned()))
        };
        Ok(text.lines().filter_map(of_line).collect())
    }

    /// Gives back the space of what no reference needs, once that is an eighth of the vault, and of
    /// long files that differ little. May be killed at any moment; runs at low priority. Returns how
    /// many bytes the vault is smaller.
    ///
    /// # Errors
    ///
    /// If git refuses, as when a checkpoint is damaged; nothing was dropped then.
    pub async fn collect(&self, limit: Duration) -> Result<u64, CheckpointError> {
        let _alone = self.locks.objects.write().await;
        let before = self.size().await?;
        {
            let _references = self.locks.references.lock().await;
            let args = [self.repo.dir.as_str()];
            ask(&self.repo, "clean up", CLEAN, &args, Vec::new()).await?;
        }
        let large = LARGE.to_string();
        let command = command(COLLECT, &[self.repo.dir.as_str(), PACKS_MAX, &large]);
        let command = giving_way(true, command);
        let work = pipe::held(&*self.repo.shell, &command);
        let output = pipe::within(limit, &*self.repo.shell, "git pack-objects", work).await??;
        checked(&self.repo, "collect what is not needed", output)?;
        Ok(before.saturating_sub(self.size().await?))
    }

    /// Returns the bytes that the vault takes on disk, linked objects not counted.
    ///
    /// # Errors
    ///
    /// If it cannot be read.
    pub async fn size(&self) -> Result<u64, CheckpointError> {
        let args = [self.repo.dir.as_str()];
        let output = ask(&self.repo, "look at the size", SIZE, &args, Vec::new()).await?;
        Ok(sum(&output))
    }

    /// Makes a repository if there is none.
    async fn ready(&self, repo: &Repo) -> Result<(), CheckpointError> {
        let _alone = self.locks.references.lock().await;
        let args = [repo.dir.as_str(), &random::base32(12)];
        ask(repo, "make the repository", READY, &args, Vec::new()).await?;
        Ok(())
    }

    /// Returns commits that a repository has with all they need, the most useful first; none if
    /// it is damaged, so that everything travels.
    async fn have(&self, repo: &Repo, below: &str) -> Result<Vec<String>, CheckpointError> {
        let output =
            run(&*repo.shell, &command(HAVE, &[repo.dir.as_str(), below]), ASK_LIMIT).await?;
        let lines = if output.code == 0 { output.text() } else { String::new() };
        Ok(lines.lines().map(str::to_owned).collect())
    }

    /// Links what `from` borrows. Returns how many bytes had to be copied, and those parents of
    /// the commit which came along with all they need.
    async fn adopt(
        &self,
        from: &Repo,
        of_task: &str,
        commit: &str,
    ) -> Result<(u64, Vec<String>), CheckpointError> {
        let borrows = command(BORROWS, &[from.dir.as_str(), commit]);
        let output = run(&*from.shell, &borrows, ASK_LIMIT).await?;
        if output.code == NO_COMMIT {
            return Err(missing(commit, from));
        }
        let output = checked(from, "look at what is borrowed", output)?;
        let (mut dirs, mut parents) = (Vec::new(), Vec::new());
        for line in output.stdout.split(|it| *it == b'\n') {
            if let Some(dir) = line.strip_prefix(b"alternate: ") {
                dirs.push(unquote(dir));
            } else if let Some(parent) = line.strip_prefix(b"parent: ") {
                parents.extend_from_slice(parent);
                parents.push(b'\n');
            }
        }
        if dirs.is_empty() {
            return Ok((0, Vec::new()));
        }
        let (here, task) = (&self.repo, of_task.rsplit('/').next().unwrap_or_default());
        let args = [here.dir.as_str(), &random::base32(12), task];
        let mut adopt = command(ADOPT, &args).stdin(parents);
        adopt.argv.extend(dirs);
        let output = checked(here, "link objects", run(&*here.shell, &adopt, COPY_LIMIT).await?)?;
        let text = output.text();
        let came = text.lines().filter_map(|it| it.strip_prefix("commit ")).map(str::to_owned);
        Ok((sum(&output), came.collect()))
    }

    /// Links everything that is here into a shadow on this machine.
    async fn link(&self, there: &Repo) -> Result<(), CheckpointError> {
        let objects = self.repo.dir.join("objects");
        let args = [there.dir.as_str(), &random::base32(12), "", objects.as_str()];
        ask(there, "link objects", ADOPT, &args, Vec::new()).await?;
        Ok(())
    }

    /// Tells whether a repository holds a checkpoint; no repository at all counts as no.
    async fn whole(&self, repo: &Repo, commit: &str) -> Result<bool, CheckpointError> {
        let output =
            run(&*repo.shell, &command(WHOLE, &[repo.dir.as_str(), commit]), ASK_LIMIT).await?;
        match output.code {
            NO_COMMIT => Ok(false),
            _ => checked(repo, "look for a checkpoint", output).map(|_| true),
        }
    }

    async fn keep(
        &self,
        repo: &Repo,
        reference: &str,
        commit: &str,
        fsync: &str,
    ) -> Result<(), CheckpointError> {
        let _alone = self.locks.references.lock().await;
        let args = [repo.dir.as_str(), reference, commit, fsync];
        ask(repo, "keep a checkpoint", KEEP, &args, Vec::new()).await?;
        Ok(())
    }
}

impl Way<'_> {
    /// Moves what `commit` needs and the commits `have` and `lent` lack, and finds it whole there,
    /// taking that only of `have` for granted. Returns how many bytes were added.
    async fn transfer(
        &self,
        commit: &str,
        have: &[String],
        lent: &[String],
    ) -> Result<u64, CheckpointError> {
        let Way { from, to, unasked, fsync, thin } = *self;
        let lines: String = have.iter().chain(lent).map(|it| format!("{it}\n")).collect();
        // Differences within a first checkpoint take long to find; collecting looks for them.
        let window = if have.is_empty() && !thin { "0" } else { "" };
        let thin = if thin { "--thin" } else { "" };
        let offer = command(OFFER, &[from.dir.as_str(), commit, thin, window]).stdin(lines);
        let name = random::base32(12);
        let mut accept = command(ACCEPT, &[to.dir.as_str(), commit, &name, fsync]);
        accept.argv.extend(have.iter().map(|it| it.clone().into_bytes()));
        let (offer, accept) = (giving_way(unasked, offer), giving_way(unasked, accept));
        let (offered, accepted) =
            pipe::joined((&*from.shell, &offer), (&*to.shell, &accept)).await?;
        if offered.code == NO_COMMIT {
            return Err(missing(commit, from));
        }
        match (offered.code, accepted.code) {
            (0, NOT_WHOLE) => Err(CheckpointError::Damaged {
                what: format!("what {} holds, or borrows, of {commit}", from.dir),
                detail: accepted.complaint(),
            }),
            (0, 0) => Ok(sum(&accepted)),
            // Whoever writes to one who is gone is ended by SIGPIPE, which says nothing.
            (0 | SIGPIPE, _) => Err(refused(to, "take in a checkpoint", &accepted)),
            (_, 0) => Err(refused(from, "pack a checkpoint", &offered)),
            _ => Err(match refused(to, "take in a checkpoint", &accepted) {
                full @ CheckpointError::Full { .. } => full,
                _ => refused(from, "pack a checkpoint", &offered),
            }),
        }
    }
}

fn command(script: &str, args: &[&str]) -> Command {
    let mut command = Command::new(["sh", "-c", script, "parhelia"]);
    command.argv.extend(args.iter().map(|it| it.as_bytes().to_vec()));
    command
}

/// Lets a command that nobody waits for give way to what else runs.
fn giving_way(unasked: bool, command: Command) -> Command {
    if unasked { command.in_background(BACKGROUND) } else { command }
}

async fn ask(
    repo: &Repo,
    verb: &'static str,
    script: &str,
    args: &[&str],
    stdin: Vec<u8>,
) -> Result<Output, CheckpointError> {
    let command = command(script, args).stdin(stdin);
    checked(repo, verb, run(&*repo.shell, &command, ASK_LIMIT).await?)
}

fn checked(repo: &Repo, verb: &'static str, output: Output) -> Result<Output, CheckpointError> {
    if output.code == 0 { Ok(output) } else { Err(refused(repo, verb, &output)) }
}

/// Says why a script did not end well.
fn refused(repo: &Repo, verb: &'static str, output: &Output) -> CheckpointError {
    let host = repo.shell.host().to_owned();
    let detail = match output.complaint() {
        complaint if complaint.is_empty() => format!("status {}", output.code),
        complaint => complaint,
    };
    let full = ["No space left on device", "Disk quota exceeded"];
    if full.iter().any(|it| detail.contains(it)) {
        CheckpointError::Full { host, detail }
    } else if output.code == 127 {
        CheckpointError::NoGit { host }
    } else {
        CheckpointError::Refused { host, verb, detail }
    }
}

/// Refuses what git could take for something else than a commit's name.
fn must_be_name(commit: &str, repo: &Repo) -> Result<(), CheckpointError> {
    let is_name = !commit.is_empty() && commit.bytes().all(|it| it.is_ascii_hexdigit());
    if is_name { Ok(()) } else { Err(missing(commit, repo)) }
}

fn missing(commit: &str, repo: &Repo) -> CheckpointError {
    CheckpointError::Missing { commit: commit.to_owned(), repo: repo.dir.clone() }
}

/// Returns the sum of the numbers that a script printed, one a line.
fn sum(output: &Output) -> u64 {
    let text = output.text();
    text.lines().filter_map(|it| it.trim().parse::<u64>().ok()).fold(0, u64::saturating_add)
}

/// Undoes git's quoting of a path: `"` around it, and escapes as in C.
fn unquote(said: &[u8]) -> Vec<u8> {
    let Some(inner) = said.strip_prefix(b"\"").and_then(|it| it.strip_suffix(b"\"")) else {
        return said.to_vec();
    };
    let (mut out, mut rest) = (Vec::with_capacity(inner.len()), inner);
    while let Some((byte, after)) = rest.split_first() {
        let (byte, taken) = if *byte == b'\\' { escaped(after) } else { (*byte, 0) };
        out.push(byte);
        rest = &after[taken..];
    }
    out
}

/// Returns the byte that is meant by what follows a backslash, and how much of it says so.
fn escaped(rest: &[u8]) -> (u8, usize) {
    let digit = |it: u8| it & 7;
    match *rest {
        [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', ..] => {
            (digit(a) << 6 | digit(b) << 3 | digit(c), 3)
        }
        [b'a', ..] => (0x07, 1),
        [b'b', ..] => (0x08, 1),
        [b't', ..] => (b'\t', 1),
        [b'n', ..] => (b'\n', 1),
        [b'v', ..] => (0x0b, 1),
        [b'f', ..] => (0x0c, 1),
        [b'r', ..] => (b'\r', 1),
        [other, ..] => (other, 1),
        [] => (b'\\', 0),
    }
}
