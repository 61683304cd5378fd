//! Checks every real capture of the corpus against its ground truth.
//!
//! The corpus lies beside the project (`../shared/corpus`, or `BRIGHTSTAT_CORPUS`) and is not part
//! of it. Each capture has a `FILE.truth.json`, made from tshark and a second decoder; its `judge`
//! says how much of it must match. Intended differences are in the table of docs/counting.md
//! ("Where brightstat and tshark differ").
//!
//! This is the second, larger suite. It is ignored by default; `make test` runs it where the corpus
//! exists. Captures that everybody has are in captures.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "made/judge.rs"]
mod judge;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use judge::check;
use serde_json::Value;

fn corpus() -> PathBuf {
    let path = std::env::var_os("BRIGHTSTAT_CORPUS").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/corpus"),
        PathBuf::from,
    );
    assert!(path.is_dir(), "{}: no corpus; BRIGHTSTAT_CORPUS says where it is", path.display());
    path
}

/// Captures that libpcap itself reads differently from tshark: file, key and reason. docs/counting.md
/// has the same.
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
    ("pcapplusplus__pcapng-example.pcapng", "last", TIME),
];
const SNAP: &str = "libpcap cuts a frame at the snap length that the file announces";
const TIME: &str = "the fraction of a second, or the second, is out of range in the file";
const BOTH: &str = "both of these";

/// Whether a difference is a known one.
fn is_known(file: &Path, difference: &str) -> bool {
    let name = file.file_name().unwrap().to_str().unwrap();
    DIFFERENT.iter().any(|(known, key, reason)| {
        let keys: &[&str] = match *reason {
            SNAP => &["captured: "],
            TIME => &["first: ", "last: "],
            _ => &["captured: ", "first: ", "last: "],
        };
        name == *known
            && difference.starts_with(key)
            && keys.iter().any(|key| difference.starts_with(key))
    })
}

#[test]
#[ignore = "needs the foreign corpus"]
fn every_capture_agrees_with_its_ground_truth() {
    let corpus = corpus();
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
