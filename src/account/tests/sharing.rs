//! Successive snapshots share the tables that have not changed.

use super::traffic::{Load, Packet, local, local_networks};
use crate::account::{Accounts, Snapshot};

/// Which tables of two snapshots are one: interfaces, hosts, ports, services, protocols.
fn shared(one: &Snapshot, other: &Snapshot) -> [bool; 5] {
    [
        one.interfaces.as_ptr() == other.interfaces.as_ptr(),
        one.hosts.as_ptr() == other.hosts.as_ptr(),
        one.ports.as_ptr() == other.ports.as_ptr(),
        one.services.as_ptr() == other.services.as_ptr(),
        one.protocols.as_ptr() == other.protocols.as_ptr(),
    ]
}

#[test]
fn a_table_is_copied_only_if_it_has_changed() {
    let mut accounts = Accounts::new(100, local_networks(0));
    accounts.interface("eth0", "EN10MB");
    let mut last = Snapshot::default();
    let mut step = |change: &dyn Fn(&mut Accounts)| {
        change(&mut accounts);
        accounts.gather();
        let snapshot = accounts.snapshot_after(&last);
        let is_shared = shared(&snapshot, &last);
        last = snapshot;
        is_shared
    };
    let count = |load| {
        let record = Packet::new(2, 5, load).record();
        move |accounts: &mut Accounts| accounts.count(0, &[record])
    };
    assert_eq!(step(&count(Load::Udp(40_000, 53))), [false; 5]);
    assert_eq!(step(&|_| ()), [true; 5]);
    assert_eq!(step(&count(Load::Arp)), [false, true, true, true, true]);
    assert_eq!(step(&count(Load::Icmp(8))), [false, false, true, false, false]);
    assert_eq!(step(&count(Load::Udp(40_000, 53))), [false; 5]);
    assert_eq!(step(&|a| a.cover(0, 1_000)), [true; 5]);
    assert_eq!(
        step(&|a| a.set_state(0, true, Default::default())),
        [false, true, true, true, true]
    );
    // Rows of hosts say which hosts are inside.
    let elsewhere = local(&["192.0.2.0/24"]);
    assert_eq!(step(&|a| a.set_local(elsewhere.clone())), [true, false, true, false, true]);
}
