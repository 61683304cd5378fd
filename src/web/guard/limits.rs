//! The limits on connections: how many there are, in total and per client; which one is closed when
//! all slots are taken; and how much memory long answers may hold. Shared by the accept thread and
//! the connections' threads.
//!
//! When slots are short, connections of clients with many recent requests are closed first, and
//! such a client cannot displace others ([`crate::web::recent`]). Otherwise an idle connection is
//! closed first: its client opens another when it needs one. Next, of the client with the most
//! connections, the one that has been sending its request or reading its answer for the longest
//! time. A request and an answer take milliseconds, so a slow client loses its slot, however many
//! addresses it uses; a new connection keeps its slot while there are slower ones, however many its
//! client has. A connection whose answer is being made keeps its slot; [`crate::web::Answers`]
//! bounds those that wait for the history.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Shutdown, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Guard;
use crate::web::client::Client;
use crate::web::recent::Recent;

/// Answers up to this size are held for slow clients without a limit of their own. Longer ones
/// share [`HELD_MOST`], of which one client gets at most [`HELD_PER_CLIENT`]. The longest (500
/// points of 100 rows of history) takes 2 MiB. When the space is used up, slow readers are
/// disconnected.
const HELD_FREE: usize = 64 << 10;
const HELD_MOST: usize = 8 << 20;
const HELD_PER_CLIENT: usize = 4 << 20;
/// A client that takes longer than this is slow.
const SLOW: Duration = Duration::from_millis(250);
/// Threads of connections that lost their slots and have not ended yet, at most. A client that has
/// opened few connections recently may have [`RESERVE`] more.
const ENDING: usize = 16;
const RESERVE: usize = 16;

/// The slots of all connections.
pub(super) struct Limits(Arc<Mutex<Open>>);

impl Limits {
    /// No connection yet.
    pub(super) fn new(recent: Arc<Recent>) -> Limits {
        Limits(Arc::new(Mutex::new(Open { recent, ..Open::default() })))
    }

    /// Acquires a slot; `None` if there is none left, in total or for this client.
    pub(super) fn enter(
        &self,
        guard: &Guard,
        stream: &Arc<TcpStream>,
        address: IpAddr,
    ) -> Option<Slot> {
        let number = lock(&self.0).enter(guard, stream, address)?;
        Some(Slot { open: self.0.clone(), number })
    }

    /// Connections whose threads have not ended yet.
    pub(super) fn threads(&self) -> usize {
        lock(&self.0).threads
    }

    /// Closes connections as soon as they have nothing left to answer.
    pub(super) fn close(&self) {
        let mut open = lock(&self.0);
        open.is_closing = true;
        for connection in open.connections.values().filter(|c| matches!(c.phase, Phase::Idle(_))) {
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }
}

/// The open connections.
#[derive(Default)]
struct Open {
    connections: BTreeMap<u64, Connection>,
    next: u64,
    /// Somewhat more than connections: the thread of one that lost its slot takes a moment to end.
    threads: usize,
    /// Bytes of long answers that clients have not read yet.
    held: usize,
    by_client: HashMap<Client, Share>,
    recent: Arc<Recent>,
    is_closing: bool,
}

/// One client's share of them.
#[derive(Clone, Copy, Default)]
struct Share {
    connections: usize,
    held: usize,
}

struct Connection {
    stream: Arc<TcpStream>,
    address: IpAddr,
    phase: Phase,
    held: usize,
}

/// What a connection is doing, and since when.
#[derive(Clone, Copy)]
pub(super) enum Phase {
    /// It waits for the client's next request.
    Idle(Instant),
    /// The client is sending a request.
    Reading(Instant),
    /// The answer is being made.
    Answering,
    /// The client is reading its answer.
    Sending(Instant),
}

impl Open {
    fn enter(&mut self, guard: &Guard, stream: &Arc<TcpStream>, address: IpAddr) -> Option<u64> {
        let (client, now) = (Client::from(address), Instant::now());
        self.recent.note(client, now);
        let is_greedy = self.recent.is_greedy(client, now);
        let ending = if is_greedy { ENDING } else { ENDING + RESERVE };
        if self.threads >= guard.connections + ending {
            return None;
        }
        let here = self.by_client.get(&client).map_or(0, |share| share.connections);
        if here >= guard.connections_per_address {
            self.make_room_within(client, address)?;
        }
        if self.connections.len() >= guard.connections {
            self.make_room(is_greedy, now)?;
        }
        self.threads += 1;
        let number = self.next;
        self.next += 1;
        let phase = Phase::Reading(now);
        let connection = Connection { stream: stream.clone(), address, phase, held: 0 };
        self.connections.insert(number, connection);
        self.by_client.entry(client).or_default().connections += 1;
        Some(number)
    }

    /// Closes the first connection in order, on behalf of a client that is greedy or not.
    fn make_room(&mut self, is_greedy: bool, now: Instant) -> Option<()> {
        let count = |address| self.by_client.get(&Client::from(address)).map(|s| s.connections);
        let open = self.connections.iter();
        let order = open.filter_map(|(number, connection)| {
            let (is_busy, since) = turn(connection.phase)?;
            let is_quick = is_busy && now.saturating_duration_since(since) < SLOW;
            let is_polite = !self.recent.is_greedy(Client::from(connection.address), now);
            if is_polite && is_greedy {
                return None;
            }
            let most = (!is_quick).then(|| Reverse(count(connection.address)));
            Some(((is_polite, is_quick, is_busy, most, since), *number))
        });
        let (_, number) = order.min()?;
        self.end(number)
    }

    /// Closes a connection of a client at its limit: an idle one, else one of the address with the
    /// most, if that has more than `address`.
    fn make_room_within(&mut self, client: Client, address: IpAddr) -> Option<()> {
        let own: Vec<_> =
            self.connections.iter().filter(|(_, c)| Client::from(c.address) == client).collect();
        let mut counts: HashMap<IpAddr, usize> = HashMap::new();
        for (_, connection) in &own {
            *counts.entry(connection.address).or_default() += 1;
        }
        let count = |address: &IpAddr| counts.get(address).copied().unwrap_or(0);
        let least = count(&address);
        let order = own.iter().filter_map(|(number, connection)| {
            let (is_busy, since) = turn(connection.phase)?;
            let count = count(&connection.address);
            let may_go = !is_busy || count > least;
            may_go.then_some(((is_busy, Reverse(count), since), **number))
        });
        let (_, number) = order.min()?;
        self.end(number)
    }

    /// Removes a connection's slot; its thread sees the end of the stream.
    fn end(&mut self, number: u64) -> Option<()> {
        let connection = self.leave(number)?;
        let _ = connection.stream.shutdown(Shutdown::Both);
        Some(())
    }

    /// Releases a slot, unless it was already removed.
    fn leave(&mut self, number: u64) -> Option<Connection> {
        let connection = self.connections.remove(&number)?;
        self.held -= connection.held;
        let client = Client::from(connection.address);
        if let Some(here) = self.by_client.get_mut(&client) {
            here.connections -= 1;
            here.held -= connection.held;
            if here.connections == 0 {
                self.by_client.remove(&client);
            }
        }
        Some(connection)
    }

    /// Sets how much memory a connection's answer occupies. False if there is no room for it.
    fn hold(&mut self, number: u64, size: usize, now: Instant) -> bool {
        let Some(connection) = self.connections.get_mut(&number) else { return false };
        let here = self.by_client.entry(Client::from(connection.address)).or_default();
        self.held -= connection.held;
        here.held -= connection.held;
        connection.held = 0;
        if size <= HELD_FREE {
            return true;
        }
        if here.held + size > HELD_PER_CLIENT {
            return false;
        }
        let client = Client::from(connection.address);
        while self.held + size > HELD_MOST {
            if self.make_room_to_hold(now).is_none() {
                return false;
            }
        }
        self.held += size;
        self.by_client.entry(client).or_default().held += size;
        if let Some(connection) = self.connections.get_mut(&number) {
            connection.held = size;
        }
        true
    }

    /// Closes the connection that has been reading a long answer slowly for the longest time; those
    /// of greedy clients first.
    fn make_room_to_hold(&mut self, now: Instant) -> Option<()> {
        let slow = self.connections.iter().filter_map(|(number, connection)| {
            let Phase::Sending(since) = connection.phase else { return None };
            let is_slow = now.saturating_duration_since(since) >= SLOW;
            let is_polite = !self.recent.is_greedy(Client::from(connection.address), now);
            (connection.held > 0 && is_slow).then_some(((is_polite, since), *number))
        });
        let (_, number) = slow.min()?;
        self.end(number)
    }
}

/// The order in which connections are closed: idle ones before busy ones, then by time. `None`: it
/// stays.
fn turn(phase: Phase) -> Option<(bool, Instant)> {
    match phase {
        Phase::Idle(since) => Some((false, since)),
        Phase::Reading(since) | Phase::Sending(since) => Some((true, since)),
        Phase::Answering => None,
    }
}

/// A slot among the open connections, released when dropped.
pub(super) struct Slot {
    open: Arc<Mutex<Open>>,
    number: u64,
}

impl Slot {
    /// Sets what the connection does now. False if it has to end: it has lost its slot, or it is
    /// idle and the daemon is stopping.
    pub(super) fn set(&self, phase: Phase) -> bool {
        let mut open = lock(&self.open);
        let is_over = open.is_closing && matches!(phase, Phase::Idle(_));
        match open.connections.get_mut(&self.number) {
            Some(connection) if !is_over => {
                connection.phase = phase;
                true
            }
            _ => false,
        }
    }

    /// Whether another request may follow.
    pub(super) fn may_stay(&self) -> bool {
        !lock(&self.open).is_closing
    }

    /// Reserves memory for an answer of this size, in place of the previous one. False if there is
    /// no room.
    pub(super) fn hold(&self, size: usize) -> bool {
        lock(&self.open).hold(self.number, size, Instant::now())
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = lock(&self.open);
        open.threads -= 1;
        open.leave(self.number);
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
