//! Saving, step by step: look, plan, take; and what is done if a step fails.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    checkpoint::{
        BACKGROUND, CheckpointError,
        look::{Known, Listing, Sections, items, sections},
        manifest::Base,
        meta::{FORM, Facts, LEFT_OUT_MAX, Meta, Unit, Why},
        packer,
        plan::{Context, How, Part, Taking, parts_inside, plan, suspects},
        shadow::{Made, Order, Rules, Saved, Shadow},
        take::{Told, change, made, stoppers},
    },
    domain::{
        checkpoint::{Change, Trigger},
        event::Tokens,
        ids::{CheckpointId, HostPath, TaskId},
        usd::Usd,
    },
    shell::{Output, ShellError},
    stdx::{random, time::Timestamp},
};

const LOOK: &str = include_str!("scripts/look.sh");
const TAKE: &str = include_str!("scripts/take.sh");
const WALK: &str = include_str!("scripts/walk.pl");
/// A directory that changed so few seconds before it was read may change again unnoticed.
const GRACE: &str = if cfg!(test) { "0.02" } else { "2" };

const BLOBS: &str = include_str!("scripts/blobs.pl");

/// Says which of the files `$3…`, of the repository at `$2`, are tracked.
const TRACKED: &str = "ws=$2; shift 2; user --literal-pathspecs ls-files -z -- \"$@\"; exit 0";

/// Moves a damaged shadow aside if it holds anything, and keeps the last two such.
const ASIDE: &str = "shadow=$1; [ -e \"$shadow\" ] || exit 0; \
    if [ -z \"$(ls \"$shadow/refs/checkpoints\" 2>/dev/null)$(cat \"$shadow/packed-refs\" 2>/dev/null)\" ]; \
    then rm -rf \"$shadow\"; exit; fi; \
    n=1; while [ -e \"$shadow.damaged-$n\" ] || [ -e \"$shadow.damaged-$((n + 1))\" ]; do n=$((n + 1)); done; \
    mv \"$shadow\" \"$shadow.damaged-$n\" || exit; \
    [ \"$n\" -le 2 ] || rm -rf \"$shadow.damaged-$((n - 2))\"";

/// How often it is begun again if the shadow is damaged or the workspace changes under it.
const ATTEMPTS: u32 = 5;

/// How many times files that cannot be read are left out one after the other.
const REPLANS: u32 = 16;

/// Secrets asked about in one command.
const SUSPECTS_MAX: usize = 200;

/// What is to be done.
pub(super) struct Job<'a> {
    pub workspace: &'a HostPath,
    pub rules: &'a Rules,
    /// Nothing if only the tree is wanted.
    pub order: Option<&'a Order>,
    pub limit: std::time::Duration,
}

impl Job<'_> {
    /// Returns how much its commands give way: nobody waits for those that are made unasked, and
    /// the agent works meanwhile.
    fn nice(&self) -> Option<u8> {
        let is_unasked = |it: &Order| {
            matches!(it.facts.trigger, Trigger::Periodic | Trigger::Turn | Trigger::Detach)
        };
        self.order.is_some_and(is_unasked).then_some(BACKGROUND)
    }
}

/// Why it came to nothing.
enum Trouble {
    /// The shadow cannot be used any more.
    Damaged(String),
    /// The workspace changed in a way that makes what was seen useless.
    Again(String),
    /// There is nothing to be done about it.
    Failed(CheckpointError),
}

impl From<CheckpointError> for Trouble {
    fn from(error: CheckpointError) -> Trouble {
        Trouble::Failed(error)
    }
}

/// What was seen.
struct Seen {
    known: Known,
    parts: Vec<Part>,
    /// The checkpoint before, if the shadow has it.
    previous: Option<Meta>,
}

/// What came of taking.
enum Taken {
    Done(Saved),
    /// These files could not be taken.
    Stopped(Vec<(Vec<u8>, Why)>),
}

impl Shadow {
    pub(super) async fn work(&self, job: &Job<'_>) -> Result<Saved, CheckpointError> {
        match tokio::time::timeout(job.limit, self.attempts(job)).await {
            Ok(result) => result,
            Err(_) => Err(CheckpointError::Shell(ShellError::Deadline {
                host: self.repo.shell.host().to_owned(),
                command: format!("save {}", job.workspace),
                limit: job.limit,
            })),
        }
    }

    async fn attempts(&self, job: &Job<'_>) -> Result<Saved, CheckpointError> {
        let (mut damages, mut last) = (0, String::new());
        for _ in 0..ATTEMPTS {
            match self.once(job, damages >= 2).await {
                Ok(saved) => return Ok(saved),
                Err(Trouble::Failed(error)) => return Err(error),
                Err(Trouble::Again(why)) => last = why,
                Err(Trouble::Damaged(why)) => {
                    damages += 1;
                    tracing::warn!(shadow = %self.repo.dir, why, "begin the shadow again");
                    let args = vec![self.repo.dir.as_str().into()];
                    let output = self.script(ASIDE, args, Vec::new(), job.limit).await?;
                    if output.code != 0 {
                        return Err(self.refused("move a damaged repository aside", &output));
                    }
                    last = why;
                }
            }
        }
        Err(self.damaged(last))
    }

    async fn once(&self, job: &Job<'_>, alone: bool) -> Result<Saved, Trouble> {
        let token = random::base32(12);
        let seen = self.look(job, &token, alone).await?;
        let mut context = Context {
            rules: job.rules,
            base: Base::of_umask(seen.known.umask),
            tracked: self.tracked(job, &seen).await?,
            skip: BTreeMap::new(),
        };
        for _ in 0..REPLANS {
            let takings: Vec<Taking> =
                seen.parts.iter().map(|it| plan(it, &seen.parts, &context)).collect();
            match self.take(job, &token, &seen, &takings).await? {
                Taken::Done(saved) => return Ok(saved),
                Taken::Stopped(files) => context.skip.extend(files),
            }
        }
        Err(Trouble::Again("too many files changed while they were read".into()))
    }

    /// Looks at the workspace, and then at what is inside it, as deep as it goes.
    async fn look(&self, job: &Job<'_>, token: &str, alone: bool) -> Result<Seen, Trouble> {
        let root = Part {
            path: Vec::new(),
            how: How::Work,
            listing: Listing::default(),
            seen: None,
            outer: 0,
        };
        let mut parts = vec![root];
        let (mut done, mut head) = (0, None);
        while done < parts.len() {
            let output = self.look_at(job, token, alone, (done, &parts)).await?;
            let sections = sections(&output.stdout)
                .ok_or_else(|| self.damaged("what was said of it is cut off".into()))?;
            if head.is_none() {
                head = Some(self.head(&sections)?);
            }
            let top = head.as_ref().is_some_and(|it| it.0.top);
            let end = parts.len();
            for number in done..end {
                if parts[number].how == How::File {
                    continue;
                }
                parts[number].listing = Listing::of(&sections, number)
                    .ok_or_else(|| Trouble::Again("a repository inside it went away".into()))?;
                for (path, how, seen) in parts_inside(&parts[number], top) {
                    if !parts.iter().any(|it| it.path == path) {
                        let listing = Listing::default();
                        parts.push(Part { path, how, listing, seen, outer: number });
                    }
                }
            }
            done = end;
        }
        let (known, previous) = head.unwrap_or_default();
        Ok(Seen { known, parts, previous })
    }

    fn head(&self, sections: &Sections) -> Result<(Known, Option<Meta>), Trouble> {
        let known = Known::of(sections)
            .ok_or_else(|| self.damaged("what was said of the host is not all there".into()))?;
        let previous = sections.get("previous").and_then(|it| serde_json::from_slice(it).ok());
        Ok((known, previous))
    }

    async fn look_at(
        &self,
        job: &Job<'_>,
        token: &str,
        alone: bool,
        (first, parts): (usize, &[Part]),
    ) -> Result<Output, Trouble> {
        let previous = job.order.and_then(|it| it.previous.clone()).unwrap_or_default();
        let include = job.rules.include.iter().filter(|it| !it.contains(['\n', '\0']));
        let include: Vec<&String> = include.collect();
        let program = self.repo.shell.program();
        let mut args: Vec<Vec<u8>> = [
            self.repo.dir.as_str(),
            token,
            job.workspace.as_str(),
            &job.rules.huge.to_string(),
            &previous,
            if alone { "alone" } else { "" },
            if job.rules.secrets { "secrets" } else { "" },
            WALK,
            GRACE,
            program.as_ref().map(HostPath::as_str).unwrap_or_default(),
            packer::FORM,
            &include.len().to_string(),
        ]
        .map(|it| it.as_bytes().to_vec())
        .into();
        args.extend(include.into_iter().map(|it| it.as_bytes().to_vec()));
        let all = parts.iter().enumerate().skip(first);
        for (number, part) in all.filter(|it| it.1.how != How::File) {
            args.push(number.to_string().into());
            args.push(part.how.as_str().into());
            args.push(part.path.clone());
            args.push(part.outer.to_string().into());
            args.push(parts[part.outer].below(&part.path).unwrap_or_default().to_vec());
        }
        let output = self.script_at(job.nice(), LOOK, args, Vec::new(), job.limit).await?;
        self.checked(job, "look at the workspace", output)
    }

    fn checked(
        &self,
        job: &Job<'_>,
        verb: &'static str,
        output: Output,
    ) -> Result<Output, Trouble> {
        let complaint = String::from_utf8_lossy(&output.stderr);
        match output.code {
            0 => Ok(output),
            40 => Err(CheckpointError::NoWorkspace { path: job.workspace.clone() }.into()),
            41 => Err(CheckpointError::NoGit { host: self.repo.shell.host().to_owned() }.into()),
            42 => Err(Trouble::Damaged(output.complaint())),
            _ if is_damage(&complaint) => Err(Trouble::Damaged(output.complaint())),
            _ => Err(self.refused(verb, &output).into()),
        }
    }

    /// Returns which new files that look like secrets the user's repositories track.
    async fn tracked(&self, job: &Job<'_>, seen: &Seen) -> Result<BTreeSet<Vec<u8>>, Trouble> {
        let mut tracked = BTreeSet::new();
        if job.rules.secrets {
            return Ok(tracked);
        }
        for part in &seen.parts {
            if part.path.is_empty() && seen.known.position.is_none() {
                continue;
            }
            let prefix = if part.path.is_empty() { 0 } else { part.path.len() + 1 };
            for chunk in suspects(part).chunks(SUSPECTS_MAX) {
                let mut args = vec![self.repo.dir.as_str().into(), job.workspace.as_str().into()];
                if prefix > 0 {
                    args[1] = [job.workspace.as_str().as_bytes(), b"/", &part.path].concat();
                }
                args.extend(chunk.iter().map(|it| it[prefix..].to_vec()));
                let output =
                    self.script_at(job.nice(), TRACKED, args, Vec::new(), job.limit).await?;
                let whole = |it: &[u8]| [&chunk[0][..prefix], it].concat();
                tracked.extend(items(&output.stdout).map(whole));
            }
        }
        Ok(tracked)
    }

    async fn take(
        &self,
        job: &Job<'_>,
        token: &str,
        seen: &Seen,
        takings: &[Taking],
    ) -> Result<Taken, Trouble> {
        let meta = describe(job, seen, takings);
        let told = self.tell(job, token, seen, &meta, takings);
        let output = self.script_at(job.nice(), TAKE, told.args, told.input, job.limit).await?;
        if output.code == 44 {
            let sections = sections(&output.stdout).unwrap_or_default();
            let files = stoppers(&sections, &output.stderr, &seen.parts, takings);
            let full = String::from_utf8_lossy(&output.stderr).contains("No space left");
            if !files.is_empty() && !full {
                return Ok(Taken::Stopped(files));
            }
        }
        let output = self.checked(job, "save the workspace", output)?;
        let incomplete = || self.damaged("what was said of the checkpoint is cut off".into());
        let sections = sections(&output.stdout).ok_or_else(incomplete)?;
        if sections.contains_key("same") {
            return Ok(Taken::Done(Saved::Same));
        }
        let (commit, files, bytes) = made(&sections).ok_or_else(incomplete)?;
        let meta = Meta { files, bytes, ..meta };
        let change = match sections.get("change") {
            Some(said) => change(said, &meta),
            None => Change { added: files, ..Change::default() },
        };
        Ok(Taken::Done(Saved::Made(Box::new(Made { commit, change, meta }))))
    }

    /// Returns what the script is told.
    fn tell(
        &self,
        job: &Job<'_>,
        token: &str,
        seen: &Seen,
        meta: &Meta,
        takings: &[Taking],
    ) -> Told {
        let known = &seen.known;
        let before = seen.previous.as_ref();
        let previous = job.order.and_then(|it| it.previous.clone()).filter(|_| before.is_some());
        let same = job.order.is_some_and(|it| it.unless_same)
            && before.is_some_and(|it| it.position == meta.position && it.units == meta.units);
        let args = [
            self.repo.dir.as_str(),
            token,
            job.workspace.as_str(),
            if job.order.is_some() { "save" } else { "now" },
            meta.facts.id.as_str(),
            &format!("@{} +0000", meta.facts.at.0.div_euclid(1000).max(0)),
            &previous.unwrap_or_default(),
            if same { "same" } else { "" },
            known.staged.as_deref().unwrap_or_default(),
        ]
        .map(|it| it.as_bytes().to_vec());
        let mut told = Told { args: args.into(), ..Told::default() };
        told.args.push(BLOBS.into());
        let program = self.repo.shell.program();
        told.args.push(program.map(|it| it.as_str().into()).unwrap_or_default());
        told.args.push(packer::FORM.into());
        let length = told.args.len();
        told.meta(meta);
        told.units(&seen.parts, takings);
        told.beside(job.order.map(|it| &*it.beside).unwrap_or_default());
        told.args.extend(known.parents.iter().map(|it| it.clone().into_bytes()));
        told.args.insert(length, told.input.len().to_string().into());
        told
    }
}

/// Returns what the checkpoint says of itself, but for how much it is.
fn describe(job: &Job, seen: &Seen, takings: &[Taking]) -> Meta {
    let left_out = takings.iter().flat_map(|it| &it.left_out);
    let units = seen.parts.iter().skip(1);
    let mut facts = job.order.map_or_else(no_facts, |it| it.facts.clone());
    let before = seen.previous.as_ref().map(|it| &it.facts);
    if let Some(before) = before.filter(|it| it.conversation == facts.conversation) {
        // One that is gone by now goes back to where it was.
        facts.transcript = facts.transcript.or_else(|| before.transcript.clone());
    }
    Meta {
        form: FORM,
        facts,
        workspace: job.workspace.clone(),
        position: seen.known.position.clone(),
        units: units.map(|it| Unit { path: it.path.clone(), kind: it.how.kind() }).collect(),
        left_out: left_out.clone().take(LEFT_OUT_MAX).cloned().collect(),
        left_out_count: u64::try_from(left_out.count()).unwrap_or(u64::MAX),
        files: 0,
        bytes: 0,
    }
}

/// Returns the facts of what is no checkpoint, only a tree.
fn no_facts() -> Facts {
    Facts {
        id: CheckpointId::random(),
        task: TaskId::random(),
        task_name: String::new(),
        at: Timestamp::default(),
        trigger: Trigger::Manual,
        label: None,
        conversation: None,
        transcript: None,
        env: BTreeMap::new(),
        turns: 0,
        tokens: Tokens::default(),
        cost: Usd::ZERO,
    }
}

/// Tells whether git complains of its own files rather than of the workspace or the disk.
fn is_damage(complaint: &str) -> bool {
    let signs = [
        "bad object",
        "bad signature",
        "bad index",
        "index file",
        "index uses",
        "corrupt",
        "invalid object",
        "unable to read tree",
        "unable to read sha1",
        "unable to find",
        "missing blob",
        "missing tree",
        "error building trees",
        "not a git repository",
        "not a valid object",
        "Not a valid object",
        "not a tree object",
        "object file",
        "loose object",
        "packfile",
        "inflate:",
        "could not read",
        "bad tree object",
        "bad config",
        "bad revision",
        "alternate object",
        "is unavailable",
        "cannot read existing object",
    ];
    // A full disk shows in many ways.
    !complaint.contains("No space left") && signs.iter().any(|it| complaint.contains(it))
}
