//! File systems.

use std::{os::unix::ffi::OsStrExt, path::Path};

/// Kinds that are known to tell when a directory changed.
const KINDS: [&[u8]; 10] = [
    b"ext2",
    b"ext3",
    b"ext4",
    b"xfs",
    b"btrfs",
    b"f2fs",
    b"zfs",
    b"tmpfs",
    b"overlay",
    b"bcachefs",
];

/// Tells whether the file system that `here` is on is known to tell when a directory changed.
pub(super) fn keeps_times(here: &Path) -> bool {
    std::fs::read("/proc/self/mounts").is_ok_and(|it| is_known(&it, here.as_os_str().as_bytes()))
}

fn is_known(mounts: &[u8], here: &[u8]) -> bool {
    let here = [here, b"/"].concat();
    let (mut longest, mut kind) = (0, &b""[..]);
    for line in mounts.split(|it| *it == b'\n') {
        let mut words = line.split(|it| *it == b' ').skip(1);
        let (Some(at), Some(name)) = (words.next(), words.next()) else { continue };
        let mut at = plain(at);
        if !at.ends_with(b"/") {
            at.push(b'/');
        }
        // A later one lies over an earlier one.
        if at.len() >= longest && here.starts_with(&at) {
            (longest, kind) = (at.len(), name);
        }
    }
    KINDS.contains(&kind)
}

/// Returns a path without the escapes of that list: a backslash and three octal digits.
fn plain(mut text: &[u8]) -> Vec<u8> {
    let mut path = Vec::new();
    while let Some((first, rest)) = text.split_first() {
        let digits =
            rest.first_chunk::<3>().filter(|it| it.iter().all(|it| matches!(it, b'0'..=b'7')));
        match digits {
            Some([high, middle, low]) if *first == b'\\' => {
                let number = |it: &u8| u32::from(it - b'0');
                let value = number(high) << 6 | number(middle) << 3 | number(low);
                path.push((value & 255) as u8);
                text = &rest[3..];
            }
            _ => {
                path.push(*first);
                text = rest;
            }
        }
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_the_longest_mounts_counts() {
        let mounts = b"a / nfs rw 0 0\nb /x\\040y ext4 rw 0 0\nc /x\\040y/z vfat rw 0 0\n\
            d /x\\040y/z xfs rw 0 0\nodd\ne /x\\040y/z/w fuse rw 0 0\n";
        for (here, is) in [
            ("/", false),
            ("/x", false),
            ("/x y", true),
            ("/x y/zz", true),
            ("/x y/z", true),
            ("/x y/z/w/v", false),
        ] {
            assert_eq!(is_known(mounts, here.as_bytes()), is, "{here}");
        }
        assert!(!is_known(b"", b"/"));
    }
}
