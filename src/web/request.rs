//! Requests: parsed and checked, on the connection's thread. Pure: no I/O.
//!
//! Several requests may follow each other on one connection. The end of each must be beyond doubt,
//! or a proxy in front of us could disagree with us (request smuggling, RFC 9112, 11.2). So a
//! request with a body is refused, and a request with unusual line ends is the last on its
//! connection.

use super::names::Admission;

/// Headers of a request, at most.
const HEADERS: usize = 64;
/// Bytes of a path with its query, at most.
const PATH: usize = 2_048;

/// A request that has passed the checks.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Request {
    /// HEAD: the answer has no body.
    pub is_head: bool,
    /// Without the query.
    pub path: String,
    /// The part after the question mark.
    pub query: String,
    /// The value of If-None-Match, empty if there is none.
    pub etag: String,
    /// Whether the client accepts gzip.
    pub takes_gzip: bool,
    /// Whether another request may follow on this connection.
    pub may_stay: bool,
    /// Whether the client accepts answers of unknown length (chunks; HTTP/1.1).
    pub knows_chunks: bool,
    /// Bytes of the request.
    pub length: usize,
}

/// Why a request is refused: an HTTP status and a sentence for people.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refused(pub u16, pub &'static str);

const MALFORMED: Refused = Refused(400, "The request is malformed.");

/// The refusal of a request that does not fit into the buffer.
pub(super) fn too_large(bytes: &[u8]) -> Refused {
    // Empty lines before the request are ignored (RFC 9112, 2.2).
    let start = bytes.iter().position(|b| !matches!(b, b'\r' | b'\n')).unwrap_or(0);
    if bytes[start..].contains(&b'\n') {
        Refused(431, "The request is too large.")
    } else {
        Refused(414, "The address is too long.")
    }
}

/// Checks the bytes received so far; `None` if the request is incomplete.
pub(crate) fn check(admission: &Admission, bytes: &[u8]) -> Result<Option<Request>, Refused> {
    let mut headers = [httparse::EMPTY_HEADER; HEADERS];
    let mut request = httparse::Request::new(&mut headers);
    let length = match request.parse(bytes) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Ok(None),
        Err(httparse::Error::TooManyHeaders) => {
            return Err(Refused(431, "The request has too many headers."));
        }
        Err(httparse::Error::Version) if is_other_version(bytes) => {
            return Err(Refused(505, "Only HTTP/1.1 and HTTP/1.0 are spoken here."));
        }
        Err(_) => return Err(MALFORMED),
    };
    let (Some(method), Some(target), Some(version)) =
        (request.method, request.path, request.version)
    else {
        return Err(MALFORMED);
    };
    if !matches!(method, "GET" | "HEAD") {
        return Err(Refused(405, "Only GET and HEAD are served here."));
    }
    if target.len() > PATH {
        return Err(Refused(414, "The address is too long."));
    }
    let (authority, path) = split_target(target).ok_or(MALFORMED)?;
    if !path.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(MALFORMED);
    }
    let mut host = None;
    let mut etag = "";
    let mut takes_gzip = false;
    // HTTP/1.0 keeps connections open only by an extension.
    let mut may_stay = version > 0 && authority.is_none() && has_usual_lines(&bytes[..length]);
    for header in request.headers.iter() {
        let value = std::str::from_utf8(header.value).map_err(|_| MALFORMED)?.trim();
        match header.name.to_ascii_lowercase().as_str() {
            // Two Host headers, or a body, are an attempt to make two parsers of the request
            // disagree.
            "host" if host.is_some() => return Err(MALFORMED),
            "host" => host = Some(value),
            "transfer-encoding" => return Err(MALFORMED),
            "content-length" if value != "0" => return Err(MALFORMED),
            "if-none-match" => etag = value,
            "connection" => may_stay &= !includes(value, "close"),
            "accept-encoding" => takes_gzip |= includes_gzip(value),
            _ => {}
        }
    }
    // HTTP/1.0 has no Host. All browsers send it, and only browsers can be tricked.
    if host.is_none() && version > 0 {
        return Err(MALFORMED);
    }
    if [host, authority].into_iter().flatten().any(|name| !admission.knows(name)) {
        return Err(Refused(
            421,
            "This name is not mine. Use my IP address, or add the name to web.host_names.",
        ));
    }
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    Ok(Some(Request {
        is_head: method == "HEAD",
        path: path.to_owned(),
        query: query.to_owned(),
        etag: etag.to_owned(),
        takes_gzip,
        may_stay,
        knows_chunks: version > 0,
        length,
    }))
}

/// Whether each line ends with CR LF and only the last is empty.
fn has_usual_lines(head: &[u8]) -> bool {
    let mut lines = head.split_inclusive(|b| *b == b'\n');
    let last = lines.next_back();
    last == Some(b"\r\n") && lines.all(|line| line.len() > 2 && line.ends_with(b"\r\n"))
}

/// Whether a comma-separated list contains this word.
fn includes(list: &str, word: &str) -> bool {
    list.split(',').any(|item| item.trim().eq_ignore_ascii_case(word))
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
mod tests {
    use super::*;

    fn checked(request: &[u8]) -> Result<Option<Request>, Refused> {
        let admission = Admission::new(vec![], vec![], vec![], "pi", &[]);
        check(&admission, request)
    }

    fn status(request: &str) -> u16 {
        match checked(request.as_bytes()) {
            Ok(Some(_)) => 200,
            Ok(None) => 100,
            Err(Refused(status, _)) => status,
        }
    }

    fn request(text: &str) -> Request {
        checked(text.as_bytes()).unwrap().unwrap()
    }

    #[test]
    fn what_is_needed_of_a_request_is_read() {
        let text = "GET /api/v1/live?top=5 HTTP/1.1\r\nHost: pi.local:667\r\nCookie: a=b\r\n\
            X-Forwarded-For: 1.2.3.4\r\nif-none-match: \"12ab\"\r\nAccept-Encoding: br, gzip\r\n\r\n";
        let wanted = Request {
            is_head: false,
            path: "/api/v1/live".to_owned(),
            query: "top=5".to_owned(),
            etag: "\"12ab\"".to_owned(),
            takes_gzip: true,
            may_stay: true,
            knows_chunks: true,
            length: text.len(),
        };
        assert_eq!(request(text), wanted);
        assert_eq!(request(&format!("{text}GET /next")), wanted);
        assert!(request("HEAD / HTTP/1.1\r\nHost: pi\r\n\r\n").is_head);
    }

    #[test]
    fn a_connection_stays_where_the_end_of_the_request_is_beyond_doubt() {
        for text in [
            "GET / HTTP/1.1\r\nHost: pi\r\n\r\n",
            "HEAD / HTTP/1.1\r\nHost: pi\r\nConnection: keep-alive\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nContent-Length: 0\r\n\r\n",
        ] {
            assert!(request(text).may_stay, "{text:?}");
        }
        for text in [
            "GET / HTTP/1.0\r\nHost: pi\r\n\r\n",
            "GET / HTTP/1.0\r\nHost: pi\r\nConnection: keep-alive\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nConnection: close\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nConnection: TE, Close\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nConnection: close\r\nConnection: TE\r\n\r\n",
            "GET http://pi/ HTTP/1.1\r\nHost: pi\r\n\r\n",
            "GET / HTTP/1.1\nHost: pi\n\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nX: y\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\n\n",
            "\r\nGET / HTTP/1.1\r\nHost: pi\r\n\r\n",
        ] {
            assert!(!request(text).may_stay, "{text:?}");
        }
    }

    #[test]
    fn a_request_that_has_not_ended_waits_for_more() {
        let whole = "GET / HTTP/1.1\r\nHost: pi\r\n\r\n";
        for end in 0..whole.len() {
            assert_eq!(status(&whole[..end]), 100, "{:?}", &whole[..end]);
        }
        assert_eq!(status(whole), 200);
    }

    #[test]
    fn other_names_are_refused_wherever_they_stand() {
        assert_eq!(status("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
        assert_eq!(status("GET / HTTP/1.0\r\nHost: evil.example\r\n\r\n"), 421);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: \r\n\r\n"), 421);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: pi@evil.example\r\n\r\n"), 421);
        assert_eq!(status("GET http://evil.example/ HTTP/1.1\r\nHost: pi\r\n\r\n"), 421);
        assert_eq!(status("GET http://pi/ HTTP/1.1\r\nHost: evil.example\r\n\r\n"), 421);
        assert_eq!(status("GET http://pi@evil.example/ HTTP/1.1\r\nHost: pi\r\n\r\n"), 421);
    }

    #[test]
    fn host_is_there_once_but_for_http_1_0() {
        assert_eq!(status("GET / HTTP/1.1\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.0\r\n\r\n"), 200);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: pi\r\nHost: pi\r\n\r\n"), 400);
        assert_eq!(status("GET / HTTP/1.1\r\nHost: pi\r\nhost: evil.example\r\n\r\n"), 400);
        assert_eq!(status("GET http://pi/ HTTP/1.1\r\n\r\n"), 400);
    }

    #[test]
    fn the_whole_address_is_as_good_as_the_path() {
        let line = |target: &str| {
            let request = request(&format!("GET {target} HTTP/1.1\r\nHost: pi\r\n\r\n"));
            format!("{}?{}", request.path, request.query)
        };
        assert_eq!(line("http://pi/api/v1/live?top=1"), "/api/v1/live?top=1");
        assert_eq!(line("HTTP://pi:667"), "/?");
        for target in ["https://pi/", "ftp://pi/", "http:/pi", "*", "pi:667", "http://pi?x", "é"] {
            assert_eq!(
                status(&format!("GET {target} HTTP/1.1\r\nHost: pi\r\n\r\n")),
                400,
                "{target}"
            );
        }
    }

    #[test]
    fn only_get_and_head_are_served() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get"] {
            let request =
                format!("{method} / HTTP/1.1\r\nHost: pi\r\nContent-Length: 9\r\n\r\nbody=body");
            assert_eq!(status(&request), 405, "{method}");
        }
    }

    #[test]
    fn a_body_is_refused() {
        let with =
            |header: &str| status(&format!("GET / HTTP/1.1\r\nHost: pi\r\n{header}\r\n\r\n"));
        assert_eq!(with("Content-Length: 5"), 400);
        assert_eq!(with("Content-Length: 0"), 200);
        assert_eq!(with("Content-Length: +0"), 400);
        assert_eq!(with("Content-Length: 0\r\nContent-Length: 5"), 400);
        assert_eq!(with("Transfer-Encoding: chunked"), 400);
        assert_eq!(with("transfer-encoding: identity"), 400);
    }

    #[test]
    fn bytes_that_have_no_place_in_a_request_are_refused() {
        for request in [
            "GET /\0 HTTP/1.1\r\nHost: pi\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\0\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nX: a\0b\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nX\0: a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nX: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nX : a\r\n\r\n",
            "GET / HTTP/1.1\r\nHost: pi\r\nX: a\r\n folded\r\n\r\n",
            "GET / HTTP/1.1\r\n Host: pi\r\n\r\n",
            "GET / HTTP/1.1\rHost: pi\r\r",
            "GET /\u{e9} HTTP/1.1\r\nHost: pi\r\n\r\n",
            "GET  / HTTP/1.1\r\nHost: pi\r\n\r\n",
            "GET /a b HTTP/1.1\r\nHost: pi\r\n\r\n",
            "GET /\t HTTP/1.1\r\nHost: pi\r\n\r\n",
            "GET /\r\nHost: pi\r\n\r\n",
            "\x16\x03\x01\x02\0\x01\0",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "GET / HTTP/1.10\r\nHost: pi\r\n\r\n",
        ] {
            assert_eq!(status(request), 400, "{request:?}");
        }
    }

    #[test]
    fn lines_may_end_without_a_carriage_return() {
        // RFC 9112, 2.2 allows this. Such a request is the last on its connection.
        assert_eq!(status("GET / HTTP/1.1\nHost: pi\n\n"), 200);
        assert_eq!(status("\r\n\r\nGET / HTTP/1.1\r\nHost: pi\r\n\r\n"), 200);
    }

    #[test]
    fn other_versions_are_named() {
        assert_eq!(status("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505);
        assert_eq!(status("GET / HTTP/3.0\r\nHost: pi\r\n\r\n"), 505);
        assert_eq!(status("GET / HTTP/0.9\r\nHost: pi\r\n\r\n"), 505);
        assert_eq!(status("GET / HTTPS/1.1\r\nHost: pi\r\n\r\n"), 400);
    }

    #[test]
    fn what_is_too_much_is_told_apart() {
        let path = format!("GET /{} HTTP/1.1\r\nHost: pi\r\n\r\n", "x".repeat(PATH));
        assert_eq!(status(&path), 414);
        let headers = format!("GET / HTTP/1.1\r\nHost: pi\r\n{}\r\n", "X: y\r\n".repeat(HEADERS));
        assert_eq!(status(&headers), 431);
        assert_eq!(too_large(b"\r\nGET /xxxxx").0, 414);
        assert_eq!(too_large(b"GET / HTTP/1.1\r\nX: yyyy").0, 431);
        assert_eq!(too_large(b"\r\n\r\n").0, 431);
    }

    #[test]
    fn gzip_is_sent_to_those_who_take_it() {
        for value in ["gzip", "br, GZIP;q=0.5", "*", "deflate,*;q=0.1", "gzip, *;q=0"] {
            assert!(includes_gzip(value), "{value}");
        }
        for value in ["", "br", "gzip;q=0", "*;q=0", "gzip;q=0, *", "gzip;q=x", "xgzip"] {
            assert!(!includes_gzip(value), "{value}");
        }
    }
}
