//! The services of each host: rows + other = the host's total.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::traffic::{Load, Packet, Step, host_limit, local_networks, steps};
use crate::account::{
    Accounts, ClosedInterval, InOut, IntervalService, PortKey, Service, ServiceRow, Snapshot,
    Transport, Volume,
};
use crate::decode::{Addr, PacketRecord};

fn accounts(host_limit: usize) -> Accounts {
    let mut accounts = Accounts::new(host_limit, local_networks(0));
    for name in ["eth0", "wlan0", "tap.pcap"] {
        accounts.interface(name, "EN10MB");
    }
    accounts
}

/// The rows by address and service, sorted.
type Rows = BTreeMap<(Addr, (u16, Option<u16>)), InOut>;

fn number(service: Service) -> (u16, Option<u16>) {
    match service {
        Service::Port(key) => (u16::from(key.transport.number()), Some(key.port)),
        Service::Protocol(number) => (number, None),
    }
}

fn address(snapshot: &Snapshot, row: &ServiceRow) -> Addr {
    snapshot.hosts[row.host as usize].address
}

fn rows(snapshot: &Snapshot) -> Rows {
    let rows = snapshot
        .services
        .iter()
        .map(|row| ((address(snapshot, row), number(row.service)), row.traffic));
    let all: Rows = rows.collect();
    assert_eq!(all.len(), snapshot.services.len(), "a row stands there twice");
    all
}

/// A host's rows never hold more than the host, and each row belongs to a host.
fn are_within_their_hosts(snapshot: &Snapshot) {
    let mut left: BTreeMap<Addr, InOut> =
        snapshot.hosts.iter().map(|row| (row.address, row.traffic)).collect();
    for row in &snapshot.services {
        // Subtraction panics below zero.
        let left = left.get_mut(&address(snapshot, row)).unwrap();
        *left = *left - row.traffic;
    }
}

fn count(rows: &mut Rows, record: &PacketRecord) {
    if !record.is_ip() {
        return;
    }
    let is_unknown = record.protocol() == 0 && record.network() == crate::decode::Network::Ipv6;
    let protocol = if is_unknown { 256 } else { u16::from(record.protocol()) };
    let service = (protocol, record.service_port());
    let bytes = u64::from(record.wire_len);
    rows.entry((record.source, service)).or_default().sent.count(bytes);
    rows.entry((record.destination, service)).or_default().received.count(bytes);
}

#[test]
fn every_packet_is_in_a_row_while_few_flows_are_alive() {
    let mut accounts = accounts(1_000);
    let mut expected = Rows::new();
    for round in 0..50_u16 {
        let packets = [
            Packet::new(2, 5, Load::Tcp(50_000, 443, u32::from(round) + 1, 0x10)),
            Packet::new(5, 2, Load::Tcp(443, 50_000, u32::from(round) + 1, 0x10)),
            Packet::new(2, 4, Load::Udp(40_000 + round, 53)),
            Packet::new(2, 4, Load::Icmp(8)),
            Packet::v6(2, 5, Load::LostInHeaders),
            // To itself: it sends and receives.
            Packet::new(4, 4, Load::Udp(1, 2)),
            Packet::new(2, 4, Load::Arp),
        ];
        let records = packets.map(|packet| packet.record());
        records.iter().for_each(|record| count(&mut expected, record));
        accounts.count(0, &records);
        if round % 7 == 0 {
            accounts.gather();
        }
    }
    accounts.gather();
    let snapshot = accounts.snapshot();
    are_within_their_hosts(&snapshot);
    assert_eq!(rows(&snapshot), expected);
}

/// The rows of an interval by address and service, sorted.
fn closed_rows(interval: &ClosedInterval) -> Rows {
    let row = |row: &IntervalService| ((row.address, number(row.service)), row.traffic);
    let rows: Rows = interval.services.iter().map(row).collect();
    assert_eq!(rows.len(), interval.services.len(), "a row stands there twice");
    rows
}

/// Empties `rows` and returns those of local hosts.
fn of_local(rows: &mut Rows) -> Rows {
    let mut rows = std::mem::take(rows);
    rows.retain(|(address, _), _| local_networks(0).has(address));
    rows
}

#[test]
fn each_interval_has_what_came_within_it() {
    let mut accounts = accounts(1_000);
    let (mut of_fine, mut of_base) = (Rows::new(), Rows::new());
    for round in 0..120_u16 {
        let packets = [
            Packet::new(2, 5, Load::Tcp(50_000, 443, u32::from(round) + 1, 0x10)),
            Packet::new(2, 4, Load::Udp(40_000 + round, 53 + round % 3)),
            Packet::new(2, 4, Load::Icmp(8)),
            Packet::new(2, 4, Load::Arp),
        ];
        let records = packets.map(|packet| packet.record());
        accounts.count(0, &records);
        for record in &records {
            count(&mut of_fine, record);
            count(&mut of_base, record);
        }
        // A walk in between changes nothing.
        if round % 7 == 0 {
            accounts.gather();
        }
        if round % 4 == 3 {
            let fine = accounts.close_fine(round.into(), 1);
            assert_eq!(closed_rows(&fine), of_local(&mut of_fine), "{round}");
        }
        if round % 40 == 39 {
            let base = accounts.close_interval(round.into(), 60);
            assert_eq!(closed_rows(&base), of_local(&mut of_base), "{round}");
        }
    }
    assert!(accounts.close_interval(0, 60).services.is_empty());
}

#[test]
fn a_burst_of_a_second_shows_in_the_rates_of_a_minute() {
    let mut accounts = accounts(1_000);
    accounts.cover(0, 1_000);
    let talk = |port| Packet::new(2, 4, Load::Udp(40_000, port)).record();
    let one = u64::from(talk(53).wire_len);
    accounts.count(0, &[talk(53); 10]);
    accounts.close_fine(0, 1);
    accounts.cover(0, 1_000);
    accounts.count(0, &[talk(53), talk(123)]);
    accounts.close_fine(1, 1);
    let base = accounts.close_interval(0, 60);
    let rates = |port| {
        let service = Service::Port(PortKey { transport: Transport::Udp, port });
        let is_it = |row: &&IntervalService| row.service == service && row.rates[1].greatest > 0;
        base.services.iter().find(is_it).unwrap().rates[1]
    };
    assert_eq!((rates(53).least, rates(53).greatest), (one, 10 * one));
    assert_eq!((rates(123).least, rates(123).greatest), (0, one));
}

#[test]
fn what_remote_hosts_do_is_in_the_snapshot_and_in_no_interval() {
    let mut accounts = Accounts::new(1_000, local_networks(1));
    accounts.interface("eth0", "EN10MB");
    let is_local = |address: &Addr| local_networks(1).has(address);
    let packets: Vec<PacketRecord> =
        (0..8).map(|host| Packet::new(host, host + 1, Load::Udp(40_000, 53)).record()).collect();
    accounts.count(0, &packets);
    let mut all = Rows::new();
    packets.iter().for_each(|record| count(&mut all, record));
    let local: Rows = all
        .iter()
        .filter(|((address, _), _)| is_local(address))
        .map(|(key, row)| (*key, *row))
        .collect();
    assert!(!local.is_empty() && local.len() < all.len());
    assert_eq!(closed_rows(&accounts.close_fine(0, 1)), local);
    assert_eq!(rows(&accounts.snapshot()), all);
    assert_eq!(closed_rows(&accounts.close_interval(0, 60)), local);
}

#[test]
fn the_busiest_services_of_local_hosts_are_kept_and_none_of_remote_ones() {
    let mut interval = ClosedInterval::default();
    let row = |host: u8, local, bytes| IntervalService {
        address: Addr::v4([10, 0, 0, host]),
        local,
        service: Service::Protocol(1),
        traffic: InOut { sent: Volume { packets: 1, bytes }, ..InOut::default() },
        rates: Default::default(),
    };
    let kept = |interval: &ClosedInterval| {
        let mut kept: Vec<u64> =
            interval.services.iter().map(|row| row.traffic.sent.bytes).collect();
        kept.sort_unstable();
        kept
    };
    interval.services = (0..20).map(|host| row(host, host < 5, u64::from(host) + 1)).collect();
    // There is room for all, yet the services of remote hosts are left out.
    interval.keep_busiest(100, 100, 100);
    assert_eq!(kept(&interval), [1, 2, 3, 4, 5]);
    interval.keep_busiest(100, 100, 3);
    assert_eq!(kept(&interval), [3, 4, 5]);
    interval.keep_busiest(100, 100, 0);
    assert!(kept(&interval).is_empty());
}

#[test]
fn a_host_that_comes_back_begins_anew() {
    let mut accounts = accounts(2);
    let talk = |a, b| Packet::new(a, b, Load::Udp(1_000, 53)).record();
    for _ in 0..3 {
        accounts.count(0, &[talk(2, 4)]);
    }
    accounts.gather();
    // Both are evicted, and one of them comes back within the same second.
    accounts.count(0, &[talk(6, 8), talk(2, 8)]);
    accounts.gather();
    let snapshot = accounts.snapshot();
    are_within_their_hosts(&snapshot);
    accounts.count(0, &[talk(2, 8), talk(2, 8)]);
    accounts.gather();
    let snapshot = accounts.snapshot();
    are_within_their_hosts(&snapshot);
    let dns = Service::Port(PortKey { transport: Transport::Udp, port: 53 });
    let row =
        snapshot.services.iter().find(|row| row.service == dns && row.traffic.sent.packets > 0);
    assert_eq!(row.unwrap().traffic.sent.packets, 2);
}

#[test]
fn a_flood_of_services_is_bounded_and_a_host_that_goes_on_keeps_its_rows() {
    let mut accounts = accounts(100_000);
    let steady = || Packet::new(2, 5, Load::Tcp(50_000, 443, 1, 0x10)).record();
    for second in 0..60_u16 {
        accounts.count(0, &[steady()]);
        for port in 0..1_000 {
            accounts
                .count(0, &[Packet::new(7, 4, Load::Udp(65_000, second * 1_000 + port)).record()]);
        }
        accounts.gather();
    }
    let snapshot = accounts.snapshot();
    are_within_their_hosts(&snapshot);
    assert!(snapshot.services.len() <= 4_096, "{}", snapshot.services.len());
    let https = Service::Port(PortKey { transport: Transport::Tcp, port: 443 });
    let of_https: Vec<_> = snapshot.services.iter().filter(|row| row.service == https).collect();
    assert_eq!(of_https.len(), 2);
    for row in of_https {
        assert_eq!(row.traffic.sent.packets + row.traffic.received.packets, 60);
    }
}

#[test]
fn services_go_on_however_many_hosts_were_folded() {
    let mut accounts = accounts(3);
    let talk = || Packet::new(2, 5, Load::Udp(1_000, 53)).record();
    accounts.count(0, &[talk()]);
    accounts.gather();
    // As after a scan that folded this many hosts and left these two.
    for folded in [1 << 31, (1 << 31) + 1, 1 << 32, (1 << 40) + 7] {
        accounts.hosts.rows.set_evicted(folded);
        accounts.gather();
        let before = rows(&accounts.snapshot());
        accounts.count(0, &[talk()]);
        accounts.gather();
        let after = rows(&accounts.snapshot());
        let sent = |rows: &Rows| rows.values().map(|row| row.sent.packets).sum::<u64>();
        assert_eq!(sent(&after), sent(&before) + 1, "{folded} folded");
    }
}

proptest! {
    #[test]
    fn rows_never_hold_more_than_their_host(host_limit in host_limit(), steps in steps()) {
        let mut accounts = accounts(host_limit);
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Count(interface, packets) => {
                    let records: Vec<_> = packets.iter().map(Packet::record).collect();
                    accounts.count(*interface, &records);
                }
                Step::CloseInterval => drop(accounts.close_interval(at as i64, 60)),
                Step::CloseFine => drop(accounts.close_fine(at as i64, 1)),
                Step::CloseSecond | Step::Cover(..) => accounts.gather(),
                Step::SetLocal(number) => accounts.set_local(local_networks(*number)),
            }
            are_within_their_hosts(&accounts.snapshot());
        }
    }
}
