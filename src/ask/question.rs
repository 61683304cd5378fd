//! Turns the words of a query into a [`Question`]: which rows, which span, how fine.

use std::net::IpAddr;

use jiff::Zoned;
use jiff::tz::TimeZone;

use super::when::{moment, rfc3339_in, zone};
use crate::account::{PortKey, Service, Transport, protocol_name};
use crate::store::kind::Kind;
use crate::store::question::{Question, Step, Which};

/// A query in words. An empty text means that the word was not given.
#[derive(Clone, Debug, Default)]
pub struct Words<'a> {
    /// `hosts`, `services`, `ports`, `protocols`, `interfaces`, `devices`, or one of them: `host`.
    pub what: &'a str,
    /// The one row that is asked for, such as `192.168.1.5` or `tcp/443`.
    pub name: &'a str,
    /// With `services`: only those of this host.
    pub host: &'a str,
    /// With `services`: only the hosts of this one.
    pub service: &'a str,
    /// Start of the span; see [`moment`].
    pub from: &'a str,
    /// End of the span.
    pub to: &'a str,
    /// `minute`, `hour`, `day`, another tier, `auto`, or `none`.
    pub by: &'a str,
    /// The time zone; see [`zone`].
    pub tz: &'a str,
    /// Limit of points with `auto`.
    pub points: usize,
    /// Limit of points whatever `by` says.
    pub most: usize,
    /// Rows to name; 0 names all.
    pub top: usize,
}

/// Parses a query made at `now`. Returns the time zone to answer in as well.
///
/// # Errors
/// A sentence that says what was expected and what was found.
pub fn question(words: &Words<'_>, now: &Zoned) -> Result<(Question, TimeZone), String> {
    let kind = Kind::named(words.what).ok_or_else(|| {
        format!(
            "expected hosts, ports, protocols, services, interfaces or devices (or one of them, as in \"host \
             192.168.1.5\"), found \"{}\"",
            words.what
        )
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
            "from ({}) must lie before to ({}); exchange them, or leave 'to' out, which means now",
            rfc3339_in(from, &zone),
            rfc3339_in(to, &zone)
        ));
    }
    let step = match words.by {
        "" | "auto" => Step::Auto(words.points),
        "none" => Step::Whole,
        tier => step(tier, &zone),
    };
    let only = match (kind.name, words.name) {
        ("service", name) => {
            if !name.is_empty() && !words.service.is_empty() && name != words.service {
                return Err(format!(
                    "there are two services, \"{name}\" and \"{}\"; leave one of them out",
                    words.service
                ));
            }
            let name = if words.service.is_empty() { name } else { words.service };
            let host = (!words.host.is_empty()).then(|| address(words.host)).transpose()?;
            let service = (!name.is_empty()).then(|| service(name)).transpose()?;
            Some(Which::Services(host, service))
        }
        _ if !words.host.is_empty() || !words.service.is_empty() => {
            return Err(format!(
                "host and service go with what=services, not with \"{}\"",
                words.what
            ));
        }
        (_, "") => None,
        (_, name) => Some(which(kind, name)?),
    };
    let (most, top) = (words.most, words.top);
    Ok((Question { kind, only, from, to, step, most, top, rows: None }, zone))
}

/// The step for a tier's name; a `day` is one of the time zone.
pub fn step(tier: &str, zone: &TimeZone) -> Step {
    match tier {
        "day" if *zone != TimeZone::UTC => Step::Days(zone.clone()),
        tier => Step::Tier(tier.to_owned()),
    }
}

fn which(kind: &Kind, name: &str) -> Result<Which, String> {
    match kind.name {
        "interface" => Ok(Which::Interface(name.to_owned())),
        "host" => address(name).map(Which::Host),
        "port" => port(name)
            .map(|key| Which::Port(key.transport, key.port))
            .ok_or_else(|| format!("expected a port such as \"tcp/443\", found \"{name}\"")),
        "protocol" => protocol(name).map(Which::Protocol).ok_or_else(|| {
            format!("expected a protocol such as \"udp\" or its number, found \"{name}\"")
        }),
        _ => Err("devices have no names yet; ask for hosts".to_owned()),
    }
}

fn address(name: &str) -> Result<IpAddr, String> {
    name.parse().map_err(|_| {
        format!("expected an address such as \"192.168.1.5\" or \"2001:db8::1\", found \"{name}\"")
    })
}

/// `tcp/443` or `443/tcp`.
fn port(name: &str) -> Option<PortKey> {
    let (one, other) = name.split_once('/')?;
    let (transport, port) = if one.parse::<u16>().is_ok() { (other, one) } else { (one, other) };
    let transport = Transport::named(&transport.to_ascii_lowercase())?;
    Some(PortKey { transport, port: port.parse().ok()? })
}

fn protocol(name: &str) -> Option<u16> {
    let lower = name.to_ascii_lowercase();
    let number = lower.parse().ok().filter(|number| *number < 256);
    number.or_else(|| (0..=256).find(|n| protocol_name(*n) == lower))
}

/// A port, or a protocol without ports.
fn service(name: &str) -> Result<Service, String> {
    let found = port(name).map(Service::Port).or_else(|| protocol(name).map(Service::Protocol));
    found.ok_or_else(|| {
        format!("expected a service such as \"tcp/445\" or \"icmp\", found \"{name}\"")
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::kind::PORT;

    #[test]
    fn a_port_is_named_by_transport_and_number_in_either_order() {
        for transport in Transport::ALL {
            let name = transport.name();
            let wanted = Ok(Which::Port(transport, 36_412));
            assert_eq!(which(&PORT, &format!("{name}/36412")), wanted);
            assert_eq!(which(&PORT, &format!("36412/{}", name.to_uppercase())), wanted);
        }
        for wrong in ["", "36412", "dccp/5", "sctp/", "sctp/65536", "sctp/-1", "132/36412"] {
            assert!(which(&PORT, wrong).unwrap_err().contains("\"tcp/443\""), "{wrong}");
        }
    }
}
