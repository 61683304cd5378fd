//! How much each client has asked for recently: connections opened, and questions to the history.
//!
//! A client that exceeds what an honest one needs comes last wherever something is short: slots of
//! connections ([`super::guard`]) and the turns of questions ([`super::queue`]).

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::client::Client;

/// After this time, half of a client's count is forgotten.
const HALF: Duration = Duration::from_secs(5);
/// A client whose count is higher is greedy. A steady four requests a second reach this, or three
/// browsers behind one address that load the page at once. The page itself keeps one connection,
/// and asks the history a few questions for each view.
const GREEDY: f64 = 30.0;
/// Remembered clients, at most: 64 kB.
const MOST: usize = 1_024;

/// Recent requests, by client.
#[derive(Default)]
pub(super) struct Recent(Mutex<HashMap<Client, (f64, Instant)>>);

impl Recent {
    /// Counts a connection that `client` opens, or a question that takes time; failed attempts too.
    pub(super) fn note(&self, client: Client, now: Instant) {
        let mut counts = self.lock();
        if counts.len() >= MOST && !counts.contains_key(&client) {
            counts.retain(|_, (count, at)| left(*count, *at, now) >= 1.0);
            if counts.len() >= MOST {
                // More clients than a network has: forget all, so that they are even again.
                counts.clear();
            }
        }
        let (count, at) = counts.entry(client).or_insert((0.0, now));
        *count = left(*count, *at, now) + 1.0;
        *at = now;
    }

    /// Whether `client` has asked for more than any honest one does.
    pub(super) fn is_greedy(&self, client: Client, now: Instant) -> bool {
        self.lock().get(&client).is_some_and(|(count, at)| left(*count, *at, now) > GREEDY)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Client, (f64, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is left by `now` of a `count` as of `at`.
fn left(count: f64, at: Instant, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(at).as_secs_f64();
    // Halved in steps, linear in between: a power would need the mathematics library.
    let halves = passed / HALF.as_secs_f64();
    let whole = halves.floor().min(64.0);
    count / (1_u128 << whole as u32) as f64 * (1.0 - (halves - halves.floor()) / 2.0)
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    fn client(number: u32) -> Client {
        Client::from(IpAddr::V4(Ipv4Addr::from_bits(0x0a42_0000 + number)))
    }

    #[test]
    fn one_that_asks_for_much_is_greedy_until_it_has_stopped_for_a_while() {
        let (recent, mut now) = (Recent::default(), Instant::now());
        for _ in 0..31 {
            assert!(!recent.is_greedy(client(1), now));
            recent.note(client(1), now);
        }
        // A page that is requested once a second, each time on new connections.
        for _ in 0..100 {
            recent.note(client(2), now);
            recent.note(client(2), now);
            recent.note(client(1), now);
            recent.note(client(1), now);
            recent.note(client(1), now);
            recent.note(client(1), now);
            recent.note(client(1), now);
            assert!(recent.is_greedy(client(1), now));
            assert!(!recent.is_greedy(client(2), now));
            now += Duration::from_secs(1);
        }
        now += HALF;
        assert!(!recent.is_greedy(client(1), now));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (recent, now) = (Recent::default(), Instant::now());
        for number in 0..100_000 {
            recent.note(client(number), now + Duration::from_millis(number.into()));
            assert!(recent.lock().len() <= MOST);
        }
    }
}
