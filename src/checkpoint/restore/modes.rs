//! What git does not bring back: permissions, empty directories, times.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use crate::{
    checkpoint::{
        CheckpointError,
        manifest::{Base, Manifest, Time},
        repo::Repo,
        restore::{judge::ancestors, unit::join},
    },
    domain::ids::HostPath,
    shell::run,
};

/// Something to do in the workspace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// Gives a file permissions.
    File(u32),
    /// Gives a directory permissions.
    Dir(u32),
    /// Adds to what the owner may do in a directory, so that it can be restored.
    Open,
    /// Gives a directory that was opened its permissions back, if it is still there.
    Close(u32),
    /// Makes a directory.
    Make,
    /// Removes a directory if it is empty.
    Remove,
}

/// Carries deeds out, which are words, an argument and a path each; links are not followed. Says
/// where it could not.
const CARRY_OUT: &str = "cd \"$1\" || exit; exec xargs -0 -n 900 sh -c \"$2\" sh";

/// See [`CARRY_OUT`].
const EACH: &str = "leads() { rest=$1/ at=.; while [ -n \"$rest\" ]; do \
            at=$at/${rest%%/*}; rest=${rest#*/}; [ ! -L \"$at\" ] || return 1; done; }; \
    while [ $# -gt 0 ]; do \
        if [ -z \"$3\" ] || leads \"$3\"; then case $1 in \
            file) [ -f \"./$3\" ] && chmod \"$2\" \"./$3\";; \
            dir) [ -d \"./$3\" ] && chmod \"$2\" \"./$3\";; \
            open) [ ! -d \"./$3\" ] || chmod u+rwx,g-s \"./$3\";; \
            close) [ ! -d \"./$3\" ] || chmod \"$2\" \"./$3\";; \
            make) (umask \"$2\"; mkdir -p \"./$3\") 2>/dev/null;; \
            remove) rmdir \"./$3\" 2>/dev/null || :;; \
        esac || printf '%s\\000' \"$3\"; \
        else case $1 in remove|open|close) :;; *) printf '%s\\000' \"$3\";; esac; fi; \
        shift 3; \
    done";

/// Sets times, each seconds, nanoseconds and a path. Without perl only of some.
const TIMES: &str = "cd \"$1\" || exit; \
    if command -v perl >/dev/null 2>&1; then exec perl -e '\
        use Time::HiRes qw(utime); local $/ = \"\\0\"; my %fine; \
        sub fine { my $d = shift; return $fine{$d} //= do { \
            my $up = $d =~ s{/[^/]*\\z}{}r; \
            ($up eq $d || fine($up)) && !-l \"./$d\" && -d _ ? 1 : 0 } } \
        while (defined(my $s = <STDIN>)) { my $n = <STDIN>; my $p = <STDIN>; \
            last unless defined $p; chomp($s, $n, $p); my $t = $s + $n / 1e9; \
            next if $p =~ m{\\A(.*)/}s && !fine($1); \
            next unless !-l \"./$p\" && -f _; utime($t, $t, \"./$p\"); }'; \
    fi; \
    xargs -0 -n 900 sh -c 'while [ $# -gt 0 ]; do \
        [ -L \"./$3\" ] || touch -c -d \"@$1\" \"./$3\" 2>/dev/null; shift 3; done' sh";

/// The deeds of a restore.
#[derive(Debug, Default)]
pub(super) struct Deeds(pub Vec<(Deed, Vec<u8>)>);

impl Deeds {
    /// Carries them out in the order they are in. Returns the paths of those that failed.
    pub async fn carry_out(
        &self,
        repo: &Repo,
        to: &HostPath,
        mask: u32,
        limit: Duration,
    ) -> Result<Vec<Vec<u8>>, CheckpointError> {
        if self.0.is_empty() {
            return Ok(Vec::new());
        }
        let mut stdin = Vec::new();
        for (deed, path) in &self.0 {
            let (word, argument) = match deed {
                Deed::File(mode) => ("file", *mode),
                Deed::Dir(mode) => ("dir", *mode),
                Deed::Open => ("open", 0),
                Deed::Close(mode) => ("close", *mode),
                Deed::Make => ("make", mask),
                Deed::Remove => ("remove", 0),
            };
            // Five digits, since with fewer a directory would keep what it has of the first.
            stdin.extend_from_slice(format!("{word}\0{argument:05o}\0").as_bytes());
            stdin.extend_from_slice(path);
            stdin.push(0);
        }
        let command = repo.command(CARRY_OUT, &[to.as_str(), EACH]).stdin(stdin);
        let output = run(&*repo.shell, &command, limit).await?;
        let said = repo.checked("set permissions", output)?.stdout;
        Ok(said.split(|it| *it == 0).filter(|it| !it.is_empty()).map(<[u8]>::to_vec).collect())
    }
}

/// Sets when files were written.
pub(super) async fn set_times(
    repo: &Repo,
    to: &HostPath,
    times: &[(Vec<u8>, Time)],
    limit: Duration,
) -> Result<(), CheckpointError> {
    if times.is_empty() {
        return Ok(());
    }
    let mut stdin = Vec::new();
    for (path, time) in times {
        stdin.extend_from_slice(format!("{}\0{}\0", time.seconds, time.nanoseconds).as_bytes());
        stdin.extend_from_slice(path);
        stdin.push(0);
    }
    let command = repo.command(TIMES, &[to.as_str()]).stdin(stdin);
    // That a time could not be set loses nothing.
    run(&*repo.shell, &command, limit).await?;
    Ok(())
}

/// What git does not record of a whole state, by path in the workspace.
#[derive(Debug)]
pub(super) struct Record {
    pub files: BTreeMap<Vec<u8>, u32>,
    pub dirs: BTreeMap<Vec<u8>, u32>,
    /// Directories that must be there though no file makes them.
    pub empty: BTreeSet<Vec<u8>>,
    /// What the workspace itself has; units that differ in this are not made by this program.
    pub base: Base,
}

impl Record {
    /// Creates a record of nothing.
    pub fn new(base: Base) -> Record {
        let (files, dirs, empty) = <(BTreeMap<_, _>, BTreeMap<_, _>, _)>::default();
        Record { files, dirs, empty, base }
    }

    /// Adds what is known of the unit at `unit`.
    pub fn add(&mut self, unit: &[u8], manifest: &Manifest) {
        let modes = |it: &BTreeMap<Vec<u8>, u32>| -> Vec<(Vec<u8>, u32)> {
            it.iter().map(|(path, mode)| (join(unit, path), *mode)).collect()
        };
        self.files.extend(modes(&manifest.files));
        self.dirs.extend(modes(&manifest.dirs));
        self.empty.extend(manifest.empty.iter().map(|it| join(unit, it)));
        if unit.is_empty() {
            self.base = manifest.base;
        }
    }

    /// Returns what a file has of which git knows only whether it is executable.
    pub fn of_file(&self, path: &[u8], executable: bool) -> u32 {
        self.files.get(path).copied().unwrap_or_else(|| self.base.of_file(executable))
    }

    /// Returns what a directory has.
    pub fn of_dir(&self, path: &[u8]) -> u32 {
        self.dirs.get(path).copied().unwrap_or(self.base.dir)
    }

    /// Returns the umask by which new files and directories get what is not named.
    pub fn mask(&self) -> u32 {
        0o777 & !self.base.dir
    }
}

/// Adds a path and the directories that hold it.
pub(super) fn add_with_parents(dirs: &mut BTreeSet<Vec<u8>>, path: &[u8]) {
    if dirs.insert(path.to_vec()) {
        add_parents(dirs, path);
    }
}

/// Adds the directories that hold a path.
pub(super) fn add_parents(dirs: &mut BTreeSet<Vec<u8>>, path: &[u8]) {
    for dir in ancestors(path) {
        if !dirs.insert(dir.to_vec()) {
            break;
        }
    }
}
