//! `doctor`: whether everything is there that a first task needs, and what to do if not.

use crate::{
    api::{
        checks::{Check, Facts, LOGIN_VARIABLES, checks},
        error::ErrorKind,
    },
    cli::{context::Context, out::Done, paint::Paint},
    config::settings::Settings,
    stdx::text::one_line,
};

/// Shows every check; exits with 6 if one fails without which no task can run.
pub async fn doctor(context: &Context) -> Done {
    let out = &context.out;
    let mut status = context.client().await?.status().await?;
    // A project's file counts for commands here and not for the dispatcher.
    let here = context.setup.problem_lines();
    let new: Vec<String> =
        here.into_iter().filter(|it| !status.config_problems.contains(it)).collect();
    status.config_problems.extend(new);
    let checks = checks(&status, &facts(&context.setup.settings, is_set));
    let blocked = checks.iter().any(|it| it.blocking);
    match out.json {
        true => out.json(&serde_json::json!({ "ok": !blocked, "checks": checks }))?,
        false => out.line(&render(&checks, out.paint))?,
    }
    Ok(if blocked { ErrorKind::Host.exit_code() } else { 0 })
}

fn is_set(name: &str) -> bool {
    std::env::var_os(name).is_some_and(|it| !it.is_empty())
}

/// Returns the variable of this environment by which Claude can log in, if there is one.
pub fn login_variable(settings: &Settings) -> Option<String> {
    facts(settings, is_set).login_variable
}

/// Returns what the caller's environment adds: a variable counts only if it is passed to tasks.
fn facts(settings: &Settings, set: impl Fn(&str) -> bool) -> Facts {
    let passed = |name: &str| settings.agent.env.iter().any(|it| it.as_str() == name);
    let found = LOGIN_VARIABLES.into_iter().find(|it| passed(it) && set(it));
    Facts { login_variable: found.map(str::to_owned) }
}

fn render(checks: &[Check], paint: Paint) -> String {
    let width = checks.iter().map(|it| it.what.chars().count()).max().unwrap_or(0);
    let mut lines = Vec::new();
    for check in checks {
        let mark = match (check.ok, check.blocking) {
            (true, _) => paint.green("ok"),
            (false, true) => paint.red("!!"),
            (false, false) => paint.yellow("! "),
        };
        let (what, detail) = (one_line(&check.what, 40), one_line(&check.detail, 300));
        lines.push(format!("{mark} {what:width$}  {detail}"));
        lines.extend(check.fix.iter().map(|it| format!("     {}", one_line(it, 300))));
    }
    let blocked = checks.iter().any(|it| it.blocking);
    lines.push(String::new());
    lines.push(match blocked {
        true => "No task can run yet. Put right what is marked !! and run this again.".to_owned(),
        false => "A task can run: parhelia submit \"…\"".to_owned(),
    });
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_check_is_a_line_and_what_to_do_follows_it() {
        let check = |what: &str, ok, blocking, fix: &[&str]| Check {
            what: what.into(),
            ok,
            detail: "3.3a\u{1b}[2J".into(),
            fix: fix.iter().map(|it| (*it).to_owned()).collect(),
            blocking,
        };
        let checks = [
            check("tmux", true, false, &[]),
            check("git", false, false, &["install git"]),
            check("claude", false, true, &["`npm install`", "or another way"]),
        ];
        insta::assert_snapshot!(render(&checks, Paint { on: false }), @r#"
        ok tmux    3.3a�[2J
        !  git     3.3a�[2J
             install git
        !! claude  3.3a�[2J
             `npm install`
             or another way

        No task can run yet. Put right what is marked !! and run this again.
        "#);
        assert!(render(&checks[..2], Paint { on: false }).ends_with("parhelia submit \"…\""));
    }

    #[test]
    fn only_a_variable_that_is_passed_on_counts() {
        let mut settings = Settings::default();
        let facts_of = |settings: &Settings| facts(settings, |it| it == "ANTHROPIC_API_KEY");
        assert_eq!(facts_of(&settings).login_variable.as_deref(), Some("ANTHROPIC_API_KEY"));
        settings.agent.env.clear();
        assert_eq!(facts_of(&settings), Facts::default());
    }
}
