//! The lease of a session, and what its watchdog leaves behind.
//!
//! Whoever pays for a session must be able to lose sight of it. So each launch directory holds a
//! lease, which the dispatcher writes anew again and again, and a watchdog beside Claude that ends
//! the session when it is over. The watchdog knows no clock but its own host's: it counts the
//! lease's length from when it first sees it, at most a minute after it was written.

use crate::{
    domain::{state::ParkCause, usd::Usd},
    stdx::time::Timestamp,
};

/// The first word of both files.
const VERSION: &str = "parhelia-lease-1";
/// More than this is no amount the scripts calculate with: a hundred million dollars.
const MOST: i64 = 100_000_000_000_000;
/// Totals that a lease holds at most; the scripts read no more lines.
const TOTALS_MAX: usize = 1000;

/// What a session may do until it hears again from a dispatcher.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lease {
    /// When it was written.
    pub written: Timestamp,
    /// Until when the session may run.
    pub until: Timestamp,
    /// What the model may cost.
    pub allowed: Option<Allowed>,
    /// The totals that is counted from.
    pub totals: Vec<Total>,
}

/// What a session may spend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Allowed {
    /// Its share of what is left. Once that is spent, the watchdog asks for more and waits a little.
    pub share: Usd,
    /// All that is left to anyone. Once that is spent, it asks for nothing.
    pub most: Usd,
}

/// The running total of a conversation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Total {
    /// The conversation.
    pub conversation: String,
    /// What Claude said last that it had cost.
    pub total: Usd,
    /// Whether it said so in an earlier launch: this one's first figure may be less.
    pub carried: bool,
}

impl Lease {
    /// Returns the file's content.
    pub fn encode(&self) -> Vec<u8> {
        let amount = |it: Option<Usd>| match it {
            Some(it) => it.0.clamp(0, MOST).to_string(),
            None => "-".to_owned(),
        };
        let (share, most) = (self.allowed.map(|it| it.share), self.allowed.map(|it| it.most));
        let written = self.written.0.div_euclid(1000);
        // A part of a second more: the dispatcher's own limits come first.
        let until = self.until.0.div_euclid(1000).saturating_add(1).max(written);
        let mut text = format!("{VERSION} {written} {until} {} {}\n", amount(share), amount(most));
        for it in self.totals.iter().take(TOTALS_MAX) {
            if it.conversation.is_empty() || !it.conversation.bytes().all(is_plain) {
                continue;
            }
            let how = if it.carried { "carried" } else { "seen" };
            let total = it.total.0.clamp(0, MOST);
            text.push_str(&format!("{} {total} {how}\n", it.conversation));
        }
        text.into_bytes()
    }
}

fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-'
}

/// Reads the watchdog's note; nothing if it is none.
pub fn over(bytes: &[u8]) -> Option<ParkCause> {
    let text = String::from_utf8_lossy(bytes);
    let mut words = text.split_ascii_whitespace();
    if words.next()? != VERSION {
        return None;
    }
    let why = words.next()?;
    let mut number =
        || words.next()?.parse::<i64>().ok().filter(|it| (0..=MOST * 100).contains(it));
    let ended = Timestamp(number()?.saturating_mul(1000));
    let (spent, limit) = (Usd(number()?), Usd(number()?));
    match why {
        "deadline" => Some(ParkCause::LeaseOver { ended }),
        "spent" => Some(ParkCause::LeaseSpent { spent, limit }),
        _ => None,
    }
}

/// Reads the launcher's last word: the status, and when it was written.
pub fn exit(bytes: &[u8]) -> Option<(i32, Option<Timestamp>)> {
    let text = String::from_utf8_lossy(bytes);
    let mut words = text.split_ascii_whitespace();
    let code = words.next()?.parse().ok()?;
    let seconds = words.next().and_then(|it| it.parse::<i64>().ok()).filter(|it| 0 < *it);
    Some((code, seconds.map(|it| Timestamp(it.saturating_mul(1000)))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_lease_is_written_as_the_scripts_read_it() {
        let total = |conversation: &str, total, carried| Total {
            conversation: conversation.to_owned(),
            total: Usd(total),
            carried,
        };
        let mut lease = Lease {
            written: Timestamp(1_795_000_000_900),
            until: Timestamp(1_795_000_900_100),
            allowed: Some(Allowed { share: Usd(1_500_000), most: Usd(4_000_000) }),
            totals: vec![
                total("11-aB", 7, false),
                total("22", i64::MAX, true),
                total("$(x) 1 seen\n33", 7, false),
            ],
        };
        assert_eq!(
            String::from_utf8(lease.encode()).unwrap(),
            "parhelia-lease-1 1795000000 1795000901 1500000 4000000\n11-aB 7 seen\n\
             22 100000000000000 carried\n"
        );
        lease.allowed = None;
        lease.totals.clear();
        let text = String::from_utf8(lease.encode()).unwrap();
        assert_eq!(text, "parhelia-lease-1 1795000000 1795000901 - -\n");
    }

    #[test]
    fn notes_and_last_words_are_read() {
        let ended = Timestamp(1_795_000_000_000);
        assert_eq!(
            over(b"parhelia-lease-1 deadline 1795000000 0 0\n"),
            Some(ParkCause::LeaseOver { ended })
        );
        assert_eq!(
            over(b"parhelia-lease-1 spent 1795000000 12 10\n"),
            Some(ParkCause::LeaseSpent { spent: Usd(12), limit: Usd(10) })
        );
        for bad in [
            "",
            "x",
            "parhelia-lease-1 spent",
            "parhelia-lease-2 spent 1 2 3",
            "parhelia-lease-1 other 1 2 3",
            "parhelia-lease-1 spent 1 -2 3",
            "parhelia-lease-1 spent 99999999999999999999 2 3",
        ] {
            assert_eq!(over(bad.as_bytes()), None, "{bad}");
        }
        assert_eq!(exit(b"3 1795000000\n"), Some((3, Some(ended))));
        assert_eq!(exit(b"129\n"), Some((129, None)));
        assert_eq!((exit(b""), exit(b"x 1")), (None, None));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            over(&bytes);
            exit(&bytes);
        }
    }
}
