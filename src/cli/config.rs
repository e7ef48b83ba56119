//! `config`: what the configuration means, where each value comes from, what is wrong with it.

use serde_json::json;

use crate::{
    api::error::ErrorKind,
    cli::{context::Context, out::Done, setup::Setup},
    stdx::text::{one_line, printable},
};

/// Shows the configuration; exits with 7 if it is wrong. Settings are shown only if it is right,
/// since what a wrong file means is not known.
pub fn config(context: &Context) -> Done {
    let out = &context.out;
    let setup = &context.setup;
    let valid = setup.problems.is_empty();
    if out.json {
        let settings = if valid { setup.settings.to_json() } else { json!(null) };
        out.json(&json!({
            "valid": valid,
            "problems": setup.problems_json(),
            "settings": settings,
            "dirs": dirs(setup),
        }))?;
    } else if valid {
        out.line(&printable(&render(setup)))?;
    } else {
        setup.check()?;
    }
    Ok(if valid { 0 } else { ErrorKind::Config.exit_code() })
}

fn dirs(setup: &Setup) -> serde_json::Value {
    let dirs = &setup.dirs;
    let entry = |path: &std::path::Path, name: &str| {
        let origin = dirs.origins.get(name).map(ToString::to_string);
        json!({ "value": path.to_string_lossy(), "origin": origin })
    };
    json!({
        "config": entry(&dirs.config, "config"),
        "state": entry(&dirs.state, "state"),
        "runtime": entry(&dirs.runtime, "runtime"),
        "runs": entry(&dirs.runs, "state"),
        "socket": entry(&dirs.socket, "runtime"),
        "log": entry(&dirs.log, "state"),
        "tmux_socket": { "value": dirs.tmux_socket(), "origin": null },
    })
}

fn render(setup: &Setup) -> String {
    let dirs = &setup.dirs;
    let mut lines = setup.settings.to_lines();
    lines.push(String::new());
    for (name, path) in
        [("config", &dirs.config), ("state", &dirs.state), ("runtime", &dirs.runtime)]
    {
        let origin = dirs.origins.get(name).map(ToString::to_string).unwrap_or_default();
        let path = one_line(&path.to_string_lossy(), 4096);
        lines.push(format!("# {name} directory: {path}  # {origin}"));
    }
    lines.join("\n")
}
