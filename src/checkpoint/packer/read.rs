//! Reading a file that others may write just then, and what it was like.

use std::{
    ffi::OsStr,
    fs::{File, Metadata},
    io::{self, ErrorKind, Read},
    os::unix::{
        ffi::{OsStrExt, OsStringExt},
        fs::MetadataExt,
    },
    path::Path,
};

use rustix::fs::{Mode, OFlags};

/// Files longer than this are left to git, which need not have them in memory.
const LONG: u64 = if cfg!(test) { 1 << 20 } else { 256 << 20 };

/// The flag of a file that its owner may run.
const EXECUTABLE: u32 = 0o100;

/// What was found under a name.
pub(super) enum Content {
    /// Nothing.
    Gone,
    /// More than is read at once.
    Long,
    /// A file or a link.
    Of {
        /// Git's mode.
        mode: &'static str,
        /// What it holds, or where it points.
        bytes: Vec<u8>,
        /// What it was like before.
        state: State,
    },
}

/// What an index remembers of a file: the numbers of an entry of it up to the size, each modulo
/// 2^32, in its order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct State([u8; State::LENGTH]);

impl State {
    /// Of changed and written seconds and nanoseconds, device, inode, mode, user, group and size.
    pub const LENGTH: usize = 40;

    fn of(meta: &Metadata, size: u64) -> State {
        #[expect(clippy::cast_possible_truncation, reason = "an index keeps 32 bits of each")]
        #[expect(clippy::cast_sign_loss, reason = "an index keeps 32 bits of each")]
        let numbers = [
            meta.ctime() as u32,
            meta.ctime_nsec() as u32,
            meta.mtime() as u32,
            meta.mtime_nsec() as u32,
            meta.dev() as u32,
            meta.ino() as u32,
            meta.mode(),
            meta.uid(),
            meta.gid(),
            size as u32,
        ];
        let mut bytes = [0; State::LENGTH];
        for (at, number) in bytes.chunks_exact_mut(4).zip(numbers) {
            at.copy_from_slice(&number.to_be_bytes());
        }
        State(bytes)
    }

    /// Writes it as a record.
    pub fn write(&self, name: &[u8], out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0);
        out.extend_from_slice(name);
        out.push(0);
    }

    /// Reads records.
    pub fn read_all(mut bytes: &[u8]) -> impl Iterator<Item = (&[u8], State)> {
        std::iter::from_fn(move || {
            let (state, rest) = bytes.split_first_chunk()?;
            let end = rest.iter().position(|it| *it == 0)?;
            bytes = &rest[end + 1..];
            Some((&rest[..end], State(*state)))
        })
    }

    /// Puts it into an entry of an index, all but the mode, which is git's there.
    pub fn fill(&self, entry: &mut [u8]) {
        for range in [0..24, 28..State::LENGTH] {
            if let Some(place) = entry.get_mut(range.clone()) {
                place.copy_from_slice(&self.0[range]);
            }
        }
    }
}

/// Reads what has a name below `root`. What was read is what the state is of, or the
/// state says that it is not: git reads the file again then.
///
/// # Errors
///
/// If it cannot be read, or is neither a file nor a link.
pub(super) fn read(root: &Path, name: &[u8]) -> io::Result<Content> {
    match look(&root.join(OsStr::from_bytes(name))) {
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            Ok(Content::Gone)
        }
        other => other,
    }
}

fn look(path: &Path) -> io::Result<Content> {
    let meta = path.symlink_metadata()?;
    if meta.is_symlink() {
        let bytes = path.read_link()?.into_os_string().into_vec();
        let state = State::of(&meta, same(&meta, &bytes));
        return Ok(Content::Of { mode: "120000", bytes, state });
    }
    if !meta.is_file() {
        return Err(io::Error::other(format!("{} is no file", path.display())));
    }
    if meta.len() > LONG {
        return Ok(Content::Long);
    }
    let mut bytes = Vec::with_capacity(usize::try_from(meta.len()).unwrap_or(0) + 1);
    let mut file = open(path)?.take(LONG + 1);
    file.read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONG {
        return Ok(Content::Long);
    }
    let mode = if meta.mode() & EXECUTABLE == 0 { "100644" } else { "100755" };
    let state = State::of(&meta, same(&meta, &bytes));
    Ok(Content::Of { mode, bytes, state })
}

/// Returns the size to remember: another than the file's if something else was read.
fn same(meta: &Metadata, bytes: &[u8]) -> u64 {
    if meta.len() == bytes.len() as u64 { meta.len() } else { 0 }
}

/// Opens a file without following a link in its place, and without waiting for what is none.
fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    #[cfg(target_os = "linux")]
    {
        use rustix::{fs::ResolveFlags, io::Errno};
        // Nor in the place of a directory above it.
        let resolve = ResolveFlags::NO_SYMLINKS;
        match rustix::fs::openat2(rustix::fs::CWD, path, flags, Mode::empty(), resolve) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL) => {}
            other => return Ok(File::from(other?)),
        }
    }
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}
