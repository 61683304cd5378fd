//! Entry points for hostile input: one for each parser of foreign bytes.
//!
//! The fuzzers in fuzz/ and the replay of their corpora (tests/hostile.rs) call these, so that
//! the parsers need not be public. An entry point returns nothing, and panics when an invariant
//! is broken. The programs do not contain this.

use std::net::Ipv4Addr;
use std::path::Path;

use jiff::Zoned;
use jiff::tz::TimeZone;

use crate::ask::when;
use crate::command::import::settings;
use crate::config::Loaded;
use crate::decode::{Addr, LinkLayer, Mac, PacketRecord, decode};
use crate::names::claim::{Claim, LONGEST, Packet};
use crate::names::listener::{DISSECTORS, Listener, Wants};
use crate::names::locate::locate;
use crate::names::quic::Initials;
use crate::names::{Book, dns, http, tls};
use crate::store::kind::KINDS;
use crate::store::query::History;
use crate::store::question::{Question, Step};
use crate::web::method::{Method, Takes};
use crate::web::names::Admission;
use crate::web::request;

/// A frame: two bytes of link type (little-endian), one byte of how much longer it was on the
/// wire, then the captured bytes.
pub fn frame(bytes: &[u8]) {
    let [low, high, more, frame @ ..] = bytes else {
        return;
    };
    let link = LinkLayer::from_dlt(i32::from(u16::from_le_bytes([*low, *high])));
    let wire = frame.len() as u32 + u32::from(*more);
    let mut record = PacketRecord::default();
    decode(link, frame, wire, 7, &mut record);
    assert_eq!((record.wire_len, record.captured_len as usize), (wire, frame.len()));
    if !record.is_ip() {
        assert_eq!([record.source, record.destination], [Addr::NONE; 2]);
        assert_eq!(record.ports(), None);
    }
    if let Some(fragment) = record.fragment() {
        assert!(fragment.offset == 0 || record.ports().is_none());
    }
}

/// A frame, written as for [`frame`], with names in it: as it is heard, and what is in it as the
/// payload of every dissector, whatever the ports are.
pub fn names(bytes: &[u8]) {
    let [low, high, more, frame @ ..] = bytes else {
        return;
    };
    let link = LinkLayer::from_dlt(i32::from(u16::from_le_bytes([*low, *high])));
    let wire = frame.len() as u32 + u32::from(*more);
    let mut record = PacketRecord::default();
    decode(link, frame, wire, 7, &mut record);
    let (mut book, mut listener) = (Book::default(), Listener::default());
    let mut claims = |claim: Claim| {
        let name = match &claim {
            Claim::Name { name, .. } | Claim::Trait { text: name, .. } => name.as_str(),
            Claim::Link { mac, .. } => {
                assert!(mac.is_known());
                "a link"
            }
        };
        assert!(
            (1..=LONGEST).contains(&name.len()) && !name.contains(char::is_control),
            "{name:?}"
        );
        book.note(7, claim);
    };
    // Twice: the second time with what the listener has kept of the first.
    for _ in 0..2 {
        listener.hear(frame, &record, &mut claims);
    }
    let located = locate(frame, &record).map(|(packet, _)| packet);
    let whole = Packet {
        time: 7,
        mac: Mac([2; 6]),
        source: Ipv4Addr::LOCALHOST.into(),
        destination: Ipv4Addr::LOCALHOST.into(),
        ports: (0, 0),
        hop_limit: 255,
        payload: frame,
    };
    for packet in [Some(whole), located].into_iter().flatten() {
        for dissector in DISSECTORS {
            let ports = match dissector.wants {
                Wants::Udp(ports) => ports,
                Wants::All(_) => &[0],
            };
            for &port in ports {
                (dissector.read)(&Packet { ports: (port, port), ..packet }, &mut claims);
            }
        }
        for read in [tls::read, http::read, dns::read_stream] {
            let from = read(&packet, packet.payload, &mut claims);
            assert!(from.is_none_or(|from| from <= packet.payload.len()));
        }
        Initials::default().read(&packet, &mut claims);
    }
}

/// A request to the page, as it came from a client.
pub fn request(bytes: &[u8]) {
    let names = ["stat.example.com".to_owned()];
    let admission = Admission::new(Vec::new(), Vec::new(), Vec::new(), "pi", &names);
    let takes = |path: &str| match path {
        "/post" => Takes { get: false, post: Some(1_000) },
        _ => Takes::GET,
    };
    let address = Ipv4Addr::LOCALHOST.into();
    if let Ok(Some(head)) = request::check(&admission, takes, address, bytes) {
        let request = head.request;
        assert!(request.path.starts_with('/') && head.length <= bytes.len());
        assert!(request.path.is_ascii());
        let is_post = request.method == Method::Post;
        assert_eq!(is_post, request.path == "/post");
        assert!(head.body_length <= if is_post { 1_000 } else { 0 });
    }
}

/// `brightstat.toml`.
pub fn configuration(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let mut loaded = Loaded::default();
    if let Err(error) = loaded.merge(Path::new("hostile.toml"), text) {
        assert!(error.to_string().contains("hostile.toml"), "{error}");
    } else {
        let _ = loaded.check_tiers();
    }
}

/// The settings on the card, `brightstat.toml` of the FAT partition: they must give a valid
/// configuration, or mistakes.
pub fn card(bytes: &[u8]) {
    let Ok(text) = settings::decode(bytes) else {
        return;
    };
    match settings::read(&text) {
        Ok(settings) => {
            let own = settings.configuration("the card");
            let merged = Loaded::default().merge(Path::new("card.toml"), &own);
            assert!(merged.is_ok(), "{own}: {:?}", merged.err().map(|error| error.to_string()));
        }
        Err(mistakes) => assert!(!mistakes.is_empty()),
    }
}

/// A moment as people write it, in a zone with summer time.
pub fn moment(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap_or(TimeZone::UTC);
    let now = Zoned::new(jiff::Timestamp::from_second(1_774_746_000).unwrap_or_default(), zone);
    if let Ok(seconds) = when::moment(text, &now) {
        assert!((0..=253_402_207_200).contains(&seconds), "{text}: {seconds}");
    }
}

/// A database file, asked every kind of question.
pub fn database(path: &Path) {
    let Ok(history) = History::open(path) else {
        return;
    };
    for kind in KINDS {
        for step in [Step::Whole, Step::Auto(50)] {
            let (from, to) = (1_700_000_000, 1_700_100_000);
            let question =
                Question { kind, only: None, from, to, step, most: 1_000, top: 10, rows: None };
            // An error message is a good answer, too.
            let _ = history.ask(&question, None);
        }
    }
}
