use proptest::prelude::*;

use crate::domain::ids::WorkerId;

use super::*;

const NOW: Timestamp = Timestamp(1_795_000_000_000);
const HOUR: Duration = Duration::from_secs(3600);

fn grant(part: Option<(i64, i64)>, hourly: i64, model: i64, now: Timestamp) -> Grant {
    Grant {
        task: "task-abcdefgh".parse().unwrap(),
        attempt: 1,
        place: Place {
            worker: WorkerId::random(),
            provider: "local".into(),
            run_dir: None,
            workspace: None,
            branch: None,
        },
        requirements: Requirements::default(),
        now,
        part: part.map(|it| Allowed { share: Usd(it.0), most: Usd(it.1) }),
        hourly: Usd(hourly),
        model: Usd(model),
        length: HOUR,
        totals: Vec::new(),
    }
}

fn after(secs: u64) -> Timestamp {
    NOW.plus(Duration::from_secs(secs))
}

#[test]
fn one_task_alone_may_spend_all_that_is_left() {
    let claim = Claim { reserved: Usd(1_000_000), weight: WORKING, own: None };
    let pot = Pot { left: Usd(8_000_000), members: vec![0] };
    let all = Some(Allowed { share: Usd(8_000_000), most: Usd(8_000_000) });
    assert_eq!(deal(std::slice::from_ref(&claim), &[pot]), [all]);
    assert_eq!(deal(&[claim], &[]), [None]);
}

#[test]
fn what_is_reserved_is_its_own_and_the_rest_is_shared() {
    let claim = |reserved, weight| Claim { reserved: Usd(reserved), weight, own: None };
    let claims = [claim(1000, WORKING), claim(3000, WORKING), claim(0, 1)];
    let pot = |left| Pot { left: Usd(left), members: vec![0, 1, 2] };
    let shares = |left| -> Vec<i64> {
        deal(&claims, &[pot(left)]).iter().map(|it| it.unwrap().share.0).collect()
    };
    assert_eq!(shares(13_000), [5000, 7000, 1000]);
    // A ceiling was lowered below what is reserved.
    assert_eq!(shares(2000), [500, 1500, 0]);
    assert_eq!(shares(0), [0, 0, 0]);
    assert_eq!(shares(-5), [0, 0, 0]);
}

#[test]
fn a_paid_worker_is_paid_from_the_same_share() {
    let lease = grant(Some((1_000_000, 1_500_000)), 1_000_000, 0, NOW).lease();
    assert_eq!(lease.until, after(1800));
    let allowed = Allowed { share: Usd(500_000), most: Usd(1_500_000) };
    assert_eq!(lease.allowed, Some(allowed));
    let lease = grant(Some((100_000_000, 100_000_000)), 1_000_000, 0, NOW).lease();
    assert_eq!((lease.until, lease.allowed.unwrap().share), (after(3600), Usd(99_000_000)));
    assert_eq!(grant(None, 1_000_000, 0, NOW).lease().allowed, None);
}

#[test]
fn a_lease_is_renewed_when_a_third_is_over_or_the_numbers_changed() {
    let first = grant(Some((10_000_000, 20_000_000)), 0, 5_000_000, NOW);
    let given = Given::of(&first);
    let due_of = |part: Option<(i64, i64)>, model, secs| {
        due(Some(&given), &grant(part, 0, model, after(secs)))
    };
    assert_eq!(due(None, &first), NOW);
    // Its own spending changes nothing, until half of it is spent.
    let spent = |it: i64| Some((10_000_000 - it, 20_000_000 - it));
    assert_eq!(due_of(spent(0), 5_000_000, 0), after(1200));
    assert_eq!(due_of(spent(4_000_000), 9_000_000, 60), after(1200));
    assert_eq!(due_of(spent(4_000_000), 9_000_000, 1200), after(1200));
    assert_eq!(due_of(Some((8_000_000, 14_000_000)), 11_100_000, 0), after(1));
    // Others spent what it counts on, or a ceiling was lowered.
    assert_eq!(due_of(Some((9_000_000, 9_000_000)), 5_000_000, 3), after(15));
    assert_eq!(due_of(Some((9_000_000, 9_000_000)), 5_000_000, 60), after(60));
    assert_eq!(due_of(Some((9_999_000, 9_999_000)), 5_000_000, 60), after(1200));
    // A ceiling was taken away.
    assert_eq!(due_of(None, 5_000_000, 60), after(60));
    // Another launch; a clock that was turned back.
    let next = Grant { attempt: 2, ..first.clone() };
    assert_eq!(due(Some(&given), &next), NOW);
    let back = Timestamp(NOW.0 - 1);
    assert_eq!(due(Some(&given), &grant(spent(0), 0, 5_000_000, back)), back);
}

#[test]
fn what_cannot_be_renewed_is_left_for_a_while() {
    let given = Given::of(&grant(None, 0, 0, NOW));
    // The time-out ends it, however often it is renewed.
    let rest = |secs: u64| Grant {
        length: HOUR - Duration::from_secs(secs),
        ..grant(None, 0, 0, after(secs))
    };
    assert_eq!(due(Some(&given), &rest(1200)), after(1200 + 800));
    assert_eq!(due(Some(&given), &rest(3600)), after(3600 + 1));
}

#[test]
fn time_of_a_paid_worker_makes_no_lease_too_large() {
    let first = grant(Some((100_000_000, 100_000_000)), 60_000_000, 0, NOW);
    let given = Given::of(&first);
    let later = |secs: u64| {
        let left = 100_000_000 - i64::try_from(secs).unwrap() * 16_667;
        due(Some(&given), &grant(Some((left, left)), 60_000_000, 0, after(secs)))
    };
    assert_eq!(first.lease().until, after(3000));
    assert_eq!((later(30), later(900), later(1000)), (after(1000), after(1000), after(1000)));
}

fn claim() -> impl Strategy<Value = Claim> {
    let own = proptest::option::of(-1000i64..1_000_000_000);
    (0i64..1_000_000_000, 1i64..5, own).prop_map(|(reserved, weight, own)| Claim {
        reserved: Usd(reserved),
        weight,
        own: own.map(Usd),
    })
}

proptest! {
    #[test]
    fn all_leases_together_allow_no_more_than_is_left(
        claims in proptest::collection::vec(claim(), 1..30),
        lefts in proptest::collection::vec((-1000i64..20_000_000_000, any::<u32>()), 0..4),
    ) {
        let pots: Vec<Pot> = lefts.iter().map(|(left, mask)| Pot {
            left: Usd(*left),
            members: (0..claims.len()).filter(|it| mask >> it & 1 == 1).collect(),
        }).collect();
        let parts = deal(&claims, &pots);
        for pot in &pots {
            let sum: i64 = pot.members.iter().map(|it| parts[*it].unwrap().share.0).sum();
            prop_assert!(sum <= pot.left.0.max(0));
        }
        for (claim, part) in claims.iter().zip(&parts) {
            let Some(part) = part else { prop_assert!(claim.own.is_none()); continue };
            prop_assert!(Usd::ZERO <= part.share && part.share <= part.most);
            prop_assert!(claim.own.is_none_or(|it| part.share <= it.max(Usd::ZERO)));
        }
    }

    #[test]
    fn model_and_worker_together_keep_to_the_share(
        share in 0i64..100_000_000, more in 0i64..100_000_000, hourly in 0i64..50_000_000,
    ) {
        let grant = grant(Some((share, share + more)), hourly, 0, NOW);
        let lease = grant.lease();
        let worker = grant.worker_for(lease.until.since(NOW));
        let allowed = lease.allowed.unwrap();
        // Rounding up the worker's price may cost one micro-dollar that is not there.
        prop_assert!((allowed.share + worker).0 <= share + 1);
        // A dispatcher that lives is not forestalled.
        prop_assert_eq!(allowed.most, Usd(share + more));
    }
}
