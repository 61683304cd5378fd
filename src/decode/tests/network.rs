//! IPv4, IPv6 and the transport headers behind them.

use super::frames::*;
use super::{LinkLayer, PacketRecord, of_wire_length, whole};
use crate::decode::{Addr, Defect, Fragment, Mac, Network};

/// Decodes a packet as the payload of an Ethernet frame.
fn packet(packet: &[u8]) -> PacketRecord {
    packet_of(packet, packet.len())
}

/// The same for a packet that had `on_wire` bytes before the capture cut it.
fn packet_of(packet: &[u8], on_wire: usize) -> PacketRecord {
    let kind = if packet.first().is_some_and(|first| first >> 4 == 6) { IPV6 } else { IPV4 };
    of_wire_length(LinkLayer::Ethernet, &ethernet(kind, packet), 14 + on_wire as u32)
}

/// Checks the ends of a packet that the builders of `frames` made.
#[track_caller]
fn has_ends(record: &PacketRecord) {
    let ends = match record.network() {
        Network::Ipv4 => [Addr::v4(SOURCE_V4), Addr::v4(DESTINATION_V4)],
        _ => [Addr::v6(SOURCE_V6), Addr::v6(DESTINATION_V6)],
    };
    assert!(record.is_ip());
    assert_eq!([record.source, record.destination], ends);
}

fn dns() -> Vec<u8> {
    udp(5353, 53, b"hello")
}

#[test]
fn ipv4_options_are_passed() {
    for options in [&[1; 4][..], &[1; 20], &[1; 40]] {
        let record = packet(&Ipv4 { options, ..Ipv4::of(17) }.with(&dns()));
        has_ends(&record);
        assert_eq!(record.ports(), Some((5353, 53)));
        assert_eq!(record.defect(), Defect::None);
    }
}

#[test]
fn a_wrong_header_checksum_is_told_and_the_packet_still_read() {
    let bad = Ipv4 { checksum: Some(0xbeef), ..Ipv4::of(17) }.with(&dns());
    let record = packet(&bad);
    has_ends(&record);
    assert_eq!(record.ports(), Some((5353, 53)));
    assert_eq!(record.defect(), Defect::BadChecksum);
}

#[test]
fn a_wrong_header_checksum_is_told_beside_another_defect() {
    let bad = Ipv4 { checksum: Some(0xbeef), ..Ipv4::of(6) };
    let segment = tcp((40_000, 443), 1_001, ACK, &[0; 40]);
    // The packet claims more than the frame has; ends and ports are still read.
    let long = Ipv4 { total_len: Some(200), ..bad.clone() }.with(&segment);
    let record = packet(&long);
    assert_eq!((record.defect(), record.has_bad_checksum()), (Defect::Malformed, true));
    assert_eq!(record.ports(), Some((40_000, 443)));
    // Cut in the TCP header.
    let whole = bad.with(&segment);
    let record = packet_of(&whole[..30], whole.len());
    assert_eq!((record.defect(), record.has_bad_checksum()), (Defect::Truncated, true));
    // A fragment keeps its place.
    for fragment in [0x2000, 0x2003, 0x1fff] {
        let piece = Ipv4 { fragment, total_len: Some(200), ..bad.clone() }.with(&segment);
        let record = packet(&piece);
        assert_eq!((record.defect(), record.has_bad_checksum()), (Defect::Malformed, true));
        assert_eq!(record.fragment().unwrap().offset, u32::from(fragment & 0x1fff) * 8);
        assert_eq!(record.fragment().unwrap().length, 180);
    }
    // Neither an odd sequence number nor another defect alone looks like a bad checksum.
    let good = Ipv4 { total_len: Some(200), ..Ipv4::of(6) }.with(&segment);
    let record = packet(&good);
    assert_eq!((record.defect(), record.has_bad_checksum()), (Defect::Malformed, false));
    assert_eq!(record.next_sequence(), Some(1_001 + 160));
}

#[test]
fn every_flipped_bit_of_a_header_shows_in_its_checksum() {
    let good = Ipv4 { options: &[1, 1, 1, 0], ..Ipv4::of(253) }.with(&[0; 8]);
    for bit in 8..24 * 8 {
        let mut flipped = good.clone();
        flipped[bit / 8] ^= 0x80 >> (bit % 8);
        assert_ne!(packet(&flipped).defect(), Defect::None, "bit {bit}");
    }
}

#[test]
fn a_header_length_below_five_words_is_malformed_and_names_no_host() {
    for words in 0..5 {
        let record = packet(&Ipv4 { header_words: Some(words), ..Ipv4::of(17) }.with(&dns()));
        assert_eq!((record.network(), record.defect()), (Network::Other, Defect::Malformed));
        assert_eq!([record.source, record.destination], [Addr::NONE; 2]);
    }
}

#[test]
fn a_header_longer_than_its_frame_still_names_its_hosts() {
    let long = Ipv4 { header_words: Some(15), ..Ipv4::of(17) }.with(&dns());
    let record = packet(&long);
    has_ends(&record);
    assert_eq!((record.ports(), record.defect()), (None, Defect::Malformed));
    // If the capture cut it off, it is only truncated.
    let options = Ipv4 { options: &[1; 40], ..Ipv4::of(17) }.with(&dns());
    let record = packet_of(&options[..30], options.len());
    has_ends(&record);
    assert_eq!((record.ports(), record.defect()), (None, Defect::Truncated));
}

#[test]
fn the_wrong_version_is_malformed() {
    let v6_as_v4 = ethernet(IPV4, &small_v6());
    let v4_as_v6 = ethernet(IPV6, &cat(&[&small(), &[0; 20]]));
    for frame in [v6_as_v4, v4_as_v6] {
        let record = whole(LinkLayer::Ethernet, &frame);
        assert_eq!((record.network(), record.defect()), (Network::Other, Defect::Malformed));
    }
}

#[test]
fn a_total_length_of_zero_means_to_the_end_of_the_frame() {
    let offloaded = Ipv4 { total_len: Some(0), ..Ipv4::of(6) };
    let record = packet(&offloaded.with(&tcp((40_000, 443), 1_000, ACK, &[0; 3_000])));
    assert_eq!((record.ports(), record.defect()), (Some((40_000, 443)), Defect::None));
    assert_eq!(record.next_sequence(), Some(4_000));
    let segment = tcp((40_000, 443), 1_000, ACK, &[0; 3_000]);
    let mut jumbo = ipv6(6, &segment);
    jumbo[4..6].fill(0);
    let record = packet(&jumbo);
    assert_eq!((record.defect(), record.next_sequence()), (Defect::None, Some(4_000)));
}

#[test]
fn a_total_length_shorter_than_the_header_is_malformed() {
    for total_len in [1, 19] {
        let record = packet(&Ipv4 { total_len: Some(total_len), ..Ipv4::of(17) }.with(&dns()));
        has_ends(&record);
        assert_eq!((record.ports(), record.defect()), (None, Defect::Malformed));
    }
}

#[test]
fn a_length_beyond_the_frame_is_malformed_but_beyond_the_capture_is_not() {
    let mut v6 = ipv6(17, &udp(5353, 53, &[0; 200]));
    let v4 = ipv4(17, &udp(5353, 53, &[0; 200]));
    for good in [&v4, &v6] {
        let record = packet_of(&good[..60], good.len());
        assert_eq!((record.ports(), record.defect()), (Some((5353, 53)), Defect::None));
        let record = packet_of(&good[..60], good.len() - 1);
        assert_eq!((record.ports(), record.defect()), (Some((5353, 53)), Defect::Malformed));
    }
    v6[4..6].fill(0xff);
    assert_eq!(packet(&v6).defect(), Defect::Malformed);
}

#[test]
fn a_cut_header_is_truncated_and_a_missing_one_malformed() {
    let (v4, v6) = (ipv4(17, &dns()), ipv6(17, &dns()));
    for (good, header) in [(&v4, 20), (&v6, 40)] {
        for length in 0..header {
            let of = |packet: &[u8], on_wire: usize| {
                let kind = if header == 20 { IPV4 } else { IPV6 };
                let frame = ethernet(kind, packet);
                of_wire_length(LinkLayer::Ethernet, &frame, 14 + on_wire as u32)
            };
            let cut = of(&good[..length], good.len());
            assert_eq!((cut.network(), cut.defect()), (Network::Other, Defect::Truncated));
            let missing = of(&good[..length], length);
            assert_eq!((missing.network(), missing.defect()), (Network::Other, Defect::Malformed));
        }
        for length in header..header + 4 {
            let cut = packet_of(&good[..length], good.len());
            has_ends(&cut);
            assert_eq!((cut.ports(), cut.defect()), (None, Defect::Truncated));
        }
    }
}

#[test]
fn four_bytes_of_a_transport_header_are_enough_for_the_ports() {
    let (u, t) = (ipv4(17, &dns()), ipv4(6, &tcp((5353, 53), 1, ACK, b"")));
    let record = packet_of(&u[..24], u.len());
    assert_eq!((record.ports(), record.defect()), (Some((5353, 53)), Defect::None));
    // TCP needs more: its flags.
    let record = packet_of(&t[..24], t.len());
    assert_eq!((record.ports(), record.defect()), (Some((5353, 53)), Defect::Truncated));
}

#[test]
fn bytes_behind_the_ip_packet_are_no_ports() {
    let empty = cat(&[&ipv4(17, &[]), &[0xff; 26]]);
    let record = packet(&empty);
    assert_eq!((record.ports(), record.defect()), (None, Defect::Malformed));
    let record = packet(&cat(&[&ipv6(6, &[0, 80]), &[0xff; 26]]));
    assert_eq!((record.ports(), record.defect()), (None, Defect::Malformed));
}

#[test]
fn the_service_port_is_the_lower_one() {
    for ports in [(40_000, 443), (443, 40_000), (443, 443)] {
        let record = packet(&ipv4(6, &tcp(ports, 1, ACK, b"")));
        assert_eq!((record.ports(), record.service_port()), (Some(ports), Some(443)));
    }
    let record = packet(&ipv4(17, &udp(0, 9, b"")));
    assert_eq!(record.service_port(), Some(0));
}

#[test]
fn sctp_has_ports_as_udp_does() {
    let common = [0x8e, 0x3c, 0xd0, 0x00, 0, 0, 0, 1, 0, 0, 0, 0];
    for record in [packet(&ipv4(132, &common)), packet(&ipv6(132, &common))] {
        has_ends(&record);
        assert_eq!((record.ports(), record.service_port()), (Some((36_412, 53_248)), Some(36_412)));
        assert_eq!((record.defect(), record.next_sequence()), (Defect::None, None));
    }
    let whole = ipv4(132, &common);
    for length in 20..24 {
        let cut = packet_of(&whole[..length], whole.len());
        assert_eq!((cut.ports(), cut.defect()), (None, Defect::Truncated));
    }
    let later = Ipv4 { fragment: 2, ..Ipv4::of(132) }.with(&common);
    assert_eq!(packet(&later).ports(), None);
}

#[test]
fn only_tcp_udp_and_sctp_have_ports() {
    for protocol in [1, 2, 4, 33, 41, 47, 50, 51, 58, 136] {
        let record = packet(&ipv4(protocol, &[0; 40]));
        assert_eq!((record.protocol(), record.ports()), (protocol, None));
        assert_eq!(record.service_port(), None);
    }
}

#[test]
fn a_first_fragment_has_ports_and_a_place() {
    let first = Ipv4 { fragment: 0x2000, ..Ipv4::of(17) }.with(&udp(5353, 53, &[0; 16]));
    let record = packet(&first);
    has_ends(&record);
    assert_eq!((record.protocol(), record.ports()), (17, Some((5353, 53))));
    let place = Fragment { identification: 0x1234, offset: 0, length: 24 };
    assert_eq!(record.fragment(), Some(place));
}

#[test]
fn a_non_first_fragment_has_no_port() {
    for (field, offset) in [(0x2003, 24), (0x0003, 24), (0x1fff, 65_528)] {
        let later = Ipv4 { fragment: field, ..Ipv4::of(6) }.with(&[0x11; 32]);
        let record = packet(&later);
        has_ends(&record);
        assert_eq!((record.protocol(), record.ports()), (6, None));
        assert_eq!((record.defect(), record.is_reset()), (Defect::None, false));
        let place = Fragment { identification: 0x1234, offset, length: 32 };
        assert_eq!(record.fragment(), Some(place));
        assert_eq!(record.next_sequence(), None);
        assert_eq!(record.source_mac(), Mac::default());
    }
}

#[test]
fn dont_fragment_makes_no_fragment() {
    let record = packet(&Ipv4 { fragment: 0x4000, ..Ipv4::of(17) }.with(&dns()));
    assert_eq!(record.fragment(), None);
    assert_eq!(record.source_mac(), Mac(SENDER));
}

#[test]
fn a_fragmented_tcp_segment_has_no_next_sequence() {
    let segment = tcp((40_000, 443), 1_000, ACK | RST, &[0; 12]);
    let record = packet(&Ipv4 { fragment: 0x2000, ..Ipv4::of(6) }.with(&segment));
    assert_eq!((record.ports(), record.next_sequence()), (Some((40_000, 443)), None));
    assert!(record.is_reset());
}

#[test]
fn ipv6_fragments_count_as_ipv4_ones_do() {
    let first = packet(&ipv6(44, &cat(&[&fragment_header(17, 0, true), &udp(7, 9, &[0; 8])])));
    has_ends(&first);
    assert_eq!((first.protocol(), first.ports()), (17, Some((7, 9))));
    assert_eq!(first.fragment(), Some(Fragment { identification: 7, offset: 0, length: 16 }));
    let later = packet(&ipv6(44, &cat(&[&fragment_header(17, 16, false), &[0; 10]])));
    assert_eq!((later.protocol(), later.ports(), later.defect()), (17, None, Defect::None));
    assert_eq!(later.fragment(), Some(Fragment { identification: 7, offset: 16, length: 10 }));
}

#[test]
fn a_non_first_ipv6_fragment_has_the_protocol_of_its_fragment_header() {
    // The rest is the middle of a datagram, not a destination options header.
    let record = packet(&ipv6(44, &cat(&[&fragment_header(60, 8, true), &options(17), &[0; 8]])));
    assert_eq!((record.protocol(), record.ports()), (60, None));
}

#[test]
fn an_atomic_fragment_is_a_whole_datagram() {
    let record = packet(&ipv6(44, &cat(&[&fragment_header(17, 0, false), &dns()])));
    has_ends(&record);
    assert_eq!((record.ports(), record.fragment()), (Some((5353, 53)), None));
    assert_eq!(record.source_mac(), Mac(SENDER));
}

#[test]
fn ipv6_extension_headers_are_passed() {
    for kind in [0, 43, 60, 135, 139, 140] {
        let record = packet(&ipv6(kind, &cat(&[&options(17), &dns()])));
        has_ends(&record);
        assert_eq!((record.protocol(), record.ports()), (17, Some((5353, 53))), "{kind}");
    }
    let mut long = cat(&[&options(6), &[0; 16], &tcp((9, 8), 1, ACK, b"")]);
    long[1] = 2;
    let chain =
        cat(&[&options(43), &options(60), &options(44), &fragment_header(60, 0, false), &long]);
    let record = packet(&ipv6(0, &chain));
    assert_eq!((record.protocol(), record.ports()), (6, Some((9, 8))));
    assert_eq!(record.defect(), Defect::None);
}

#[test]
fn a_chain_that_leaves_the_capture_has_no_known_protocol() {
    let whole = ipv6(0, &cat(&[&options(60), &options(17), &dns()]));
    let record = packet_of(&whole[..50], whole.len());
    has_ends(&record);
    assert_eq!(record.protocol(), crate::decode::protocol::UNKNOWN_V6);
    assert_eq!((record.ports(), record.defect()), (None, Defect::Truncated));
    // The last header names the next protocol, though that is cut off.
    let record = packet_of(&whole[..56], whole.len());
    assert_eq!((record.protocol(), record.ports()), (17, None));
    assert_eq!(record.defect(), Defect::Truncated);
    // A chain that breaks off in a whole frame is the sender's fault.
    assert_eq!(packet(&ipv6(0, &options(60))).defect(), Defect::Malformed);
    let mut beyond = ipv6(0, &cat(&[&options(17), &dns()]));
    beyond[41] = 200;
    assert_eq!(packet(&beyond).defect(), Defect::Malformed);
}

#[test]
fn authentication_and_encryption_headers_are_not_passed() {
    let inside = cat(&[&[17, 4, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1], &[0; 12], &dns()]);
    for protocol in [50, 51] {
        for record in [packet(&ipv4(protocol, &inside)), packet(&ipv6(protocol, &inside))] {
            has_ends(&record);
            assert_eq!((record.protocol(), record.ports()), (protocol, None));
            assert_eq!(record.defect(), Defect::None);
        }
    }
}

#[test]
fn no_next_header_is_a_protocol_without_ports() {
    let record = packet(&ipv6(59, &[]));
    assert_eq!((record.protocol(), record.ports(), record.defect()), (59, None, Defect::None));
}

#[test]
fn only_the_outer_packet_of_a_tunnel_is_counted() {
    let inner = Ipv4 { source: [10, 9, 9, 9], destination: [10, 8, 8, 8], ..Ipv4::of(17) };
    let inner = inner.with(&dns());
    let gre = cat(&[&[0, 0, 8, 0], &inner]);
    for (protocol, payload) in [(4, &inner), (47, &gre)] {
        for outer in [ipv4(protocol, payload), ipv6(protocol, payload)] {
            let record = packet(&outer);
            has_ends(&record);
            assert_eq!((record.protocol(), record.ports()), (protocol, None));
        }
    }
    let record = packet(&ipv4(41, &small_v6()));
    assert_eq!((record.network(), record.protocol()), (Network::Ipv4, 41));
    let vxlan = udp(50_000, 4789, &cat(&[&[8, 0, 0, 0, 0, 0, 1, 0], &ethernet(IPV4, &inner)]));
    let record = packet(&ipv4(17, &vxlan));
    has_ends(&record);
    assert_eq!(record.ports(), Some((50_000, 4789)));
}

#[test]
fn a_tcp_reset_is_told() {
    assert!(packet(&ipv4(6, &tcp((1, 2), 3, RST | ACK, b""))).is_reset());
    assert!(packet(&ipv6(6, &tcp((1, 2), 3, RST, b""))).is_reset());
    for flags in [SYN, FIN | ACK, ACK, 0x08, 0x20] {
        assert!(!packet(&ipv4(6, &tcp((1, 2), 3, flags, b""))).is_reset());
    }
}

#[test]
fn the_next_sequence_counts_data_and_the_syn_and_fin_flags() {
    let next = |flags, data| packet(&ipv4(6, &tcp((1, 2), 100, flags, data))).next_sequence();
    assert_eq!(next(ACK, b"four"), Some(104));
    assert_eq!(next(SYN, b""), Some(101));
    assert_eq!(next(FIN | ACK, b"four"), Some(105));
    assert_eq!(next(SYN | FIN, b""), Some(102));
    assert_eq!(next(ACK, b""), None);
    let wrapping = packet(&ipv4(6, &tcp((1, 2), u32::MAX, ACK, b"ab")));
    assert_eq!(wrapping.next_sequence(), Some(1));
}

#[test]
fn ethernet_padding_is_no_tcp_data() {
    let record = packet(&cat(&[&ipv4(6, &tcp((1, 2), 100, ACK, b"")), &[0; 6]]));
    assert_eq!((record.next_sequence(), record.defect()), (None, Defect::None));
}

#[test]
fn tcp_options_are_no_data_and_an_impossible_header_length_is_malformed() {
    let mut segment = tcp((1, 2), 100, ACK, &[1; 16]);
    segment[12] = 0x80; // 32 bytes, of which 12 are options
    assert_eq!(packet(&ipv4(6, &segment)).next_sequence(), Some(104));
    for words in [0x40, 0xf0] {
        segment[12] = words;
        let record = packet(&ipv4(6, &segment));
        assert_eq!((record.next_sequence(), record.defect()), (None, Defect::Malformed));
        assert_eq!(record.ports(), Some((1, 2)));
    }
}

#[test]
fn icmp_unreachable_is_type_3_and_icmpv6_unreachable_is_type_1() {
    for kind in 0..=255 {
        let v4 = packet(&ipv4(1, &[kind, 1, 0, 0, 0, 0, 0, 0]));
        let v6 = packet(&ipv6(58, &[kind, 0, 0, 0, 0, 0, 0, 0]));
        assert_eq!((v4.is_unreachable(), v6.is_unreachable()), (kind == 3, kind == 1));
        assert!(!v4.is_reset() && !v6.is_reset());
        assert_eq!((v4.ports(), v6.ports()), (None, None));
    }
    let empty = packet(&cat(&[&ipv4(1, &[]), &[3; 26]]));
    assert_eq!((empty.is_unreachable(), empty.defect()), (false, Defect::Malformed));
}

#[test]
fn wire_length_is_kept_and_captured_length_is_the_frame() {
    let frame = ethernet(IPV4, &ipv4(17, &udp(1, 2, &[0; 1_400])));
    let record = of_wire_length(LinkLayer::Ethernet, &frame[..96], frame.len() as u32);
    assert_eq!((record.wire_len, record.captured_len), (1_442, 96));
}
