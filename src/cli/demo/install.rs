//! The programs a demo needs, and how they come onto a machine.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    api::error::{ApiError, ErrorKind},
    cli::out::{Answer, Failure, Out},
};

/// What the demo runs besides what every system has.
const PROGRAMS: [&str; 2] = ["tmux", "git"];

/// Whether what is missing may be installed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// The person said so on the command line.
    Given,
    /// Nobody said so.
    NotGiven,
}

/// A package manager, with the program by which it is known, in the order they are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Manager {
    Apt,
    Dnf,
    Pacman,
    Apk,
    Zypper,
    Brew,
}

impl Manager {
    const ALL: [Manager; 6] =
        [Manager::Apt, Manager::Dnf, Manager::Pacman, Manager::Apk, Manager::Zypper, Manager::Brew];

    fn program(self) -> &'static str {
        match self {
            Manager::Apt => "apt-get",
            Manager::Dnf => "dnf",
            Manager::Pacman => "pacman",
            Manager::Apk => "apk",
            Manager::Zypper => "zypper",
            Manager::Brew => "brew",
        }
    }

    /// Returns the commands that install something, without what.
    fn commands(self) -> &'static [&'static [&'static str]] {
        match self {
            // A fresh system has no lists yet, and a question would wait for ever.
            Manager::Apt => &[
                &["apt-get", "update"],
                &["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "install", "-y"],
            ],
            Manager::Dnf => &[&["dnf", "install", "-y"]],
            Manager::Pacman => &[&["pacman", "-Sy", "--noconfirm", "--needed"]],
            Manager::Apk => &[&["apk", "add", "--no-cache"]],
            Manager::Zypper => &[&["zypper", "--non-interactive", "install"]],
            Manager::Brew => &[&["brew", "install"]],
        }
    }
}

/// How this user becomes root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Root {
    /// Is root already.
    Already,
    /// By sudo, which may ask for a password on the terminal.
    Asking,
    /// By sudo, if it needs no password.
    Silent,
    /// Not at all.
    Never,
}

/// Makes sure that tmux and git are there; installs them if that is consented to.
///
/// # Errors
///
/// If one is missing and is not installed, with what to do about it.
pub fn need(out: &Out, consent: Consent) -> Result<(), Failure> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let commands = commands(&missing, &managers(), root(out));
    if consent == Consent::NotGiven {
        return Err(refusal(&missing, commands.as_deref()).into());
    }
    let commands = commands.ok_or_else(|| refusal(&missing, None))?;
    for command in &commands {
        out.note(&format!("Will run: {}", command.join(" ")));
    }
    if out.can_ask() && !out.ask("Go on?", Answer::Yes) {
        return Err(refusal(&missing, Some(&commands)).into());
    }
    for command in &commands {
        run(command)?;
    }
    match self::missing() {
        left if left.is_empty() => Ok(()),
        left => Err(refusal(&left, None).into()),
    }
}

fn missing() -> Vec<&'static str> {
    PROGRAMS.into_iter().filter(|it| find(it).is_none()).collect()
}

fn managers() -> Vec<Manager> {
    Manager::ALL.into_iter().filter(|it| find(it.program()).is_some()).collect()
}

fn root(out: &Out) -> Root {
    if rustix::process::geteuid().is_root() {
        Root::Already
    } else if find("sudo").is_none() {
        Root::Never
    } else if out.can_ask() {
        Root::Asking
    } else {
        Root::Silent
    }
}

/// Returns where the search path has a program.
fn find(program: &str) -> Option<PathBuf> {
    find_in(std::env::var_os("PATH")?.as_os_str(), program)
}

fn find_in(path: &OsStr, program: &str) -> Option<PathBuf> {
    let is_program =
        |it: &PathBuf| it.is_file() && rustix::fs::access(it, rustix::fs::Access::EXEC_OK).is_ok();
    std::env::split_paths(path)
        .filter(|it| it != Path::new(""))
        .map(|it| it.join(program))
        .find(is_program)
}

/// Returns the commands that install what is missing; nothing where there is no way.
fn commands(missing: &[&str], managers: &[Manager], root: Root) -> Option<Vec<Vec<String>>> {
    let manager = managers.iter().find(|it| **it == Manager::Brew || root != Root::Never)?;
    let rise: &[&str] = match (manager, root) {
        // It refuses to be root.
        (Manager::Brew, _) | (_, Root::Already | Root::Never) => &[],
        (_, Root::Asking) => &["sudo"],
        (_, Root::Silent) => &["sudo", "-n"],
    };
    let (last, before) = manager.commands().split_last()?;
    let words = |command: &[&str]| -> Vec<String> {
        rise.iter().chain(command).map(|it| (*it).to_owned()).collect()
    };
    let mut all: Vec<Vec<String>> = before.iter().map(|it| words(it)).collect();
    let mut last = words(last);
    last.extend(missing.iter().map(|it| (*it).to_owned()));
    all.push(last);
    Some(all)
}

fn refusal(missing: &[&str], commands: Option<&[Vec<String>]>) -> ApiError {
    let verb = if missing.len() == 1 { "is" } else { "are" };
    let what = missing.join(" and ");
    let error =
        ApiError::new(ErrorKind::Host, format!("the demo needs {what}, which {verb} missing here"));
    match commands {
        Some(commands) => {
            let lines: Vec<String> = commands.iter().map(|it| it.join(" ")).collect();
            error.hint(format!(
                "parhelia demo --install installs it; it runs: {}",
                lines.join(" && ")
            ))
        }
        None => error.hint(format!("install {what} from the system's packages, as root")),
    }
}

/// Runs one command in front of the person.
#[expect(clippy::disallowed_methods, reason = "the machine that the person sits at is no host")]
fn run(command: &[String]) -> Result<(), ApiError> {
    let said = command.join(" ");
    let failed = |why: String| {
        ApiError::new(ErrorKind::Host, format!("`{said}` failed: {why}"))
            .hint("run it by hand to see more, then try again")
    };
    let (program, args) = command.split_first().ok_or_else(|| failed("no program".into()))?;
    // stdout is for results.
    let output = Command::new(program).args(args).stdout(Stdio::from(std::io::stderr())).status();
    match output {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(failed(status.to_string())),
        Err(error) => Err(failed(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_system_has_its_commands() {
        use Manager::{Apk, Apt, Brew, Dnf, Pacman, Zypper};
        let both = &["tmux", "git"][..];
        let cases: &[(&[&str], &[Manager], Root, &str)] = &[
            (
                both,
                &[Apt],
                Root::Already,
                "apt-get update; env DEBIAN_FRONTEND=noninteractive apt-get install -y tmux git",
            ),
            (
                &["tmux"],
                &[Apt, Brew],
                Root::Silent,
                "sudo -n apt-get update; \
                 sudo -n env DEBIAN_FRONTEND=noninteractive apt-get install -y tmux",
            ),
            (both, &[Dnf], Root::Asking, "sudo dnf install -y tmux git"),
            (both, &[Pacman], Root::Already, "pacman -Sy --noconfirm --needed tmux git"),
            (&["git"], &[Apk], Root::Already, "apk add --no-cache git"),
            (both, &[Zypper], Root::Silent, "sudo -n zypper --non-interactive install tmux git"),
            (both, &[Brew], Root::Asking, "brew install tmux git"),
            (both, &[Brew], Root::Never, "brew install tmux git"),
            (both, &[Apt, Brew], Root::Never, "brew install tmux git"),
            (both, &[Apt], Root::Never, ""),
            (both, &[], Root::Already, ""),
        ];
        for (missing, managers, root, want) in cases {
            let commands = commands(missing, managers, *root).unwrap_or_default();
            let lines: Vec<String> = commands.iter().map(|it| it.join(" ")).collect();
            assert_eq!(lines.join("; "), *want, "{missing:?} {managers:?} {root:?}");
        }
    }

    #[test]
    fn what_is_missing_is_said_with_what_would_help() {
        let commands = vec![vec!["brew".to_owned(), "install".to_owned(), "git".to_owned()]];
        let error = refusal(&["git"], Some(&commands));
        assert_eq!(error.message, "the demo needs git, which is missing here");
        assert_eq!(error.hints, ["parhelia demo --install installs it; it runs: brew install git"]);
        assert_eq!(error.kind.exit_code(), 6);
        let error = refusal(&["tmux", "git"], None);
        assert_eq!(error.message, "the demo needs tmux and git, which are missing here");
    }

    #[test]
    fn a_program_is_a_file_that_can_be_run() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tmux"), "").unwrap();
        assert_eq!(find_in(dir.path().as_os_str(), "tmux"), None);
        assert_eq!(find_in(OsStr::new(""), "tmux"), None);
        assert_eq!(find_in(OsStr::new("/none:/bin"), "sh"), Some("/bin/sh".into()));
    }
}
