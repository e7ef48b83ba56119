//! What a captured screen shows: the input box, or a dialog.
//!
//! Works on the text of `tmux capture-pane -p`, better with `-e`: ghost text in the box is told
//! from a draft by being dim. A dialog is looked for only where there is no input box, since the
//! conversation above the box may quote anything.

use crate::stdx::text::one_line;

/// What can be typed into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// The box is there and empty.
    Empty,
    /// The box holds text that was not sent. Long pastes show as `[Pasted text #1 +29 lines]`.
    Draft(String),
    /// A dialog takes the keys.
    Dialog(Dialog),
    /// Neither: Claude is starting, has ended, or shows something new.
    NotFound,
}

/// A dialog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dialog {
    /// What it is called here.
    pub name: &'static str,
    /// Its first words.
    pub excerpt: String,
    /// Whether a hook reports it, so that there is nothing to be learned from the screen.
    pub hooked: bool,
}

/// Dialogs by words of theirs. The first that fits counts.
const DIALOGS: &[(&str, &str)] = &[
    ("theme", "Choose the text style that looks best"),
    ("api-key", "Detected a custom API key"),
    ("security-notes", "Security notes:"),
    ("trust-folder", "Quick safety check: Is this a project you"),
    ("bypass-warning", "WARNING: Claude Code running in Bypass"),
    ("mcp-server", "New MCP server found"),
    ("mcp-server", "new MCP servers found"),
    ("external-imports", "Allow external CLAUDE.md file imports?"),
    ("settings-warning", "Settings Warning"),
    ("settings-error", "Settings Error"),
    ("auto-mode-check", "Auto mode can't check actions"),
    ("auto-mode-offer", "Make auto mode your default permission mode?"),
    ("login", "Select login method"),
    ("login", "Paste code here if prompted"),
];

/// Dialogs that the PermissionRequest hook reports.
const HOOKED: &[(&str, &str)] = &[
    ("plan", "Exit plan mode?"),
    ("plan", "Ready to code?"),
    ("plan", "Would you like to proceed?"),
    ("question", "Enter to select ·"),
    ("question", "Review your answers"),
    ("permission", "Do you want to "),
];

/// What every other dialog ends with.
const FOOTERS: &[&str] = &["Enter to confirm", "Esc to cancel", "Press Enter to continue"];

/// How far above the end of the screen the box may end, in lines that are not blank: below it
/// come the status line and a list of completions.
const BELOW_MAX: usize = 24;

/// Returns what the screen offers to type into.
pub fn input(capture: &str) -> Input {
    let lines: Vec<Vec<Cell>> = cells(capture);
    if let Some(draft) = input_box(&lines) {
        return if draft.is_empty() { Input::Empty } else { Input::Draft(draft) };
    }
    let texts: Vec<String> = lines.iter().map(|it| plain(it)).collect();
    dialog(&texts).map_or(Input::NotFound, Input::Dialog)
}

/// Tells whether a turn runs, by the hint below the input box.
pub fn is_busy(capture: &str) -> bool {
    let lines = cells(capture);
    let tail = lines.iter().rev().filter(|it| !it.is_empty()).take(BELOW_MAX);
    tail.into_iter().any(|it| plain(it).contains("esc to interrupt"))
}

fn dialog(lines: &[String]) -> Option<Dialog> {
    let find = |needle: &str| lines.iter().rposition(|it| it.contains(needle));
    let found = |name, at: usize, hooked| {
        let text = lines.get(at..).unwrap_or_default().join(" ");
        Some(Dialog { name, excerpt: one_line(text.trim_matches(['─', ' ']), 300), hooked })
    };
    for (table, hooked) in [(DIALOGS, false), (HOOKED, true)] {
        for (name, needle) in table {
            if let Some(at) = find(needle) {
                return found(name, at, hooked);
            }
        }
    }
    FOOTERS.iter().find_map(|it| find(it))?;
    // One that is not known: from the last rule on, which dialogs open with.
    let at = lines.iter().rposition(|it| is_rule(it)).map_or(0, |it| it + 1);
    found("unknown", at, false)
}

/// Returns the text of the input box, without ghost text, or nothing if there is no box.
fn input_box(lines: &[Vec<Cell>]) -> Option<String> {
    let blank = |it: &&Vec<Cell>| plain(it).trim().is_empty();
    let rules: Vec<usize> = (0..lines.len()).filter(|at| is_rule(&plain(&lines[*at]))).collect();
    let (top, bottom) = rules.windows(2).rev().find_map(|pair| {
        let (top, bottom) = (*pair.first()?, *pair.get(1)?);
        let mark = lines.get(top + 1)?.first()?.c;
        (top + 1 < bottom && matches!(mark, '❯' | '!')).then_some((top, bottom))
    })?;
    let below = lines.get(bottom..)?.iter().filter(|it| !blank(it)).count();
    if BELOW_MAX < below {
        return None;
    }
    let inside = lines.get(top + 1..bottom)?;
    let text = |ghost: bool| -> String {
        let rows = inside.iter().map(|line| {
            let cells = line.iter().skip(2).filter(|it| it.dim == ghost);
            cells.map(|it| it.c).collect::<String>().trim_end().to_owned()
        });
        rows.collect::<Vec<String>>().join("\n").trim_end().to_owned()
    };
    let (draft, ghost) = (text(false), text(true));
    // The cursor stands on the first character of ghost text, which is not dim then.
    let hint = draft.chars().count() < 2 && !ghost.trim().is_empty();
    // Without styles there is only the wording to go by.
    if hint || draft == "Press up to edit queued messages" {
        return Some(String::new());
    }
    let shell = inside.first()?.first()?.c == '!';
    Some(if shell { format!("!{draft}") } else { draft })
}

/// A line across the screen; the upper one of the box may carry the session's name at its end.
fn is_rule(line: &str) -> bool {
    let line = line.trim_end();
    line.starts_with("────") && line.ends_with('─')
}

#[derive(Clone, Copy, Debug)]
struct Cell {
    c: char,
    dim: bool,
}

fn plain(line: &[Cell]) -> String {
    line.iter().map(|it| it.c).collect()
}

/// Takes the escape sequences out of a capture and keeps of them what is dim. A style lasts over
/// the ends of lines.
fn cells(capture: &str) -> Vec<Vec<Cell>> {
    let mut lines = vec![Vec::new()];
    let mut dim = false;
    let mut chars = capture.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '\n' => lines.push(Vec::new()),
            '\u{1b}' => match chars.next() {
                Some('[') => {
                    let mut body = String::new();
                    let end = chars.by_ref().find(|it| {
                        body.push(*it);
                        ('@'..='~').contains(it)
                    });
                    if end == Some('m') {
                        dim = is_dim(body.trim_end_matches('m'), dim);
                    }
                }
                // A link or a title: up to BEL or ESC \.
                Some(']') => while chars.next().is_some_and(|it| it != '\u{7}' && it != '\\') {},
                _ => (),
            },
            c if c.is_control() => (),
            c => {
                if let Some(line) = lines.last_mut() {
                    line.push(Cell { c, dim });
                }
            }
        }
    }
    lines
}

/// Returns whether text is dim after the parameters of an SGR sequence.
fn is_dim(parameters: &str, before: bool) -> bool {
    let mut dim = before;
    let mut numbers = parameters.split([';', ':']).map(|it| it.parse::<u32>().unwrap_or_default());
    while let Some(number) = numbers.next() {
        match number {
            0 | 22 => dim = false,
            2 => dim = true,
            // A colour's own numbers are no styles: 38;5;n and 38;2;r;g;b.
            38 | 48 | 58 => match numbers.next() {
                Some(5) => drop(numbers.next()),
                Some(2) => drop(numbers.by_ref().take(3).count()),
                _ => (),
            },
            _ => (),
        }
    }
    dim
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULE: &str = "────────────────────────────────────────";

    fn boxed(inside: &str) -> String {
        format!(
            "● Earlier words: Settings Warning\n{RULE} a name ─\n{inside}\n{RULE}\n  parhelia\n  \
             ⏸ manual mode on · esc to interrupt\n\n\n"
        )
    }

    #[test]
    fn the_box_is_empty_or_holds_a_draft() {
        let cases = [
            ("❯\u{a0}", Input::Empty),
            ("\u{1b}[39m❯\u{a0}\u{1b}[7m \u{1b}[0m", Input::Empty),
            ("❯\u{a0}Press up to edit queued messages", Input::Empty),
            ("❯\u{a0}\u{1b}[7mT\u{1b}[0;2mry this\u{1b}[0m", Input::Empty),
            ("❯\u{a0}a draft", Input::Draft("a draft".into())),
            ("❯\u{a0}\u{1b}[38;5;2ma\u{1b}[39m b", Input::Draft("a b".into())),
            ("❯\u{a0}one\n  two\n\n  three", Input::Draft("one\ntwo\n\nthree".into())),
            (
                "❯\u{a0}[Pasted text #1 +29 lines]",
                Input::Draft("[Pasted text #1 +29 lines]".into()),
            ),
            ("!\u{a0}ls", Input::Draft("!ls".into())),
        ];
        for (inside, want) in cases {
            assert_eq!(input(&boxed(inside)), want, "{inside}");
        }
        assert!(is_busy(&boxed("❯\u{a0}")));
    }

    #[test]
    fn dialogs_are_known_by_their_words() {
        let trust = format!(
            "{RULE}\n Accessing workspace:\n /w\n Quick safety check: Is this a project you created \
             or one you trust?\n ❯ No, exit\n   Yes, I trust this folder\n Enter to confirm · Esc to \
             cancel\n"
        );
        let permission = format!(
            "❯ do it\n{RULE}\n Bash command\n echo hi\n Do you want to proceed?\n ❯ 1. Yes\n   2. \
             No\n Esc to cancel · Tab to amend\n{RULE} a name ─\n"
        );
        let question = format!(
            "{RULE}\n ☐ Colour\nWhich colour?\n❯ 1. Red\n  2. Blue\n{RULE}\n  4. Chat about this\n\
             Enter to select · ↑/↓ to navigate · Esc to cancel\n"
        );
        let new = format!("{RULE}\n A question of next year?\n ❯ 1. No\n Enter to confirm\n");
        let cases = [
            (trust, "trust-folder", false),
            (permission, "permission", true),
            (question, "question", true),
            (new, "unknown", false),
        ];
        for (screen, name, hooked) in cases {
            let Input::Dialog(dialog) = input(&screen) else { panic!("{name}: {screen}") };
            assert_eq!((dialog.name, dialog.hooked), (name, hooked), "{screen}");
            assert!(!dialog.excerpt.is_empty());
        }
        assert_eq!(input(""), Input::NotFound);
        assert_eq!(input("Resume this session with:\nclaude --resume x\n"), Input::NotFound);
    }

    proptest! {
        #[test]
        fn no_screen_panics(text in "[─❯!\u{a0}a1 \n\u{1b}\\[\\];m2❯]{0,200}") {
            input(&text);
            is_busy(&text);
        }

        #[test]
        fn no_text_panics(text in any::<String>()) {
            input(&text);
        }
    }
}
