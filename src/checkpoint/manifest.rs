//! What git does not record of a tree: permissions, empty directories, times. Pure.
//!
//! Each unit has two blobs. `m/<n>` is a [`Manifest`]; `t/<n>` holds times, see [`parse_times`],
//! apart from it because a touched file is not a changed one. The manifest is text, a record a
//! NUL:
//!
//! ```text
//! parhelia manifest 1
//! base 644 755 755        what a plain file, an executable and a directory have
//! f 640 PATH              a file with other permissions
//! d 700 PATH              a directory with other permissions
//! e PATH                  a directory that must be there though no file makes it
//! ```
//!
//! Paths are raw bytes relative to the unit; the empty one is the unit itself. What is read may
//! come from anywhere, so a path that could lead out of the unit is refused.

use std::collections::{BTreeMap, BTreeSet};

/// What every manifest begins with.
const HEADER: &[u8] = b"parhelia manifest 1";

/// Permissions that nothing is recorded of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Of a file.
    pub file: u32,
    /// Of a file that its owner may execute.
    pub executable: u32,
    /// Of a directory.
    pub dir: u32,
}

impl Base {
    /// Returns what a process with this umask creates.
    pub fn of_umask(umask: u32) -> Base {
        Base { file: 0o666 & !umask, executable: 0o777 & !umask, dir: 0o777 & !umask }
    }

    /// Returns what a file has of which git knows only whether it is executable.
    pub fn of_file(self, executable: bool) -> u32 {
        if executable { self.executable } else { self.file }
    }
}

/// What git does not record of a unit's tree, times apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// Permissions of everything that is not named.
    pub base: Base,
    /// Files with other permissions, by path.
    pub files: BTreeMap<Vec<u8>, u32>,
    /// Directories with other permissions, by path.
    pub dirs: BTreeMap<Vec<u8>, u32>,
    /// Directories that no file makes.
    pub empty: BTreeSet<Vec<u8>>,
}

impl Manifest {
    /// Creates a manifest that records nothing.
    pub fn new(base: Base) -> Manifest {
        Manifest { base, files: BTreeMap::new(), dirs: BTreeMap::new(), empty: BTreeSet::new() }
    }

    /// Returns it as it is stored.
    pub fn write(&self) -> Vec<u8> {
        let Base { file, executable, dir } = self.base;
        let mut out = HEADER.to_vec();
        out.extend_from_slice(format!("\0base {file:o} {executable:o} {dir:o}\0").as_bytes());
        let mut record = |head: String, path: &[u8]| {
            out.extend_from_slice(head.as_bytes());
            out.extend_from_slice(path);
            out.push(0);
        };
        self.files.iter().for_each(|(path, mode)| record(format!("f {mode:o} "), path));
        self.dirs.iter().for_each(|(path, mode)| record(format!("d {mode:o} "), path));
        self.empty.iter().for_each(|path| record("e ".into(), path));
        out
    }

    /// Reads what [`Manifest::write`] wrote. Records of a kind that is not known are passed over.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Manifest, String> {
        let bytes = bytes.strip_suffix(b"\0").ok_or("it does not end as a manifest does")?;
        let mut records = bytes.split(|it| *it == 0);
        if records.next() != Some(HEADER) {
            return Err("it is no manifest of a known version".into());
        }
        let base = records.next().and_then(parse_base).ok_or("its base permissions")?;
        let mut manifest = Manifest::new(base);
        for record in records {
            manifest.take(record).ok_or_else(|| format!("`{}`", record.escape_ascii()))?;
        }
        Ok(manifest)
    }

    fn take(&mut self, record: &[u8]) -> Option<()> {
        let (kind, rest) = cut(record)?;
        match kind {
            b"f" | b"d" => {
                let (mode, path) = cut(rest)?;
                let mode = parse_mode(mode)?;
                let map = if kind == b"f" { &mut self.files } else { &mut self.dirs };
                map.insert(inside(path)?.to_vec(), mode);
            }
            b"e" => {
                self.empty.insert(inside(rest)?.to_vec());
            }
            _ => (),
        }
        Some(())
    }
}

fn parse_base(record: &[u8]) -> Option<Base> {
    let (word, rest) = cut(record)?;
    let (file, rest) = cut(rest)?;
    let (executable, dir) = cut(rest)?;
    let base = Base {
        file: parse_mode(file)?,
        executable: parse_mode(executable)?,
        dir: parse_mode(dir)?,
    };
    (word == b"base").then_some(base)
}

fn parse_mode(word: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(word).ok().filter(|it| !it.starts_with('+'))?;
    u32::from_str_radix(text, 8).ok().filter(|it| *it <= 0o7777)
}

fn cut(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|it| *it == b' ')?;
    Some((&bytes[..at], &bytes[at + 1..]))
}

/// Returns `path` if it is empty, or relative and leads nowhere else.
fn inside(path: &[u8]) -> Option<&[u8]> {
    let fine = |it: &[u8]| !matches!(it, b"" | b"." | b"..");
    (path.is_empty() || path.split(|it| *it == b'/').all(fine)).then_some(path)
}

/// When a file was last written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Time {
    /// Seconds since 1970.
    pub seconds: u64,
    /// And nanoseconds.
    pub nanoseconds: u32,
}

/// Reads `t/<n>`: a line `SECONDS:NANOSECONDS` a file, in the order in which `git ls-tree -r`
/// lists the unit's tree. What is not known, or not a time, is nothing; so is `0:0`.
pub fn parse_times(bytes: &[u8]) -> Vec<Option<Time>> {
    bytes.split_inclusive(|it| *it == b'\n').map(parse_time).collect()
}

fn parse_time(line: &[u8]) -> Option<Time> {
    let text = std::str::from_utf8(line).ok()?.trim_end_matches('\n');
    let (seconds, nanoseconds) = text.split_once(':')?;
    let time = Time { seconds: seconds.parse().ok()?, nanoseconds: nanoseconds.parse().ok()? };
    (time.seconds != 0 && time.nanoseconds < 1_000_000_000).then_some(time)
}

#[cfg(test)]
mod tests {
    use proptest::{collection, prelude::*};

    use super::*;

    fn path() -> impl Strategy<Value = Vec<u8>> {
        let name = collection::vec(
            any::<u8>().prop_map(|it| if matches!(it, 0 | b'/') { b'\n' } else { it }),
            1..6,
        )
        .prop_filter("no way out", |it| it != b"." && it != b"..");
        collection::vec(name, 0..4).prop_map(|it| it.join(&b'/'))
    }

    fn modes() -> impl Strategy<Value = BTreeMap<Vec<u8>, u32>> {
        collection::btree_map(path(), 0..=0o7777u32, 0..6)
    }

    proptest! {
        #[test]
        fn what_was_written_is_read(files in modes(), dirs in modes(),
            empty in collection::btree_set(path(), 0..6), umask in 0..=0o777u32)
        {
            let manifest = Manifest { base: Base::of_umask(umask), files, dirs, empty };
            prop_assert_eq!(Manifest::parse(&manifest.write()), Ok(manifest));
        }

        #[test]
        fn nothing_read_panics_or_leads_out(bytes in collection::vec(any::<u8>(), 0..200),
            names in collection::vec("[./a]{0,6}", 0..4))
        {
            let _ = (Manifest::parse(&bytes), parse_times(&bytes));
            let mut text = b"parhelia manifest 1\0base 644 755 755\0".to_vec();
            for name in names {
                text.extend_from_slice(format!("f 644 {name}\0d 0 {name}\0e {name}\0").as_bytes());
            }
            if let Ok(read) = Manifest::parse(&text) {
                for path in read.files.keys().chain(read.dirs.keys()).chain(&read.empty) {
                    let path = std::path::Path::new(std::str::from_utf8(path).unwrap());
                    let plain = |it| matches!(it, std::path::Component::Normal(_));
                    prop_assert!(path.components().all(plain), "{path:?}");
                }
            }
        }
    }

    #[test]
    fn what_leads_out_is_refused() {
        for record in ["f 644 /etc/passwd", "d 700 ../x", "e a/../b", "e a//b", "f 644 ./a", "e a/"]
        {
            let text = format!("parhelia manifest 1\0base 644 755 755\0{record}\0");
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{record}");
        }
        for mode in ["f 10000 a", "f +644 a", "f 9 a", "f a", "f", ""] {
            let text = format!("parhelia manifest 1\0base 644 755 755\0{mode}\0");
            assert!(Manifest::parse(text.as_bytes()).is_err(), "{mode}");
        }
        assert!(Manifest::parse(b"parhelia manifest 2\0base 644 755 755\0").is_err());
        assert!(Manifest::parse(b"").is_err());
    }

    #[test]
    fn times_keep_their_places() {
        let read = parse_times(b"5:6\n0:0\nx\n7:1000000000\n9:0\n");
        let known = |seconds, nanoseconds| Some(Time { seconds, nanoseconds });
        assert_eq!(read, [known(5, 6), None, None, None, known(9, 0)]);
        assert_eq!(parse_times(b""), []);
    }
}
