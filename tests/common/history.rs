//! Fixtures of history: the interval of each number, and what the tables must contain after the
//! first intervals have been written.
#![allow(dead_code)]

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use brightstat::account::{
    ClosedInterval, InOut, IntervalHost, IntervalInterface, IntervalPort, IntervalProtocol,
    IntervalService, PortKey, Rates, Service, Transport, Volume,
};
use brightstat::config::Tier;
use brightstat::decode::{Addr, Mac};
use brightstat::store::kind::{
    HOST, INTERFACE, KINDS, Key, Kind, PARTS, PORT, PROTOCOL, SERVICE, addr_key, key_of, port_key,
    service_key,
};
use brightstat::store::{Limits, Options, Status, Store};
use rusqlite::Connection;

/// Name, length and keep in seconds. Keeps are short, so that intervals expire all the time; the
/// last tier keeps everything.
const TIERS: [(&str, u32, u64); 4] = [
    ("minute", 60, 3 * 3_600),
    ("five", 300, 8 * 3_600),
    ("hour", 3_600, 2 * 86_400),
    ("day", 86_400, 3_660 * 86_400),
];
const MINUTE: i64 = 60;
/// This many minutes with capture follow each other, ...
const RUN: i64 = 50;
/// ... and the next run begins this many minutes after the last one began: four in a day.
const STRIDE: i64 = 360;
const INTERFACES: [&str; 2] = ["eth0", "wlan0"];

/// The options of the store.
pub fn options() -> Options {
    let tier = |(name, seconds, keep): (&str, u32, u64)| Tier {
        name: name.to_owned(),
        seconds,
        keep: Duration::from_secs(keep),
        in_memory: false,
    };
    let limits = Limits { hosts: 200, ports: 200, services: 200 };
    Options { tiers: TIERS.into_iter().map(tier).collect(), limits, max_size: 1 << 30 }
}

/// When the interval of this number began.
pub fn start(number: i64) -> i64 {
    (number / RUN * STRIDE + number % RUN) * MINUTE
}

/// The number of the interval that began then, if there is one.
pub fn number(start: i64) -> Option<i64> {
    let minute = start.div_euclid(MINUTE);
    let (run, within) = (minute.div_euclid(STRIDE), minute.rem_euclid(STRIDE));
    (start >= 0 && within < RUN).then_some(run * RUN + within)
}

/// Pseudorandom numbers, the same for the same seed (splitmix64).
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end.max(1)
    }

    /// True in `percent` of all cases.
    pub fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }
}

/// Packets of one kind between two hosts.
struct Flow {
    interface: usize,
    direction: usize,
    source: u8,
    destination: u8,
    /// IP protocol, and port if it has one.
    protocol: u16,
    port: Option<u16>,
    volume: Volume,
}

const TCP: u16 = 6;
const UDP: u16 = 17;
const ICMP: u16 = 1;
const ARP: Volume = Volume { packets: 1, bytes: 42 };
/// Hosts and ports from here on are folded into "other".
const FOLDED: u8 = 20;
const FOLDED_PORT: u16 = 9_000;

fn flows(number: i64) -> Vec<Flow> {
    let mut random = Random(number.cast_unsigned());
    let flow = |_| {
        let (protocol, port) = match random.below(6) {
            0 | 1 => (TCP, Some([80, 443, 8_080][random.below(3) as usize])),
            2 => (UDP, Some(53)),
            3 => (UDP, Some(FOLDED_PORT)),
            4 => (TCP, Some(FOLDED_PORT)),
            _ => (ICMP, None),
        };
        let packets = 1 + random.below(50);
        Flow {
            interface: random.below(2) as usize,
            direction: random.below(4) as usize,
            source: random.below(24) as u8,
            destination: random.below(24) as u8,
            protocol,
            port,
            volume: Volume { packets, bytes: packets * (60 + random.below(1_400)) },
        }
    };
    (0..5).map(flow).collect()
}

fn address(host: u8) -> Addr {
    match host % 3 {
        0 => Addr::v4([192, 168, 1, host]),
        1 => Addr::v4([203, 0, 113, host]),
        _ => Addr::v6([0x20, 1, 0xd, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, host]),
    }
}

fn is_local(host: u8) -> bool {
    host.is_multiple_of(3)
}

/// The service of a flow's hosts, if it is named; otherwise it is in their "other".
fn service(flow: &Flow) -> Option<Service> {
    let transport = if flow.protocol == TCP { Transport::Tcp } else { Transport::Udp };
    match flow.port {
        None => Some(Service::Protocol(flow.protocol)),
        Some(FOLDED_PORT) => None,
        Some(port) => Some(Service::Port(PortKey { transport, port })),
    }
}

/// The interval of this number, as the worker would close it.
pub fn interval(number: i64) -> ClosedInterval {
    let mut directions = [[Volume::default(); 5]; 2];
    let mut hosts: BTreeMap<u8, InOut> = BTreeMap::new();
    let mut ports: BTreeMap<(Transport, u16), Volume> = BTreeMap::new();
    let mut protocols: BTreeMap<u16, Volume> = BTreeMap::new();
    let mut services: BTreeMap<(u8, i64), (Service, InOut)> = BTreeMap::new();
    let mut other_hosts = InOut::default();
    let (mut other_ports, mut without_port) = (Volume::default(), ARP);
    directions[0][4] = ARP;
    for flow in flows(number) {
        directions[flow.interface][flow.direction] += flow.volume;
        for (host, is_source) in [(flow.source, true), (flow.destination, false)] {
            let traffic = match host < FOLDED {
                true => hosts.entry(host).or_default(),
                false => &mut other_hosts,
            };
            let add = |traffic: &mut InOut| match is_source {
                true => traffic.sent += flow.volume,
                false => traffic.received += flow.volume,
            };
            add(traffic);
            if let Some(service) = service(&flow).filter(|_| host < FOLDED) {
                let key = (host, service_key(service));
                add(&mut services.entry(key).or_insert((service, InOut::default())).1);
            }
        }
        let transport = if flow.protocol == TCP { Transport::Tcp } else { Transport::Udp };
        *match flow.port {
            None => &mut without_port,
            Some(FOLDED_PORT) => &mut other_ports,
            Some(port) => ports.entry((transport, port)).or_default(),
        } += flow.volume;
        *protocols.entry(flow.protocol).or_default() += flow.volume;
    }
    let interface = |at: usize| IntervalInterface {
        name: INTERFACES[at].into(),
        covered: 60_000,
        directions: directions[at],
        rates: [Rates::default(); 5],
        dropped: at as u64,
    };
    let host = |(host, traffic): (u8, InOut)| IntervalHost {
        address: address(host),
        mac: Mac([2, 0, 0, 0, 0, host]),
        local: is_local(host),
        traffic,
        rates: [Rates::default(); 2],
    };
    let port = |((transport, port), volume)| IntervalPort {
        transport,
        port,
        volume,
        rates: Rates::default(),
    };
    let protocol = |(number, volume)| IntervalProtocol { number, volume, rates: Rates::default() };
    ClosedInterval {
        start: start(number),
        length: 60,
        interfaces: vec![interface(0), interface(1)],
        hosts: hosts.into_iter().map(host).collect(),
        other_hosts,
        ports: ports.into_iter().map(port).collect(),
        other_ports,
        without_port,
        protocols: protocols.into_iter().map(protocol).collect(),
        services: services
            .into_iter()
            .map(|((host, _), (service, traffic))| IntervalService {
                address: address(host),
                local: is_local(host),
                service,
                traffic,
                rates: [Rates::default(); 2],
            })
            .collect(),
    }
}

/// By position of the kind, and key: packets and bytes of each way, then the extras.
type Rows = BTreeMap<(usize, Key), Vec<i64>>;

/// What the tables must contain.
#[derive(Default)]
pub struct Expected {
    /// Sums that are final, by length and start.
    whole: HashMap<(i64, i64), Rows>,
}

impl Expected {
    /// The rows of a span whose intervals exist where `is_written`.
    fn rows(&mut self, span: std::ops::Range<i64>, is_written: &dyn Fn(i64) -> bool) -> Rows {
        let seconds = span.end - span.start;
        let numbers: Vec<i64> = span.clone().step_by(MINUTE as usize).filter_map(number).collect();
        let is_whole = numbers.iter().all(|number| is_written(*number));
        if is_whole && let Some(rows) = self.whole.get(&(seconds, span.start)) {
            return rows.clone();
        }
        let mut rows = Rows::new();
        for number in numbers.into_iter().filter(|number| is_written(*number)) {
            add_rows(&mut rows, number);
        }
        assert_splits_add_up(&rows);
        if is_whole {
            self.whole.insert((seconds, span.start), rows.clone());
        }
        rows
    }

    /// Checks that the database is undamaged and holds the first `count` intervals, each once: in
    /// each tier as far back as it is kept, in the coarsest all of them.
    ///
    /// `is_fresh`: open intervals of coarser tiers must be up to date, too.
    pub fn check(&mut self, path: &Path, count: i64, is_fresh: bool) -> Result<(), String> {
        self.check_but(path, count, is_fresh, &|_| false)
    }

    /// As above, but intervals that are `is_lost` must be absent.
    pub fn check_but(
        &mut self,
        path: &Path,
        count: i64,
        is_fresh: bool,
        is_lost: &dyn Fn(i64) -> bool,
    ) -> Result<(), String> {
        self.compare(path, count, is_fresh, is_lost).map_err(|e| e.to_string())?
    }

    fn compare(
        &mut self,
        path: &Path,
        count: i64,
        is_fresh: bool,
        is_lost: &dyn Fn(i64) -> bool,
    ) -> rusqlite::Result<Result<(), String>> {
        let connection = Connection::open(path)?;
        let integrity: String =
            connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
        if integrity != "ok" {
            return Ok(Err(format!("integrity_check: {integrity}")));
        }
        let mut names = connection.prepare("SELECT name FROM interface_name ORDER BY id")?;
        let names: Vec<String> =
            names.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        if count > 0 && names != INTERFACES {
            return Ok(Err(format!("interfaces are {names:?}")));
        }
        let mut tiers = connection.prepare("SELECT seconds, kept_since FROM tier")?;
        let tiers: Vec<(i64, i64)> = tiers
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<_>>()?;
        if tiers.is_empty() && count == 0 {
            return Ok(Ok(()));
        }
        if tiers.len() != TIERS.len() {
            return Ok(Err(format!("there are {} tiers", tiers.len())));
        }
        // If the last intervals were lost, the tiers end earlier.
        let end =
            (0..count).rev().find(|number| !is_lost(*number)).map_or(0, |n| start(n) + MINUTE);
        for (seconds, kept_since) in tiers {
            let mut found = read(&connection, seconds)?;
            if seconds == 86_400 && kept_since != 0 {
                return Ok(Err(format!("days are kept since {kept_since} only")));
            }
            let mut at = kept_since.div_euclid(seconds) * seconds;
            while at < end {
                let span = at..at + seconds;
                at += seconds;
                let rows = found.remove(&span.start).unwrap_or_default();
                if span.end > end && seconds > MINUTE && !is_fresh {
                    continue;
                }
                let wanted = self.rows(span.clone(), &|n| n < count && !is_lost(n));
                if let Some(difference) = difference(&wanted, &rows) {
                    return Ok(Err(format!(
                        "the {seconds} s from {} (number {:?}) of {count} intervals: {difference}",
                        span.start,
                        number(span.start)
                    )));
                }
            }
            // An expired interval stays complete until it is deleted.
            let remains: Vec<i64> =
                found.keys().copied().filter(|start| *start < kept_since).collect();
            for start in remains {
                let rows = found.remove(&start).unwrap_or_default();
                let wanted = self.rows(start..start + seconds, &|n| n < count && !is_lost(n));
                if let Some(difference) = difference(&wanted, &rows) {
                    return Ok(Err(format!(
                        "the {seconds} s from {start}, which may go: {difference}"
                    )));
                }
            }
            if let Some(start) = found.keys().next() {
                return Ok(Err(format!(
                    "there are {seconds} s from {start}, but they are kept since {kept_since} \
                     and end at {end}"
                )));
            }
        }
        Ok(Ok(()))
    }
}

fn difference(wanted: &Rows, found: &Rows) -> Option<String> {
    if wanted == found {
        return None;
    }
    for (key, values) in wanted {
        if found.get(key) != Some(values) {
            let kind = KINDS[key.0].name;
            return Some(format!(
                "{kind} {:?} should be {values:?}, is {:?}",
                key.1,
                found.get(key)
            ));
        }
    }
    let more = found.iter().find(|(key, _)| !wanted.contains_key(*key));
    Some(format!("{more:?} should not be there"))
}

/// All rows of a tier, by start.
fn read(connection: &Connection, tier: i64) -> rusqlite::Result<BTreeMap<i64, Rows>> {
    let mut found: BTreeMap<i64, Rows> = BTreeMap::new();
    for kind in KINDS {
        let mut columns = kind.parts();
        columns.retain(|column| !column.starts_with("least") && !column.starts_with("greatest"));
        let (table, condition) = (kind.source(tier), kind.condition());
        let sql = format!("SELECT start, {} FROM {table} WHERE {condition}", columns.join(", "));
        let mut statement = connection.prepare(&sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            let mut key: Key = [0; PARTS];
            for (at, part) in key.iter_mut().take(kind.keys.len()).enumerate() {
                *part = row.get(1 + at)?;
            }
            let values = (1 + kind.keys.len()..=columns.len()).map(|at| row.get(at));
            let values = values.collect::<rusqlite::Result<_>>()?;
            found.entry(row.get(0)?).or_default().insert((kind.at, key), values);
        }
    }
    Ok(found)
}

/// Adds the rows of an interval, computed independently from its packets.
fn add_rows(rows: &mut Rows, number: i64) {
    let mut add = |kind: &Kind, key: Key, way: usize, volume: Volume, extras: &[i64]| {
        let ways = kind.ways.len();
        let values = rows.entry((kind.at, key)).or_insert_with(|| vec![0; 2 * ways + extras.len()]);
        values[2 * way] += volume.packets as i64;
        values[2 * way + 1] += volume.bytes as i64;
        for ((value, more), column) in values[2 * ways..].iter_mut().zip(extras).zip(kind.extras) {
            *value = if column.is_sum { *value + more } else { (*value).max(*more) };
        }
    };
    let none = key_of([-1]);
    for at in [0, 1] {
        add(&INTERFACE, key_of([at + 1]), 0, Volume::default(), &[60_000, at]);
    }
    add(&INTERFACE, key_of([1]), 4, ARP, &[0, 0]);
    add(&HOST, none, 0, ARP, &[0]);
    add(&HOST, none, 1, ARP, &[0]);
    add(&PORT, none, 0, ARP, &[]);
    add(&PROTOCOL, none, 0, ARP, &[]);
    for flow in flows(number) {
        let volume = flow.volume;
        add(&INTERFACE, key_of([flow.interface as i64 + 1]), flow.direction, volume, &[0, 0]);
        for (way, host) in [(0, flow.destination), (1, flow.source)] {
            let (key, local) = match host < FOLDED {
                true => (addr_key(&address(host)), is_local(host)),
                false => (key_of([0]), false),
            };
            add(&HOST, key, way, volume, &[i64::from(local)]);
            if let Some(service) = service(&flow).filter(|_| host < FOLDED) {
                let key = key_of([key[0], key[1], key[2], service_key(service)]);
                add(&SERVICE, key, way, volume, &[i64::from(local)]);
            }
        }
        let transport = if flow.protocol == TCP { Transport::Tcp } else { Transport::Udp };
        let key = match flow.port {
            None => none,
            Some(FOLDED_PORT) => key_of([0]),
            Some(port) => port_key(transport, port),
        };
        add(&PORT, key, 0, volume, &[]);
        add(&PROTOCOL, key_of([i64::from(flow.protocol)]), 0, volume, &[]);
    }
}

/// Hosts both ways, ports and protocols add up to the interfaces, unnamed rows included.
fn assert_splits_add_up(rows: &Rows) {
    let sum = |kind: &Kind, ways: std::ops::Range<usize>, what: usize| -> i64 {
        let rows = rows.iter().filter(|((at, _), _)| *at == kind.at);
        rows.map(|(_, values)| ways.clone().map(|way| values[2 * way + what]).sum::<i64>()).sum()
    };
    for what in [0, 1] {
        let total = sum(&INTERFACE, 0..5, what);
        for (kind, way) in [(&HOST, 0), (&HOST, 1), (&PORT, 0), (&PROTOCOL, 0)] {
            assert_eq!(sum(kind, way..way + 1, what), total, "{}", kind.name);
        }
    }
}

/// Opens a store and stops it, as a daemon does that has nothing to write. Returns how many
/// intervals it found.
pub fn start_and_stop(path: &Path) -> Result<i64, String> {
    let store = Store::open(path, options()).map_err(|error| error.to_string())?;
    let count = match store.newest() {
        Some(start) => number(start).ok_or(format!("{start} was never written"))? + 1,
        None => 0,
    };
    let (sender, messages) = mpsc::sync_channel(1);
    drop(sender);
    let status = Status::new(Duration::from_secs(60));
    store.run(&messages, &status);
    match status.trouble() {
        Some(trouble) => Err(format!("the last commit failed: {trouble}")),
        None => Ok(count),
    }
}
