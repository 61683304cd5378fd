//! Where a request ends: the length of its body (RFC 9112, 6). Pure: no I/O.
//!
//! A server and a proxy in front of it that disagree on the end of a request can be made to take
//! the rest of it for another one (request smuggling, RFC 9112, 11.2). So only one way to say the
//! length is accepted: one Content-Length, in decimal digits. Whatever else claims a body is
//! refused, and the connection is closed, so that nothing behind it is read as a request.

use super::headers::{Headers, trimmed};
use super::method::Method;
use super::refused::{MALFORMED, Refused};

/// The bytes of body that follow the head of a request; `most` of them are allowed.
///
/// # Errors
/// The length is missing, in doubt or too large.
pub(super) fn body_length(
    headers: &Headers,
    method: Method,
    most: usize,
    is_http_1_0: bool,
) -> Result<usize, Refused> {
    let mut lengths = headers.all("content-length");
    let (length, another) = (lengths.next(), lengths.next());
    if another.is_some() {
        return Err(MALFORMED);
    }
    if headers.get("transfer-encoding").is_some() {
        // With both headers, or in HTTP/1.0, which has no Transfer-Encoding, somebody on the way
        // may count otherwise (RFC 9112, 6.1). A GET with a body is refused in any case.
        let is_doubtful = length.is_some() || is_http_1_0 || method != Method::Post;
        return Err(if is_doubtful { MALFORMED } else { coded(headers) });
    }
    let Some(text) = length else {
        // Without a length there is no body (RFC 9112, 6.3). A POST has to say so with a length of
        // 0. Browsers do, and `curl -d ''`; `curl -X POST` alone does not.
        return match method {
            Method::Post => {
                Err(Refused::new(411, "A POST needs a Content-Length; with curl, add -d ''."))
            }
            Method::Get | Method::Head => Ok(0),
        };
    };
    // Leading zeros are allowed, but someone might read them as octal.
    let is_plain =
        text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if text.is_empty() || !is_plain {
        return Err(MALFORMED);
    }
    // What does not fit into a number is too large as well (RFC 9112, 6.2).
    let length = text.parse().unwrap_or(usize::MAX);
    match method {
        // A body of GET means nothing, and may be an attempt at smuggling (RFC 9110, 9.3.1).
        Method::Get | Method::Head if length > 0 => Err(MALFORMED),
        _ if length > most => Err(Refused::new(413, "The body is too large.")),
        _ => Ok(length),
    }
}

/// The refusal of a POST whose body is in a transfer coding (RFC 9112, 6.1 and 6.3). None is
/// implemented: browsers send a length.
fn coded(headers: &Headers) -> Refused {
    let lists = headers.all("transfer-encoding");
    let codings: Vec<&str> = lists.flat_map(|list| list.split(',')).map(trimmed).collect();
    let chunked = codings.iter().filter(|coding| coding.eq_ignore_ascii_case("chunked")).count();
    let is_last = codings.last().is_some_and(|coding| coding.eq_ignore_ascii_case("chunked"));
    match codings.len() {
        // Nobody can tell where a body ends that is not in chunks, or twice.
        _ if chunked != 1 || !is_last => MALFORMED,
        1 => Refused::new(411, "Send the body with a Content-Length, not in chunks."),
        _ => Refused::new(501, "Transfer codings are not known here."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The length of a POST's body of at most 100 bytes, or the status of the refusal.
    fn posted(headers: &[(&str, &str)]) -> Result<usize, u16> {
        length(headers, Method::Post, false)
    }

    fn length(headers: &[(&str, &str)], method: Method, is_1_0: bool) -> Result<usize, u16> {
        let headers: Headers = headers.iter().copied().collect();
        body_length(&headers, method, 100, is_1_0).map_err(|refused| refused.status)
    }

    const LENGTH: &str = "Content-Length";
    const CODING: &str = "Transfer-Encoding";

    #[test]
    fn a_body_is_as_long_as_its_one_content_length() {
        for (text, bytes) in [("0", 0), ("1", 1), ("99", 99), ("100", 100)] {
            assert_eq!(posted(&[(LENGTH, text)]), Ok(bytes), "{text}");
        }
        for text in ["101", "8192", "4294967296", "18446744073709551616", &"9".repeat(2_000)] {
            assert_eq!(posted(&[(LENGTH, text)]), Err(413), "{text}");
        }
        assert_eq!(posted(&[]), Err(411));
    }

    #[test]
    fn a_length_in_doubt_is_malformed() {
        for text in [
            "", "+5", "-5", "-0", "5 ", " 5", "0x5", "05", "00", "5, 5", "5,6", "5;x", "5.0",
            "1e1", "٥",
        ] {
            assert_eq!(posted(&[(LENGTH, text)]), Err(400), "{text:?}");
        }
        // Even if both agree: the one in front of us might have counted with another one.
        for (one, other) in [("5", "5"), ("5", "6"), ("0", "5"), ("5", "0"), ("0", "0")] {
            assert_eq!(posted(&[(LENGTH, one), ("content-length", other)]), Err(400));
            assert_eq!(length(&[(LENGTH, one), (LENGTH, other)], Method::Get, false), Err(400));
        }
    }

    #[test]
    fn a_body_in_chunks_is_refused_with_what_to_do_instead() {
        assert_eq!(posted(&[(CODING, "chunked")]), Err(411));
        assert_eq!(posted(&[(CODING, "Chunked")]), Err(411));
        assert_eq!(posted(&[(CODING, "gzip, chunked")]), Err(501));
        assert_eq!(posted(&[(CODING, "gzip"), (CODING, "chunked")]), Err(501));
        for text in ["", ",", "identity", "gzip", "chunked, gzip", "chunked, chunked", "xchunked"] {
            assert_eq!(posted(&[(CODING, text)]), Err(400), "{text:?}");
        }
        for text in ["chunked;q=1", "\u{b}chunked", "\"chunked\"", "chunked,", "chunked\0"] {
            assert_eq!(posted(&[(CODING, text)]), Err(400), "{text:?}");
        }
        assert_eq!(posted(&[(CODING, "chunked"), (CODING, "chunked")]), Err(400));
        assert_eq!(posted(&[(CODING, "chunked"), (CODING, "identity")]), Err(400));
    }

    #[test]
    fn both_ways_to_say_the_length_contradict_each_other() {
        assert_eq!(posted(&[(LENGTH, "5"), (CODING, "chunked")]), Err(400));
        assert_eq!(posted(&[(CODING, "chunked"), (LENGTH, "0")]), Err(400));
        assert_eq!(posted(&[(CODING, "gzip, chunked"), (LENGTH, "5")]), Err(400));
        assert_eq!(length(&[(CODING, "chunked")], Method::Post, true), Err(400));
    }

    #[test]
    fn get_and_head_have_no_body() {
        for method in [Method::Get, Method::Head] {
            assert_eq!(length(&[], method, false), Ok(0));
            assert_eq!(length(&[(LENGTH, "0")], method, false), Ok(0));
            assert_eq!(length(&[(LENGTH, "1")], method, false), Err(400));
            assert_eq!(length(&[(LENGTH, "101")], method, false), Err(400));
            assert_eq!(length(&[(CODING, "chunked")], method, false), Err(400));
        }
        assert_eq!(length(&[(LENGTH, "5")], Method::Post, true), Ok(5));
    }
}
