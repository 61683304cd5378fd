//! The host that a plain HTTP request asks for (RFC 9110 section 7.2).

use std::net::IpAddr;

use super::claim::{Claim, Packet, Sink, Source};

/// The longest name of a method, of those that are registered and those of UPnP.
const METHOD: usize = 20;
/// Bytes of a request: the end of longer ones is not waited for.
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
/// begins that is not complete. Only a request that has come in full is believed, its body too, or
/// the first [`ENOUGH`] bytes of it.
pub fn read(packet: &Packet<'_>, stream: &[u8], claims: Sink<'_>) -> Option<usize> {
    let mut start = 0;
    while let Some(bytes) = stream.get(start..).filter(|bytes| begins(bytes)) {
        let Some((first, rest)) = line(bytes) else { return Some(start) };
        if !is_request(first) {
            return None;
        }
        let header = Header::read(rest);
        let length = header.end.map(|end| bytes.len() - rest.len() + end + header.body);
        let is_whole = length.is_some_and(|length| length <= bytes.len());
        if !is_whole && bytes.len() < ENOUGH {
            return Some(start);
        }
        if let Some(host) = header.host {
            Claim::name(packet.destination, host, Source::Http, claims);
        }
        start += length.filter(|_| is_whole)?;
    }
    None
}

/// What is of interest in the header of a request.
#[derive(Default)]
struct Header<'a> {
    /// Its length, with the empty line at its end, if that is there.
    end: Option<usize>,
    host: Option<&'a [u8]>,
    /// The length of the body. One in chunks is not followed.
    body: usize,
}

impl<'a> Header<'a> {
    fn read(bytes: &'a [u8]) -> Header<'a> {
        let mut header = Header::default();
        let mut rest = bytes;
        while let Some((field, after)) = line(rest) {
            rest = after;
            if field.is_empty() {
                header.end = Some(bytes.len() - rest.len());
                break;
            }
            let colon = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
            let (key, value) = (&field[..colon], field.get(colon + 1..).unwrap_or_default());
            let value = value.trim_ascii();
            if key.eq_ignore_ascii_case(b"host") {
                header.host = header.host.or(host(value));
            } else if key.eq_ignore_ascii_case(b"content-length") {
                let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                // A greater one is never waited for.
                header.body = number.unwrap_or(0).min(ENOUGH);
            }
        }
        header
    }
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

/// The name in the value of a Host header, without a port. An address is no name.
fn host(host: &[u8]) -> Option<&[u8]> {
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
    fn a_body_is_part_of_its_request() {
        let request = b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 5\r\n\r\nGET /";
        let next = b"GET / HTTP/1.1\r\nHost: b.example\r\n\r\n";
        let (one, two) = ("10.0.0.2 a.example".to_owned(), "10.0.0.2 b.example".to_owned());
        assert_eq!(said(&request[..request.len() - 1]), (vec![], true));
        assert_eq!(said(request), (vec![one.clone()], false));
        assert_eq!(said(&[&request[..], next].concat()), (vec![one.clone(), two], false));
        let mut long =
            b"POST /a HTTP/1.1\r\nHost: a.example\r\nContent-Length: 99999\r\n\r\n".to_vec();
        assert_eq!(said(&long), (vec![], true));
        long.resize(ENOUGH, b' ');
        assert_eq!(said(&long), (vec![one], false));
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
