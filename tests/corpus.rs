//! Every real capture of the corpus against its ground truth.
//!
//! The corpus lies beside the project (`../shared/corpus`, or where `BRIGHTSTAT_CORPUS`
//! says) and is no part of it. Each capture has a `FILE.truth.json` made from tshark and
//! a second decoder; its `judge` says how much of it must be met. Where we differ on
//! purpose, README has the table ("Where brightstat and tshark differ").
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

type Counts = BTreeMap<String, (u64, u64)>;

fn corpus() -> Option<PathBuf> {
    let path = std::env::var_os("BRIGHTSTAT_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
        PathBuf::from,
    );
    path.is_dir().then_some(path)
}

struct Run {
    code: i32,
    report: Option<Value>,
    message: String,
}

fn report(file: &Path) -> Run {
    let output = Command::new(env!("CARGO_BIN_EXE_brightstat"))
        .args(["report", "--json", "--top", "0"])
        .arg(file)
        .output()
        .unwrap();
    Run {
        code: output.status.code().unwrap_or_else(|| panic!("{}: killed", file.display())),
        report: serde_json::from_slice(&output.stdout).ok(),
        message: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn pair(value: &Value, packets: &str, bytes: &str) -> (u64, u64) {
    (value[packets].as_u64().unwrap(), value[bytes].as_u64().unwrap())
}

fn object(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().unwrap().iter()
}

/// The truth's keys, in the words of `truth.py`: `l3:ipv4`, `proto:6`, `ip:10.0.0.1` ...
fn expected(truth: &Value) -> Counts {
    let mut counts = Counts::new();
    let t = &truth["totals"];
    counts.insert("total".into(), pair(t, "frames", "wire"));
    counts.insert("captured".into(), pair(t, "frames", "cap"));
    for (name, row) in object(&truth["l3"]) {
        // RARP and IP headers that name no hosts are "other" here.
        let name = match name.as_str() {
            "ipv4" | "ipv6" | "arp" => name.as_str(),
            _ => "other",
        };
        let (packets, bytes) = pair(row, "pkts", "wire");
        let sum = counts.entry(format!("l3:{name}")).or_default();
        *sum = (sum.0 + packets, sum.1 + bytes);
    }
    for (name, row) in object(&truth["proto"]) {
        counts.insert(format!("proto:{name}"), pair(row, "pkts", "wire"));
    }
    for (name, row) in object(&truth["hosts"]) {
        counts.insert(format!("ip:{name} in"), pair(row, "in_pkts", "in_wire"));
        counts.insert(format!("ip:{name} out"), pair(row, "out_pkts", "out_wire"));
    }
    for transport in ["tcp", "udp"] {
        for (port, row) in object(&truth[format!("{transport}_service")]) {
            counts.insert(format!("{transport}:{port}"), pair(row, "pkts", "wire"));
        }
    }
    counts
}

/// The same keys, from our report.
fn counted(report: &Value) -> Counts {
    let mut counts = Counts::new();
    counts.insert("total".into(), pair(report, "frames", "bytes"));
    counts.insert("captured".into(), pair(report, "frames", "captured_bytes"));
    for (name, row) in object(&report["ethertypes"]) {
        counts.insert(format!("l3:{name}"), pair(row, "packets", "bytes"));
    }
    for (name, row) in object(&report["protocols"]) {
        counts.insert(format!("proto:{}", number(name)), pair(row, "packets", "bytes"));
    }
    for row in report["hosts"].as_array().unwrap() {
        let address = row["addr"].as_str().unwrap();
        counts.insert(format!("ip:{address} in"), pair(row, "packets_in", "bytes_in"));
        counts.insert(format!("ip:{address} out"), pair(row, "packets_out", "bytes_out"));
    }
    // The truth knows no service ports of SCTP; conservation holds for them all the same.
    let ports = report["ports"].as_array().unwrap().iter();
    for row in ports.filter(|row| row["protocol"] != "sctp") {
        let key = format!("{}:{}", row["protocol"].as_str().unwrap(), row["port"]);
        counts.insert(key, pair(row, "packets", "bytes"));
    }
    counts
}

fn number(name: &str) -> String {
    (0..=256u16).find(|n| brightstat::account::protocol_name(*n) == name).map_or_else(
        || panic!("protocol {name}"),
        |n| if n == 256 { "?".into() } else { n.to_string() },
    )
}

fn differences(truth: &Value, report: &Value) -> Vec<String> {
    let (expected, counted) = (expected(truth), counted(report));
    let excluded: Vec<&str> =
        truth["excluded_keys"].as_array().unwrap().iter().map(|k| k.as_str().unwrap()).collect();
    let is_excluded = |key: &str| {
        let bare = key.trim_end_matches(" in").trim_end_matches(" out");
        excluded.contains(&bare)
            || (key == "l3:other" && excluded.iter().any(|k| k.starts_with("l3:ip-bad")))
    };
    let keys: std::collections::BTreeSet<&String> = expected.keys().chain(counted.keys()).collect();
    keys.into_iter()
        .filter(|key| !is_excluded(key))
        .filter_map(|key| {
            let want = expected.get(key).copied().unwrap_or_default();
            let have = counted.get(key).copied().unwrap_or_default();
            (want != have).then(|| format!("{key}: truth {want:?}, counted {have:?}"))
        })
        .collect()
}

fn conservation(report: &Value) -> Vec<String> {
    let total = pair(report, "frames", "bytes");
    let plus = |a: (u64, u64), b: (u64, u64)| (a.0 + b.0, a.1 + b.1);
    let none = |split: &str| pair(&report["none"][split], "packets", "bytes");
    let rows = |split: &str| {
        object(&report[split]).map(|(_, row)| pair(row, "packets", "bytes")).fold((0, 0), plus)
    };
    let list = |split: &str, packets: &str, bytes: &str| {
        let rows = report[split].as_array().unwrap().iter();
        rows.map(|row| pair(row, packets, bytes)).fold((0, 0), plus)
    };
    [
        ("ethertypes", rows("ethertypes")),
        ("directions", rows("directions")),
        ("protocols", plus(rows("protocols"), none("protocols"))),
        ("hosts in", plus(list("hosts", "packets_in", "bytes_in"), none("hosts"))),
        ("hosts out", plus(list("hosts", "packets_out", "bytes_out"), none("hosts"))),
        ("ports", plus(list("ports", "packets", "bytes"), none("ports"))),
    ]
    .into_iter()
    .filter(|(_, sum)| *sum != total)
    .map(|(split, sum)| format!("{split} add up to {sum:?}, not to {total:?}"))
    .collect()
}

fn check(file: &Path, truth: &Value) -> Vec<String> {
    let run = report(file);
    let judge = truth["judge"].as_str().unwrap();
    let mut wrong = Vec::new();
    if let Some(report) = &run.report {
        wrong.extend(conservation(report));
    }
    match judge {
        "exact" | "exact-except" => {
            if run.code != 0 {
                wrong.push(format!("exit {}: {}", run.code, run.message.trim()));
            }
            match &run.report {
                Some(report) => {
                    wrong.extend(differences(truth, report));
                    let time = |key: &str| report[key].as_str().map(str::to_owned);
                    for key in ["first", "last"] {
                        let want = truth["totals"][key].as_str().and_then(as_rfc3339);
                        let timeless = truth["totals"]["no_time"][0] != 0;
                        if !timeless && time(key) != want {
                            wrong.push(format!("{key}: truth {want:?}, ours {:?}", time(key)));
                        }
                    }
                }
                None => wrong.push("no report".to_owned()),
            }
        }
        "libpcap-limited" => {
            let frames = run.report.as_ref().map_or(0, |r| r["frames"].as_u64().unwrap());
            let want = truth["libpcap"]["frames"].as_u64().unwrap();
            if frames != want {
                wrong.push(format!("libpcap reads {want} frames, we read {frames}"));
            }
            wrong.extend(complaint(file, &run));
        }
        "robustness" => {
            // Broken or foreign: an account of what libpcap can read, or an honest error.
            let frames = run.report.as_ref().map_or(0, |r| r["frames"].as_u64().unwrap());
            let readable = truth["libpcap"]["readable"] == true;
            if readable && Some(frames) != truth["libpcap"]["frames"].as_u64() {
                wrong.push(format!("libpcap reads {}, we {frames}", truth["libpcap"]["frames"]));
            }
            if run.code != 0 {
                wrong.extend(complaint(file, &run));
            }
        }
        other => wrong.push(format!("unknown judge {other}")),
    }
    wrong
}

/// What is wrong with how a damaged file was refused.
fn complaint(file: &Path, run: &Run) -> Option<String> {
    let name = file.file_name().unwrap().to_str().unwrap();
    let message = run.message.trim();
    (run.code != 65 || !message.contains(name) || message.lines().count() != 1)
        .then(|| format!("exit {} with the message: {message}", run.code))
}

/// Where libpcap itself sees something else than tshark: file, key and reason. README
/// tells the same.
const DIFFERENT: &[(&str, &str, &str)] = &[
    ("tcpdump__pim-packet-assortment.pcap", "captured", SNAP),
    ("tcpdump__icmp6_nodeinfo_oobr.pcap", "captured", SNAP),
    ("tcpdump__802_15_4-oobr-1.pcap", "captured", SNAP),
    ("tcpdump__aoe-oobr-1.pcap", "captured", SNAP),
    ("tcpdump__slip-sliplink_print-oobr.pcap", "captured", SNAP),
    ("pcapplusplus__clusterfuzz-testcase-minimized-FuzzTarget-4829420752470016.pcap", "", BOTH),
    ("pcapplusplus__clusterfuzz-testcase-minimized-FuzzTarget-5114733584449536.pcap", "", TIME),
    ("pcapplusplus__clusterfuzz-testcase-minimized-FuzzTarget-4981601846820864.pcap", "", TIME),
    ("pcapplusplus__clusterfuzz-testcase-minimized-FuzzTarget-5669109772845056.pcap", "", TIME),
    ("pcapplusplus__clusterfuzz-testcase-minimized-FuzzTarget-5421416466481152.pcap", "", TIME),
    ("ntopng__ieee802.11_tim_ie_oobr.pcap", "", TIME),
    ("ntopng__heap-overflow-1.pcap", "", TIME),
    ("ntopng__rsvp-rsvp_obj_print-oobr.pcap", "last", TIME),
    ("pcapplusplus__ipv6_options.pcap", "first", ZERO),
];
const ZERO: &str = "a time of 0 in pcapng is taken as none: libpcap gives 0 for blocks without";
const SNAP: &str = "libpcap cuts a frame at the snap length that the file announces";
const TIME: &str = "the fraction of a second, or the second, is out of range in the file";
const BOTH: &str = "both of these";

/// Whether a difference is one of those that are known.
fn is_known(file: &Path, difference: &str) -> bool {
    let name = file.file_name().unwrap().to_str().unwrap();
    DIFFERENT.iter().any(|(known, key, reason)| {
        let keys: &[&str] = match *reason {
            SNAP => &["captured: "],
            TIME | ZERO => &["first: ", "last: "],
            _ => &["captured: ", "first: ", "last: "],
        };
        name == *known
            && difference.starts_with(key)
            && keys.iter().any(|key| difference.starts_with(key))
    })
}

/// `1704704400.000000001` as RFC 3339.
fn as_rfc3339(text: &str) -> Option<String> {
    let (seconds, nanoseconds) = text.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let seconds = seconds.checked_mul(1_000_000_000)?;
    brightstat::export::time::rfc3339(seconds + nanoseconds.parse::<i64>().ok()?)
}

#[test]
fn every_capture_agrees_with_its_ground_truth() {
    let Some(corpus) = corpus() else {
        eprintln!("SKIPPED: no corpus; set BRIGHTSTAT_CORPUS to the folder with the captures");
        assert!(std::env::var_os("CI").is_none(), "CI must have the corpus");
        return;
    };
    let mut judged: BTreeMap<String, usize> = BTreeMap::new();
    let (mut wrong, mut known) = (Vec::new(), 0);
    for group in ["normal", "linktypes", "hostile"] {
        for entry in std::fs::read_dir(corpus.join(group)).unwrap() {
            let path = entry.unwrap().path();
            let Some(file) = path.to_str().unwrap().strip_suffix(".truth.json") else {
                continue;
            };
            let truth: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
            *judged.entry(truth["judge"].as_str().unwrap().to_owned()).or_default() += 1;
            let file = Path::new(file);
            for difference in check(file, &truth).into_iter().take(8) {
                if is_known(file, &difference) {
                    known += 1;
                    continue;
                }
                wrong.push(format!("{}: {difference}", file.display()));
            }
        }
    }
    println!("judged: {judged:?}; {known} known differences");
    assert!(judged.values().sum::<usize>() >= 200, "the corpus is incomplete: {judged:?}");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
