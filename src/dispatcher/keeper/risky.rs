//! Commands that delete or rewrite what nobody else has: pure.

/// Tells whether a shell command looks as if it deleted files or rewrote history. A guess, made to
/// err on the side of a checkpoint too many: nothing is refused for it.
pub fn is_risky(command: &str) -> bool {
    let words: Vec<&str> = command
        .split(|c: char| c.is_whitespace() || matches!(c, ';' | '&' | '|' | '(' | ')' | '`' | '"'))
        .map(|it| it.trim_matches('\''))
        .filter(|it| !it.is_empty())
        .collect();
    words.iter().enumerate().any(|(at, word)| {
        let rest = &words[at + 1..];
        match word.rsplit('/').next() {
            Some("rm") => rest.iter().take_while(|it| it.starts_with('-')).any(|it| removes(it)),
            Some("git") => is_risky_git(rest),
            Some("shred" | "truncate" | "mkfs" | "dd") => true,
            Some("find") => rest.contains(&"-delete"),
            _ => false,
        }
    })
}

/// `-r`, `-rf`, `-fr`, `-R`, `--recursive`.
fn removes(flag: &str) -> bool {
    flag == "--recursive" || !flag.starts_with("--") && flag.contains(['r', 'R'])
}

fn is_risky_git(words: &[&str]) -> bool {
    let has = |flags: &[&str]| words.iter().any(|it| flags.contains(it));
    let mut own = words.iter().skip_while(|it| it.starts_with('-')).copied();
    // `git -C dir reset` and `git -c name=value reset`: the word after the flag is its value.
    let first = match words.first() {
        Some(&("-C" | "-c")) => words.get(2).copied(),
        _ => own.next(),
    };
    match first {
        Some("reset") => has(&["--hard", "--merge", "--keep"]),
        Some("checkout") => has(&["--", "-f", "--force", "."]),
        Some("restore" | "clean" | "filter-branch" | "rebase") => true,
        Some("switch") => has(&["-f", "--force", "--discard-changes"]),
        Some("push") => words.iter().any(|it| *it == "-f" || it.starts_with("--force")),
        Some("stash") => has(&["drop", "clear"]),
        Some("branch") => has(&["-D"]),
        Some("worktree") => has(&["remove"]),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_deletes_or_rewrites_is_risky() {
        for command in [
            "rm -rf target",
            "cd x && rm -fr .",
            "sudo /bin/rm -r -f a",
            "rm --recursive a",
            "git reset --hard HEAD~1",
            "git -C sub reset --hard",
            "git clean -fdx",
            "git checkout -- .",
            "git checkout .",
            "git push -f origin main",
            "git push --force-with-lease",
            "find . -name '*.o' -delete",
            "sh -c 'rm -rf a'",
            "git stash drop",
        ] {
            assert!(is_risky(command), "{command}");
        }
    }

    #[test]
    fn what_does_not_is_not() {
        for command in [
            "",
            "ls -r",
            "rm a.txt",
            "rm -f a.txt",
            "git status",
            "git checkout main",
            "git push",
            "git reset HEAD a",
            "cargo test -- --force",
            "echo rm",
            "git stash",
        ] {
            assert!(!is_risky(command), "{command}");
        }
    }
}
