//! What a restore will do, as far as is known before it begins.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    checkpoint::{
        CheckpointError,
        manifest::{Base, Manifest, Time, parse_times},
        meta::Meta,
        repo::{Repo, damaged},
        restore::{
            Changes, LIST_MAX,
            judge::{
                Entry, GITLINK, Is, Leaf, Places, Raw, Reader, Step, Steps, ancestors, below,
                judge, parse_trees,
            },
            modes::Record,
            shown,
            unit::{At, info, join},
            units::{Pair, Part, Side, Tops, pairs},
        },
    },
    domain::ids::HostPath,
    shell::{OUTPUT_MAX, run},
};

/// Permissions if there is no manifest.
const BASE: Base = Base { file: 0o644, executable: 0o755, dir: 0o755 };

/// Says for each two trees what differs between them, and what is in the second; sections each.
/// Where there is no first, the second says all.
const TREES: &str = "none=$(g hash-object -t tree /dev/null) || exit; \
    while [ $# -ge 2 ]; do \
        [ -z \"$1\" ] || g diff-tree -r -z --raw --no-renames \"$1\" \"${2:-$none}\" || exit; \
        printf '\\000'; [ -z \"$2\" ] || g ls-tree -r -z \"$2\" || exit; printf '\\000'; shift 2; \
    done";

/// A unit in both states.
#[derive(Debug)]
pub(super) struct Root {
    pub pair: Pair,
    /// All files to restore, in git's order; only of a unit that differs.
    pub entries: Vec<Entry>,
    pub times: Vec<Option<Time>>,
}

impl Root {
    /// Tells whether the unit is the same in both.
    pub fn is_same(&self) -> bool {
        let facts =
            |it: &Option<Side>| it.as_ref().map(|it| (it.part.clone(), it.manifest.clone()));
        self.pair.from.is_some() && facts(&self.pair.from) == facts(&self.pair.to)
    }

    pub fn tree(&self) -> Option<&str> {
        self.pair.to.as_ref()?.part.tree()
    }
}

/// What a restore will do.
#[derive(Debug)]
pub(super) struct Plan {
    pub meta: Meta,
    /// A repository before what is in it.
    pub roots: Vec<Root>,
    pub steps: Steps,
    /// What is recorded of where it comes from, if that is there, and of what it shall be.
    pub from: Option<Record>,
    pub to: Record,
    /// Whether the directory is not there.
    pub absent: bool,
    /// What of the checkpoint cannot be read.
    pub missing: Vec<String>,
    in_the_way: BTreeSet<Vec<u8>>,
}

/// What is planned for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Goal<'a> {
    pub from: Option<&'a str>,
    pub commit: &'a str,
    pub to: &'a HostPath,
    pub limit: Duration,
    /// Whether an attempt at the same was begun and not ended.
    pub again: bool,
}

impl Goal<'_> {
    fn at<'a>(&'a self, repo: &'a Repo, unit: &'a [u8]) -> At<'a> {
        At { repo, to: self.to, limit: self.limit, unit }
    }
}

impl Plan {
    /// Reads both states, looks at what differs, and judges.
    pub async fn make(repo: &Repo, goal: Goal<'_>, meta: Meta) -> Result<Plan, CheckpointError> {
        let before = match goal.from {
            Some(from) => repo.tops(from).await?,
            None => Tops::default(),
        };
        let after = repo.tops(goal.commit).await?;
        let mut pairs = pairs(&before, &after);
        let mut missing = after.bad;
        if before.repository {
            keep_own_repository(repo, &goal, &mut pairs, &mut missing).await?;
        }
        let read = manifests(repo, &pairs).await?;
        let from = goal.from.map(|_| {
            let mut record = Record::new(BASE);
            pairs.iter().for_each(|it| record_side(&mut record, it, it.from.as_ref(), &read));
            record
        });
        let mut to = Record::new(BASE);
        for pair in &pairs {
            if let Err(why) = record_side_or_say(&mut to, pair, &read) {
                missing.push(why);
            }
        }
        let roots = pairs.into_iter().map(|pair| {
            let times = pair.to.as_ref().and_then(|it| read.get(it.times.as_ref()?));
            let times = times.map(|it| parse_times(it)).unwrap_or_default();
            Root { pair, entries: Vec::new(), times }
        });
        let mut plan = Plan {
            meta,
            roots: roots.collect(),
            steps: Steps::new(),
            from,
            to,
            absent: false,
            missing,
            in_the_way: BTreeSet::new(),
        };
        plan.read_trees(repo, &goal).await?;
        plan.look(repo, &goal).await?;
        Ok(plan)
    }

    /// Reads what differs.
    async fn read_trees(&mut self, repo: &Repo, goal: &Goal<'_>) -> Result<(), CheckpointError> {
        let tree = |it: &Option<Side>| it.as_ref().and_then(|it| it.part.tree()).map(str::to_owned);
        let mut words = Vec::new();
        let mut wanted = Vec::new();
        for (at, root) in self.roots.iter().enumerate().filter(|it| !it.1.is_same()) {
            let (from, to) = (tree(&root.pair.from), tree(&root.pair.to));
            if from.is_some() || to.is_some() {
                wanted.push(at);
                words.extend([from.unwrap_or_default(), to.unwrap_or_default()]);
            }
        }
        let command = repo.command(TREES, &words);
        let output = run(&*repo.shell, &command, goal.limit).await?;
        let said = repo.checked("compare the checkpoints", output)?.stdout;
        if OUTPUT_MAX <= said.len() {
            return Err(CheckpointError::Refused {
                host: repo.shell.host().to_owned(),
                verb: "compare the checkpoints",
                detail: "there are too many files".into(),
            });
        }
        let mut reader = Reader(&said);
        for at in wanted {
            let (mut raw, entries) = parse_trees(&mut reader);
            if self.roots[at].pair.from.as_ref().is_none_or(|it| it.part.tree().is_none()) {
                let comes = |it: &Entry| Raw {
                    path: it.path.clone(),
                    from: (0, String::new()),
                    to: (it.mode, it.id.clone()),
                };
                raw = entries.iter().map(comes).collect();
            }
            self.roots[at].entries = entries;
            for it in raw {
                self.step(at, it);
            }
        }
        for at in 0..self.roots.len() {
            self.step_alone(at);
        }
        let left_out: BTreeSet<&[u8]> = self.meta.left_out.iter().map(|it| &it.path[..]).collect();
        let same = |it: &Step| match (&it.from, &it.to) {
            (Some(from), Some(to)) => (from.mode, &from.id) == (to.mode, &to.id),
            (from, to) => from.is_none() && to.is_none(),
        };
        self.steps
            .retain(|path, it| !(same(it) || it.to.is_none() && left_out.contains(&path[..])));
        match self.steps.keys().find(|it| !is_plain(it)) {
            Some(_) => Err(damaged(goal.commit, "a name in it leads out of it")),
            None => Ok(()),
        }
    }

    /// Notes a file of the unit `at` that differs. That a repository is at some place says nothing
    /// of what is there: what that holds is a unit, and if it holds nothing that is recorded.
    fn step(&mut self, at: usize, it: Raw) {
        let path = join(&self.roots[at].pair.path, &it.path);
        let leaf = |(mode, id): (u32, String)| {
            (mode != 0 && mode != GITLINK).then_some(Leaf { mode, id, root: at })
        };
        let (from, to) = (leaf(it.from), leaf(it.to));
        if from.is_none() && to.is_none() {
            return;
        }
        let none = || Step { from: None, to: None, is: Is::Nothing };
        let step = self.steps.entry(path).or_insert_with(none);
        step.from = from.or(step.from.take());
        step.to = to.or(step.to.take());
        step.is = if step.from.is_some() { Is::From } else { Is::Nothing };
    }

    /// Notes what is called `.git` and is no directory.
    fn step_alone(&mut self, at: usize) {
        let side = |side: &Option<Side>| match &side.as_ref()?.part {
            Part::Blob { id, link: true } => Some((0o120_000, id.clone())),
            Part::Blob { id, link: false } => Some((0o100_644, id.clone())),
            Part::Tree(_) => None,
        };
        let pair = &self.roots[at].pair;
        let none = || (0, String::new());
        let (from, to) = (side(&pair.from), side(&pair.to));
        if from != to {
            let (from, to) = (from.unwrap_or_else(none), to.unwrap_or_else(none));
            self.step(at, Raw { path: Vec::new(), from, to });
        }
    }

    /// Looks at what is where something changes, and judges.
    async fn look(&mut self, repo: &Repo, goal: &Goal<'_>) -> Result<(), CheckpointError> {
        let top = goal.at(repo, b"").top().await?;
        self.absent = top.is_none();
        let top = top.unwrap_or_default();
        if self.absent {
            self.steps.values_mut().for_each(|it| it.is = Is::Nothing);
            return Ok(());
        }
        if goal.from.is_none() && (top.is_empty() || !goal.again) {
            if top.is_empty() || !self.is_there(repo, goal, &top).await? {
                self.in_the_way.extend(top);
            }
            return Ok(());
        }
        self.compare(repo, goal).await?;
        if goal.again {
            self.drop_partial(repo, goal).await?;
        }
        let mut places = self.places(repo, goal).await?;
        // A directory with a commit in it is something to git, and not nothing. What was a file and
        // goes does not go if it is a directory now.
        for (path, step) in self.steps.iter_mut().filter(|it| places.dirs.contains(it.0)) {
            step.is = Is::Nothing;
            if step.to.is_none() {
                places.inside.retain(|it| below(it, path).is_none());
            }
        }
        self.in_the_way = judge(&self.steps, &places);
        Ok(())
    }

    /// Tells whether a directory that should be empty, and holds `top`, is as it shall be already:
    /// an attempt ended when all was done, and nobody heard of it.
    async fn is_there(
        &mut self,
        repo: &Repo,
        goal: &Goal<'_>,
        top: &[Vec<u8>],
    ) -> Result<bool, CheckpointError> {
        let begins = |path: &[u8], it: &[u8]| path == it || below(path, it).is_some();
        let paths = || self.steps.keys().chain(&self.to.empty).chain(self.to.dirs.keys());
        if !top.iter().all(|it| paths().any(|path| begins(path, it))) {
            return Ok(false);
        }
        let before = self.steps.clone();
        self.compare(repo, goal).await?;
        let is_there = self.steps.values().all(|it| it.is == Is::To);
        if !is_there {
            self.steps = before;
        }
        Ok(is_there)
    }

    /// Finds out which files are as which state has them.
    async fn compare(&mut self, repo: &Repo, goal: &Goal<'_>) -> Result<(), CheckpointError> {
        for at in 0..self.roots.len() {
            let unit = self.roots[at].pair.path.clone();
            self.compare_with(repo, goal, (at, &unit), false).await?;
        }
        for at in 0..self.roots.len() {
            let unit = self.roots[at].pair.path.clone();
            self.compare_with(repo, goal, (at, &unit), true).await?;
            let alone = self.steps.get_mut(&unit);
            if let Some(step) = alone.filter(|_| self.roots[at].has_alone()) {
                let leaves = (step.from.as_ref(), step.to.as_ref());
                step.is = goal.at(repo, &unit).see(leaves).await?;
            }
        }
        Ok(())
    }

    /// Compares the files of a unit with what they come from, or shall be.
    async fn compare_with(
        &mut self,
        repo: &Repo,
        goal: &Goal<'_>,
        (at, unit): (usize, &[u8]),
        with_to: bool,
    ) -> Result<(), CheckpointError> {
        let wanted = |path: &[u8], step: &Step| {
            let leaf = if with_to { &step.to } else { &step.from };
            let asked = !with_to || step.from.is_none() || step.is == Is::Other;
            let it = leaf.as_ref().filter(|it| asked && it.root == at)?;
            let inside = below(path, unit).filter(|it| !it.is_empty())?;
            Some(info(inside, (it.mode, &it.id)))
        };
        let told: Vec<u8> =
            self.steps.iter().filter_map(|(path, it)| wanted(path, it)).flatten().collect();
        if told.is_empty() {
            return Ok(());
        }
        let index = if with_to { format!("restore-{at}.to") } else { known(at) };
        let differing = goal.at(repo, unit).compare(&index, told).await?;
        for (path, step) in &mut self.steps {
            if wanted(path, step).is_none() {
                continue;
            }
            let there = match &differing {
                Some(it) => it.get(below(path, unit).unwrap_or_default()).copied(),
                None => Some(false),
            };
            step.is = match there {
                None if with_to => Is::To,
                None => Is::From,
                Some(true) => Is::Other,
                Some(false) => Is::Nothing,
            };
        }
        Ok(())
    }

    /// Looks where files shall come.
    async fn places(&self, repo: &Repo, goal: &Goal<'_>) -> Result<Places, CheckpointError> {
        let open = self.steps.iter().filter(|(_, it)| match it.is {
            Is::Nothing => it.to.is_some(),
            Is::Other => true,
            Is::From | Is::To => false,
        });
        let open: Vec<&[u8]> = open.map(|it| &it.0[..]).collect();
        let above: BTreeSet<&[u8]> = open.iter().flat_map(|it| ancestors(it)).collect();
        goal.at(repo, b"").places(above.into_iter(), open.into_iter()).await
    }

    /// Clears away what an earlier attempt left half written.
    async fn drop_partial(&mut self, repo: &Repo, goal: &Goal<'_>) -> Result<(), CheckpointError> {
        for (path, step) in self.steps.iter_mut().filter(|it| it.1.is == Is::Other) {
            let Some(to) = step.to.as_ref().filter(|it| it.is_file()) else { continue };
            let unit = &self.roots[to.root].pair.path;
            let inside = below(path, unit).filter(|it| !it.is_empty());
            if let Some(inside) = inside
                && goal.at(repo, unit).drop_partial(inside, &to.id).await?
            {
                step.is = Is::Nothing;
            }
        }
        Ok(())
    }

    pub fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for (path, step) in self.steps.iter().filter(|it| !it.1.is_done()) {
            changes.count += 1;
            if changes.files.len() < LIST_MAX {
                changes.files.push((path.clone(), step.effect()));
            }
        }
        changes.in_the_way = self.in_the_way.iter().take(LIST_MAX).cloned().collect();
        changes
    }
}

impl Root {
    /// Tells whether it is called `.git` and is no directory in one of the states.
    pub fn has_alone(&self) -> bool {
        let sides = [&self.pair.from, &self.pair.to].into_iter().flatten();
        { sides }.any(|it| it.part.tree().is_none())
    }
}

/// Returns what the index is called that holds what is known of the unit `at`.
pub(super) fn known(at: usize) -> String {
    format!("restore-{at}")
}

/// A repository that the workspace has of its own is left as it is.
async fn keep_own_repository(
    repo: &Repo,
    goal: &Goal<'_>,
    pairs: &mut Vec<Pair>,
    missing: &mut Vec<String>,
) -> Result<(), CheckpointError> {
    let mut own = BTreeSet::new();
    for pair in pairs.iter() {
        let name = pair.path.split(|it| *it == b'/').next().unwrap_or_default();
        let other = name.eq_ignore_ascii_case(b".git") && !own.contains(name);
        if name == b".git" || other && goal.at(repo, b"").is_own_repository(name).await? {
            own.insert(name.to_vec());
        }
    }
    let is_own = |it: &Pair| {
        let name = it.path.split(|it| *it == b'/').next().unwrap_or_default();
        own.contains(name)
    };
    if pairs.iter().any(|it| is_own(it) && it.to.is_some()) {
        missing.push(".git: there is a repository now, which is left as it is".into());
    }
    pairs.retain(|it| !is_own(it));
    Ok(())
}

/// Tells whether a path leads nowhere else.
fn is_plain(path: &[u8]) -> bool {
    path.split(|it| *it == b'/').all(|it| !matches!(it, b"" | b"." | b".."))
}

fn record_side(
    record: &mut Record,
    pair: &Pair,
    side: Option<&Side>,
    read: &BTreeMap<String, Vec<u8>>,
) {
    let manifest = side.and_then(|it| Manifest::parse(read.get(it.manifest.as_ref()?)?).ok());
    if let Some(manifest) = manifest {
        record.add(&pair.path, &manifest);
    }
}

fn record_side_or_say(
    record: &mut Record,
    pair: &Pair,
    read: &BTreeMap<String, Vec<u8>>,
) -> Result<(), String> {
    let Some(id) = pair.to.as_ref().and_then(|it| it.manifest.as_ref()) else { return Ok(()) };
    let manifest = read.get(id).map_or_else(|| Err("it is gone".into()), |it| Manifest::parse(it));
    let manifest = manifest.map_err(|why| {
        format!("permissions and empty directories of `{}`: {why}", shown(&pair.path))
    })?;
    record.add(&pair.path, &manifest);
    Ok(())
}

async fn manifests(
    repo: &Repo,
    pairs: &[Pair],
) -> Result<BTreeMap<String, Vec<u8>>, CheckpointError> {
    let from = pairs.iter().filter_map(|it| it.from.as_ref()?.manifest.as_deref());
    let to = pairs.iter().filter_map(|it| it.to.as_ref()?.manifest.as_deref());
    let times = pairs.iter().filter_map(|it| it.to.as_ref()?.times.as_deref());
    let mut ids: Vec<&str> = from.chain(to).chain(times).collect();
    ids.sort_unstable();
    ids.dedup();
    repo.blobs(&ids).await
}
