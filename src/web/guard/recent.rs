//! Who has opened how many connections of late.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::super::client::Client;

/// After this time half of what somebody has opened is forgotten.
const HALF: Duration = Duration::from_secs(5);
/// Whoever has opened more of late is greedy: this is four a second and on, or three browsers
/// behind one address that load the page at once. The page itself keeps one connection.
const GREEDY: f64 = 30.0;
/// Clients that are remembered: 64 kB.
const MOST: usize = 1_024;

/// Connections that were opened of late, by client.
#[derive(Default)]
pub(super) struct Recent(HashMap<Client, (f64, Instant)>);

impl Recent {
    /// Notes that `client` opens a connection, or tries to.
    pub(super) fn note(&mut self, client: Client, now: Instant) {
        if self.0.len() >= MOST && !self.0.contains_key(&client) {
            self.0.retain(|_, (count, at)| left(*count, *at, now) >= 1.0);
            if self.0.len() >= MOST {
                // More clients than a network has: forgotten, all are even again.
                self.0.clear();
            }
        }
        let (count, at) = self.0.entry(client).or_insert((0.0, now));
        *count = left(*count, *at, now) + 1.0;
        *at = now;
    }

    /// Whether `client` has opened more than any honest one does.
    pub(super) fn is_greedy(&self, client: Client, now: Instant) -> bool {
        self.0.get(&client).is_some_and(|(count, at)| left(*count, *at, now) > GREEDY)
    }
}

/// What is left of a count that stood at that time.
fn left(count: f64, at: Instant, now: Instant) -> f64 {
    let passed = now.saturating_duration_since(at).as_secs_f64();
    // Halved in steps between which it falls evenly: a power would bring the mathematics library.
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
    fn one_that_opens_many_is_greedy_until_it_has_stopped_for_a_while() {
        let (mut recent, mut now) = (Recent::default(), Instant::now());
        for _ in 0..31 {
            assert!(!recent.is_greedy(client(1), now));
            recent.note(client(1), now);
        }
        // A page that is asked for once a second, each time on new connections.
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
        let (mut recent, now) = (Recent::default(), Instant::now());
        for number in 0..100_000 {
            recent.note(client(number), now + Duration::from_millis(number.into()));
            assert!(recent.0.len() <= MOST);
        }
    }
}
