//! Errors and drops.

use super::traffic::{Load, Packet, local_networks};
use crate::account::{Accounts, Drops, ErrorKind};
use crate::decode::tests::frames::{ACK, RST, SYN};
use crate::decode::{Defect, LinkLayer, PacketRecord, decode};

fn accounts() -> Accounts {
    let mut accounts = Accounts::new(100, local_networks(0));
    accounts.interface("eth0", "EN10MB");
    accounts.interface("eth1", "EN10MB");
    accounts
}

/// Counts these packets on the second interface and returns the errors of a kind; there must be no
/// others.
#[track_caller]
fn errors(kind: ErrorKind, records: &[PacketRecord]) -> u64 {
    let mut accounts = accounts();
    accounts.count(1, records);
    let snapshot = accounts.snapshot();
    let mut errors = snapshot.interfaces[1].errors;
    assert_eq!(snapshot.interfaces[0].errors, [0; ErrorKind::COUNT]);
    assert_eq!(snapshot.errors(), errors);
    let count = std::mem::take(&mut errors[kind as usize]);
    assert_eq!(errors, [0; ErrorKind::COUNT]);
    count
}

/// A TCP segment with 4 bytes of data.
fn segment(sequence: u32) -> PacketRecord {
    Packet::new(2, 1, Load::Tcp(40_000, 443, sequence, ACK)).record()
}

#[test]
fn a_segment_that_comes_twice_is_a_retransmission() {
    let kind = ErrorKind::TcpRetransmission;
    assert_eq!(errors(kind, &[segment(100), segment(104), segment(108)]), 0);
    assert_eq!(errors(kind, &[segment(100), segment(100)]), 1);
    assert_eq!(errors(kind, &[segment(100), segment(104), segment(100), segment(108)]), 1);
    let syn = Packet::new(2, 1, Load::Tcp(40_000, 443, 99, SYN)).record();
    assert_eq!(errors(kind, &[syn, syn, syn]), 2);
}

#[test]
fn flows_do_not_retransmit_for_each_other() {
    let kind = ErrorKind::TcpRetransmission;
    let back = Packet::new(1, 2, Load::Tcp(443, 40_000, 100, ACK)).record();
    let port = Packet::new(2, 1, Load::Tcp(40_001, 443, 100, ACK)).record();
    let host = Packet::new(4, 1, Load::Tcp(40_000, 443, 100, ACK)).record();
    let v6 = Packet::v6(2, 1, Load::Tcp(40_000, 443, 100, ACK)).record();
    assert_eq!(errors(kind, &[segment(100), back, port, host, v6]), 0);
    assert_eq!(errors(kind, &[segment(100), back, port, host, v6, back, host, v6]), 3);
}

#[test]
fn the_same_segment_on_two_interfaces_is_no_retransmission() {
    let mut accounts = accounts();
    accounts.count(0, &[segment(100)]);
    accounts.count(1, &[segment(100)]);
    assert_eq!(accounts.snapshot().errors(), [0; ErrorKind::COUNT]);
}

#[test]
fn a_host_that_talks_to_itself_retransmits_as_others_do() {
    let to_itself = Packet::new(2, 2, Load::Tcp(40_000, 443, 100, ACK)).record();
    assert_eq!(errors(ErrorKind::TcpRetransmission, &[to_itself, to_itself]), 1);
}

#[test]
fn resets_are_counted() {
    let reset = Packet::new(2, 1, Load::Tcp(40_000, 443, 100, RST)).record();
    let v6 = Packet::v6(2, 1, Load::Tcp(40_000, 443, 100, RST)).record();
    assert_eq!(errors(ErrorKind::TcpReset, &[segment(50), reset, v6]), 2);
}

#[test]
fn unreachable_messages_are_counted() {
    let v4 = |kind| Packet::new(2, 1, Load::Icmp(kind)).record();
    let v6 = |kind| Packet::v6(2, 1, Load::Icmp(kind)).record();
    let records = [v4(3), v4(8), v4(0), v4(1), v6(1), v6(3), v6(128), v4(3)];
    assert_eq!(errors(ErrorKind::IcmpUnreachable, &records), 3);
}

#[test]
fn fragments_that_overlap_are_counted() {
    let kind = ErrorKind::OverlappingFragment;
    // Each has 16 bytes; offsets are in units of 8.
    let v4 = |offset| Packet::new(2, 1, Load::Fragment(offset)).record();
    let v6 = |offset| Packet::v6(2, 1, Load::Fragment(offset)).record();
    assert_eq!(errors(kind, &[v4(2), v4(6), v4(4), v4(8)]), 0);
    assert_eq!(errors(kind, &[v4(2), v4(3)]), 1);
    assert_eq!(errors(kind, &[v6(2), v6(4), v6(2), v6(1)]), 2);
    // Another datagram, another address family, and a datagram of the next minute.
    assert_eq!(errors(kind, &[v4(2), v6(2)]), 0);
    let later = Packet::new(2, 1, Load::Fragment(2)).at(61_000_000_000).record();
    assert_eq!(errors(kind, &[v4(2), later]), 0);
}

#[test]
fn defects_are_counted_by_their_kind() {
    let ethernet = |frame: &[u8], wire_len| {
        let mut record = PacketRecord::default();
        decode(LinkLayer::Ethernet, frame, wire_len, 1, &mut record);
        record
    };
    assert_eq!(errors(ErrorKind::Truncated, &[ethernet(&[0; 10], 60)]), 1);
    assert_eq!(errors(ErrorKind::Malformed, &[ethernet(&[0; 10], 10)]), 1);
    let broken = Packet::new(0, 0, Load::Broken).record();
    assert_eq!(errors(ErrorKind::Malformed, &[broken, broken]), 2);
    let lost = Packet { uncaptured: 9, ..Packet::v6(2, 1, Load::LostInHeaders) }.record();
    assert_eq!(errors(ErrorKind::Truncated, &[lost]), 1);
    let mut header = [0; 34];
    header[12] = 8;
    header[14..18].copy_from_slice(&[0x45, 0, 0, 20]);
    assert_eq!(ethernet(&header, 34).defect(), Defect::BadChecksum);
    assert_eq!(errors(ErrorKind::BadIpv4Checksum, &[ethernet(&header, 34)]), 1);
}

#[test]
fn two_defects_of_one_frame_are_counted_both() {
    let mut frame = [0; 34];
    frame[12] = 8;
    frame[14..18].copy_from_slice(&[0x45, 0, 0, 200]);
    let mut record = PacketRecord::default();
    decode(LinkLayer::Ethernet, &frame, 34, 1, &mut record);
    let mut accounts = accounts();
    accounts.count(1, &[record]);
    let mut expected = [0; ErrorKind::COUNT];
    expected[ErrorKind::Malformed as usize] = 1;
    expected[ErrorKind::BadIpv4Checksum as usize] = 1;
    assert_eq!(accounts.snapshot().errors(), expected);
}

#[test]
fn every_kind_of_error_has_a_name() {
    assert_eq!(ErrorKind::NAMES[ErrorKind::TcpReset as usize], "tcp_reset");
    assert_eq!(ErrorKind::NAMES[ErrorKind::IcmpUnreachable as usize], "icmp_unreachable");
    assert_eq!(ErrorKind::IcmpUnreachable as usize + 1, ErrorKind::COUNT);
}

#[test]
fn an_interval_holds_the_drops_since_the_one_before() {
    let mut accounts = accounts();
    let drops = |kernel, interface, ring| Drops { kernel, interface, ring };
    accounts.set_drops(0, drops(5, 2, 1));
    accounts.set_drops(1, drops(0, 0, 4));
    let interval = accounts.close_interval(0, 60);
    assert_eq!(interval.interfaces.iter().map(|i| i.dropped).collect::<Vec<_>>(), [8, 4]);
    assert!(interval.total().is_zero() && !interval.is_empty());
    accounts.set_drops(0, drops(6, 2, 1));
    let interval = accounts.close_interval(0, 60);
    assert_eq!(interval.interfaces.iter().map(|i| i.dropped).collect::<Vec<_>>(), [1]);
    assert!(accounts.close_interval(0, 60).is_empty());
    assert_eq!(accounts.snapshot().drops(), drops(6, 2, 5));
}
