//! The timekeeper with clocks that go wrong, one story a test.

mod fixtures;
mod random;

use super::*;
use crate::account::ClosedInterval;
use crate::daemon::clock::Synchroniser;
use crate::decode::NO_TIME;
use fixtures::{BATTERY, DAY, HOUR, NO_BATTERY, NOW, World, YEAR, plan};

#[test]
fn minutes_and_seconds_are_whole_when_nothing_happens() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(181);
    assert_eq!(world.starts(NOW), [0, 60, 120]);
    // The first frame comes with the first tick.
    assert_eq!(world.closed[1].total().packets, 60);
    assert_eq!(world.closed[1].interfaces[0].covered, 60_000);
    assert_eq!(world.fine.len(), 180);
    assert!(world.fine[1..].iter().all(|second| second.total().packets == 1));
    assert!(world.fine[1..].iter().all(|second| second.interfaces[0].covered == 1_000));
    let seconds = world.keeper.seconds(&Shared::default());
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
    // A tick covers the time until 0.3 s ago.
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
    // Ticks come 0.3 s after a second; the time between the last one and the sleep is unknown.
    let covered: Vec<u64> = world.closed.iter().map(|i| i.interfaces[0].covered / 1_000).collect();
    assert_eq!(covered, [29, 29, 29]);
}

#[test]
fn booted_in_1970_history_waits_for_the_clock_and_moves_to_the_right_time() {
    let mut world = World::new(20 * SECOND, NO_BATTERY, plan());
    world.pass(200);
    assert_eq!(world.keeper.state(), ClockState::Waiting);
    assert!(world.closed.is_empty() && world.fine.is_empty() && world.keeper.held() > 200);
    world.step(NOW);
    world.pass(10);
    assert!(world.closed.is_empty());
    world.say(Synchroniser::Done { at: NOW + 200 * SECOND });
    world.pass(1);
    assert_eq!((world.keeper.state(), world.keeper.held()), (ClockState::Trusted, 0));
    // The machine had run for 220 s, and NOW is a whole minute.
    assert_eq!(world.starts(NOW), [0, 60, 120]);
    world.pass(60);
    world.finish();
    assert_eq!(world.starts(NOW), [0, 60, 120, 180, 240]);
    assert_eq!(world.set_back, []);
}

#[test]
fn the_time_saved_at_the_last_shutdown_is_mended_when_the_network_knows_better() {
    let mut world = World::new(NOW, NO_BATTERY, plan());
    world.pass(100);
    assert!(world.closed.is_empty());
    let by = 3 * DAY + 17 * SECOND;
    world.step(by);
    world.say(Synchroniser::Done { at: NOW + by });
    world.pass(1);
    // A minute moved by 17 s stays the nearest; the open one was cut.
    assert_eq!(world.starts(NOW + 3 * DAY), [0]);
    assert_eq!(world.fine[0].start, (NOW + by) / SECOND);
    world.pass(100);
    world.finish();
    assert_eq!(world.starts(NOW + 3 * DAY), [0, 60, 120, 180]);
}

#[test]
fn a_clock_that_nobody_sets_is_believed_ten_minutes_after_booting() {
    let mut world = World::new(NOW, NO_BATTERY, plan());
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
    // The minute of the step moved back an hour; the store got SetBack before it.
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
    // The live page uses the system's clock.
    assert!(
        world
            .keeper
            .seconds(&Shared::default())
            .iter()
            .all(|second| second.start >= (NOW + YEAR) / SECOND)
    );
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
        let mut world = World::new(20 * SECOND, NO_BATTERY, Plan { newest, ..plan() });
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
    world.finish();
    let large = world.fine.iter().filter(|i| i.total().bytes >= 7_000).count();
    assert_eq!((large, world.fine.len()), (1, 12));
}

/// Each such frame cost three readings of the clocks: a sender could stop the worker.
#[test]
fn frames_with_senseless_times_cost_one_look_at_the_clocks_however_many_come_at_once() {
    let mut world = World::new(NOW, BATTERY, plan());
    world.pass(10);
    let before = world.hands.1.load(std::sync::atomic::Ordering::Relaxed);
    let times: Vec<i64> = (0..1_000).map(|number| number * HOUR).collect();
    world.frames_at(&times);
    let after = world.hands.1.load(std::sync::atomic::Ordering::Relaxed);
    assert_eq!(after - before, 1);
    world.pass(2);
    world.finish();
}

#[test]
fn a_start_far_past_the_end_of_history_is_held_until_it_has_lasted() {
    let newest = Some(NOW / SECOND);
    let mut world = World::new(NOW + YEAR, BATTERY, Plan { newest, ..plan() });
    world.say(Synchroniser::Done { at: NOW + YEAR });
    world.pass(570);
    assert_eq!(world.keeper.state(), ClockState::Stepped);
    assert!(world.closed.is_empty());
    world.pass(31);
    assert_eq!(world.keeper.state(), ClockState::Trusted);
    assert_eq!(world.starts(NOW + YEAR)[..2], [0, 60]);
    world.finish();
}

#[test]
fn a_stop_before_it_has_lasted_writes_what_came_after_the_end_of_history() {
    for facts in [BATTERY, NO_BATTERY] {
        let newest = Some(NOW / SECOND);
        let mut world = World::new(NOW + YEAR, facts, Plan { newest, ..plan() });
        world.pass(130);
        world.finish();
        assert_eq!(world.starts(NOW), [60, 120, 180]);
    }
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
