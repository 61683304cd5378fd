//! TOML values as settings. Every error says what was expected and what was found.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use toml::de::{DeInteger, DeValue};

use super::units::{bytes, seconds};

/// A value, or what is wrong with it.
pub type Read<T> = Result<T, String>;

fn found(value: &DeValue<'_>) -> String {
    match value {
        DeValue::String(text) => format!("\"{text}\""),
        DeValue::Integer(number) => written(number),
        DeValue::Boolean(flag) => flag.to_string(),
        other => format!("a {}", other.type_str()),
    }
}

pub(super) fn boolean(value: &DeValue<'_>) -> Read<bool> {
    value.as_bool().ok_or_else(|| format!("expected true or false, found {}", found(value)))
}

/// A number as written in the file: TOML has `0x`, `0o` and `0b` (TOML 1.0, "Integer").
fn written(number: &DeInteger<'_>) -> String {
    let prefix = match number.radix() {
        16 => "0x",
        8 => "0o",
        2 => "0b",
        _ => "",
    };
    format!("{prefix}{}", number.as_str())
}

fn integer(number: &DeInteger<'_>) -> Option<u64> {
    u64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A whole number within bounds.
///
/// # Errors
/// What was expected and what was found.
pub fn whole(value: &DeValue<'_>, least: u64, most: u64) -> Read<u64> {
    value.as_integer().and_then(integer).filter(|n| (least..=most).contains(n)).ok_or_else(|| {
        format!("expected a whole number from {least} to {most}, found {}", found(value))
    })
}

pub(super) fn text(value: &DeValue<'_>) -> Read<String> {
    value
        .as_str()
        .map(str::to_owned)
        .ok_or_else(|| format!("expected a text in quotes, found {}", found(value)))
}

/// A list of texts; a single text counts as a list of one.
fn list<T>(value: &DeValue<'_>, each: impl Fn(&str) -> Read<T>) -> Read<Vec<T>> {
    let expected = || format!("expected a list such as [\"...\"], found {}", found(value));
    match value {
        DeValue::String(one) => Ok(vec![each(one)?]),
        DeValue::Array(all) => all
            .iter()
            .map(|item| item.get_ref().as_str().ok_or_else(expected).and_then(&each))
            .collect(),
        _ => Err(expected()),
    }
}

pub(super) fn texts(value: &DeValue<'_>) -> Read<Vec<String>> {
    list(value, |text| Ok(text.to_owned()))
}

pub(super) fn prefixes(value: &DeValue<'_>) -> Read<Vec<IpNet>> {
    list(value, prefix)
}

/// A prefix such as `192.168.0.0/16`, or one address.
pub fn prefix(text: &str) -> Read<IpNet> {
    let net = match text.parse::<IpNet>() {
        Ok(net) => net,
        Err(_) => IpNet::from(text.parse::<std::net::IpAddr>().map_err(|_| {
            format!("expected a prefix such as \"192.168.1.0/24\" or \"2001:db8::/64\", found \"{text}\"")
        })?),
    };
    Ok(net.trunc())
}

pub(super) fn socket_addresses(value: &DeValue<'_>) -> Read<Vec<SocketAddr>> {
    let all = list(value, socket_address)?;
    if all.is_empty() {
        return Err("expected at least one address".to_owned());
    }
    Ok(all)
}

/// An address and port such as `[::]:667`.
pub fn socket_address(text: &str) -> Read<SocketAddr> {
    text.parse().map_err(|_| {
        format!("expected an address with a port such as \"[::]:667\" or \"127.0.0.1:8080\", found \"{text}\"")
    })
}

/// A size: `"8MiB"`, `"512 KiB"`; a bare number counts bytes.
pub(super) fn size(value: &DeValue<'_>, least: u64, most: u64) -> Read<u64> {
    let problem = || {
        format!(
            "expected a size such as \"8MiB\" from {} to {}, found {}",
            readable_size(least),
            readable_size(most),
            found(value)
        )
    };
    let bytes = match value {
        DeValue::String(text) => bytes(text),
        DeValue::Integer(number) => integer(number),
        _ => None,
    };
    bytes.filter(|bytes| (least..=most).contains(bytes)).ok_or_else(problem)
}

fn readable_size(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 30 && b % (1 << 30) == 0 => format!("{}GiB", b >> 30),
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{}MiB", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{}KiB", b >> 10),
        b => format!("{b}B"),
    }
}

/// A span of time: `"90s"`, `"1h 30min"`.
pub(super) fn duration(value: &DeValue<'_>, least: &str, most: &str) -> Read<Duration> {
    let problem = || {
        format!("expected a time such as \"5min\" from {least} to {most}, found {}", found(value))
    };
    let text = value.as_str().ok_or_else(problem)?;
    let (least, most) = (seconds(least).unwrap_or(0), seconds(most).unwrap_or(u64::MAX));
    let seconds = seconds(text).filter(|s| (least..=most).contains(s)).ok_or_else(problem)?;
    Ok(Duration::from_secs(seconds))
}
