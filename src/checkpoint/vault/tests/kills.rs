//! Killed at any moment, over and over: what was there before stays whole, and the next works.
//!
//! What is killed is this test program itself, started once more to do one thing; with the
//! commands that it started, or without them, so that they go on for as long as they will.

use std::{collections::BTreeMap, env, path::Path, str::FromStr};

use tokio::io::AsyncReadExt;

use super::{
    full::order,
    world::{Saved, World},
    *,
};
use crate::{checkpoint::shadow::Saved as Outcome, shell::Process};

/// How many rounds there are unless `PARHELIA_ROUNDS` says otherwise.
const ROUNDS: u32 = 18;

/// How many checkpoints are kept.
const KEPT: usize = 5;

/// Tells the program what to do, for the rest see [`the_one_that_is_killed`].
const STEP: &str = "PARHELIA_KILLED_STEP";
const ROOT: &str = "PARHELIA_KILLED_ROOT";
const TASK: &str = "PARHELIA_KILLED_TASK";
const ID: &str = "PARHELIA_KILLED_ID";
const COMMIT: &str = "PARHELIA_KILLED_COMMIT";
const FROM: &str = "PARHELIA_KILLED_FROM";

/// Says its process id and becomes the program.
const BECOME: &str = "echo $$; exec \"$@\" >/dev/null 2>&1";

/// Kills every process that has `$1` in its arguments or works below it, or was started by one that
/// was told to work there, until there is none; or waits for it, if `$2` says so. One that is just
/// becoming another program shows nothing of all that, so there must be none twice.
const END_THOSE_OF: &str = "none=0
    while [ $none -lt 2 ]; do
        none=$((none + 1))
        for dir in /proc/[0-9]*; do
            pid=${dir#/proc/}
            [ \"$pid\" != \"$$\" ] || continue
            case $(readlink \"$dir/cwd\") in \"$1\"*) ;; *)
                tr '\\0' ' ' <\"$dir/cmdline\" 2>/dev/null | grep -qF -- \"$1\" ||
                    tr '\\0' '\\n' <\"$dir/environ\" 2>/dev/null |
                    grep -qxF -- \"PARHELIA_KILLED_ROOT=${1%/}\" || continue ;;
            esac
            case $2 in
            wait) tail --pid=\"$pid\" -s 0.01 -f /dev/null ;;
            *) kill -9 \"$pid\" 2>/dev/null ;;
            esac && none=0
        done
    done";

/// Changes about everything in the workspace that a number can.
const ALTER: &str = "cd ws; rm -rf alt; mkdir -p alt/$(($1 % 3)) alt/void$(($1 % 5))
    seq $1 9000 >alt/$(($1 % 3))/a; seq $1 60 >alt/b; echo $1 >alt/c$1; ln -s $1 alt/link
    chmod $((640 + $1 % 5)) alt/b; chmod 7$(($1 % 6))0 alt/$(($1 % 3))
    if [ $(($1 % 2)) = 0 ]; then echo $1 >alt/kind; else mkdir alt/kind; echo $1 >alt/kind/of; fi
    seq $1 4000 >seq1; chmod $((644 + $1 % 2 * 111)) seq2";

/// Says what is different in the directories `$1` and `$2`.
const COMPARE: &str = "for dir; do
        (cd $dir; find . -name .git -prune -o -printf '%p %y %m %l\\n' | sort) >$dir.list
    done
    diff $1.list $2.list; diff -r --no-dereference --exclude=.git $1 $2";

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    Save,
    Receive,
    Send,
    Collect,
    /// Restoring into a directory that is not there.
    Restore,
    /// Restoring into the workspace.
    Revert,
}

const STEPS: [Step; 6] =
    [Step::Save, Step::Receive, Step::Send, Step::Collect, Step::Restore, Step::Revert];

/// A world where things are begun by another process, and what must be whole in it.
pub struct Driven<'a> {
    world: &'a World,
    chance: u64,
    /// How long a step takes that is not killed.
    takes: BTreeMap<Step, Duration>,
    /// In the shadow.
    pub saved: Vec<Saved>,
    /// In the vault.
    pub received: Vec<Saved>,
    edits: u32,
}

impl Driven<'_> {
    pub async fn new(world: &World) -> Driven<'_> {
        let mut seed = [0; 8];
        getrandom::fill(&mut seed).unwrap();
        // A repository that the engine knows as the user's.
        world
            .run(
                "echo \"gitdir: $PWD/user.git\" >ws/.git && git -C user.git config core.bare false",
            )
            .await;
        let mut driven = Driven {
            world,
            chance: u64::from_le_bytes(seed),
            takes: BTreeMap::new(),
            saved: Vec::new(),
            received: Vec::new(),
            edits: 0,
        };
        for step in STEPS {
            driven.begin(step).await;
        }
        driven
    }

    /// Does a step to its end and remembers how long that takes.
    async fn begin(&mut self, step: Step) {
        let start = tokio::time::Instant::now();
        self.drive(step, None, false).await;
        self.takes.insert(step, start.elapsed());
    }

    /// Begins a step and kills it at some moment; with its commands, if `all`.
    pub async fn begin_and_kill(&mut self, step: Step, all: bool) {
        let takes = self.takes[&step];
        let after = takes.mul_f64(1.1 * self.random(1000) as f64 / 1000.0);
        self.drive(step, Some(after), all).await;
    }

    fn random(&mut self, below: u32) -> u32 {
        self.chance = self.chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        u32::try_from(self.chance >> 33).unwrap() % below
    }

    async fn drive(&mut self, step: Step, after: Option<Duration>, all: bool) {
        let world = self.world;
        let it = match step {
            Step::Save => {
                self.alter().await;
                Saved { id: CheckpointId::random(), commit: String::new() }
            }
            Step::Receive if after.is_some() => self.make().await,
            Step::Receive | Step::Send | Step::Collect => self.saved.last().unwrap().clone(),
            Step::Restore | Step::Revert => {
                world.run("rm -rf elsewhere").await;
                self.make().await;
                let others = u32::try_from(self.saved.len() - 1).unwrap();
                let which = usize::try_from(self.random(others)).unwrap();
                self.saved[which].clone()
            }
        };
        if step == Step::Save {
            world.run_with("mkdir -p was && cp -a ws was/$1", &[it.id.as_str()]).await;
        }
        let finished = self.run_and_kill(step, &it, after, all).await;
        match step {
            Step::Save => {
                let reference = format!("refs/checkpoints/{}", it.id);
                let args = ["-q", "--verify", &reference];
                let script = "git --git-dir=run/shadow.git rev-parse \"$@\"";
                let output = world.try_with(script, &args).await;
                assert!(output.code == 0 || !finished, "{}", output.complaint());
                if output.code == 0 {
                    self.saved.push(Saved { commit: output.text(), ..it });
                }
            }
            Step::Receive if finished => self.received.push(it),
            Step::Restore | Step::Revert => self.restored(step, &it, finished, all).await,
            Step::Receive | Step::Send | Step::Collect => (),
        }
    }

    /// Finds the directory as the checkpoint is, at once or when it is restored again.
    async fn restored(&self, step: Step, it: &Saved, finished: bool, all: bool) {
        let (world, from) = (self.world, self.saved.last().unwrap());
        let (from, name) = match step {
            Step::Revert => (Some(from), "ws"),
            _ => (None, "elsewhere"),
        };
        if !finished {
            if let Some(from) = from {
                world.check_in("run/shadow.git", from).await;
            }
            if !all {
                // Two at a time are not for one directory.
                self.end("wait").await;
            }
            let from = from.map(|it| it.commit.as_str());
            let again = world.shadow.restore(from, &it.commit, &world.path(name), LIMIT).await;
            assert_eq!(again.unwrap().missing, [""; 0], "{step:?}");
        }
        let different = world.try_with(COMPARE, &[name, &format!("was/{}", it.id)]).await;
        assert_eq!(different.text(), "", "{step:?} {}", different.complaint());
    }

    /// Ends what works in this world, or waits for its end.
    async fn end(&self, how: &str) {
        let root = format!("{}/", self.world.root.display());
        self.world.try_from_outside(END_THOSE_OF, &[&root, how]).await;
    }

    async fn alter(&mut self) {
        self.edits += 1;
        self.world.run_with(ALTER, &[&self.edits.to_string()]).await;
    }

    /// Makes a checkpoint that nobody kills.
    async fn make(&mut self) -> Saved {
        self.alter().await;
        let id = CheckpointId::random();
        let made = self.world.shadow.save(&order(self.world, &id)).await.unwrap();
        let Outcome::Made(made) = made else { panic!("nothing was made") };
        self.world.run_with("mkdir -p was && cp -a ws was/$1", &[id.as_str()]).await;
        let it = Saved { id, commit: made.commit };
        self.saved.push(it.clone());
        it
    }

    /// Returns whether the step came to its end.
    async fn run_and_kill(
        &self,
        step: Step,
        it: &Saved,
        after: Option<Duration>,
        all: bool,
    ) -> bool {
        let program = env::current_exe().unwrap();
        let mut command = Command::new(["sh", "-c", BECOME, "sh", program.to_str().unwrap()])
            .env(STEP, &format!("{step:?}"))
            .env(ROOT, self.world.root.to_str().unwrap())
            .env(TASK, self.world.task.as_str())
            .env(ID, it.id.as_str())
            .env(COMMIT, &it.commit)
            .env(FROM, self.saved.last().map_or("", |it| &it.commit));
        let name = "checkpoint::vault::tests::kills::the_one_that_is_killed";
        for arg in ["--exact", name, "--nocapture"] {
            command = command.arg(arg);
        }
        let Process { mut stdout, exit, .. } = self.world.shell.exec(&command).await.unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"\n") {
            said.push(stdout.read_u8().await.unwrap());
        }
        let pid = String::from_utf8(said).unwrap().trim().to_owned();
        let mut exit = exit;
        match tokio::time::timeout(after.unwrap_or(LIMIT), &mut exit).await {
            Ok(exit) => {
                assert_eq!(exit.unwrap().code, 0, "{step:?}");
                true
            }
            Err(_) => {
                self.world.run_with("kill -9 \"$1\"", &[&pid]).await;
                exit.await.unwrap();
                if all {
                    self.end("kill").await;
                }
                false
            }
        }
    }

    /// Finds everything whole, and forgets the oldest.
    async fn check(&mut self) {
        let world = self.world;
        for it in self.saved.iter().rev().take(2) {
            world.check_in("run/shadow.git", it).await;
        }
        let received: Vec<&Saved> = self.received.iter().collect();
        world.check(&received).await;
        while KEPT < self.received.len() {
            world.vault.forget(&world.task, &self.received.remove(0).id).await.unwrap();
        }
        while KEPT < self.saved.len() {
            world.shadow.forget(self.saved.remove(0).id.as_str()).await.unwrap();
        }
    }
}

#[tokio::test]
async fn whoever_is_killed_hurts_nothing_that_is_there() {
    let rounds = env::var("PARHELIA_ROUNDS").ok().and_then(|it| it.parse().ok()).unwrap_or(ROUNDS);
    let world = World::new().await;
    let mut driven = Driven::new(&world).await;
    for round in 0..rounds {
        let step = STEPS[usize::try_from(round).unwrap() % STEPS.len()];
        let all = driven.random(2) == 0;
        driven.begin_and_kill(step, all).await;
        driven.check().await;
        // The next works at once, whatever the dead left, or whoever still runs.
        let it = driven.make().await;
        world.receive(&it, driven.random(2) == 0).await.unwrap();
        driven.received.push(it);
    }
    world.vault.collect(LIMIT).await.unwrap();
    driven.check().await;
    let left = world.run("find vault.git -name '*tmp*' -o -name '*.lock' -o -name '*.new*'").await;
    assert_eq!(left, "");
}

/// Does one thing, if it is told to; it is no test by itself.
#[tokio::test]
async fn the_one_that_is_killed() {
    let Ok(step) = env::var(STEP) else { return };
    let told = |name| env::var(name).unwrap();
    let world = World::again(Path::new(&told(ROOT)), TaskId::from_str(&told(TASK)).unwrap());
    let it = Saved { id: CheckpointId::from_str(&told(ID)).unwrap(), commit: told(COMMIT) };
    match step.as_str() {
        "Save" => drop(world.shadow.save(&order(&world, &it.id)).await.unwrap()),
        "Receive" => drop(world.receive(&it, true).await.unwrap()),
        "Send" => {
            let other = Shadow::new(world.shell.clone(), &world.path("other"));
            world.run("rm -rf other; mkdir other").await;
            world.vault.send(&other, &it.id, &it.commit, false, LIMIT).await.unwrap();
        }
        "Restore" => {
            let to = world.path("elsewhere");
            world.shadow.restore(None, &it.commit, &to, LIMIT).await.unwrap();
        }
        "Revert" => {
            let to = world.path("ws");
            world.shadow.restore(Some(&told(FROM)), &it.commit, &to, LIMIT).await.unwrap();
        }
        _ => drop(world.vault.collect(LIMIT).await.unwrap()),
    }
}
