//! What a task cost and used, by what Claude reports and by the meter of its worker.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        event::{Gauges, Tokens},
        ledger::{Charge, CostKind, WorkerMeter},
        usd::Usd,
    },
    stdx::time::Timestamp,
};

/// What a task cost and used.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Usage {
    /// Model cost as Claude reported it, over all launches.
    pub model: Usd,
    /// What cores, or machines as a whole, cost, over all launches.
    pub cpu: Usd,
    /// What memory cost.
    pub memory: Usd,
    /// What GPUs cost.
    pub gpu: Usd,
    /// The meter of the worker it has now.
    pub worker: Option<WorkerMeter>,
    /// When Claude last reported a cost.
    pub reported_at: Option<Timestamp>,
    /// The language model that Claude named last.
    pub model_name: Option<String>,
    /// The reading the next one is compared with.
    pub meter: Meter,
    /// Tokens by the transcript; an estimate, since compaction and titles appear in none.
    pub tokens: Tokens,
    /// What tells which messages were counted.
    pub counted: Counted,
    /// Turns that ended, over all launches.
    pub turns: u32,
    /// How full the context window is, in percent.
    pub context_percent: Option<u8>,
    /// Lines added and removed as Claude counts them.
    pub lines_added: u64,
    /// See `lines_added`.
    pub lines_removed: u64,
}

/// Remembers which messages were counted, in little room however many they are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Counted {
    /// The last ones, the newest last: each line of a message repeats its usage, and those of two
    /// messages may be mixed.
    last: VecDeque<u64>,
    /// When the newest was written, by its host's clock.
    until: Option<Timestamp>,
}

/// So many messages may be mixed.
const MIXED_MAX: usize = 16;

impl Counted {
    /// Tells whether a message is a new one, and counts it as seen. `again` says that its file was
    /// cut off or replaced and is read from its start once more: then what was written before the
    /// newest is not new, and otherwise that is not asked, since a clock may be turned.
    fn is_new(&mut self, message: &str, written: Option<Timestamp>, again: bool) -> bool {
        let key = fingerprint(message);
        if self.last.contains(&key) || again && written.is_some() && written <= self.until {
            return false;
        }
        self.last.push_back(key);
        if MIXED_MAX < self.last.len() {
            self.last.pop_front();
        }
        self.until = self.until.max(written);
        true
    }
}

/// FNV-1a: the same in every version of this program, since it is stored.
fn fingerprint(text: &str) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    text.as_bytes().iter().fold(0xcbf2_9ce4_8422_2325, step)
}

/// Turns Claude's running totals into what was spent.
///
/// A total is cumulative for a conversation (Claude Code 2.1.329, measured): it goes on across
/// `--resume` after a clean end, falls back to the last saved figure after kill -9, and starts at
/// zero in the conversation that `/clear` opens; `/resume` within Claude brings one up that another
/// task may have paid for. Readings come from the status line, from the transcript's `cost-state` and,
/// at each beginning, from the last `cost-state` before it, in any order. The transcript goes on over
/// launches and may be read again, so only the others, which are of one launch, tell with which
/// figure a launch began: the lowest one, since the first may be taken down last.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Meter {
    readings: Vec<Reading>,
}

/// How far one conversation was paid for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Reading {
    conversation: String,
    attempt: u32,
    /// The highest total of this launch.
    total: Usd,
    /// What the transcript told before the status line has shown with which figure a launch began.
    #[serde(default)]
    told: Usd,
    /// The lowest total that the status line showed in this launch.
    #[serde(default)]
    low: Usd,
    /// The highest total of the launch before: what is beyond it is new.
    #[serde(default)]
    paid: Usd,
}

impl Meter {
    /// Returns the meter of a task that begins with a copy of a conversation: its first figure, which
    /// is what was carried over, was paid by the task it was copied from.
    pub fn carried_over(conversation: &str) -> Meter {
        Meter { readings: vec![Reading::new(conversation, Usd(i64::MAX))] }
    }

    /// Takes note of a conversation that begins: all of its cost is new.
    pub(super) fn begin(&mut self, conversation: &str) {
        if self.readings.iter().all(|it| it.conversation != conversation) {
            self.readings.push(Reading::new(conversation, Usd::ZERO));
        }
    }

    /// Returns the newest total of each conversation, with the launch that it is of.
    pub fn totals(&self) -> impl Iterator<Item = (&str, u32, Usd)> {
        self.readings.iter().map(|it| (it.conversation.as_str(), it.attempt, it.total))
    }

    /// Takes a reading and returns what was spent since the one before. `shown` says that it is
    /// of this launch: the status line's, or the one that it began with.
    pub fn read(&mut self, attempt: u32, conversation: &str, total: Usd, shown: bool) -> Usd {
        let found = self.readings.iter().position(|it| it.conversation == conversation);
        let at = found.unwrap_or(self.readings.len());
        if found.is_none() {
            // Nothing told that it begins here, so what it comes with was paid elsewhere.
            self.readings.push(Reading::new(conversation, Usd(i64::MAX)));
        }
        self.readings[at].read(attempt, total, shown)
    }
}

impl Reading {
    fn new(conversation: &str, total: Usd) -> Reading {
        let conversation = conversation.to_owned();
        let (told, low, paid) = (Usd::ZERO, Usd::ZERO, Usd::ZERO);
        Reading { conversation, attempt: 0, total, told, low, paid }
    }

    fn read(&mut self, attempt: u32, total: Usd, shown: bool) -> Usd {
        let mut before = self.spent();
        if self.attempt != attempt {
            if !shown && total <= self.total {
                // Of an earlier launch, or of this one, which began with a lower figure.
                self.told = self.told.max(total);
                return Usd::ZERO;
            }
            before = Usd::ZERO;
            self.attempt = attempt;
            (self.paid, self.low) = (self.total, Usd(i64::MAX));
            self.total = std::mem::take(&mut self.told);
        }
        if shown {
            self.low = self.low.min(total);
        }
        self.total = self.total.max(total);
        self.spent() - before
    }

    /// Returns what this launch spent, as far as is known.
    fn spent(&self) -> Usd {
        (self.total - self.low.min(self.paid)).max(Usd::ZERO)
    }
}

impl Usage {
    /// Returns what was entered in the ledger.
    pub fn spent(&self) -> Usd {
        self.model + self.compute()
    }

    /// Returns what workers cost.
    pub fn compute(&self) -> Usd {
        self.cpu + self.memory + self.gpu
    }

    /// Takes in a running total of Claude's and returns what was spent since the one before.
    pub(super) fn report(
        &mut self,
        attempt: u32,
        conversation: &str,
        total: Usd,
        shown: bool,
    ) -> Usd {
        let spent = self.meter.read(attempt, conversation, total, shown);
        self.model = self.model + spent;
        spent
    }

    /// Takes in what the status line shows beside the cost.
    pub(super) fn show(&mut self, gauges: &Gauges) {
        self.context_percent = gauges.context_percent;
        self.lines_added = gauges.lines_added;
        self.lines_removed = gauges.lines_removed;
    }

    /// Takes in the tokens of a message; tells whether it is a new one.
    pub(super) fn count(
        &mut self,
        message: &str,
        tokens: &Tokens,
        written: Option<Timestamp>,
        again: bool,
    ) -> bool {
        let is_new = self.counted.is_new(message, written, again);
        if is_new {
            self.tokens = self.tokens.plus(tokens);
        }
        is_new
    }

    /// Takes in what was charged for a worker.
    pub(super) fn charge(&mut self, charge: &Charge) {
        let sum = match charge.kind {
            CostKind::Model => &mut self.model,
            CostKind::Cpu => &mut self.cpu,
            CostKind::Memory => &mut self.memory,
            CostKind::Gpu => &mut self.gpu,
        };
        *sum = *sum + charge.amount;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_meter_neither_doubles_nor_misses() {
        let mut meter = Meter::default();
        meter.begin("a");
        let readings = [
            (1, "a", 0, 0),
            (1, "a", 500, 500),
            (1, "a", 500, 0),
            (1, "a", 700, 200),
            // Resumed after a clean end: the total is carried over.
            (2, "a", 700, 0),
            (2, "a", 900, 200),
            // Resumed after kill -9: the total falls back.
            (3, "a", 300, 0),
            (3, "a", 400, 100),
            // `/clear` opens another conversation; the old one's last word comes late.
            (3, "b", 0, 0),
            (3, "a", 450, 50),
            (3, "b", 50, 50),
            (3, "a", 400, 0),
            // `/resume` brings up another task's.
            (3, "c", 800, 0),
            (3, "c", 850, 50),
            // The launch's first line was the last to be taken down.
            (4, "a", 470, 20),
            (4, "a", 300, 150),
            (4, "a", 470, 0),
        ];
        for (attempt, conversation, total, spent) in readings {
            let seen = meter.read(attempt, conversation, Usd(total), true);
            assert_eq!(seen, Usd(spent), "{attempt} {conversation} {total}");
        }
    }

    #[test]
    fn an_old_word_of_the_transcript_is_no_new_beginning() {
        let mut meter = Meter::default();
        meter.begin("a");
        let readings = [
            (1, 500, true, 500),
            (1, 500, false, 0),
            (2, 500, true, 0),
            (2, 700, false, 200),
            // The transcript was replaced, and is read from its start.
            (3, 500, false, 0),
            (3, 700, false, 0),
            (3, 700, true, 0),
            (3, 800, true, 100),
        ];
        for (attempt, total, shown, spent) in readings {
            assert_eq!(
                meter.read(attempt, "a", Usd(total), shown),
                Usd(spent),
                "{attempt} {total}"
            );
        }
    }

    #[test]
    fn what_a_copy_carried_over_was_paid() {
        let mut meter = Meter::carried_over("b");
        for (attempt, total, spent) in [(1, 700, 0), (1, 900, 200), (2, 800, 0), (2, 950, 150)] {
            assert_eq!(meter.read(attempt, "b", Usd(total), true), Usd(spent), "{attempt} {total}");
        }
    }

    /// A launch as Claude goes through it: what it spends turn by turn, and how it ends.
    #[derive(Clone, Debug)]
    struct Launch {
        spends: Vec<i64>,
        /// The turn after which `/clear` opens another conversation, if one does.
        clears: Option<usize>,
        /// Ended in good order: the total is saved.
        clean: bool,
    }

    fn launches() -> impl Strategy<Value = Vec<Launch>> {
        let launch = (
            proptest::collection::vec(1i64..1000, 0..6),
            proptest::option::of(0usize..6),
            any::<bool>(),
        );
        let launch = launch.prop_map(|(spends, clears, clean)| Launch { spends, clears, clean });
        proptest::collection::vec(launch, 1..5)
    }

    /// The files that Claude writes, and what it spent by its own account.
    #[derive(Default)]
    struct Cli {
        /// Of each launch: conversation and total.
        status: Vec<Vec<(String, i64)>>,
        /// Of all launches, with the number of lines at the end of each.
        transcript: Vec<(String, i64)>,
        ends: Vec<usize>,
        spent: i64,
    }

    impl Cli {
        fn run(launches: &[Launch]) -> Cli {
            let mut cli = Cli::default();
            let (mut conversation, mut saved, mut opened) = ("c0".to_owned(), 0, 0);
            for launch in launches {
                let mut total = saved;
                let mut shown = vec![(conversation.clone(), total)];
                for (turn, spend) in launch.spends.iter().enumerate() {
                    total += spend;
                    cli.spent += spend;
                    shown.push((conversation.clone(), total));
                    if launch.clears == Some(turn) {
                        cli.transcript.push((conversation, total));
                        opened += 1;
                        (conversation, total, saved) = (format!("c{opened}"), 0, 0);
                        shown.push((conversation.clone(), 0));
                    }
                }
                if launch.clean {
                    saved = total;
                    cli.transcript.push((conversation.clone(), total));
                }
                cli.status.push(shown);
                cli.ends.push(cli.transcript.len());
            }
            cli
        }
    }

    /// Reads two files to their ends, in turns and with steps back as `whim` says: each step reads
    /// a line of one of them, or goes back in one, as a dispatcher that was killed does.
    fn read(cli: &Cli, whim: &mut impl Iterator<Item = u8>) -> i64 {
        let (mut meter, mut sum, mut second) = (Meter::default(), Usd::ZERO, 0);
        for (launch, shown) in cli.status.iter().enumerate() {
            let attempt = launch as u32 + 1;
            let told = &cli.transcript[..cli.ends[launch]];
            let mut first = 0;
            while first < shown.len() || second < told.len() {
                match whim.next().unwrap_or(0) {
                    it @ 200..=227 => first = first.saturating_sub(usize::from(it - 199)),
                    it @ 228..=255 => second = second.saturating_sub(usize::from(it - 227)),
                    it if (it < 100 || second == told.len()) && first < shown.len() => {
                        let (conversation, total) = &shown[first];
                        sum = sum + meter.read(attempt, conversation, Usd(*total), true);
                        first += 1;
                    }
                    _ if second < told.len() => {
                        let (conversation, total) = &told[second];
                        sum = sum + meter.read(attempt, conversation, Usd(*total), false);
                        second += 1;
                    }
                    _ => (),
                }
            }
        }
        sum.0
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]
        #[test]
        fn the_sum_is_the_cli_s_own(
            launches in launches(),
            // Whether a line of the status line is taken down after the one that follows it.
            late in proptest::collection::vec(any::<bool>(), 0..40),
            whim in proptest::collection::vec(any::<u8>(), 0..200),
        ) {
            let mut cli = Cli::run(&launches);
            let mut late = late.into_iter();
            for shown in &mut cli.status {
                for at in 1..shown.len() {
                    if late.next() == Some(true) {
                        shown.swap(at - 1, at);
                    }
                }
            }
            prop_assert_eq!(read(&cli, &mut whim.into_iter()), cli.spent);
        }

        #[test]
        fn a_message_counts_once(
            // Each message with how much later than the one before it was written.
            messages in proptest::collection::vec(0i64..1000, 1..60),
            lines in 1usize..4,
            whim in proptest::collection::vec(any::<u8>(), 0..30),
        ) {
            let mut usage = Usage::default();
            let one = Tokens { input: 1, ..Tokens::default() };
            let (mut at, mut all) = (0, Vec::new());
            for (number, later) in messages.iter().enumerate() {
                at += later + 1;
                all.extend((0..lines).map(|_| (format!("m{number}/r"), Timestamp(at))));
            }
            let mut upto = 0;
            for step in whim.iter().map(|it| usize::from(*it)).chain([usize::MAX]) {
                // Read on, then the file is cut off and read from its start.
                let end = upto.max(all.len().min(step));
                let again = upto != 0;
                for (message, written) in &all[..end] {
                    usage.count(message, &one, Some(*written), again);
                }
                upto = end;
            }
            prop_assert_eq!(usage.tokens.input, messages.len() as u64);
        }
    }

    #[test]
    fn a_clock_that_is_turned_back_hides_no_message() {
        let mut usage = Usage::default();
        let one = Tokens { output: 1, ..Tokens::default() };
        for (number, written) in [(1, 1000), (2, 500), (2, 500), (3, 600)] {
            usage.count(&format!("m{number}"), &one, Some(Timestamp(written)), false);
        }
        assert_eq!(usage.tokens.output, 3);
        assert!(serde_json::to_string(&usage.counted).unwrap().len() < 500);
    }
}
