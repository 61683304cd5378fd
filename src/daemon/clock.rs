//! What time it is: the timeline of history.
//!
//! A pure state machine, run by the worker thread. It gets readings of the clocks and the
//! facts about how the machine keeps time, and says what they mean for the intervals.
//!
//! Theory of operation: our own timeline is the monotonic clock, which never jumps, plus an
//! offset. The system's clock gives the offset. A change of up to a second is slewing: the
//! offset follows it silently. A larger change is a step, and one of the two clocks is wrong.
//! What happens then depends on the state:
//!
//! - *Waiting*: the clock is not trusted yet: the machine has no battery for it, and no time
//!   from the network. Every step counts as an improvement: our time follows it, and
//!   intervals are held and move with it.
//! - *Trusted*: intervals go to the store as they are closed.
//! - *Stepped*: a trusted clock has jumped. Our time goes on as before, and intervals are
//!   held. If the clock jumps back, nothing happened. If it stays for a while, or the
//!   synchroniser vouches for it, the held intervals move with it.
//!
//! A clock far from the time known before (at a start: far past the newest row of history)
//! must stay there for ten minutes, whoever vouches for it. A clock chip may have lost the
//! time, an answer from the network may be forged, and retention would delete history by that
//! clock. A machine that was off since yesterday waits these ten minutes, too.
//!
//! A time before this program was written, or long after, is wrong in any case.

/// A second in nanoseconds, the unit of all times here.
pub(super) const SECOND: i64 = 1_000_000_000;
/// 2026-01-01: this program is younger, and so is everything it sees. Seconds since 1970.
pub(super) const FIRST_DAY: i64 = 1_767_225_600;
/// 2200-01-01: a clock that shows a later time is wrong. Seconds since 1970.
const LAST_DAY: i64 = 7_258_118_400;
/// Differences up to this are slewing.
const SLEW: i64 = SECOND;
/// How long a step must last to be accepted.
const PATIENCE: i64 = 60 * SECOND;
/// How long a clock that is [`FAR`] away must stay there.
pub(super) const MORE_PATIENCE: i64 = 600 * SECOND;
/// Less than a day: by default the finest tier on disk is kept for only two.
const FAR: i64 = 12 * 3_600 * SECOND;

/// Both clocks at one moment, nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// Since booting, time asleep included (`CLOCK_BOOTTIME`).
    pub monotonic: i64,
    /// Since 1970 UTC by the system's clock (`CLOCK_REALTIME`).
    pub real: i64,
}

/// What sets the system's clock from the network.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Synchroniser {
    /// Nothing that we know.
    Absent,
    /// It runs, and has not reported that the clock is right.
    Waiting,
    /// It has set the clock.
    Done {
        /// The last time it did, nanoseconds since 1970 UTC by the system's clock.
        at: i64,
    },
}

/// How the machine keeps time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts {
    /// Whether it has a clock that runs while it is switched off.
    pub has_battery: bool,
    /// What sets its clock from the network.
    pub synchroniser: Synchroniser,
}

/// Whether the system's clock is trusted, as shown to people.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(u8)]
pub enum ClockState {
    /// Yes.
    #[default]
    Trusted = 0,
    /// Not until it is set, or the machine has waited long enough.
    Waiting = 1,
    /// It has jumped, or is far past the end of history, and has not lasted yet.
    Stepped = 2,
}

impl ClockState {
    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            ClockState::Trusted => "trusted",
            ClockState::Waiting => "waiting for the time from the network",
            ClockState::Stepped => "stepped, checking",
        }
    }
}

/// What a reading of the clocks means for the intervals. Differences are in nanoseconds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// The clock was set before it was trusted: held intervals happened `by` later.
    Set { by: i64 },
    /// The clock is trusted from now on: held intervals may go to the store.
    Trusted,
    /// The clock was stepped and is now `by` ahead. Intervals closed from now on are held.
    Stepped { by: i64 },
    /// The clock shows an impossible time, `by` ahead. Ours goes on: held intervals may go.
    Absurd { by: i64 },
    /// The step is accepted: held intervals happened `by` later, and may go.
    Accepted { by: i64 },
    /// The clock is back where it was: held intervals may go.
    TakenBack,
}

#[derive(Clone, Copy)]
enum State {
    /// The clock has not been stepped since this moment of the monotonic clock.
    Waiting(i64),
    Trusted,
    /// The reading at the step, with the stepped clock's time.
    Stepped(Reading),
}

/// Our timeline.
pub(super) struct Clock {
    /// Our time minus the monotonic clock.
    offset: i64,
    /// The system's clock minus the monotonic one, at the last reading.
    real_offset: i64,
    state: State,
    facts: Facts,
    /// How long after booting a clock is trusted although nothing has set it.
    wait: i64,
    /// The end of history, if there is any.
    known: Option<i64>,
    /// Waiting only because the clock is far past the end of history.
    is_doubted: bool,
}

/// Whether a time, nanoseconds since 1970 UTC, is possible at all.
pub(crate) fn is_plausible(time: i64) -> bool {
    (FIRST_DAY * SECOND..LAST_DAY * SECOND).contains(&time)
}

impl Clock {
    /// Starts the timeline. `wait` is how long after booting an unset clock without a battery
    /// is distrusted, nanoseconds; `known` is the end of history, nanoseconds since 1970 UTC.
    pub(super) fn new(reading: Reading, facts: Facts, wait: i64, known: Option<i64>) -> Clock {
        let offset = reading.real.saturating_sub(reading.monotonic);
        let state = State::Waiting(reading.monotonic);
        let (real_offset, is_doubted) = (offset, false);
        let mut clock = Clock { offset, real_offset, state, facts, wait, known, is_doubted };
        if clock.may_be_trusted(reading.monotonic, reading) {
            clock.state = State::Trusted;
        }
        clock
    }

    /// How far the clock is past the end of history, if it waits only because of that.
    pub(super) fn doubt(&self, reading: Reading) -> Option<i64> {
        self.is_doubted.then(|| self.ahead(reading))
    }

    /// Whether the clock, not trusted so far, is far past the end of history.
    pub(super) fn is_far_ahead(&self, reading: Reading) -> bool {
        matches!(self.state, State::Waiting(_)) && self.ahead(reading) > FAR
    }

    fn ahead(&self, reading: Reading) -> i64 {
        self.known.map_or(0, |known| reading.real.saturating_sub(known))
    }

    /// Our time at a moment of the monotonic clock.
    pub(super) fn at(&self, monotonic: i64) -> i64 {
        monotonic.saturating_add(self.offset)
    }

    /// The monotonic clock at a moment of our time.
    pub(super) fn monotonic(&self, time: i64) -> i64 {
        time.saturating_sub(self.offset)
    }

    /// How far the system's clock is ahead of ours.
    pub(super) fn skew(&self) -> i64 {
        self.real_offset.saturating_sub(self.offset)
    }

    pub(super) fn state(&self) -> ClockState {
        match self.state {
            State::Waiting(_) if self.is_doubted => ClockState::Stepped,
            State::Waiting(_) => ClockState::Waiting,
            State::Trusted => ClockState::Trusted,
            State::Stepped(_) => ClockState::Stepped,
        }
    }

    /// Whether closed intervals are to be held.
    pub(super) fn is_holding(&self) -> bool {
        match self.state {
            State::Waiting(_) => true,
            State::Trusted => false,
            State::Stepped(step) => is_plausible(step.real),
        }
    }

    /// Whether [`Clock::observe`] needs the facts.
    pub(super) fn wants_facts(&self) -> bool {
        !matches!(self.state, State::Trusted)
    }

    /// Processes a reading. Facts must be older than the reading: a synchroniser sets the
    /// clock first and reports it afterwards.
    pub(super) fn observe(&mut self, reading: Reading, facts: Option<Facts>) -> Vec<Event> {
        self.facts = facts.unwrap_or(self.facts);
        let offset = reading.real.saturating_sub(reading.monotonic);
        let change = offset.saturating_sub(self.real_offset);
        let is_step = change.saturating_abs() > SLEW;
        self.real_offset = offset;
        let skew = self.skew();
        let mut events = Vec::new();
        match self.state {
            State::Waiting(since) => {
                self.offset = offset;
                let since = if is_step { reading.monotonic } else { since };
                self.state = State::Waiting(since);
                if is_step {
                    events.push(Event::Set { by: change });
                }
                if self.may_be_trusted(since, reading) {
                    self.state = State::Trusted;
                    events.push(Event::Trusted);
                }
            }
            State::Trusted if is_step => events.push(self.step(reading)),
            State::Trusted => self.offset = offset,
            State::Stepped(_) if skew.saturating_abs() <= SLEW => {
                self.offset = offset;
                self.state = State::Trusted;
                events.push(Event::TakenBack);
            }
            State::Stepped(_) if is_step => events.push(self.step(reading)),
            State::Stepped(step) => {
                if self.stays(step, reading) {
                    self.offset = offset;
                    self.state = State::Trusted;
                    events.push(Event::Accepted { by: skew });
                }
            }
        }
        events
    }

    fn step(&mut self, reading: Reading) -> Event {
        self.state = State::Stepped(reading);
        let by = self.skew();
        if is_plausible(reading.real) { Event::Stepped { by } } else { Event::Absurd { by } }
    }

    /// Whether to trust a clock that has not been stepped `since` a moment of the monotonic
    /// clock.
    fn may_be_trusted(&mut self, since: i64, reading: Reading) -> bool {
        let is_trustworthy = self.is_trustworthy(reading);
        let has_lasted = reading.monotonic.saturating_sub(since) >= MORE_PATIENCE;
        self.is_doubted = is_trustworthy && self.ahead(reading) > FAR && !has_lasted;
        is_trustworthy && !self.is_doubted
    }

    /// Whether to trust the clock, however far it is from the end of history.
    fn is_trustworthy(&self, reading: Reading) -> bool {
        is_plausible(reading.real)
            && (self.facts.has_battery
                || self.facts.synchroniser != Synchroniser::Waiting
                || reading.monotonic >= self.wait)
    }

    /// Whether to accept a step.
    fn stays(&self, step: Reading, reading: Reading) -> bool {
        // We see a step at most a second after it was made. A report from later than now
        // was made before a clock was set back.
        let vouched = step.real.saturating_sub(2 * SECOND)..=reading.real.saturating_add(SECOND);
        let is_vouched_for = match self.facts.synchroniser {
            Synchroniser::Done { at } => vouched.contains(&at),
            _ => false,
        };
        let age = reading.monotonic.saturating_sub(step.monotonic);
        is_plausible(step.real)
            && if self.skew().saturating_abs() > FAR {
                age >= MORE_PATIENCE
            } else {
                is_vouched_for || age >= PATIENCE
            }
    }
}

/// A difference of clocks, nanoseconds: "forward by 1 h 2 min".
pub(super) fn direction(by: i64) -> String {
    let word = if by < 0 { "back" } else { "forward" };
    format!("{word} by {}", in_words(by.saturating_abs()))
}

/// A time span, nanoseconds, in its two largest units.
pub(super) fn in_words(span: i64) -> String {
    let units = [("days", 86_400), ("h", 3_600), ("min", 60), ("s", 1)];
    let seconds = span / SECOND;
    let Some(at) = units.iter().position(|(_, length)| seconds >= *length) else {
        return "less than a second".to_owned();
    };
    let mut rest = seconds;
    let mut words = Vec::new();
    for (name, length) in units.iter().skip(at).take(2) {
        if rest >= *length {
            let count = rest / length;
            let name = if (count, *name) == (1, "days") { "day" } else { name };
            words.push(format!("{count} {name}"));
        }
        rest %= length;
    }
    words.join(" ")
}

#[cfg(test)]
mod tests;
