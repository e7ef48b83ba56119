//! Carrying a plan out.

use std::{collections::BTreeSet, time::Duration};

use crate::{
    checkpoint::{
        CheckpointError,
        repo::Repo,
        restore::{
            in_the_way,
            judge::{Is, Leaf, Step, below},
            modes,
            plan::{Plan, known},
            shown,
            unit::{At, CHANGED, Going, Gone, info},
        },
    },
    domain::ids::HostPath,
};

/// How many files that change while they are replaced are passed over, a unit.
const PASSED_OVER_MAX: usize = 20;

/// What to do in a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Take away what goes, or is of another unit afterwards.
    Clear,
    /// Write what comes.
    Fill,
    /// Both at once, where it is the only one.
    Whole,
}

/// A plan that is being carried out.
pub(super) struct Work<'a> {
    repo: &'a Repo,
    plan: &'a Plan,
    to: &'a HostPath,
    limit: Duration,
    missing: Vec<String>,
    /// Files that changed meanwhile, and are left as they are.
    left: BTreeSet<Vec<u8>>,
    /// Whether anything was changed.
    touched: bool,
}

impl<'a> Work<'a> {
    pub fn new(repo: &'a Repo, plan: &'a Plan, to: &'a HostPath, limit: Duration) -> Work<'a> {
        let (missing, left) = (plan.missing.clone(), BTreeSet::new());
        Work { repo, plan, to, limit, missing, left, touched: false }
    }

    fn at<'b>(&'b self, unit: &'b [u8]) -> At<'b> {
        At { repo: self.repo, to: self.to, limit: self.limit, unit }
    }

    /// Changes the directory. Returns what could not be brought back.
    pub async fn carry_out(mut self) -> Result<Vec<String>, CheckpointError> {
        let (repo, to, limit, plan) = (self.repo, self.to, self.limit, self.plan);
        let mask = plan.to.mask();
        if plan.absent {
            self.at(b"").make(mask).await?;
        }
        plan.opening().carry_out(repo, to, mask, limit).await.ok();
        let done = self.files().await;
        if !self.touched && done.is_err() {
            // What was opened is closed again.
            plan.closing().carry_out(repo, to, mask, limit).await.ok();
        }
        done?;
        plan.removing().carry_out(repo, to, mask, limit).await?;
        let failed = plan.deeds(&self.left).carry_out(repo, to, mask, limit).await?;
        self.missing.extend(failed.iter().map(|it| format!("{}: its permissions", shown(it))));
        let mut times = plan.times();
        times.retain(|it| !self.left.contains(&it.0));
        modes::set_times(repo, to, &times, limit).await?;
        Ok(self.missing)
    }

    /// Brings all files into line.
    async fn files(&mut self) -> Result<(), CheckpointError> {
        let plan = self.plan;
        let steps = || plan.steps.iter().filter(|it| !it.1.is_done());
        let leaves = steps().flat_map(|it| [&it.1.from, &it.1.to]).flatten();
        let roots: BTreeSet<usize> = leaves.map(|it| it.root).collect();
        let whole = roots.len() == 1 && !steps().any(|it| self.is_alone(it.0, it.1));
        if whole {
            for at in roots {
                self.go(at, Part::Whole).await?;
            }
            return Ok(());
        }
        // What one takes away may make room for what is another's.
        for at in roots.iter().rev() {
            self.go(*at, Part::Clear).await?;
        }
        for (path, step) in steps().filter(|it| self.plan.steps[it.0].to.is_none()) {
            if self.is_alone(path, step) {
                self.put(path, step).await?;
            }
        }
        let removing = plan.removing();
        removing.carry_out(self.repo, self.to, plan.to.mask(), self.limit).await?;
        for at in &roots {
            self.go(*at, Part::Fill).await?;
        }
        for (path, step) in steps().filter(|it| it.1.to.is_some()) {
            if self.is_alone(path, step) {
                self.put(path, step).await?;
            }
        }
        Ok(())
    }

    /// Tells whether a file is called `.git`, so that git is not told of it.
    fn is_alone(&self, path: &[u8], step: &Step) -> bool {
        let leaf = step.to.as_ref().or(step.from.as_ref());
        leaf.is_some_and(|it| self.plan.roots[it.root].pair.path == path)
    }

    /// Brings a unit into line. What the checkpoint lacks, and what has changed since it was looked
    /// at, is noted; unless nothing was touched yet, so that it can be refused.
    async fn go(&mut self, at: usize, part: Part) -> Result<(), CheckpointError> {
        for _ in 0..=PASSED_OVER_MAX {
            let Some(going) = self.going(at, part) else { return Ok(()) };
            let unit = &self.plan.roots[at].pair.path;
            let gone = self.at(unit).go(&format!("restore-{at}.go"), going).await?;
            let Some(refused) = gone.refused() else {
                self.touched = true;
                return self.lost(at, gone);
            };
            let whole = super::unit::join(unit, &refused);
            let within = |it: &&Vec<u8>| **it == whole || below(it, &whole).is_some();
            let left: Vec<_> = self.plan.steps.keys().filter(within).cloned().collect();
            if !self.touched || left.is_empty() {
                return Err(in_the_way(&[whole]));
            }
            self.leave(left);
        }
        self.missing.push(format!("{}: it keeps changing", shown(&self.plan.roots[at].pair.path)));
        Ok(())
    }

    fn leave(&mut self, paths: Vec<Vec<u8>>) {
        let say = |it: &Vec<u8>| format!("{}: it changed meanwhile, and was left alone", shown(it));
        self.missing.extend(paths.iter().map(say));
        self.left.extend(paths);
    }

    /// Returns what is to be done in a unit; nothing if there is nothing to do.
    fn going(&self, at: usize, part: Part) -> Option<Going> {
        let root = &self.plan.roots[at];
        let unit = &root.pair.path;
        let zero = "0".repeat(40);
        let (mut stays, mut told) = (Vec::new(), Vec::new());
        let (mut any, mut count) = (false, 0);
        for (path, step) in &self.plan.steps {
            let Some(inside) = below(path, unit).filter(|it| !it.is_empty()) else { continue };
            let of = |it: &'a Option<Leaf>| it.as_ref().filter(|it| it.root == at);
            let open = !step.is_done() && !self.left.contains(path);
            let goes = open && step.is == Is::From;
            let goes = goes
                && match part {
                    Part::Whole => true,
                    Part::Clear => step.to.is_none() || step.moves(),
                    Part::Fill => step.to.is_some() && !step.moves(),
                };
            if of(&step.from).is_some() {
                any |= goes;
                if !goes {
                    stays.extend(info(inside, (0, &zero)));
                }
            }
            if let Some(to) = of(&step.to).filter(|_| open && part != Part::Clear) {
                any = true;
                count += 1;
                told.extend(info(inside, (to.mode, &to.id)));
            }
        }
        let all = count == root.entries.len() && root.pair.from.is_none();
        let tree = root.tree().filter(|_| all && part != Part::Clear).unwrap_or_default();
        let (tree, known) = (tree.to_owned(), known(at));
        any.then(|| Going { known, stays, told, tree, mask: self.plan.to.mask() })
    }

    /// Notes which files could not be written since the checkpoint lacks them.
    fn lost(&mut self, at: usize, gone: Gone) -> Result<(), CheckpointError> {
        if gone.output.code == 0 {
            return Ok(());
        }
        let ids = gone.unreadable().unwrap_or_default();
        let lost = self.plan.steps.iter().filter(|(_, step)| {
            step.to.as_ref().is_some_and(|it| it.root == at && ids.contains(&it.id))
        });
        let say = |path: &Vec<u8>| format!("{}: the checkpoint's copy is damaged", shown(path));
        let lost: Vec<String> = lost.map(|it| say(it.0)).collect();
        if lost.is_empty() {
            return self.repo.checked("write the files", gone.output).map(drop);
        }
        self.missing.extend(lost);
        Ok(())
    }

    /// Puts what is called `.git` and is no directory in its place, or takes it away.
    async fn put(&mut self, path: &[u8], step: &Step) -> Result<(), CheckpointError> {
        let output = self.at(path).put(step.from.as_ref(), step.to.as_ref()).await?;
        match output.code {
            CHANGED if self.touched => self.leave(vec![path.to_vec()]),
            CHANGED => return Err(in_the_way(&[path.to_vec()])),
            0 => self.touched = true,
            _ if !self.touched => drop(self.repo.checked("write the files", output)?),
            _ => self.missing.push(format!("{}: {}", shown(path), output.complaint())),
        }
        Ok(())
    }
}
