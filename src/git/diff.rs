//! What a work tree differs by from the commit it began with.

use std::time::Duration;

use crate::{
    domain::ids::HostPath,
    git::{Git, GitError, Repo, command},
    shell::run,
    stdx::text::{one_line, printable},
};

/// The most of the differences that are given as text, in bytes.
pub const TEXT_MAX: usize = 256 * 1024;

/// The most files that are listed; more are counted.
const FILES_MAX: usize = 2000;

/// The longest path listed, in characters.
const PATH_MAX: usize = 400;

/// Says where branch `$1` began, by the oldest thing its log tells of it; else the newest commit.
/// Then lists the new files.
const BEGIN: &str = "shift; branch=$1; shift; \
    base=; [ -z \"$branch\" ] || \
        base=$(git \"$@\" reflog show --format=%H \"$branch\" -- 2>/dev/null | tail -n 1); \
    git \"$@\" rev-parse -q --verify \"${base:-HEAD}^{commit}\" \
        || git \"$@\" rev-parse --verify 'HEAD^{commit}' || exit; \
    exec git \"$@\" ls-files -z --others --exclude-standard";

/// Compares with commit `$1`: how much of each file, an empty entry, then the differences, at most
/// `$2` bytes of them. New files, which come on stdin, are told to a copy of the index, so that
/// nothing is written to the repository but git's empty object, by which it knows new files.
const COMPARE: &str = "shift; base=$1 max=$2 own=$3; shift 3; \
    copy=$(mktemp) || exit; trap 'rm -f \"$copy\" \"$copy.lock\"' EXIT; \
    cp -p -- \"$own\" \"$copy\" 2>/dev/null || rm -f \"$copy\"; \
    GIT_INDEX_FILE=$copy; export GIT_INDEX_FILE; \
    git --literal-pathspecs \"$@\" add --intent-to-add --pathspec-from-file=- \
        --pathspec-file-nul 2>/dev/null; \
    compare() { git \"$@\" \"$base\" --; }; \
    set -- \"$@\" diff --no-color --no-ext-diff --no-textconv --no-renames \
        --ignore-submodules=dirty; \
    compare \"$@\" --numstat -z || exit; printf '\\000'; \
    compare \"$@\" --patch | head -c \"$max\"";

/// The differences.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// The commit compared with.
    pub base: String,
    /// Files that differ, the first of them.
    pub files: Vec<FileDifference>,
    /// How many files differ in all.
    pub count: u32,
    /// The differences as `git diff` writes them, fit to show, cut at the end of a line.
    pub text: String,
    /// Whether text or list is not all.
    pub cut: bool,
}

/// A file that differs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileDifference {
    /// Its path from the repository's top, fit to show.
    pub path: String,
    /// Lines added and removed; nothing for what is not text.
    pub lines: Option<(u32, u32)>,
    /// `A`, `M` or `D` for added, modified and deleted, `T` for another kind of file; nothing if
    /// that was not asked.
    pub status: Option<char>,
    /// What its mode says that it is now, if another than before: `executable`, `a link`.
    pub now: Option<&'static str>,
}

impl Git {
    /// Compares a whole work tree, new files as well, with the commit that `branch` began with;
    /// without a branch, or if that is not known any more, with its newest commit.
    ///
    /// # Errors
    ///
    /// If git refuses, if there is no commit yet, or if it takes longer than `limit`.
    pub async fn difference(
        &self,
        repo: &Repo,
        branch: Option<&str>,
        limit: Duration,
    ) -> Result<Difference, GitError> {
        let branch = branch.map(|it| format!("refs/heads/{it}")).unwrap_or_default();
        let asked = self.script(BEGIN, &repo.root, &[&branch], Vec::new(), limit).await?;
        let (base, new) = split_once(&asked, b'\n');
        let base = String::from_utf8_lossy(base).trim().to_owned();
        // A directory among the files is a repository of its own, which git would not take.
        let new: Vec<u8> = new
            .split_inclusive(|it| *it == 0)
            .filter(|it| !it.ends_with(b"/\0"))
            .flatten()
            .copied()
            .collect();
        let max = (TEXT_MAX + 1).to_string();
        let index = repo.git_dir.join("index");
        let words = [base.as_str(), &max, index.as_str()];
        let said = self.script(COMPARE, &repo.root, &words, new, limit).await?;
        Ok(parse(base, &said))
    }

    /// Runs a script whose arguments are `words` and then git with its settings.
    async fn script(
        &self,
        script: &str,
        dir: &HostPath,
        words: &[&str],
        stdin: Vec<u8>,
        limit: Duration,
    ) -> Result<Vec<u8>, GitError> {
        let mut command = command(script, dir, "").stdin(stdin);
        // Behind `sh -c SCRIPT git INDEX`, before what git is given.
        let words = words.iter().map(|it| it.as_bytes().to_vec());
        command.argv.splice(5..5, words);
        let output = run(&*self.shell, &command, limit).await?;
        Ok(self.checked("compare the work tree", output)?.stdout)
    }
}

fn split_once(bytes: &[u8], at: u8) -> (&[u8], &[u8]) {
    match bytes.iter().position(|it| *it == at) {
        Some(it) => (&bytes[..it], &bytes[it + 1..]),
        None => (bytes, &[]),
    }
}

fn parse(base: String, said: &[u8]) -> Difference {
    let mut difference = Difference { base, ..Difference::default() };
    let mut rest = said;
    loop {
        let (entry, more) = split_once(rest, 0);
        rest = more;
        if entry.is_empty() {
            break;
        }
        difference.count += 1;
        if difference.files.len() < FILES_MAX {
            difference.files.extend(file(entry));
        }
    }
    let whole = rest.len() <= TEXT_MAX;
    let text = match rest.iter().take(TEXT_MAX).rposition(|it| *it == b'\n') {
        Some(end) if !whole => &rest[..=end],
        _ => &rest[..rest.len().min(TEXT_MAX)],
    };
    difference.text = printable(&String::from_utf8_lossy(text));
    difference.cut = !whole || FILES_MAX < difference.count as usize;
    difference
}

/// Reads `ADDED TAB REMOVED TAB PATH`; both are a dash where it is not text.
fn file(entry: &[u8]) -> Option<FileDifference> {
    let (added, rest) = split_once(entry, b'\t');
    let (removed, path) = split_once(rest, b'\t');
    let number = |it: &[u8]| std::str::from_utf8(it).ok()?.parse::<u32>().ok();
    let path = one_line(&String::from_utf8_lossy(path), PATH_MAX);
    let lines = number(added).zip(number(removed));
    Some(FileDifference { path, lines, ..FileDifference::default() })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_too_long_is_cut_at_the_end_of_a_line() {
        let mut said = b"1\t0\ta b\0-\t-\tpic\0\0".to_vec();
        said.extend("+one more line\n".repeat(TEXT_MAX / 15 + 9).into_bytes());
        let found = parse("c0ffee".into(), &said);
        let file = |path: &str, lines| FileDifference {
            path: path.into(),
            lines,
            ..FileDifference::default()
        };
        assert_eq!(found.files, [file("a b", Some((1, 0))), file("pic", None)]);
        assert!(found.cut && found.text.ends_with("line\n") && found.text.len() <= TEXT_MAX);
    }

    proptest! {
        #[test]
        fn no_answer_panics(said in proptest::collection::vec(any::<u8>(), 0..200)) {
            let found = parse(String::new(), &said);
            let bad = found.text.chars().find(|c| c.is_control() && !matches!(c, '\n' | '\t'));
            prop_assert_eq!(bad, None);
        }
    }
}
