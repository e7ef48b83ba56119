//! From files to settings, and what is said of files that are wrong.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use proptest::prelude::{any, prop, proptest};
use tempfile::TempDir;

use super::{
    dirs::{Dirs, DirsError, Env},
    keys::{self, Trust},
    load::{Sources, load},
    raw::FILE_MAX,
    settings::{Host, Layer, Origin, Settings},
    value::{Field, Theme},
};
use crate::domain::{
    task::{Gpu, PermissionMode},
    usd::Usd,
};

const EXAMPLE: &str = include_str!("../../parhelia.toml.example");

fn layer(name: &str, text: &str, trust: Trust) -> Layer {
    Layer { path: PathBuf::from(name), bytes: text.into(), trust }
}

fn user(text: &str) -> Result<Settings, String> {
    Settings::from_layers(&[layer("parhelia.toml", text, Trust::User)]).map_err(|it| it.to_string())
}

fn project(text: &str) -> Result<Settings, String> {
    Settings::from_layers(&[layer("./parhelia.toml", text, Trust::Project)])
        .map_err(|it| it.to_string())
}

/// Checks what is said of a user's file.
fn refused(text: &str, expected: &str) {
    assert_eq!(user(text).unwrap_err(), expected, "{text}");
}

#[test]
fn the_example_holds_every_key_with_its_default() {
    let setting = |line: &&str| line.starts_with('#') && !line.starts_with("# ") && *line != "#";
    let text: Vec<&str> =
        EXAMPLE.lines().map(|it| if setting(&it) { &it[1..] } else { it }).collect();
    let settings = user(&text.join("\n")).unwrap();
    let missing: Vec<&str> = keys::names()
        .filter(|it| *it != "hosts" && settings.origins[*it] == Origin::Default)
        .collect();
    assert_eq!(missing, [""; 0]);
    let origins = Settings::default().origins;
    assert_eq!(Settings { origins, ..settings }, Settings::default());
}

#[test]
fn the_example_s_host_is_one() {
    let lines =
        EXAMPLE.lines().skip_while(|it| *it != "# [[hosts]]").take_while(|it| !it.is_empty());
    let text: Vec<&str> = lines.filter_map(|it| it.strip_prefix("# ")).collect();
    assert_eq!(text.len(), keys::HOST_KEYS.len() + 1);
    let host = Host {
        name: "build-1".into(),
        ssh: "me@build-1.example.org".into(),
        slots: 2,
        gpus: vec![Gpu::A100],
        memory_gb: Some(64),
        cost_per_hour: Usd(1_500_000),
        gpu_cost_per_hour: Usd(2_000_000),
        max_cost: Some(Usd(20_000_000)),
    };
    assert_eq!(user(&text.join("\n")).unwrap().hosts, [host]);
}

#[test]
fn an_empty_file_changes_nothing() {
    assert_eq!(user(""), Ok(Settings::default()));
}

#[test]
fn every_key_says_where_it_came_from() {
    let layers = [
        layer("/user", "[budget]\nmax_daily_cost = 5\non_exceeded = \"kill\"", Trust::User),
        layer("/mine", "\n[budget]\nmax_daily_cost = \"none\"", Trust::User),
    ];
    let settings = Settings::from_layers(&layers).unwrap();
    assert_eq!(settings.budget.max_daily_cost, None);
    let json = settings.to_json();
    assert_eq!(json["budget.max_daily_cost"]["origin"], "/mine:3");
    assert_eq!(json["budget.on_exceeded"]["origin"], "/user:3");
    assert_eq!(json["budget.warning_threshold"]["origin"], "default");
    let lines = settings.to_lines();
    assert!(lines.contains(&"budget.on_exceeded = \"kill\"  # /user:3".to_owned()), "{lines:#?}");
}

#[test]
fn what_is_shown_reads_back_as_the_same() {
    let text = "agent.command = [\"claude\"]\n[[hosts]]\nname = \"a\"\ngpus = [\"T4\"]\n\
                [keys]\nquit = \"Q\"\n[tasks]\ntimeout = 5400\nidle_timeout = \"1d\"";
    let settings = user(text).unwrap();
    let again = user(&settings.to_lines().join("\n")).unwrap();
    let origins = settings.origins.clone();
    assert_eq!(Settings { origins, ..again }, settings);
}

#[test]
fn the_dashboard_is_set_up_by_word() {
    for theme in Theme::ALL {
        let settings = user(&format!("[ui]\ntheme = \"{theme}\"")).unwrap();
        assert_eq!(settings.ui.theme, *theme);
    }
    refused(
        "[ui]\ntheme = \"drak\"\nmouse = 1\n[notifications]\nbell = \"no\"",
        "parhelia.toml:2: `ui.theme` has no choice `drak`; use auto, dark, light, high-contrast, \
         plain\nparhelia.toml:3: `ui.mouse` expects true or false, found a whole number\n\
         parhelia.toml:5: `notifications.bell` expects true or false, found text",
    );
    let other = "[ui]\nmouse = false\nclipboard = true\n[notifications]\nbell = false";
    let settings = user(other).unwrap();
    let ui = &settings.ui;
    assert_eq!((ui.mouse, ui.clipboard, settings.notifications.bell), (false, true, false));
}

#[test]
fn local_slots_follow_the_dispatcher_s() {
    let workers = "[dispatcher]\nmax_concurrent_workers = 9\n";
    assert_eq!(user(workers).unwrap().local.slots, 9);
    assert_eq!(user(&format!("{workers}[local]\nslots = 2")).unwrap().local.slots, 2);
}

#[test]
fn every_mistake_is_reported_with_its_line_and_what_was_meant() {
    refused(
        "[budget]\nwarning_treshold = 0.5\n\n[dispatcher]\nmax_concurrent_workers = 0\n[bugdet]\n\
         [[hosts]]\nname = \"a\"\nslot = 3\n",
        "parhelia.toml:2: unknown key `budget.warning_treshold`; did you mean `warning_threshold`?\n\
         parhelia.toml:5: `dispatcher.max_concurrent_workers` cannot be 0\n\
         parhelia.toml:6: unknown key `bugdet`; did you mean `budget`?\n\
         parhelia.toml:9: unknown key `hosts.slot`; did you mean `slots`?",
    );
}

#[test]
fn values_of_the_wrong_sort_say_what_is_expected() {
    let cases = [
        ("[local]\nslots = \"4\"", "2: `local.slots` expects a whole number, found text"),
        ("[local]\nslots = -1", "2: `local.slots` expects a whole number from 0, found -1"),
        (
            "[budget]\nwarning_threshold = 80",
            "2: `budget.warning_threshold` expects 0 to 1, found 80",
        ),
        (
            "[tasks]\ntimeout = \"4x\"",
            "2: `tasks.timeout` has an invalid duration: `x` is not a unit; use s, m, h or d, as in 1h30m",
        ),
        (
            "[budget]\non_exceeded = \"stop\"",
            "2: `budget.on_exceeded` has no choice `stop`; use park, block, kill",
        ),
        ("budget = 5", "1: `budget` is a section; write `[budget]` above its keys"),
        (
            "on_exceeded = \"park\"",
            "1: unknown key `on_exceeded`; did you mean `budget.on_exceeded`?",
        ),
        ("[tasks]\nmodel = \"opus\"", "2: unknown key `tasks.model`; did you mean `agent.model`?"),
        (
            "[budget]\nmax_daily_cost = nan",
            "2: `budget.max_daily_cost` expects an amount in US dollars or \"none\", found a number out of range",
        ),
        ("[agent]\nmodel = \"--dangerously\"", "2: `agent.model` cannot begin with `-`"),
        ("[keys]\nquit = 3", "2: `keys.quit` expects text, found a whole number"),
        (
            "hosts = [{ name = \"a\", ssh = \"-oProxyCommand=x\" }]",
            "1: `hosts.ssh` expects a destination as `ssh` takes it, such as me@build-1",
        ),
        ("hosts = [{ name = \"a\" }, { name = \"a\" }]", "1: `hosts` has two hosts called `a`"),
    ];
    for (text, expected) in cases {
        refused(text, &format!("parhelia.toml:{expected}"));
    }
}

#[test]
fn a_project_sets_defaults_of_tasks_and_nothing_else() {
    let allowed = "[tasks]\ntype = \"test\"\ntimeout = \"4h\"\n[agent]\nmodel = \"opus\"\n\
                   permission_mode = \"plan\"";
    let settings = project(allowed).unwrap();
    assert_eq!(settings.tasks.timeout, Some(Duration::from_secs(4 * 3600)));
    assert_eq!(settings.agent.permission_mode, PermissionMode::Plan);
    let refused = [
        ("agent.command", "agent.command = \"./evil\""),
        ("agent.env", "agent.env = [\"AWS_SECRET_ACCESS_KEY\"]"),
        ("hosts", "[[hosts]]\nname = \"evil\""),
        ("notifications.command", "notifications.command = \"./evil\""),
        ("ui.clipboard", "ui.clipboard = true"),
        ("budget.max_daily_cost", "budget.max_daily_cost = \"none\""),
        ("dispatcher.max_concurrent_workers", "dispatcher.max_concurrent_workers = 99"),
        ("keys", "[keys]\nquit = \"x\""),
    ];
    for (key, text) in refused {
        let error = project(text).unwrap_err();
        let expected = format!("./parhelia.toml:1: `{key}` cannot be set in a project's file");
        assert!(error.starts_with(&expected), "{error}");
    }
    let bypass = "agent.permission_mode = \"bypassPermissions\"";
    assert!(project(bypass).unwrap_err().contains("cannot be `bypassPermissions`"));
    assert_eq!(user(bypass).unwrap().agent.permission_mode, PermissionMode::Bypass);
}

#[test]
fn a_project_lowers_the_cost_allowed_and_never_raises_it() {
    let with = |text: &str| {
        let own = layer("/user", "tasks.max_cost = 5", Trust::User);
        Settings::from_layers(&[own, layer("/project", text, Trust::Project)])
    };
    assert_eq!(with("tasks.max_cost = 2").unwrap().tasks.max_cost, Some(Usd(2_000_000)));
    for text in ["tasks.max_cost = 6", "tasks.max_cost = \"none\""] {
        let error = with(text).unwrap_err().to_string();
        assert_eq!(
            error,
            "/project:1: `tasks.max_cost` cannot be more in a project's file than the $5.00 that \
             your own allows"
        );
    }
}

#[test]
fn secrets_are_shown_nowhere() {
    let text = "notifications.command = [\"curl\", \"https://hooks.example/hunter2\"]\n\
                agent.command = [\"env\", \"TOKEN=hunter2\", \"claude\"]";
    let settings = user(text).unwrap();
    let shown = format!("{settings:?}{}{}", settings.to_json(), settings.to_lines().join("\n"));
    assert!(!shown.contains("hunter2"), "{shown}");
    assert_eq!(settings.agent.command.args[0].expose(), "TOKEN=hunter2");
    for wrong in
        ["agent.env = [\"TOKEN=hunter2\"]", "hosts = [{ name = \"a\", ssh = \"u:hunter2@h\" }]"]
    {
        assert!(!user(wrong).unwrap_err().contains("hunter2"), "{wrong}");
    }
}

#[test]
fn hostile_files_are_refused_clearly() {
    let check = |bytes: Vec<u8>, expected: &str| {
        let layer = Layer { path: "p".into(), bytes, trust: Trust::Project };
        let error = Settings::from_layers(&[layer]).unwrap_err().to_string();
        assert!(error.starts_with(expected), "{error}");
    };
    check(vec![b'#'; FILE_MAX + 1], "p: the file is longer than 1 MiB");
    check(b"[tasks]\ntype = \"\xff\"".to_vec(), "p:2: the file is not UTF-8 text");
    check(format!("a = {}", "[".repeat(100_000)).into_bytes(), "p:1: it is nested too deeply");
    check(format!("a{} = 1", ".a".repeat(100_000)).into_bytes(), "p: it is nested too deeply");
    check(b"[tasks]\ntype = \"test\ntimeout = 4\n".to_vec(), "p:2: ");
    check("\u{1b}[2J = 1".into(), "p:1: ");
    let long = format!("[tasks]\ntype = \"{}\"", "x".repeat(100_000));
    assert!(project(&long).unwrap_err().len() < 1000);
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Settings::from_layers(&[Layer { path: "p".into(), bytes, trust: Trust::User }]);
    }

    #[test]
    fn nothing_like_toml_panics(
        text in "(\\[{0,2}(budget|hosts|tasks|keys|agent)\\]{0,2}|[a-z_.]{1,9} ?= ?[-0-9a-z\"\\[\\]{}:.,' ]{0,12}|\n|\"\"\"|é){0,20}"
    ) {
        let _ = user(&text);
    }
}

fn env(pairs: &[(&str, &str)]) -> Env {
    pairs.iter().map(|(name, value)| (name.into(), value.into())).collect()
}

#[test]
fn directories_follow_xdg() {
    let dirs =
        Dirs::from_env(&env(&[("HOME", "/h"), ("XDG_RUNTIME_DIR", "/run/user/7")]), 7).unwrap();
    assert_eq!(dirs.user_file(), Path::new("/h/.config/parhelia/parhelia.toml"));
    assert_eq!(dirs.state, Path::new("/h/.local/state/parhelia"));
    assert_eq!(dirs.runs, Path::new("/h/.local/state/parhelia/runs"));
    assert_eq!(dirs.socket, Path::new("/run/user/7/parhelia/parhelia.sock"));
    assert_eq!(dirs.tmux_socket(), "parhelia");
    assert_eq!(dirs.origins["runtime"], Origin::Env { name: "XDG_RUNTIME_DIR" });
    assert_eq!(dirs.origins["state"], Origin::Default);
    let relative = Dirs::from_env(&env(&[("HOME", "/h"), ("XDG_STATE_HOME", "s")]), 7).unwrap();
    assert_eq!(relative.state, dirs.state);
    assert_eq!(relative.runtime, Path::new("/h/.local/state/parhelia/run"));
}

#[test]
fn another_state_directory_is_another_dispatcher() {
    let of = |state| {
        let pairs = [("HOME", "/h"), ("XDG_RUNTIME_DIR", "/r"), ("PARHELIA_STATE_DIR", state)];
        Dirs::from_env(&env(&pairs), 7).unwrap()
    };
    let (a, b) = (of("/a"), of("/b"));
    assert_eq!(a.tmux_socket(), "parhelia-70d2182d", "running servers depend on it");
    assert_ne!(a.tmux_socket(), b.tmux_socket());
    assert_ne!(a.socket, b.socket);
    assert_eq!(of("/h/.local/state/parhelia").tmux_socket(), "parhelia");
}

#[test]
fn a_socket_path_that_is_too_long_moves_to_tmp() {
    let long = format!("/{}", "x".repeat(100));
    let dirs = Dirs::from_env(&env(&[("PARHELIA_STATE_DIR", &long), ("HOME", "/h")]), 7).unwrap();
    let text = dirs.socket.to_str().unwrap();
    assert!(text.starts_with("/tmp/parhelia-7-") && text.ends_with("/parhelia.sock"), "{text}");
    assert_eq!(dirs.socket.parent(), Some(dirs.runtime.as_path()));
}

#[test]
fn directories_that_cannot_be_told_are_errors() {
    let error = Dirs::from_env(&env(&[]), 7).unwrap_err();
    assert_eq!(error, DirsError::NoHome { what: "configuration" });
    let error =
        Dirs::from_env(&env(&[("HOME", "/h"), ("PARHELIA_STATE_DIR", "s")]), 7).unwrap_err();
    assert_eq!(error.to_string(), "PARHELIA_STATE_DIR must be an absolute path");
}

#[test]
fn files_are_found_and_laid_over_each_other() {
    let dir = TempDir::new().unwrap();
    let at = |name: &str| dir.path().join(name);
    fs::create_dir_all(at("project/.parhelia")).unwrap();
    fs::write(at("user.toml"), "[tasks]\npriority = 1\ntype = \"lint\"").unwrap();
    fs::write(at("project/.parhelia/config.toml"), "[tasks]\npriority = 2").unwrap();
    fs::write(at("explicit.toml"), "[budget]\nmax_daily_cost = 3").unwrap();
    let mut sources =
        Sources { user: at("user.toml"), explicit: None, project_dir: Some(at("project")) };
    let settings = load(&sources).unwrap();
    assert_eq!((settings.tasks.priority, settings.tasks.kind.as_str()), (2, "lint"));

    sources.explicit = Some(at("explicit.toml"));
    let settings = load(&sources).unwrap();
    assert_eq!(settings.tasks.priority, 1, "PARHELIA_CONFIG stands in for the project's file");
    assert_eq!(settings.budget.max_daily_cost.show(), 3.0);

    sources.explicit = Some(at("missing.toml"));
    assert!(load(&sources).unwrap_err().to_string().contains("missing.toml: cannot be read"));
    sources.explicit = Some(at("project"));
    assert!(load(&sources).unwrap_err().to_string().contains("not a plain file"));

    // In its own directory the person's file is not taken for a project's.
    fs::rename(at("explicit.toml"), at("parhelia.toml")).unwrap();
    let own = Sources {
        user: at("parhelia.toml"),
        explicit: None,
        project_dir: Some(dir.path().to_owned()),
    };
    assert_eq!(load(&own).unwrap().budget.max_daily_cost, Some(Usd(3_000_000)));
    let none = Sources { user: at("no.toml"), explicit: None, project_dir: None };
    assert_eq!(load(&none), Ok(Settings::default()));
}
