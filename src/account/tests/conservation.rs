//! Conservation: in every split, rows + other + none = total, to the byte and packet.

use proptest::prelude::*;

use super::model::{Counts, in_words, interval_balances, snapshot_balances};
use super::traffic::{Packet, Step, host_limit, local_networks, steps};
use crate::account::{
    Accounts, ClosedInterval, Direction, InOut, IntervalHost, IntervalInterface, LocalNetworks,
    Rates, Second, Snapshot, Volume,
};
use crate::decode::PacketRecord;

/// Counters of three interfaces and the reference, side by side.
struct Pair {
    accounts: Accounts,
    host_limit: usize,
    local: LocalNetworks,
    ever: Counts,
    interval: Counts,
    second: Counts,
    fine: Counts,
    intervals: Vec<ClosedInterval>,
    fines: Vec<ClosedInterval>,
    /// How many of `fines` end before the open base interval.
    fines_before: usize,
    /// Whether no fine interval with traffic reaches into the open base interval.
    was_aligned: bool,
    seconds: Vec<Second>,
    /// Taken after the last step; shares the tables that the step did not change.
    last: Snapshot,
}

fn accounts(host_limit: usize) -> Accounts {
    let mut accounts = Accounts::of_files(host_limit, local_networks(0));
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
            fine: Counts::default(),
            intervals: Vec::new(),
            fines: Vec::new(),
            fines_before: 0,
            was_aligned: true,
            seconds: Vec::new(),
            last: Snapshot::default(),
        }
    }

    fn take(&mut self, step: &Step) {
        match step {
            Step::Count(interface, packets) => {
                let records = records(packets);
                for record in &records {
                    self.ever.count(record, &self.local);
                    self.interval.count(record, &self.local);
                    self.fine.count(record, &self.local);
                    self.second.count(record, &self.local);
                }
                self.accounts.count(*interface, &records);
                if let Some(last) = records.iter().rfind(|record| record.is_ip()) {
                    self.has_both_ends(last);
                }
            }
            Step::CloseInterval => self.close_interval(),
            Step::CloseFine => self.close_fine(),
            Step::CloseSecond => self.close_second(),
            Step::Cover(interface, time) => self.accounts.cover(*interface, *time),
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
        let shared = self.accounts.snapshot_after(&self.last);
        assert_eq!(format!("{shared:?}"), format!("{snapshot:?}"));
        self.last = shared;
    }

    /// The hosts of the latest packet are never folded.
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
        let fines = &self.fines[self.fines_before..];
        let is_aligned = self.fine.total.is_zero();
        if is_aligned && self.was_aligned && !fines.is_empty() {
            is_sum_of(&interval, fines, nothing_was_folded);
        }
        self.was_aligned = is_aligned;
        self.fines_before = self.fines.len();
        self.intervals.push(interval);
    }

    fn close_fine(&mut self) {
        let nothing_was_folded = self.accounts.snapshot().folded_hosts == 0;
        let fine = self.accounts.close_fine(self.fines.len() as i64, 1);
        assert_eq!(fine.start, self.fines.len() as i64);
        interval_balances(&fine);
        assert!(fine.hosts.len() <= self.host_limit);
        std::mem::take(&mut self.fine).matches_interval(&fine, nothing_was_folded);
        self.fines.push(fine);
    }

    fn close_second(&mut self) {
        let second = self.accounts.close_second(self.seconds.len() as i64);
        let expected = std::mem::take(&mut self.second);
        assert_eq!(second.directions, expected.directions);
        assert_eq!(second.total(), expected.total);
        let of = |numbers: &[u16]| {
            numbers.iter().filter_map(|n| expected.protocols.get(n)).map(|v| v.packets).sum::<u64>()
        };
        let [tcp, udp, icmp, other]: [u64; 4] = second.classes;
        assert_eq!([tcp, udp, icmp], [of(&[6]), of(&[17]), of(&[1, 58])]);
        let not_ip = second.direction(Direction::None).packets;
        assert_eq!(tcp + udp + icmp + other + not_ip, expected.total.packets);
        self.seconds.push(second);
    }

    /// The intervals and the seconds add up to the snapshot.
    fn adds_up(&self) {
        let snapshot = self.accounts.snapshot();
        assert_eq!(self.seconds.iter().map(Second::total).sum::<Volume>(), snapshot.total);
        for (class, packets) in snapshot.classes().into_iter().enumerate() {
            assert_eq!(
                self.seconds.iter().map(|second| second.classes[class]).sum::<u64>(),
                packets
            );
        }
        let sum = |of: &dyn Fn(&ClosedInterval) -> Volume| self.intervals.iter().map(of).sum();
        let check = |whole: Volume, of: &dyn Fn(&ClosedInterval) -> Volume| {
            let parts: Volume = sum(of);
            assert_eq!(parts, whole);
        };
        check(snapshot.total, &|i| i.total());
        assert_eq!(self.fines.iter().map(ClosedInterval::total).sum::<Volume>(), snapshot.total);
        check(snapshot.not_ip(), &|i| i.not_ip());
        check(snapshot.without_port, &|i| i.without_port);
        for interface in &snapshot.interfaces {
            for (direction, whole) in interface.directions.into_iter().enumerate() {
                check(whole, &|i| {
                    let rows = i.interfaces.iter().filter(|row| row.name == interface.name);
                    rows.map(|row| row.directions[direction]).sum()
                });
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

/// Checks that a base interval is the sum of its fine ones, and that its rates are theirs.
fn is_sum_of(base: &ClosedInterval, fines: &[ClosedInterval], nothing_was_folded: bool) {
    assert_eq!(fines.iter().map(ClosedInterval::total).sum::<Volume>(), base.total());
    let known: Vec<_> = fines
        .iter()
        .filter(|f| !f.total().is_zero() || f.interfaces.iter().any(|i| i.covered > 0))
        .collect();
    // A row's volume and rate in each fine interval, against those of the base interval.
    let check = |whole: Volume, rates: Rates, of: &dyn Fn(&ClosedInterval) -> (Volume, u64)| {
        let parts: Vec<_> = known.iter().map(|fine| of(fine)).collect();
        assert_eq!(parts.iter().map(|(volume, _)| *volume).sum::<Volume>(), whole);
        assert_eq!(Some(rates.least), parts.iter().map(|(_, rate)| *rate).min());
        assert_eq!(Some(rates.greatest), parts.iter().map(|(_, rate)| *rate).max());
    };
    for row in &base.ports {
        let key = (row.transport, row.port);
        check(row.volume, row.rates, &|fine| {
            let found = fine.ports.iter().find(|port| (port.transport, port.port) == key);
            found.map_or_else(Default::default, |port| (port.volume, port.rates.least))
        });
    }
    for row in &base.protocols {
        check(row.volume, row.rates, &|fine| {
            let found = fine.protocols.iter().find(|protocol| protocol.number == row.number);
            found.map_or_else(Default::default, |p| (p.volume, p.rates.greatest))
        });
    }
    for row in base.hosts.iter().filter(|_| nothing_was_folded) {
        let of = |fine: &ClosedInterval| -> Option<IntervalHost> {
            fine.hosts.iter().find(|host| host.address == row.address).copied()
        };
        check(row.traffic.sent, row.rates[1], &|fine| {
            of(fine).map_or_else(Default::default, |h| (h.traffic.sent, h.rates[1].least))
        });
        check(row.traffic.received, row.rates[0], &|fine| {
            of(fine).map_or_else(Default::default, |h| (h.traffic.received, h.rates[0].least))
        });
    }
    for row in &base.interfaces {
        let of = |fine: &&ClosedInterval| -> Option<IntervalInterface> {
            fine.interfaces.iter().find(|i| i.name == row.name).cloned()
        };
        let fines: Vec<_> = fines.iter().filter_map(|fine| of(&fine)).collect();
        for at in 0..5 {
            let sum = fines.iter().map(|fine| fine.directions[at]).sum::<Volume>();
            assert_eq!(sum, row.directions[at]);
            let greatest = fines.iter().map(|fine| fine.rates[at].greatest).max();
            // None: it was only covered, and only since the last fine close.
            assert_eq!(row.rates[at].greatest, greatest.unwrap_or(0));
            assert!(row.rates[at].least <= row.rates[at].greatest);
        }
    }
}

/// Folds an interval's rows and checks that the busiest are left.
fn is_folded_well(interval: &ClosedInterval, hosts: usize, ports: usize) {
    let mut folded = interval.clone();
    folded.keep_busiest(hosts, ports, hosts);
    interval_balances(&folded);
    assert_eq!(folded.total(), interval.total());
    assert_eq!(folded.hosts.len(), interval.hosts.len().min(hosts));
    assert_eq!(folded.ports.len(), interval.ports.len().min(ports));
    assert!(folded.services.len() <= hosts);
    let bytes = |row: &IntervalHost| row.traffic.bytes();
    let mut kept: Vec<&IntervalHost> = folded.hosts.iter().collect();
    kept.sort_by_key(|row| (!row.local, std::cmp::Reverse(bytes(row))));
    let gone = || interval.hosts.iter().filter(|row| !folded.hosts.contains(row));
    // At most half of those left are kept just because they are local.
    let locals = kept.iter().filter(|row| row.local).count();
    let rest = &kept[locals.min(hosts / 2)..];
    let least = rest.iter().map(|row| bytes(row)).min();
    assert!(gone().map(bytes).max() <= least || least.is_none());
    assert!(locals >= hosts / 2 || gone().all(|row| !row.local));
    let least = kept[..locals].iter().map(|row| bytes(row)).min();
    assert!(gone().filter(|row| row.local).map(bytes).max() <= least || least.is_none());
    let least = folded.ports.iter().map(|row| row.volume.bytes).min();
    let gone = interval.ports.iter().filter(|row| !folded.ports.contains(row));
    assert!(gone.map(|row| row.volume.bytes).max() <= least || least.is_none());
    let once = folded.clone();
    folded.keep_busiest(hosts, ports, hosts);
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
        pair.close_fine();
        pair.close_interval();
        pair.close_second();
        pair.adds_up();
        for interval in pair.intervals.iter().chain(&pair.fines) {
            is_folded_well(interval, keep.0, keep.1);
        }
        prop_assert!(pair.accounts.close_interval(0, 60).is_empty());
        prop_assert!(pair.accounts.close_fine(0, 1).is_empty());
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
                Step::CloseFine => {
                    prop_assert_eq!(batches.close_fine(1, 1), single.close_fine(1, 1));
                }
                Step::Cover(interface, time) => {
                    batches.cover(*interface, *time);
                    single.cover(*interface, *time);
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
