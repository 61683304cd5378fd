//! Regression tests for fuzzing: feeds every input of fuzz/corpus to its entry point
//! (src/hostile.rs), and opens damaged databases.
//!
//! `cargo test --test hostile first -- --ignored` rewrites the initial inputs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod made;

use std::path::{Path, PathBuf};

use brightstat::hostile;
use brightstat::store::Store;

type Door = fn(&[u8]);

const DOORS: [(&str, Door); 6] = [
    ("frame", hostile::frame),
    ("names", hostile::names),
    ("request", hostile::request),
    ("configuration", hostile::configuration),
    ("card", hostile::card),
    ("moment", hostile::moment),
];

fn corpus(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name)
}

#[test]
fn every_kept_input_does_no_harm() {
    for (name, door) in DOORS {
        let folder = corpus(name);
        let mut tried = 0;
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            // After a panic, the last line printed names the input.
            println!("{}", path.display());
            let bytes = std::fs::read(&path).unwrap();
            door(&bytes);
            // Also cut short, the most frequent input of parsers.
            (0..bytes.len().min(300)).for_each(|length| door(&bytes[..length]));
            tried += 1;
        }
        assert!(tried >= 10, "{}: only {tried} inputs", folder.display());
    }
}

#[test]
fn a_made_frame_behind_any_link_type_does_no_harm() {
    let link = &made::link::LINKS[0];
    for frame in made::cases::frames_of(link, &made::packet::assortment()) {
        for number in 0..300_u16 {
            let input = [&number.to_le_bytes()[..], &[0], &frame.bytes].concat();
            hostile::frame(&input);
            hostile::names(&input);
        }
    }
}

#[test]
fn a_damaged_database_is_answered_from_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sound = database(folder.path());
    let damaged = folder.path().join("damaged.db");
    // SplitMix64: the same damage at every run.
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % below as u64) as usize
    };
    for round in 0..300 {
        let mut bytes = sound.clone();
        for _ in 0..=random(20) {
            // Half of it in the header and the schema, where it does most harm.
            let end = if random(2) == 0 { 4_096 } else { bytes.len() };
            let at = random(end);
            bytes[at] = random(256) as u8;
        }
        if round % 10 == 0 {
            bytes.truncate(random(bytes.len()));
        }
        std::fs::write(&damaged, &bytes).unwrap();
        hostile::database(&damaged);
    }
}

/// A small database of brightstat's, as bytes.
fn database(folder: &Path) -> Vec<u8> {
    let path = folder.join("sound.db");
    let options = brightstat::store::Options {
        tiers: brightstat::config::Config::default().tiers(),
        limits: brightstat::store::Limits { hosts: 100, ports: 100, services: 100 },
        max_size: 1 << 30,
    };
    drop(Store::open(&path, options).unwrap_or_else(|error| panic!("{error}")));
    std::fs::read(path).unwrap()
}

#[test]
#[ignore = "tests/fuzz.sh has the first database made by it"]
fn a_database_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("BRIGHTSTAT_DATABASE").expect("BRIGHTSTAT_DATABASE names the file");
    std::fs::write(path, database(folder.path())).unwrap();
}

#[test]
#[ignore = "writes fuzz/corpus anew"]
fn the_first_inputs_are_made() {
    let write = |name: &str, inputs: Vec<Vec<u8>>| {
        std::fs::create_dir_all(corpus(name)).unwrap();
        for (number, bytes) in inputs.iter().enumerate() {
            std::fs::write(corpus(name).join(format!("made-{number:03}")), bytes).unwrap();
        }
    };
    let packets = made::packet::assortment();
    // All packets after Ethernet; some in turn after each other link layer.
    let frames = made::link::LINKS.iter().enumerate().flat_map(|(number, link)| {
        let some = if number == 0 { 0..packets.len() } else { number % 30..number % 30 + 2 };
        made::cases::frames_of(link, &packets[some]).into_iter().map(|frame| {
            let number = (link.number as u16).to_le_bytes();
            [&number[..], &[0], &frame.bytes[..frame.bytes.len().min(160)]].concat()
        })
    });
    write("frame", frames.collect());
    // Ethernet is number 1.
    let input = |frame: &[u8]| [&[1, 0, 0][..], frame].concat();
    write("names", made::names::frames().iter().map(|frame| input(&frame.bytes)).collect());
    let lines = |text: &str| text.lines().map(|line| line.as_bytes().to_vec()).collect::<Vec<_>>();
    let requests = [
        "GET / HTTP/1.1\r\nHost: pi.local\r\n\r\n",
        "HEAD /api/v1/live?top=5 HTTP/1.0\r\n\r\n",
        "GET /api/v1/history?what=hosts&from=1h&by=auto HTTP/1.1\r\nHost: [::1]:667\r\nAccept-Encoding: gzip;q=0.5, *\r\n\r\n",
        "GET http://192.168.1.1/ HTTP/1.1\r\nHost: 192.168.1.1\r\nIf-None-Match: \"abc\"\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        "POST /post HTTP/1.1\r\nHost: pi\r\nOrigin: http://pi\r\nContent-Length: 5\r\n\r\nhello",
        "POST /post HTTP/1.1\r\nHost: pi\r\nExpect: 100-continue\r\nContent-Length: 1000\r\n\r\n",
        "POST /post HTTP/1.1\r\nHost: pi\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        "POST /post HTTP/1.1\r\nHost: pi\r\nSec-Fetch-Site: cross-site\r\nContent-Length: 1001\r\n\r\n",
        "\r\n\r\nGET / HTTP/1.1\nHost: stat.example.com\n\n",
        "GET /%00%ff HTTP/1.1\r\nHost: evil.example\r\nX: \u{1b}[2J\r\n\r\n",
        "GET http://",
    ];
    write("request", requests.map(|text| text.as_bytes().to_vec()).to_vec());
    let sample = include_str!("../src/config/brightstat.toml");
    let sections = sample.split("\n[").map(|text| format!("[{text}").into_bytes());
    let values = lines(
        "[history]\nhistory.database = \"/x\"\n[capture]\\ninterfaces = [\"eth0\"]\n[[tier]]\n\
         capture.buffer = \"0x10KiB\"\nweb.allow = [\"10.0.0.0/8\", \"::/0\"]\na = 1979-05-27T07:32:00Z\n\
         [history.tiers]\\nminute = \"48h\"\n[network]\\nlocal = [\"300.1.1.1/99\"]\nx = {a = [1, {b = 2}]}\n\
         [web]\\nport = 99999999999999999999\n\u{feff}[web]\n\"\\ud800\"",
    );
    // A literal "\\n" in these lines stands for a line end.
    let values = values.into_iter().map(|value| String::from_utf8(value).unwrap());
    let values = values.map(|value| value.replace("\\n", "\n").into_bytes());
    write("configuration", sections.chain(values).collect());
    let card = include_str!("../image/bootfs/brightstat.toml");
    let cards = ["", "mode = \"bridge\"\n", "mode = \"port\"\r\npassword = \"a b\"\r\n"];
    let odd: [&[u8]; 6] = [
        b"\xef\xbb\xbfmode = 1",
        b"\xff\xfem\0o\0d\0e\0",
        b"\xfe\xff\0m\0o",
        b"local = [\"192.168.0.0/16\"]",
        b"mode = \"<b>\"",
        b"\0\0\0\0",
    ];
    let one_each = card.split("\n\n").map(|text| text.trim_start_matches("# ").as_bytes().to_vec());
    let all = cards.map(|text| text.as_bytes().to_vec()).into_iter().chain(one_each);
    write("card", all.chain(odd.map(<[u8]>::to_vec)).chain([card.as_bytes().to_vec()]).collect());
    let moments = "now\ntoday\nyesterday\nmonday\n2h\n90s\n999999999999y\n@1793541600\n@-1\n@\n\
        2026-11-01 14:00\n2026-11-01T14:00:00Z\n2026-03-29 02:30\n2026-11-01T14:00:00+01:00\n\
        2026-11-01T14:00:00 01:00\n9999-12-31 23:59\n14:00\n1e9\n\u{1f600}\n5min ago";
    write("moment", lines(moments));
}
