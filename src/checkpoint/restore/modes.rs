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
        restore::{
            judge::{Entry, Facts, ancestors},
            unit::{DESCEND, join},
        },
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
            open) [ ! -d \"./$3\" ] || chmod u+rwx \"./$3\";; \
            make) (umask \"$2\"; mkdir -p \"./$3\") 2>/dev/null;; \
            remove) rmdir \"./$3\" 2>/dev/null || :;; \
        esac || printf '%s\\000' \"$3\"; \
        else [ \"$1\" = remove ] || [ \"$1\" = open ] || printf '%s\\000' \"$3\"; fi; \
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
    let command = repo.command(&[DESCEND, TIMES].concat(), &[to.as_str()]).stdin(stdin);
    // That a time could not be set loses nothing.
    run(&*repo.shell, &command, limit).await?;
    Ok(())
}

/// A unit's manifests.
#[derive(Debug)]
pub(super) struct Record {
    /// Of what it comes from, if that was there.
    pub from: Option<Manifest>,
    pub to: Manifest,
    pub times: Vec<Option<Time>>,
    /// Directories of the unit, as it will be, that other units are in.
    pub around: BTreeSet<Vec<u8>>,
}

impl Record {
    /// Returns the umask by which new files and directories get what the manifest does not name.
    pub fn mask(&self) -> u32 {
        0o777 & !self.to.base.dir
    }

    /// Returns the directories of the unit as it will be: of files, of other units, and those that
    /// are empty.
    pub fn dirs<'a>(&'a self, entries: &'a [Entry]) -> BTreeSet<&'a [u8]> {
        let mut dirs = BTreeSet::from([&b""[..]]);
        for path in entries.iter().map(|it| &it.path[..]) {
            for dir in ancestors(path) {
                if !dirs.insert(dir) {
                    break;
                }
            }
        }
        dirs.extend(self.around.iter().map(|it| &it[..]));
        for path in &self.to.empty {
            dirs.insert(path);
            dirs.extend(ancestors(path));
        }
        dirs
    }

    /// Returns what to do when all files are there.
    pub fn deeds(&self, unit: &[u8], facts: &Facts) -> Deeds {
        let mut deeds: Vec<_> =
            self.to.empty.iter().map(|it| (Deed::Make, join(unit, it))).collect();
        let steps: BTreeMap<&[u8], bool> =
            facts.steps.iter().map(|it| (&it.path[..], facts.is_done(it))).collect();
        let created = Base::of_umask(self.mask());
        for entry in facts.entries.iter().filter(|it| it.mode & 0o170_000 == 0o100_000) {
            let executable = entry.mode & 0o100 != 0;
            let of = |it: &Manifest| {
                let odd = it.files.get(&entry.path).copied();
                odd.unwrap_or_else(|| it.base.of_file(executable))
            };
            let want = of(&self.to);
            let have = match (steps.get(&entry.path[..]), &self.from) {
                (Some(false), _) | (None, None) => created.of_file(executable),
                // An earlier attempt may have ended before it set this.
                (Some(true), _) if self.to.files.contains_key(&entry.path) => u32::MAX,
                (Some(true), None) => created.of_file(executable),
                (_, Some(from)) => of(from),
            };
            if want != have {
                deeds.push((Deed::File(want), join(unit, &entry.path)));
            }
        }
        // What is in a directory comes before it, which may then be closed.
        for dir in self.dirs(&facts.entries).into_iter().rev() {
            let odd = self.to.dirs.get(dir);
            let was_odd = self
                .from
                .as_ref()
                .is_some_and(|it| it.dirs.contains_key(dir) || it.base.dir != self.to.base.dir);
            if odd.is_some() || was_odd {
                let mode = odd.copied().unwrap_or(self.to.base.dir);
                deeds.push((Deed::Dir(mode), join(unit, dir)));
            }
        }
        Deeds(deeds)
    }

    /// Returns the times of the files that change.
    pub fn times(&self, unit: &[u8], facts: &Facts) -> Vec<(Vec<u8>, Time)> {
        let steps: BTreeSet<&[u8]> = facts.steps.iter().map(|it| &it.path[..]).collect();
        let timed = facts.entries.iter().zip(&self.times);
        let changed = timed.filter(|(entry, _)| {
            entry.mode & 0o170_000 == 0o100_000 && steps.contains(&entry.path[..])
        });
        changed.filter_map(|(entry, time)| Some((join(unit, &entry.path), (*time)?))).collect()
    }
}
