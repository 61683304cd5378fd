//! Anything may happen to the clock, in any order.

use proptest::prelude::*;

use super::world::{HOUR, NO_BATTERY, NOW, World, YEAR, plan};
use crate::daemon::clock::{Facts, SECOND, Synchroniser};
use crate::daemon::timekeeper::Plan;

/// What may happen to a machine.
#[derive(Clone, Debug)]
enum Happening {
    /// Frames of a host, their time stamps this late.
    Frames(u8, u32, i64),
    /// A frame with any time stamp.
    Wild(i64),
    /// Seconds with a tick each.
    Pass(i64),
    /// Nothing runs.
    Sleep(i64),
    Step(i64),
    /// The clock shows seconds since 1970.
    Fall(i64),
    /// The clock shows about the right time.
    Set(i64),
    Say(bool),
    Captured(bool),
}

fn happenings() -> impl Strategy<Value = Vec<Happening>> {
    use Happening::*;
    let step = prop_oneof![
        -2 * SECOND..2 * SECOND,
        -3 * HOUR..3 * HOUR,
        Just(YEAR),
        Just(-YEAR / 4),
        Just(HOUR),
        Just(-HOUR),
    ];
    let one = prop_oneof![
        8 => (any::<u8>(), 40_u32..2_000, 0..2 * SECOND).prop_map(|(h, b, l)| Frames(h, b, l)),
        1 => any::<i64>().prop_map(Wild),
        6 => (1_i64..90).prop_map(Pass),
        1 => (0..100 * SECOND).prop_map(Sleep),
        3 => step.prop_map(Step),
        1 => (0..1_000 * SECOND).prop_map(Fall),
        2 => (0..SECOND).prop_map(Set),
        2 => any::<bool>().prop_map(Say),
        1 => any::<bool>().prop_map(Captured),
    ];
    prop::collection::vec(one, 1..40)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn whatever_happens_to_the_clock_every_byte_arrives_once_and_at_a_sane_time(
        has_battery in any::<bool>(),
        starts_in_1970 in any::<bool>(),
        (base, fine) in prop::sample::select(
            vec![(60, Some(1)), (60, None), (60, Some(10)), (900, Some(60)), (1, None)]
        ),
        happenings in happenings(),
    ) {
        let real = if starts_in_1970 { 5 * SECOND } else { NOW };
        let facts = Facts { has_battery, ..NO_BATTERY };
        let mut world = World::new(real, facts, Plan { base, fine, ..plan() });
        let mut passed = 0;
        for happening in happenings {
            match happening {
                Happening::Frames(host, bytes, late) => {
                    for part in 0..4 {
                        world.frame_at(world.real() - late * (4 - part) / 4, host, bytes);
                    }
                }
                Happening::Wild(time) => world.frame_at(time, 3, 77),
                Happening::Pass(seconds) => {
                    passed += seconds * SECOND;
                    world.pass(seconds);
                }
                Happening::Sleep(time) => {
                    passed += time;
                    world.sleep(time);
                }
                Happening::Step(by) => world.step(by),
                Happening::Fall(to) => world.step(to - world.real()),
                Happening::Set(by) => world.step(NOW + passed + by - world.real()),
                Happening::Say(true) => world.say(Synchroniser::Done { at: world.real() }),
                Happening::Say(false) => world.say(Synchroniser::Waiting),
                Happening::Captured(is) => world.keeper.set_captured(vec![0; usize::from(is)]),
            }
            world.tick();
        }
        world.finish();
    }
}
