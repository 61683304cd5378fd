//! Requests: parsed and checked, on the connection's thread. Pure: no I/O.
//!
//! Several requests may follow each other on one connection. The end of each must be beyond doubt,
//! or a proxy in front of us could disagree with us (request smuggling, RFC 9112, 11.2). So a body
//! has one plain length ([`super::framing`]), and a request with unusual line ends is the last on
//! its connection.
//!
//! A head is checked before any of its body is read: who is refused need not send it. What a path
//! takes is an argument, so that this file knows no routes.

use std::net::IpAddr;

use super::framing::body_length;
use super::headers::{Headers, trimmed};
use super::method::{Method, Takes};
use super::names::{Admission, is_own_origin};
use super::query::Query;
use super::refused::{MALFORMED, Refused};

/// Headers of a request, at most.
const HEADERS: usize = 64;
/// Bytes of a path with its query, at most.
const PATH: usize = 2_048;

/// A request that has passed the checks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    pub method: Method,
    /// Without the query.
    pub path: String,
    pub query: Query,
    pub headers: Headers,
    /// Who asks: the address of the client, as the kernel knows it. No header is believed.
    pub address: IpAddr,
    /// What a POST sends, within the limit of its path.
    pub body: Vec<u8>,
    /// Whether the client accepts gzip.
    pub takes_gzip: bool,
    /// Whether another request may follow on this connection.
    pub may_stay: bool,
    /// Whether the client accepts answers of unknown length (chunks; HTTP/1.1).
    pub knows_chunks: bool,
}

/// The head of a request that has passed the checks, before its body has come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// With an empty body.
    pub request: Request,
    /// Bytes of the head.
    pub length: usize,
    /// Bytes of the body that follow.
    pub body_length: usize,
    /// Whether the client waits to hear that it may send the body.
    pub awaits_continue: bool,
}

/// Another site's page makes an admitted client's browser send a request: a forged one (CSRF).
const FOREIGN: Refused =
    Refused::new(403, "Another site's page has sent this; only the page of this machine may.");

/// The refusal of a request that does not fit into the buffer.
pub(super) fn too_large(bytes: &[u8]) -> Refused {
    // Empty lines before the request are ignored (RFC 9112, 2.2).
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0);
    if bytes[start..].contains(&b'\n') {
        Refused::new(431, "The request is too large.")
    } else {
        Refused::new(414, "The address is too long.")
    }
}

/// Checks the bytes received so far from `address`; `None` if the head is incomplete. `takes` says
/// what a path takes.
pub(crate) fn check(
    admission: &Admission,
    takes: impl Fn(&str) -> Takes,
    address: IpAddr,
    bytes: &[u8],
) -> Result<Option<Head>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refused::new(431, "The request has too many headers."));
        }
        Err(httparse::Error::Version) if is_other_version(bytes) => {
            return Err(Refused::new(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."));
        }
        Err(_) => return Err(MALFORMED),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(MALFORMED);
    };
    let parts = split_target(target);
    let (path, query) = split_query(parts.map_or(target, |(_, path)| path));
    let (method, body_most) = takes(path).method(method)?;
    if target.len() > PATH {
        return Err(Refused::new(414, "The address is too long."));
    }
    let (authority, _) = parts.ok_or(MALFORMED)?;
    if !target.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(MALFORMED);
    }
    let headers = received(request.headers)?;
    let host = headers.get("host");
    // Two Host headers are an attempt to make two parsers of the request disagree. HTTP/1.0 has no
    // Host; all browsers send it, and only browsers can be tricked.
    if headers.all("host").count() > 1 || host.is_none() && version > 0 {
        return Err(MALFORMED);
    }
    if [host, authority].into_iter().flatten().any(|name| !admission.knows(name)) {
        return Err(Refused::new(
            421,
            "This name is not mine. Use my IP address, or add the name to web.host_names.",
        ));
    }
    let body_length = body_length(&headers, method, body_most, version == 0)?;
    if method == Method::Post && is_foreign(&headers, host) {
        return Err(FOREIGN);
    }
    // HTTP/1.0 does not have this expectation. Others are ignored (RFC 9110, 10.1.1).
    let awaits_continue =
        version > 0 && body_length > 0 && headers.list_has("expect", "100-continue");
    // HTTP/1.0 keeps connections open only by an extension.
    let may_stay = version > 0
        && authority.is_none()
        && has_usual_lines(&bytes[..length])
        && !headers.list_has("connection", "close");
    let takes_gzip = headers.all("accept-encoding").any(includes_gzip);
    let request = Request {
        method,
        path: path.to_owned(),
        query: query.into(),
        address,
        body: Vec::new(),
        takes_gzip,
        may_stay,
        knows_chunks: version > 0,
        headers,
    };
    Ok(Some(Head { request, length, body_length, awaits_continue }))
}

/// A copy of the headers, which are not larger than the buffer of a connection.
fn received(headers: &[httparse::Header<'_>]) -> Result<Headers, Refused> {
    let pairs = headers.iter().map(|header| {
        let value = std::str::from_utf8(header.value).map_err(|_| MALFORMED)?;
        Ok((header.name, trimmed(value)))
    });
    pairs.collect()
}

/// Whether the page of another site sends this. Browsers name the site in the Origin header of
/// every POST (Fetch standard, "append a request `Origin` header"), and newer ones, over HTTPS, in
/// Sec-Fetch-Site as well. Programs such as curl send neither, and nobody tricks them into sending.
///
/// Our own page must send with `fetch` in its usual mode: because of its Referrer-Policy, browsers
/// send `Origin: null` for a form, and for the mode "same-origin".
fn is_foreign(headers: &Headers, host: Option<&str>) -> bool {
    let is_same_origin = headers.get("sec-fetch-site") == Some("same-origin");
    let is_own =
        |origin: &str| host.is_some_and(|host| is_own_origin(origin, host, is_same_origin));
    let is_own_site = |site: &str| matches!(site, "same-origin" | "none");
    !headers.all("origin").all(is_own) || !headers.all("sec-fetch-site").all(is_own_site)
}

/// Path and query.
fn split_query(target: &str) -> (&str, &str) {
    target.split_once('?').unwrap_or((target, ""))
}

/// Whether each line ends with CR LF and only the last is empty.
fn has_usual_lines(head: &[u8]) -> bool {
    let mut lines = head.split_inclusive(|b| *b == b'\n');
    let last = lines.next_back();
    last == Some(b"\r\n") && lines.all(|line| line.len() > 2 && line.ends_with(b"\r\n"))
}

fn is_other_version(bytes: &[u8]) -> bool {
    let mut lines = bytes.split(|b| matches!(b, b'\r' | b'\n')).filter(|line| !line.is_empty());
    let words: Vec<&[u8]> = lines.next().unwrap_or_default().split(|b| *b == b' ').collect();
    match words[..] {
        [_, _, version] => version.starts_with(b"HTTP/") && !version.starts_with(b"HTTP/1."),
        _ => false,
    }
}

/// The authority and the path of a request's target. Clients that treat us as a proxy send the
/// whole URL (RFC 9112, 3.2.2).
fn split_target(target: &str) -> Option<(Option<&str>, &str)> {
    if target.starts_with('/') {
        return Some((None, target));
    }
    let scheme = target.get(..7)?;
    if !scheme.eq_ignore_ascii_case("http://") {
        return None;
    }
    let rest = &target[7..];
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    match path {
        "" => Some((Some(authority), "/")),
        _ if path.starts_with('/') => Some((Some(authority), path)),
        _ => None,
    }
}

/// Whether an Accept-Encoding header includes gzip (RFC 9110, 12.5.3).
fn includes_gzip(value: &str) -> bool {
    let mut is_any_taken = false;
    for item in value.split(',') {
        let (coding, parameter) = item.split_once(';').unwrap_or((item, ""));
        let weight = parameter.trim().strip_prefix("q=").map_or(Ok(1.0), str::parse::<f32>);
        let is_taken = weight.is_ok_and(|weight| weight > 0.0);
        match coding.trim() {
            name if name.eq_ignore_ascii_case("gzip") => return is_taken,
            "*" => is_any_taken = is_taken,
            _ => {}
        }
    }
    is_any_taken
}

#[cfg(test)]
mod tests;
