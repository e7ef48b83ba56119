//! What the scripts ask of this very program where it is on the host, which is on this machine
//! ([`Shell::program`](crate::shell::Shell::program)): to look at a workspace (`walk`), to list what
//! an index knows, and to take many files in at once.
//!
//! All of it can be done without: by `walk.pl` and `blobs.pl` in perl, or by git, find and awk. But
//! that takes several times as long on both processors, and Claude works on them meanwhile. A script
//! starts it, so that it is ended with the script and has its priority.
//!
//! Git makes blobs one after the other and a file of each; `files` makes packs of them, on every
//! processor:
//!
//! ```text
//! names ─▶ files ─▶ packs, entries ─▶ git update-index ─▶ entries ─▶ packs of trees
//!              └──▶ states ───────────────────────────────────┘
//!                                                            └──▶ the index, with their states
//! ```
//!
//! Nothing of the user's is written, and nothing that is there is written again: the packs are new
//! files, and an index is replaced as a whole. Formats are those of git's `gitformat-pack` and
//! `gitformat-index` (2.47). Deliberately absent: differences between files, and what is on disk
//! for certain: the vault sees to both.

mod index;
mod known;
mod pack;
mod read;
mod trees;
mod walk;

#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, HashSet},
    ffi::{OsStr, OsString},
    fs::File,
    io::{self, BufWriter, Write},
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use crate::checkpoint::packer::{
    known::Known,
    pack::{Kind, Pack},
    read::{Content, State},
};

/// What the scripts and this program must agree on; another one is refused.
pub(super) const FORM: &str = "1";

/// Packs written side by side at most: each may hold a long file and what became of it in memory.
const PARTS_MAX: usize = 4;

/// Files taken by one thread at a time.
const CHUNK: usize = 64;

/// Why a job was not done.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// It cannot be done this way, for this reason. There is another way.
    #[error("{0}")]
    Failed(String),
    /// Git refused, and said why on stderr.
    #[error("git refused")]
    Git,
}

/// The name of an object.
type Oid = [u8; 20];

/// Does what a script says: `FORM walk …`, see there; `FORM files OBJECTS NAMES DIR`;
/// `FORM index OBJECTS INDEX DIR`; or `FORM times|objects|differing INDEX WITH OUT`.
///
/// `files` makes blobs of the files in the current directory that the file NAMES names, a NUL after
/// each, in packs among OBJECTS. Into DIR go `entries`, for `git update-index --index-info`;
/// `states`; and `rest`, names that are left to git. `index` fills those states in where INDEX has
/// none, so that git need not read the files again, and makes the trees of them.
///
/// The others write a list into OUT, an entry of INDEX after the other: `times` when each file was
/// written, and into WITH how many files that are and how many bytes; `objects` the name of each
/// object, `-` for a repository; `differing` the names of files whose size is another than that of
/// the object, which WITH says, a line each.
///
/// # Errors
///
/// If it is another form, or at the first file that cannot be read or written: the message is for a
/// log, and the other way is to be gone. What was made is of no harm.
pub fn run(words: &[OsString]) -> Result<(), PackError> {
    match words {
        [form, ..] if form != FORM => {
            Err(PackError::Failed(format!("the form is {FORM}, not {}", form.display())))
        }
        [_, job, words @ ..] if job == "walk" => walk::run(words),
        [_, job, paths @ ..] => run_on(job, paths).map_err(PackError::Failed),
        _ => Err(PackError::Failed("expected FORM and JOB".into())),
    }
}

fn run_on(job: &OsStr, paths: &[OsString]) -> Result<(), String> {
    let [first, second, third] = paths else { return Err("expected three paths".into()) };
    let (first, second, third) = (Path::new(first), Path::new(second), Path::new(third));
    let done = match job.as_bytes() {
        b"files" => files(Path::new("."), first, second, third),
        b"index" => trees(first, second, third),
        b"times" => times(first, second, third),
        b"objects" => objects(first, third),
        b"differing" => differing(first, second, third),
        _ => return Err(format!("there is no job {}", job.display())),
    };
    done.map_err(|it| it.to_string())
}

/// A file that is in a pack now.
struct Taken {
    name: Vec<u8>,
    mode: &'static str,
    oid: Oid,
    state: State,
}

/// What one thread made.
#[derive(Default)]
struct Part {
    taken: Vec<Taken>,
    rest: Vec<Vec<u8>>,
}

fn files(root: &Path, objects: &Path, names: &Path, dir: &Path) -> io::Result<()> {
    let names = std::fs::read(names)?;
    let names: Vec<&[u8]> = names.split(|it| *it == 0).filter(|it| !it.is_empty()).collect();
    let known = Known::of(objects);
    let (next, made) = (AtomicUsize::new(0), Mutex::new(HashSet::new()));
    let chunk = || {
        let from = next.fetch_add(CHUNK, Ordering::Relaxed).min(names.len());
        &names[from..(from + CHUNK).min(names.len())]
    };
    let parts = std::thread::available_parallelism().map_or(1, |it| it.get().min(PARTS_MAX));
    let done: io::Result<Vec<(Part, Pack)>> = std::thread::scope(|scope| {
        let one = || part((root, objects), &chunk, &known, &made);
        let threads: Vec<_> = (0..parts).map(|_| scope.spawn(one)).collect();
        let ended = threads.into_iter().map(|it| it.join());
        ended.map(|it| it.unwrap_or_else(|_| Err(io::Error::other("a defect")))).collect()
    });
    let (mut entries, mut states) = (Vec::new(), Vec::new());
    let mut rest = Vec::new();
    for (part, pack) in done? {
        pack.finish()?;
        for Taken { name, mode, oid, state } in &part.taken {
            write!(entries, "{mode} {}\t", hex(oid))?;
            entries.extend_from_slice(name);
            entries.push(0);
            state.write(name, &mut states);
        }
        rest.extend(part.rest.iter().flat_map(|it| it.iter().chain(&[0])));
    }
    write(&dir.join("entries"), &entries)?;
    write(&dir.join("states"), &states)?;
    write(&dir.join("rest"), &rest)
}

/// Makes one pack, of chunks of names below a root as long as there are any.
fn part<'a>(
    (root, objects): (&Path, &Path),
    chunk: &impl Fn() -> &'a [&'a [u8]],
    known: &Known,
    made: &Mutex<HashSet<Oid>>,
) -> io::Result<(Part, Pack)> {
    let mut pack = Pack::create(objects)?;
    let mut part = Part::default();
    loop {
        let names = chunk();
        if names.is_empty() {
            return Ok((part, pack));
        }
        for name in names {
            let (mode, bytes, state) = match read::read(root, name)? {
                Content::Gone => continue,
                Content::Long => {
                    part.rest.push(name.to_vec());
                    continue;
                }
                Content::Of { mode, bytes, state } => (mode, bytes, state),
            };
            let oid = pack::name(Kind::Blob, &bytes);
            // Who is first has it in a pack, or fails, and then all do.
            let is_first = made.lock().unwrap_or_else(PoisonError::into_inner).insert(oid);
            if is_first && !known.has(&oid) {
                pack.add(Kind::Blob, oid, &bytes)?;
            }
            part.taken.push(Taken { name: name.to_vec(), mode, oid, state });
        }
    }
}

fn trees(objects: &Path, path: &Path, dir: &Path) -> io::Result<()> {
    let mut bytes = std::fs::read(path)?;
    let states = std::fs::read(dir.join("states"))?;
    let states: HashMap<&[u8], State> = State::read_all(&states).collect();
    let filled = index::fill(&mut bytes, &states)?;
    let beside = OsString::from_vec([path.as_os_str().as_bytes(), b".new"].concat());
    write(Path::new(&beside), &bytes)?;
    std::fs::rename(&beside, path)?;
    let mut pack = Pack::create(objects)?;
    if let Some(entries) = filled {
        let (known, mut made) = (Known::of(objects), HashSet::new());
        trees::make(&entries, |oid, tree| {
            let is_new = made.insert(oid) && !known.has(&oid);
            if is_new { pack.add(Kind::Tree, oid, tree) } else { Ok(()) }
        })?;
    }
    pack.finish()
}

/// Lists when each file was written, as `git ls-files --debug` shows it.
fn times(index: &Path, sums: &Path, out: &Path) -> io::Result<()> {
    let bytes = std::fs::read(index)?;
    let (mut list, mut count, mut size) = (Vec::new(), 0_u64, 0_u64);
    for entry in index::entries(&bytes)? {
        let (seconds, nanos) = entry.written();
        writeln!(list, "{seconds}:{nanos}")?;
        count += 1;
        size += u64::from(entry.size());
    }
    write(sums, format!("{count} {size}\n").as_bytes())?;
    write(out, &list)
}

fn objects(index: &Path, out: &Path) -> io::Result<()> {
    let bytes = std::fs::read(index)?;
    let mut list = String::new();
    for entry in index::entries(&bytes)? {
        list += &if entry.is_repository() { "-".into() } else { hex(&entry.oid()) };
        list.push('\n');
    }
    write(out, list.as_bytes())
}

fn differing(index: &Path, sizes: &Path, out: &Path) -> io::Result<()> {
    let (bytes, sizes) = (std::fs::read(index)?, std::fs::read_to_string(sizes)?);
    let mut list = Vec::new();
    let (mut entries, mut sizes) = (index::entries(&bytes)?, sizes.lines());
    loop {
        match (entries.next(), sizes.next()) {
            (None, None) => return write(out, &list),
            // Of what is missing nothing is known.
            (Some(_), Some(size)) if size.ends_with("missing") => {}
            (Some(entry), Some(size)) => {
                if size.parse() != Ok(u64::from(entry.size())) {
                    list.extend_from_slice(entry.name);
                    list.push(0);
                }
            }
            _ => return Err(io::Error::other("not as many sizes as entries")),
        }
    }
}

fn write(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    file.write_all(bytes)?;
    file.flush()
}

fn hex(oid: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |it: u8| char::from(DIGITS[usize::from(it & 15)]);
    oid.iter().flat_map(|it| [digit(it >> 4), digit(*it)]).collect()
}
