//! `make soak`: the size of a year of history, what a day of it writes to the card, and what a
//! question reads.
//!
//! The load is synthetic and the same at every run: a home of 60 local hosts and 2,000 remote
//! addresses a day, busy in the evening and quiet at night. Only bytes are measured, so the
//! machine's speed does not matter. Bytes written are those that reach the block device of a
//! dedicated ext4 file system, its journal included (tests/soak.sh); bytes read are those of read
//! calls (`rchar` of /proc/self/io).

mod guest;

use std::collections::BTreeMap;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use brightstat::account::{
    ClosedInterval, InOut, IntervalHost, IntervalInterface, IntervalPort, IntervalProtocol,
    IntervalService, PortKey, Rates, Service, Transport, Volume,
};
use brightstat::config::Config;
use brightstat::decode::{Addr, Mac};
use brightstat::store::{Limits, Options, Status, Store};

const LOCAL: u32 = 60;
const REMOTE_A_DAY: u32 = 2_000;
const DAY: i64 = 86_400;
/// Days that are written to measure a single one. The log is checkpointed into the file about once
/// a day, 9 MB each time: a single day has one checkpoint, two or none.
const DAYS_WORN: i64 = 8;
/// 2025-01-01 UTC.
const BEGIN: i64 = 1_735_689_600;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn local(number: u32) -> Addr {
    match number % 3 {
        // A third of them use IPv6.
        0 => address6(0xfd00_0000_0000_0000, u64::from(number)),
        _ => Addr::v4([192, 168, 1, number as u8]),
    }
}

/// A remote address of that day; most return on other days.
fn remote(day: i64, number: u32) -> Addr {
    // Half of a day's addresses come from a large pool, half are new.
    let seed =
        if number.is_multiple_of(2) { number as u64 } else { (day as u64) << 20 | number as u64 };
    let mut random = Random(seed);
    let bits = random.next();
    match bits % 3 {
        0 => address6(0x2a00_0000_0000_0000 | bits >> 16, random.next()),
        _ => Addr::v4([
            1 + (bits >> 8) as u8 % 220,
            (bits >> 16) as u8,
            (bits >> 24) as u8,
            (bits >> 32) as u8,
        ]),
    }
}

fn address6(high: u64, low: u64) -> Addr {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&high.to_be_bytes());
    bytes[8..].copy_from_slice(&low.to_be_bytes());
    Addr::v6(bytes)
}

/// Share of active hosts, in percent, by the hour of the day.
const ACTIVE: [u64; 24] =
    [20, 12, 8, 6, 6, 8, 15, 30, 40, 35, 35, 40, 45, 40, 40, 45, 55, 65, 75, 85, 90, 85, 60, 35];
const PORTS: [(Transport, u16); 8] = [
    (Transport::Tcp, 443),
    (Transport::Udp, 443),
    (Transport::Udp, 53),
    (Transport::Tcp, 80),
    (Transport::Udp, 123),
    (Transport::Udp, 5_353),
    (Transport::Tcp, 8_009),
    (Transport::Tcp, 22),
];

/// The minute that begins at `start`.
fn minute(start: i64) -> ClosedInterval {
    let day = start.div_euclid(DAY);
    let of_day = start.rem_euclid(DAY) / 60;
    let mut random = Random(start as u64);
    let mut hosts: BTreeMap<Addr, (bool, InOut)> = BTreeMap::new();
    let mut ports: BTreeMap<(u8, u16), (Transport, Volume)> = BTreeMap::new();
    let mut protocols: BTreeMap<u16, Volume> = BTreeMap::new();
    let mut directions = [Volume::default(); 5];
    let mut services: BTreeMap<(Addr, Service), (bool, InOut)> = BTreeMap::new();
    let mut talk =
        |local: Addr, remote: Addr, port: (Transport, u16), inward: Volume, outward: Volume| {
            let end = &mut hosts.entry(local).or_insert((true, InOut::default())).1;
            end.received += inward;
            end.sent += outward;
            let end = &mut hosts.entry(remote).or_insert((false, InOut::default())).1;
            end.received += outward;
            end.sent += inward;
            let service = Service::Port(PortKey { transport: port.0, port: port.1 });
            let does = &mut services.entry((local, service)).or_insert((true, InOut::default())).1;
            does.received += inward;
            does.sent += outward;
            let does =
                &mut services.entry((remote, service)).or_insert((false, InOut::default())).1;
            does.received += outward;
            does.sent += inward;
            let both = inward + outward;
            ports.entry((port.0.number(), port.1)).or_insert((port.0, Volume::default())).1 += both;
            *protocols.entry(u16::from(port.0.number())).or_default() += both;
            directions[0] += inward;
            directions[1] += outward;
        };
    let volume = |random: &mut Random, most: u64| {
        let packets = 1 + random.below(most);
        Volume { packets, bytes: packets * (60 + random.below(1_200)) }
    };
    for number in 1..=LOCAL {
        if random.below(100) >= ACTIVE[(of_day / 60) as usize] {
            continue;
        }
        for _ in 0..1 + random.below(3) {
            // All hosts talk to a few popular remote hosts; the others have few users.
            let favourite = random.below(3) == 0;
            let which = random.below(if favourite { 40 } else { REMOTE_A_DAY.into() }) as u32;
            let port = match random.below(20) {
                0 => (Transport::Udp, 10_000 + random.below(50_000) as u16),
                n => PORTS[n as usize % PORTS.len()],
            };
            let (inward, outward) = (volume(&mut random, 2_000), volume(&mut random, 400));
            talk(local(number), remote(day, which), port, inward, outward);
        }
    }
    // Make sure that each of the day's addresses appears.
    let per_minute = i64::from(REMOTE_A_DAY);
    for which in of_day * per_minute / 1_440..(of_day + 1) * per_minute / 1_440 {
        let number = 1 + random.below(LOCAL.into()) as u32;
        let (inward, outward) = (volume(&mut random, 200), volume(&mut random, 100));
        talk(local(number), remote(day, which as u32), PORTS[0], inward, outward);
    }
    let arp = volume(&mut random, 60);
    directions[4] = arp;
    let rates = |volume: Volume| Rates { least: 0, greatest: volume.bytes / 20 };
    let mac = |local: bool, address: &Addr| match local {
        true => {
            let IpLast(last) = last(address);
            Mac([2, 0, 0, 0, 0, last])
        }
        false => Mac::default(),
    };
    let mut interval = ClosedInterval {
        start,
        length: 60,
        interfaces: vec![IntervalInterface {
            name: "eth0".into(),
            covered: 60_000,
            directions,
            rates: directions.map(rates),
            dropped: 0,
        }],
        hosts: hosts
            .into_iter()
            .map(|(address, (local, traffic))| IntervalHost {
                address,
                mac: mac(local, &address),
                local,
                traffic,
                rates: [rates(traffic.received), rates(traffic.sent)],
            })
            .collect(),
        ports: ports
            .into_iter()
            .map(|((_, port), (transport, volume))| IntervalPort {
                transport,
                port,
                volume,
                rates: rates(volume),
            })
            .collect(),
        without_port: arp,
        protocols: protocols
            .into_iter()
            .map(|(number, volume)| IntervalProtocol { number, volume, rates: rates(volume) })
            .collect(),
        services: services
            .into_iter()
            .map(|((address, service), (local, traffic))| IntervalService {
                address,
                local,
                service,
                traffic,
                rates: [rates(traffic.received), rates(traffic.sent)],
            })
            .collect(),
        ..ClosedInterval::default()
    };
    // As the daemon does before it passes an interval to the store.
    let Limits { hosts, ports, services } = options().limits;
    interval.keep_busiest(hosts, ports, services);
    interval
}

struct IpLast(u8);

fn last(address: &Addr) -> IpLast {
    match address.ip() {
        std::net::IpAddr::V4(address) => IpLast(address.octets()[3]),
        std::net::IpAddr::V6(address) => IpLast(address.octets()[15]),
    }
}

/// A counter of /proc/self/io.
fn io(key: &str) -> Result<u64, Box<dyn Error>> {
    let text = std::fs::read_to_string("/proc/self/io")?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    Ok(value.ok_or("no such key in /proc/self/io")?.parse()?)
}

/// Bytes written so far: to the block device BRIGHTSTAT_SOAK_DEVICE (tests/soak.sh creates one),
/// otherwise by write calls.
fn written() -> Result<u64, Box<dyn Error>> {
    let Ok(device) = std::env::var("BRIGHTSTAT_SOAK_DEVICE") else { return io("wchar") };
    Command::new("sync").status()?;
    let text = std::fs::read_to_string(format!("/sys/block/{device}/stat"))?;
    let sectors: u64 = text.split_whitespace().nth(6).ok_or("no such column")?.parse()?;
    Ok(sectors * 512)
}

fn options() -> Options {
    let config = Config::default();
    Options {
        tiers: config.tiers(),
        limits: Limits {
            hosts: config.hosts_per_interval,
            ports: config.ports_per_interval,
            services: config.services_per_interval,
        },
        max_size: config.max_size,
    }
}

/// Writes minutes from `from` up to `to`, with a commit every `period` minutes.
fn write(store: &mut Store, from: i64, to: i64, period: i64) -> Result<(), Box<dyn Error>> {
    let status = Status::new(Duration::from_secs(300));
    let mut at = from;
    while at < to {
        let next = (at + period * 60).min(to);
        let minutes = (at..next).step_by(60).map(minute);
        if !store.commit_now(minutes, false, &status) {
            return Err(status.trouble().unwrap_or_default().into());
        }
        at = next;
    }
    Ok(())
}

struct Table(bool);

impl Table {
    fn row(&mut self, figure: &str, value: f64, unit: &str, target: Option<f64>) {
        let verdict = match target {
            Some(target) if value > target => {
                self.0 = false;
                format!("<= {target} {unit}  MISSED")
            }
            Some(target) => format!("<= {target} {unit}  met"),
            None => String::new(),
        };
        println!("{figure:<58}{value:>10.2} {unit:<4}  {verdict}");
    }
}

fn mega(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// Writes a year of minutes; measures the file and the page's longest question.
fn year(directory: &Path, table: &mut Table) -> Result<PathBuf, Box<dyn Error>> {
    let days =
        std::env::var("BRIGHTSTAT_SOAK_DAYS").ok().and_then(|d| d.parse().ok()).unwrap_or(365);
    let path = directory.join("year.db");
    let mut store = Store::open(&path, options())?;
    for day in 0..days {
        write(&mut store, BEGIN + day * DAY, BEGIN + (day + 1) * DAY, 60)?;
        eprint!("\r{} of {days} days ", day + 1);
    }
    eprintln!();
    let status = Status::new(Duration::from_secs(300));
    store.commit_now([], true, &status);
    drop(store);
    let size = std::fs::metadata(&path)?.len();
    table.row(&format!("the file after {days} days"), mega(size), "MB", Some(250.0));
    // In a separate process, as a person would run it, to measure its memory.
    let ask = |arguments: &[&str]| -> Result<u64, Box<dyn Error>> {
        let run = Command::new(env!("CARGO_BIN_EXE_brightstat"))
            .args(["query", "hosts", "--json", "--tz", "utc", "--database"])
            .arg(&path)
            .args(arguments)
            .output()?;
        if !run.status.success() {
            return Err(String::from_utf8_lossy(&run.stderr).into());
        }
        Ok(run.stdout.len() as u64)
    };
    let (from, to) = (format!("@{BEGIN}"), format!("@{}", BEGIN + days * DAY));
    let span = ["--from", &from, "--to", &to, "--by", "day", "--top", "20"];
    let answer = ask(&span)?;
    let usage = nix::sys::resource::getrusage(nix::sys::resource::UsageWho::RUSAGE_CHILDREN)?;
    table.row("a year by day, top 20 hosts: the answer as JSON", mega(answer), "MB", None);
    table.row(
        "a year by day, top 20 hosts: peak memory",
        usage.max_rss() as f64 / 1e3,
        "MB",
        Some(30.0),
    );
    match std::env::var_os("BRIGHTSTAT_ARMHF").map(PathBuf::from).filter(|path| path.exists()) {
        Some(program) => {
            let database = path.to_string_lossy();
            let usual = ["query", "hosts", "--json", "--tz", "utc", "--database", &database];
            let peak = guest::peak(&program, &[&usual[..], &span].concat())?;
            let figure = "the same on 32 bits (ARMv6), at most";
            table.row(figure, mega(peak), "MB", Some(30.0));
        }
        None => println!(
            "the same on 32 bits: NOT MEASURED; build for armhf, or name such a program in \
             BRIGHTSTAT_ARMHF"
        ),
    }
    let read = read_by_question(&path, days)?;
    table.row("a year by day, top 20 hosts: read of the file", mega(read), "MB", Some(5.0));
    Ok(path)
}

/// Bytes read from the file for a year by day with the 20 busiest hosts.
fn read_by_question(path: &Path, days: i64) -> Result<u64, Box<dyn Error>> {
    use brightstat::store::kind::HOST;
    use brightstat::store::query::History;
    use brightstat::store::question::{Question, Step};
    let before = io("rchar")?;
    let history = History::open(path)?;
    let (from, to) = (BEGIN, BEGIN + days * DAY);
    let step = Step::Tier("day".into());
    let question =
        Question { kind: &HOST, only: None, from, to, step, most: 500, top: 20, rows: None };
    let answer = history.ask(&question, None)?;
    assert_eq!(answer.rows.len(), 20);
    let own = std::fs::read("/proc/self/io")?.len() as u64;
    Ok(io("rchar")? - before - own)
}

/// What a day on top of the given history writes, by commit period.
fn wear(year: &Path, directory: &Path, days: i64, table: &mut Table) -> Result<(), Box<dyn Error>> {
    for period in [1, 5, 15] {
        let path = directory.join("day.db");
        std::fs::copy(year, &path)?;
        let from = BEGIN + days * DAY;
        // The first hours even out the state of the copy. A store that has been closed leaves
        // nothing in its log.
        let mut store = Store::open(&path, options())?;
        write(&mut store, from, from + DAY / 4, period)?;
        drop(store);
        let before = written()?;
        let mut store = Store::open(&path, options())?;
        write(&mut store, from + DAY / 4, from + DAY / 4 + DAYS_WORN * DAY, period)?;
        drop(store);
        let written = (written()? - before) / DAYS_WORN.cast_unsigned();
        std::fs::remove_file(&path)?;
        let target = (period == 5).then_some(25.0);
        table.row(
            &format!("written in a day, a commit every {period} min"),
            mega(written),
            "MB",
            target,
        );
    }
    Ok(())
}

/// A database for `make screenshots`: two months until now, with an outage.
fn demonstration(path: &Path) -> Result<(), Box<dyn Error>> {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH)?.as_secs();
    let now = i64::try_from(now)? / 60 * 60;
    let mut store = Store::open(path, options())?;
    let outage = now - 30 * 3_600..now - 27 * 3_600;
    write(&mut store, now - 60 * DAY, outage.start, 60)?;
    write(&mut store, outage.end, now, 60)?;
    store.commit_now([], true, &Status::new(Duration::from_secs(300)));
    Ok(())
}

fn main() -> Result<(), Box<dyn Error>> {
    if let Some(path) = std::env::var_os("BRIGHTSTAT_DEMO") {
        return demonstration(Path::new(&path));
    }
    // The year remains there for inspection.
    let directory = std::env::var_os("BRIGHTSTAT_SOAK_DIR")
        .map_or_else(|| Path::new(env!("CARGO_TARGET_TMPDIR")).join("history"), PathBuf::from);
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory)?;
    let mut table = Table(true);
    let path = year(&directory, &mut table)?;
    let days =
        std::env::var("BRIGHTSTAT_SOAK_DAYS").ok().and_then(|d| d.parse().ok()).unwrap_or(365);
    wear(&path, &directory, days, &mut table)?;
    if table.0 { Ok(()) } else { Err("some targets are missed".into()) }
}
