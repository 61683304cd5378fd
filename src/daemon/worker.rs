//! The worker thread: the one owner of every counter.
//!
//! It drains all rings in batches. Live, it also closes seconds and minutes by the
//! packet clock, publishes a snapshot once a second and hands closed intervals to the
//! store thread. It never touches the disk and never waits for one.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender, TrySendError};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::account::{Accounts, ClosedInterval, LocalNetworks, Second, Snapshot};
use crate::capture::live::Status;
use crate::ring::Receiver;
use crate::store::Message;

/// Records taken from one ring before the next ring has its turn.
const BATCH: usize = 8_192;
const SECOND: i64 = 1_000_000_000;
/// Length of an interval of the minute tier, seconds.
const MINUTE: i64 = 60;
/// The kernel hands over a capture block at the latest after this time (see
/// [`crate::capture::live::BLOCK_TIMEOUT`]); only then is a second complete.
const LATENESS: i64 = SECOND * 3 / 10;
/// Frames may be this late before a step of the clock is assumed.
const TOLERANCE: i64 = 60 * SECOND;
/// Closed seconds that are kept for the live graph.
const SECONDS_KEPT: usize = 300;
/// Closed intervals that wait here when the store thread is behind; a day of minutes.
const INTERVALS_KEPT: usize = 1_440;

/// The latest snapshot, for the web threads.
#[derive(Default)]
pub struct Published {
    latest: RwLock<Arc<Snapshot>>,
    heartbeat: AtomicU64,
    lost_intervals: AtomicU64,
}

impl Published {
    /// The latest snapshot.
    pub fn latest(&self) -> Arc<Snapshot> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Counts up whenever the worker has gone round; the watchdog looks at it.
    pub fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }

    /// Intervals that could not be handed to the store, in all.
    pub fn lost_intervals(&self) -> u64 {
        self.lost_intervals.load(Ordering::Relaxed)
    }

    fn publish(&self, snapshot: Snapshot) {
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

/// What the main thread may tell the worker.
pub enum Command {
    /// Another interface: its name, its ring, its capture thread's status.
    Watch(String, Receiver, Arc<Status>),
    /// Other local networks.
    Local(LocalNetworks),
    /// No more interfaces will come: finish when all rings have ended.
    Stop,
}

/// What becomes history: the lengths of intervals, and how many of their rows are named;
/// the rest goes into "other".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Length of the intervals of the finest tier that is written to disk, seconds.
    pub base: u32,
    /// Length of the intervals of the finest tier, if that lives in memory, seconds.
    pub fine: Option<u32>,
    /// Hosts.
    pub hosts: usize,
    /// Ports.
    pub ports: usize,
}

struct Source {
    interface: usize,
    receiver: Receiver,
    status: Option<Arc<Status>>,
}

/// The worker and its counters.
pub struct Worker {
    accounts: Accounts,
    sources: Vec<Source>,
    clock: Clock,
}

impl Worker {
    /// A worker without any source yet.
    pub fn new(accounts: Accounts) -> Worker {
        Worker { accounts, sources: Vec::new(), clock: Clock::stopped() }
    }

    /// Adds a source of records.
    pub fn add(&mut self, name: &str, link_type: &str, receiver: Receiver) {
        let interface = self.accounts.interface(name, link_type);
        self.sources.push(Source { interface, receiver, status: None });
    }

    /// Drains every ring once; returns the number of frames counted.
    fn drain(&mut self) -> usize {
        let Worker { accounts, sources, clock } = self;
        let mut drained = 0;
        for source in sources {
            let interface = source.interface;
            drained += source.receiver.drain(BATCH, |mut records| {
                if clock.is_stopped {
                    return accounts.count(interface, records);
                }
                // A run of records of the open second, then the clock, then the next run.
                while let Some(first) = records.first() {
                    if !clock.is_open(first.timestamp) {
                        clock.roll(first.timestamp, accounts);
                    }
                    let end = records.iter().position(|r| !clock.is_open(r.timestamp));
                    let (run, rest) = records.split_at(end.unwrap_or(records.len()).max(1));
                    accounts.count(interface, run);
                    records = rest;
                }
            });
        }
        drained
    }

    fn is_finished(&self) -> bool {
        self.sources.iter().all(|source| source.receiver.is_finished())
    }

    /// Counts until every source has ended: how capture files are read. `look` is called
    /// now and then, with the counters as they stand.
    pub fn run_to_end(&mut self, mut look: impl FnMut(&Accounts)) {
        loop {
            let drained = self.drain();
            look(&self.accounts);
            if drained == 0 {
                if self.is_finished() {
                    break;
                }
                thread::park_timeout(Duration::from_secs(1));
            }
        }
        self.sources.clear();
    }

    /// The counters.
    pub fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Counts live interfaces until told to stop: the body of the worker thread.
    pub fn run(
        mut self,
        commands: &mpsc::Receiver<Command>,
        published: &Published,
        store: SyncSender<Message>,
        plan: Plan,
    ) {
        let started = Instant::now();
        self.clock = Clock::starting_at(now());
        let mut outbox = Outbox { store, waiting: VecDeque::new(), plan };
        let mut next_tick = now();
        let mut stopping = false;
        loop {
            let drained = self.drain();
            while let Ok(command) = commands.try_recv() {
                stopping |= matches!(command, Command::Stop);
                self.obey(command);
            }
            let time = now();
            // A clock that was set back must not silence the page.
            if time >= next_tick || time < next_tick - 2 * SECOND {
                self.clock.roll_by_wall(time - LATENESS, &mut self.accounts);
                self.tick(time, started, published);
                outbox.send(&mut self.clock.closed, published);
                next_tick = time - time.rem_euclid(SECOND) + SECOND + LATENESS;
            }
            published.heartbeat.fetch_add(1, Ordering::Relaxed);
            if drained == 0 {
                if stopping && self.is_finished() {
                    break;
                }
                let pause = u64::try_from(next_tick - time).unwrap_or(0);
                thread::park_timeout(Duration::from_nanos(pause.min(SECOND as u64 * 2)));
            }
        }
        self.read_states();
        self.clock.close(&mut self.accounts);
        self.tick(now(), started, published);
        outbox.send(&mut self.clock.closed, published);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Watch(name, receiver, status) => {
                let interface = self.accounts.interface(&name, "");
                // A ring that this interface had before has been drained by now.
                self.sources.retain(|s| s.interface != interface || !s.receiver.is_finished());
                self.sources.push(Source { interface, receiver, status: Some(status) });
            }
            Command::Local(local) => self.accounts.set_local(local),
            Command::Stop => {}
        }
    }

    /// Takes over what the capture threads have noted: drops, state, link type.
    fn read_states(&mut self) {
        for source in &self.sources {
            let Some(status) = &source.status else { continue };
            let (ring, _) = source.receiver.dropped();
            let (drops, kernel) = (status.drops(ring), status.kernel_errors());
            self.accounts.set_drops(source.interface, drops);
            self.accounts.set_state(source.interface, status.is_capturing(), kernel);
            self.accounts.set_link_type(source.interface, &status.link_type());
        }
    }

    fn tick(&mut self, time: i64, started: Instant, published: &Published) {
        self.read_states();
        let mut snapshot = self.accounts.snapshot();
        snapshot.number = published.latest().number + 1;
        snapshot.taken_at = time;
        snapshot.uptime = started.elapsed();
        snapshot.seconds = self.clock.seconds.iter().copied().collect();
        published.publish(snapshot);
    }
}

/// The way to the store thread, which may be behind but never holds the worker up.
struct Outbox {
    store: SyncSender<Message>,
    waiting: VecDeque<ClosedInterval>,
    plan: Plan,
}

impl Outbox {
    fn send(&mut self, closed: &mut Vec<ClosedInterval>, published: &Published) {
        for mut interval in closed.drain(..) {
            interval.keep_busiest(self.plan.hosts, self.plan.ports);
            self.waiting.push_back(interval);
        }
        while let Some(interval) = self.waiting.pop_front() {
            match self.store.try_send(Message::Closed(interval)) {
                Ok(()) => {}
                Err(
                    TrySendError::Full(Message::Closed(interval))
                    | TrySendError::Disconnected(Message::Closed(interval)),
                ) => {
                    self.waiting.push_front(interval);
                    break;
                }
                Err(_) => {}
            }
        }
        while self.waiting.len() > INTERVALS_KEPT {
            self.waiting.pop_front();
            published.lost_intervals.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The packet clock: closes seconds and minutes as time stamps pass their ends.
struct Clock {
    is_stopped: bool,
    /// The open second ends here, nanoseconds since 1970 UTC.
    second_end: i64,
    /// Time stamps before this mean that the clock was set back.
    floor: i64,
    minute: i64,
    seconds: VecDeque<Second>,
    closed: Vec<ClosedInterval>,
}

impl Clock {
    /// A clock that never closes anything, for capture files.
    fn stopped() -> Clock {
        Clock {
            is_stopped: true,
            second_end: 0,
            floor: 0,
            minute: 0,
            seconds: VecDeque::new(),
            closed: Vec::new(),
        }
    }

    fn starting_at(time: i64) -> Clock {
        let mut clock = Clock { is_stopped: false, ..Clock::stopped() };
        clock.open(time);
        clock
    }

    fn open(&mut self, time: i64) {
        let second = time.div_euclid(SECOND);
        self.second_end = (second + 1) * SECOND;
        self.floor = second * SECOND - TOLERANCE;
        self.minute = second.div_euclid(MINUTE) * MINUTE;
    }

    /// Whether a time stamp lies in the open second, or is a little late for it.
    #[inline]
    fn is_open(&self, time: i64) -> bool {
        (self.floor..self.second_end).contains(&time)
    }

    /// A frame's time stamp lies outside the open second.
    #[cold]
    fn roll(&mut self, time: i64, accounts: &mut Accounts) {
        let old = self.second_end / SECOND - 1;
        let new = time.div_euclid(SECOND);
        self.seconds.push_back(accounts.close_second(old));
        if (old..old + SECONDS_KEPT as i64).contains(&new) {
            for start in old + 1..new {
                self.seconds.push_back(Second { start, ..Second::default() });
            }
        } else {
            self.seconds.clear();
        }
        while self.seconds.len() > SECONDS_KEPT {
            self.seconds.pop_front();
        }
        if new.div_euclid(MINUTE) * MINUTE != self.minute {
            self.closed.push(accounts.close_interval(self.minute, MINUTE as u32));
        }
        self.open(time);
    }

    /// Time has passed without a frame to show it.
    fn roll_by_wall(&mut self, time: i64, accounts: &mut Accounts) {
        if !self.is_open(time) {
            self.roll(time, accounts);
        }
    }

    fn close(&mut self, accounts: &mut Accounts) {
        self.seconds.push_back(accounts.close_second(self.second_end / SECOND - 1));
        self.closed.push(accounts.close_interval(self.minute, MINUTE as u32));
    }
}

/// Nanoseconds since 1970 UTC by the system's clock.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}
