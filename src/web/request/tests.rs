//! Requests: what is accepted, what is refused, and where they end.

use super::*;

/// `/post` takes a POST of at most 100 bytes, `/both` one of 5 and GET, all else GET.
fn checked(request: &[u8]) -> Result<Option<Head>, Refused> {
    let admission = Admission::new(vec![], vec![], vec![], "pi", &[]);
    let takes = |path: &str| match path {
        "/post" => Takes { get: false, post: Some(100) },
        "/both" => Takes { get: true, post: Some(5) },
        _ => Takes::GET,
    };
    check(&admission, takes, ADDRESS, request)
}

const ADDRESS: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(192, 168, 1, 5));

fn status(request: &str) -> u16 {
    match checked(request.as_bytes()) {
        Ok(Some(_)) => 200,
        Ok(None) => 100,
        Err(refused) => refused.status,
    }
}

fn head(text: &str) -> Head {
    checked(text.as_bytes()).unwrap().unwrap()
}

fn request(text: &str) -> Request {
    head(text).request
}

#[test]
fn what_is_needed_of_a_request_is_read() {
    let text = "GET /api/v1/live?top=5 HTTP/1.1\r\nHost: pi.local:667\r\nCookie: a=b\r\n\
        X-Forwarded-For: 1.2.3.4\r\nif-none-match: \"12ab\"\r\nAccept-Encoding: br, gzip\r\n\r\n";
    let head = head(text);
    assert_eq!(head, checked(format!("{text}GET /next").as_bytes()).unwrap().unwrap());
    assert_eq!((head.length, head.body_length, head.awaits_continue), (text.len(), 0, false));
    let Request { method, path, query, headers, address, body, .. } = &head.request;
    assert_eq!((*method, path.as_str(), query.text()), (Method::Get, "/api/v1/live", "top=5"));
    assert_eq!(headers.get("if-none-match"), Some("\"12ab\""));
    assert_eq!(headers.get("cookie"), Some("a=b"));
    // Who asks is told by the kernel.
    assert_eq!((*address, body.len()), (ADDRESS, 0));
    assert!(head.request.takes_gzip && head.request.may_stay && head.request.knows_chunks);
    let head = request("HEAD / HTTP/1.1\r\nHost: pi\r\n\r\n");
    assert_eq!(head.method, Method::Head);
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
        format!("{}?{}", request.path, request.query.text())
    };
    assert_eq!(line("http://pi/api/v1/live?top=1"), "/api/v1/live?top=1");
    assert_eq!(line("HTTP://pi:667"), "/?");
    for target in ["https://pi/", "ftp://pi/", "http:/pi", "*", "pi:667", "http://pi?x", "é"] {
        assert_eq!(status(&format!("GET {target} HTTP/1.1\r\nHost: pi\r\n\r\n")), 400, "{target}");
    }
}

#[test]
fn a_path_says_which_methods_it_takes() {
    let refused = |method: &str, path: &str| {
        let body = "Content-Length: 5\r\n\r\nbody=";
        let text = format!("{method} {path} HTTP/1.1\r\nHost: pi\r\n{body}");
        let refused = checked(text.as_bytes()).unwrap_err();
        assert!(refused.why.contains(refused.allow.rsplit(' ').next().unwrap()), "{refused:?}");
        (refused.status, refused.allow)
    };
    for method in ["PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "BREW", "get", "Post", "POST"] {
        assert_eq!(refused(method, "/"), (405, "GET, HEAD"), "{method}");
        assert_eq!(refused(method, "/nothing?x"), (405, "GET, HEAD"), "{method}");
    }
    for method in ["GET", "HEAD", "PUT", "post"] {
        assert_eq!(refused(method, "/post?x"), (405, "POST"), "{method}");
        assert_eq!(refused(method, "http://pi/post"), (405, "POST"), "{method}");
    }
    assert_eq!(refused("PUT", "/both"), (405, "GET, HEAD, POST"));
    assert_eq!(refused("OPTIONS", "*"), (405, "GET, HEAD"));
    assert_eq!(refused("POST", "*"), (405, "GET, HEAD"));
    assert_eq!(refused("CONNECT", "pi:667"), (405, "GET, HEAD"));
    assert_eq!(status("GET /both HTTP/1.1\r\nHost: pi\r\n\r\n"), 200);
}

/// A POST with these headers besides Host.
fn post(headers: &str) -> String {
    format!("POST /post HTTP/1.1\r\nHost: pi:667\r\n{headers}\r\n\r\n")
}

#[test]
fn a_post_has_a_body_within_the_limit_of_its_path() {
    let posted = head(&post("Content-Length: 100"));
    assert_eq!((posted.request.method, posted.body_length), (Method::Post, 100));
    assert!(posted.request.may_stay && posted.request.body.is_empty());
    // The head is judged before the body has come, and its length is that of the head alone.
    let text = post("Content-Length: 5");
    assert_eq!(head(&format!("{text}body=GET / HTTP/1.1")), head(&text));
    assert_eq!(head(&text).length, text.len());
    assert_eq!(status(&post("Content-Length: 101")), 413);
    assert_eq!(status(&post("Content-Length: 6").replace("/post", "/both")), 413);
    assert_eq!(status(&post("Content-Length: 5").replace("/post", "/both")), 200);
    assert_eq!(status(&post("X: y")), 411);
    assert_eq!(status(&post("Transfer-Encoding: chunked")), 411);
    assert_eq!(status(&post("Transfer-Encoding: gzip, chunked")), 501);
    assert_eq!(status(&post("Transfer-Encoding: chunked\r\nContent-Length: 5")), 400);
    assert_eq!(status(&post("Content-Length: 5\r\nContent-Length: 5")), 400);
    // HTTP/1.0 has bodies as well, and no chunks.
    let old = |headers: &str| post(headers).replace("HTTP/1.1", "HTTP/1.0");
    assert!(!request(&old("Content-Length: 5")).may_stay);
    assert_eq!(status(&old("Transfer-Encoding: chunked")), 400);
    assert_eq!(status(&old("X: y")), 411);
}

/// Space of Unicode was cut off, so that a length was seen where a proxy sees none.
#[test]
fn only_plain_space_may_stand_around_a_value() {
    for space in ["\u{a0}", "\u{85}", "\u{2003}", "\u{3000}"] {
        assert_eq!(status(&post(&format!("Content-Length: 5{space}"))), 400, "{space:?}");
        assert_eq!(status(&post(&format!("Content-Length:{space}5"))), 400, "{space:?}");
        let coded = format!("Transfer-Encoding:{space}chunked");
        assert_eq!(status(&post(&coded)), 400, "{space:?}");
    }
    assert_eq!(head(&post("Content-Length: \t 5 \t")).body_length, 5);
}

#[test]
fn a_client_may_wait_to_hear_that_its_body_is_wanted() {
    let awaits = |headers: &str| head(&post(headers)).awaits_continue;
    assert!(awaits("Content-Length: 5\r\nExpect: 100-continue"));
    assert!(awaits("EXPECT: x, 100-Continue\r\nContent-Length: 5"));
    assert!(!awaits("Content-Length: 5\r\nExpect: 200-ok"));
    assert!(!awaits("Content-Length: 5"));
    // Nothing follows; or it is HTTP/1.0.
    assert!(!awaits("Content-Length: 0\r\nExpect: 100-continue"));
    let old = post("Content-Length: 5\r\nExpect: 100-continue").replace("1.1", "1.0");
    assert!(!head(&old).awaits_continue);
    // Who is refused hears that instead.
    assert_eq!(status(&post("Content-Length: 500\r\nExpect: 100-continue")), 413);
}

#[test]
fn a_page_of_another_site_can_send_nothing() {
    let with = |headers: &str| status(&post(&format!("Content-Length: 5\r\n{headers}")));
    for headers in [
        "X: from curl",
        "Origin: http://pi:667",
        "Origin: http://PI:667\r\nSec-Fetch-Site: same-origin",
        // Through a proxy that speaks HTTPS.
        "Origin: https://pi:667\r\nSec-Fetch-Site: same-origin",
    ] {
        assert_eq!(with(headers), 200, "{headers}");
    }
    for headers in [
        "Origin: http://evil.example",
        "Origin: http://pi",
        "Origin: http://pi:80",
        // Another server of the same machine.
        "Origin: https://pi:667",
        "Origin: null",
        "Origin: ",
        "Origin: http://pi:667\r\nOrigin: http://evil.example",
        "Origin: http://pi:667\r\nSec-Fetch-Site: cross-site",
        "Sec-Fetch-Site: same-site",
        "Sec-Fetch-Site: ",
    ] {
        assert_eq!(with(headers), 403, "{headers}");
    }
    let old = "POST /post HTTP/1.0\r\nContent-Length: 5\r\n";
    assert_eq!(status(&format!("{old}\r\n")), 200);
    assert_eq!(status(&format!("{old}Origin: http://pi\r\n\r\n")), 403);
    // A GET changes nothing, whoever links to it.
    let get = "GET / HTTP/1.1\r\nHost: pi\r\nOrigin: http://evil.example\r\n\r\n";
    assert_eq!(status(get), 200);
}

#[test]
fn a_get_has_no_body() {
    let with = |header: &str| status(&format!("GET / HTTP/1.1\r\nHost: pi\r\n{header}\r\n\r\n"));
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
    assert_eq!(too_large(b"\r\nGET /xxxxx").status, 414);
    assert_eq!(too_large(b"GET / HTTP/1.1\r\nX: yyyy").status, 431);
    assert_eq!(too_large(b"\r\n\r\n").status, 431);
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
