//! Questions to the history from text, and answers as JSON; the command line and the API
//! share both.

use jiff::Zoned;
use jiff::tz::TimeZone;
use serde_json::{Map, Value, json};

use super::when::{moment, rfc3339_in, zone, zone_name};
use crate::account::{Transport, protocol_name};
use crate::store::kind::Kind;
use crate::store::question::{Answer, Cell, Label, Line, Point, Question, Step, Which};

/// A question in words. Empty texts stand for what the asker did not say.
#[derive(Clone, Debug, Default)]
pub struct Words<'a> {
    /// `hosts`, `ports`, `protocols`, `interfaces`, `devices`, or one of them: `host`.
    pub what: &'a str,
    /// The one that is meant, such as `192.168.1.5` or `tcp/443`.
    pub name: &'a str,
    /// Since when; see [`moment`].
    pub from: &'a str,
    /// Until when.
    pub to: &'a str,
    /// `minute`, `hour`, `day`, another tier, `auto`, or `none`.
    pub by: &'a str,
    /// The time zone that is meant; see [`zone`].
    pub tz: &'a str,
    /// Points that an answer to `auto` has at most.
    pub points: usize,
    /// Points that any answer has at most.
    pub most: usize,
    /// Rows to name; 0 names all.
    pub top: usize,
}

/// What words mean, at the moment of `now`; and the time zone to answer in.
///
/// # Errors
/// A sentence that says what was expected, and where.
pub fn question(words: &Words<'_>, now: &Zoned) -> Result<(Question, TimeZone), String> {
    let kind = Kind::named(words.what).ok_or_else(|| {
        format!("expected hosts, ports, protocols, interfaces or devices, found \"{}\"", words.what)
    })?;
    let zone = zone(words.tz)?;
    let now = now.with_time_zone(zone.clone());
    let time = |text: &str, otherwise: &str, which: &str| {
        let text = if text.is_empty() { otherwise } else { text };
        moment(text, &now).map_err(|problem| format!("{which}: {problem}"))
    };
    let (from, to) = (time(words.from, "24h", "from")?, time(words.to, "now", "to")?);
    if from >= to {
        return Err(format!(
            "from ({}) must lie before to ({})",
            rfc3339_in(from, &zone),
            rfc3339_in(to, &zone)
        ));
    }
    let step = match words.by {
        "" | "auto" => Step::Auto(words.points),
        "none" => Step::Whole,
        "day" if zone != TimeZone::UTC => Step::Days(zone.clone()),
        tier => Step::Tier(tier.to_owned()),
    };
    let only = match words.name {
        "" => None,
        name => Some(which(kind, name)?),
    };
    let (most, top) = (words.most, words.top);
    Ok((Question { kind, only, from, to, step, most, top }, zone))
}

fn which(kind: &Kind, name: &str) -> Result<Which, String> {
    match kind.name {
        "interface" => Ok(Which::Interface(name.to_owned())),
        "host" => name.parse().map(Which::Host).map_err(|_| {
            format!(
                "expected an address such as \"192.168.1.5\" or \"2001:db8::1\", found \"{name}\""
            )
        }),
        "port" => {
            let problem = || format!("expected a port such as \"tcp/443\", found \"{name}\"");
            let (one, other) = name.split_once('/').ok_or_else(problem)?;
            let (transport, port) =
                if one.parse::<u16>().is_ok() { (other, one) } else { (one, other) };
            let transport = match transport.to_ascii_lowercase().as_str() {
                "tcp" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => return Err(problem()),
            };
            Ok(Which::Port(transport, port.parse().map_err(|_| problem())?))
        }
        "protocol" => {
            let lower = name.to_ascii_lowercase();
            let number = lower.parse().ok().filter(|number| *number < 256);
            let number = number.or_else(|| (0..=256).find(|n| protocol_name(*n) == lower));
            number.map(Which::Protocol).ok_or_else(|| {
                format!("expected a protocol such as \"udp\" or its number, found \"{name}\"")
            })
        }
        _ => Err("devices have no names yet".to_owned()),
    }
}

/// What a row is about, as keys and values.
pub fn label(label: &Label) -> Map<String, Value> {
    let value = match label {
        Label::Interface(name) | Label::Device(name) => json!({ "name": name }),
        Label::Host(addr, mac, local) => json!({ "addr": addr, "mac": mac, "local": local }),
        Label::Port(protocol, port) => json!({ "protocol": protocol, "port": port }),
        Label::Protocol(name, number) => {
            json!({ "protocol": name, "number": (*number < 256).then_some(number) })
        }
        Label::Other | Label::None | Label::Total => json!({}),
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// The columns of a cell: name and value. Rates are told in bits.
pub fn columns(way: &str, cell: &Cell) -> [(String, u64); 4] {
    [
        (format!("packets{way}"), cell.packets),
        (format!("bytes{way}"), cell.bytes),
        (format!("bits_per_second_min{way}"), cell.least * 8),
        (format!("bits_per_second_max{way}"), cell.greatest * 8),
    ]
}

/// Whether rates mean something: those of different rows cannot be added or taken away.
pub fn has_rates(label: &Label) -> bool {
    *label != Label::Other
}

/// An answer as one JSON object; README documents the keys.
pub fn to_json(answer: &Answer, zone: &TimeZone) -> Value {
    let time = |seconds: i64| rfc3339_in(seconds, zone);
    let point = |point: &Point| {
        json!({
            "start": time(point.start),
            "end": time(point.end),
            "covered_seconds": point.covered as f64 / 1_000.0,
        })
    };
    let rows: Vec<Value> = answer.rows.iter().map(|row| line(answer, row)).collect();
    json!({
        "what": answer.kind.plural,
        "from": time(answer.from),
        "to": time(answer.to),
        "time_zone": zone_name(zone),
        "tier": answer.tier,
        "step_seconds": answer.step,
        "recorded_until": answer.recorded_until.map(time),
        "approximate_before": answer.approximate_before.map(time),
        "points": answer.points.iter().map(point).collect::<Vec<_>>(),
        "count": answer.count,
        "rows": rows,
        "other": line(answer, &answer.other),
        "none": line(answer, &answer.none),
        "total": line(answer, &answer.total),
    })
}

/// A row: label, totals, and the series, whose arrays run parallel to the points: null
/// where nothing was covered, 0 where nothing happened.
fn line(answer: &Answer, line: &Line) -> Value {
    let kind = answer.kind;
    let wanted = |name: &str| has_rates(&line.label) || !name.starts_with("bits");
    let mut object = label(&line.label);
    for (way, cell) in kind.ways.iter().zip(&line.total) {
        let columns = columns(way, cell).into_iter().filter(|(name, _)| wanted(name));
        object.extend(columns.map(|(name, value)| (name, json!(value))));
    }
    if kind.name == "interface" {
        object.insert("dropped".into(), json!(line.dropped));
    }
    if answer.points.len() > 1 {
        let empty: Vec<Value> = answer
            .points
            .iter()
            .map(|point| if point.covered > 0 { json!(0) } else { Value::Null })
            .collect();
        let mut series = Map::new();
        for (at, way) in kind.ways.iter().enumerate() {
            for (name, _) in columns(way, &Cell::default()).into_iter().filter(|(n, _)| wanted(n)) {
                series.insert(name, Value::Array(empty.clone()));
            }
            for (point, cells) in &line.series {
                for (name, value) in columns(way, &cells[at]) {
                    if let Some(Value::Array(values)) = series.get_mut(&name) {
                        values[*point] = json!(value);
                    }
                }
            }
        }
        object.insert("series".into(), Value::Object(series));
    }
    Value::Object(object)
}
