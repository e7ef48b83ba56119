//! Times are in hours before now.

use proptest::prelude::*;

use super::*;
use crate::domain::{
    checkpoint::Change,
    event::Tokens,
    ids::{HostPath, TaskId},
    usd::Usd,
};

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const DAY: u64 = 24;

fn hours(number: u64) -> Duration {
    Duration::from_secs(number * 3600)
}

fn id(number: usize) -> CheckpointId {
    let digits: String =
        (0..8).rev().map(|it| char::from(b"abcdefghij"[number / 10_usize.pow(it) % 10])).collect();
    format!("cp-{digits}").parse().unwrap()
}

/// A whole automatic checkpoint that is on this machine.
fn made(number: usize, age: u64, trigger: Trigger) -> Checkpoint {
    Checkpoint {
        id: id(number),
        task: "task-aaaaaaaa".parse::<TaskId>().unwrap(),
        task_name: "t".into(),
        at: NOW.minus(hours(age)),
        trigger,
        label: None,
        pinned: false,
        commit: String::new(),
        parent: None,
        provider: "local".into(),
        workspace: HostPath::new("/w").unwrap(),
        change: Change::default(),
        files: 0,
        bytes: 0,
        left_out: 0,
        stored: Some(1),
        damage: None,
        conversation: None,
        branch: None,
        head: None,
        turns: 0,
        tokens: Tokens::default(),
        cost: Usd::default(),
    }
}

fn pinned(checkpoint: Checkpoint) -> Checkpoint {
    Checkpoint { pinned: true, ..checkpoint }
}

fn labelled(checkpoint: Checkpoint) -> Checkpoint {
    Checkpoint { label: Some("good".into()), ..checkpoint }
}

fn damaged(checkpoint: Checkpoint) -> Checkpoint {
    Checkpoint { damage: Some("a file is missing".into()), ..checkpoint }
}

fn elsewhere(checkpoint: Checkpoint) -> Checkpoint {
    Checkpoint { stored: None, ..checkpoint }
}

/// Returns the numbers of those that go of checkpoints numbered in the order given.
fn gone(checkpoints: &[Checkpoint], max: u32, days: u64, live: bool) -> Vec<usize> {
    let policy = Policy { max_per_session: max, keep: hours(days * DAY) };
    let number = |gone: &CheckpointId| checkpoints.iter().position(|it| it.id == *gone).unwrap();
    expired(checkpoints, &policy, live, NOW).iter().map(|(id, _)| number(id)).collect()
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_goes_and_what_stays() {
    use Trigger::{BeforeDelete, BeforeKill, BeforeRestore, Error, Manual, Periodic, Turn};
    type Case = (&'static str, Vec<Checkpoint>, u32, u64, bool, Vec<usize>);
    let auto = |ages: &[u64]| -> Vec<Checkpoint> {
        ages.iter().enumerate().map(|(i, age)| made(i, *age, Periodic)).collect()
    };
    let cases: Vec<Case> = vec![
        ("nothing of nothing", vec![], 2, 30, true, vec![]),
        ("few and young", auto(&[2, 1]), 2, 30, true, vec![]),
        ("too many: the oldest", auto(&[4, 3, 2, 1]), 2, 30, true, vec![0, 1]),
        ("the order given does not matter", auto(&[1, 4, 2, 3]), 2, 30, true, vec![1, 3]),
        ("by age", auto(&[721, 720, 1]), 9, 30, true, vec![0]),
        ("by age and by number", auto(&[721, 5, 4, 3]), 2, 30, true, vec![0, 1]),
        ("the last of a task, however old", auto(&[9000]), 2, 30, true, vec![]),
        ("the last of a deleted task by age", auto(&[9000]), 2, 30, false, vec![0]),
        ("but not by number", auto(&[2, 1]), 1, 30, false, vec![0]),
        (
            "pinned: never, and not counted",
            vec![
                pinned(made(0, 9000, Turn)),
                made(1, 3, Turn),
                pinned(made(2, 2, Turn)),
                made(3, 1, Turn),
            ],
            2,
            30,
            false,
            vec![],
        ),
        (
            "asked for: not by number, but counted",
            vec![
                made(0, 9, Manual),
                labelled(made(1, 8, Turn)),
                made(2, 7, Turn),
                made(3, 1, Turn),
            ],
            2,
            30,
            true,
            vec![2],
        ),
        (
            "asked for: by age",
            vec![made(0, 999, Manual), labelled(made(1, 999, Turn)), made(2, 1, Turn)],
            9,
            30,
            true,
            vec![0, 1],
        ),
        (
            "before something was destroyed: a day at least",
            vec![
                made(0, 24, BeforeKill),
                made(1, 23, BeforeKill),
                made(2, 22, BeforeRestore),
                made(3, 21, BeforeDelete),
                made(4, 20, Error),
                made(5, 1, Turn),
            ],
            2,
            30,
            true,
            vec![0, 4],
        ),
        (
            "the newest whole one, and the newest whole one here, stay with the newest",
            vec![
                made(0, 5, Turn),
                made(1, 4, Turn),
                elsewhere(made(2, 3, Turn)),
                damaged(made(3, 2, Turn)),
                damaged(made(4, 1, Turn)),
            ],
            1,
            30,
            true,
            vec![0, 3],
        ),
        ("made in the future: young", vec![made(0, 0, Turn)], 1, 30, false, vec![]),
    ];
    for (name, checkpoints, max, days, live, expected) in cases {
        assert_eq!(gone(&checkpoints, max, days, live), expected, "{name}");
    }
}

#[test]
fn a_day_of_safety_outlasts_a_shorter_retention() {
    let policy = Policy { max_per_session: 1, keep: hours(1) };
    let kept = [made(0, 23, Trigger::BeforeDelete)];
    assert_eq!(expired(&kept, &policy, false, NOW), []);
}

#[test]
fn the_reason_is_said_in_words() {
    let checkpoints =
        [made(0, 800, Trigger::Turn), made(1, 2, Trigger::Turn), made(2, 1, Trigger::Turn)];
    let policy = Policy { max_per_session: 1, keep: hours(30 * DAY) };
    let reasons: Vec<String> =
        expired(&checkpoints, &policy, true, NOW).into_iter().map(|it| it.1).collect();
    assert_eq!(
        reasons,
        ["it is older than 30 days", "the task has more than 1, and it is the oldest that may go"]
    );
    assert_eq!(in_words(hours(24)), "a day");
    assert_eq!(in_words(hours(36)), "1d");
}

fn any_checkpoint() -> impl Strategy<Value = Checkpoint> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (0_u64..60 * DAY, proptest::sample::select(Trigger::ALL.to_vec()), flags).prop_map(
        |(age, trigger, (pin, label, damage, here))| {
            let mut it = made(0, age, trigger);
            it.pinned = pin && label;
            it.label = label.then(|| "l".into());
            it.damage = damage.then(|| "d".into());
            it.stored = here.then_some(1);
            it
        },
    )
}

fn any_checkpoints() -> impl Strategy<Value = Vec<Checkpoint>> {
    proptest::collection::vec(any_checkpoint(), 0..40).prop_map(|mut all| {
        for (i, it) in all.iter_mut().enumerate() {
            it.id = id(i);
        }
        all
    })
}

proptest! {
    #[test]
    fn nothing_goes_that_must_stay(
        all in any_checkpoints(), max in 1_u32..20, days in 1_u64..40, live: bool,
    ) {
        let numbers = gone(&all, max, days, live);
        let goes: Vec<&Checkpoint> = numbers.iter().map(|it| &all[*it]).collect();
        let stays = |it: &Checkpoint| !goes.iter().any(|gone| gone.id == it.id);
        let young = |it: &Checkpoint| NOW.since(it.at) <= hours(days * DAY);
        for it in &goes {
            prop_assert!(!it.pinned);
            prop_assert!(!is_safety(it.trigger) || SAFE <= NOW.since(it.at));
            prop_assert!(!is_asked_for(it) || !young(it), "asked for, and young");
        }
        prop_assert!(goes.is_sorted_by_key(|it| (it.at, &it.id)));
        // What a task comes back from is never less than before, unless by age without a task.
        let fits: [fn(&Checkpoint) -> bool; 3] =
            [|_| true, |it| it.damage.is_none(), |it| it.damage.is_none() && it.is_here()];
        for fits in fits {
            if let Some(newest) = all.iter().filter(|it| fits(it)).max_by_key(|it| (it.at, &it.id)) {
                prop_assert!(stays(newest) || !live && !young(newest));
            }
        }
    }

    #[test]
    fn what_may_go_does_go(
        all in any_checkpoints(), max in 1_u32..20, days in 1_u64..40, live: bool,
    ) {
        let numbers = gone(&all, max, days, live);
        let left: Vec<&Checkpoint> = all
            .iter()
            .enumerate()
            .filter(|(i, it)| !numbers.contains(i) && !it.pinned)
            .map(|it| it.1)
            .collect();
        let last = last_resorts(&all);
        let held = |it: &Checkpoint| {
            is_safety(it.trigger) && NOW.since(it.at) < SAFE || live && last.contains(&it.id)
        };
        for it in &left {
            prop_assert!(held(it) || NOW.since(it.at) <= hours(days * DAY), "old");
        }
        if usize::try_from(max).unwrap() < left.len() {
            let reason = |it: &Checkpoint| held(it) || is_asked_for(it) || last.contains(&it.id);
            prop_assert!(left.iter().all(|it| reason(it)), "too many without a reason");
        }
    }

    #[test]
    fn doing_it_again_finds_nothing(
        all in any_checkpoints(), max in 1_u32..20, days in 1_u64..40, live: bool,
    ) {
        let numbers = gone(&all, max, days, live);
        let left: Vec<Checkpoint> = all
            .iter()
            .enumerate()
            .filter(|(i, _)| !numbers.contains(i))
            .map(|it| it.1.clone())
            .collect();
        prop_assert_eq!(gone(&left, max, days, live), Vec::<usize>::new());
    }
}
