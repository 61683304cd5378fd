//! Property tests: anything may happen to the clock, in any order.

use std::sync::mpsc::sync_channel;
use std::thread;
use std::time::Duration;

use proptest::prelude::*;

use super::fixtures::{HOUR, NO_BATTERY, NOW, World, YEAR, plan};
use crate::config::Tier;
use crate::daemon::clock::{FIRST_DAY, Facts, SECOND, Synchroniser};
use crate::daemon::timekeeper::Plan;
use crate::store::{Limits, Options, Status, Store, admin};

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

fn happenings(most: usize) -> impl Strategy<Value = Vec<Happening>> {
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
    prop::collection::vec(one, 1..most)
}

/// Makes it happen; `passed` is the time since the start, nanoseconds.
fn happen(world: &mut World, passed: &mut i64, happenings: Vec<Happening>) {
    for happening in happenings {
        match happening {
            Happening::Frames(host, bytes, late) => {
                for part in 0..4 {
                    world.frame_at(world.real() - late * (4 - part) / 4, host, bytes);
                }
            }
            Happening::Wild(time) => world.frame_at(time, 3, 77),
            Happening::Pass(seconds) => {
                *passed += seconds * SECOND;
                world.pass(seconds);
            }
            Happening::Sleep(time) => {
                *passed += time;
                world.sleep(time);
            }
            Happening::Step(by) => world.step(by),
            Happening::Fall(to) => world.step(to - world.real()),
            Happening::Set(by) => world.step(NOW + *passed + by - world.real()),
            Happening::Say(true) => world.say(Synchroniser::Done { at: world.real() }),
            Happening::Say(false) => world.say(Synchroniser::Waiting),
            Happening::Captured(is) => world.keeper.set_captured(vec![0; usize::from(is)]),
        }
        world.tick();
    }
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
        happenings in happenings(40),
    ) {
        let real = if starts_in_1970 { 5 * SECOND } else { NOW };
        let facts = Facts { has_battery, ..NO_BATTERY };
        let mut world = World::new(real, facts, Plan { base, fine, ..plan() });
        let mut passed = 0;
        happen(&mut world, &mut passed, happenings);
        world.finish();
    }

    #[test]
    fn all_of_it_is_in_the_database_once_whatever_happens_to_the_clock_and_to_the_daemon(
        has_battery in any::<bool>(),
        starts_in_1970 in any::<bool>(),
        (base, fine) in prop::sample::select(vec![(60, Some(1)), (60, None), (900, Some(60))]),
        (minutes, hours) in (2_u64..60, 2_u64..10),
        period in prop::sample::select(vec![0, 1, 60_000]),
        lives in prop::collection::vec(happenings(12), 1..5),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("b.db");
        let tier = |name: &str, seconds, keep| Tier {
            name: name.to_owned(),
            seconds,
            keep: Duration::from_secs(keep),
            in_memory: false,
        };
        let options = Options {
            tiers: vec![
                tier("base", base, minutes * 3_600),
                tier("hour", 3_600, hours * 86_400),
                tier("day", 86_400, 1_000 * 366 * 86_400),
            ],
            limits: Limits { hosts: 10, ports: 10, services: 10 },
            max_size: 1 << 30,
        };
        let facts = Facts { has_battery, ..NO_BATTERY };
        let mut real = if starts_in_1970 { 5 * SECOND } else { NOW };
        let (mut passed, mut bytes) = (0, 0);
        // Each life starts and stops the daemon and the machine; the clock goes on.
        for happenings in lives {
            let status = Status::new(Duration::from_millis(period));
            let store = Store::open(&path, options.clone()).unwrap();
            let plan = Plan { base, fine, newest: store.newest(), ..plan() };
            let (sender, messages) = sync_channel(8);
            thread::scope(|scope| {
                let status = &status;
                scope.spawn(move || store.run(&messages, status));
                let mut world = World::new(real, facts, plan);
                world.also = Some(sender);
                happen(&mut world, &mut passed, happenings);
                world.finish();
                bytes += world.counted.bytes;
                real = world.real();
            });
            prop_assert_eq!((status.lost(), status.waiting(), status.trouble()), (0, 0, None));
        }
        // Each split of each interval adds up, and each tier to the next. A clock that was
        // ahead may have left rows in the future: they are in a file of their own.
        let mut all = 0;
        for path in [path.clone(), directory.path().join("b.db.ahead")] {
            if !path.exists() {
                continue;
            }
            prop_assert_eq!(admin::check(&path).unwrap(), Vec::<String>::new());
            let database = rusqlite::Connection::open(&path).unwrap();
            let number =
                |sql: &str| database.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).unwrap();
            let sum = number("SELECT sum(bytes) FROM v_interface WHERE tier = 'day'");
            all += sum.unwrap_or(0);
            let first = number("SELECT min(start) FROM v_interface");
            prop_assert!(first.is_none_or(|first| first >= FIRST_DAY), "{:?}", first);
        }
        prop_assert_eq!(all, bytes as i64);
    }
}
