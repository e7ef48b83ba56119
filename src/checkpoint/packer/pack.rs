//! Writing a pack and its index.

use std::{
    fs::{File, OpenOptions},
    io::{self, BufWriter, Read, Seek, SeekFrom, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use sha1::{Digest, Sha1};

use crate::{
    checkpoint::packer::{Oid, hex},
    stdx::random,
};

/// Offsets from this one on stand in a table of their own.
const FAR: u64 = 1 << 31;

/// What an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Tree,
    Blob,
}

/// Returns the name of an object.
pub(super) fn name(kind: Kind, bytes: &[u8]) -> Oid {
    let word = match kind {
        Kind::Tree => "tree",
        Kind::Blob => "blob",
    };
    let mut hash = Sha1::new();
    hash.update(format!("{word} {}\0", bytes.len()));
    hash.update(bytes);
    hash.finalize().into()
}

/// A pack that is being written, beside its place. Dropping it removes what was written.
pub(super) struct Pack {
    dir: PathBuf,
    /// Removed when this is dropped.
    beside: Beside,
    file: BufWriter<File>,
    objects: Vec<Object>,
    end: u64,
    compress: Compress,
    /// What the last object became.
    packed: Vec<u8>,
}

/// A file that is removed unless it was moved away.
struct Beside(PathBuf);

impl Drop for Beside {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

struct Object {
    oid: Oid,
    crc: u32,
    at: u64,
}

impl Pack {
    /// Begins one among these objects.
    pub fn create(objects: &Path) -> io::Result<Pack> {
        let dir = objects.join("pack");
        std::fs::create_dir_all(&dir)?;
        let beside = Beside(dir.join(format!("tmp_pack_{}", random::base32(12))));
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create_new(true).mode(0o400).open(&beside.0)?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        // How many there are is filled in at the end.
        file.write_all(b"PACK\0\0\0\x02\0\0\0\0")?;
        let compress = Compress::new(Compression::fast(), true);
        let (objects, packed) = (Vec::new(), Vec::new());
        Ok(Pack { dir, beside, file, objects, end: 12, compress, packed })
    }

    /// Adds an object that is not in it.
    pub fn add(&mut self, kind: Kind, oid: Oid, bytes: &[u8]) -> io::Result<()> {
        self.packed.clear();
        head(kind, bytes.len(), &mut self.packed);
        self.compress.reset();
        deflate(&mut self.compress, bytes, &mut self.packed)?;
        let mut crc = Crc::new();
        crc.update(&self.packed);
        self.file.write_all(&self.packed)?;
        self.objects.push(Object { oid, crc: crc.sum(), at: self.end });
        self.end += self.packed.len() as u64;
        Ok(())
    }

    /// Puts it in its place, if there is anything in it.
    pub fn finish(mut self) -> io::Result<()> {
        if self.objects.is_empty() {
            return Ok(());
        }
        self.objects.sort_unstable_by_key(|it| it.oid);
        let count = u32::try_from(self.objects.len()).map_err(io::Error::other)?;
        self.file.flush()?;
        let file = self.file.get_mut();
        file.seek(SeekFrom::Start(8))?;
        file.write_all(&count.to_be_bytes())?;
        file.rewind()?;
        let sum = sum_of(file)?;
        file.write_all(&sum)?;
        // By its checksum, as git does: one of the same objects may have them in other places.
        let stem = self.dir.join(format!("pack-{}", hex(&sum)));
        let index = Beside(self.dir.join(format!("tmp_idx_{}", random::base32(12))));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o400).open(&index.0)?;
        file.write_all(&index_of(&self.objects, &sum))?;
        // A pack is there once its index is.
        std::fs::rename(&self.beside.0, stem.with_extension("pack"))?;
        std::fs::rename(&index.0, stem.with_extension("idx"))
    }
}

/// Writes what stands before an object: what it is and how long, seven bits at a time but for four
/// at first.
fn head(kind: Kind, length: usize, out: &mut Vec<u8>) {
    let kind = match kind {
        Kind::Tree => 2_u8,
        Kind::Blob => 3,
    };
    let low = |it: usize, bits: u8| u8::try_from(it & ((1 << bits) - 1)).unwrap_or(0);
    let more = |it: usize| if it == 0 { 0 } else { 0x80 };
    let mut rest = length >> 4;
    out.push(more(rest) | kind << 4 | low(length, 4));
    while rest > 0 {
        let byte = low(rest, 7);
        rest >>= 7;
        out.push(more(rest) | byte);
    }
}

fn deflate(compress: &mut Compress, bytes: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    loop {
        let rest = &bytes[usize::try_from(compress.total_in()).unwrap_or(usize::MAX)..];
        out.reserve(rest.len() / 2 + 256);
        let status = compress.compress_vec(rest, out, FlushCompress::Finish);
        match status.map_err(io::Error::other)? {
            Status::StreamEnd => return Ok(()),
            Status::Ok | Status::BufError => {}
        }
    }
}

fn sum_of(file: &mut File) -> io::Result<Oid> {
    let mut hash = Sha1::new();
    let mut chunk = vec![0; 1 << 18];
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(hash.finalize().into()),
            count => hash.update(&chunk[..count]),
        }
    }
}

/// Returns the index of a pack with this checksum, version 2. The objects are sorted.
fn index_of(objects: &[Object], sum: &Oid) -> Vec<u8> {
    let mut out = b"\xfftOc\0\0\0\x02".to_vec();
    let number = |it: u32, out: &mut Vec<u8>| out.extend_from_slice(&it.to_be_bytes());
    for first in 0..=u8::MAX {
        let below = objects.partition_point(|it| it.oid[0] <= first);
        number(u32::try_from(below).unwrap_or(u32::MAX), &mut out);
    }
    objects.iter().for_each(|it| out.extend_from_slice(&it.oid));
    objects.iter().for_each(|it| number(it.crc, &mut out));
    let mut far = Vec::new();
    for Object { at, .. } in objects {
        match u32::try_from(*at) {
            Ok(at) if u64::from(at) < FAR => number(at, &mut out),
            _ => {
                number(0x8000_0000 | u32::try_from(far.len() / 8).unwrap_or(0), &mut out);
                far.extend_from_slice(&at.to_be_bytes());
            }
        }
    }
    out.extend_from_slice(&far);
    out.extend_from_slice(sum);
    let sum = Sha1::digest(&out);
    out.extend_from_slice(&sum);
    out
}

/// Returns the index of objects that begin with a byte and are somewhere.
#[cfg(test)]
pub(super) fn index_for_test(objects: &[(u8, u64)]) -> Vec<u8> {
    let object = |it: &(u8, u64)| Object { oid: [it.0; 20], crc: 0, at: it.1 };
    let objects: Vec<Object> = objects.iter().map(object).collect();
    index_of(&objects, &Oid::default())
}
