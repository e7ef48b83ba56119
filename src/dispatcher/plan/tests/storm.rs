//! Many at once: reservations never let spent and reserved together pass a ceiling by dispatching.

use proptest::prelude::*;

use crate::domain::budget::{Ceiling, Configured, Standing};

use super::{
    money::{end, spend, usd, world},
    *,
};

fn all(world: &World, now: i64) -> Standing {
    let standings = Draft::new(world).standings(Timestamp(now));
    standings.into_iter().find(|it| it.ceiling == Ceiling::All).unwrap()
}

fn running(world: &World) -> usize {
    world.live().filter(|it| it.state.holds_slot()).count()
}

#[test]
fn of_two_hundred_seven_run() {
    let configured = Configured { all: Some(usd(700)), reserve: usd(100), ..Configured::default() };
    let mut world = world(1000, Usd::ZERO, configured);
    let tasks: Vec<Task> = (0..200).map(|it| task(0, it)).collect();
    // All in one round, as they come when they come at once.
    round(&mut world, 1, |draft| {
        for it in &tasks {
            let command = Command::Create { task: Box::new(it.clone()), prompt: Vec::new() };
            decide(draft, &command, Timestamp(1)).unwrap();
        }
    });
    assert_eq!(running(&world), 7);
    assert_eq!((all(&world, 1).spent, all(&world, 1).reserved), (Usd::ZERO, usd(700)));
    let waiting = world.live().filter(|it| it.state.name() == "PENDING").count();
    assert_eq!(waiting, 193);
}

/// What happens to one of the tasks.
#[derive(Clone, Debug)]
enum Deed {
    Spend(u8),
    End,
    Fail,
    Park,
    Again,
}

fn deeds() -> impl Strategy<Value = Vec<(usize, Deed)>> {
    let deed = prop_oneof![
        4 => (0..100u8).prop_map(Deed::Spend),
        3 => Just(Deed::End),
        1 => Just(Deed::Fail),
        2 => Just(Deed::Park),
        2 => Just(Deed::Again),
    ];
    proptest::collection::vec((0..1000usize, deed), 1..250)
}

/// Does it to one of those to which it can be done.
fn act(world: &mut World, now: i64, which: usize, deed: &Deed) {
    let fits = |it: &&Task| match deed {
        Deed::Again => it.state.is_final() && it.state.session().is_none(),
        _ => it.state.holds_slot(),
    };
    let mut found: Vec<Task> = world.newest_first().filter(fits).cloned().collect();
    if found.is_empty() {
        return;
    }
    let it = found.swap_remove(which % found.len());
    match deed {
        Deed::Spend(part) => {
            let launched = EventBody::Launched;
            round(world, now, |draft| learn(draft, &it.id, launched, Timestamp(now)));
            let hold = it.hold.clone().unwrap();
            let total =
                it.usage.model.0.max(hold.before.0 + hold.amount.0 * i64::from(*part) / 100);
            spend(world, &it, now, Usd(total));
        }
        Deed::End => end(world, &it, now),
        Deed::Fail => {
            let failed = EventBody::DispatchFailed { reason: "r".into() };
            round(world, now, |draft| learn(draft, &it.id, failed, Timestamp(now)));
        }
        Deed::Park => {
            let park = Command::Park { id: it.id.clone() };
            round(world, now, |draft| decide(draft, &park, Timestamp(now)).unwrap());
            end(world, &it, now);
        }
        Deed::Again => {
            let resume = it.conversation.is_some();
            let retry = Command::Retry { id: it.id.clone(), resume, prompt: None };
            round(world, now, |draft| decide(draft, &retry, Timestamp(now)).unwrap());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn spent_and_reserved_never_pass_the_ceiling(deeds in deeds(), seven in 1i64..20) {
        let limit = usd(700);
        let reserve = Usd(limit.0 / seven);
        let configured = Configured { all: Some(limit), reserve, ..Configured::default() };
        let mut world = world(1000, Usd::ZERO, configured);
        let tasks: Vec<Task> = (0..200).map(|it| task(0, it)).collect();
        round(&mut world, 1, |draft| {
            for it in &tasks {
                let command = Command::Create { task: Box::new(it.clone()), prompt: Vec::new() };
                decide(draft, &command, Timestamp(1)).unwrap();
            }
        });
        prop_assert_eq!(running(&world), seven as usize);
        for (now, (which, deed)) in (2..).zip(&deeds) {
            act(&mut world, now, *which, deed);
            let all = all(&world, now);
            prop_assert!(all.spent + all.reserved <= limit, "{:?} after {:?}", all, deed);
        }
    }
}
