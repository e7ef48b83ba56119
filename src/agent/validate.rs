//! Checks the hooks in a person's own settings before Claude stumbles over them.
//!
//! A hook that is wrong opens a dialog at the start, which holds up an unattended session, or
//! fails at every turn. The text is judged here; whether a script is there is for a caller with a
//! [`crate::shell::Shell`], who gets the paths to look at and gives [`FileFacts`] back.

use serde_json::{Map, Value};

use crate::{agent::version::all_events, stdx::text::nearest};

/// Fields of a hook by its type: the one it cannot be without.
const TYPES: &[(&str, &str)] = &[
    ("command", "command"),
    ("http", "url"),
    ("prompt", "prompt"),
    ("agent", "prompt"),
    ("mcp_tool", "tool"),
];

/// A hook command found in the settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HookCommand {
    /// The event it is for.
    pub event: String,
    /// The command as written.
    pub command: String,
    /// The script or program it starts, if that is written as a path: to be looked at. `~` and
    /// `$HOME` are left for the host to fill in.
    pub path: Option<String>,
}

/// Something wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: an event, an event and a command, or nothing for the file as a whole.
    pub place: String,
    /// What is wrong and what Claude will do.
    pub problem: String,
    /// Whether Claude stops at a dialog because of it.
    pub blocks: bool,
}

/// What was found in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The commands, in the order of the file's events.
    pub commands: Vec<HookCommand>,
    /// What is wrong.
    pub findings: Vec<Finding>,
}

/// What a host knows of a path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileFacts {
    /// It is there, and a file.
    pub is_file: bool,
    /// It may be executed.
    pub is_executable: bool,
    /// It begins with `#!` or is a program.
    pub has_interpreter: bool,
}

/// Reads the text of a `settings.json`.
pub fn check(text: &str) -> Report {
    let mut report = Report::default();
    if text.trim().is_empty() {
        return report;
    }
    let settings: Value = match serde_json::from_str(text) {
        Ok(settings) => settings,
        Err(error) => {
            let problem = format!(
                "line {}, column {}: is not JSON, so Claude skips the whole file",
                error.line(),
                error.column()
            );
            report.add("", &problem, true);
            return report;
        }
    };
    match settings.get("hooks") {
        None => (),
        Some(Value::Object(hooks)) => report.events(hooks),
        Some(_) => report.add("hooks", "is not an object", true),
    }
    report
}

/// Judges a command by what the host knows of its path.
pub fn check_file(command: &HookCommand, facts: FileFacts) -> Option<Finding> {
    let path = command.path.as_deref()?;
    // What is given to an interpreter need not be executable.
    let is_started = command.command.trim_start().trim_start_matches(['"', '\'']).starts_with(path);
    let problem = match facts {
        FileFacts { is_file: false, .. } => {
            format!("`{path}` is not there: the hook fails each time, with status 127")
        }
        FileFacts { is_executable: false, .. } if is_started => {
            format!("`{path}` is not executable: the hook fails each time, with status 126")
        }
        FileFacts { has_interpreter: false, .. } if is_started => {
            format!("`{path}` has no `#!` line: it runs by `sh`, whatever it is written in")
        }
        _ => return None,
    };
    Some(Finding { place: command.event.clone(), problem, blocks: false })
}

impl Report {
    fn add(&mut self, place: &str, problem: &str, blocks: bool) {
        let finding = Finding { place: place.to_owned(), problem: problem.to_owned(), blocks };
        self.findings.push(finding);
    }

    fn events(&mut self, hooks: &Map<String, Value>) {
        for (event, groups) in hooks {
            if !all_events().any(|it| it == event) {
                let near = nearest(event, all_events());
                let hint = match near.first() {
                    Some(near) => format!("; did you mean {near}?"),
                    None => String::new(),
                };
                let problem = format!("is no hook event that is known here{hint}");
                self.add(event, &problem, true);
            }
            match groups.as_array() {
                Some(groups) => groups.iter().for_each(|it| self.group(event, it)),
                None => self.add(event, "is not a list of matchers", true),
            }
        }
    }

    fn group(&mut self, event: &str, group: &Value) {
        if group.get("matcher").is_some_and(|it| !it.is_string()) {
            self.add(event, "has a matcher that is not a text", true);
        }
        match group.get("hooks").and_then(Value::as_array) {
            Some(hooks) => hooks.iter().for_each(|it| self.hook(event, it)),
            // The commonest mistake: the hook stands where the matcher belongs.
            None if group.get("command").is_some() => {
                self.add(event, "has a hook outside of a `hooks` list", true);
            }
            None => self.add(event, "has an entry without a `hooks` list", true),
        }
    }

    fn hook(&mut self, event: &str, hook: &Value) {
        let text = |key: &str| hook.get(key).and_then(Value::as_str);
        let Some(kind) = text("type") else {
            return self.add(event, "has a hook without a `type`", true);
        };
        let Some((_, needed)) = TYPES.iter().find(|(name, _)| *name == kind) else {
            let names: Vec<&str> = TYPES.iter().map(|(name, _)| *name).collect();
            let problem = format!("has a hook of type `{kind}`; use {}", names.join(", "));
            return self.add(event, &problem, true);
        };
        if text(needed).is_none_or(|it| it.trim().is_empty()) {
            let problem = format!("has a hook of type `{kind}` without a `{needed}`");
            return self.add(event, &problem, true);
        }
        if hook.get("timeout").is_some_and(|it| it.as_f64().is_none_or(|it| it <= 0.0)) {
            self.add(event, "has a hook whose `timeout` is not a number of seconds", true);
        }
        if let (Some(command), "command") = (text("command"), kind) {
            let path = path_of(command);
            let (event, command) = (event.to_owned(), command.to_owned());
            self.commands.push(HookCommand { event, command, path });
        }
    }
}

/// Returns the path that a simple command starts, or gives to an interpreter as its script.
/// Commands that a shell has to take apart are left to it.
fn path_of(command: &str) -> Option<String> {
    let words = words(command)?;
    let mut words = words.iter().map(String::as_str);
    let first = words.next()?;
    let name = first.rsplit('/').next().unwrap_or(first);
    let script = match name {
        "sh" | "bash" | "dash" | "zsh" | "python" | "python3" | "node" | "ruby" | "perl" => {
            words.next()
        }
        _ => Some(first),
    }?;
    let is_path = script.starts_with(['/', '~']) || script.starts_with("$HOME/");
    is_path.then(|| script.to_owned())
}

/// Splits a simple command into words; nothing if it has more to it than quotes.
fn words(command: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    for c in command.trim().chars() {
        match (quote, c) {
            (Some(q), c) if q == c => quote = None,
            (Some(_), c) => word.get_or_insert_default().push(c),
            (None, '"' | '\'') => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            (None, ';' | '&' | '|' | '<' | '>' | '(' | ')' | '`' | '\\' | '\n' | '*' | '?') => {
                return None;
            }
            (None, c) if c.is_whitespace() => words.extend(word.take()),
            (None, c) => word.get_or_insert_default().push(c),
        }
    }
    words.extend(word);
    quote.is_none().then_some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(text: &str) -> Vec<String> {
        check(text).findings.into_iter().map(|it| format!("{}: {}", it.place, it.problem)).collect()
    }

    #[test]
    fn a_good_file_gives_its_commands() {
        let report = check(
            r#"{"model":"opus","hooks":{"Stop":[{"hooks":[
            {"type":"command","command":"\"/opt/my hooks/a.sh\" x","timeout":5},
            {"type":"command","command":"bash ~/b.sh"},
            {"type":"command","command":"jq . | tee /tmp/x"},
            {"type":"command","command":"say done"},
            {"type":"http","url":"http://localhost:1"}]}]}}"#,
        );
        assert_eq!(report.findings, []);
        let paths: Vec<Option<&str>> =
            report.commands.iter().map(|it| it.path.as_deref()).collect();
        assert_eq!(paths, [Some("/opt/my hooks/a.sh"), Some("~/b.sh"), None, None]);
        assert_eq!(check(""), Report::default());
        assert_eq!(check("{}"), Report::default());
    }

    #[test]
    fn each_mistake_is_named() {
        assert_eq!(
            problems("{\n\"hooks\": {,}\n}"),
            [": line 2, column 11: is not JSON, so Claude skips the whole file"]
        );
        let cases = [
            (r#"{"Stopp":[]}"#, "Stopp: is no hook event that is known here; did you mean Stop?"),
            (r#"{"Stop":{}}"#, "Stop: is not a list of matchers"),
            (
                r#"{"Stop":[{"type":"command","command":"x"}]}"#,
                "Stop: has a hook outside of a `hooks` list",
            ),
            (r#"{"Stop":[{}]}"#, "Stop: has an entry without a `hooks` list"),
            (r#"{"Stop":[{"hooks":[{}]}]}"#, "Stop: has a hook without a `type`"),
            (
                r#"{"Stop":[{"hooks":[{"type":"cmd"}]}]}"#,
                "Stop: has a hook of type `cmd`; use command, http, prompt, agent, mcp_tool",
            ),
            (
                r#"{"Stop":[{"hooks":[{"type":"command","command":" "}]}]}"#,
                "Stop: has a hook of type `command` without a `command`",
            ),
            (r#"[]"#, "hooks: is not an object"),
        ];
        for (hooks, want) in cases {
            assert_eq!(problems(&format!("{{\"hooks\":{hooks}}}")), [want], "{hooks}");
        }
    }

    #[test]
    fn files_are_judged_by_what_the_host_knows() {
        let command = |text: &str| HookCommand {
            event: "Stop".into(),
            command: text.into(),
            path: path_of(text),
        };
        let judge = |text: &str, facts| check_file(&command(text), facts).map(|it| it.problem);
        let good = FileFacts { is_file: true, is_executable: true, has_interpreter: true };
        assert_eq!(judge("/a.sh", good), None);
        assert!(judge("/a.sh", FileFacts::default()).unwrap().contains("not there"));
        let plain = FileFacts { is_executable: false, ..good };
        assert!(judge("'/a.sh' x", plain).unwrap().contains("not executable"));
        assert_eq!(judge("sh /a.sh", plain), None);
        let bare = FileFacts { has_interpreter: false, ..good };
        assert!(judge("/a.sh", bare).unwrap().contains("#!"));
        assert_eq!(judge("jq .", FileFacts::default()), None);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in any::<String>()) {
            check(&text);
            path_of(&text);
        }
    }
}
