//! Boundedness: a flood changes no total and does not grow the tables.

use super::model::{interval_balances, snapshot_balances};
use super::traffic::{Load, Packet, local_networks};
use crate::account::{Accounts, Volume};
use crate::decode::{Addr, PacketRecord};

const ADDRESSES: u32 = 200_000;

/// A UDP packet from the `number`-th of many addresses to host 2.
fn spoofed(model: &PacketRecord, number: u32) -> PacketRecord {
    let [a, b, c, d] = number.to_be_bytes();
    let mut record = *model;
    record.source = Addr::v4([100 + a, b, c, d]);
    record.wire_len = 60 + number % 1_000;
    record
}

#[test]
fn a_flood_of_200_000_addresses_keeps_every_total_exact() {
    let limit = 1_000;
    let mut accounts = Accounts::new(limit, local_networks(0));
    accounts.interface("eth0", "EN10MB");
    let model = Packet::new(1, 2, Load::Udp(9, 9)).record();
    let (mut total, mut in_intervals, mut busiest) = (Volume::default(), Volume::default(), 0);
    for start in (0..ADDRESSES).step_by(500) {
        let records: Vec<_> = (start..start + 500).map(|n| spoofed(&model, n)).collect();
        total.packets += 500;
        total.bytes += records.iter().map(|r| u64::from(r.wire_len)).sum::<u64>();
        accounts.count(0, &records);
        if start % 20_000 == 0 {
            let mut interval = accounts.close_interval(i64::from(start), 60);
            in_intervals += interval.total();
            busiest = busiest.max(interval.hosts.len());
            interval_balances(&interval);
            interval.keep_busiest(10, 10, 10);
            interval_balances(&interval);
            snapshot_balances(&accounts.snapshot(), limit);
        }
    }
    let last = accounts.close_interval(0, 60);
    interval_balances(&last);
    let snapshot = accounts.snapshot();
    snapshot_balances(&snapshot, limit);
    assert_eq!(snapshot.total, total);
    assert_eq!(in_intervals + last.total(), total);
    assert_eq!((snapshot.hosts.len(), busiest), (limit, limit));
    // Every source without a row was folded once; the target never was.
    assert_eq!(snapshot.folded_hosts, u64::from(ADDRESSES) + 1 - limit as u64);
    let target = snapshot.hosts.iter().find(|row| row.address == model.destination).unwrap();
    assert_eq!(target.traffic.received, total);
    assert_eq!(snapshot.ports.len(), 1);
}

#[test]
fn every_port_there_is_has_a_row() {
    let mut accounts = Accounts::new(64, local_networks(0));
    accounts.interface("eth0", "EN10MB");
    for port in 0..=u16::MAX {
        let udp = Packet::new(2, 1, Load::Udp(u16::MAX, port)).record();
        let tcp = Packet::new(1, 2, Load::Tcp(port, u16::MAX, 4, 16)).record();
        accounts.count(0, &[udp, tcp]);
    }
    let snapshot = accounts.snapshot();
    snapshot_balances(&snapshot, 64);
    assert_eq!(snapshot.ports.len(), 2 * 65_536);
    assert!(snapshot.ports.iter().all(|row| row.volume.packets == 1));
    assert!(snapshot.without_port.is_zero());
    let mut interval = accounts.close_interval(0, 60);
    interval.keep_busiest(1, 1_000, 1_000);
    interval_balances(&interval);
    assert_eq!(interval.other_ports.packets, 2 * 65_536 - 1_000);
}

#[test]
fn a_limit_below_two_leaves_room_for_the_two_ends_of_a_packet() {
    for limit in [0, 1, 2] {
        let mut accounts = Accounts::new(limit, local_networks(0));
        accounts.interface("eth0", "EN10MB");
        let records: Vec<_> =
            (0..100).map(|n| Packet::new(n, n + 1, Load::Udp(1, 2)).record()).collect();
        accounts.count(0, &records);
        snapshot_balances(&accounts.snapshot(), 2);
    }
}
