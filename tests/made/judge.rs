//! Compares a report of brightstat with the truth about its capture.
//!
//! The truth has the format of the foreign corpus' `FILE.truth.json`; its `judge` says how much of
//! it must match. Our own truths contain `errors` as well.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

type Counts = BTreeMap<String, (u64, u64)>;

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

/// The truth's keys, as the judges of the foreign corpus write them: `l3:ipv4`, `proto:6`, `ip:10.0.0.1` ...
fn expected(truth: &Value) -> Counts {
    let mut counts = Counts::new();
    let t = &truth["totals"];
    counts.insert("total".into(), pair(t, "frames", "wire"));
    counts.insert("captured".into(), pair(t, "frames", "cap"));
    for (name, row) in object(&truth["l3"]) {
        // RARP, and IP headers that name no hosts, are "other" here.
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
    for transport in ["tcp", "udp", "sctp"] {
        // The foreign corpus does not define SCTP's ports.
        let Some(rows) = truth[format!("{transport}_service")].as_object() else {
            continue;
        };
        for (port, row) in rows {
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
    for row in report["ports"].as_array().unwrap() {
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
            || (key.starts_with("sctp:") && truth["sctp_service"].is_null())
            || (key == "l3:other" && excluded.iter().any(|k| k.starts_with("l3:ip-bad")))
    };
    let keys: BTreeSet<&String> = expected.keys().chain(counted.keys()).collect();
    let is_sctp_known = truth["sctp_service"].is_object();
    keys.into_iter()
        .filter(|key| !is_excluded(key) && (is_sctp_known || !key.starts_with("sctp:")))
        .filter_map(|key| {
            let want = expected.get(key).copied().unwrap_or_default();
            let have = counted.get(key).copied().unwrap_or_default();
            (want != have).then(|| format!("{key}: truth {want:?}, counted {have:?}"))
        })
        .collect()
}

/// Kinds of errors whose count differs from the truth, if the truth contains errors.
fn errors(truth: &Value, report: &Value) -> Vec<String> {
    if truth["errors"].is_null() {
        return Vec::new();
    }
    let kinds = object(&report["errors"]).map(|(kind, have)| {
        let want = truth["errors"][kind].as_u64().unwrap_or(0);
        (Some(want) != have.as_u64()).then(|| format!("{kind}: truth {want}, counted {have}"))
    });
    kinds.flatten().collect()
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

/// The differences between brightstat's report of a file and the truth.
pub fn check(file: &Path, truth: &Value) -> Vec<String> {
    let run = report(file);
    let judge = truth["judge"].as_str().unwrap();
    let mut wrong = Vec::new();
    if let Some(report) = &run.report {
        wrong.extend(conservation(report));
    }
    // Files with differing interfaces, which libpcap alone reads only in part.
    let error = truth["libpcap"]["error"].as_str().unwrap_or_default();
    let judge = if error.contains("of the first interface") { "exact" } else { judge };
    match judge {
        "exact" | "exact-except" => {
            if run.code != 0 {
                wrong.push(format!("exit {}: {}", run.code, run.message.trim()));
            }
            match &run.report {
                Some(report) => {
                    wrong.extend(differences(truth, report));
                    wrong.extend(errors(truth, report));
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
            // Broken or foreign: an account of what libpcap can read, or a proper error.
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

/// What is wrong with the refusal of a damaged file.
fn complaint(file: &Path, run: &Run) -> Option<String> {
    let name = file.file_name().unwrap().to_str().unwrap();
    let message = run.message.trim();
    (run.code != 65 || !message.contains(name) || message.lines().count() != 1)
        .then(|| format!("exit {} with the message: {message}", run.code))
}

/// `1704704400.000000001` as RFC 3339.
fn as_rfc3339(text: &str) -> Option<String> {
    let (seconds, nanoseconds) = text.split_once('.')?;
    let seconds: i64 = seconds.parse().ok()?;
    let seconds = seconds.checked_mul(1_000_000_000)?;
    brightstat::export::time::rfc3339(seconds + nanoseconds.parse::<i64>().ok()?)
}
