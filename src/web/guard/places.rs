//! The places of the guard's connections: how many there are, in all and for one address,
//! which one is ended when all are taken, and how much of long answers waits in them.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Guard;

/// Answers up to this size wait for slow clients as they like; longer ones share
/// [`HELD_MOST`], of which one address gets no more than [`HELD_PER_ADDRESS`]. The longest
/// (500 points of 100 rows of history) takes 2 MiB.
const HELD_FREE: usize = 64 << 10;
const HELD_MOST: usize = 8 << 20;
const HELD_PER_ADDRESS: usize = 4 << 20;
/// A client that has been taking its answer for so long has to go if places are short.
const SLOW: Duration = Duration::from_secs(5);
/// Threads of connections whose places were taken away, and that have not noticed yet.
const ENDING: usize = 16;

/// The places of all connections.
#[derive(Default)]
pub(super) struct Places(Arc<Mutex<Open>>);

impl Places {
    /// Takes a place; `None` if there is none left, for all or for this address.
    pub(super) fn enter(
        &self,
        guard: &Guard,
        client: &Arc<TcpStream>,
        address: IpAddr,
    ) -> Option<Ticket> {
        let number = lock(&self.0).enter(guard, client, address)?;
        Some(Ticket { open: self.0.clone(), number })
    }

    /// Connections whose threads have not ended yet.
    pub(super) fn threads(&self) -> usize {
        lock(&self.0).threads
    }
}

/// The connections that are open.
#[derive(Default)]
struct Open {
    /// By number, the oldest first.
    places: BTreeMap<u64, Place>,
    next: u64,
    /// Threads: a little more than places, as an ended connection's thread takes a moment.
    threads: usize,
    /// Bytes of long answers that wait to be taken.
    held: usize,
    by_address: HashMap<IpAddr, Share>,
}

/// What one address has of them.
#[derive(Clone, Copy, Default)]
struct Share {
    connections: usize,
    held: usize,
}

struct Place {
    client: Arc<TcpStream>,
    address: IpAddr,
    stage: Stage,
    held: usize,
}

/// How far a connection has got.
#[derive(Clone, Copy)]
pub(super) enum Stage {
    /// The client sends its request.
    Reading,
    /// The server inside has it.
    Asking,
    /// The client takes its answer.
    Sending(Instant),
}

impl Open {
    fn enter(&mut self, guard: &Guard, client: &Arc<TcpStream>, address: IpAddr) -> Option<u64> {
        let here = self.by_address.get(&address).map_or(0, |share| share.connections);
        if here >= guard.connections_per_address {
            return None;
        }
        if self.threads >= guard.connections + ENDING {
            return None;
        }
        if self.places.len() >= guard.connections {
            self.make_room()?;
        }
        self.threads += 1;
        let number = self.next;
        self.next += 1;
        let place = Place { client: client.clone(), address, stage: Stage::Reading, held: 0 };
        self.places.insert(number, place);
        self.by_address.entry(address).or_default().connections += 1;
        Some(number)
    }

    /// Ends the connection that is slowest.
    fn make_room(&mut self) -> Option<()> {
        let first = |is_slow: &dyn Fn(Stage) -> bool| {
            self.places.iter().find(|(_, place)| is_slow(place.stage)).map(|(number, _)| *number)
        };
        let number = first(&|stage| matches!(stage, Stage::Reading)).or_else(|| {
            first(&|stage| matches!(stage, Stage::Sending(since) if since.elapsed() > SLOW))
        })?;
        let place = self.leave(number)?;
        // Its thread sees the end of it.
        let _ = place.client.shutdown(Shutdown::Both);
        Some(())
    }

    /// Gives a place back, if it has not been taken away.
    fn leave(&mut self, number: u64) -> Option<Place> {
        let place = self.places.remove(&number)?;
        self.held -= place.held;
        if let Some(here) = self.by_address.get_mut(&place.address) {
            here.connections -= 1;
            here.held -= place.held;
            if here.connections == 0 {
                self.by_address.remove(&place.address);
            }
        }
        Some(place)
    }

    fn hold(&mut self, number: u64, size: usize) -> bool {
        if size <= HELD_FREE {
            return true;
        }
        let Some(place) = self.places.get_mut(&number) else { return false };
        let here = self.by_address.entry(place.address).or_default();
        if self.held + size > HELD_MOST || here.held + size > HELD_PER_ADDRESS {
            return false;
        }
        self.held += size;
        here.held += size;
        place.held += size;
        true
    }
}

/// A place among the open connections, given back when dropped.
pub(super) struct Ticket {
    open: Arc<Mutex<Open>>,
    number: u64,
}

impl Ticket {
    /// Notes how far the connection has got.
    pub(super) fn set(&self, stage: Stage) {
        if let Some(place) = lock(&self.open).places.get_mut(&self.number) {
            place.stage = stage;
        }
    }

    /// Whether an answer of this size may be held for the client; if so, it is from now on.
    pub(super) fn hold(&self, size: usize) -> bool {
        lock(&self.open).hold(self.number, size)
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.threads -= 1;
        open.leave(self.number);
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
