//! Looking at a unit, and making it what it shall be.

use std::time::Duration;

use crate::{
    checkpoint::{
        CheckpointError,
        repo::Repo,
        restore::judge::{self, Facts, Place},
    },
    domain::ids::HostPath,
    shell::{OUTPUT_MAX, Output, run},
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

/// Takes the words that every script here is given: the unit's number, the shadow's index of it,
/// the workspace, the unit in it, the trees that it comes from and shall be.
const WORDS: &str = "no=$1 own=$2 dir=$3 unit=$4; none=$(g hash-object -t tree /dev/null) || exit; \
    from=${5:-$none} to=${6:-$none}; shift 6; index=$GIT_DIR/restore-$no; ";

/// Says what differs between the trees, what is in the second, where the unit is, what is not as
/// in the first, what is not as in the second, and what is in neither: see [`judge::parse`]. Of a
/// directory in the place of a file git does not tell that, so it is asked for.
const LOOK: &str = "g diff-tree -r -z --raw --no-renames \"$from\" \"$to\" || exit; \
    printf '\\000'; g ls-tree -r -z \"$to\" || exit; printf '\\000'; \
    rm -f \"$index\" \"$index.lock\" \"$index.to\" \"$index.to.lock\" || exit; \
    descend \"$dir\" \"$unit\"; \
    case $? in 0) printf 'here\\000';; 46) printf 'blocked\\000%s\\000' \"$rel\"; exit 0;; \
        *) printf 'absent\\000'; exit 0;; esac; \
    cd \"$at\" || exit; GIT_WORK_TREE=$at GIT_INDEX_FILE=$index; \
    export GIT_WORK_TREE GIT_INDEX_FILE; \
    cp -p \"$GIT_DIR/$own\" \"$index\" 2>/dev/null; \
    g read-tree -i -m \"$from\" 2>/dev/null || \
        { rm -f \"$index\" \"$index.lock\"; g read-tree \"$from\"; } || exit; \
    g update-index -q --refresh >/dev/null 2>&1; \
    g diff-files -z --raw || exit; printf '\\000'; \
    cp -p \"$index\" \"$index.to\" || exit; GIT_INDEX_FILE=$index.to; g read-tree -i -m \"$to\" || exit; \
    g update-index -q --refresh >/dev/null 2>&1; \
    g diff-files -z --raw || exit; printf '\\000'; \
    rm -f \"$index.to\"; GIT_INDEX_FILE=$index; \
    g ls-files -o -z --directory --no-empty-directory || exit; \
    g diff-files -z --name-only --diff-filter=D | xargs -0 -n 500 sh -c 'for it do \
        [ -d \"./$it\" ] && [ ! -L \"./$it\" ] \
            && [ -n \"$(find \"./$it\" ! -type d -print | head -n 1)\" ] \
            && printf \"%s/\\000\" \"$it\"; done; exit 0' sh";

/// Lists all that is in directories, which come on stdin, and in no tree.
const INSIDE: &str = "descend \"$dir\" \"$unit\" && cd \"$at\" || exit; \
    GIT_WORK_TREE=$at GIT_INDEX_FILE=$index; export GIT_WORK_TREE GIT_INDEX_FILE; \
    g() { git --literal-pathspecs --git-dir=\"$GIT_DIR\" \"$@\"; }; \
    xargs -0 -n 100 git --literal-pathspecs ls-files -o -z --";

/// Goes from the one tree to the other. What comes on stdin is told to the index before it, and
/// then it goes from what that holds: where a file takes the place of a directory git would take
/// what is done already for something unknown.
/// `$1` is what the directories that are made may be, `$2` is `-n` to only try.
const GO: &str = "mask=$1 try=$2; umask \"$mask\"; \
    if [ -z \"$try\" ]; then descend \"$dir\" \"$unit\" make || exit; \
    else descend \"$dir\" \"$unit\" || exit 0; fi; \
    cd \"$at\" || exit; GIT_WORK_TREE=$at GIT_INDEX_FILE=$index; \
    export GIT_WORK_TREE GIT_INDEX_FILE; rm -f \"$index.lock\"; \
    [ -e \"$index\" ] || g read-tree \"$from\" || exit; \
    g update-index -z --index-info || exit; \
    g update-index -q --refresh >/dev/null 2>&1; \
    from=$(g write-tree --missing-ok) || exit; \
    g read-tree ${try:+\"$try\"} -m -u \"$from\" \"$to\"";

/// Deletes the file `$2` if it begins as the blob `$1` does and is shorter: it was being written
/// when an earlier attempt ended. Says so.
const PARTIAL: &str = "descend \"$dir\" \"$unit\" && cd \"$at\" || exit; \
    [ -f \"./$2\" ] && [ ! -L \"./$2\" ] || exit 0; length=$(wc -c < \"./$2\") || exit; \
    [ \"$length\" -lt \"$(g cat-file -s \"$1\")\" ] || exit 0; \
    g cat-file blob \"$1\" | head -c \"$length\" | cmp -s - \"./$2\" && rm -f \"./$2\" && echo gone; \
    exit 0";

/// What puts a file or a link called `.git` in its place: `$1` is its blob, nothing to delete what
/// is there; `$2` the mode, `link` for a link; `$3` the workspace, `$4` where in it.
pub(super) const PUT: &str = "case $4 in */*) parent=${4%/*};; *) parent=;; esac; \
    descend \"$3\" \"$parent\" make || exit; cd \"$at\" || exit; name=./${4##*/}; \
    [ ! -d \"$name\" ] || [ -L \"$name\" ] || rmdir \"$name\" || exit; \
    if [ -z \"$1\" ]; then exec rm -f \"$name\"; fi; rm -f \"$name.restoring\"; \
    if [ \"$2\" = link ]; then \
        link=$(g cat-file blob \"$1\" && printf .) || exit; \
        ln -s \"${link%.}\" \"$name.restoring\" || exit; \
    else g cat-file blob \"$1\" > \"$name.restoring\" && chmod \"$2\" \"$name.restoring\" || exit; fi; \
    exec mv -f \"$name.restoring\" \"$name\"";

/// Says what is at `$4` in `$3`: nothing, `dir`, or the blob that a file or a link is.
pub(super) const WHAT: &str = "case $4 in */*) parent=${4%/*};; *) parent=;; esac; \
    descend \"$3\" \"$parent\"; case $? in 0) :;; 46) echo blocked; exit 0;; *) exit 0;; esac; \
    cd \"$at\" || exit; name=./${4##*/}; \
    if [ -L \"$name\" ]; then link=$(readlink \"$name\"; printf .); link=${link%?.}; \
        printf %s \"$link\" | g hash-object --stdin; \
    elif [ -d \"$name\" ]; then echo dir; \
    elif [ -f \"$name\" ]; then g hash-object --no-filters --stdin < \"$name\"; \
    elif [ -e \"$name\" ]; then echo other; fi";

/// A unit whose content is a tree in both states, or in one.
#[derive(Clone, Debug)]
pub(super) struct Unit {
    /// Where it is in the workspace.
    pub path: Vec<u8>,
    /// What its index is called here.
    pub number: usize,
    /// What the shadow calls its own.
    pub own: usize,
    pub from: Option<String>,
    pub to: Option<String>,
}

/// What going from one tree to the other left undone.
pub(super) struct Gone {
    pub output: Output,
}

impl Unit {
    fn words(&self, to: &HostPath) -> Vec<Vec<u8>> {
        let tree = |it: &Option<String>| it.clone().unwrap_or_default().into_bytes();
        vec![
            self.number.to_string().into_bytes(),
            format!("index.{}", self.own).into_bytes(),
            to.as_str().into(),
            self.path.clone(),
            tree(&self.from),
            tree(&self.to),
        ]
    }

    async fn run(
        &self,
        repo: &Repo,
        script: &str,
        more: &[&[u8]],
        (to, stdin, limit): (&HostPath, Vec<u8>, Duration),
    ) -> Result<Output, CheckpointError> {
        let mut words = self.words(to);
        words.extend(more.iter().map(|it| it.to_vec()));
        let command = repo.command(&[DESCEND, WORDS, script].concat(), &words).stdin(stdin);
        Ok(run(&*repo.shell, &command, limit).await?)
    }

    /// Looks at the unit.
    pub async fn look(
        &self,
        repo: &Repo,
        to: &HostPath,
        limit: Duration,
    ) -> Result<Facts, CheckpointError> {
        let output = self.run(repo, LOOK, &[], (to, Vec::new(), limit)).await?;
        let output = repo.checked("compare the workspace", output)?;
        if OUTPUT_MAX <= output.stdout.len() {
            return Err(CheckpointError::Refused {
                host: repo.shell.host().to_owned(),
                verb: "compare the workspace",
                detail: "there are too many files".into(),
            });
        }
        Ok(judge::parse(&output.stdout))
    }

    /// Returns what is in directories that are in no tree.
    pub async fn inside(
        &self,
        repo: &Repo,
        dirs: &[Vec<u8>],
        to: &HostPath,
        limit: Duration,
    ) -> Result<Vec<Vec<u8>>, CheckpointError> {
        let list = [&dirs.join(&0)[..], b"\0"].concat();
        let output = self.run(repo, INSIDE, &[], (to, list, limit)).await?;
        let said = repo.checked("list the workspace", output)?.stdout;
        Ok(said.split(|it| *it == 0).filter(|it| !it.is_empty()).map(<[u8]>::to_vec).collect())
    }

    /// Returns what the index must be told so that git finds everything accounted for: files that
    /// are as they will be, or are gone and will be, or `stay` though the tree has them not.
    pub fn told(&self, facts: &Facts, stays: impl Fn(&[u8]) -> bool) -> Vec<u8> {
        let (mut gone, mut told) = (Vec::new(), Vec::new());
        let zero = "0".repeat(40);
        for step in &facts.steps {
            let (mode, id) = match step.to_mode {
                0 if facts.is_done(step) || stays(&step.path) => (0, &zero),
                0 => continue,
                mode if facts.is_done(step) => (mode, &step.to_id),
                _ => continue,
            };
            let list = if mode == 0 { &mut gone } else { &mut told };
            list.extend_from_slice(format!("{mode:o} {id}\t").as_bytes());
            list.extend_from_slice(&step.path);
            list.push(0);
        }
        // A file may take the place of a directory.
        [gone, told].concat()
    }

    /// Goes from the one tree to the other, or only tries.
    pub async fn go(
        &self,
        repo: &Repo,
        told: Vec<u8>,
        (mask, only_try): (u32, bool),
        (to, limit): (&HostPath, Duration),
    ) -> Result<Gone, CheckpointError> {
        let mask = format!("{mask:04o}");
        let dry: &[u8] = if only_try { b"-n" } else { b"" };
        let more = [mask.as_bytes(), dry];
        Ok(Gone { output: self.run(repo, GO, &more, (to, told, limit)).await? })
    }

    /// Deletes a file that an earlier attempt left half written. Returns whether it was one.
    pub async fn drop_partial(
        &self,
        repo: &Repo,
        (path, id): (&[u8], &str),
        to: &HostPath,
        limit: Duration,
    ) -> Result<bool, CheckpointError> {
        let output =
            self.run(repo, PARTIAL, &[id.as_bytes(), path], (to, Vec::new(), limit)).await?;
        Ok(repo.checked("look at a file", output)?.text() == "gone")
    }

    /// Returns a path of this unit as one of the workspace.
    pub fn full(&self, path: &[u8]) -> Vec<u8> {
        join(&self.path, path)
    }

    /// Tells whether nothing is where it should be, so that nothing can be lost.
    pub fn is_absent(facts: &Facts) -> bool {
        facts.place == Place::Absent
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
    pub fn refused(&self) -> Option<String> {
        let said = String::from_utf8_lossy(&self.output.stderr);
        let line = said.lines().find(|it| {
            ["not uptodate", "would be overwritten", "would lose", "would be removed"]
                .iter()
                .any(|words| it.contains(words))
        })?;
        let (start, end) = (line.find('\'')?, line.rfind('\'')?);
        Some(line.get(start + 1..end).unwrap_or(line).to_owned())
    }
}
