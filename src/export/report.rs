//! The report of a finished run, as `brightstat report` prints it.
//!
//! The JSON form is a contract; docs/api.md documents every key. Rows are sorted by bytes,
//! ties by address or number, so that equal input gives equal output.

use std::fmt::Write;

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};
use serde_json::{Map, Value, json};

use super::busiest::{busiest_hosts, busiest_ports};
use super::names::Names;
use super::table::{TextTable, grouped, share};
use super::time::{readable, rfc3339};
use super::words::link_type;
use crate::account::{
    Direction, ErrorKind, HostRow, InOut, PortRow, ProtocolRow, Snapshot, Volume, protocol_name,
};
use crate::capture::undecoded;
use crate::decode::Network;
use crate::names::Book;

/// A snapshot with its rows sorted; the tail of each table is folded into "other".
pub struct Report<'a> {
    snapshot: &'a Snapshot,
    hosts: Vec<&'a HostRow>,
    other_hosts: InOut,
    ports: Vec<&'a PortRow>,
    other_ports: Volume,
    problems: &'a [String],
    notices: &'a [String],
    names: Option<Names<'a>>,
}

impl<'a> Report<'a> {
    /// Sorts a snapshot's rows, keeps the busiest `top` hosts and ports (0: all) and adds up the
    /// others. `problems` are inputs that could not be read to the end; `notices` are other remarks
    /// on the input.
    pub fn new(
        snapshot: &'a Snapshot,
        top: usize,
        problems: &'a [String],
        notices: &'a [String],
    ) -> Report<'a> {
        let (hosts, rest) = busiest_hosts(&snapshot.hosts, top);
        let other_hosts = rest.iter().fold(snapshot.other_hosts, |sum, row| sum + row.traffic);
        let (ports, rest) = busiest_ports(&snapshot.ports, top);
        let other_ports = rest.iter().map(|row| row.volume).sum();
        Report { snapshot, hosts, other_hosts, ports, other_ports, problems, notices, names: None }
    }

    /// Adds the names and links that were read from the frames, if they were.
    pub fn with_names(self, book: Option<&'a Book>) -> Report<'a> {
        Report { names: book.map(Names::new), ..self }
    }

    /// The report as one JSON object.
    pub fn to_json(&self) -> Value {
        let s = self.snapshot;
        let (first, last) = s.span.unzip();
        let interfaces: Vec<Value> = s
            .interfaces
            .iter()
            .map(|i| {
                json!({
                    "name": i.name,
                    "link_type": i.link_type,
                    "is_decoded": undecoded(&i.link_type).is_empty(),
                    "frames": i.total.packets,
                    "bytes": i.total.bytes,
                })
            })
            .collect();
        let hosts: Vec<HostLine<'_>> = self.hosts.iter().map(|row| HostLine(row)).collect();
        let ports: Vec<Value> = self
            .ports
            .iter()
            .map(|row| {
                json!({
                    "protocol": row.transport.name(),
                    "port": row.port,
                    "bytes": row.volume.bytes,
                    "packets": row.volume.packets,
                })
            })
            .collect();
        let ethertypes = sorted(Network::ALL.iter().map(|network| {
            let volume: Volume = s.interfaces.iter().map(|i| i.ethertypes[*network as usize]).sum();
            (network.name().to_owned(), volume)
        }));
        let protocols = sorted(
            s.protocols.iter().map(|row: &ProtocolRow| (protocol_name(row.number), row.volume)),
        );
        let directions: Map<String, Value> =
            Direction::ALL.iter().map(|d| (d.name().to_owned(), json!(s.direction(*d)))).collect();
        let errors: Map<String, Value> = ErrorKind::NAMES
            .iter()
            .zip(s.errors())
            .map(|(name, count)| ((*name).to_owned(), json!(count)))
            .collect();
        let mut other = Map::new();
        if !self.other_hosts.is_zero() {
            let mut row = json!(InOutLine::from(self.other_hosts));
            row["folded_hosts"] = json!(s.folded_hosts);
            other.insert("hosts".to_owned(), row);
        }
        if !self.other_ports.is_zero() {
            other.insert("ports".to_owned(), json!(self.other_ports));
        }
        let mut report = json!({
            "frames": s.total.packets,
            "bytes": s.total.bytes,
            "captured_bytes": s.captured_bytes,
            "first": first.and_then(rfc3339),
            "last": last.and_then(rfc3339),
            "interfaces": interfaces,
            "ethertypes": ethertypes,
            "protocols": protocols,
            "hosts": hosts,
            "ports": ports,
            "directions": directions,
            "errors": errors,
            "other": other,
            "none": {
                "hosts": s.not_ip(),
                "protocols": s.not_ip(),
                "ports": s.without_port,
            },
            "drops": s.drops(),
            "notices": self.notices,
            "problems": self.problems,
        });
        if let Some(names) = &self.names {
            names.add_to(&mut report);
        }
        report
    }

    /// The report as tables for people.
    pub fn to_text(&self) -> String {
        let s = self.snapshot;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{} frames, {} bytes ({} captured)",
            grouped(s.total.packets),
            grouped(s.total.bytes),
            grouped(s.captured_bytes)
        );
        if let Some((first, last)) = s.span {
            let seconds = last.saturating_sub(first) / 1_000_000_000;
            let _ = write!(text, "{} to {}", readable(first), readable(last));
            if seconds > 0 {
                let rate = s.total.bytes as f64 * 8.0 / seconds as f64;
                let _ = write!(text, " ({} s, {})", grouped(seconds as u64), bit_rate(rate));
            }
            text.push('\n');
        }
        let mut table = TextTable::new(2, &["Interface", "link", "frames", "bytes"]);
        for i in &s.interfaces {
            table.row(vec![
                i.name.clone(),
                link_type_text(&i.link_type),
                grouped(i.total.packets),
                grouped(i.total.bytes),
            ]);
        }
        section(&mut text, &table);

        let whole = s.total.bytes;
        let mut table = TextTable::new(1, &["Network", "packets", "bytes", "share"]);
        let networks = Network::ALL.iter().map(|network| {
            let volume: Volume = s.interfaces.iter().map(|i| i.ethertypes[*network as usize]).sum();
            (network.name().to_owned(), volume)
        });
        volume_rows(&mut table, networks, whole);
        section(&mut text, &table);

        let mut table = TextTable::new(1, &["Protocol", "packets", "bytes", "share"]);
        let protocols = s.protocols.iter().map(|row| (protocol_name(row.number), row.volume));
        volume_rows(&mut table, protocols.chain([("(not IP)".to_owned(), s.not_ip())]), whole);
        section(&mut text, &table);

        let mut table = TextTable::new(1, &["Direction", "packets", "bytes", "share"]);
        let directions =
            Direction::ALL.iter().map(|d| (direction_text(*d).to_owned(), s.direction(*d)));
        volume_rows(&mut table, directions, whole);
        section(&mut text, &table);

        section(&mut text, &self.host_table());

        let mut table = TextTable::new(1, &["Service port", "packets", "bytes", "share"]);
        for row in &self.ports {
            let name = format!("{}/{}", row.port, row.transport.name());
            table.row(volume_cells(name, row.volume, whole));
        }
        if !self.other_ports.is_zero() {
            table.row(volume_cells("(other)".to_owned(), self.other_ports, whole));
        }
        if !s.without_port.is_zero() {
            table.row(volume_cells("(no port)".to_owned(), s.without_port, whole));
        }
        section(&mut text, &table);

        let mut table = TextTable::new(1, &["Error", "count"]);
        for (name, count) in ErrorKind::NAMES.iter().zip(s.errors()).filter(|(_, count)| *count > 0)
        {
            table.row(vec![name.replace('_', " "), grouped(count)]);
        }
        let drops = s.drops();
        if drops.total() > 0 {
            table.row(vec!["missed packets".to_owned(), grouped(drops.total())]);
        }
        section(&mut text, &table);
        text
    }

    /// Hosts, with a column of names if they were read.
    fn host_table(&self) -> TextTable {
        let heads = ["Host", "Name", "MAC", "bytes in", "bytes out", "packets in", "packets out"];
        let mut table = match &self.names {
            Some(_) => TextTable::new(3, &heads),
            None => TextTable::new(2, &[&heads[..1], &heads[2..]].concat()),
        };
        let mut add = |host: String, name: String, mac: String, traffic: InOut| {
            let mut cells = in_out_cells(host, mac, traffic);
            if self.names.is_some() {
                cells.insert(1, name);
            }
            table.row(cells);
        };
        for row in &self.hosts {
            let mac = if row.mac.is_known() { row.mac.to_string() } else { String::new() };
            let names = self.names.as_ref();
            let name = names.map_or_else(String::new, |names| names.cell(row));
            add(row.address.to_string(), name, mac, row.traffic);
        }
        if !self.other_hosts.is_zero() {
            add("(other)".to_owned(), String::new(), String::new(), self.other_hosts);
        }
        table
    }
}

fn section(text: &mut String, table: &TextTable) {
    if !table.is_empty() {
        text.push('\n');
        text.push_str(&table.render());
    }
}

/// Link types for people; those that are not decoded are marked.
fn link_type_text(link_types: &str) -> String {
    let undecoded = undecoded(link_types);
    let word = |name: &str| {
        let note = if undecoded.contains(&name) { " (not decoded)" } else { "" };
        format!("{}{note}", link_type(name))
    };
    link_types.split(", ").map(word).collect::<Vec<_>>().join(", ")
}

fn direction_text(direction: Direction) -> &'static str {
    match direction {
        Direction::None => "(not IP)",
        other => other.name(),
    }
}

fn volume_rows(table: &mut TextTable, rows: impl Iterator<Item = (String, Volume)>, whole: u64) {
    let mut rows: Vec<(String, Volume)> = rows.filter(|(_, volume)| !volume.is_zero()).collect();
    rows.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(&b.0)));
    for (name, volume) in rows {
        table.row(volume_cells(name, volume, whole));
    }
}

fn volume_cells(name: String, volume: Volume, whole: u64) -> Vec<String> {
    vec![name, grouped(volume.packets), grouped(volume.bytes), share(volume.bytes, whole)]
}

fn in_out_cells(name: String, mac: String, traffic: InOut) -> Vec<String> {
    vec![
        name,
        mac,
        grouped(traffic.received.bytes),
        grouped(traffic.sent.bytes),
        grouped(traffic.received.packets),
        grouped(traffic.sent.packets),
    ]
}

/// Name to packets and bytes, largest first, without the empty ones.
fn sorted(rows: impl Iterator<Item = (String, Volume)>) -> Map<String, Value> {
    let mut rows: Vec<(String, Volume)> = rows.filter(|(_, volume)| !volume.is_zero()).collect();
    rows.sort_by(|a, b| b.1.bytes.cmp(&a.1.bytes).then_with(|| a.0.cmp(&b.0)));
    rows.into_iter().map(|(name, volume)| (name, json!(volume))).collect()
}

/// The four counters of a host, as the API names them.
#[derive(Clone, Copy, Serialize)]
pub struct InOutLine {
    bytes_in: u64,
    bytes_out: u64,
    packets_in: u64,
    packets_out: u64,
}

impl From<InOut> for InOutLine {
    fn from(traffic: InOut) -> InOutLine {
        InOutLine {
            bytes_in: traffic.received.bytes,
            bytes_out: traffic.sent.bytes,
            packets_in: traffic.received.packets,
            packets_out: traffic.sent.packets,
        }
    }
}

/// A host as the report and the API show it.
pub struct HostLine<'a>(pub &'a HostRow);

impl Serialize for HostLine<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let row = self.0;
        let traffic = InOutLine::from(row.traffic);
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("addr", &format_args!("{}", row.address))?;
        if row.mac.is_known() {
            map.serialize_entry("mac", &format_args!("{}", row.mac))?;
        }
        map.serialize_entry("local", &row.local)?;
        map.serialize_entry("bytes_in", &traffic.bytes_in)?;
        map.serialize_entry("bytes_out", &traffic.bytes_out)?;
        map.serialize_entry("packets_in", &traffic.packets_in)?;
        map.serialize_entry("packets_out", &traffic.packets_out)?;
        map.serialize_entry("first", &rfc3339(row.first))?;
        map.serialize_entry("last", &rfc3339(row.last))?;
        map.end()
    }
}

/// A rate for people, in decimal units as networks are sold: `12.3 Mbit/s`.
pub fn bit_rate(bits_per_second: f64) -> String {
    let units = [(1e9, "Gbit/s"), (1e6, "Mbit/s"), (1e3, "kbit/s")];
    match units.iter().find(|(size, _)| bits_per_second >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", bits_per_second / size),
        None => format!("{bits_per_second:.0} bit/s"),
    }
}

/// A size for people, in decimal units as cards are sold: `12.3 MB`.
pub fn byte_size(bytes: u64) -> String {
    let units = [(1e9, "GB"), (1e6, "MB"), (1e3, "kB")];
    match units.iter().find(|(size, _)| bytes as f64 >= *size) {
        Some((size, unit)) => format!("{:.1} {unit}", bytes as f64 / size),
        None => format!("{bytes} bytes"),
    }
}
