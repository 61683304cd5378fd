//! Gathers claims: who claimed which name for which address, from when to when, and how often.
//!
//! Theory of operation. Bounded tables: names by address, name and source; links by address,
//! hardware address and source; what devices say of themselves by hardware address, kind and text.
//! A full table forgets the eighth of its rows that was claimed least recently, all at once, so that
//! finding them costs a few instructions a claim. How many were forgotten is counted.
//!
//! A DHCP client says its name before it has an address. The book joins the two: a link by DHCP
//! gives the name that the device has said last to the address.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;

use super::claim::{Claim, Name, Source, Trait};
use crate::decode::Mac;

/// Rows of names, of links, of what devices say.
const NAMES: usize = 8_192;
const LINKS: usize = 8_192;
const TRAITS: usize = 4_096;

/// How often the same was claimed, and when.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Times {
    /// The time of the first claim, nanoseconds since 1970 UTC, or [`crate::decode::NO_TIME`].
    pub first: i64,
    /// The time of the latest claim.
    pub last: i64,
    /// How many there were.
    pub count: u64,
}

/// A name of an address.
#[derive(Clone, Copy, Debug)]
pub struct NameRow<'a> {
    /// The address.
    pub address: IpAddr,
    /// The name.
    pub name: &'a Name,
    /// Where it was read.
    pub source: Source,
    /// When and how often.
    pub times: Times,
    /// Whether all claims were of a name that unrelated services may share.
    pub is_shared: bool,
}

/// A hardware address of an address.
#[derive(Clone, Copy, Debug)]
pub struct LinkRow {
    /// The address.
    pub address: IpAddr,
    /// The hardware address.
    pub mac: Mac,
    /// Where it was read.
    pub source: Source,
    /// When and how often.
    pub times: Times,
}

/// Something that a device says of itself.
#[derive(Clone, Copy, Debug)]
pub struct TraitRow<'a> {
    /// The device.
    pub mac: Mac,
    /// What it says.
    pub what: Trait,
    /// The text.
    pub text: &'a Name,
    /// When and how often.
    pub times: Times,
}

/// What has been claimed so far.
pub struct Book {
    names: Table<(IpAddr, Name, Source), (Times, bool)>,
    links: Table<(IpAddr, Mac, Source), Times>,
    traits: Table<(Mac, Trait, Name), Times>,
    /// The latest name that a device has told a DHCP server.
    hosts: Table<Mac, Name>,
}

impl Default for Book {
    fn default() -> Book {
        Book {
            names: Table::new(NAMES),
            links: Table::new(LINKS),
            traits: Table::new(TRAITS),
            hosts: Table::new(TRAITS),
        }
    }
}

impl Book {
    /// Notes a claim. `time` is that of its frame.
    pub fn note(&mut self, time: i64, claim: Claim) {
        let times = Times { first: time, last: time, count: 1 };
        match claim {
            Claim::Name { address, name, source, is_shared, .. } => {
                self.name(address, name, source, times, is_shared);
            }
            Claim::Link { address, mac, source } => {
                self.links.add((address, mac, source), times, |known| known.add(times));
                if source == Source::Dhcp
                    && let Some(name) = self.hosts.get(&mac).cloned()
                {
                    self.name(address, name, source, times, false);
                }
            }
            Claim::Trait { mac, what, text, source } => {
                if (what, source) == (Trait::Hostname, Source::Dhcp) {
                    let name = text.clone();
                    self.hosts.add(mac, name.clone(), |known| *known = name);
                }
                self.traits.add((mac, what, text), times, |known| known.add(times));
            }
        }
    }

    fn name(&mut self, address: IpAddr, name: Name, source: Source, times: Times, shared: bool) {
        self.names.add((address, name, source), (times, shared), |(known, is_shared)| {
            known.add(times);
            // Once asked for openly, it is a service of its own.
            *is_shared &= shared;
        });
    }

    /// All names, sorted by address, source and name.
    pub fn names(&self) -> Vec<NameRow<'_>> {
        let mut rows: Vec<_> = self
            .names
            .iter()
            .map(|((address, name, source), (times, is_shared))| NameRow {
                address: *address,
                name,
                source: *source,
                times: *times,
                is_shared: *is_shared,
            })
            .collect();
        rows.sort_unstable_by_key(|row| (row.address, row.source, row.name));
        rows
    }

    /// Whether ARP, neighbour discovery or DHCP has tied an address to a hardware address.
    pub fn is_linked(&self, address: IpAddr, mac: Mac) -> bool {
        let sources = [Source::Arp, Source::Ndp, Source::Dhcp, Source::Dhcp6];
        sources.into_iter().any(|source| self.links.get(&(address, mac, source)).is_some())
    }

    /// All links, sorted by address, hardware address and source.
    pub fn links(&self) -> Vec<LinkRow> {
        let row = |(&(address, mac, source), &times)| LinkRow { address, mac, source, times };
        let mut rows: Vec<_> = self.links.iter().map(row).collect();
        rows.sort_unstable_by_key(|row| (row.address, row.mac.0, row.source));
        rows
    }

    /// All that devices say of themselves, sorted by hardware address, kind and text.
    pub fn traits(&self) -> Vec<TraitRow<'_>> {
        let mut rows: Vec<_> = self
            .traits
            .iter()
            .map(|((mac, what, text), times)| TraitRow {
                mac: *mac,
                what: *what,
                text,
                times: *times,
            })
            .collect();
        rows.sort_unstable_by_key(|row| (row.mac.0, row.what, row.text));
        rows
    }

    /// How many names, links and statements of devices had to be forgotten.
    pub fn dropped(&self) -> u64 {
        self.names.dropped + self.links.dropped + self.traits.dropped
    }
}

impl Times {
    fn add(&mut self, more: Times) {
        self.last = more.last;
        self.count += more.count;
    }
}

/// The sources of local names, the most trustworthy first; then those of remote ones.
const LOCAL: [&[Source]; 5] = [
    &[Source::Dhcp],
    &[Source::Dhcp6],
    &[Source::Mdns, Source::MdnsPtr],
    &[Source::Nbns, Source::Nbdgm],
    &[Source::Llmnr],
];
const REMOTE: [&[Source]; 4] =
    [&[Source::Tls, Source::Quic], &[Source::Http], &[Source::Dns], &[Source::DnsPtr]];

/// The best of the names of one address: by source, then by how often it was claimed. What a local
/// host says of itself counts for local addresses only.
pub fn best<'a>(names: &[NameRow<'a>], is_local: bool) -> Option<NameRow<'a>> {
    let own = if is_local { &LOCAL[..] } else { &[] };
    own.iter().chain(&REMOTE).find_map(|sources| {
        let of_these = names.iter().filter(|row| sources.contains(&row.source));
        of_these
            .max_by_key(|row| (!row.is_shared, row.times.count, row.name, Reverse(row.source)))
            .copied()
    })
}

/// A bounded table that forgets the rows which were not added to for longest.
struct Table<K, V> {
    /// Each with the number of the latest addition to it.
    rows: HashMap<K, (u64, V)>,
    additions: u64,
    limit: usize,
    dropped: u64,
}

impl<K: Hash + Eq, V> Table<K, V> {
    fn new(limit: usize) -> Table<K, V> {
        Table { rows: HashMap::new(), additions: 0, limit, dropped: 0 }
    }

    fn get(&self, key: &K) -> Option<&V> {
        self.rows.get(key).map(|(_, value)| value)
    }

    fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.rows.iter().map(|(key, (_, value))| (key, value))
    }

    /// Adds a row, or to the row that is there already.
    fn add(&mut self, key: K, value: V, again: impl FnOnce(&mut V)) {
        self.additions += 1;
        if let Some((addition, known)) = self.rows.get_mut(&key) {
            *addition = self.additions;
            return again(known);
        }
        if self.rows.len() >= self.limit {
            self.forget();
        }
        self.rows.insert(key, (self.additions, value));
    }

    fn forget(&mut self) {
        let mut additions: Vec<u64> = self.rows.values().map(|(addition, _)| *addition).collect();
        let (_, &mut kept, _) = additions.select_nth_unstable(self.limit / 8);
        let before = self.rows.len();
        self.rows.retain(|_, (addition, _)| *addition >= kept);
        self.dropped += (before - self.rows.len()) as u64;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::{Duration, Instant};

    use super::*;

    fn name(address: u32, name: &str, source: Source) -> Claim {
        let address = Ipv4Addr::from_bits(address).into();
        let name = Name::new(name.as_bytes()).unwrap();
        Claim::Name { address, name, source, ttl: None, is_shared: false }
    }

    fn device(number: u32) -> Mac {
        let [a, b, c, d] = number.to_be_bytes();
        Mac([2, 0, a, b, c, d])
    }

    #[test]
    fn the_same_claim_is_one_row() {
        let mut book = Book::default();
        book.note(5, name(1, "a.example", Source::Dns));
        book.note(9, name(1, "a.example", Source::Dns));
        book.note(9, name(1, "a.example", Source::Tls));
        let rows = book.names();
        assert_eq!(
            rows.iter().map(|row| row.source).collect::<Vec<_>>(),
            [Source::Dns, Source::Tls]
        );
        assert_eq!(rows[0].times, Times { first: 5, last: 9, count: 2 });
    }

    #[test]
    fn a_front_that_is_asked_for_openly_is_no_front() {
        let mut book = Book::default();
        let Claim::Name { address, name, source, ttl, .. } = name(1, "a.example", Source::Tls)
        else {
            unreachable!()
        };
        let front = Claim::Name { address, name, source, ttl, is_shared: true };
        book.note(1, front.clone());
        assert!(book.names()[0].is_shared);
        book.note(2, self::name(1, "a.example", Source::Tls));
        book.note(3, front);
        assert!(!book.names()[0].is_shared);
    }

    #[test]
    fn an_address_by_dhcp_gets_the_name_that_its_client_said_before() {
        let mut book = Book::default();
        let (mac, source) = (device(7), Source::Dhcp);
        for text in ["old", "phone"] {
            let text = Name::new(text.as_bytes()).unwrap();
            book.note(1, Claim::Trait { mac, what: Trait::Hostname, text, source });
        }
        let link = |address: u32, source| {
            let address = Ipv4Addr::from_bits(address).into();
            Claim::Link { address, mac, source }
        };
        book.note(2, link(1, Source::Arp));
        assert!(book.names().is_empty());
        book.note(3, link(2, source));
        let names = book.names();
        assert_eq!((names.len(), names[0].name.as_str()), (1, "phone"));
        assert_eq!((book.links().len(), book.traits().len()), (2, 2));
    }

    #[test]
    fn a_million_hostile_claims_stay_bounded_and_quick() {
        let start = Instant::now();
        let mut book = Book::default();
        for number in 0..1_000_000_u32 {
            // What is claimed again and again stays.
            if number % 1_000 == 0 {
                book.note(1, name(0xc000_0201, "stays.example", Source::Dns));
            }
            let text = format!("{number}.example");
            let mac = device(number);
            book.note(
                1,
                match number % 3 {
                    0 => name(number, &text, Source::Mdns),
                    1 => Claim::Link {
                        address: Ipv4Addr::from_bits(number).into(),
                        mac,
                        source: Source::Dhcp,
                    },
                    _ => Claim::Trait {
                        mac,
                        what: Trait::Hostname,
                        text: Name::new(text.as_bytes()).unwrap(),
                        source: Source::Dhcp,
                    },
                },
            );
        }
        let (names, links, traits) = (book.names(), book.links(), book.traits());
        assert!((NAMES * 7 / 8..=NAMES).contains(&names.len()), "{}", names.len());
        assert!(links.len() <= LINKS && traits.len() <= TRAITS && book.hosts.rows.len() <= TRAITS);
        assert!(names.iter().any(|row| row.name.as_str() == "stays.example"));
        assert!(names.iter().any(|row| row.name.as_str() == "999999.example"));
        let kept = (names.len() + links.len() + traits.len()) as u64;
        assert_eq!(book.dropped() + kept, 1_000_001);
        // Unoptimized, on a busy machine, it takes a few seconds; were it not linear, hours.
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    }

    #[test]
    fn the_best_name_is_that_of_the_best_source() {
        let mut book = Book::default();
        for (text, source) in [
            ("ptr.example", Source::DnsPtr),
            ("asked.example", Source::Dns),
            ("often.example", Source::Dns),
            ("often.example", Source::Dns),
            ("tv.local", Source::Mdns),
        ] {
            book.note(1, name(1, text, source));
        }
        let of = |book: &Book, is_local| best(&book.names(), is_local).map(|r| r.name.to_string());
        assert_eq!(of(&book, false).unwrap(), "often.example");
        assert_eq!(of(&book, true).unwrap(), "tv.local");
        book.note(1, name(1, "sni.example", Source::Tls));
        book.note(1, name(1, "given", Source::Dhcp));
        assert_eq!(of(&book, false).unwrap(), "sni.example");
        assert_eq!(of(&book, true).unwrap(), "given");
        assert!(of(&Book::default(), true).is_none());
    }
}
