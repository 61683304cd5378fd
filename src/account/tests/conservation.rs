//! Conservation: in every split, rows + other + none = total, to the byte and packet.

use proptest::prelude::*;

use super::model::{Counts, in_words, interval_balances, snapshot_balances};
use super::traffic::{Packet, Step, host_limit, local_networks, steps};
use crate::account::{Accounts, ClosedInterval, InOut, LocalNetworks, Second, Volume};
use crate::decode::PacketRecord;

/// Counters of three interfaces and the reference, side by side.
struct Pair {
    accounts: Accounts,
    host_limit: usize,
    local: LocalNetworks,
    ever: Counts,
    interval: Counts,
    second: Counts,
    intervals: Vec<ClosedInterval>,
    seconds: Vec<Second>,
}

fn accounts(host_limit: usize) -> Accounts {
    let mut accounts = Accounts::new(host_limit, local_networks(0));
    for (number, name) in ["eth0", "wlan0", "tap.pcap"].into_iter().enumerate() {
        assert_eq!(accounts.interface(name, "EN10MB"), number);
    }
    accounts
}

fn records(packets: &[Packet]) -> Vec<PacketRecord> {
    packets.iter().map(Packet::record).collect()
}

impl Pair {
    fn new(host_limit: usize) -> Pair {
        Pair {
            accounts: accounts(host_limit),
            host_limit,
            local: local_networks(0),
            ever: Counts::default(),
            interval: Counts::default(),
            second: Counts::default(),
            intervals: Vec::new(),
            seconds: Vec::new(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Count(interface, packets) => {
                let records = records(packets);
                for record in &records {
                    self.ever.count(record, &self.local);
                    self.interval.count(record, &self.local);
                    self.second.count(record, &self.local);
                }
                self.accounts.count(*interface, &records);
                if let Some(last) = records.iter().rfind(|record| record.is_ip()) {
                    self.has_both_ends(last);
                }
            }
            Step::CloseInterval => self.close_interval(),
            Step::CloseSecond => self.close_second(),
            Step::SetLocal(number) => {
                self.local = local_networks(*number);
                self.accounts.set_local(self.local.clone());
            }
        }
        let snapshot = self.accounts.snapshot();
        snapshot_balances(&snapshot, self.host_limit);
        self.ever.matches_snapshot(&snapshot);
        assert_eq!(self.accounts.captured().packets, self.ever.total.packets);
        for row in &snapshot.hosts {
            assert_eq!(row.local, self.local.has(&row.address));
        }
    }

    /// The ends of the latest packet are never the ones to be folded.
    fn has_both_ends(&self, latest: &PacketRecord) {
        let hosts = self.accounts.snapshot().hosts;
        for end in [latest.source, latest.destination] {
            assert!(hosts.iter().any(|row| row.address == end), "{end}");
        }
    }

    fn close_interval(&mut self) {
        let start = self.intervals.len() as i64;
        let nothing_was_folded = self.accounts.snapshot().folded_hosts == 0;
        let interval = self.accounts.close_interval(start, 60);
        assert_eq!(interval.start, start);
        interval_balances(&interval);
        assert!(interval.hosts.len() <= self.host_limit);
        std::mem::take(&mut self.interval).matches_interval(&interval, nothing_was_folded);
        self.intervals.push(interval);
    }

    fn close_second(&mut self) {
        let second = self.accounts.close_second(self.seconds.len() as i64);
        let expected = std::mem::take(&mut self.second);
        assert_eq!(second.directions, expected.directions);
        assert_eq!(second.total(), expected.total);
        self.seconds.push(second);
    }

    /// The intervals and the seconds add up to the snapshot.
    fn adds_up(&self) {
        let snapshot = self.accounts.snapshot();
        assert_eq!(self.seconds.iter().map(Second::total).sum::<Volume>(), snapshot.total);
        let sum = |of: &dyn Fn(&ClosedInterval) -> Volume| self.intervals.iter().map(of).sum();
        let check = |whole: Volume, of: &dyn Fn(&ClosedInterval) -> Volume| {
            let parts: Volume = sum(of);
            assert_eq!(parts, whole);
        };
        check(snapshot.total, &|i| i.total());
        check(snapshot.not_ip(), &|i| i.not_ip());
        check(snapshot.without_port, &|i| i.without_port);
        for (at, interface) in snapshot.interfaces.iter().enumerate() {
            for (direction, whole) in interface.directions.into_iter().enumerate() {
                check(whole, &|i| i.interfaces[at].directions[direction]);
            }
        }
        for row in &snapshot.protocols {
            let is_it = |number| number == row.number;
            check(row.volume, &|i| {
                i.protocols.iter().filter(|p| is_it(p.number)).map(|p| p.volume).sum()
            });
        }
        for row in &snapshot.ports {
            let key = (row.transport, row.port);
            check(row.volume, &|i| {
                i.ports.iter().filter(|p| (p.transport, p.port) == key).map(|p| p.volume).sum()
            });
        }
        let all_hosts: InOut = self
            .intervals
            .iter()
            .flat_map(|i| i.hosts.iter().map(|row| row.traffic).chain([i.other_hosts]))
            .fold(InOut::default(), |sum, traffic| sum + traffic);
        let ip = snapshot.total - snapshot.not_ip();
        assert_eq!((all_hosts.sent, all_hosts.received), (ip, ip));
    }
}

/// Folds an interval's rows and checks that the busiest are left.
fn is_folded_well(interval: &ClosedInterval, hosts: usize, ports: usize) {
    let mut folded = interval.clone();
    folded.keep_busiest(hosts, ports);
    interval_balances(&folded);
    assert_eq!(folded.total(), interval.total());
    assert_eq!(folded.hosts.len(), interval.hosts.len().min(hosts));
    assert_eq!(folded.ports.len(), interval.ports.len().min(ports));
    let least = folded.hosts.iter().map(|row| row.traffic.bytes()).min();
    let gone = interval.hosts.iter().filter(|row| !folded.hosts.contains(row));
    assert!(gone.map(|row| row.traffic.bytes()).max() <= least || least.is_none());
    let least = folded.ports.iter().map(|row| row.volume.bytes).min();
    let gone = interval.ports.iter().filter(|row| !folded.ports.contains(row));
    assert!(gone.map(|row| row.volume.bytes).max() <= least || least.is_none());
    let once = folded.clone();
    folded.keep_busiest(hosts, ports);
    assert_eq!(folded, once);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn every_split_adds_up_to_the_total_at_any_time(
        host_limit in host_limit(),
        steps in steps(),
        keep in (0_usize..20, 0_usize..20),
    ) {
        let mut pair = Pair::new(host_limit);
        for step in &steps {
            pair.take(step);
        }
        pair.close_interval();
        pair.close_second();
        pair.adds_up();
        for interval in &pair.intervals {
            is_folded_well(interval, keep.0, keep.1);
        }
        prop_assert!(pair.accounts.close_interval(0, 60).is_empty());
        prop_assert!(pair.accounts.close_second(0).total().is_zero());
    }

    #[test]
    fn records_count_the_same_one_at_a_time_and_in_batches(
        host_limit in host_limit(),
        steps in steps(),
    ) {
        let (mut batches, mut single) = (accounts(host_limit), accounts(host_limit));
        for step in &steps {
            match step {
                Step::Count(interface, packets) => {
                    let records = records(packets);
                    batches.count(*interface, &records);
                    for record in &records {
                        single.count(*interface, std::slice::from_ref(record));
                    }
                }
                Step::CloseInterval => {
                    prop_assert_eq!(batches.close_interval(1, 60), single.close_interval(1, 60));
                }
                Step::CloseSecond => {
                    prop_assert_eq!(batches.close_second(1), single.close_second(1));
                }
                Step::SetLocal(number) => {
                    batches.set_local(local_networks(*number));
                    single.set_local(local_networks(*number));
                }
            }
            prop_assert_eq!(in_words(&batches), in_words(&single));
        }
    }
}
