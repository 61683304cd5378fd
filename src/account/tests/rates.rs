//! Rates within an interval, coverage, and which rows are kept by name.

use super::model::interval_balances;
use super::traffic::{Load, Packet, local_networks};
use crate::account::{Accounts, ClosedInterval, Rates};

fn accounts() -> Accounts {
    let mut accounts = Accounts::new(100, local_networks(0));
    accounts.interface("eth0", "EN10MB");
    accounts.interface("wlan0", "EN10MB");
    accounts
}

/// Counts a packet from 1 (outside) to 2 (inside) of this many wire bytes.
fn count(accounts: &mut Accounts, bytes: u32) {
    let mut record = Packet::new(1, 2, Load::Udp(9, 9)).record();
    record.wire_len = bytes;
    accounts.count(0, &[record]);
}

fn all_rates(interval: &ClosedInterval) -> [Rates; 4] {
    let inside = interval.hosts.iter().find(|row| row.local).unwrap();
    assert_eq!(inside.rates[1].greatest, 0);
    let interface = interval.interfaces.iter().find(|row| row.name == "eth0").unwrap();
    [interface.rates[0], inside.rates[0], interval.ports[0].rates, interval.protocols[0].rates]
}

#[test]
fn a_spike_of_a_second_shows_in_the_rates_of_its_minute() {
    let mut accounts = accounts();
    for second in 0..60 {
        count(&mut accounts, if second == 40 { 1_000_000 } else { 100 });
        accounts.cover(0, 1_000);
        let fine = accounts.close_fine(second, 1);
        let rate = if second == 40 { 1_000_000 } else { 100 };
        assert_eq!(all_rates(&fine), [Rates { least: rate, greatest: rate }; 4]);
    }
    let minute = accounts.close_interval(0, 60);
    assert_eq!(all_rates(&minute), [Rates { least: 100, greatest: 1_000_000 }; 4]);
}

#[test]
fn a_quiet_second_makes_the_least_rate_nothing() {
    let mut accounts = accounts();
    for second in 0..3 {
        if second != 1 {
            count(&mut accounts, 500);
        }
        accounts.cover(0, 1_000);
        accounts.close_fine(second, 1);
    }
    let minute = accounts.close_interval(0, 60);
    assert_eq!(all_rates(&minute), [Rates { least: 0, greatest: 500 }; 4]);
    // The next minute has nothing of it.
    count(&mut accounts, 700);
    accounts.cover(0, 1_000);
    accounts.close_fine(60, 1);
    let minute = accounts.close_interval(60, 60);
    assert_eq!(all_rates(&minute), [Rates { least: 700, greatest: 700 }; 4]);
}

#[test]
fn a_second_that_was_not_covered_is_not_a_quiet_one() {
    let mut accounts = accounts();
    for second in 0..5 {
        if second != 2 {
            count(&mut accounts, 500);
            accounts.cover(0, 1_000);
        }
        let fine = accounts.close_fine(second, 1);
        assert_eq!(fine.interfaces.is_empty(), second == 2);
    }
    let minute = accounts.close_interval(0, 60);
    assert_eq!(all_rates(&minute), [Rates { least: 500, greatest: 500 }; 4]);
    assert_eq!(minute.interfaces[0].covered, 4_000);
}

#[test]
fn without_fine_intervals_a_base_interval_has_its_own_rate() {
    let mut accounts = accounts();
    count(&mut accounts, 3_000);
    accounts.cover(0, 30_000);
    let minute = accounts.close_interval(0, 60);
    assert_eq!(all_rates(&minute), [Rates { least: 100, greatest: 100 }; 4]);
    // A capture that has only just begun is no spike.
    count(&mut accounts, 3_000);
    accounts.cover(0, 10);
    let minute = accounts.close_interval(60, 60);
    assert_eq!(all_rates(&minute), [Rates { least: 3_000, greatest: 3_000 }; 4]);
}

#[test]
fn an_idle_interface_that_is_captured_is_there_and_one_that_is_not_is_left_out() {
    let mut accounts = accounts();
    accounts.cover(1, 59_000);
    accounts.cover(1, 2_000);
    for interval in [accounts.close_fine(0, 60), accounts.close_interval(0, 60)] {
        assert!(interval.is_empty());
        let covered: Vec<_> =
            interval.interfaces.iter().map(|i| (i.name.as_str(), i.covered)).collect();
        assert_eq!(covered, [("wlan0", 60_000)]);
    }
    assert!(accounts.close_fine(60, 1).interfaces.is_empty());
    assert!(accounts.close_interval(60, 60).interfaces.is_empty());
}

#[test]
fn what_a_folded_host_did_in_earlier_seconds_is_not_told_again() {
    let mut accounts = Accounts::new(2, local_networks(0));
    accounts.interface("eth0", "EN10MB");
    count(&mut accounts, 1_000);
    let first = accounts.close_fine(0, 1);
    assert_eq!((first.hosts.len(), first.other_hosts.bytes()), (2, 0));
    accounts.count(0, &[Packet::new(3, 4, Load::Udp(9, 9)).record()]);
    let second = accounts.close_fine(1, 1);
    interval_balances(&second);
    assert_eq!((second.hosts.len(), second.other_hosts.bytes()), (2, 0));
    let minute = accounts.close_interval(0, 60);
    interval_balances(&minute);
    assert_eq!(minute.other_hosts.bytes(), 2_000);
}

#[test]
fn half_of_the_places_are_for_local_hosts() {
    let mut accounts = accounts();
    for outside in 0..20_u16 {
        // Few bytes at home, many outside.
        let mut record = Packet::new(outside * 2 + 1, outside * 2 + 101, Load::Udp(9, 9)).record();
        record.wire_len = 10_000 + u32::from(outside);
        accounts.count(0, &[record]);
        let mut record = Packet::new(outside * 2 + 2, 102, Load::Udp(9, 9)).record();
        record.wire_len = 60 + u32::from(outside);
        accounts.count(0, &[record]);
    }
    let mut interval = accounts.close_interval(0, 60);
    interval.keep_busiest(10, 10, 10);
    interval_balances(&interval);
    assert_eq!(interval.hosts.len(), 10);
    let locals = interval.hosts.iter().filter(|row| row.local);
    let mut bytes: Vec<_> = locals.map(|row| row.traffic.bytes()).collect();
    bytes.sort_unstable();
    // Host 102 received from all; the others sent a packet each.
    assert_eq!(bytes, [76, 77, 78, 79, 60 * 20 + 190]);
}
