//! What is around the dashboard: directory, terminal, tmux, time zone.

use std::{env, process::Stdio, time::Duration};

use tokio::{process::Command, time::timeout};

use crate::{
    api::checks::LOGIN_VARIABLES,
    stdx::{text::one_line, time::Timestamp},
    tui::model::look::Facts,
};

/// Longest wait for tmux to say its prefix. It does so in 3 ms.
const TMUX_LIMIT: Duration = Duration::from_millis(300);

/// The most ancestors that are looked at.
const ANCESTORS_MAX: usize = 32;

/// Looks around.
pub async fn facts(demo: bool, no_color: bool, now: Timestamp) -> Facts {
    let in_tmux = set("TMUX");
    Facts {
        cwd: env::current_dir().unwrap_or_default(),
        home: env::var_os("HOME").map(Into::into).unwrap_or_default(),
        demo,
        no_color,
        light_background: env::var("COLORFGBG").is_ok_and(|it| is_light(&it)),
        in_tmux,
        outer_prefix: if in_tmux { prefix().await } else { None },
        term_program: env::var("TERM_PROGRAM").ok().map(|it| one_line(&it, 40)),
        login_variable: LOGIN_VARIABLES.iter().find(|it| set(it)).map(|it| (*it).to_owned()),
        utc_offset_ms: utc_offset_ms(now),
    }
}

fn set(name: &str) -> bool {
    env::var_os(name).is_some_and(|it| !it.is_empty())
}

/// `$COLORFGBG` is two or three colour numbers, the background's last.
fn is_light(text: &str) -> bool {
    matches!(text.rsplit(';').next(), Some("7" | "15"))
}

fn utc_offset_ms(now: Timestamp) -> i64 {
    let zone = jiff::tz::TimeZone::system();
    let offset = jiff::Timestamp::from_millisecond(now.0).map(|it| zone.to_offset(it).seconds());
    offset.map_or(0, |it| i64::from(it) * 1000)
}

/// Returns the prefix of the tmux around us, by our name for it.
async fn prefix() -> Option<String> {
    #[expect(clippy::disallowed_methods, reason = "the person's own tmux, not a host's")]
    let mut command = Command::new("tmux");
    command.args(["show-options", "-gv", "prefix"]).stdin(Stdio::null()).kill_on_drop(true);
    let output = timeout(TMUX_LIMIT, command.output()).await.ok()?.ok()?;
    ours(String::from_utf8_lossy(&output.stdout).trim())
}

/// `C-b` is `ctrl-b` here.
fn ours(name: &str) -> Option<String> {
    let name = one_line(name, 20).to_lowercase();
    match name.split_once('-') {
        Some(("c", key)) => Some(format!("ctrl-{key}")),
        Some(("m", key)) => Some(format!("alt-{key}")),
        _ if name.is_empty() || name == "none" => None,
        _ => Some(name),
    }
}

/// Tells whether Mosh carries this terminal: it passes mouse reports but not what ends them well,
/// so the mouse stays the terminal's own.
pub fn under_mosh() -> bool {
    let mut pid = std::process::id();
    for _ in 0..ANCESTORS_MAX {
        let Ok(stat) = std::fs::read_to_string(format!("/proc/{pid}/stat")) else { return false };
        // `pid (name) state parent …`, and the name may hold anything.
        let Some((head, tail)) = stat.rsplit_once(") ") else { return false };
        if head.ends_with("(mosh-server") {
            return true;
        }
        match tail.split(' ').nth(1).and_then(|it| it.parse().ok()) {
            Some(parent) if 1 < parent => pid = parent,
            _ => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_others_are_understood() {
        assert_eq!(ours("C-b").as_deref(), Some("ctrl-b"));
        assert_eq!(ours("M-Space").as_deref(), Some("alt-space"));
        assert_eq!(ours("None"), None);
        assert!(is_light("0;15") && is_light("0;default;15") && !is_light("15;0"));
    }
}
