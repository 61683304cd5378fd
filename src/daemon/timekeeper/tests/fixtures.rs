//! A machine with clocks set by hand, real counters, and the channel's receiver in place of
//! the store.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::account::{Accounts, ClosedInterval, LocalNetworks, Volume};
use crate::daemon::clock::{FIRST_DAY, Facts, Reading, SECOND, Synchroniser, is_plausible};
use crate::daemon::system_time::Times;
use crate::daemon::timekeeper::{Plan, Timekeeper};
use crate::decode::{LinkLayer, PacketRecord, decode};
use crate::store::Message;

/// 2027-01-15 08:00:00 UTC.
pub const NOW: i64 = 1_800_000_000 * SECOND;
pub const HOUR: i64 = 3_600 * SECOND;
pub const DAY: i64 = 24 * HOUR;
pub const YEAR: i64 = 365 * DAY;

#[derive(Clone)]
pub struct Hands(Arc<Mutex<(Reading, Facts)>>, pub Arc<AtomicU64>);

impl Times for Hands {
    fn read(&mut self) -> Reading {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.0.lock().unwrap().0
    }
    fn facts(&mut self) -> Facts {
        self.0.lock().unwrap().1
    }
}

pub struct World {
    pub hands: Hands,
    pub keeper: Timekeeper,
    pub accounts: Accounts,
    pub store: Receiver<Message>,
    pub counted: Volume,
    pub closed: Vec<ClosedInterval>,
    pub fine: Vec<ClosedInterval>,
    pub set_back: Vec<(i64, i64)>,
    /// Nanoseconds that the clock was slewed back.
    pub slewed: i64,
    /// A real store, to which all messages go as well.
    pub also: Option<SyncSender<Message>>,
}

pub fn plan() -> Plan {
    Plan {
        base: 60,
        fine: Some(1),
        hosts: 100,
        ports: 100,
        services: 100,
        clock_wait: Duration::from_secs(600),
        newest: None,
    }
}

/// A machine with a battery for its clock, whose clock is trusted.
pub const BATTERY: Facts = Facts { has_battery: true, synchroniser: Synchroniser::Waiting };
/// A Raspberry Pi that waits for the network.
pub const NO_BATTERY: Facts = Facts { has_battery: false, synchroniser: Synchroniser::Waiting };

impl World {
    pub fn new(real: i64, facts: Facts, plan: Plan) -> World {
        let reading = Reading { monotonic: 20 * SECOND, real };
        let hands = Hands(Arc::new(Mutex::new((reading, facts))), Arc::default());
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
            slewed: 0,
            also: None,
        }
    }

    pub fn real(&self) -> i64 {
        self.hands.0.lock().unwrap().0.real
    }

    pub fn now(&self) -> i64 {
        self.keeper.clock.at(self.hands.0.lock().unwrap().0.monotonic)
    }

    /// A frame of `bytes` with this time stamp.
    pub fn frame_at(&mut self, time: i64, host: u8, bytes: u32) {
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

    /// Frames that come at once, with these time stamps.
    pub fn frames_at(&mut self, times: &[i64]) {
        let mut records = vec![PacketRecord::default(); times.len()];
        for (record, time) in records.iter_mut().zip(times) {
            decode(LinkLayer::Ethernet, &[0; 60], 60, *time, record);
            self.counted.count(60);
        }
        self.keeper.count(&mut self.accounts, 0, &records);
    }

    /// A frame of 100 bytes now.
    pub fn frame(&mut self) {
        self.frame_at(self.real(), 1, 100);
    }

    pub fn sleep(&mut self, time: i64) {
        let mut hands = self.hands.0.lock().unwrap();
        hands.0.monotonic += time;
        hands.0.real += time;
    }

    pub fn tick(&mut self) {
        self.keeper.tick(&mut self.accounts);
        self.collect();
    }

    /// Lets seconds pass, each with a frame and a tick.
    pub fn pass(&mut self, seconds: i64) {
        for _ in 0..seconds {
            let pause = self.keeper.pause().as_nanos() as i64;
            self.sleep(pause);
            self.frame();
            self.tick();
        }
    }

    pub fn step(&mut self, by: i64) {
        // Closed and open intervals do not follow a clock that is slewed.
        self.slewed += if by > -2 * SECOND { (-by).max(0) } else { 0 };
        self.hands.0.lock().unwrap().0.real += by;
    }

    pub fn say(&mut self, synchroniser: Synchroniser) {
        self.hands.0.lock().unwrap().1.synchroniser = synchroniser;
    }

    /// Receives what the store would get, and checks that it makes sense.
    pub fn collect(&mut self) {
        let now = self.now();
        let messages: Vec<Message> = self.store.try_iter().collect();
        let is_set_back = |message: &Message| matches!(message, Message::SetBack { .. });
        // Intervals before a SetBack may lie in the future: it tells the store so.
        let told = messages.iter().rposition(is_set_back).unwrap_or(0);
        for (at, message) in messages.into_iter().enumerate() {
            if let Some(store) = &self.also {
                store.send(copy(&message)).unwrap();
            }
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
            let is_future = is_plausible(now) && interval.start > (now + self.slewed) / SECOND;
            assert!(!is_future || at < told, "{} at {now}", interval.start);
            list.push(interval);
        }
    }

    /// Ends the timekeeper; every byte must have arrived once.
    pub fn finish(&mut self) {
        self.keeper.finish(&mut self.accounts);
        self.collect();
        assert_eq!(self.closed.iter().map(ClosedInterval::total).sum::<Volume>(), self.counted);
        if self.keeper.plan.fine.is_some() {
            assert_eq!(self.fine.iter().map(ClosedInterval::total).sum::<Volume>(), self.counted);
        }
        assert_eq!((self.keeper.held(), self.keeper.lost()), (0, 0));
    }

    /// The starts of the base intervals that arrived, relative to `time`, seconds.
    pub fn starts(&self, time: i64) -> Vec<i64> {
        self.closed.iter().map(|interval| interval.start - time / SECOND).collect()
    }
}

fn copy(message: &Message) -> Message {
    match message {
        Message::Fine(interval) => Message::Fine(interval.clone()),
        Message::Closed(interval) => Message::Closed(interval.clone()),
        Message::SetBack { now, by } => Message::SetBack { now: *now, by: *by },
    }
}
