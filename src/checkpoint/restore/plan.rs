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
        repo::Repo,
        restore::{
            Changes, Effect, LIST_MAX,
            judge::{Facts, Place, ancestors},
            modes::{Deed, Deeds, Record},
            shown,
            unit::{DESCEND, Unit, WHAT, join},
            units::{Pair, Part, Side, Tops, pairs},
        },
    },
    domain::ids::HostPath,
    shell::run,
};

/// Permissions if there is no manifest.
const BASE: Base = Base { file: 0o644, executable: 0o755, dir: 0o755 };

/// A unit with what is known of it.
#[derive(Debug)]
pub(super) struct Look {
    pub unit: Unit,
    pub facts: Facts,
    pub record: Record,
    in_the_way: BTreeSet<Vec<u8>>,
}

/// A file or a link.
#[derive(Clone, Debug)]
pub(super) struct Leaf {
    pub id: String,
    pub link: bool,
}

/// What is called `.git` and is no directory, in one of the two states.
#[derive(Debug)]
pub(super) struct Blob {
    pub path: Vec<u8>,
    pub from: Option<Leaf>,
    pub to: Option<Leaf>,
}

impl Blob {
    /// Tells whether it must go before anything else is done.
    pub fn goes_first(&self) -> bool {
        self.from.is_some() && self.to.is_none()
    }
}

/// What a restore will do.
#[derive(Debug)]
pub(super) struct Plan {
    pub meta: Meta,
    /// A repository before what is in it.
    pub units: Vec<Look>,
    pub blobs: Vec<Blob>,
    /// What of the checkpoint cannot be read.
    pub missing: Vec<String>,
    in_the_way: BTreeSet<Vec<u8>>,
}

impl Plan {
    /// Looks and judges. `again` says that an attempt at the same was begun and not ended.
    pub async fn make(
        repo: &Repo,
        (from, commit, meta): (Option<&str>, &str, Meta),
        (to, limit): (&HostPath, Duration),
        again: bool,
    ) -> Result<Plan, CheckpointError> {
        let before = match from {
            Some(from) => repo.tops(from).await?,
            None => Tops::default(),
        };
        let after = repo.tops(commit).await?;
        let mut pairs = pairs(&before, &after);
        let mut missing = after.bad;
        if before.repository {
            let is_top = |it: &Pair| it.path.eq_ignore_ascii_case(b".git");
            if pairs.iter().any(|it| is_top(it) && it.to.is_some()) {
                missing.push(".git: there is a repository now, which is left as it is".into());
            }
            pairs.retain(|it| !is_top(it));
        }
        let blobs = pairs.iter().filter_map(blob).collect();
        let mut plan =
            Plan { meta, units: Vec::new(), blobs, missing, in_the_way: BTreeSet::new() };
        let read = manifests(repo, &pairs).await?;
        for (number, pair) in pairs.iter().enumerate() {
            let Some(unit) = unit(number, pair) else { continue };
            let facts = unit.look(repo, to, limit).await?;
            let record = plan.record(pair, &read);
            plan.units.push(Look { unit, facts, record, in_the_way: BTreeSet::new() });
        }
        plan.surround();
        let deleted = plan.hand_over();
        plan.judge_blobs(repo, to).await?;
        plan.judge_units(repo, (to, limit), again, &deleted).await?;
        if from.is_none() && !again {
            plan.expect_empty();
        }
        plan.judge_places();
        Ok(plan)
    }

    fn record(&mut self, pair: &Pair, read: &BTreeMap<String, Vec<u8>>) -> Record {
        let manifest = |side: &Option<Side>| {
            let id = side.as_ref()?.manifest.as_ref()?;
            Some(read.get(id).map_or_else(|| Err("it is gone".into()), |it| Manifest::parse(it)))
        };
        let to = match manifest(&pair.to) {
            Some(Ok(manifest)) => manifest,
            Some(Err(why)) => {
                let name = shown(&pair.path);
                self.missing.push(format!("permissions and empty directories of `{name}`: {why}"));
                Manifest::new(BASE)
            }
            None => Manifest::new(BASE),
        };
        let from = manifest(&pair.from).and_then(Result::ok);
        let times = pair.to.as_ref().and_then(|it| read.get(it.times.as_ref()?));
        let times = times.map(|it| parse_times(it)).unwrap_or_default();
        Record { from, to, times, around: BTreeSet::new() }
    }

    /// Tells each unit which of its directories hold others.
    fn surround(&mut self) {
        let wanted = self.units.iter().filter(|it| it.unit.to.is_some());
        let blobs = self.blobs.iter().filter(|it| it.to.is_some());
        let paths: Vec<Vec<u8>> = wanted
            .map(|it| it.unit.path.clone())
            .chain(blobs.map(|it| it.path.clone()))
            .filter(|it| !it.is_empty())
            .collect();
        for path in paths {
            // The last unit that it is in is the innermost.
            let outer = self.units.iter_mut().rev().find_map(|look| {
                let inside = below(&path, &look.unit.path).filter(|_| look.unit.to.is_some())?;
                Some((look, inside))
            });
            if let Some((look, inside)) = outer {
                look.record.around.extend(ancestors(inside).map(<[u8]>::to_vec));
            }
        }
    }

    /// What one unit deletes is not there when another comes to the same place: a directory became
    /// a repository, or the other way round. Returns what each deletes.
    fn hand_over(&mut self) -> Vec<BTreeSet<Vec<u8>>> {
        let deletes = |look: &Look| -> BTreeSet<Vec<u8>> {
            let steps = look.facts.steps.iter().filter(|it| it.effect() == Effect::Delete);
            steps.map(|it| look.unit.full(&it.path)).collect()
        };
        let deleted: Vec<BTreeSet<Vec<u8>>> = self.units.iter().map(deletes).collect();
        for (at, look) in self.units.iter_mut().enumerate() {
            let others = || deleted.iter().enumerate().filter(move |it| it.0 != at);
            let goes = |unit: &Unit, path: &[u8]| {
                let path = unit.full(path);
                others().any(|(_, it)| it.contains(&path))
            };
            for step in look.facts.steps.iter().filter(|it| it.to_mode != 0) {
                if goes(&look.unit, &step.path) {
                    look.facts.differs.insert(step.path.clone(), false);
                }
            }
        }
        deleted
    }

    /// Tells whether git can try all units before anything is changed: none depends on another.
    pub fn can_be_tried(&self) -> bool {
        let from = self.units.iter().filter(|it| it.unit.from.is_some()).count();
        let to = self.units.iter().filter(|it| it.unit.to.is_some()).count();
        to == self.units.len() && (from == to || from == 0)
    }

    /// A file called `.git` must be as one of the states has it.
    async fn judge_blobs(&mut self, repo: &Repo, to: &HostPath) -> Result<(), CheckpointError> {
        for it in &self.blobs {
            let words = [b"", b"", to.as_str().as_bytes(), &it.path];
            let command = repo.command(&[DESCEND, WHAT].concat(), &words);
            let output = run(&*repo.shell, &command, super::LIMIT).await?;
            let is = repo.checked("look at a file", output)?.text();
            let known = [&it.from, &it.to].into_iter().flatten().any(|leaf| leaf.id == is);
            // A directory that was one before, and is emptied, makes room.
            let clears = |look: &Look| {
                look.unit.path == it.path && look.unit.to.is_none() && look.facts.others.is_empty()
            };
            let makes_room = is == "dir" && self.units.iter().any(clears);
            let other_is_tree = is == "dir" && it.to.is_none();
            let blocked = is == "blocked";
            if !(is.is_empty() || known || makes_room || other_is_tree || blocked) {
                self.in_the_way.insert(it.path.clone());
            }
        }
        Ok(())
    }

    async fn judge_units(
        &mut self,
        repo: &Repo,
        (to, limit): (&HostPath, Duration),
        again: bool,
        deleted: &[BTreeSet<Vec<u8>>],
    ) -> Result<(), CheckpointError> {
        // From within to without, since what is within may clear a place.
        for at in (0..self.units.len()).rev() {
            let accounted = self.accounted(at);
            let cleared = cleared(&self.units[at].unit.path, &accounted, (at, deleted));
            let look = &mut self.units[at];
            let open = look.facts.holding(&cleared);
            look.open(repo, &open, &cleared, (to, limit)).await?;
            let (mut found, open) = look.facts.judge(&accounted);
            if !open.is_empty() {
                look.open(repo, &open, &cleared, (to, limit)).await?;
                let (all, still_open) = look.facts.judge(&accounted);
                found = all.into_iter().chain(still_open).collect();
            }
            if again && !found.is_empty() {
                look.drop_partial(repo, &mut found, to, limit).await?;
            }
            look.in_the_way = found;
        }
        Ok(())
    }

    /// Returns the directories within a unit that will be gone: repositories that all is known of
    /// and that are not wanted.
    fn accounted(&self, at: usize) -> BTreeSet<Vec<u8>> {
        let outer = &self.units[at].unit.path;
        let starts = |path: &[u8], dir: &[u8]| {
            dir.is_empty() || path.strip_prefix(dir).is_some_and(|it| matches!(it, [] | [b'/', ..]))
        };
        let goes = |it: &Look| it.unit.to.is_none();
        // One that is only to come stands in the place of what goes.
        let passes = |it: &Look| goes(it) || it.unit.from.is_none();
        let whole = |dir: &[u8]| {
            let within = self.units.iter().filter(|it| starts(&it.unit.path, dir));
            within
                .into_iter()
                .all(|it| passes(it) && it.facts.others.is_empty() && it.in_the_way.is_empty())
                && !self.in_the_way.iter().any(|it| starts(it, dir))
        };
        let inner = self.units.iter().filter(|it| {
            goes(it) && it.unit.path.len() > outer.len() && starts(&it.unit.path, outer)
        });
        let inner = inner.filter(|it| whole(&it.unit.path));
        let skip = if outer.is_empty() { 0 } else { outer.len() + 1 };
        inner.map(|it| it.unit.path[skip..].to_vec()).collect()
    }

    fn expect_empty(&mut self) {
        for it in &self.units {
            self.in_the_way.extend(it.facts.others.iter().map(|other| it.unit.full(other)));
        }
    }

    /// Where a unit's directory shall be may only be what will be gone.
    fn judge_places(&mut self) {
        for it in &self.units {
            let Place::Blocked(path) = &it.facts.place else { continue };
            let goes = |look: &Look| {
                let step = look.facts.steps.iter().find(|step| look.unit.full(&step.path) == *path);
                step.is_some_and(|step| step.effect() == Effect::Delete)
            };
            let is_blob = self.blobs.iter().any(|it| it.path == *path && it.from.is_some());
            if it.unit.to.is_some() && !is_blob && !self.units.iter().any(goes) {
                self.in_the_way.insert(path.clone());
            }
        }
    }

    /// Tells whether a file stays that the checkpoint does not have, since it left it out.
    pub fn stays(&self, path: &[u8]) -> bool {
        self.meta.left_out.iter().any(|it| it.path == path)
    }

    pub fn changes(&self) -> Changes {
        let mut changes = Changes::default();
        for look in &self.units {
            for step in &look.facts.steps {
                let path = look.unit.full(&step.path);
                let stays = step.effect() == Effect::Delete && self.stays(&path);
                if !stays && !look.facts.is_done(step) {
                    changes.count += 1;
                    if changes.files.len() < LIST_MAX {
                        changes.files.push((path, step.effect()));
                    }
                }
            }
        }
        let mut in_the_way = self.in_the_way.clone();
        for look in &self.units {
            in_the_way.extend(look.in_the_way.iter().map(|it| look.unit.full(it)));
        }
        changes.in_the_way = in_the_way.into_iter().take(LIST_MAX).collect();
        changes
    }

    /// Returns the umask for directories that are made on the way.
    pub fn mask(&self) -> u32 {
        self.units.first().map_or(0o022, |it| it.record.mask())
    }

    /// Returns what must be done so that files in closed directories can be changed.
    pub fn opening(&self) -> Deeds {
        let mut deeds = Vec::new();
        for look in self.units.iter().filter(|it| it.facts.place == Place::Here) {
            let from = look.record.from.iter().flat_map(|it| &it.dirs);
            let closed = from.filter(|(_, mode)| **mode & 0o700 != 0o700);
            deeds.extend(closed.map(|(path, _)| (Deed::Open, join(&look.unit.path, path))));
        }
        Deeds(deeds)
    }

    /// Returns the directories to remove if nothing is in them.
    pub fn removing(&self) -> Deeds {
        let mut kept = BTreeSet::from([Vec::new()]);
        let mut gone = BTreeSet::new();
        let add = |set: &mut BTreeSet<Vec<u8>>, path: &[u8]| {
            set.insert(path.to_vec());
            set.extend(ancestors(path).map(<[u8]>::to_vec));
        };
        for look in &self.units {
            let path = &look.unit.path;
            if look.unit.to.is_some() {
                add(&mut kept, path);
                for dir in look.record.dirs(&look.facts.entries) {
                    kept.insert(join(path, dir));
                }
            } else {
                add(&mut gone, path);
            }
            for dir in look.record.from.iter().flat_map(|it| &it.empty) {
                add(&mut gone, &join(path, dir));
            }
        }
        for blob in self.blobs.iter().filter(|it| it.to.is_some()) {
            add(&mut kept, &blob.path);
        }
        let gone = gone.into_iter().rev().filter(|it| !kept.contains(it));
        Deeds(gone.map(|it| (Deed::Remove, it)).collect())
    }

    /// Returns what is to be done when all files are there: innermost first, since a directory may
    /// be closed by it.
    pub fn deeds(&self) -> Deeds {
        let wanted = self.units.iter().rev().filter(|it| it.unit.to.is_some());
        let all = wanted.flat_map(|it| it.record.deeds(&it.unit.path, &it.facts).0);
        Deeds(all.collect())
    }

    pub fn times(&self) -> Vec<(Vec<u8>, Time)> {
        self.units.iter().flat_map(|it| it.record.times(&it.unit.path, &it.facts)).collect()
    }
}

impl Look {
    /// Replaces directories by what is in them, and forgets what will be `cleared` away.
    async fn open(
        &mut self,
        repo: &Repo,
        dirs: &[Vec<u8>],
        cleared: &BTreeSet<Vec<u8>>,
        (to, limit): (&HostPath, Duration),
    ) -> Result<(), CheckpointError> {
        if !dirs.is_empty() {
            let inside = self.unit.inside(repo, dirs, to, limit).await?;
            self.facts.others.retain(|it| !dirs.contains(it));
            self.facts.others.extend(inside);
        }
        self.facts.others.retain(|it| !cleared.contains(it.strip_suffix(b"/").unwrap_or(it)));
        Ok(())
    }

    /// Clears away what an earlier attempt left half written.
    async fn drop_partial(
        &mut self,
        repo: &Repo,
        found: &mut BTreeSet<Vec<u8>>,
        to: &HostPath,
        limit: Duration,
    ) -> Result<(), CheckpointError> {
        for path in found.clone() {
            let step = self.facts.steps.iter().find(|it| it.path == path);
            let Some(step) = step.filter(|it| it.to_mode & 0o170_000 == 0o100_000) else {
                continue;
            };
            let what = (&path[..], step.to_id.as_str());
            if self.unit.drop_partial(repo, what, to, limit).await? {
                found.remove(&path);
                self.facts.differs.insert(path.clone(), false);
                self.facts.others.retain(|it| *it != path);
            }
        }
        Ok(())
    }
}

/// Returns what in the unit at `dir`, whose number is `at`, others will have taken away by then: the
/// files that they delete, and whole directories.
fn cleared(
    dir: &[u8],
    accounted: &BTreeSet<Vec<u8>>,
    (at, deleted): (usize, &[BTreeSet<Vec<u8>>]),
) -> BTreeSet<Vec<u8>> {
    let others = deleted.iter().enumerate().filter(|it| it.0 != at).flat_map(|it| it.1);
    let files = others.filter_map(|it| below(it, dir)).map(<[u8]>::to_vec);
    files.chain(accounted.iter().cloned()).collect()
}

/// Returns `path` as seen from `dir`, if it is in it.
fn below<'a>(path: &'a [u8], dir: &[u8]) -> Option<&'a [u8]> {
    match dir {
        [] => Some(path),
        dir => path.strip_prefix(dir)?.strip_prefix(b"/"),
    }
}

fn unit(number: usize, pair: &Pair) -> Option<Unit> {
    let tree = |side: &Option<Side>| side.as_ref()?.part.tree().map(str::to_owned);
    let (from, to) = (tree(&pair.from), tree(&pair.to));
    let own = pair.from.as_ref().or(pair.to.as_ref())?.number;
    (from.is_some() || to.is_some()).then(|| Unit {
        path: pair.path.clone(),
        number,
        own,
        from,
        to,
    })
}

fn blob(pair: &Pair) -> Option<Blob> {
    let leaf = |side: &Option<Side>| match &side.as_ref()?.part {
        Part::Blob { id, link } => Some(Leaf { id: id.clone(), link: *link }),
        Part::Tree(_) => None,
    };
    let (from, to) = (leaf(&pair.from), leaf(&pair.to));
    (from.is_some() || to.is_some()).then(|| Blob { path: pair.path.clone(), from, to })
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
