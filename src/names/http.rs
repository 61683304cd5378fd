//! The host that a plain HTTP request asks for (RFC 9110 section 7.2).

use std::net::IpAddr;

use super::claim::{Claim, Packet, Sink, Source};

/// The longest name of a method, of those that are registered and those of UPnP.
const METHOD: usize = 20;
/// Bytes of a header: of longer ones, full of cookies, the end is not waited for.
const ENOUGH: usize = 4_000;

/// Whether a client's data may begin with a request: a method, a blank.
pub fn begins(stream: &[u8]) -> bool {
    let length = stream.iter().take(METHOD).position(|byte| !is_method(*byte));
    length.is_some_and(|length| length >= 3 && stream[length] == b' ')
}

fn is_method(byte: u8) -> bool {
    byte.is_ascii_uppercase() || matches!(byte, b'-' | b'_')
}

/// Reads the requests with which a client's data begins, one after the other. Returns where the one
/// begins whose header is not complete: only a whole one is believed, or the first [`ENOUGH`] bytes.
pub fn read(packet: &Packet<'_>, stream: &[u8], claims: Sink<'_>) -> Option<usize> {
    let mut start = 0;
    // What follows the body of a request is not looked for: it begins a segment, mostly.
    while begins(&stream[start..]) {
        let Some((first, mut rest)) = line(&stream[start..]) else { return Some(start) };
        if !is_request(first) {
            return None;
        }
        let mut found = None;
        let is_whole = loop {
            let Some((header, after)) = line(rest) else { break false };
            rest = after;
            if header.is_empty() {
                break true;
            }
            found = found.or(host(header));
        };
        let is_enough = is_whole || stream.len() - start >= ENOUGH;
        if is_enough && let Some(host) = found {
            Claim::name(packet.destination, host, Source::Http, claims);
        }
        if !is_whole {
            return (!is_enough).then_some(start);
        }
        start = stream.len() - rest.len();
    }
    None
}

/// The first line, without its end, and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == b'\n')?;
    let line = &bytes[..at];
    Some((line.strip_suffix(b"\r").unwrap_or(line), &bytes[at + 1..]))
}

fn is_request(line: &[u8]) -> bool {
    let version = line.rsplit(|byte| *byte == b' ').next();
    line.iter().filter(|byte| **byte == b' ').count() >= 2
        && version.is_some_and(|version| version.starts_with(b"HTTP/1."))
}

/// The name in a Host header, without a port. An address is no name.
fn host(header: &[u8]) -> Option<&[u8]> {
    let (key, value) = header.split_at(header.iter().position(|byte| *byte == b':')?);
    if !key.eq_ignore_ascii_case(b"host") {
        return None;
    }
    let host = value[1..].trim_ascii();
    let digits = host.iter().rev().take_while(|byte| byte.is_ascii_digit()).count();
    let host = match &host[..host.len() - digits] {
        [host @ .., b':'] if digits > 0 => host,
        _ => host,
    };
    let is_of_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let text = std::str::from_utf8(host).ok()?;
    let is_name = host.iter().all(is_of_name) && host.contains(&b'.');
    (is_name && text.parse::<IpAddr>().is_err()).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::names::samples::{lines, packet};

    fn said(stream: &[u8]) -> (Vec<String>, bool) {
        let mut more = false;
        let lines =
            lines(|packet, claims| more = read(packet, stream, claims).is_some(), &packet(&[]));
        (lines, more)
    }

    #[test]
    fn the_host_of_each_request_is_read() {
        let one = b"GET / HTTP/1.1\r\nAccept: */*\r\nhOST:  Www.Example.org:8080 \r\nA: b\r\n\r\n";
        let name = vec!["10.0.0.2 www.example.org".to_owned()];
        assert_eq!(said(one), (name.clone(), false));
        let two = [&one[..], b"HEAD /b HTTP/1.0\nHost: b.example\n\nbody"].concat();
        assert_eq!(said(&two), (vec![name[0].clone(), "10.0.0.2 b.example".to_owned()], false));
        for length in 0..one.len() {
            assert_eq!(said(&one[..length]), (vec![], begins(&one[..length])), "{length}");
        }
        let long = [&one[..one.len() - 2], b"Cookie: ", &[b'a'; ENOUGH]].concat();
        assert_eq!(said(&long), (name.clone(), false));
        assert!(begins(b"M-SEARCH * HTTP/1.1") && begins(b"PROPFIND /"));
    }

    #[test]
    fn only_names_are_claimed() {
        for host in
            ["192.0.2.1", "192.0.2.1:80", "[::1]:80", "::1", "localhost", "a b.c", "a.b/", ""]
        {
            let request = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(said(request.as_bytes()), (vec![], false), "{host}");
        }
        for other in
            ["EHLO me.example\r\n", "GET /\r\nHost: a.b\r\n", "HTTP/1.1 200 OK\r\nHost: a.b\r\n"]
        {
            assert_eq!(said(other.as_bytes()), (vec![], false), "{other}");
        }
    }
}
