//! What Claude will take a text for.
//!
//! The input box gives some texts another meaning than a prompt: they run a command of the
//! person's machine, open a dialog, or end the session, and none of them is confirmed by the
//! UserPromptSubmit hook.

/// The meaning of a text that is sent to the input box.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meaning {
    /// A prompt; UserPromptSubmit confirms it.
    Prompt,
    /// A command of Claude Code's, such as `/compact`; no hook confirms it, and it may open a
    /// dialog. As the first prompt of a launch it is taken for a command as well.
    Command,
    /// A command for the shell: typed or pasted, `!…` runs at once, without any permission. As the
    /// first prompt of a launch it is a prompt.
    Shell,
    /// Ends the session, even as the first prompt of a launch.
    Quit,
    /// Says nothing.
    Nothing,
}

/// Returns what the text means.
pub fn meaning(text: &str) -> Meaning {
    let text = text.trim();
    let word = text.split_whitespace().next().unwrap_or_default();
    match word.strip_prefix('/') {
        _ if text.is_empty() => Meaning::Nothing,
        _ if matches!(text, "exit" | "quit" | ":q" | ":q!" | ":wq" | ":wq!") => Meaning::Quit,
        Some("exit" | "quit") => Meaning::Quit,
        // A second slash makes it a path, and a path begins a prompt.
        Some(rest) if !rest.is_empty() && !rest.contains('/') => Meaning::Command,
        _ if text.starts_with('!') => Meaning::Shell,
        _ => Meaning::Prompt,
    }
}

/// Tells whether the `confirmed` prompt of a UserPromptSubmit hook is the `sent` one.
///
/// Claude wraps long pastes in a `<pasted_content>` tag, turns tabs into spaces, and drops control
/// characters and the last newlines; so only what is left without those is compared.
pub fn confirms(sent: &str, confirmed: &str) -> bool {
    let confirmed = essence(unwrapped(confirmed));
    // What was typed had its escapes taken out; of what was an argument Claude drops a part.
    [sent, &without_escapes(sent)].iter().any(|it| essence(it) == confirmed)
}

/// Returns what is left of a text after everything that Claude may change.
pub(super) fn essence(text: &str) -> String {
    text.chars().filter(|it| !it.is_whitespace() && !it.is_control()).collect()
}

/// Leaves out control sequences, such as the colours of a pasted log.
pub(super) fn without_escapes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\u{1b}' {
            out.push(c);
        } else if chars.next_if_eq(&'[').is_some() {
            while chars.next().is_some_and(|it| !('@'..='~').contains(&it)) {}
        }
    }
    out
}

pub(super) fn unwrapped(text: &str) -> &str {
    let inner = || {
        let (_, rest) = text.trim().strip_prefix("<pasted_content")?.split_once('>')?;
        let (inner, _) = rest.rsplit_once("</pasted_content")?;
        Some(inner)
    };
    inner().unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_box_s_own_words_are_known() {
        let cases = [
            ("fix it", Meaning::Prompt),
            ("/etc/passwd please read", Meaning::Prompt),
            ("/ what", Meaning::Prompt),
            ("# remember", Meaning::Prompt),
            ("exit the loop early", Meaning::Prompt),
            (" /status now", Meaning::Command),
            ("/nosuch", Meaning::Command),
            ("!rm -rf x", Meaning::Shell),
            ("exit\n", Meaning::Quit),
            ("/exit", Meaning::Quit),
            (" \n", Meaning::Nothing),
        ];
        for (text, want) in cases {
            assert_eq!(meaning(text), want, "{text}");
        }
    }

    #[test]
    fn a_prompt_is_known_again_in_what_claude_made_of_it() {
        let sent = "a\tb\r\nred\u{7}\n";
        assert!(confirms(sent, "a    b\nred"));
        assert!(confirms(
            sent,
            "\n\n<pasted_content id=\"7a6a\">\na    b\nred\n</pasted_content id=\"7a6a\">\n"
        ));
        assert!(!confirms(sent, "a b\nblue"));
        assert!(confirms("\u{1b}[31mred", "red") && confirms("\u{1b}[31mred", "[31mred"));
    }
}
