//! A fair queue: connections' threads put questions in, one thread answers them. The next question
//! is that of the client that has used the least of this thread's time.
//!
//! Theory of operation: start-time fair queueing (Goyal, Vin, Cheng 1996). Each client has a mark,
//! the time that its questions have taken so far; the lowest mark goes next. A client that has been
//! quiet starts at the mark of the question begun last (the floor): it goes before everybody who
//! already waits, but cannot save up time. So a client that asks now and then waits for the running
//! question and no other, however many others ask however much. Among equal marks, as when a crowd
//! arrives all at once, the client that has asked for the least goes next; refused questions count.
//!
//! The number of waiting questions is bounded, per client and in total. When the queue is full, a
//! new question displaces one of a client (or, within a /64, of an address) that has more waiting:
//! a crowd cannot keep others out by waiting.
//!
//! A client with many recent questions and connections ([`super::recent`]) comes after all others
//! here too, and is displaced first.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::Client;
use super::recent::Recent;

/// Clients without a waiting question whose time is remembered, at most.
const REMEMBERED: usize = 256;

/// Waiting questions, by client.
pub(super) struct Queue<J> {
    state: Mutex<State<J>>,
    arrived: Condvar,
    /// Questions that may wait, in total and per client.
    most: usize,
    most_per_client: usize,
}

struct State<J> {
    flows: BTreeMap<Client, Flow<J>>,
    /// The mark of the question that was begun last.
    floor: Duration,
    waiting: usize,
    /// Numbers the questions in the order of their arrival.
    next: u64,
    is_closed: bool,
    recent: Arc<Recent>,
}

/// The questions of one client.
struct Flow<J> {
    mark: Duration,
    /// Questions, refused ones included, since one was begun.
    asked: u32,
    waiting: VecDeque<Waiting<J>>,
}

struct Waiting<J> {
    number: u64,
    address: IpAddr,
    job: J,
}

impl<J> Queue<J> {
    /// An empty queue in which `most` questions may wait, `most_per_client` of each client.
    pub(super) fn new(most: usize, most_per_client: usize, recent: Arc<Recent>) -> Queue<J> {
        Queue {
            state: Mutex::new(State {
                flows: BTreeMap::new(),
                floor: Duration::ZERO,
                waiting: 0,
                next: 0,
                is_closed: false,
                recent,
            }),
            arrived: Condvar::new(),
            most,
            most_per_client,
        }
    }

    /// Adds a question of `address`. False if there is no room; then the question is dropped. One
    /// that is displaced by it is dropped too.
    pub(super) fn push(&self, address: IpAddr, job: J) -> bool {
        let is_in = self.lock().push(address, job, self.most, self.most_per_client);
        if is_in {
            self.arrived.notify_one();
        }
        is_in
    }

    /// Waits for the next question; `None` once the queue is closed.
    pub(super) fn next(&self) -> Option<(Turn<'_, J>, J)> {
        let mut state = self.lock();
        loop {
            if state.is_closed {
                return None;
            }
            if let Some((client, job)) = state.pop() {
                let running = Running { client, begun: Instant::now() };
                return Some((Turn { queue: self, running }, job));
            }
            state = self.arrived.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Whether the running question has to yield: after `slice` if any other waits; at once if its
    /// client is greedy and one of another client that is not waits; and if the queue is closed.
    pub(super) fn wants_the_turn_of(&self, turn: &Running, slice: Duration) -> bool {
        let state = self.lock();
        if state.is_closed {
            return true;
        }
        let now = Instant::now();
        state.waiting > 0
            && (now.saturating_duration_since(turn.begun) >= slice
                || (state.recent.is_greedy(turn.client, now) && state.has_polite(now)))
    }

    /// Whether it has been closed.
    pub(super) fn is_closed(&self) -> bool {
        self.lock().is_closed
    }

    /// Drops the waiting questions, and ends the threads that wait for questions.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.flows.clear();
        state.waiting = 0;
        drop(state);
        self.arrived.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State<J>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.lock().waiting
    }
}

/// A question is being answered; its client is charged for the time until this is dropped.
pub(super) struct Turn<'a, J> {
    queue: &'a Queue<J>,
    running: Running,
}

/// Whose question is being answered, and since when.
#[derive(Clone, Copy)]
pub(super) struct Running {
    client: Client,
    begun: Instant,
}

impl<J> Turn<'_, J> {
    /// Whose it is, and since when it runs.
    pub(super) fn running(&self) -> Running {
        self.running
    }
}

impl<J> Drop for Turn<'_, J> {
    fn drop(&mut self) {
        self.queue.lock().charge(self.running.client, self.running.begun.elapsed());
    }
}

impl<J> State<J> {
    fn push(&mut self, address: IpAddr, job: J, most: usize, most_per_client: usize) -> bool {
        if self.is_closed {
            return false;
        }
        let client = Client::from(address);
        let new = || Flow { mark: Duration::ZERO, asked: 0, waiting: VecDeque::new() };
        let flow = self.flows.entry(client).or_insert_with(new);
        flow.asked = flow.asked.saturating_add(1);
        let here = flow.waiting.len();
        let has_room = (here < most_per_client || self.displace_address(client, address))
            && (self.waiting < most || self.displace_client(client, here));
        if !has_room {
            self.forget();
            return false;
        }
        if let Some(flow) = self.flows.get_mut(&client) {
            flow.waiting.push_back(Waiting { number: self.next, address, job });
            self.next += 1;
            self.waiting += 1;
        }
        true
    }

    /// Makes room within a client that is at its limit, for one of its addresses: drops the newest
    /// question of the address with the most waiting, if that has more than this one.
    fn displace_address(&mut self, client: Client, address: IpAddr) -> bool {
        let Some(flow) = self.flows.get_mut(&client) else { return false };
        let mut counts: BTreeMap<IpAddr, usize> = BTreeMap::new();
        for waiting in &flow.waiting {
            *counts.entry(waiting.address).or_default() += 1;
        }
        let own = counts.get(&address).copied().unwrap_or(0);
        let most = counts.values().copied().max().unwrap_or(0);
        if most <= own {
            return false;
        }
        let newest = flow.waiting.iter().rposition(|waiting| counts[&waiting.address] == most);
        let gone = newest.and_then(|at| flow.waiting.remove(at)).is_some();
        self.waiting -= usize::from(gone);
        gone
    }

    /// Makes room for a client that has `own` questions waiting: drops the newest question of the
    /// client with the most waiting, greedy ones first. That must have more than `own`, or be
    /// greedy while this one is not. Ties: the client that has asked for the most since one of its
    /// questions was begun, then the one that has used the most time. (Time comes last: in a crowd,
    /// most have used less than a client that is being answered.)
    fn displace_client(&mut self, client: Client, own: usize) -> bool {
        let (recent, now) = (&self.recent, Instant::now());
        let key = |(client, flow): (&Client, &Flow<J>)| {
            let newest = flow.waiting.back()?.number;
            let is_greedy = recent.is_greedy(*client, now);
            Some(((is_greedy, flow.waiting.len(), flow.asked, flow.mark, newest), *client))
        };
        let Some(((is_greedy, most, ..), loser)) = self.flows.iter().filter_map(key).max() else {
            return false;
        };
        if (is_greedy, most) <= (recent.is_greedy(client, now), own) {
            return false;
        }
        if let Some(flow) = self.flows.get_mut(&loser) {
            flow.waiting.pop_back();
            self.waiting -= 1;
        }
        true
    }

    /// Whether a question of a client that is not greedy waits.
    fn has_polite(&self, now: Instant) -> bool {
        let mut waiting = self.flows.iter().filter(|(_, flow)| !flow.waiting.is_empty());
        waiting.any(|(client, _)| !self.recent.is_greedy(*client, now))
    }

    fn pop(&mut self) -> Option<(Client, J)> {
        let (floor, now) = (self.floor, Instant::now());
        let key = |(client, flow): (&Client, &Flow<J>)| {
            let first = flow.waiting.front()?.number;
            let is_greedy = self.recent.is_greedy(*client, now);
            Some(((is_greedy, flow.mark.max(floor), flow.asked, flow.mark, first), *client))
        };
        let ((_, mark, ..), client) = self.flows.iter().filter_map(key).min()?;
        let flow = self.flows.get_mut(&client)?;
        let job = flow.waiting.pop_front()?.job;
        flow.mark = mark;
        flow.asked = flow.waiting.len() as u32;
        self.floor = mark;
        self.waiting -= 1;
        Some((client, job))
    }

    /// Charges a client for its time, and forgets clients that are even with the others.
    fn charge(&mut self, client: Client, time: Duration) {
        let floor = self.floor;
        if let Some(flow) = self.flows.get_mut(&client) {
            flow.mark = flow.mark.max(floor) + time;
        }
        if self.waiting == 0 {
            // Nobody waits: whoever asks next is served next.
            self.flows.clear();
            self.floor = Duration::ZERO;
            return;
        }
        // Each answered question halves the weight of refused ones.
        for flow in self.flows.values_mut().filter(|flow| flow.waiting.is_empty()) {
            flow.asked /= 2;
        }
        let is_even =
            |flow: &Flow<J>| flow.waiting.is_empty() && flow.asked == 0 && flow.mark <= floor;
        self.flows.retain(|_, flow| !is_even(flow));
        self.forget();
    }

    /// If too many idle clients are remembered, forgets those with the lowest marks.
    fn forget(&mut self) {
        while self.flows.len() > self.waiting + REMEMBERED {
            let idle = self.flows.iter().filter(|(_, flow)| flow.waiting.is_empty());
            let least = idle.min_by_key(|(_, flow)| (flow.mark, flow.asked));
            let Some(least) = least.map(|(client, _)| *client) else { return };
            self.flows.remove(&least);
        }
    }
}

#[cfg(test)]
mod tests;
