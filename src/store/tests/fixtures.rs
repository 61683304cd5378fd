//! Made-up traffic, stores for it, and what must be true of every store.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use crate::account::{
    InOut, IntervalHost, IntervalInterface, IntervalPort, IntervalProtocol, IntervalService,
    PortKey, Rates, Service, Transport, Volume,
};
use crate::decode::{Addr, Mac};
use crate::store::kind::{HOST, KINDS, SERVICE};
use crate::store::*;

/// A packet between two hosts, by number.
#[derive(Clone, Copy, Debug)]
pub(in crate::store) struct Packet {
    pub(in crate::store) source: u8,
    pub(in crate::store) destination: u8,
    pub(in crate::store) port: u8,
    pub(in crate::store) bytes: u16,
}

pub(in crate::store) fn host(number: u8) -> Addr {
    match number % 3 {
        0 => Addr::v4([192, 168, 1, number]),
        1 => Addr::v4([203, 0, 113, number]),
        _ => Addr::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, number]),
    }
}

/// Whether this host has a service row for this port; otherwise it is in the host's "other".
pub(in crate::store) fn is_known(host: u8, port: u8) -> bool {
    (u16::from(host) + u16::from(port)) % 5 != 4
}

/// What the worker would close after these packets and one ARP frame of 42 bytes.
pub(in crate::store) fn closed(start: i64, length: u32, packets: &[Packet]) -> ClosedInterval {
    let mut hosts: BTreeMap<u8, InOut> = BTreeMap::new();
    let mut ports: BTreeMap<u8, Volume> = BTreeMap::new();
    let mut inward = Volume::default();
    let mut services: BTreeMap<(u8, u8), InOut> = BTreeMap::new();
    for packet in packets {
        let bytes = u64::from(packet.bytes);
        services.entry((packet.source, packet.port)).or_default().sent.count(bytes);
        services.entry((packet.destination, packet.port)).or_default().received.count(bytes);
        hosts.entry(packet.source).or_default().sent.count(bytes);
        hosts.entry(packet.destination).or_default().received.count(bytes);
        ports.entry(packet.port).or_default().count(bytes);
        inward.count(bytes);
    }
    let rates = |volume: Volume| {
        let rate = volume.bytes / u64::from(length);
        Rates { least: rate, greatest: rate }
    };
    let arp = Volume { packets: 1, bytes: 42 };
    let none = Volume::default();
    ClosedInterval {
        start,
        length,
        interfaces: vec![IntervalInterface {
            name: "eth0".into(),
            covered: u64::from(length) * 1_000,
            directions: [inward, none, none, none, arp],
            rates: [inward, none, none, none, arp].map(rates),
            dropped: 3,
        }],
        hosts: hosts
            .into_iter()
            .map(|(number, traffic)| IntervalHost {
                address: host(number),
                mac: Mac([2, 0, 0, 0, 0, number]),
                local: number % 3 == 0,
                traffic,
                rates: [rates(traffic.received), rates(traffic.sent)],
            })
            .collect(),
        ports: ports
            .into_iter()
            .map(|(port, volume)| IntervalPort {
                transport: Transport::Tcp,
                port: u16::from(port) + 1,
                volume,
                rates: rates(volume),
            })
            .collect(),
        without_port: arp,
        protocols: match inward.is_zero() {
            true => Vec::new(),
            false => vec![IntervalProtocol { number: 6, volume: inward, rates: rates(inward) }],
        },
        services: services
            .into_iter()
            .filter(|((number, port), _)| is_known(*number, *port))
            .map(|((number, port), traffic)| IntervalService {
                address: host(number),
                local: number % 3 == 0,
                service: Service::Port(PortKey {
                    transport: Transport::Tcp,
                    port: u16::from(port) + 1,
                }),
                traffic,
                rates: [rates(traffic.received), rates(traffic.sent)],
            })
            .collect(),
        ..ClosedInterval::default()
    }
}

/// The same on two interfaces, in all directions.
pub(in crate::store) fn spread(start: i64, length: u32, packets: &[Packet]) -> ClosedInterval {
    let mut interval = closed(start, length, packets);
    let mut second = interval.interfaces[0].clone();
    second.name = "wlan0".into();
    interval.interfaces.push(second);
    for (at, interface) in interval.interfaces.iter_mut().enumerate() {
        let arp = if at == 0 { interface.directions[4] } else { Volume::default() };
        interface.directions = [Volume::default(); 5];
        interface.directions[4] = arp;
        for packet in packets.iter().filter(|packet| usize::from(packet.port) % 2 == at) {
            let way = usize::from(packet.source + packet.destination) % 4;
            interface.directions[way].count(u64::from(packet.bytes));
        }
        interface.rates = interface.directions.map(|volume| {
            let rate = volume.bytes / u64::from(length);
            Rates { least: rate, greatest: rate }
        });
    }
    interval
}

pub(in crate::store) fn some(start: i64) -> ClosedInterval {
    closed(start, 60, &[Packet { source: 0, destination: 1, port: 1, bytes: 600 }])
}

pub(in crate::store) fn options(schema: &[(&str, u32, u64)], hosts: usize) -> Options {
    let tier = |(name, seconds, keep): &(&str, u32, u64)| Tier {
        name: (*name).to_owned(),
        seconds: *seconds,
        keep: Duration::from_secs(*keep),
        in_memory: false,
    };
    let tiers = schema.iter().map(tier).collect();
    Options {
        tiers,
        limits: Limits { hosts, ports: hosts, services: 2 * hosts },
        max_size: 1 << 30,
    }
}

pub(in crate::store) const YEAR: u64 = 366 * 86_400;

pub(in crate::store) fn usual() -> Options {
    options(&[("minute", 60, YEAR), ("hour", 3_600, YEAR), ("day", 86_400, YEAR)], 200)
}

pub(in crate::store) fn store(path: &Path) -> Store {
    Store::open(path, usual()).unwrap()
}

pub(in crate::store) fn sum(store: &Store, sql: &str) -> i64 {
    let value: Option<i64> = store.writer.connection.query_row(sql, [], |row| row.get(0)).unwrap();
    value.unwrap_or(0)
}

pub(in crate::store) fn take(
    store: &mut Store,
    intervals: impl IntoIterator<Item = ClosedInterval>,
) {
    for interval in intervals {
        store.take(Message::Closed(interval), &Status::default());
    }
}

pub(in crate::store) fn commit(
    store: &mut Store,
    intervals: impl IntoIterator<Item = ClosedInterval>,
) -> bool {
    take(store, intervals);
    store.commit(true, &Status::default())
}

/// In every tier and interval the splits add up, and each coarser row is the sum of its
/// finer ones.
pub(in crate::store) fn assert_conservation(store: &Store) {
    assert_conservation_since(store, i64::MIN);
}

/// No host's services exceed the host's own row; the view's "other" is the rest.
fn assert_services_are_within_hosts(store: &Store, seconds: i64) {
    let columns = ["packets_in", "bytes_in", "packets_out", "bytes_out"];
    let sums = columns.map(|column| format!("sum({column}) AS {column}")).join(", ");
    let is_more = columns.map(|column| format!("s.{column} > o.{column}")).join(" OR ");
    let table = SERVICE.table(seconds);
    let wrong = format!(
        "SELECT count(*)
         FROM (SELECT start, k1, {sums} FROM {table} WHERE {} GROUP BY start, k1) s
            LEFT JOIN host h ON h.id = s.k1
            LEFT JOIN {table} o ON o.start = s.start AND o.kind = {}
                AND o.k1 = h.family AND o.k2 = h.high AND o.k3 = h.low
         WHERE o.start IS NULL OR {is_more}",
        SERVICE.condition(),
        HOST.at
    );
    assert_eq!(sum(store, &wrong), 0, "services of {seconds} s");
}

/// In `v_service` the rows of each host, "other" among them, add up to its row in `v_host`.
pub(in crate::store) fn assert_views_add_up(store: &Store) {
    let columns = "sum(packets_in), sum(bytes_in), sum(packets_out), sum(bytes_out)";
    let by_host =
        |view: &str| format!("SELECT tier, start, address, {columns} FROM {view} GROUP BY 1, 2, 3");
    let (hosts, services) = (by_host("v_host"), by_host("v_service"));
    let differ = format!(
        "SELECT (SELECT count(*) FROM ({hosts} EXCEPT {services}))
            + (SELECT count(*) FROM ({services} EXCEPT {hosts}))
            + (SELECT count(*) FROM v_service
               WHERE min(packets_in, bytes_in, packets_out, bytes_out) < 0)"
    );
    assert_eq!(sum(store, &differ), 0, "v_service against v_host");
    assert!(sum(store, "SELECT count(*) FROM v_service WHERE protocol = 'tcp'") > 0);
    assert!(sum(store, "SELECT count(*) FROM v_service WHERE protocol = 'other'") > 0);
}

/// [`assert_conservation`] for a store whose tiers were changed. Before `since` a coarser row may
/// come from a tier that is gone, in which its host was at times folded into `other`. It then holds
/// less than the finer rows, and `other` more; never the other way round.
pub(in crate::store) fn assert_conservation_since(store: &Store, since: i64) {
    let total = "SELECT tier, start, sum(packets), sum(bytes) FROM v_interface GROUP BY 1, 2";
    for split in ["in", "out", ""] {
        let (view, ending) = match split {
            "" => ("v_port", ""),
            way => ("v_host", if way == "in" { "_in" } else { "_out" }),
        };
        for view in [view, if split.is_empty() { "v_protocol" } else { view }] {
            let rows = format!(
                "SELECT tier, start, sum(packets{ending}), sum(bytes{ending}) FROM {view} GROUP BY 1, 2"
            );
            let differ = format!(
                "SELECT (SELECT count(*) FROM ({total} EXCEPT {rows})) + \
                 (SELECT count(*) FROM ({rows} EXCEPT {total}))"
            );
            assert_eq!(sum(store, &differ), 0, "{view}{ending} against v_interface");
        }
    }
    for tier in &store.writer.tiers {
        assert_services_are_within_hosts(store, tier.seconds);
    }
    for at in 1..store.writer.tiers.len() {
        let (fine, coarse) = (&store.writer.tiers[at - 1], &store.writer.tiers[at]);
        // Open intervals may be behind.
        let stale: Vec<String> = store.writer.stale[at].iter().map(i64::to_string).collect();
        let stale = stale.join(", ");
        for kind in KINDS {
            let (keys, condition) = (kind.key_columns().join(", "), kind.condition());
            let columns: Vec<String> = kind
                .endings()
                .iter()
                .flat_map(|way| [format!("packets{way}"), format!("bytes{way}")])
                .collect();
            let sums: Vec<String> =
                columns.iter().map(|column| format!("sum({column}) AS {column}")).collect();
            let not_rest = if kind.has_other { "k1 <> 0" } else { "1" };
            let span = coarse.seconds;
            let rows = |tier: i64| {
                let table = kind.table(tier);
                format!(
                    "SELECT start / {span} * {span} AS s, {keys}, {} FROM {table} \
                     WHERE {condition} AND {not_rest} AND start >= {} AND s NOT IN ({stale}) GROUP BY s, {keys}",
                    sums.join(", "),
                    (fine.kept_since + span - 1) / span * span
                )
            };
            // Rows that were folded on the way up are in the finer tier only.
            let wrong = format!(
                "SELECT count(*) FROM ({} EXCEPT {}) WHERE s >= {since}",
                rows(coarse.seconds),
                rows(fine.seconds)
            );
            let same = format!("s, {keys}");
            let is_more: Vec<String> =
                columns.iter().map(|column| format!("c.{column} > f.{column}")).collect();
            let too_much = format!(
                "SELECT count(*) FROM ({}) c LEFT JOIN ({}) f USING ({}) WHERE f.{} IS NULL OR {}",
                rows(coarse.seconds),
                rows(fine.seconds),
                same,
                columns[0],
                is_more.join(" OR ")
            );
            let wrong = format!("SELECT ({wrong}) + ({too_much})");
            assert_eq!(
                sum(store, &wrong),
                0,
                "{}: {} against {}",
                kind.plural,
                coarse.name,
                fine.name
            );
        }
    }
}

pub(in crate::store) fn packets() -> impl Strategy<Value = Vec<Packet>> {
    let packet = (0u8..12, 0u8..12, 0u8..6, 60u16..1_514)
        .prop_map(|(source, destination, port, bytes)| Packet { source, destination, port, bytes });
    prop::collection::vec(packet, 0..12)
}

/// Ends a store as a kill of its process does: the kernel releases the lock, and nobody closes the
/// database.
pub(in crate::store) fn kill(store: Store) {
    let Store { writer, place, .. } = store;
    std::mem::forget(writer);
    drop(place);
}

/// The evidence of the newest event of a kind.
pub(in crate::store) fn evidence(store: &Store, kind: &str) -> serde_json::Value {
    let mut events = events::newest(&store.writer.connection, 1_000).unwrap().into_iter();
    events.find(|event| event.kind == kind).unwrap().evidence.unwrap()
}
