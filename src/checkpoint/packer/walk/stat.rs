//! What a file is like, and how it is written down.

use std::{fs::Metadata, os::unix::fs::MetadataExt};

/// Where in a mode its kind is, and the kinds.
const KIND: u32 = 0o170_000;
const FIFO: u32 = 0o010_000;
const DIR: u32 = 0o040_000;
const BLOCK: u32 = 0o060_000;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_000;
const SOCKET: u32 = 0o140_000;

/// What a file is like.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stat {
    /// The device.
    pub device: u64,
    inode: u64,
    mode: u32,
    user: u32,
    group: u32,
    /// How many bytes it has.
    pub size: u64,
    written: Time,
    /// When it changed.
    pub changed: Time,
}

impl Stat {
    /// Takes what is of use.
    pub fn of(meta: &Metadata) -> Stat {
        Stat {
            device: meta.dev(),
            inode: meta.ino(),
            mode: meta.mode(),
            user: meta.uid(),
            group: meta.gid(),
            size: meta.len(),
            written: Time { seconds: meta.mtime(), nanos: meta.mtime_nsec() },
            changed: Time { seconds: meta.ctime(), nanos: meta.ctime_nsec() },
        }
    }

    /// Tells whether it is a file with content.
    pub fn is_file(&self) -> bool {
        self.mode & KIND == FILE
    }

    /// Tells whether it is a directory.
    pub fn is_dir(&self) -> bool {
        self.mode & KIND == DIR
    }

    /// Tells whether it is a symbolic link.
    pub fn is_link(&self) -> bool {
        self.mode & KIND == LINK
    }

    /// Returns the letter of its kind, as ls has it but for files.
    pub fn letter(&self) -> char {
        match self.mode & KIND {
            FILE => '-',
            DIR => 'd',
            LINK => 'l',
            FIFO => 'p',
            SOCKET => 's',
            BLOCK => 'b',
            _ => 'c',
        }
    }

    /// Returns its permissions.
    pub fn bits(&self) -> u32 {
        self.mode & 0o7777
    }

    /// Writes down a directory.
    pub fn of_dir(&self) -> String {
        let Stat { device, inode, mode, user, group, .. } = self;
        let (written, changed) = (self.written.text(), self.changed.text());
        format!("{device} {inode} {mode} {user} {group} {written} {changed}")
    }

    /// Writes down a file.
    pub fn of_file(&self) -> String {
        let Stat { device, inode, mode, size, .. } = self;
        let (written, changed) = (self.written.text(), self.changed.text());
        format!("{device} {inode} {mode} {size} {written} {changed}")
    }
}

/// A time of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    /// Since 1970.
    pub seconds: i64,
    /// Of the second.
    pub nanos: i64,
}

impl Time {
    /// Returns it as perl's Time::HiRes has it.
    pub fn value(self) -> f64 {
        if self.nanos == 0 {
            return self.seconds as f64;
        }
        // There a time before 1970 is one very far ahead.
        self.seconds.cast_unsigned() as f64 + self.nanos as f64 / 1e9
    }

    /// Returns it as perl prints it, to ten microseconds nowadays.
    pub fn text(self) -> String {
        if self.nanos == 0 { self.seconds.to_string() } else { general(self.value()) }
    }
}

/// Returns what C prints with `%.15g`.
fn general(value: f64) -> String {
    let text = format!("{value:.14e}");
    let (digits, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let places = usize::try_from(14 - exponent);
    match places {
        Ok(places) if exponent >= -4 => short(&format!("{value:.places$}")).into(),
        _ => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", short(digits), exponent.abs())
        }
    }
}

/// Returns a number without zeros at the end of its fraction.
fn short(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_printed_as_perl_prints_them() {
        let text = |seconds, nanos| Time { seconds, nanos }.text();
        assert_eq!(text(1_700_000_000, 123_456_789), "1700000000.12346");
        assert_eq!(text(1_700_000_000, 0), "1700000000");
        assert_eq!(text(1_700_000_000, 500_000_000), "1700000000.5");
        assert_eq!(text(1_700_000_000, 1), "1700000000");
        assert_eq!(text(1_700_000_000, 999_999_999), "1700000001");
        assert_eq!(text(0, 1), "1e-09");
        assert_eq!(text(0, 120_000), "0.00012");
        assert_eq!(text(-5, 0), "-5");
        assert_eq!(text(-5, 7), "1.84467440737096e+19");
        assert_eq!(text(12, 345_678_901), "12.345678901");
    }
}
