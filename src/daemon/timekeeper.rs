//! Cuts the counts into seconds, fine and base intervals, by our own timeline (see
//! [`super::clock`]), and queues them for the store. Runs on the worker thread.
//!
//! Theory of operation: a frame is counted in the open intervals as long as its time stamp
//! lies in the open second or a little before it; that is one comparison per frame. Any
//! other time stamp makes us read the clocks. If time has passed, intervals are closed. If
//! the clock was stepped, the time stamp is translated. If it makes no sense, the frame is
//! counted in the open intervals all the same. So no frame is lost, and none opens an
//! interval in the future or in the past. Once a second [`Timekeeper::tick`] does the same
//! without a frame.

use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::time::Duration;

use log::{info, warn};

use super::clock::{
    Clock, ClockState, Event, FIRST_DAY, MORE_PATIENCE, Reading, SECOND, direction, in_words,
    is_plausible,
};
use super::outbox::{Outbox, moved, start_of};
use super::seconds::{SECONDS_KEPT, Seconds};
use super::system_time::Times;
use crate::account::{Accounts, Busiest, Second, Shared};
use crate::decode::PacketRecord;
use crate::export::time::readable;
use crate::store::Message;

/// The kernel hands over a capture block after this time at the latest (see
/// [`crate::capture::live::BLOCK_TIMEOUT`]). Only then is a second complete.
const LATENESS: i64 = SECOND * 3 / 10;
/// A frame's time stamp may be this much before the open second: rings are drained one
/// after the other.
const LATE: i64 = 2 * SECOND;
/// If the clocks were not read for longer than this, the machine was asleep or stopped, and
/// nothing was captured.
const ASLEEP: i64 = 10 * SECOND;
/// Rows of a fine interval that are named at most, as memory holds an hour of seconds.
const FINE_HOSTS: usize = 50;
const FINE_PORTS: usize = 20;
const FINE_SERVICES: usize = 30;

/// What becomes history: the lengths of intervals, and how many of their rows are named;
/// the rest goes into "other".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Length of the intervals of the finest tier that is written to disk, seconds.
    pub base: u32,
    /// Length of the intervals of the finest tier, if that lives in memory, seconds. It
    /// divides `base`.
    pub fine: Option<u32>,
    /// Hosts.
    pub hosts: usize,
    /// Ports.
    pub ports: usize,
    /// Services of hosts, all hosts together.
    pub services: usize,
    /// How long after booting an unset clock without a battery is distrusted.
    pub clock_wait: Duration,
    /// When the newest interval in the database began, seconds since 1970 UTC.
    pub newest: Option<i64>,
}

pub(super) struct Timekeeper {
    clock: Clock,
    times: Box<dyn Times + Send>,
    plan: Plan,
    /// Time stamps from here up to `end` count as the open second; nanoseconds since 1970 UTC
    /// by the system's clock.
    floor: i64,
    end: i64,
    /// The open second and the starts of the open intervals, seconds by our clock.
    second: i64,
    fine: i64,
    base: i64,
    /// Coverage has been counted up to this moment of the monotonic clock.
    covered_until: i64,
    /// The interfaces that are being captured.
    captured: Vec<usize>,
    seconds: Seconds,
    busiest: Option<Arc<Busiest>>,
    outbox: Outbox,
    /// By how much the clock has been set while it was not trusted.
    set_by: i64,
}

impl Timekeeper {
    /// Starts now.
    pub(super) fn new(
        plan: Plan,
        mut times: Box<dyn Times + Send>,
        store: SyncSender<Message>,
    ) -> Timekeeper {
        let facts = times.facts();
        let reading = times.read();
        let wait = i64::try_from(plan.clock_wait.as_nanos()).unwrap_or(i64::MAX);
        let end = |start: i64| start.saturating_add(plan.base.into()).saturating_mul(SECOND);
        let clock = Clock::new(reading, facts, wait, plan.newest.map(end));
        let now = clock.at(reading.monotonic);
        let mut keeper = Timekeeper {
            second: now.div_euclid(SECOND),
            fine: start_of(now, plan.fine.unwrap_or(1)),
            base: start_of(now, plan.base),
            clock,
            times,
            plan,
            floor: 0,
            end: 0,
            covered_until: reading.monotonic,
            captured: Vec::new(),
            seconds: Seconds::default(),
            busiest: None,
            outbox: Outbox::new(store, plan.fine),
            set_by: 0,
        };
        keeper.set_window();
        keeper.say_why_it_waits(reading);
        keeper
    }

    fn say_why_it_waits(&self, reading: Reading) {
        let now = self.clock.at(reading.monotonic);
        if let Some(ahead) = self.clock.doubt(reading) {
            return warn!(
                "the clock shows {}, {} after the end of history; history waits in memory until \
                 it has stayed there for {}",
                readable(now),
                in_words(ahead),
                in_words(MORE_PATIENCE)
            );
        }
        if self.clock.state() != ClockState::Waiting {
            return;
        }
        let shown = readable(now);
        if is_plausible(now) {
            info!(
                "the clock shows {shown}, but this machine has no battery for it and has not \
                 heard the time from the network yet; history waits in memory until it has, or \
                 until {} after booting",
                in_words(i64::try_from(self.plan.clock_wait.as_nanos()).unwrap_or(i64::MAX))
            );
        } else {
            warn!("the clock shows {shown}; history waits in memory until it is set");
        }
    }

    /// Whether the clock is trusted.
    pub(super) fn state(&self) -> ClockState {
        self.clock.state()
    }

    /// Intervals that wait for the clock.
    pub(super) fn held(&self) -> usize {
        self.outbox.held()
    }

    /// Intervals dropped since the start.
    pub(super) fn lost(&self) -> u64 {
        self.outbox.lost()
    }

    /// The last closed seconds, oldest first; `last` itself if there is no other since.
    pub(super) fn seconds(&self, last: &Shared<Second>) -> Shared<Second> {
        self.seconds.after(last)
    }

    /// The busiest hosts of the last closed fine interval.
    pub(super) fn busiest(&self) -> Option<Arc<Busiest>> {
        self.busiest.clone()
    }

    /// Sets which interfaces are being captured, from the last tick to the next.
    pub(super) fn set_captured(&mut self, interfaces: Vec<usize>) {
        self.captured = interfaces;
    }

    /// Counts frames of an interface, each in the intervals of its time stamp.
    #[inline]
    pub(super) fn count(
        &mut self,
        accounts: &mut Accounts,
        interface: usize,
        mut records: &[PacketRecord],
    ) {
        // Count the records of the open second, then read the clocks, then count on. Read
        // them once at most: all these frames arrived before.
        let mut reading = None;
        while let Some(first) = records.first() {
            if !self.is_open(first.timestamp) {
                let now = match reading {
                    Some(now) => now,
                    None => self.observe(accounts, false),
                };
                reading = Some(now);
                self.look(first.timestamp, now, accounts);
            }
            let end = records.iter().position(|r| !self.is_open(r.timestamp));
            let (run, rest) = records.split_at(end.unwrap_or(records.len()).max(1));
            accounts.count(interface, run);
            records = rest;
        }
    }

    #[inline]
    fn is_open(&self, time: i64) -> bool {
        (self.floor..self.end).contains(&time)
    }

    /// Handles a time stamp outside the open second: closes what is over by then, unless it
    /// lies more than a second in the future.
    #[cold]
    fn look(&mut self, time: i64, reading: Reading, accounts: &mut Accounts) {
        let time = time.saturating_sub(self.clock.skew());
        let now = self.clock.at(reading.monotonic);
        if time <= now.saturating_add(SECOND) {
            self.roll(time.min(now), accounts);
        }
    }

    /// Once a second: reads the clocks, closes what is over and sends what may go.
    pub(super) fn tick(&mut self, accounts: &mut Accounts) {
        let reading = self.observe(accounts, true);
        let time = self.clock.at(reading.monotonic) - LATENESS;
        self.roll(time, accounts);
        self.cover_to(time, accounts);
        self.outbox.send();
    }

    /// How long until the next tick is due.
    pub(super) fn pause(&mut self) -> Duration {
        let now = self.clock.at(self.times.read().monotonic);
        let next = SECOND - (now - LATENESS).rem_euclid(SECOND);
        Duration::from_nanos(u64::try_from(next).unwrap_or(0))
    }

    /// Closes everything and waits until the store has it.
    pub(super) fn finish(&mut self, accounts: &mut Accounts) {
        let reading = self.observe(accounts, true);
        let now = self.clock.at(reading.monotonic);
        self.roll(now, accounts);
        self.cover_to(now, accounts);
        // After a slew back, the open intervals may lie ahead of the clock.
        self.fine = self.fine.min(start_of(now, self.plan.fine.unwrap_or(1)));
        self.base = self.base.min(start_of(now, self.plan.base));
        self.close_second(accounts);
        self.close_fine(accounts, true);
        self.close_base(accounts, true);
        let is_unknown = !is_plausible(now) || self.clock.is_far_ahead(reading);
        if let Some(first) = self.outbox.first_held().filter(|_| is_unknown) {
            // Nobody knows when all this was, only that it came after earlier history.
            let base = i64::from(self.plan.base);
            let newest = self.plan.newest.map_or(0, |start| start.saturating_add(base));
            let to = newest.max(FIRST_DAY);
            let to = to + (-to).rem_euclid(base);
            let by = (to - first.div_euclid(base) * base) * SECOND;
            warn!(
                "the clock was never set, or has not stayed where it is for long enough; what was \
                 counted since the start is written as if it began at {}",
                readable(to * SECOND)
            );
            self.outbox.shift_held(by, i64::MAX);
        }
        self.outbox.release(None);
        self.outbox.send_all();
    }

    fn observe(&mut self, accounts: &mut Accounts, wants_facts: bool) -> Reading {
        let wants_facts = wants_facts && self.clock.wants_facts();
        let facts = wants_facts.then(|| self.times.facts());
        let reading = self.times.read();
        for event in self.clock.observe(reading, facts) {
            self.take(event, reading, accounts);
        }
        self.set_window();
        reading
    }

    fn take(&mut self, event: Event, reading: Reading, accounts: &mut Accounts) {
        let held = self.outbox.held();
        match event {
            Event::Set { by } => {
                info!("the clock was set {}", direction(by));
                self.set_by = self.set_by.saturating_add(by);
                self.shift(by, reading, accounts);
                if self.clock.doubt(reading).is_some() {
                    self.say_why_it_waits(reading);
                }
            }
            Event::Trusted => {
                let moved = match self.set_by {
                    0 => String::new(),
                    by => format!(", moved {}", direction(by)),
                };
                info!("the clock is trusted now; {held} intervals have waited for it{moved}");
                self.outbox.release(None);
            }
            Event::Stepped { by } => warn!(
                "the clock was stepped {}; history waits in memory to see whether it stays there",
                direction(by)
            ),
            Event::Absurd { by } => {
                warn!(
                    "the clock was stepped {}, to {}, which cannot be; going on without it",
                    direction(by),
                    readable(reading.real)
                );
                self.outbox.release(None);
            }
            Event::Accepted { by } => {
                info!(
                    "the clock stays where it is, {}; {held} intervals in memory move with it",
                    direction(by)
                );
                self.shift(by, reading, accounts);
                let now = self.clock.at(reading.monotonic).div_euclid(SECOND);
                let back = (SECOND / 2 - by).div_euclid(SECOND);
                self.outbox.release((by < 0).then_some(Message::SetBack { now, by: back }));
            }
            Event::TakenBack => {
                info!(
                    "the clock is back where it was; {held} intervals in memory stay as they are"
                );
                self.outbox.release(None);
            }
        }
        if event != Event::Trusted {
            self.seconds.clear();
            self.busiest = None;
        }
    }

    /// Moves the held and the open intervals by `by` nanoseconds.
    fn shift(&mut self, by: i64, reading: Reading, accounts: &mut Accounts) {
        let now = self.clock.at(reading.monotonic);
        self.outbox.shift_held(by, now);
        if let Some(length) = self.plan.fine {
            let open = start_of(now, length);
            self.fine = moved(self.fine, length, by, now);
            if self.fine != open {
                self.close_fine(accounts, true);
            }
            self.fine = open;
        }
        let open = start_of(now, self.plan.base);
        self.base = moved(self.base, self.plan.base, by, now);
        if self.base != open {
            self.close_base(accounts, true);
        }
        self.base = open;
        self.second = now.div_euclid(SECOND);
    }

    /// Sets the time stamps of the open second, in the system's time.
    fn set_window(&mut self) {
        let start = (self.second * SECOND).saturating_add(self.clock.skew());
        self.floor = start.saturating_sub(LATE);
        self.end = start.saturating_add(SECOND);
    }

    /// Closes what is over at `time`, by our clock.
    fn roll(&mut self, time: i64, accounts: &mut Accounts) {
        let new = time.div_euclid(SECOND);
        if new <= self.second {
            return;
        }
        if time - self.clock.at(self.covered_until) > ASLEEP {
            self.covered_until = self.clock.monotonic(time);
            self.go_to(new, accounts);
        }
        while self.second < new {
            self.go_to(self.second + 1, accounts);
        }
        self.set_window();
    }

    /// Ends the open second and the intervals that are over at `second`, and opens the next.
    fn go_to(&mut self, second: i64, accounts: &mut Accounts) {
        let time = second * SECOND;
        self.cover_to(time, accounts);
        self.close_second(accounts);
        if second - self.second < SECONDS_KEPT as i64 {
            let ahead = self.clock.skew().div_euclid(SECOND);
            for quiet in self.second + 1..second {
                self.seconds.push(Second { start: quiet + ahead, ..Second::default() });
            }
        } else {
            self.seconds.clear();
        }
        self.second = second;
        let is_held = self.clock.is_holding();
        if let Some(length) = self.plan.fine {
            let open = start_of(time, length);
            if open != self.fine {
                self.close_fine(accounts, is_held);
                self.fine = open;
            }
        }
        let open = start_of(time, self.plan.base);
        if open != self.base {
            self.close_base(accounts, is_held);
            self.base = open;
        }
    }

    /// Counts the interfaces as captured until `time`, by our clock.
    fn cover_to(&mut self, time: i64, accounts: &mut Accounts) {
        const MILLISECOND: i64 = SECOND / 1_000;
        // Round to the nearest: a few microseconds must not turn a second into 999 ms.
        let passed = self.clock.monotonic(time) - self.covered_until + MILLISECOND / 2;
        let Ok(milliseconds) = u64::try_from(passed / MILLISECOND) else { return };
        for interface in &self.captured {
            accounts.cover(*interface, milliseconds);
        }
        self.covered_until += milliseconds as i64 * MILLISECOND;
    }

    fn close_second(&mut self, accounts: &mut Accounts) {
        // The live page uses the system's clock.
        let start = self.second + self.clock.skew().div_euclid(SECOND);
        self.seconds.push(accounts.close_second(start));
    }

    /// Ends the open fine interval. One without capture, drops and traffic is not stored.
    fn close_fine(&mut self, accounts: &mut Accounts, is_held: bool) {
        let Some(length) = self.plan.fine else { return };
        let mut interval = accounts.close_fine(self.fine, length);
        let Plan { hosts, ports, services, .. } = self.plan;
        interval.keep_busiest(
            hosts.min(FINE_HOSTS),
            ports.min(FINE_PORTS),
            services.min(FINE_SERVICES),
        );
        let ahead = self.clock.skew().div_euclid(SECOND);
        let busiest = Busiest::of(&interval, self.fine + ahead, accounts.local());
        self.busiest = Some(Arc::new(busiest));
        if !interval.interfaces.is_empty() {
            self.outbox.push(Message::Fine(interval), is_held);
        }
    }

    /// Ends the open base interval.
    fn close_base(&mut self, accounts: &mut Accounts, is_held: bool) {
        let mut interval = accounts.close_interval(self.base, self.plan.base);
        if !interval.interfaces.is_empty() {
            interval.keep_busiest(self.plan.hosts, self.plan.ports, self.plan.services);
            self.outbox.push(Message::Closed(interval), is_held);
        }
    }
}

#[cfg(test)]
mod tests;
