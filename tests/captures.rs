//! Our own captures (tests/made): every link layer, header, error and kind of file. Each must be
//! reported exactly, to the byte, as its generator knows it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "made/judge.rs"]
mod judge;
mod made;

use std::collections::BTreeSet;

use brightstat::decode::LinkLayer;

#[test]
fn every_made_capture_is_reported_as_its_maker_knows_it() {
    let captures = made::all();
    let names: BTreeSet<&str> = captures.iter().map(|made| made.name.as_str()).collect();
    assert_eq!(names.len(), captures.len(), "two captures have one name");
    let folder = tempfile::tempdir().unwrap();
    let mut wrong = Vec::new();
    for (made, path) in captures.iter().zip(made::write(folder.path(), &captures)) {
        let differences = judge::check(&path, &made.truth);
        wrong.extend(differences.into_iter().take(8).map(|text| format!("{}: {text}", made.name)));
    }
    let bytes: usize = captures.iter().map(|made| made.bytes.len()).sum();
    println!("{} captures, {bytes} bytes", captures.len());
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}

/// A link layer that gets a decoder must get a capture, too.
#[test]
fn every_link_layer_that_is_decoded_has_a_capture() {
    let made: Vec<LinkLayer> =
        made::link::LINKS.iter().map(|link| LinkLayer::from_dlt(link.number as i32)).collect();
    for number in 0..300 {
        let link = LinkLayer::from_dlt(number);
        assert!(link == LinkLayer::Unknown || made.contains(&link), "{link:?}: no capture");
    }
    for (name, number) in made::link::UNKNOWN {
        assert_eq!(LinkLayer::from_dlt(*number as i32), LinkLayer::Unknown, "{name}");
    }
}

/// What the tests of the page, of the emulated Pi and of the other programs rely on.
#[test]
fn the_home_is_what_the_tests_of_the_page_need() {
    let truth = made::home::capture().truth;
    let count = |key: &str| truth[key].as_object().unwrap().len();
    assert_eq!(count("hosts"), 70);
    assert_eq!(count("tcp_service") + count("udp_service"), 17);
    let wire = truth["totals"]["wire"].as_u64().unwrap();
    assert!((300_000..900_000).contains(&wire), "{wire} bytes");
    assert!(made::home::frames().iter().all(|frame| frame.bytes.len() <= 1_514));
    assert_eq!(made::home::capture().bytes, made::home::capture().bytes);
}
