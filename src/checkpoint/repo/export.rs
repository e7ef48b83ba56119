//! A checkpoint as a tar archive.
//!
//! The archive is made here, not by git: it has the permissions, empty directories and times that
//! are recorded beside git's trees, repositories in their places, and nothing that the workspace's
//! own attributes would leave out or rewrite.

use std::{collections::BTreeMap, pin::Pin};

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio_util::task::AbortOnDropHandle;

use crate::{
    checkpoint::{
        CheckpointError,
        manifest::{Base, Manifest, parse_times},
        repo::{Repo, call::ASK_LIMIT, split_once},
        restore::{Part, Tops},
    },
    shell::{Exit, Process, ShellError, run},
};

/// Bytes of the archive that wait for the reader; more are not made before.
const PIPE: usize = 256 * 1024;

/// The most that is read of a link at once; longer ones cannot exist.
const LINK_MAX: u64 = 64 * 1024;

const BLOCK: usize = 512;

/// What comes into the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Item {
    path: Vec<u8>,
    mode: u32,
    /// Seconds since 1970.
    time: u64,
    what: What,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum What {
    File(String),
    Link(String),
    Dir,
}

impl Repo {
    pub(super) async fn pack(&self, commit: &str) -> Result<Process, CheckpointError> {
        let meta = self.meta(commit).await?;
        let tops = self.tops(commit).await?;
        let at = u64::try_from(meta.facts.at.0.div_euclid(1000)).unwrap_or_default();
        let items = self.items(commit, &tops, at).await?;
        let none: [&str; 0] = [];
        let read = self.shell.exec(&self.command("g cat-file --batch", &none)).await?;
        let (archive, output) = tokio::io::duplex(PIPE);
        let host = self.shell.host().to_owned();
        let work = tokio::spawn(async move {
            let written = write(items, read, archive).await;
            written.map_err(|it| ShellError::Other { host, detail: it.to_string() })
        });
        let work = AbortOnDropHandle::new(work);
        Ok(Process {
            stdin: Box::pin(tokio::io::sink()),
            stdout: Box::pin(output),
            stderr: Box::pin(tokio::io::empty()),
            exit: Box::pin(async move {
                match work.await {
                    Ok(written) => written.map(|()| Exit { code: 0 }),
                    Err(it) => {
                        Err(ShellError::Other { host: String::new(), detail: it.to_string() })
                    }
                }
            }),
        })
    }

    /// Returns what comes into the archive; directories behind what is in them, since they may be
    /// closed.
    async fn items(
        &self,
        commit: &str,
        tops: &Tops,
        at: u64,
    ) -> Result<Vec<Item>, CheckpointError> {
        let ids = tops.sides.values().flat_map(|it| [&it.manifest, &it.times]).flatten();
        let records = self.blobs(&ids.map(String::as_str).collect::<Vec<_>>()).await?;
        let record = |it: &Option<String>| records.get(it.as_ref()?);
        let mut items = Vec::new();
        for (place, side) in tops.sides.iter().rev() {
            let place = join(b"workspace", place);
            let manifest = record(&side.manifest).and_then(|it| Manifest::parse(it).ok());
            let manifest = manifest.unwrap_or_else(|| Manifest::new(Base::of_umask(0o022)));
            match &side.part {
                Part::Blob { id, link } => {
                    let what = if *link { What::Link } else { What::File }(id.clone());
                    items.push(Item { path: place, mode: 0o644, time: at, what });
                }
                Part::Tree(id) => {
                    let said = self.list(id).await?;
                    let times = record(&side.times).map(|it| parse_times(it)).unwrap_or_default();
                    let time =
                        |it: usize| times.get(it).copied().flatten().map_or(at, |it| it.seconds);
                    let listed = entries(&said).enumerate();
                    let files = listed.filter_map(|(n, it)| item(&place, it, &manifest, time(n)));
                    items.extend(files);
                    let named = manifest.dirs.keys().chain(&manifest.empty);
                    let dirs: BTreeMap<_, _> = named.map(|it| (it, ())).collect();
                    items.extend(dirs.into_keys().rev().map(|it| Item {
                        path: join(&place, it),
                        mode: manifest.dirs.get(it).copied().unwrap_or(manifest.base.dir),
                        time: at,
                        what: What::Dir,
                    }));
                }
            }
        }
        let list = "for it in meta.json beside; do \
            g ls-tree -r -z --full-tree \"$1\" \"$it\" || exit; done";
        let said = self.read(list, &[commit]).await?.stdout;
        let plain = Manifest::new(Base { file: 0o600, executable: 0o700, dir: 0o700 });
        items.extend(entries(&said).filter_map(|it| item(b"", it, &plain, at)));
        Ok(items)
    }

    async fn list(&self, tree: &str) -> Result<Vec<u8>, CheckpointError> {
        let command = self.command("g ls-tree -r -z \"$1\"", &[tree]);
        let output = run(&*self.shell, &command, ASK_LIMIT).await?;
        Ok(self.checked("read a checkpoint", output)?.stdout)
    }
}

fn join(dir: &[u8], path: &[u8]) -> Vec<u8> {
    crate::checkpoint::restore::join(dir, path)
}

fn entries(said: &[u8]) -> impl Iterator<Item = &[u8]> {
    said.split(|it| *it == 0).filter(|it| !it.is_empty())
}

/// Reads `MODE TYPE ID TAB PATH`. A name that would lead out of the archive is left out.
fn item(place: &[u8], entry: &[u8], manifest: &Manifest, time: u64) -> Option<Item> {
    let (facts, path) = split_once(entry, b'\t');
    let mut facts = std::str::from_utf8(facts).ok()?.split(' ');
    let (mode, _, id) = (facts.next()?, facts.next()?, facts.next()?.to_owned());
    if path.split(|it| *it == b'/').any(|it| matches!(it, b"" | b"." | b"..")) {
        return None;
    }
    let (what, usual) = match mode {
        "120000" => (What::Link(id), 0o777),
        "160000" => (What::Dir, manifest.base.dir),
        _ => (What::File(id), manifest.base.of_file(mode == "100755")),
    };
    let mode = manifest.files.get(path).copied().unwrap_or(usual);
    Some(Item { path: join(place, path), mode, time, what })
}

/// Writes the archive, with content from `git cat-file --batch`.
async fn write(
    items: Vec<Item>,
    read: Process,
    mut archive: impl AsyncWrite + Unpin,
) -> std::io::Result<()> {
    let Process { mut stdin, stdout, exit, stderr: _stderr } = read;
    let ids: String = items
        .iter()
        .filter_map(|it| match &it.what {
            What::File(id) | What::Link(id) => Some(format!("{id}\n")),
            What::Dir => None,
        })
        .collect();
    let ask = async move {
        stdin.write_all(ids.as_bytes()).await?;
        stdin.shutdown().await
    };
    let answer = async {
        let mut blobs = Blobs(BufReader::new(stdout));
        for item in &items {
            blobs.write(item, &mut archive).await?;
        }
        archive.write_all(&[0; 2 * BLOCK]).await?;
        archive.shutdown().await
    };
    let ((), ()) = tokio::try_join!(ask, answer)?;
    // Held until here: dropping it ends git.
    drop(exit);
    Ok(())
}

/// What git answers.
struct Blobs(BufReader<Pin<Box<dyn AsyncRead + Send>>>);

impl Blobs {
    async fn write(
        &mut self,
        item: &Item,
        archive: &mut (impl AsyncWrite + Unpin),
    ) -> std::io::Result<()> {
        match &item.what {
            What::Dir => archive.write_all(&header(item, b'5', 0, b"")).await,
            What::File(id) => {
                let length = self.open(id).await?;
                archive.write_all(&header(item, b'0', length, b"")).await?;
                let copied = tokio::io::copy(&mut (&mut self.0).take(length), archive).await?;
                if copied < length {
                    return Err(short(id));
                }
                let rest = usize::try_from(length % BLOCK as u64).unwrap_or_default();
                archive.write_all(&[0; BLOCK][..(BLOCK - rest) % BLOCK]).await?;
                self.0.read_u8().await.map(drop)
            }
            What::Link(id) => {
                let length = self.open(id).await?;
                let mut link = Vec::new();
                (&mut self.0).take(length.min(LINK_MAX)).read_to_end(&mut link).await?;
                if (link.len() as u64) < length {
                    return Err(short(id));
                }
                archive.write_all(&header(item, b'2', 0, &link)).await?;
                self.0.read_u8().await.map(drop)
            }
        }
    }

    /// Reads how long a blob is.
    async fn open(&mut self, id: &str) -> std::io::Result<u64> {
        let mut line = String::new();
        (&mut self.0).take(200).read_line(&mut line).await?;
        match line.trim_end().split(' ').collect::<Vec<_>>()[..] {
            [_, "blob", length] => length.parse().map_err(|_| short(id)),
            _ => Err(short(id)),
        }
    }
}

fn short(id: &str) -> std::io::Error {
    std::io::Error::other(format!("the object {id} is missing or damaged"))
}

/// Returns the blocks before a file's content. Long names have an entry of their own, as GNU tar
/// writes them; they may be any bytes.
fn header(item: &Item, kind: u8, length: u64, link: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut path = item.path.clone();
    if kind == b'5' {
        path.push(b'/');
    }
    for (long, kind) in [(link, b'K'), (&path[..], b'L')] {
        if long.len() > 100 {
            out.extend(block(b"././@LongLink", 0o644, 0, kind, long.len() as u64 + 1, b""));
            out.extend_from_slice(long);
            out.resize((out.len() + 1).next_multiple_of(BLOCK), 0);
        }
    }
    out.extend(block(&path, item.mode, item.time, kind, length, link));
    out
}

fn block(path: &[u8], mode: u32, time: u64, kind: u8, length: u64, link: &[u8]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let mut put = |at: usize, bytes: &[u8]| block[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &path[..path.len().min(100)]);
    put(100, format!("{:07o}\0{:07o}\0{:07o}\0", mode & 0o7777, 0, 0).as_bytes());
    put(124, &number(length));
    put(136, &number(time));
    put(148, b"        ");
    put(156, &[kind]);
    put(157, &link[..link.len().min(100)]);
    put(257, b"ustar  \0");
    let sum: u32 = block.iter().map(|it| u32::from(*it)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    block
}

/// Returns a number in twelve bytes: octal, or as GNU tar does if that is too short.
fn number(number: u64) -> [u8; 12] {
    let mut field = [0; 12];
    if number < 1 << 33 {
        field.copy_from_slice(format!("{number:011o}\0").as_bytes());
    } else {
        field[0] = 0x80;
        field[4..].copy_from_slice(&number.to_be_bytes());
    }
    field
}
