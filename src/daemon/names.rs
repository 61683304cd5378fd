//! The names thread: listens to the interfaces that are captured, and knows what their hosts are
//! called.
//!
//! Theory of operation. The thread has a handle of its own for each interface
//! ([`crate::capture::listen`]) and looks once a second which are captured now. It reads at most
//! [`PACKETS_PER_SECOND`] packets a second, and leaves the rest to the kernel, which drops and counts
//! it. Claims go into a
//! [`Book`] of bounded size. Once a second, if something has changed, the best name of each address
//! is published for the web threads.
//!
//! A host may only speak of itself: what it says by mDNS, LLMNR or NetBIOS of another address is
//! not believed, unless ARP, neighbour discovery or DHCP have tied that address to the same
//! hardware address.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use log::{debug, info};
use nix::poll::{PollFd, PollFlags, poll};
use serde_json::{Map, Value, json};

use super::interfaces::Statuses;
use crate::account::LocalNetworks;
use crate::capture::handle::timeout;
use crate::capture::listen::Ear;
use crate::capture::live::StopSignal;
use crate::config::NamesLevel;
use crate::decode::{Addr, PacketRecord};
use crate::names::book::best;
use crate::names::{Book, Claim, Listener, Name, Source};

/// Packets that are read in a second, all interfaces together. A home has some tens.
const PACKETS_PER_SECOND: usize = 3_000;
/// Packets that are read at once from one interface.
const BATCH: usize = 64;
/// Between two looks at the interfaces, and between two publications.
const LOOK: Duration = Duration::from_secs(1);

/// The name of an address.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Known {
    name: Name,
    source: Source,
    is_shared: bool,
}

/// What the names thread shares with others.
pub(super) struct Names {
    /// A reload changes it.
    level: Mutex<NamesLevel>,
    local: RwLock<LocalNetworks>,
    known: Mutex<Arc<BTreeMap<IpAddr, Known>>>,
    packets: AtomicU64,
    skipped: AtomicU64,
    forgotten: AtomicU64,
    /// Increases with every round of the thread; the watchdog checks it.
    rounds: AtomicU64,
}

impl Names {
    pub(super) fn new(level: NamesLevel, local: LocalNetworks) -> Names {
        Names {
            level: Mutex::new(level),
            local: RwLock::new(local),
            known: Mutex::default(),
            packets: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            forgotten: AtomicU64::new(0),
            rounds: AtomicU64::new(0),
        }
    }

    pub(super) fn set_level(&self, level: NamesLevel) {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner) = level;
    }

    fn level(&self) -> NamesLevel {
        *self.level.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn set_local(&self, local: LocalNetworks) {
        *self.local.write().unwrap_or_else(PoisonError::into_inner) = local;
    }

    pub(super) fn rounds(&self) -> u64 {
        self.rounds.load(Ordering::Relaxed)
    }

    fn known(&self) -> Arc<BTreeMap<IpAddr, Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn publish(&self, known: BTreeMap<IpAddr, Known>) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(known);
    }

    /// The answer of `GET /api/v1/names`.
    pub(super) fn to_json(&self) -> Value {
        let row = |(address, known): (&IpAddr, &Known)| {
            let mut row = json!({ "name": known.name.as_str(), "source": known.source.name() });
            if known.is_shared {
                row["shared"] = json!(true);
            }
            // As hosts are written everywhere else.
            (Addr::from(*address).to_string(), row)
        };
        let names: Map<String, Value> = self.known().iter().map(row).collect();
        json!({ "level": self.level().name(), "names": names })
    }

    /// The part of `GET /api/v1/status`.
    pub(super) fn status(&self) -> Value {
        json!({
            "level": self.level().name(),
            "names": self.known().len(),
            "packets": self.packets.load(Ordering::Relaxed),
            "skipped": self.skipped.load(Ordering::Relaxed),
            "forgotten": self.forgotten.load(Ordering::Relaxed),
        })
    }
}

/// The body of the names thread, until `stop`.
pub(super) fn run(
    names: &Names,
    captures: &Statuses,
    is_promiscuous: &AtomicBool,
    stop: &StopSignal,
) {
    let mut thread = Thread {
        names,
        ears: BTreeMap::new(),
        book: Book::default(),
        is_changed: false,
        level: names.level(),
        allowance: PACKETS_PER_SECOND,
    };
    let mut next_look = Instant::now();
    while !stop.is_stopped() {
        names.rounds.fetch_add(1, Ordering::Relaxed);
        if Instant::now() >= next_look {
            thread.allowance = PACKETS_PER_SECOND;
            thread.follow(captures, is_promiscuous.load(Ordering::Relaxed));
            thread.publish();
            next_look = Instant::now() + LOOK;
        }
        thread.read();
        // Once the allowance is used up, nothing is waited for but the next second.
        let ears = thread.ears.values().filter(|_| thread.allowance > 0);
        let mut all: Vec<PollFd<'_>> =
            ears.map(|heard| PollFd::new(heard.ear.descriptor(), PollFlags::POLLIN)).collect();
        all.push(PollFd::new(stop.descriptor(), PollFlags::POLLIN));
        let left = next_look.saturating_duration_since(Instant::now());
        let _ = poll(&mut all, timeout(left));
    }
}

/// An interface and what has to be remembered of it.
struct Heard {
    ear: Ear,
    listener: Listener,
    dropped: u64,
}

struct Thread<'a> {
    names: &'a Names,
    ears: BTreeMap<String, Heard>,
    book: Book,
    is_changed: bool,
    /// The level under which the book was filled.
    level: NamesLevel,
    /// Packets that may still be read in this second.
    allowance: usize,
}

impl Thread<'_> {
    /// Opens the interfaces that are captured and not listened to yet, and closes the others.
    fn follow(&mut self, captures: &Statuses, is_promiscuous: bool) {
        let level = self.names.level();
        if level != self.level {
            // What the owner no longer wants is forgotten at once.
            (self.level, self.book, self.is_changed) = (level, Book::default(), true);
            self.ears.values_mut().for_each(|heard| heard.listener = Listener::default());
        }
        if level == NamesLevel::None {
            self.ears.clear();
            return;
        }
        let captures = captures.lock().unwrap_or_else(PoisonError::into_inner);
        let wanted: BTreeSet<String> = captures
            .iter()
            .filter(|(_, status)| status.is_capturing())
            .map(|(name, _)| name.clone())
            .collect();
        drop(captures);
        self.ears.retain(|name, _| wanted.contains(name));
        for name in wanted {
            if self.ears.contains_key(&name) {
                continue;
            }
            match Ear::open(&name, is_promiscuous) {
                Ok(ear) => {
                    info!("{name}: listening for names");
                    let listener = Listener::default();
                    self.ears.insert(name, Heard { ear, listener, dropped: 0 });
                }
                // The capture thread says what is wrong with an interface.
                Err(trouble) => debug!("{name}: not listening for names: {trouble}"),
            }
        }
        for heard in self.ears.values_mut() {
            let dropped = heard.ear.dropped();
            let new = dropped.saturating_sub(heard.dropped);
            self.names.skipped.fetch_add(new, Ordering::Relaxed);
            heard.dropped = dropped;
        }
    }

    /// Reads what is ready, and closes the interfaces that have gone.
    fn read(&mut self) {
        let Thread { names, ears, book, is_changed, level, allowance } = self;
        ears.retain(|_, Heard { ear, listener, .. }| {
            // For libpcap, "at most none" means all.
            if *allowance == 0 {
                return true;
            }
            let read = ear.read(BATCH.min(*allowance), |frame, record| {
                *allowance = allowance.saturating_sub(1);
                names.packets.fetch_add(1, Ordering::Relaxed);
                listener.hear(frame, record, &mut |claim| {
                    if is_allowed(&claim, *level) && is_credible(&claim, record, book) {
                        *is_changed = true;
                        book.note(record.timestamp, claim);
                    }
                });
            });
            read.is_ok()
        });
    }

    /// Publishes the best name of each address, if something has been claimed since.
    fn publish(&mut self) {
        if !std::mem::take(&mut self.is_changed) {
            return;
        }
        self.names.forgotten.store(self.book.dropped(), Ordering::Relaxed);
        let local = self.names.local.read().unwrap_or_else(PoisonError::into_inner);
        self.names.publish(known(&self.book, &local));
    }
}

/// The best name of each address.
fn known(book: &Book, local: &LocalNetworks) -> BTreeMap<IpAddr, Known> {
    let rows = book.names();
    let mut known = BTreeMap::new();
    for of_one in rows.chunk_by(|a, b| a.address == b.address) {
        let address = of_one[0].address;
        if let Some(row) = best(of_one, local.has(&Addr::from(address))) {
            let (name, source, is_shared) = (row.name.clone(), row.source, row.is_shared);
            known.insert(address, Known { name, source, is_shared });
        }
    }
    known
}

/// Whether the owner lets such a claim be kept.
fn is_allowed(claim: &Claim, level: NamesLevel) -> bool {
    let (Claim::Name { source, .. } | Claim::Link { source, .. } | Claim::Trait { source, .. }) =
        claim;
    let is_remote =
        matches!(source, Source::Dns | Source::DnsPtr | Source::Tls | Source::Quic | Source::Http);
    match level {
        NamesLevel::All => true,
        NamesLevel::Local => !is_remote,
        NamesLevel::None => false,
    }
}

/// Whether a claim may be believed: a host speaks of itself only.
fn is_credible(claim: &Claim, record: &PacketRecord, book: &Book) -> bool {
    let Claim::Name { address, source, .. } = claim else { return true };
    match source {
        Source::Mdns | Source::MdnsPtr | Source::Llmnr | Source::Nbns | Source::Nbdgm => {
            let mac = record.source_mac();
            record.source.ip() == *address || mac.is_known() && book.is_linked(*address, mac)
        }
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claim(address: &str, name: &str, source: Source) -> Claim {
        let (address, name) = (address.parse().unwrap(), Name::new(name.as_bytes()).unwrap());
        Claim::Name { address, name, source, ttl: None, is_shared: false }
    }

    fn from(address: &str) -> PacketRecord {
        let address: IpAddr = address.parse().unwrap();
        let mut record = PacketRecord::default();
        record.source = address.into();
        record
    }

    #[test]
    fn a_host_speaks_of_itself_only() {
        let book = Book::default();
        let own = claim("192.168.1.7", "tv.local", Source::Mdns);
        assert!(is_credible(&own, &from("192.168.1.7"), &book));
        assert!(!is_credible(&own, &from("192.168.1.66"), &book));
        // A name server speaks of others: that is what it is for.
        let others = claim("192.168.1.7", "tv.example", Source::Dns);
        assert!(is_credible(&others, &from("192.168.1.1"), &book));
    }

    #[test]
    fn levels_keep_what_they_say() {
        for (source, local, all) in [
            (Source::Mdns, true, true),
            (Source::Dhcp, true, true),
            (Source::Dns, false, true),
            (Source::Tls, false, true),
        ] {
            let one = claim("192.168.1.7", "x.example", source);
            assert_eq!(is_allowed(&one, NamesLevel::All), all);
            assert_eq!(is_allowed(&one, NamesLevel::Local), local);
            assert!(!is_allowed(&one, NamesLevel::None));
        }
    }

    #[test]
    fn the_best_name_is_published_with_its_source() {
        let mut book = Book::default();
        book.note(1, claim("192.168.1.7", "tv.local", Source::Mdns));
        book.note(1, claim("192.168.1.7", "tv.example", Source::Dns));
        book.note(1, claim("203.0.113.9", "cdn.example", Source::Dns));
        book.note(1, claim("203.0.113.9", "video.example", Source::Tls));
        book.note(1, claim("203.0.113.9", "tv.local", Source::Mdns));
        let names = Names::new(NamesLevel::All, LocalNetworks::private_and(Vec::new()));
        names.publish(known(&book, &names.local.read().unwrap()));
        let told = names.to_json();
        assert_eq!(told["names"]["192.168.1.7"], json!({ "name": "tv.local", "source": "mdns" }));
        let remote = json!({ "name": "video.example", "source": "tls" });
        assert_eq!(told["names"]["203.0.113.9"], remote);
        assert_eq!(names.status()["names"], 2);
    }
}
