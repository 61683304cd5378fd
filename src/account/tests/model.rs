//! The reference: the same counts, in plain maps without a bound, and the checks that
//! rows + other + none = total.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::account::{
    Accounts, ClosedInterval, Direction, InOut, LocalNetworks, Snapshot, Transport, Volume,
};
use crate::decode::{Addr, Network, PacketRecord};

/// One span of time.
#[derive(Clone, Default)]
pub struct Counts {
    pub total: Volume,
    pub directions: [Volume; 5],
    pub ethertypes: [Volume; 4],
    pub hosts: BTreeMap<Addr, InOut>,
    pub ports: BTreeMap<(Transport, u16), Volume>,
    pub without_port: Volume,
    pub protocols: BTreeMap<u16, Volume>,
}

impl Counts {
    pub fn count(&mut self, record: &PacketRecord, local: &LocalNetworks) {
        let bytes = u64::from(record.wire_len);
        self.total.count(bytes);
        self.ethertypes[record.network() as usize].count(bytes);
        let is_v6 = match record.network() {
            Network::Ipv4 => false,
            Network::Ipv6 => true,
            _ => {
                self.directions[Direction::None as usize].count(bytes);
                return self.without_port.count(bytes);
            }
        };
        let ends = (local.has(&record.source), local.has(&record.destination));
        let direction = match ends {
            (false, true) => Direction::In,
            (true, false) => Direction::Out,
            (true, true) => Direction::Internal,
            (false, false) => Direction::Transit,
        };
        self.directions[direction as usize].count(bytes);
        self.hosts.entry(record.source).or_default().sent.count(bytes);
        self.hosts.entry(record.destination).or_default().received.count(bytes);
        let is_unknown = is_v6 && record.protocol() == 0;
        let number = if is_unknown { 256 } else { u16::from(record.protocol()) };
        self.protocols.entry(number).or_default().count(bytes);
        match record.ports() {
            Some((source, destination)) => {
                let transport = match record.protocol() {
                    6 => Transport::Tcp,
                    17 => Transport::Udp,
                    _ => Transport::Sctp,
                };
                self.ports.entry((transport, source.min(destination))).or_default().count(bytes);
            }
            None => self.without_port.count(bytes),
        }
    }

    pub fn matches_snapshot(&self, snapshot: &Snapshot) {
        assert_eq!(snapshot.total, self.total);
        for direction in Direction::ALL {
            assert_eq!(snapshot.direction(direction), self.directions[direction as usize]);
        }
        for (at, ethertype) in self.ethertypes.iter().enumerate() {
            let all: Volume = snapshot.interfaces.iter().map(|i| i.ethertypes[at]).sum();
            assert_eq!(all, *ethertype);
        }
        let ports: BTreeMap<_, _> =
            snapshot.ports.iter().map(|row| ((row.transport, row.port), row.volume)).collect();
        assert_eq!((ports, snapshot.without_port), (self.ports.clone(), self.without_port));
        let protocols = snapshot.protocols.iter().map(|row| (row.number, row.volume));
        assert_eq!(protocols.collect::<BTreeMap<_, _>>(), self.protocols);
        // A row may lack what it had before it was folded, but never has more.
        for row in &snapshot.hosts {
            let whole = self.hosts[&row.address];
            assert!(row.traffic.sent.bytes <= whole.sent.bytes, "{}", row.address);
            assert!(row.traffic.received.packets <= whole.received.packets, "{}", row.address);
        }
        if snapshot.folded_hosts == 0 {
            let hosts = snapshot.hosts.iter().map(|row| (row.address, row.traffic));
            assert_eq!(hosts.collect::<BTreeMap<_, _>>(), self.hosts);
            assert!(snapshot.other_hosts.is_zero());
        }
    }

    pub fn matches_interval(&self, interval: &ClosedInterval, nothing_was_folded: bool) {
        assert_eq!((interval.total(), interval.not_ip()), (self.total, self.directions[4]));
        for (at, direction) in self.directions.iter().enumerate() {
            let all: Volume = interval.interfaces.iter().map(|i| i.directions[at]).sum();
            assert_eq!(all, *direction);
        }
        let ports = interval.ports.iter().map(|row| ((row.transport, row.port), row.volume));
        assert_eq!(ports.collect::<BTreeMap<_, _>>(), self.ports);
        let protocols = interval.protocols.iter().map(|row| (row.number, row.volume));
        assert_eq!(protocols.collect::<BTreeMap<_, _>>(), self.protocols);
        assert_eq!(interval.is_empty(), self.total.is_zero());
        if nothing_was_folded {
            let hosts = interval.hosts.iter().map(|row| (row.address, row.traffic));
            assert_eq!(hosts.collect::<BTreeMap<_, _>>(), self.hosts);
        }
    }
}

/// Rows + other + none against the total.
#[track_caller]
fn balances(rows: impl Iterator<Item = Volume>, other: Volume, none: Volume, total: Volume) {
    assert_eq!(rows.sum::<Volume>() + other + none, total);
}

#[track_caller]
pub fn snapshot_balances(s: &Snapshot, host_limit: usize) {
    let (other, none) = (s.other_hosts, s.not_ip());
    balances(s.hosts.iter().map(|row| row.traffic.sent), other.sent, none, s.total);
    balances(s.hosts.iter().map(|row| row.traffic.received), other.received, none, s.total);
    let zero = Volume::default();
    balances(s.ports.iter().map(|row| row.volume), zero, s.without_port, s.total);
    balances(s.protocols.iter().map(|row| row.volume), zero, none, s.total);
    balances(s.interfaces.iter().map(|i| i.total), zero, zero, s.total);
    for i in &s.interfaces {
        balances(i.directions.into_iter(), zero, zero, i.total);
        balances(i.ethertypes.into_iter(), zero, zero, i.total);
        let not_ip = i.ethertypes[Network::Other as usize] + i.ethertypes[Network::Arp as usize];
        assert_eq!(i.directions[Direction::None as usize], not_ip);
        assert!(i.captured_bytes <= i.total.bytes);
    }
    assert_eq!(s.captured_bytes, s.interfaces.iter().map(|i| i.captured_bytes).sum::<u64>());
    assert!(s.hosts.len() <= host_limit, "{} hosts", s.hosts.len());
    assert!(s.hosts.len() >= host_limit || s.folded_hosts == 0);
    let distinct: HashSet<Addr> = s.hosts.iter().map(|row| row.address).collect();
    assert_eq!(distinct.len(), s.hosts.len());
    assert!(s.hosts.iter().all(|row| row.local || !row.mac.is_known()), "{:?}", s.hosts);
}

#[track_caller]
pub fn interval_balances(i: &ClosedInterval) {
    let (other, none, zero) = (i.other_hosts, i.not_ip(), Volume::default());
    balances(i.hosts.iter().map(|row| row.traffic.sent), other.sent, none, i.total());
    balances(i.hosts.iter().map(|row| row.traffic.received), other.received, none, i.total());
    let ports = i.ports.iter().map(|row| row.volume);
    balances(ports, i.other_ports, i.without_port, i.total());
    balances(i.protocols.iter().map(|row| row.volume), zero, none, i.total());
    let distinct: HashSet<Addr> = i.hosts.iter().map(|row| row.address).collect();
    assert_eq!(distinct.len(), i.hosts.len());
    // A host's services never exceed its row; a host without a row has none.
    let hosts = i.hosts.iter().map(|row| (row.address, row.traffic));
    let mut left: HashMap<Addr, InOut> = hosts.collect();
    for row in &i.services {
        // Subtraction panics below zero.
        let left = left.get_mut(&row.address).unwrap();
        *left = *left - row.traffic;
        assert!(row.rates.iter().all(|rates| rates.least <= rates.greatest));
    }
}

/// A snapshot as text, its rows sorted, to compare two.
pub fn in_words(accounts: &Accounts) -> String {
    let mut snapshot = accounts.snapshot();
    let (mut hosts, mut ports) = (snapshot.hosts.to_vec(), snapshot.ports.to_vec());
    hosts.sort_by_key(|row| row.address);
    ports.sort_by_key(|row| (row.transport, row.port));
    (snapshot.hosts, snapshot.ports) = (hosts.into(), ports.into());
    format!("{snapshot:#?}")
}
