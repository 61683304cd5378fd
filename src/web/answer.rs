//! HTTP answers: status, headers and body, written by `tiny_http` on the connection's thread.

use std::io::{self, Read, Write};
use std::sync::Arc;

use flate2::read::GzDecoder;
use tiny_http::{HTTPVersion, Header, Response, ResponseBox, StatusCode};

use super::bodies::Body;
use super::bundle::Asset;
use super::refused::Refused;
use super::request::Request;

/// No other host may supply content, receive data or frame the page.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
    img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// For answers that are not pages: the browser may load nothing at all.
const DATA_POLICY: &str = "default-src 'none'; frame-ancestors 'none'";

/// Headers of every answer, besides a policy.
const SAFETY: [(&str, &str); 3] = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
];

/// Seconds until a client that was refused because of overload may retry.
const RETRY_AFTER: &str = "1";

/// The headers of [`SAFETY`] and [`DATA_POLICY`], as text.
pub(crate) fn safety_headers() -> String {
    let all = SAFETY.iter().chain(&[("Content-Security-Policy", DATA_POLICY)]);
    all.map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}

/// An answer, ready to be sent.
pub(super) struct Answer {
    response: ResponseBox,
    /// Bytes of memory that it occupies until it has been sent.
    pub(super) held: usize,
    /// Whether it is generated while it is sent; then it has no overall deadline.
    pub(super) is_stream: bool,
}

impl Answer {
    /// JSON, compressed for clients that accept gzip.
    pub(super) fn json(status: u16, body: Arc<Body>, takes_gzip: bool) -> Answer {
        let held = body.size();
        let (reader, length, is_packed) = body.form(takes_gzip);
        let mut headers = vec![
            ("Content-Type", "application/json"),
            ("Cache-Control", "no-store"),
            ("Vary", "Accept-Encoding"),
        ];
        if is_packed {
            headers.push(("Content-Encoding", "gzip"));
        }
        if status == 503 {
            headers.push(("Retry-After", RETRY_AFTER));
        }
        Answer::new(status, reader, length, held, DATA_POLICY, &headers)
    }

    /// CSV of unknown length, of which `held` bytes are in memory at a time. `name` is the file name
    /// under which a browser saves it.
    pub(super) fn csv(reader: impl Read + Send + 'static, held: usize, name: &str) -> Answer {
        let disposition = format!("attachment; filename=\"{name}\"");
        let headers = [
            ("Content-Type", "text/csv; charset=utf-8; header=present"),
            ("Content-Disposition", disposition.as_str()),
            ("Cache-Control", "no-store"),
        ];
        Answer { is_stream: true, ..Answer::new(200, reader, None, held, DATA_POLICY, &headers) }
    }

    /// A file of the page, or 304 if the client already has it. The few clients that do not accept
    /// gzip get it decompressed while it is sent.
    pub(super) fn file(asset: &'static Asset, request: &Request) -> Answer {
        let age = if asset.is_hashed { "public, max-age=31536000, immutable" } else { "no-cache" };
        let mut headers = vec![
            ("Content-Type", asset.kind),
            ("Cache-Control", age),
            ("ETag", asset.etag),
            ("Vary", "Accept-Encoding"),
        ];
        if request.headers.get("if-none-match").is_some_and(|known| known.contains(asset.etag)) {
            return Answer::new(304, io::empty(), 0, 0, POLICY, &headers);
        }
        if request.takes_gzip {
            headers.push(("Content-Encoding", "gzip"));
            return Answer::new(200, asset.gzip, asset.gzip.len(), 0, POLICY, &headers);
        }
        let reader = GzDecoder::new(asset.gzip);
        Answer::new(200, reader, asset.length(), 0, POLICY, &headers)
    }

    /// A page whose text is compiled into the program.
    pub(super) fn page(text: &'static str) -> Answer {
        let headers = [("Content-Type", "text/html; charset=utf-8")];
        Answer::new(200, text.as_bytes(), text.len(), 0, POLICY, &headers)
    }

    /// Says why a request is refused.
    pub(super) fn refusal(Refused { status, why, allow }: &Refused) -> Answer {
        let text = format!("{why}\n").into_bytes();
        let mut headers =
            vec![("Content-Type", "text/plain; charset=utf-8"), ("Cache-Control", "no-store")];
        match status {
            405 => headers.push(("Allow", allow)),
            503 => headers.push(("Retry-After", RETRY_AFTER)),
            _ => {}
        }
        let length = text.len();
        Answer::new(*status, io::Cursor::new(text), length, 0, DATA_POLICY, &headers)
    }

    fn new(
        status: u16,
        reader: impl Read + Send + 'static,
        length: impl Into<Option<usize>>,
        held: usize,
        policy: &str,
        headers: &[(&str, &str)],
    ) -> Answer {
        // If the length is known: no chunks.
        let mut response =
            Response::new(StatusCode(status), Vec::new(), reader, length.into(), None)
                .with_chunked_threshold(usize::MAX);
        let policy = [("Content-Security-Policy", policy)];
        for (name, value) in policy.iter().chain(&SAFETY).chain(headers) {
            if let Ok(header) = Header::from_bytes(*name, *value) {
                response.add_header(header);
            }
        }
        Answer { response: response.boxed(), held, is_stream: false }
    }

    /// Writes the answer: without its body in answer to HEAD; with `Connection: close` if it
    /// `is_last` on its connection.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn print(self, out: impl Write, is_head: bool, is_last: bool) -> io::Result<()> {
        let inserted: &[u8] = if is_last { b"Connection: close\r\n" } else { b"" };
        let out = Inserting { out, inserted: Some(inserted) };
        self.response.raw_print(out, HTTPVersion(1, 1), &[], is_head, None)
    }
}

/// Inserts a header after the status line: `tiny_http` leaves Connection to its own server.
struct Inserting<'a, W> {
    out: W,
    /// `None` once the status line has been written.
    inserted: Option<&'a [u8]>,
}

impl<W: Write> Write for Inserting<'_, W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(inserted) = self.inserted else { return self.out.write(bytes) };
        let Some(end) = bytes.iter().position(|b| *b == b'\n') else {
            return self.out.write(bytes);
        };
        self.inserted = None;
        self.out.write_all(&bytes[..=end])?;
        self.out.write_all(inserted)?;
        Ok(end + 1)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(answer: Answer, is_head: bool, is_last: bool) -> String {
        let mut text = Vec::new();
        answer.print(&mut text, is_head, is_last).unwrap();
        String::from_utf8(text).unwrap()
    }

    fn small() -> Answer {
        Answer::json(200, Body::new("{}".to_owned()), true)
    }

    #[test]
    fn the_last_answer_of_a_connection_says_so_and_no_other() {
        let last = printed(small(), false, true);
        assert!(last.starts_with("HTTP/1.1 200 OK\r\nConnection: close\r\n"), "{last}");
        assert!(last.ends_with("\r\nContent-Length: 2\r\n\r\n{}"), "{last}");
        let other = printed(small(), false, false);
        assert_eq!(other.replacen("HTTP/1.1 200 OK\r\n", "", 1).find("Connection:"), None);
        assert_eq!(last.replace("Connection: close\r\n", ""), other);
    }

    #[test]
    fn an_answer_to_head_has_the_length_and_no_body() {
        let answer = printed(small(), true, false);
        assert!(answer.ends_with("\r\nContent-Length: 2\r\n\r\n"), "{answer}");
    }

    #[test]
    fn refusals_say_what_to_do() {
        let busy = printed(Answer::refusal(&Refused::new(503, "Too many.")), false, true);
        assert!(busy.starts_with("HTTP/1.1 503 Service Unavailable\r\n"), "{busy}");
        assert!(busy.contains("\r\nRetry-After: 1\r\n") && busy.ends_with("\r\n\r\nToo many.\n"));
        let allow = "GET, HEAD";
        let refused = Refused { status: 405, why: "No.", allow };
        let method = printed(Answer::refusal(&refused), false, true);
        assert!(method.contains("\r\nAllow: GET, HEAD\r\n"), "{method}");
        for status in [400, 403, 405, 408, 411, 413, 414, 421, 431, 501, 503, 504, 505] {
            let text =
                printed(Answer::refusal(&Refused { status, why: "No.", allow }), false, true);
            assert!(text.starts_with(&format!("HTTP/1.1 {status} ")), "{text}");
            assert!(!text.contains("Unknown"), "{text}");
            assert!(text.contains("\r\nContent-Security-Policy: default-src 'none';"), "{text}");
            assert!(text.contains("\r\nX-Content-Type-Options: nosniff\r\n"), "{text}");
        }
    }
}
