//! The timekeeper with clocks that are moved by hand, real counters, and an end of the
//! channel in place of the store.

use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;

use super::*;
use crate::account::{ClosedInterval, LocalNetworks, Volume};
use crate::daemon::clock::{Facts, Synchroniser};
use crate::decode::{LinkLayer, NO_TIME, decode};

/// 2027-01-15 08:00:00 UTC.
const NOW: i64 = 1_800_000_000 * SECOND;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

#[derive(Clone)]
struct Hands(Arc<Mutex<(Reading, Facts)>>);

impl Times for Hands {
    fn read(&mut self) -> Reading {
        self.0.lock().unwrap().0
    }
    fn facts(&mut self) -> Facts {
        self.0.lock().unwrap().1
    }
}

struct World {
    hands: Hands,
    keeper: Timekeeper,
    accounts: Accounts,
    store: Receiver<Message>,
    counted: Volume,
    closed: Vec<ClosedInterval>,
    fine: Vec<ClosedInterval>,
    set_back: Vec<(i64, i64)>,
}

fn plan() -> Plan {
    Plan {
        base: 60,
        fine: Some(1),
        hosts: 100,
        ports: 100,
        clock_wait: Duration::from_secs(600),
        newest: None,
    }
}

/// A machine with a battery for its clock, whose clock is trusted.
const BATTERY: Facts = Facts { has_battery: true, synchroniser: Synchroniser::Waiting };
/// A Raspberry Pi that waits for the network.
const NONE: Facts = Facts { has_battery: false, synchroniser: Synchroniser::Waiting };

impl World {
    fn new(real: i64, facts: Facts, plan: Plan) -> World {
        let reading = Reading { monotonic: 20 * SECOND, real };
        let hands = Hands(Arc::new(Mutex::new((reading, facts))));
        let (sender, store) = sync_channel(100_000);
        let mut keeper = Timekeeper::new(plan, Box::new(hands.clone()), sender);
        keeper.set_captured(vec![0]);
        let mut accounts = Accounts::new(1_000, LocalNetworks::private_and(Vec::new()));
        accounts.interface("eth0", "EN10MB");
        World {
            hands,
            keeper,
            accounts,
            store,
            counted: Volume::default(),
            closed: Vec::new(),
            fine: Vec::new(),
            set_back: Vec::new(),
        }
    }

    fn real(&self) -> i64 {
        self.hands.0.lock().unwrap().0.real
    }

    fn now(&self) -> i64 {
        self.keeper.clock.at(self.hands.0.lock().unwrap().0.monotonic)
    }

    /// A frame of `bytes` whose time stamp is this.
    fn frame_at(&mut self, time: i64, host: u8, bytes: u32) {
        let mut frame = [0; 40];
        frame[0] = 0x45;
        frame[3] = 40;
        frame[9] = 17;
        frame[12..16].copy_from_slice(&[10, 0, 0, host]);
        frame[16..20].copy_from_slice(&[9, 9, 9, 9]);
        let mut record = PacketRecord::default();
        decode(LinkLayer::RawIp, &frame, bytes.max(40), time, &mut record);
        self.keeper.count(&mut self.accounts, 0, &[record]);
        self.counted.count(u64::from(bytes.max(40)));
    }

    /// A frame of 100 bytes now.
    fn frame(&mut self) {
        self.frame_at(self.real(), 1, 100);
    }

    fn sleep(&mut self, time: i64) {
        let mut hands = self.hands.0.lock().unwrap();
        hands.0.monotonic += time;
        hands.0.real += time;
    }

    fn tick(&mut self) {
        self.keeper.tick(&mut self.accounts);
        self.collect();
    }

    /// Lets seconds pass, each with a frame and a tick.
    fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            let pause = self.keeper.pause().as_nanos() as i64;
            self.sleep(pause);
            self.frame();
            self.tick();
        }
    }

    fn step(&mut self, by: i64) {
        self.hands.0.lock().unwrap().0.real += by;
    }

    fn say(&mut self, synchroniser: Synchroniser) {
        self.hands.0.lock().unwrap().1.synchroniser = synchroniser;
    }

    /// Takes what the store has been sent, and checks that it is no nonsense.
    fn collect(&mut self) {
        for message in self.store.try_iter() {
            let (interval, list) = match message {
                Message::Fine(interval) => (interval, &mut self.fine),
                Message::Closed(interval) => (interval, &mut self.closed),
                Message::SetBack { now, by } => {
                    assert!(by > 0 && now >= FIRST_DAY);
                    self.set_back.push((now, by));
                    continue;
                }
            };
            assert_eq!(interval.start.rem_euclid(i64::from(interval.length)), 0);
            assert!(interval.start >= FIRST_DAY, "in the past: {}", interval.start);
            list.push(interval);
        }
        let now = self.now().div_euclid(SECOND);
        if is_plausible(self.now()) {
            for interval in self.closed.iter().chain(&self.fine).rev().take(100) {
                // Unless it was stored before the clock was set back.
                let is_known = self.set_back.iter().any(|(set, _)| interval.start >= *set);
                assert!(interval.start <= now || is_known, "{} at {now}", interval.start);
            }
        }
    }

    /// Ends it; every byte must have arrived once.
    fn finish(&mut self) {
        self.keeper.finish(&mut self.accounts);
        self.collect();
        assert_eq!(self.closed.iter().map(ClosedInterval::total).sum::<Volume>(), self.counted);
        if self.keeper.plan.fine.is_some() {
            assert_eq!(self.fine.iter().map(ClosedInterval::total).sum::<Volume>(), self.counted);
        }
        assert_eq!((self.keeper.held(), self.keeper.lost()), (0, 0));
    }

    /// The starts of what arrived, relative to a time, seconds.
    fn starts(&self, time: i64) -> Vec<i64> {
        self.closed.iter().map(|interval| interval.start - time / SECOND).collect()
    }
}

#[test]
fn minutes_and_seconds_are_whole_when_nothing_happens() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(181);
    assert_eq!(world.starts(NOW), [0, 60, 120]);
    // The first frame comes as the first tick does.
    assert_eq!(world.closed[1].total().packets, 60);
    assert_eq!(world.closed[1].interfaces[0].covered, 60_000);
    assert_eq!(world.fine.len(), 180);
    assert!(world.fine[1..].iter().all(|second| second.total().packets == 1));
    assert!(world.fine[1..].iter().all(|second| second.interfaces[0].covered == 1_000));
    let seconds = world.keeper.seconds();
    assert_eq!(seconds.last().unwrap().start, (NOW / SECOND) + 179);
    world.finish();
}

#[test]
fn an_idle_interface_has_empty_intervals_and_one_that_is_down_has_none() {
    let mut world = World::new(NOW, BATTERY, plan());
    let idle = |world: &mut World, seconds| {
        for _ in 0..seconds {
            world.sleep(SECOND);
            world.tick();
        }
    };
    idle(&mut world, 90);
    world.keeper.set_captured(Vec::new());
    idle(&mut world, 150);
    world.keeper.set_captured(vec![0]);
    idle(&mut world, 61);
    assert_eq!(world.starts(NOW), [0, 60, 180, 240]);
    let covered: Vec<u64> = world.closed.iter().map(|i| i.interfaces[0].covered).collect();
    // A tick knows what was until 0.3 s ago.
    assert_eq!(covered, [60_000, 29_700, 300, 60_000]);
    assert!(world.closed.iter().all(ClosedInterval::is_empty));
    assert_eq!(world.fine.len(), 90 + 61);
}

#[test]
fn longer_intervals_and_no_fine_ones_are_cut_where_they_belong() {
    let mut world = World::new(NOW, BATTERY, Plan { base: 900, fine: None, ..plan() });
    world.pass(2_000);
    assert_eq!(world.starts(NOW), [0, 900]);
    world.finish();
    assert!(world.fine.is_empty());
    let mut world = World::new(NOW, BATTERY, Plan { base: 60, fine: Some(10), ..plan() });
    world.pass(121);
    assert_eq!((world.closed.len(), world.fine.len()), (2, 12));
    world.finish();
}

#[test]
fn time_asleep_is_not_covered() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(30);
    world.sleep(10 * 60 * SECOND);
    world.pass(60);
    world.finish();
    assert_eq!(world.starts(NOW), [0, 600, 660]);
    // Ticks come 0.3 s after a second, and nobody knows what was between the last one and the nap.
    let covered: Vec<u64> = world.closed.iter().map(|i| i.interfaces[0].covered / 1_000).collect();
    assert_eq!(covered, [29, 29, 29]);
}

#[test]
fn booted_in_1970_history_waits_for_the_clock_and_moves_to_the_right_time() {
    let mut world = World::new(20 * SECOND, NONE, plan());
    world.pass(200);
    assert_eq!(world.keeper.state(), ClockState::Waiting);
    assert!(world.closed.is_empty() && world.fine.is_empty() && world.keeper.held() > 200);
    world.step(NOW);
    world.pass(10);
    assert!(world.closed.is_empty());
    world.say(Synchroniser::Done { at: NOW + 200 * SECOND });
    world.pass(1);
    assert_eq!((world.keeper.state(), world.keeper.held()), (ClockState::Trusted, 0));
    // It had run for 220 s, and NOW is a whole minute.
    assert_eq!(world.starts(NOW), [0, 60, 120]);
    world.pass(60);
    world.finish();
    assert_eq!(world.starts(NOW), [0, 60, 120, 180, 240]);
    assert_eq!(world.set_back, []);
}

#[test]
fn the_time_saved_at_the_last_shutdown_is_mended_when_the_network_knows_better() {
    let mut world = World::new(NOW, NONE, plan());
    world.pass(100);
    assert!(world.closed.is_empty());
    let by = 3 * DAY + 17 * SECOND;
    world.step(by);
    world.say(Synchroniser::Done { at: NOW + by });
    world.pass(1);
    // 17 s later a minute is nearest to itself; the open one was cut.
    assert_eq!(world.starts(NOW + 3 * DAY), [0]);
    assert_eq!(world.fine[0].start, (NOW + by) / SECOND);
    world.pass(100);
    world.finish();
    assert_eq!(world.starts(NOW + 3 * DAY), [0, 60, 120, 180]);
}

#[test]
fn a_clock_that_nobody_sets_is_believed_ten_minutes_after_booting() {
    let mut world = World::new(NOW, NONE, plan());
    world.pass(570);
    assert!(world.closed.is_empty());
    world.pass(30);
    assert_eq!(world.starts(NOW).len(), 9);
    world.finish();
}

#[test]
fn an_hour_back_moves_what_came_since_and_tells_the_store() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(120);
    assert_eq!(world.starts(NOW), [0]);
    world.step(-HOUR);
    world.pass(55);
    assert_eq!(world.keeper.state(), ClockState::Stepped);
    assert_eq!(world.starts(NOW), [0]);
    world.pass(6);
    assert_eq!(world.keeper.state(), ClockState::Trusted);
    // The minute in which it was stepped, an hour earlier; the store was told before.
    let [(now, by)] = world.set_back[..] else { panic!("{:?}", world.set_back) };
    assert_eq!((now, by), (world.now() / SECOND, 3_600));
    assert_eq!(world.starts(NOW)[1], 60 - 3_600);
    world.pass(60);
    world.finish();
    assert_eq!(world.starts(NOW), [0, -3_540, -3_480, -3_420, -3_360][..world.closed.len()]);
}

#[test]
fn an_hour_forward_moves_what_came_since() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(120);
    world.step(HOUR);
    world.pass(62);
    world.finish();
    assert_eq!(world.starts(NOW), [0, 3_660, 3_720, 3_780][..world.closed.len()]);
    assert_eq!(world.set_back, []);
}

#[test]
fn a_year_forward_and_back_never_was() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(90);
    world.step(YEAR);
    world.pass(300);
    assert_eq!(world.keeper.state(), ClockState::Stepped);
    assert_eq!(world.starts(NOW), [0]);
    // The live page goes by the system's clock.
    assert!(world.keeper.seconds().iter().all(|second| second.start >= (NOW + YEAR) / SECOND));
    world.step(-YEAR);
    world.pass(1);
    assert_eq!(world.starts(NOW), [0, 60, 120, 180, 240, 300]);
    assert!(world.fine.windows(2).all(|pair| pair[0].start + 1 == pair[1].start));
    world.finish();
    assert_eq!(world.set_back, []);
}

#[test]
fn a_stop_before_a_step_has_stayed_keeps_the_old_time() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(70);
    world.step(-HOUR);
    world.pass(30);
    world.finish();
    assert_eq!(world.starts(NOW), [0, 60]);
    assert_eq!(world.set_back, []);
}

#[test]
fn a_fall_to_1970_is_ignored() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(70);
    world.step(-NOW);
    world.pass(120);
    assert_eq!(world.starts(NOW), [0, 60, 120]);
    world.step(NOW);
    world.pass(60);
    world.finish();
    assert_eq!(world.starts(NOW), [0, 60, 120, 180, 240]);
}

#[test]
fn if_the_clock_is_never_set_history_goes_on_where_the_database_ends() {
    for (newest, first) in [(None, FIRST_DAY), (Some(1_800_000_060), 1_800_000_120)] {
        let mut world = World::new(20 * SECOND, NONE, Plan { newest, ..plan() });
        world.pass(200);
        world.finish();
        let starts: Vec<i64> = world.closed.iter().map(|i| i.start - first).collect();
        assert_eq!(starts, [0, 60, 120, 180]);
        assert_eq!(world.fine[0].start, first + 20);
    }
}

#[test]
fn slewing_neither_loses_a_second_nor_doubles_one() {
    let mut world = World::new(NOW, BATTERY, plan());
    for by in [1, -1, 1, 1, -1, -1] {
        world.pass(40);
        world.step(by * SECOND / 2);
    }
    world.pass(10);
    world.finish();
    assert_eq!(world.starts(NOW), [0, 60, 120, 180, 240]);
    assert!(world.fine.windows(2).all(|pair| pair[0].start < pair[1].start));
}

#[test]
fn a_frame_with_a_senseless_time_is_counted_in_the_open_second() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(10);
    for time in [NO_TIME, i64::MIN + 1, 0, NOW - DAY, NOW + DAY, NOW + 15 * SECOND, i64::MAX] {
        world.frame_at(time, 2, 1_000);
    }
    world.pass(2);
    assert_eq!(world.fine.iter().map(|i| i.start).collect::<Vec<_>>().len(), 11);
    let large = world.fine.iter().filter(|i| i.total().bytes >= 7_000).count();
    assert_eq!(large, 1);
    world.finish();
}

#[test]
fn frames_from_before_a_step_that_come_after_it_are_counted_once() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(10);
    let before = world.real();
    world.step(HOUR);
    world.frame();
    for late in 0..100 {
        world.frame_at(before - late * SECOND / 100, 1, 100);
    }
    world.frame();
    world.pass(70);
    world.finish();
    assert_eq!(world.starts(NOW), [3_600, 3_660]);
}

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
        cases: 500,
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
        let facts = Facts { has_battery, ..NONE };
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
