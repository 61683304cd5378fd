//! The states of the clock, with readings set by hand.

use super::*;

const NOW: i64 = 1_800_000_000 * SECOND;
const HOUR: i64 = 3_600 * SECOND;
const DAY: i64 = 24 * HOUR;
const YEAR: i64 = 365 * DAY;

/// A machine whose clocks are moved by hand.
struct Machine {
    clock: Clock,
    reading: Reading,
    facts: Facts,
}

impl Machine {
    /// A machine that booted `up` ago and whose clock shows `real`.
    fn booted(up: i64, real: i64, has_battery: bool, synchroniser: Synchroniser) -> Machine {
        let facts = Facts { has_battery, synchroniser };
        let reading = Reading { monotonic: up, real };
        Machine { clock: Clock::new(reading, facts, 600 * SECOND, None), reading, facts }
    }

    /// One whose clock is trusted.
    fn running() -> Machine {
        let machine = Machine::booted(DAY, NOW, true, Synchroniser::Waiting);
        assert_eq!(machine.clock.state(), ClockState::Trusted);
        machine
    }

    fn pass(&mut self, time: i64) -> Vec<Event> {
        self.reading.monotonic += time;
        self.reading.real += time;
        self.clock.observe(self.reading, Some(self.facts))
    }

    fn step(&mut self, by: i64) -> Vec<Event> {
        self.reading.real += by;
        self.clock.observe(self.reading, Some(self.facts))
    }

    fn time(&self) -> i64 {
        self.clock.at(self.reading.monotonic)
    }
}

#[test]
fn without_a_battery_the_clock_is_trusted_once_the_network_has_set_it() {
    let mut machine = Machine::booted(20 * SECOND, NOW, false, Synchroniser::Waiting);
    assert!(machine.clock.is_holding() && machine.clock.wants_facts());
    assert_eq!(machine.pass(SECOND), []);
    assert_eq!(machine.step(3 * DAY), [Event::Set { by: 3 * DAY }]);
    assert_eq!(machine.time(), NOW + SECOND + 3 * DAY);
    machine.facts.synchroniser = Synchroniser::Done { at: machine.reading.real };
    assert_eq!(machine.pass(SECOND), [Event::Trusted]);
    assert!(!machine.clock.is_holding() && !machine.clock.wants_facts());
}

#[test]
fn a_step_and_the_word_that_it_was_right_may_come_together() {
    let mut machine = Machine::booted(20 * SECOND, 5 * SECOND, false, Synchroniser::Waiting);
    machine.facts.synchroniser = Synchroniser::Done { at: NOW };
    assert_eq!(machine.step(NOW), [Event::Set { by: NOW }, Event::Trusted]);
}

#[test]
fn the_clock_is_believed_in_the_end_if_nobody_sets_it() {
    let mut machine = Machine::booted(20 * SECOND, NOW, false, Synchroniser::Waiting);
    assert_eq!(machine.pass(579 * SECOND), []);
    assert_eq!(machine.pass(SECOND), [Event::Trusted]);
}

#[test]
fn a_battery_or_nothing_to_wait_for_is_reason_to_trust() {
    let state = |up, real, has_battery, synchroniser| {
        Machine::booted(up, real, has_battery, synchroniser).clock.state()
    };
    assert_eq!(state(0, NOW, true, Synchroniser::Waiting), ClockState::Trusted);
    assert_eq!(state(0, NOW, false, Synchroniser::Absent), ClockState::Trusted);
    assert_eq!(state(0, NOW, false, Synchroniser::Done { at: NOW }), ClockState::Trusted);
    assert_eq!(state(HOUR, NOW, false, Synchroniser::Waiting), ClockState::Trusted);
    assert_eq!(state(HOUR, 0, true, Synchroniser::Absent), ClockState::Waiting);
}

#[test]
fn a_clock_in_1970_is_never_believed() {
    let mut machine = Machine::booted(0, 0, true, Synchroniser::Absent);
    for _ in 0..100 {
        assert_eq!(machine.pass(HOUR), []);
    }
    let by = NOW - machine.reading.real;
    assert_eq!(machine.step(by), [Event::Set { by }, Event::Trusted]);
}

#[test]
fn slewing_is_followed_without_a_word() {
    let mut machine = Machine::running();
    for by in [SECOND, -SECOND, SECOND / 2, SECOND, SECOND, -SECOND / 3] {
        assert_eq!(machine.step(by), []);
        assert_eq!((machine.time(), machine.clock.skew()), (machine.reading.real, 0));
    }
}

#[test]
fn a_step_that_stays_for_a_minute_is_accepted() {
    for by in [HOUR, -HOUR, 11 * HOUR, -11 * HOUR, SECOND + 1] {
        let mut machine = Machine::running();
        assert_eq!(machine.step(by), [Event::Stepped { by }]);
        assert_eq!((machine.time(), machine.clock.skew()), (NOW, by));
        assert!(machine.clock.is_holding() && machine.clock.wants_facts());
        assert_eq!(machine.pass(59 * SECOND), []);
        // Slewed meanwhile.
        let slewed = by + SECOND / 10;
        assert_eq!(machine.step(SECOND / 10), []);
        assert_eq!(machine.pass(SECOND), [Event::Accepted { by: slewed }]);
        assert_eq!((machine.time(), machine.clock.skew()), (NOW + 60 * SECOND + slewed, 0));
        assert!(!machine.clock.is_holding());
    }
}

#[test]
fn a_step_far_away_has_to_stay_for_longer_whoever_vouches_for_it() {
    for by in [DAY, YEAR, -YEAR / 4] {
        let mut machine = Machine::running();
        assert_eq!(machine.step(by), [Event::Stepped { by }]);
        machine.facts.synchroniser = Synchroniser::Done { at: machine.reading.real };
        assert_eq!(machine.pass(599 * SECOND), []);
        assert!(machine.clock.is_holding());
        assert_eq!(machine.step(-by), [Event::TakenBack]);
        assert_eq!(machine.step(by), [Event::Stepped { by }]);
        assert_eq!(machine.pass(600 * SECOND), [Event::Accepted { by }]);
    }
}

/// A start with the clock 20 years ahead cut 367 days of history to 1 within 70 seconds.
#[test]
fn a_start_far_past_the_end_of_history_is_held_whoever_vouches_for_it() {
    let start = |real, known: Option<i64>| {
        let synchroniser = Synchroniser::Done { at: real };
        let facts = Facts { has_battery: true, synchroniser };
        let reading = Reading { monotonic: DAY, real };
        let clock = Clock::new(reading, facts, 600 * SECOND, known);
        Machine { clock, reading, facts }
    };
    for (ahead, state) in [
        (-YEAR / 4, ClockState::Trusted),
        (12 * HOUR, ClockState::Trusted),
        (DAY, ClockState::Stepped),
        (20 * YEAR, ClockState::Stepped),
    ] {
        let machine = start(NOW + ahead, Some(NOW));
        assert_eq!(machine.clock.state(), state, "{ahead}");
        assert_eq!(machine.clock.is_holding(), state == ClockState::Stepped);
        // Without history there is nothing to lose.
        assert_eq!(start(NOW + ahead, None).clock.state(), ClockState::Trusted);
    }
    let mut machine = start(NOW + YEAR, Some(NOW));
    assert_eq!(machine.clock.doubt(machine.reading), Some(YEAR));
    assert_eq!(machine.pass(599 * SECOND), []);
    // Another step starts the wait again.
    assert_eq!(machine.step(DAY), [Event::Set { by: DAY }]);
    assert_eq!(machine.pass(599 * SECOND), []);
    assert_eq!(machine.pass(SECOND), [Event::Trusted]);
    assert_eq!(machine.clock.doubt(machine.reading), None);
    // Set to the right time, it need not wait.
    let mut machine = start(NOW + YEAR, Some(NOW));
    assert_eq!(machine.step(-YEAR), [Event::Set { by: -YEAR }, Event::Trusted]);
}

#[test]
fn a_step_that_is_taken_back_never_was() {
    let mut machine = Machine::running();
    machine.step(-HOUR);
    machine.pass(30 * SECOND);
    assert_eq!(machine.step(HOUR + SECOND / 2), [Event::TakenBack]);
    assert_eq!(machine.time(), NOW + 30 * SECOND + SECOND / 2);
    assert_eq!(machine.pass(HOUR), []);
}

#[test]
fn the_word_of_the_synchroniser_is_believed_at_once() {
    for by in [11 * HOUR, -HOUR] {
        let mut machine = Machine::running();
        // It has set the clock before, too.
        machine.facts.synchroniser = Synchroniser::Done { at: NOW - 5 * SECOND };
        assert_eq!(machine.step(by), [Event::Stepped { by }]);
        assert_eq!(machine.pass(SECOND), []);
        machine.facts.synchroniser = Synchroniser::Done { at: NOW + by };
        assert_eq!(machine.pass(SECOND), [Event::Accepted { by }]);
    }
}

#[test]
fn another_step_starts_the_wait_again() {
    let mut machine = Machine::running();
    machine.step(HOUR);
    machine.pass(59 * SECOND);
    assert_eq!(machine.step(HOUR), [Event::Stepped { by: 2 * HOUR }]);
    assert_eq!(machine.pass(59 * SECOND), []);
    assert_eq!(machine.pass(SECOND), [Event::Accepted { by: 2 * HOUR }]);
}

#[test]
fn a_clock_that_falls_back_to_1970_is_ignored_until_it_is_set() {
    let mut machine = Machine::running();
    machine.step(HOUR);
    assert_eq!(machine.step(-NOW), [Event::Absurd { by: HOUR - NOW }]);
    assert!(!machine.clock.is_holding());
    for _ in 0..100 {
        assert_eq!(machine.pass(HOUR), []);
    }
    assert_eq!(machine.time(), NOW + 100 * HOUR);
    let (back, by) = (NOW - HOUR, 2 * DAY);
    assert_eq!(machine.step(back + by), [Event::Stepped { by }]);
    assert!(machine.clock.is_holding());
    assert_eq!(machine.step(-by), [Event::TakenBack]);
}

#[test]
fn no_reading_is_too_wild() {
    let mut machine = Machine::running();
    for real in [i64::MAX, i64::MIN, 0, i64::MAX, NOW] {
        machine.reading.real = real;
        machine.clock.observe(machine.reading, None);
    }
    assert_eq!((machine.clock.state(), machine.time()), (ClockState::Trusted, NOW));
}

#[test]
fn differences_are_told_in_words() {
    assert_eq!(direction(HOUR + 61 * SECOND), "forward by 1 h 1 min");
    assert_eq!(direction(-3 * DAY - SECOND), "back by 3 days");
    assert_eq!(direction(90 * SECOND), "forward by 1 min 30 s");
    assert_eq!(direction(SECOND / 2), "forward by less than a second");
}
