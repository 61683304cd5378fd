//! The worker thread: the one owner of every counter.
//!
//! It drains all rings in batches. Live, it also has the timekeeper close intervals and
//! hand them to the store thread, and publishes a snapshot once a second. It never touches
//! the disk and never waits for one.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::clock::ClockState;
use super::system_time::SystemTimes;
use super::timekeeper::Timekeeper;
use crate::account::{Accounts, Drops, LocalNetworks, Snapshot};
use crate::capture::live::Status;
use crate::ring::Receiver;
use crate::store::Message;

pub use super::timekeeper::Plan;

/// Records taken from one ring before the next ring has its turn.
const BATCH: usize = 8_192;

/// The latest snapshot, for the web threads.
pub struct Published {
    latest: RwLock<Arc<Snapshot>>,
    begun: Instant,
    /// When the latest snapshot was published, milliseconds since `begun`.
    published_at: AtomicU64,
    heartbeat: AtomicU64,
    lost_intervals: AtomicU64,
    held_intervals: AtomicU64,
    clock: AtomicU8,
}

impl Default for Published {
    fn default() -> Published {
        Published {
            latest: RwLock::default(),
            begun: Instant::now(),
            published_at: AtomicU64::new(0),
            heartbeat: AtomicU64::new(0),
            lost_intervals: AtomicU64::new(0),
            held_intervals: AtomicU64::new(0),
            clock: AtomicU8::new(0),
        }
    }
}

impl Published {
    /// How old the latest snapshot is, seconds, by a clock that is never stepped. Below two
    /// seconds it is 0, as one comes each second.
    pub fn age(&self) -> u64 {
        let age = self.since_begun().saturating_sub(self.published_at.load(Ordering::Relaxed));
        if age < 2_000 { 0 } else { age / 1_000 }
    }

    fn since_begun(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The latest snapshot.
    pub fn latest(&self) -> Arc<Snapshot> {
        self.latest.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Increases with every round of the worker's loop; the watchdog reads it.
    pub fn heartbeat(&self) -> u64 {
        self.heartbeat.load(Ordering::Relaxed)
    }

    /// Intervals that could not be handed to the store, in all.
    pub fn lost_intervals(&self) -> u64 {
        self.lost_intervals.load(Ordering::Relaxed)
    }

    /// Intervals that wait for the clock.
    pub fn held_intervals(&self) -> u64 {
        self.held_intervals.load(Ordering::Relaxed)
    }

    /// Whether the system's clock is trusted.
    pub fn clock(&self) -> ClockState {
        match self.clock.load(Ordering::Relaxed) {
            1 => ClockState::Waiting,
            2 => ClockState::Stepped,
            _ => ClockState::Trusted,
        }
    }

    fn publish(&self, snapshot: Snapshot) {
        self.published_at.store(self.since_begun(), Ordering::Relaxed);
        *self.latest.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(snapshot);
    }
}

/// A command from the main thread to the worker.
pub enum Command {
    /// Watch an interface: its name, its ring, its capture thread's status.
    Watch(String, Receiver, Arc<Status>),
    /// Stop watching an interface; its capture thread has ended.
    Leave(String),
    /// Use other local networks.
    Local(LocalNetworks),
    /// No more interfaces will come: finish when all rings have ended.
    Stop,
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
    /// Drops of capture threads that have ended, by interface.
    lost_before: BTreeMap<usize, Drops>,
}

impl Worker {
    /// A worker without sources.
    pub fn new(accounts: Accounts) -> Worker {
        Worker { accounts, sources: Vec::new(), lost_before: BTreeMap::new() }
    }

    /// Adds a source of records.
    pub fn add(&mut self, name: &str, link_type: &str, receiver: Receiver) {
        let interface = self.accounts.interface(name, link_type);
        self.sources.push(Source { interface, receiver, status: None });
    }

    /// Sets the link type of a source, if that was unknown when it was added.
    pub fn set_link_type(&mut self, name: &str, link_type: &str) {
        self.accounts.interface(name, link_type);
    }

    /// Drains every ring once; returns the number of frames counted. Without a timekeeper no
    /// interval is ever closed.
    fn drain(&mut self, mut keeper: Option<&mut Timekeeper>) -> usize {
        let Worker { accounts, sources, .. } = self;
        let mut drained = 0;
        for source in sources {
            let interface = source.interface;
            drained += source.receiver.drain(BATCH, |records| match &mut keeper {
                None => accounts.count(interface, records),
                Some(keeper) => keeper.count(accounts, interface, records),
            });
        }
        drained
    }

    fn is_finished(&self) -> bool {
        self.sources.iter().all(|source| source.receiver.is_finished())
    }

    /// Counts until every source has ended: how capture files are read. Calls `look` with the
    /// counters after every round.
    pub fn run_to_end(&mut self, mut look: impl FnMut(&Accounts)) {
        loop {
            let drained = self.drain(None);
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
        let mut keeper = Timekeeper::new(plan, Box::new(SystemTimes), store);
        let mut next_tick = started;
        let mut stopping = false;
        loop {
            let drained = self.drain(Some(&mut keeper));
            while let Ok(command) = commands.try_recv() {
                stopping |= matches!(command, Command::Stop);
                self.obey(command);
            }
            let mut time = Instant::now();
            if time >= next_tick {
                keeper.tick(&mut self.accounts);
                self.publish(&mut keeper, started, published);
                time = Instant::now();
                next_tick = time + keeper.pause();
            }
            published.heartbeat.fetch_add(1, Ordering::Relaxed);
            if drained == 0 {
                if stopping && self.is_finished() {
                    break;
                }
                thread::park_timeout(next_tick - time);
            }
        }
        self.read_states();
        keeper.finish(&mut self.accounts);
        self.publish(&mut keeper, started, published);
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Watch(name, receiver, status) => {
                let interface = self.accounts.interface(&name, "");
                self.accounts.set_watched(interface, true);
                self.sources.push(Source { interface, receiver, status: Some(status) });
            }
            Command::Leave(name) => {
                let interface = self.accounts.interface(&name, "");
                self.accounts.set_watched(interface, false);
            }
            Command::Local(local) => self.accounts.set_local(local),
            Command::Stop => {}
        }
    }

    /// Copies the capture threads' drops, state, errors and link type into the counters.
    /// Returns the interfaces that are being captured.
    fn read_states(&mut self) -> Vec<usize> {
        let Worker { accounts, sources, lost_before } = self;
        let mut lost = lost_before.clone();
        let mut captured = Vec::new();
        sources.retain(|source| {
            let (interface, Some(status)) = (source.interface, &source.status) else {
                return true;
            };
            // Checked before the counters are read: an ended thread no longer changes them.
            let is_over = source.receiver.is_finished();
            let drops = status.drops(source.receiver.dropped().0);
            let sum = lost.entry(interface).or_default();
            *sum = *sum + drops;
            if is_over {
                let before = lost_before.entry(interface).or_default();
                *before = *before + drops;
            }
            let is_capturing = status.is_capturing() && !is_over;
            accounts.set_state(interface, is_capturing, status.kernel_errors());
            accounts.set_link_type(interface, &status.link_type());
            if is_capturing && !captured.contains(&interface) {
                captured.push(interface);
            }
            !is_over
        });
        for (interface, drops) in lost {
            accounts.set_drops(interface, drops);
        }
        captured
    }

    fn publish(&mut self, keeper: &mut Timekeeper, started: Instant, published: &Published) {
        keeper.set_captured(self.read_states());
        self.accounts.gather();
        let last = published.latest();
        let mut snapshot = self.accounts.snapshot_after(&last);
        snapshot.number = last.number + 1;
        snapshot.taken_at = now();
        snapshot.uptime = started.elapsed();
        snapshot.seconds = keeper.seconds(&last.seconds);
        snapshot.busiest = keeper.busiest();
        published.publish(snapshot);
        published.clock.store(keeper.state() as u8, Ordering::Relaxed);
        published.held_intervals.store(keeper.held() as u64, Ordering::Relaxed);
        published.lost_intervals.store(keeper.lost(), Ordering::Relaxed);
    }
}

/// Nanoseconds since 1970 UTC by the system's clock.
pub fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_nanos()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_is_young_for_two_seconds_and_then_as_old_as_it_is() {
        let published = Published::default();
        published.publish(Snapshot::default());
        assert_eq!(published.age(), 0);
        let earlier = |seconds| Published {
            begun: Instant::now().checked_sub(Duration::from_secs(seconds)).unwrap(),
            ..Published::default()
        };
        // Never published anything.
        assert_eq!((earlier(1).age(), earlier(42).age()), (0, 42));
    }

    /// The drops of an interface were forgotten when it was opened again.
    #[test]
    fn drops_add_up_over_the_captures_of_an_interface() {
        let local = LocalNetworks::private_and(Vec::new());
        let mut worker = Worker::new(Accounts::new(16, local));
        let watch = |worker: &mut Worker, lost: u32| {
            let (sender, receiver) = crate::ring::ring(16, thread::current());
            worker.obey(Command::Watch("rx".to_owned(), receiver, Arc::default()));
            (0..lost).for_each(|_| sender.drop_frame(100));
            sender
        };
        let dropped = |worker: &mut Worker| {
            worker.read_states();
            worker.accounts.snapshot().drops().ring
        };
        let first = watch(&mut worker, 5);
        assert_eq!(dropped(&mut worker), 5);
        first.drop_frame(1);
        drop(first);
        let second = watch(&mut worker, 2);
        assert_eq!(dropped(&mut worker), 8);
        assert_eq!((dropped(&mut worker), worker.sources.len()), (8, 1));
        drop(second);
        worker.obey(Command::Leave("rx".to_owned()));
        assert_eq!((dropped(&mut worker), worker.sources.len()), (8, 0));
        assert!(!worker.accounts.snapshot().interfaces[0].is_watched);
    }
}
