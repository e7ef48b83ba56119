//! The scripts that look at the directory and change it, unit by unit.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    checkpoint::{
        CheckpointError,
        repo::Repo,
        restore::judge::{Is, Leaf, Places, parse_differing},
    },
    domain::ids::HostPath,
    shell::{Output, run},
};

/// Goes to the directory `$2` below `$1`, by directories only, no links: `$at` is where it got.
/// `$3` is what to do where nothing is. What is in `$1` itself may be a link of the user's.
pub(super) const DESCEND: &str = "descend() { \
        top=$1 rest=${2:+$2/} at=$1 rel=; \
        while :; do \
            if [ ! -d \"$at\" ] || { [ -n \"$rel\" ] && [ -L \"$at\" ]; }; then \
                if [ -e \"$at\" ] || [ -L \"$at\" ]; then return 46; fi; \
                [ \"$3\" = make ] || return 45; \
                if [ -n \"$rel\" ]; then mkdir \"$at\" || return 1; \
                else (umask 077; mkdir -p \"${at%/*}/\") && mkdir \"$at\" || return 1; fi; \
            fi; \
            [ -n \"$rest\" ] || break; \
            rel=${rel:+$rel/}${rest%%/*}; rest=${rest#*/}; at=$top/$rel; \
        done; \
    }; ";

/// Takes the words that every script here is given: the index that it works with, the workspace,
/// the unit in it.
const WORDS: &str = "index=$GIT_DIR/$1 dir=$2 unit=$3; shift 3; ";

/// Says which of the files on stdin are not in the directory as they are told there, and keeps the
/// index of those: what is the same as it is told need not be read again.
const COMPARE: &str = "rm -f \"$index\" \"$index.lock\" || exit; \
    descend \"$dir\" \"$unit\" || exec printf 'nowhere\\000'; cd \"$at\" || exit; \
    GIT_WORK_TREE=$at GIT_INDEX_FILE=$index; export GIT_WORK_TREE GIT_INDEX_FILE; \
    g update-index -z --index-info || exit; \
    g update-index -q --refresh >/dev/null 2>&1; \
    g diff-files -z --raw";

/// Takes files away and writes others. What is taken away is in the index, but for what the first
/// `$3` bytes of stdin tell it; what is written is told by the rest, or is the tree `$4`.
/// `$1` is what the directories that are made may be, `$2` the index that is known.
///
/// That nothing else is touched is for git to see to, which looks once more at each file.
const GO: &str = "mask=$1 known=$GIT_DIR/$2 head=$3 to=$4; \
    cat > \"$index.in\" || exit; \
    rm -f \"$index\" \"$index.lock\" \"$index.to\" \"$index.to.lock\" || exit; \
    if [ -z \"$to\" ]; then \
        GIT_INDEX_FILE=$index.to; export GIT_INDEX_FILE; \
        tail -c \"+$((head + 1))\" \"$index.in\" | g update-index -z --index-info || exit; \
        to=$(g write-tree --missing-ok) || exit; \
    fi; \
    (umask \"$mask\"; descend \"$dir\" \"$unit\" make) || exit; \
    descend \"$dir\" \"$unit\" && cd \"$at\" || exit; \
    GIT_WORK_TREE=$at GIT_INDEX_FILE=$index; export GIT_WORK_TREE GIT_INDEX_FILE; \
    [ ! -e \"$known\" ] || cp -p \"$known\" \"$index\" || exit; \
    head -c \"$head\" \"$index.in\" | g update-index -z --index-info || exit; \
    g update-index -q --refresh >/dev/null 2>&1; \
    from=$(g write-tree --missing-ok) || exit; \
    umask \"$mask\"; g read-tree -m -u \"$from\" \"$to\"";

/// Deletes the file `$2` if it begins as the blob `$1` does and is shorter: it was being written
/// when an earlier attempt ended. Says so.
const PARTIAL: &str = "descend \"$dir\" \"$unit\" && cd \"$at\" || exit; \
    [ -f \"./$2\" ] && [ ! -L \"./$2\" ] || exit 0; length=$(wc -c < \"./$2\") || exit; \
    [ \"$length\" -lt \"$(g cat-file -s \"$1\")\" ] || exit 0; \
    g cat-file blob \"$1\" | head -c \"$length\" | cmp -s - \"./$2\" && rm -f \"./$2\" && echo gone; \
    exit 0";

/// Says what `$name` is: nothing, `dir`, or the blob that a file or a link is.
const WHAT: &str = "what() { \
        if [ -L \"$name\" ]; then link=$(readlink \"$name\"; printf .); link=${link%?.}; \
            printf %s \"$link\" | g hash-object --stdin; \
        elif [ -d \"$name\" ]; then echo dir; \
        elif [ -f \"$name\" ]; then g hash-object --no-filters --stdin < \"$name\"; \
        elif [ -e \"$name\" ]; then echo other; fi; }; \
    case $2 in */*) parent=${2%/*};; *) parent=;; esac; name=./${2##*/}; ";

/// Says what is at `$2` in `$1`.
const SEE: &str = "descend \"$1\" \"$parent\" || exit 0; cd \"$at\" || exit; what";

/// Puts a file or a link called `.git` in its place `$2` in `$1`: `$4` is its blob, nothing to
/// delete what is there; `$5` the mode, `link` for a link. Only `$3` may be there.
const PUT: &str = "descend \"$1\" \"$parent\" make || exit; cd \"$at\" || exit; \
    is=$(what) || exit; \
    case $is in ''|\"$3\"|\"$4\") :;; dir) rmdir \"$name\" || exit 46;; *) exit 46;; esac; \
    if [ -z \"$4\" ]; then exec rm -f \"$name\"; fi; rm -f \"$name.restoring\"; \
    if [ \"$5\" = link ]; then \
        link=$(g cat-file blob \"$4\" && printf .) || exit; \
        ln -s \"${link%.}\" \"$name.restoring\" || exit; \
    else g cat-file blob \"$4\" > \"$name.restoring\" && chmod \"$5\" \"$name.restoring\" || exit; fi; \
    exec mv -f \"$name.restoring\" \"$name\"";

/// Says what in the way of paths on stdin is, words and paths in turn: `above` something that shall
/// be a directory, `at` something that shall be none.
const PLACES: &str = "cd \"$1\" || exit; exec xargs -0 -n 900 sh -c \"$2\" sh";

/// See [`PLACES`].
const EACH_PLACE: &str = "while [ $# -gt 0 ]; do \
        if [ \"$1\" = above ]; then \
            if [ -L \"./$2\" ] || { [ -e \"./$2\" ] && [ ! -d \"./$2\" ]; }; then \
                printf 'blocks\\000%s\\000' \"$2\"; fi; \
        elif [ -d \"./$2\" ] && [ ! -L \"./$2\" ]; then \
            printf 'dir\\000%s\\000' \"$2\"; \
            find \"./$2\" ! -type d -exec sh -c 'for it do printf \"inside\\\\000%s\\\\000\" \"${it#./}\"; done' sh {} +; \
        fi; shift 2; done";

/// Says whether the directory `$1` is there, and what is in it but `.git`.
const TOP: &str = "[ -d \"$1\" ] || exec printf 'absent\\000'; cd \"$1\" || exit; printf 'here\\000'; \
    find . ! -name . -prune ! -name .git -exec sh -c \
        'for it do printf \"%s\\000\" \"${it#./}\"; done' sh {} +";

/// Says whether `$2` in `$1` is the repository there by another name.
const SAME: &str = "cd \"$1\" && [ -e .git ] && [ -e \"./$2\" ] || exit 0; \
    one=$(ls -di .git) two=$(ls -di \"./$2\") || exit; \
    [ \"${one% .git}\" != \"${two%% ./*}\" ] || echo same";

/// What a script ends with that finds something else than it was told.
pub(super) const CHANGED: i32 = 46;

/// The directory of a unit.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub repo: &'a Repo,
    pub to: &'a HostPath,
    pub limit: Duration,
    /// Where the unit is in the workspace.
    pub unit: &'a [u8],
}

/// What is to be done in a unit.
#[derive(Debug)]
pub(super) struct Going {
    /// The index that [`At::compare`] kept.
    pub known: String,
    /// What of it stays as it is.
    pub stays: Vec<u8>,
    /// What is written.
    pub told: Vec<u8>,
    /// Or the whole tree.
    pub tree: String,
    /// What new directories may be.
    pub mask: u32,
}

/// What going from one state to the other left undone.
pub(super) struct Gone {
    pub output: Output,
}

/// Returns a line by which git learns of a file.
pub(super) fn info(path: &[u8], (mode, id): (u32, &str)) -> Vec<u8> {
    [format!("{mode:o} {id}\t").as_bytes(), path, b"\0"].concat()
}

impl At<'_> {
    async fn run(
        &self,
        script: &str,
        index: &str,
        more: &[&[u8]],
        stdin: Vec<u8>,
    ) -> Result<Output, CheckpointError> {
        let mut words = vec![index.as_bytes(), self.to.as_str().as_bytes(), self.unit];
        words.extend(more);
        let script = [DESCEND, WORDS, script].concat();
        let command = self.repo.command(&script, &words).stdin(stdin);
        Ok(run(&*self.repo.shell, &command, self.limit).await?)
    }

    /// Returns which of the files `told` are not as told, and whether anything is there.
    /// Nothing if the unit's directory is not there.
    pub async fn compare(
        &self,
        index: &str,
        told: Vec<u8>,
    ) -> Result<Option<BTreeMap<Vec<u8>, bool>>, CheckpointError> {
        let output = self.run(COMPARE, index, &[], told).await?;
        let said = self.repo.checked("compare the workspace", output)?.stdout;
        Ok((said != b"nowhere\0").then(|| parse_differing(&said)))
    }

    /// Makes the directory, and what leads to it.
    pub async fn make(&self, mask: u32) -> Result<(), CheckpointError> {
        let script = [DESCEND, "umask \"$3\"; descend \"$1\" \"$2\" make"].concat();
        let mask = format!("{mask:04o}");
        let words = [self.to.as_str().as_bytes(), self.unit, mask.as_bytes()];
        let output =
            run(&*self.repo.shell, &self.repo.command(&script, &words), self.limit).await?;
        self.repo.checked("make the directory", output).map(drop)
    }

    /// Takes files away and writes others.
    pub async fn go(&self, index: &str, it: Going) -> Result<Gone, CheckpointError> {
        let (mask, head) = (format!("{:04o}", it.mask), it.stays.len().to_string());
        let more = [mask.as_bytes(), it.known.as_bytes(), head.as_bytes(), it.tree.as_bytes()];
        let stdin = [it.stays, it.told].concat();
        Ok(Gone { output: self.run(GO, index, &more, stdin).await? })
    }

    /// Deletes a file that an earlier attempt left half written. Returns whether it was one.
    pub async fn drop_partial(&self, path: &[u8], id: &str) -> Result<bool, CheckpointError> {
        let output = self.run(PARTIAL, "", &[id.as_bytes(), path], Vec::new()).await?;
        Ok(self.repo.checked("look at a file", output)?.text() == "gone")
    }

    /// Looks at what is called `.git` and is no directory in either state.
    pub async fn see(
        &self,
        (from, to): (Option<&Leaf>, Option<&Leaf>),
    ) -> Result<Is, CheckpointError> {
        let words = [self.to.as_str().as_bytes(), self.unit];
        let command = self.repo.command(&[DESCEND, WHAT, SEE].concat(), &words);
        let output = run(&*self.repo.shell, &command, self.limit).await?;
        let is = self.repo.checked("look at a file", output)?.text();
        let known = |it: Option<&Leaf>| it.is_some_and(|it| it.id == is);
        Ok(match &*is {
            "" | "dir" => Is::Nothing,
            _ if known(from) => Is::From,
            _ if known(to) => Is::To,
            _ => Is::Other,
        })
    }

    /// Puts what is called `.git` and is no directory in its place, or takes it away if there is no
    /// `to`. Fails with [`CHANGED`] if something else is there than `from`.
    pub async fn put(
        &self,
        from: Option<&Leaf>,
        to: Option<&Leaf>,
    ) -> Result<Output, CheckpointError> {
        let id = |it: Option<&Leaf>| it.map_or_else(Vec::new, |it| it.id.clone().into_bytes());
        let mode = if to.is_some_and(Leaf::is_file) { "644" } else { "link" };
        let place = [self.to.as_str().as_bytes().to_vec(), self.unit.to_vec()];
        let words = [&place[..], &[id(from), id(to), mode.into()]].concat();
        let command = self.repo.command(&[DESCEND, "umask 022; ", WHAT, PUT].concat(), &words);
        Ok(run(&*self.repo.shell, &command, self.limit).await?)
    }

    /// Says what is in the way of files: `above` are the directories that lead to them, `at` their
    /// own places.
    pub async fn places<'a>(
        &self,
        above: impl Iterator<Item = &'a [u8]>,
        at: impl Iterator<Item = &'a [u8]>,
    ) -> Result<Places, CheckpointError> {
        let mut stdin = Vec::new();
        let all = above.map(|it| (&b"above"[..], it)).chain(at.map(|it| (&b"at"[..], it)));
        for (word, path) in all {
            stdin.extend_from_slice(&[word, b"\0", path, b"\0"].concat());
        }
        if stdin.is_empty() {
            return Ok(Places::default());
        }
        let words = [self.to.as_str(), EACH_PLACE];
        let command = self.repo.command(PLACES, &words).stdin(stdin);
        let output = run(&*self.repo.shell, &command, self.limit).await?;
        Ok(Places::parse(&self.repo.checked("look at the workspace", output)?.stdout))
    }

    /// Returns what is in the directory, but for a repository of its own; nothing if it is not there.
    pub async fn top(&self) -> Result<Option<Vec<Vec<u8>>>, CheckpointError> {
        let command = self.repo.command(TOP, &[self.to.as_str()]);
        let output = run(&*self.repo.shell, &command, self.limit).await?;
        let said = self.repo.checked("look at the workspace", output)?.stdout;
        let mut words = said.split(|it| *it == 0).filter(|it| !it.is_empty());
        let here = words.next() == Some(b"here");
        Ok(here.then(|| words.map(<[u8]>::to_vec).collect()))
    }

    /// Tells whether `name` is but another name of the workspace's own repository: there are file
    /// systems that take no notice of case.
    pub async fn is_own_repository(&self, name: &[u8]) -> Result<bool, CheckpointError> {
        let command = self.repo.command(SAME, &[self.to.as_str().as_bytes(), name]);
        let output = run(&*self.repo.shell, &command, self.limit).await?;
        Ok(self.repo.checked("look at the workspace", output)?.text() == "same")
    }
}

/// Joins two paths of which either may be empty.
pub(in crate::checkpoint) fn join(dir: &[u8], path: &[u8]) -> Vec<u8> {
    match (dir, path) {
        ([], it) | (it, []) => it.to_vec(),
        (dir, path) => [dir, b"/", path].concat(),
    }
}

impl Gone {
    /// Returns the blobs that git could not read, if nothing else went wrong.
    pub fn unreadable(&self) -> Option<Vec<String>> {
        let said = String::from_utf8_lossy(&self.output.stderr);
        let mut ids = Vec::new();
        for id in said.split(|it: char| !it.is_ascii_hexdigit()) {
            if crate::checkpoint::repo::is_id(id) && !ids.iter().any(|it| it == id) {
                ids.push(id.to_owned());
            }
        }
        (!ids.is_empty()).then_some(ids)
    }

    /// Returns what git says is in the way.
    pub fn refused(&self) -> Option<Vec<u8>> {
        let said = self.output.stderr.split(|it| *it == b'\n');
        let signs = ["not uptodate", "would be overwritten", "would lose", "would be removed"];
        let line = { said }.find(|it| {
            let line = String::from_utf8_lossy(it);
            signs.iter().any(|words| line.contains(words))
        })?;
        let (start, end) = (line.iter().position(is_quote)?, line.iter().rposition(is_quote)?);
        Some(line.get(start + 1..end).unwrap_or(line).to_vec())
    }
}

fn is_quote(byte: &u8) -> bool {
    *byte == b'\''
}
