//! Hosts, directions and time.

use super::model::snapshot_balances;
use super::traffic::{Load, Packet, local, local_networks, v4};
use crate::account::{Accounts, Direction, HostRow, LocalNetworks, Volume, protocol_name};
use crate::decode::tests::frames::SENDER;
use crate::decode::{Addr, Mac, NO_TIME};

/// Even hosts are inside, odd ones outside.
fn accounts() -> Accounts {
    let mut accounts = Accounts::new(100, local_networks(0));
    accounts.interface("eth0", "EN10MB");
    accounts
}

const LOAD: Load = Load::Udp(40_000, 53);

fn count(accounts: &mut Accounts, source: u16, destination: u16) {
    accounts.count(0, &[Packet::new(source, destination, LOAD).record()]);
}

#[track_caller]
fn host(accounts: &Accounts, number: u16) -> HostRow {
    let hosts = accounts.snapshot().hosts;
    *hosts.iter().find(|row| row.address == Addr::v4(v4(number))).unwrap()
}

fn packets(accounts: &Accounts) -> [u64; 5] {
    let snapshot = accounts.snapshot();
    Direction::ALL.map(|direction| snapshot.direction(direction).packets)
}

#[test]
fn a_packet_is_sent_by_its_source_and_received_by_its_destination() {
    let mut accounts = accounts();
    let record = Packet { uncaptured: 1_000, ..Packet::new(2, 1, LOAD) }.record();
    accounts.count(0, &[record, record]);
    let volume = Volume { packets: 2, bytes: 2 * u64::from(record.wire_len) };
    assert_eq!(record.wire_len, 14 + 20 + 8 + 4 + 1_000);
    assert_eq!(host(&accounts, 2).traffic.sent, volume);
    assert!(host(&accounts, 2).traffic.received.is_zero());
    assert_eq!(host(&accounts, 1).traffic.received, volume);
    assert!(host(&accounts, 1).traffic.sent.is_zero());
    assert_eq!(accounts.captured(), Volume { packets: 2, bytes: 2 * 46 });
}

#[test]
fn a_host_that_talks_to_itself_has_sent_and_received() {
    let mut accounts = accounts();
    for _ in 0..3 {
        count(&mut accounts, 2, 2);
    }
    let row = host(&accounts, 2);
    assert_eq!((row.traffic.sent.packets, row.traffic.received.packets), (3, 3));
    assert_eq!(packets(&accounts), [0, 0, 3, 0, 0]);
    snapshot_balances(&accounts.snapshot(), 100);
}

#[test]
fn the_direction_is_told_by_which_ends_are_inside() {
    let mut accounts = accounts();
    let ways = [(1, 2, 1), (2, 1, 2), (2, 4, 3), (1, 3, 4)];
    for (source, destination, times) in ways {
        for _ in 0..times {
            count(&mut accounts, source, destination);
        }
    }
    for load in [Load::Arp, Load::Unknown, Load::Broken] {
        accounts.count(0, &[Packet::new(2, 1, load).record()]);
    }
    assert_eq!(packets(&accounts), [1, 2, 3, 4, 3]);
    assert_eq!(accounts.snapshot().not_ip().packets, 3);
}

#[test]
fn a_change_of_what_is_inside_holds_for_flows_known_already() {
    let mut accounts = accounts();
    count(&mut accounts, 2, 1);
    count(&mut accounts, 2, 1);
    assert_eq!(packets(&accounts), [0, 2, 0, 0, 0]);
    assert!(host(&accounts, 2).local && !host(&accounts, 1).local);
    accounts.set_local(local(&["198.18.0.0/15"]));
    assert!(!host(&accounts, 2).local && host(&accounts, 1).local);
    count(&mut accounts, 2, 1);
    assert_eq!(packets(&accounts), [1, 2, 0, 0, 0]);
    accounts.set_local(local(&["0.0.0.0/0"]));
    count(&mut accounts, 2, 1);
    assert_eq!(packets(&accounts), [1, 2, 1, 0, 0]);
    accounts.set_local(LocalNetworks::exactly(Vec::new()));
    count(&mut accounts, 2, 1);
    assert_eq!(packets(&accounts), [1, 2, 1, 1, 0]);
    assert!(accounts.local_prefixes().is_empty());
    snapshot_balances(&accounts.snapshot(), 100);
}

#[test]
fn only_a_local_host_that_sent_something_has_a_mac() {
    let mut accounts = accounts();
    count(&mut accounts, 2, 4);
    count(&mut accounts, 1, 4);
    assert_eq!(host(&accounts, 2).mac, Mac(SENDER));
    assert!(!host(&accounts, 4).mac.is_known());
    // The MAC in front of an outside address is the router's.
    assert!(!host(&accounts, 1).mac.is_known());
    let interval = accounts.close_interval(0, 60);
    let known = interval.hosts.iter().filter(|row| row.mac.is_known());
    assert_eq!(known.map(|row| row.address).collect::<Vec<_>>(), [Addr::v4(v4(2))]);
}

#[test]
fn a_host_that_is_inside_no_more_has_no_mac() {
    let mut accounts = accounts();
    count(&mut accounts, 2, 4);
    accounts.set_local(local(&["198.18.0.0/15"]));
    assert!(!host(&accounts, 2).mac.is_known());
    count(&mut accounts, 2, 4);
    assert!(!host(&accounts, 2).mac.is_known());
    accounts.set_local(local_networks(0));
    count(&mut accounts, 2, 4);
    assert_eq!(host(&accounts, 2).mac, Mac(SENDER));
}

#[test]
fn a_host_knows_when_it_was_first_and_last_seen() {
    let mut accounts = accounts();
    let at = |source, destination, time| Packet::new(source, destination, LOAD).at(time).record();
    accounts.count(0, &[at(2, 1, 100), at(2, 1, 200), at(4, 1, 300), at(1, 2, 400)]);
    let seen = |number| (host(&accounts, number).first, host(&accounts, number).last);
    assert_eq!([seen(1), seen(2), seen(4)], [(100, 400), (100, 400), (300, 300)]);
    assert_eq!(accounts.snapshot().span, Some((100, 400)));
}

#[test]
fn frames_without_a_time_do_not_count_for_the_span() {
    let at = |time| Packet::new(2, 1, LOAD).at(time).record();
    let mut accounts = accounts();
    assert_eq!(accounts.snapshot().span, None);
    accounts.count(0, &[at(NO_TIME)]);
    assert_eq!(accounts.snapshot().span, None);
    accounts.count(0, &[at(NO_TIME), at(5), at(6), at(NO_TIME)]);
    assert_eq!(accounts.snapshot().span, Some((5, 6)));
    accounts.count(0, &[at(NO_TIME)]);
    assert_eq!(accounts.snapshot().span, Some((5, 6)));
}

#[test]
fn an_empty_batch_changes_nothing() {
    let mut accounts = accounts();
    accounts.count(0, &[]);
    assert!(accounts.snapshot().total.is_zero() && accounts.snapshot().span.is_none());
    assert!(accounts.close_interval(0, 60).is_empty());
}

#[test]
fn an_interface_of_a_known_name_is_the_same_interface() {
    let mut accounts = accounts();
    assert_eq!(accounts.interface("wlan0", ""), 1);
    assert_eq!(accounts.interface("eth0", ""), 0);
    assert_eq!(accounts.interface("wlan0", "IEEE802_11_RADIO"), 1);
    let interfaces = accounts.snapshot().interfaces;
    let link_types: Vec<&str> = interfaces.iter().map(|i| i.link_type.as_str()).collect();
    assert_eq!(link_types, ["EN10MB", "IEEE802_11_RADIO"]);
}

#[test]
fn an_unknown_ipv6_protocol_is_not_the_ipv4_protocol_0() {
    let mut accounts = accounts();
    let lost = Packet { uncaptured: 9, ..Packet::v6(2, 1, Load::LostInHeaders) };
    accounts.count(0, &[lost.record(), Packet::new(2, 1, Load::Ip(0)).record()]);
    let rows = accounts.snapshot().protocols;
    let numbers: Vec<u16> = rows.iter().map(|row| row.number).collect();
    assert_eq!(numbers, [0, 256]);
    assert_eq!([protocol_name(0), protocol_name(256)], ["0", "unknown"]);
}

#[test]
fn a_mapped_address_is_a_host_of_its_own() {
    let mut accounts = accounts();
    let mut record = Packet::v6(2, 1, LOAD).record();
    record.source = Addr::from("::ffff:10.0.0.2".parse::<std::net::IpAddr>().unwrap());
    accounts.count(0, &[record]);
    count(&mut accounts, 2, 1);
    assert_eq!(accounts.snapshot().hosts.len(), 4);
}
