//! What git is asked while walking.

use std::{
    collections::HashSet,
    ffi::OsString,
    fs::File,
    io::{self, Write},
    path::Path,
    process::{Child, Command, Stdio},
};

use crate::checkpoint::packer::walk::{Trouble, Unit};

/// Returns git in the unit, to which look.sh said in the environment what that is.
#[expect(clippy::disallowed_methods, reason = "the packer is a program on the host itself")]
fn git(unit: &Unit) -> Command {
    let mut command = Command::new("git");
    if !unit.root.as_os_str().is_empty() {
        command.current_dir(&unit.root);
    }
    command.envs(unit.env.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null());
    command
}

/// Git at work beside the walk. Dropping it ends it.
pub(super) struct Beside(Child);

impl Beside {
    /// Lets git list into `out` what differs of what it knows.
    pub fn start(unit: &Unit, out: &Path) -> io::Result<Beside> {
        let mut git = git(unit);
        git.args(["diff-files", "-z", "--raw", "--no-abbrev", "--ignore-submodules=all"]);
        git.stdout(File::create(out)?).spawn().map(Beside)
    }

    /// Waits for its end, and returns whether it was done.
    pub fn end(mut self) -> io::Result<bool> {
        self.0.wait().map(|it| it.success())
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // Neither fails but for one that ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Says which of these paths are ignored.
///
/// # Errors
///
/// If git cannot say.
pub(super) fn ignored(unit: &Unit, paths: &[&[u8]]) -> Result<HashSet<Vec<u8>>, Trouble> {
    let ask = unit.out("ask");
    let mut list = Vec::new();
    for path in paths {
        list.write_all(b"./").and_then(|()| list.write_all(path)).map_err(Trouble::of("ask"))?;
        list.push(0);
    }
    std::fs::write(&ask, list).map_err(Trouble::of("ask"))?;
    let list = File::open(&ask).map_err(Trouble::of("ask"))?;
    let mut rules = OsString::from("core.excludesFile=");
    rules.push(&unit.exclude);
    let mut git = git(unit);
    git.arg("-c").arg(rules).args(["check-ignore", "-z", "--stdin", "--no-index"]).stdin(list);
    let said = git.stderr(Stdio::inherit()).output().map_err(Trouble::of("git check-ignore"))?;
    if !matches!(said.status.code(), Some(0 | 1)) {
        return Err(Trouble(format!("git check-ignore: {}", said.status)));
    }
    let paths = said.stdout.split(|it| *it == 0).filter_map(|it| it.strip_prefix(b"./"));
    Ok(paths.map(<[u8]>::to_vec).collect())
}

/// Returns the entries of an index that only git can read.
///
/// # Errors
///
/// If it cannot.
pub(super) fn entries(unit: &Unit) -> Result<Vec<u8>, Trouble> {
    let mut git = git(unit);
    git.args(["ls-files", "-s", "-z"]).stderr(Stdio::inherit());
    let said = git.output().map_err(Trouble::of("git ls-files"))?;
    if said.status.success() {
        Ok(said.stdout)
    } else {
        Err(Trouble(format!("git ls-files: {}", said.status)))
    }
}
