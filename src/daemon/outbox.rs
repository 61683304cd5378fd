//! The worker's queue to the store thread. A slow store blocks the worker only at the end.
//!
//! Messages keep their order. Intervals that wait for the clock are held at the end of the
//! queue, where their times can still change. Memory is bounded. With too many rows, the
//! oldest fine intervals are dropped, whose counts are in the base intervals too. Then the
//! largest base interval folds half of its rows into "other", which keeps every sum.

use std::collections::VecDeque;
use std::sync::mpsc::{SyncSender, TrySendError};

use super::clock::SECOND;
use crate::account::ClosedInterval;
use crate::store::Message;

/// Rows that may wait, a few megabytes: ten minutes of seconds and minutes on a busy network,
/// many hours on a quiet one.
const ROWS_MOST: usize = 60_000;

/// So many hosts, ports and services are never folded: they cost little beside the rest.
const FOLDED_LEAST: usize = 2;

/// Fine intervals are collected for this long, seconds: one a second would wake the store
/// thread all the time on an idle network.
const GATHER: u32 = 5;

pub(super) struct Outbox {
    store: SyncSender<Message>,
    /// Fine intervals wait until there are this many, or until another message is ready.
    least: usize,
    ready: VecDeque<Message>,
    held: VecDeque<Message>,
    /// Rows of all waiting messages.
    rows: usize,
    lost: u64,
}

fn interval(message: &Message) -> Option<&ClosedInterval> {
    match message {
        Message::Fine(interval) | Message::Closed(interval) => Some(interval),
        Message::SetBack { .. } => None,
    }
}

fn is_fine(message: &Message) -> bool {
    matches!(message, Message::Fine(_))
}

fn rows(message: &Message) -> usize {
    interval(message).map_or(0, ClosedInterval::rows)
}

/// The start of the interval of `length` seconds in which a time, nanoseconds, lies.
pub(super) fn start_of(time: i64, length: u32) -> i64 {
    let second = time.div_euclid(SECOND);
    second - second.rem_euclid(i64::from(length))
}

/// The new start of an interval that began at `start` but happened `by` nanoseconds later: that
/// of the nearest interval, but not after the one open at `now`.
pub(super) fn moved(start: i64, length: u32, by: i64, now: i64) -> i64 {
    let middle = (start * SECOND + i64::from(length) * SECOND / 2).saturating_add(by);
    start_of(middle, length).min(start_of(now, length))
}

impl Outbox {
    /// `fine` is the length of fine intervals, if there are any, seconds.
    pub(super) fn new(store: SyncSender<Message>, fine: Option<u32>) -> Outbox {
        let least = fine.map_or(1, |length| (GATHER / length.max(1)).max(1)) as usize;
        Outbox { store, least, ready: VecDeque::new(), held: VecDeque::new(), rows: 0, lost: 0 }
    }

    /// Intervals dropped since the start.
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// Intervals that wait for the clock.
    pub(super) fn held(&self) -> usize {
        self.held.len()
    }

    /// Adds a message. With too many rows, drops the oldest fine intervals, then folds rows.
    /// Only when nothing is left to fold does it drop the oldest base intervals.
    pub(super) fn push(&mut self, message: Message, is_held: bool) {
        self.rows += rows(&message);
        if is_held {
            self.held.push_back(message);
        } else {
            self.ready.push_back(message);
        }
        while self.rows > ROWS_MOST
            && (self.give_up_one(is_fine)
                || self.fold_one()
                || self.give_up_one(|message| matches!(message, Message::Closed(_))))
        {}
    }

    /// Folds half of the rows of the base interval that has the most.
    fn fold_one(&mut self) -> bool {
        let all = self.ready.iter_mut().chain(&mut self.held);
        let closed = all.filter_map(|message| match message {
            Message::Closed(interval) => Some(interval),
            _ => None,
        });
        let named = |i: &ClosedInterval| i.hosts.len().max(i.ports.len()).max(i.services.len());
        let Some(largest) = closed.max_by_key(|i| named(i)).filter(|i| named(i) > FOLDED_LEAST)
        else {
            return false;
        };
        let before = largest.rows();
        let half = |count: usize| (count / 2).max(FOLDED_LEAST);
        let (hosts, ports) = (half(largest.hosts.len()), half(largest.ports.len()));
        largest.keep_busiest(hosts, ports, half(largest.services.len()));
        self.rows -= before - largest.rows();
        true
    }

    fn give_up_one(&mut self, which: fn(&Message) -> bool) -> bool {
        let Outbox { ready, held, .. } = self;
        let gone = take_first(ready, which).or_else(|| take_first(held, which));
        if let Some(message) = &gone {
            self.rows -= rows(message);
            self.lost += 1;
        }
        gone.is_some()
    }

    /// Moves the held intervals by `by` nanoseconds; the time is `now`.
    pub(super) fn shift_held(&mut self, by: i64, now: i64) {
        for message in &mut self.held {
            if let Message::Fine(interval) | Message::Closed(interval) = message {
                interval.start = moved(interval.start, interval.length, by, now);
            }
        }
    }

    /// The earliest start of a held interval, seconds since 1970 UTC.
    pub(super) fn first_held(&self) -> Option<i64> {
        self.held.iter().filter_map(interval).map(|interval| interval.start).min()
    }

    /// Lets the held messages go, after `first`.
    pub(super) fn release(&mut self, first: Option<Message>) {
        self.ready.extend(first);
        self.ready.append(&mut self.held);
    }

    /// Sends what may go, until the channel to the store thread is full.
    pub(super) fn send(&mut self) {
        if self.ready.len() < self.least && self.ready.iter().all(is_fine) {
            return;
        }
        while let Some(message) = self.ready.pop_front() {
            let size = rows(&message);
            match self.store.try_send(message) {
                Ok(()) => self.rows -= size,
                Err(TrySendError::Full(message) | TrySendError::Disconnected(message)) => {
                    self.ready.push_front(message);
                    return;
                }
            }
        }
    }

    /// Sends everything that may go, and waits for room in the channel: for the end.
    pub(super) fn send_all(&mut self) {
        for message in self.ready.drain(..) {
            if self.store.send(message).is_err() {
                // The store thread has died.
                self.lost += 1;
            }
        }
        self.rows = self.held.iter().map(rows).sum();
    }
}

fn take_first(line: &mut VecDeque<Message>, which: fn(&Message) -> bool) -> Option<Message> {
    line.iter().position(which).and_then(|at| line.remove(at))
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    fn closed(start: i64) -> ClosedInterval {
        ClosedInterval { start, length: 60, ..ClosedInterval::default() }
    }

    #[test]
    fn a_moved_interval_is_the_nearest_but_not_in_the_future() {
        let later = |by: i64| moved(600, 60, by * SECOND, 10_000 * SECOND);
        assert_eq!(
            [later(0), later(29), later(30), later(60), later(-31)],
            [600, 600, 660, 660, 540]
        );
        assert_eq!(moved(600, 60, 50 * SECOND, 655 * SECOND), 600);
        assert_eq!(moved(0, 60, -SECOND, SECOND * 100), 0);
    }

    #[test]
    fn a_store_that_is_behind_gets_everything_in_order_later() {
        let (store, messages) = sync_channel(2);
        let mut outbox = Outbox::new(store, Some(1));
        for start in [60, 120, 180] {
            outbox.push(Message::Closed(closed(start)), false);
        }
        outbox.push(Message::Closed(closed(240)), true);
        let mut starts = Vec::new();
        for _ in 0..3 {
            outbox.send();
            starts.extend(messages.try_iter().filter_map(|m| interval(&m).map(|i| i.start)));
        }
        assert_eq!((starts, outbox.held()), (vec![60, 120, 180], 1));
        outbox.release(Some(Message::SetBack { now: 1, by: 2 }));
        outbox.send();
        assert!(matches!(messages.try_recv(), Ok(Message::SetBack { now: 1, by: 2 })));
        assert!(matches!(messages.try_recv(), Ok(Message::Closed(i)) if i.start == 240));
        assert_eq!((outbox.rows, outbox.lost()), (0, 0));
    }

    #[test]
    fn seconds_are_sent_a_few_at_a_time_or_with_their_minute() {
        let (store, messages) = sync_channel(100);
        let mut outbox = Outbox::new(store, Some(1));
        let mut sent = Vec::new();
        for start in 0..8 {
            outbox.push(Message::Fine(closed(start)), false);
            outbox.send();
            sent.push(messages.try_iter().count());
        }
        outbox.push(Message::Closed(closed(0)), false);
        outbox.send();
        sent.push(messages.try_iter().count());
        assert_eq!(sent, [0, 0, 0, 0, 5, 0, 0, 0, 4]);
    }

    #[test]
    fn what_waits_for_long_is_folded_and_loses_no_count() {
        use crate::account::{InOut, IntervalHost, Volume};
        use crate::decode::Addr;
        let one = |bytes| Volume { packets: 1, bytes };
        let mut interval = closed(0);
        interval.hosts = (0..200_u8)
            .map(|host| IntervalHost {
                address: Addr::from(std::net::IpAddr::from([10, 0, 0, host])),
                mac: Default::default(),
                local: true,
                traffic: InOut { received: one(host.into()), sent: one(7) },
                rates: Default::default(),
            })
            .collect();
        let sum = |interval: &ClosedInterval| {
            let hosts = interval.hosts.iter().map(|host| host.traffic);
            hosts.fold(interval.other_hosts, |sum, one| sum + one)
        };
        let wanted = sum(&interval);
        let (store, _messages) = sync_channel(0);
        let mut outbox = Outbox::new(store, Some(1));
        // A day of minutes: many times the bound.
        let count = 1_440;
        for minute in 0..count {
            let next = ClosedInterval { start: minute * 60, ..interval.clone() };
            outbox.push(Message::Closed(next), true);
            assert!(outbox.rows <= ROWS_MOST);
        }
        assert_eq!((outbox.lost(), outbox.held()), (0, count as usize));
        assert_eq!(outbox.rows, outbox.held.iter().map(rows).sum::<usize>());
        for held in outbox.held.iter().filter_map(self::interval) {
            assert_eq!(sum(held), wanted);
            assert!(held.hosts.len() >= FOLDED_LEAST);
        }
    }

    #[test]
    fn when_there_is_too_much_the_oldest_seconds_go_first_and_are_counted() {
        let (store, messages) = sync_channel(0);
        let mut outbox = Outbox::new(store, Some(1));
        let each = closed(0).rows();
        let room = (ROWS_MOST / each) as i64;
        outbox.push(Message::Closed(closed(-60)), true);
        for start in 0..room {
            outbox.push(Message::Fine(closed(start)), true);
        }
        assert_eq!((outbox.lost(), outbox.first_held()), (1, Some(-60)));
        for start in 0..room {
            outbox.push(Message::Closed(closed(start * 60)), true);
        }
        assert_eq!((outbox.lost(), outbox.first_held()), (room as u64 + 1, Some(0)));
        assert!(outbox.rows <= ROWS_MOST);
        assert!(outbox.held.iter().all(|message| matches!(message, Message::Closed(_))));
        drop(messages);
        outbox.release(None);
        outbox.send_all();
        assert_eq!((outbox.lost(), outbox.rows), (2 * room as u64 + 1, 0));
    }
}
