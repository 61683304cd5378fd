//! The truth about frames: facts for each, summed for a capture.
//!
//! The sums have the format of the foreign corpus' `FILE.truth.json`, as far as tests read it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::{Value, json};

/// The protocol of an IPv6 packet whose header chain extends beyond the captured bytes.
pub const UNKNOWN: u16 = 256;

/// What must be counted of one frame.
#[derive(Clone, Default, Debug)]
pub struct Facts {
    /// "ipv4", "ipv6", "arp" or "other".
    pub network: &'static str,
    /// Source and destination of the outermost IP header.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// IP protocol number, or [`UNKNOWN`].
    pub protocol: Option<u16>,
    /// "tcp", "udp" or "sctp", and the lower port.
    pub service: Option<(&'static str, u16)>,
    /// Kinds of errors, by their names in reports.
    pub errors: Vec<&'static str>,
}

impl Facts {
    /// A frame without IP: ARP or something else.
    pub fn not_ip(network: &'static str) -> Facts {
        Facts { network, ..Facts::default() }
    }

    /// The same with an error.
    pub fn with(mut self, error: &'static str) -> Facts {
        self.errors.push(error);
        self
    }

    /// The same frame, if only its being IP between two hosts is known.
    pub fn without_service(mut self) -> Facts {
        self.service = None;
        self
    }
}

/// One frame: its captured bytes, its length on the wire, its time and its facts.
#[derive(Clone, Debug)]
pub struct Frame {
    /// The captured bytes.
    pub bytes: Vec<u8>,
    /// Bytes on the wire.
    pub wire: u32,
    /// Nanoseconds since 1970; `None` in a block without a time.
    pub time: Option<i64>,
    /// What must be counted.
    pub facts: Facts,
}

impl Frame {
    /// A whole frame.
    pub fn new(bytes: Vec<u8>, facts: Facts) -> Frame {
        Frame { wire: bytes.len() as u32, bytes, time: Some(0), facts }
    }

    /// The frame cut after `length` bytes, as by a snap length, with the facts that remain.
    pub fn cut(mut self, length: usize, facts: Facts) -> Frame {
        self.bytes.truncate(length);
        self.facts = facts;
        self
    }
}

/// Sets the frames' times, `step` nanoseconds apart.
pub fn timed(mut frames: Vec<Frame>, begin: i64, step: i64) -> Vec<Frame> {
    for (number, frame) in frames.iter_mut().enumerate() {
        frame.time = Some(begin + number as i64 * step);
    }
    frames
}

type Row = (u64, u64);

fn add(row: &mut Row, frame: &Frame) {
    *row = (row.0 + 1, row.1 + u64::from(frame.wire));
}

fn rows(rows: &BTreeMap<String, Row>) -> Value {
    let row = |(name, row): (&String, &Row)| (name.clone(), json!({"pkts": row.0, "wire": row.1}));
    Value::Object(rows.iter().map(row).collect())
}

/// An address in the notation of the corpus and of reports.
fn text(address: IpAddr) -> String {
    address.to_string()
}

/// `1704704400.000000001`, the notation of the corpus.
fn seconds(nanoseconds: i64) -> String {
    let (whole, rest) =
        (nanoseconds.div_euclid(1_000_000_000), nanoseconds.rem_euclid(1_000_000_000));
    format!("{whole}.{rest:09}")
}

/// The truth about a capture that is read completely.
pub fn of(frames: &[Frame]) -> Value {
    let mut total = (0, 0);
    let mut network = BTreeMap::new();
    let mut protocols = BTreeMap::new();
    let mut services: BTreeMap<&str, BTreeMap<String, Row>> = BTreeMap::new();
    let mut hosts: BTreeMap<String, [Row; 2]> = BTreeMap::new();
    let mut errors: BTreeMap<&str, u64> = BTreeMap::new();
    for frame in frames {
        let facts = &frame.facts;
        add(&mut total, frame);
        add(network.entry(facts.network.to_owned()).or_default(), frame);
        if let Some(protocol) = facts.protocol {
            let name = if protocol == UNKNOWN { "?".into() } else { protocol.to_string() };
            add(protocols.entry(name).or_default(), frame);
        }
        if let Some((transport, port)) = facts.service {
            add(services.entry(transport).or_default().entry(port.to_string()).or_default(), frame);
        }
        if let Some((source, destination)) = facts.ends {
            add(&mut hosts.entry(text(source)).or_default()[1], frame);
            add(&mut hosts.entry(text(destination)).or_default()[0], frame);
        }
        for error in &facts.errors {
            *errors.entry(error).or_default() += 1;
        }
    }
    let captured: usize = frames.iter().map(|frame| frame.bytes.len()).sum();
    let mut times = frames.iter().filter_map(|frame| frame.time);
    let first = times.next();
    let last = times.next_back().or(first);
    let host = |(name, [to, from]): (&String, &[Row; 2])| {
        let row = json!({"in_pkts": to.0, "in_wire": to.1, "out_pkts": from.0, "out_wire": from.1});
        (name.clone(), row)
    };
    let service = |transport| rows(services.get(transport).unwrap_or(&BTreeMap::new()));
    json!({
        "judge": "exact",
        "excluded_keys": [],
        "totals": {
            "frames": total.0,
            "wire": total.1,
            "cap": captured,
            "first": first.map(seconds),
            "last": last.map(seconds),
            "no_time": [frames.iter().filter(|frame| frame.time.is_none()).count()],
        },
        "l3": rows(&network),
        "proto": rows(&protocols),
        "hosts": Value::Object(hosts.iter().map(host).collect()),
        "tcp_service": service("tcp"),
        "udp_service": service("udp"),
        "sctp_service": service("sctp"),
        "errors": errors,
    })
}

/// The truth about a file that ends, or becomes damaged, after these frames.
pub fn until_damage(frames: &[Frame]) -> Value {
    let mut truth = of(frames);
    truth["judge"] = json!("libpcap-limited");
    truth["libpcap"] = json!({"readable": false, "frames": frames.len()});
    truth
}
