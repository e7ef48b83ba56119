//! Looks at a person's own hooks on a host before Claude stumbles over them.

use std::{collections::HashMap, time::Duration};

use crate::{
    agent::validate::{FileFacts, Finding, HookCommand, check, check_file},
    provider::Worker,
    shell::{Command, run},
    stdx::text::one_line,
};

/// The most that is read of the settings, in bytes. Longer ones are cut, and said to be no JSON.
const SETTINGS_MAX: usize = 1024 * 1024;

/// Findings told at once; the first ones have to be repaired anyway.
const FINDINGS_MAX: usize = 8;

/// Says of each path what it is: `f` a file, `x` executable, `i` has an interpreter or is a
/// program. Paths may begin with `~/` or `$HOME/`.
const LOOK: &str = r#"for p do
    case $p in
        "~/"*) p=$HOME/${p#"~/"} ;;
        '$HOME/'*) p=$HOME/${p#'$HOME/'} ;;
    esac
    facts=-
    if [ -f "$p" ]; then
        facts=${facts}f
        [ -x "$p" ] && facts=${facts}x
        case $(dd if="$p" bs=4 count=1 2>/dev/null | tr -d '\000') in
            '#!'* | *ELF*) facts=${facts}i ;;
        esac
    fi
    echo "$facts"
done"#;

/// Returns what is wrong with the hooks in Claude's settings there, as hints.
pub async fn findings(worker: &Worker, limit: Duration) -> Vec<String> {
    let path = worker.info.claude_config.join("settings.json");
    let Ok(Some(bytes)) = worker.shell.get(&path, 0, SETTINGS_MAX).await else { return Vec::new() };
    let mut report = check(&String::from_utf8_lossy(&bytes));
    let facts = facts(worker, &report.commands, limit).await;
    let of_file = |it: &HookCommand| check_file(it, *facts.get(it.path.as_deref()?)?);
    report.findings.extend(report.commands.iter().filter_map(of_file));
    let mut hints: Vec<String> = Vec::new();
    for finding in &report.findings {
        let hint = one_line(&tell(path.as_str(), finding), 400);
        if !hints.contains(&hint) {
            hints.push(hint);
        }
    }
    let more = hints.len().saturating_sub(FINDINGS_MAX);
    hints.truncate(FINDINGS_MAX);
    if more != 0 {
        hints.push(format!("{path}: and {more} more"));
    }
    hints
}

fn tell(path: &str, finding: &Finding) -> String {
    let place = match finding.place.as_str() {
        "" => String::new(),
        place => format!(" {place}:"),
    };
    let blocks = if finding.blocks { "; Claude stops at a dialog because of it" } else { "" };
    format!("{path}:{place} {}{blocks}", finding.problem)
}

/// Returns what the host knows of the paths that hooks start; nothing where it does not say.
async fn facts(
    worker: &Worker,
    commands: &[HookCommand],
    limit: Duration,
) -> HashMap<String, FileFacts> {
    let paths: Vec<&str> = commands.iter().filter_map(|it| it.path.as_deref()).collect();
    if paths.is_empty() {
        return HashMap::new();
    }
    let mut command = Command::new(["sh", "-c", LOOK, "sh"]);
    for path in &paths {
        command = command.arg(*path);
    }
    let Ok(output) = run(&*worker.shell, &command, limit).await else { return HashMap::new() };
    let text = output.text();
    let known = paths.iter().zip(text.lines());
    known.map(|(path, line)| ((*path).to_owned(), read_facts(line))).collect()
}

fn read_facts(line: &str) -> FileFacts {
    FileFacts {
        is_file: line.contains('f'),
        is_executable: line.contains('x'),
        has_interpreter: line.contains('i'),
    }
}
