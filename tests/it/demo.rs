//! The demo: every state without Claude, answers that arrive, and nothing left behind.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead, BufReader},
    os::unix::fs::{PermissionsExt, symlink},
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{
    leftovers,
    sandbox::{Ran, Sandbox, run},
    wait::{PATIENCE, wait_or_explain, wait_until},
};

/// What has to be seen, by state or, for what runs, by activity.
const EVERY_STATE: [&str; 10] = [
    "COMPLETED",
    "DISPATCH_FAILED",
    "FAILED",
    "KILLED",
    "PARKED",
    "PENDING",
    "idle",
    "needs-input",
    "needs-permission",
    "working",
];

/// A demo without a dashboard. Dropping it kills it; what it leaves goes with the sandbox.
struct Demo<'a> {
    sandbox: &'a Sandbox,
    child: Child,
    env: BTreeMap<String, String>,
}

impl<'a> Demo<'a> {
    fn start(sandbox: &'a Sandbox, more: &[&str]) -> Demo<'a> {
        let mut command = sandbox.parhelia(&["demo", "--headless", "--json"]);
        let mut child = command.args(more).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|it| panic!("{it}: `{line}`"));
        let text = |it: &Value| it.as_str().unwrap().to_owned();
        let env = said["env"].as_object().unwrap();
        let env = env.iter().map(|(name, value)| (name.clone(), text(value))).collect();
        Demo { sandbox, child, env }
    }

    fn dir(&self) -> PathBuf {
        Path::new(&self.env["PARHELIA_STATE_DIR"]).parent().unwrap().to_owned()
    }

    fn run(&self, args: &[&str]) -> Ran {
        let mut command = self.sandbox.parhelia(args);
        command.envs(&self.env);
        run(command)
    }

    fn tasks(&self) -> Vec<Value> {
        let ran = self.run(&["list", "--all", "--json"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
        let list: Value = serde_json::from_str(&ran.stdout).unwrap();
        list["tasks"].as_array().unwrap().clone()
    }

    fn task(&self, name: &str) -> Value {
        let tasks = self.tasks();
        tasks.into_iter().find(|it| it["name"] == name).unwrap_or_else(|| panic!("no {name}"))
    }

    fn id(&self, name: &str) -> String {
        self.task(name)["id"].as_str().unwrap().to_owned()
    }

    fn wait_task(&self, name: &str, what: &str, holds: impl Fn(&Value) -> bool) {
        let look = || holds(&self.task(name)).then_some(());
        wait_or_explain(&format!("{name} {what}"), PATIENCE, look, || {
            format!("{:#}\n{}", self.task(name), self.run(&["logs", &self.id(name)]).stdout)
        });
    }

    fn states(&self) -> BTreeSet<String> {
        let word = |task: &Value| {
            let key = if task["state"] == "RUNNING" { "activity" } else { "state" };
            task[key].as_str().unwrap_or_default().to_owned()
        };
        self.tasks().iter().map(word).collect()
    }

    fn wait_for_every_state(&self) {
        let wanted: BTreeSet<String> = EVERY_STATE.map(str::to_owned).into();
        let look = || self.states().is_superset(&wanted).then_some(());
        wait_or_explain("every state", PATIENCE, look, || format!("{:?}", self.states()));
    }

    fn signal(&mut self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
        wait_until("the demo to end", PATIENCE, || self.child.try_wait().unwrap()).code()
    }
}

impl Drop for Demo<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A machine without Claude.
fn sandbox() -> Sandbox {
    let mut sandbox = Sandbox::new();
    let temporary = sandbox.root().join("t");
    fs::create_dir(&temporary).unwrap();
    sandbox.set("TMPDIR", temporary.to_str().unwrap());
    sandbox.set("PATH", "/usr/local/bin:/usr/bin:/bin");
    fs::remove_file(sandbox.root().join("bin/claude")).unwrap();
    sandbox
}

fn nothing_left(dir: &Path) {
    wait_or_explain(
        "nothing of the demo to be left",
        PATIENCE,
        || (!dir.exists() && leftovers::those_of(dir).is_empty()).then_some(()),
        || format!("{} {:?}", dir.exists(), leftovers::those_of(dir)),
    );
}

#[test]
fn every_state_is_there_and_answers_arrive() {
    let sandbox = sandbox();
    let before = files(&sandbox.home());
    let mut demo = Demo::start(&sandbox, &[]);
    demo.wait_for_every_state();
    let cost = |demo: &Demo<'_>| -> f64 {
        demo.tasks().iter().map(|it| it["cost_usd"].as_f64().unwrap()).sum()
    };
    // A state may be known before its cost is.
    wait_or_explain(
        "spending of 12 to 14 dollars, below the warning of the demo's budget",
        PATIENCE,
        || (12.0..14.0).contains(&cost(&demo)).then_some(()),
        || cost(&demo).to_string(),
    );
    let spent = cost(&demo);

    let is_ok = |ran: Ran| {
        assert!(ran.code == Some(0) && ran.stdout.starts_with("submitted"), "{ran:?}");
    };
    demo.wait_task("fix-auth-race", "asks", |it| it["activity"] == "needs-permission");
    let workspace = demo.task("fix-auth-race")["workspace"].as_str().unwrap().to_owned();
    let build = Path::new(&workspace).join("build");
    assert!(build.exists());
    let said = "and now\na \"second\" prompt, \u{fc} too";
    let denied = ["session", "answer", &demo.id("sql-indexes"), "no", "-m", "name them first"];
    is_ok(demo.run(&["session", "answer", &demo.id("fix-auth-race"), "yes"]));
    is_ok(demo.run(&["session", "answer", &demo.id("docs-rewrite"), "Keep it"]));
    is_ok(demo.run(&["session", "prompt", &demo.id("review-pr-812"), said]));
    is_ok(demo.run(&["session", "interrupt", &demo.id("port-to-axum")]));
    is_ok(demo.run(&denied));

    demo.wait_task("port-to-axum", "is interrupted", |it| it["activity"] == "idle");
    demo.wait_task("sql-indexes", "asks again", |it| it["activity"] == "needs-permission");
    demo.wait_task("docs-rewrite", "goes on to its end", |it| {
        it["state"] == "COMPLETED" && it["lines_added"] == 1 && it["lines_removed"] == 0
    });
    demo.wait_task("fix-auth-race", "goes on to its end", |it| it["state"] == "COMPLETED");
    assert!(!build.exists(), "what was allowed was done");
    demo.wait_task("review-pr-812", "does it", |it| {
        it["activity"] == "idle" && it["lines_added"] == 2
    });
    // Places became free.
    demo.wait_task("fuzz-lexer", "starts", |it| it["activity"] == "working");
    assert!(spent < cost(&demo), "costs grow");

    let dir = demo.dir();
    demo.signal(Signal::TERM);
    nothing_left(&dir);
    assert_eq!(files(&sandbox.home()), before, "nothing of the person's was written");
}

#[test]
fn a_dialog_can_be_answered_by_a_key() {
    let sandbox = sandbox();
    let mut demo = Demo::start(&sandbox, &[]);
    demo.wait_for_every_state();
    let key = |name: &str, key: &str| {
        let sockets = fs::read_dir(&demo.env["TMUX_TMPDIR"]).unwrap().flatten();
        let socket = sockets.flat_map(|it| fs::read_dir(it.path()).unwrap().flatten()).next();
        let mut tmux = sandbox.command("tmux");
        tmux.arg("-S").arg(socket.unwrap().path());
        tmux.args(["send-keys", "-t", &format!("ph-{}", demo.id(name)), "--", key]);
        let ran = run(tmux);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    };
    demo.wait_task("fix-auth-race", "asks", |it| it["activity"] == "needs-permission");
    key("fix-auth-race", "3");
    demo.wait_task("fix-auth-race", "waits for other orders", |it| it["activity"] == "idle");
    key("docs-rewrite", "3");
    demo.wait_task("docs-rewrite", "goes on to its end", |it| {
        it["state"] == "COMPLETED" && it["lines_removed"] == 3
    });
    key("sql-indexes", "1");
    demo.wait_task("sql-indexes", "is at work", |it| it["activity"] == "working");
    let dir = demo.dir();
    assert_eq!(demo.signal(Signal::INT), Some(0));
    nothing_left(&dir);
}

#[test]
fn a_crashed_demo_is_cleared_away_and_a_kept_one_is_not() {
    let sandbox = sandbox();
    let mut crashed = Demo::start(&sandbox, &[]);
    crashed.wait_for_every_state();
    crashed.signal(Signal::KILL);
    let mut kept = Demo::start(&sandbox, &["--keep"]);
    nothing_left(&crashed.dir());
    kept.signal(Signal::TERM);
    let mut third = Demo::start(&sandbox, &[]);
    assert!(third.dir().exists() && kept.dir().exists());
    assert!(!kept.tasks().is_empty());
    let own = run(sandbox.command(kept.dir().join("parhelia")));
    assert_eq!(own.code, Some(0), "{own:?}");
    let ran = sandbox.run(&["demo", "--end", third.dir().to_str().unwrap()]);
    assert!(ran.code == Some(2) && third.dir().exists(), "{ran:?}");
    third.signal(Signal::HUP);
    nothing_left(&third.dir());

    let dir = kept.dir();
    let ran = sandbox.run(&["demo", "--end", dir.to_str().unwrap()]);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    nothing_left(&dir);
    let ran = sandbox.run(&["demo", "--end", sandbox.root().to_str().unwrap()]);
    assert_eq!(ran.code, Some(2), "{ran:?}");
    assert!(sandbox.root().exists());
}

#[test]
fn what_is_missing_is_said_or_installed_by_the_system_s_own_means() {
    let mut sandbox = sandbox();
    let bin = sandbox.root().join("bare");
    fs::create_dir(&bin).unwrap();
    symlink("/usr/bin/env", bin.join("env")).unwrap();
    // Where sudo would have to be asked, it is the one that passes the command on.
    let log = sandbox.root().join("installed");
    let script = |name: &str, text: String| {
        let path = bin.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("sudo", "#!/bin/sh\n[ \"$1\" != -n ] || shift\nexec \"$@\"\n".into());
    sandbox.set("PATH", bin.to_str().unwrap());
    let refused = sandbox.run(&["demo", "--headless"]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("needs tmux and git"), "{refused:?}");

    let name = "apt-get";
    script(name, format!("#!/bin/sh\necho \"$@\" >>'{}'\n", log.display()));
    let refused = sandbox.run(&["demo", "--headless"]);
    assert_eq!(refused.code, Some(6), "{refused:?}");
    assert!(refused.stderr.contains("parhelia demo --install"), "{refused:?}");
    assert!(!log.exists(), "nothing is installed unasked");

    let ran = sandbox.run(&["demo", "--headless", "--install"]);
    // This one installs nothing, which is noticed.
    assert_eq!(ran.code, Some(6), "{ran:?}");
    assert!(
        ran.stderr.contains("Will run: ") && ran.stderr.contains("apt-get install -y tmux git")
    );
    assert_eq!(fs::read_to_string(&log).unwrap(), "update\ninstall -y tmux git\n");
}

#[test]
fn the_doctor_says_what_is_missing() {
    let sandbox = Sandbox::new();
    let fine = sandbox.run(&["doctor"]);
    assert_eq!(fine.code, Some(0), "{fine:?}");
    assert!(fine.stdout.contains("ok login") && fine.stdout.contains("by ANTHROPIC_AUTH_TOKEN"));

    let config = sandbox.home().join(".config/parhelia");
    fs::create_dir_all(&config).unwrap();
    fs::write(config.join("parhelia.toml"), "[agent]\ncommand = \"no-such-claude\"\n").unwrap();
    sandbox.ok(&["daemon", "restart"]);
    let ran = sandbox.run(&["doctor", "--json"]);
    assert_eq!(ran.code, Some(6), "{ran:?}");
    let said: Value = serde_json::from_str(&ran.stdout).unwrap();
    let checks = said["checks"].as_array().unwrap();
    let bad: Vec<&Value> = checks.iter().filter(|it| it["ok"] == false).collect();
    assert_eq!(bad.len(), 1, "{said:#}");
    assert!(bad[0]["what"] == "claude" && bad[0]["blocking"] == true, "{said:#}");
    assert!(!bad[0]["fix"].as_array().unwrap().is_empty());
}

/// Returns every file below a directory with its content.
fn files(dir: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => {
                let bytes = fs::read(&path).unwrap();
                found.insert(path, bytes);
            }
        }
    }
    found
}
