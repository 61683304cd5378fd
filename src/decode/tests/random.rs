//! Whatever the bytes are: no panic, and nothing is invented.

use proptest::collection::vec;
use proptest::prelude::*;

use super::frames::every_kind;
use super::{LinkLayer, PacketRecord, of_wire_length, whole};
use crate::decode::{Addr, Defect, Network};

const LINKS: [LinkLayer; 29] = [
    LinkLayer::Ethernet,
    LinkLayer::Cooked1,
    LinkLayer::Cooked2,
    LinkLayer::RawIp,
    LinkLayer::Null,
    LinkLayer::Loop,
    LinkLayer::Ppp,
    LinkLayer::PppDirection,
    LinkLayer::Pppoe,
    LinkLayer::CiscoHdlc,
    LinkLayer::FrameRelay,
    LinkLayer::Mpls,
    LinkLayer::PppDirected,
    LinkLayer::CiscoHdlcDirected,
    LinkLayer::FrameRelayDirected,
    LinkLayer::Atm,
    LinkLayer::TokenRing,
    LinkLayer::Fddi,
    LinkLayer::FibreChannel,
    LinkLayer::Firewire,
    LinkLayer::Enc,
    LinkLayer::NetAnalyzer,
    LinkLayer::Wifi,
    LinkLayer::Radiotap,
    LinkLayer::Prism,
    LinkLayer::Avs,
    LinkLayer::Ppi,
    LinkLayer::Nflog,
    LinkLayer::Unknown,
];

/// Checks that hold for the record of any frame.
fn is_sound(record: &PacketRecord, frame: &[u8], wire_len: u32) {
    assert_eq!(record.wire_len, wire_len);
    assert_eq!(record.captured_len as usize, frame.len());
    assert_eq!(record.timestamp, 7);
    if !record.is_ip() {
        assert_eq!([record.source, record.destination], [Addr::NONE; 2]);
        assert_eq!((record.protocol(), record.ports()), (0, None));
        assert_eq!((record.fragment(), record.next_sequence()), (None, None));
        assert!(!record.is_reset() && !record.is_unreachable());
    }
    if record.ports().is_some() {
        assert!(matches!(record.protocol(), 6 | 17 | 132));
    }
    if let Some(fragment) = record.fragment() {
        assert!(fragment.length <= 65_535 && fragment.offset <= 65_528);
        assert!(fragment.offset == 0 || record.ports().is_none());
    }
    assert!(record.next_sequence().is_none() || record.protocol() == 6);
}

#[test]
fn every_link_layer_can_be_asked_for_by_number() {
    let known: Vec<LinkLayer> = (0..300).map(LinkLayer::from_dlt).collect();
    for link in LINKS {
        assert!(known.contains(&link), "{link:?}");
    }
}

#[test]
fn every_well_made_frame_is_read_without_blame() {
    for (name, link, frame) in every_kind() {
        let record = whole(link, &frame);
        is_sound(&record, &frame, frame.len() as u32);
        assert_eq!((record.is_ip(), record.defect()), (true, Defect::None), "{name}");
    }
}

#[test]
fn every_prefix_of_a_well_made_frame_is_either_read_or_said_to_be_truncated() {
    for (name, link, frame) in every_kind() {
        let wire_len = frame.len() as u32;
        let full = whole(link, &frame);
        for length in 0..=frame.len() {
            let record = of_wire_length(link, &frame[..length], wire_len);
            is_sound(&record, &frame[..length], wire_len);
            let case = format!("{name}, {length} of {wire_len} bytes: {record:?}");
            assert!(matches!(record.defect(), Defect::None | Defect::Truncated), "{case}");
            if record.is_ip() {
                let ends = (record.network(), record.source, record.destination);
                assert_eq!(ends, (full.network(), full.source, full.destination), "{case}");
            } else if length >= 4 {
                // Fewer bytes do not show what kind of PPP frame it is.
                assert_eq!(record.defect(), Defect::Truncated, "{case}");
            }
            if record.defect() == Defect::None && record.is_ip() {
                assert_eq!(record.ports(), full.ports(), "{case}");
                assert_eq!(record.protocol(), full.protocol(), "{case}");
            }
            // The same bytes as a whole frame may be malformed, but are not truncated.
            let alone = whole(link, &frame[..length]);
            is_sound(&alone, &frame[..length], length as u32);
            assert_ne!(alone.defect(), Defect::Truncated, "{case}");
        }
    }
}

#[test]
fn a_frame_may_claim_any_length_on_the_wire() {
    for (_, link, frame) in every_kind() {
        for wire_len in [0, 1, 13, 14, 33, 34, 41, 65_535, u32::MAX - 1, u32::MAX] {
            is_sound(&of_wire_length(link, &frame, wire_len), &frame, wire_len);
        }
    }
}

#[test]
fn every_byte_of_a_well_made_frame_may_be_anything() {
    for (_, link, frame) in every_kind() {
        for at in 0..frame.len() {
            let mut odd = frame.clone();
            for value in [0, 1, 4, 0x7f, 0x80, 0xaa, 0xff, frame[at] ^ 1, frame[at] ^ 0x20] {
                odd[at] = value;
                is_sound(&whole(link, &odd), &odd, frame.len() as u32);
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 2_000,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn decode_never_panics(
        link in prop::sample::select(&LINKS[..]),
        frame in vec(any::<u8>(), 0..200),
        wire_len in any::<u32>(),
    ) {
        is_sound(&of_wire_length(link, &frame, wire_len), &frame, wire_len);
        is_sound(&whole(link, &frame), &frame, frame.len() as u32);
    }

    #[test]
    fn a_well_made_frame_may_be_mutated_and_cut_anywhere(
        (link, mut frame) in prop::sample::select(every_kind()).prop_map(|(_, l, f)| (l, f)),
        changes in vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        keep in any::<prop::sample::Index>(),
        more in 0_u32..100,
    ) {
        for (at, value) in changes {
            let at = at.index(frame.len());
            frame[at] = value;
        }
        frame.truncate(keep.index(frame.len() + 1));
        let wire_len = frame.len() as u32 + more;
        let record = of_wire_length(link, &frame, wire_len);
        is_sound(&record, &frame, wire_len);
        prop_assert!(record.network() != Network::Other || !record.is_ip());
    }
}
