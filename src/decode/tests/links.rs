//! Link layers: the headers in front of the outermost IP header are passed.

use super::frames::*;
use super::{LinkLayer, PacketRecord, decode, of_wire_length, whole};
use crate::decode::{Addr, Defect, Mac, Network};

/// Decodes a frame and checks that the small packet was found in it.
#[track_caller]
fn shows_the_packet(link: LinkLayer, frame: &[u8]) -> PacketRecord {
    let record = whole(link, frame);
    let ends = match record.network() {
        Network::Ipv4 => [Addr::v4(SOURCE_V4), Addr::v4(DESTINATION_V4)],
        Network::Ipv6 => [Addr::v6(SOURCE_V6), Addr::v6(DESTINATION_V6)],
        other => panic!("{other:?}: {record:?}"),
    };
    assert_eq!([record.source, record.destination], ends);
    assert_eq!(record.protocol(), 17);
    assert_eq!(record.ports(), Some((5353, 53)));
    assert_eq!(record.defect(), Defect::None);
    assert_eq!(record.wire_len as usize, frame.len());
    assert_eq!(record.timestamp, 7);
    record
}

/// Checks that a frame is counted without a host and without a defect.
#[track_caller]
fn has_no_host(link: LinkLayer, frame: &[u8]) {
    let record = whole(link, frame);
    assert_eq!(record.network(), Network::Other);
    assert_eq!([record.source, record.destination], [Addr::NONE; 2]);
    assert_eq!(record.ports(), None);
    assert_eq!(record.defect(), Defect::None);
    assert_eq!(record.wire_len as usize, frame.len());
}

#[test]
fn ethernet_shows_the_packet_and_who_sent_it() {
    let record = shows_the_packet(LinkLayer::Ethernet, &ethernet(IPV4, &small()));
    assert_eq!(record.source_mac(), Mac(SENDER));
    let record = shows_the_packet(LinkLayer::Ethernet, &ethernet(IPV6, &small_v6()));
    assert_eq!(record.source_mac(), Mac(SENDER));
}

#[test]
fn ethernet_padding_is_no_defect() {
    let frame = cat(&[&ethernet(IPV4, &small()), &[0; 20]]);
    shows_the_packet(LinkLayer::Ethernet, &frame);
}

#[test]
fn arp_is_not_ip_but_has_a_sender() {
    let record = whole(LinkLayer::Ethernet, &ethernet(ARP, &[0; 28]));
    assert_eq!(record.network(), Network::Arp);
    assert!(!record.is_ip());
    assert_eq!(record.source_mac(), Mac(SENDER));
    assert_eq!(record.defect(), Defect::None);
    let tagged = ethernet(0x8100, &vlan(ARP, &[0; 28]));
    assert_eq!(whole(LinkLayer::Ethernet, &tagged).network(), Network::Arp);
}

#[test]
fn another_ethertype_has_no_host() {
    has_no_host(LinkLayer::Ethernet, &ethernet(0x88cc, &[1; 40]));
}

#[test]
fn vlan_tags_of_all_types_are_passed() {
    for kind in [0x8100, 0x88a8, 0x9100, 0x9200, 0x9300] {
        let frame = ethernet(kind, &vlan(IPV4, &small()));
        let record = shows_the_packet(LinkLayer::Ethernet, &frame);
        assert_eq!(record.source_mac(), Mac(SENDER));
    }
}

#[test]
fn two_and_three_vlan_tags_are_passed() {
    let two = vlan(0x8100, &vlan(IPV6, &small_v6()));
    shows_the_packet(LinkLayer::Ethernet, &ethernet(0x88a8, &two));
    shows_the_packet(LinkLayer::Ethernet, &ethernet(0x88a8, &vlan(0x88a8, &two)));
}

#[test]
fn a_frame_of_nothing_but_tags_ends() {
    let tags = [0x81, 0, 0, 1].repeat(60_000);
    assert!(!whole(LinkLayer::Ethernet, &ethernet(0x8100, &tags)).is_ip());
    let labels = [0; 200_000];
    assert!(!whole(LinkLayer::Ethernet, &ethernet(0x8847, &labels)).is_ip());
}

#[test]
fn a_frame_of_nothing_but_snap_headers_ends() {
    // Each says "802.3 length" as its type, which could lead to the next.
    let headers = snap(5, &[]).repeat(32_000);
    assert!(!whole(LinkLayer::Ethernet, &ethernet_with_length(&headers)).is_ip());
    assert!(!whole(LinkLayer::Ethernet, &ethernet(5, &headers)).is_ip());
    let tagged = snap(0x8100, &[0, 1, 0, 5]).repeat(20_000);
    assert!(!whole(LinkLayer::Ethernet, &ethernet(5, &tagged)).is_ip());
}

#[test]
fn an_mpls_stack_is_passed_to_ipv4_and_to_ipv6() {
    shows_the_packet(LinkLayer::Ethernet, &ethernet(0x8847, &mpls(&small())));
    shows_the_packet(LinkLayer::Ethernet, &ethernet(0x8848, &mpls(&small_v6())));
    shows_the_packet(LinkLayer::Ethernet, &ethernet(0x8100, &vlan(0x8847, &mpls(&small()))));
}

#[test]
fn a_pseudowire_under_mpls_has_no_host() {
    has_no_host(LinkLayer::Ethernet, &ethernet(0x8847, &mpls(&[0, 0, 0, 0, 1, 2, 3])));
}

#[test]
fn a_pppoe_session_is_passed() {
    let session = pppoe(&cat(&[&[0, 0x21], &small()]));
    let record = shows_the_packet(LinkLayer::Ethernet, &ethernet(0x8864, &session));
    assert_eq!(record.source_mac(), Mac(SENDER));
    let session = pppoe(&cat(&[&[0, 0x57], &small_v6()]));
    shows_the_packet(LinkLayer::Ethernet, &ethernet(0x8100, &vlan(0x8864, &session)));
    shows_the_packet(LinkLayer::Pppoe, &session);
}

#[test]
fn pppoe_discovery_and_ppp_control_have_no_host() {
    has_no_host(LinkLayer::Ethernet, &ethernet(0x8863, &[0x11, 9, 0, 0, 0, 4, 1, 1, 0, 0]));
    let echo = pppoe(&[0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0]);
    has_no_host(LinkLayer::Ethernet, &ethernet(0x8864, &echo));
}

#[test]
fn snap_is_passed_with_both_organisation_codes() {
    let mut frame = ethernet_with_length(&snap(IPV4, &small()));
    shows_the_packet(LinkLayer::Ethernet, &frame);
    frame[19] = 0xf8;
    shows_the_packet(LinkLayer::Ethernet, &frame);
    frame[18] = 0x0c;
    has_no_host(LinkLayer::Ethernet, &frame);
}

#[test]
fn a_vlan_tag_in_front_of_a_length_is_passed() {
    let inner = snap(IPV4, &small());
    let frame = ethernet(0x8100, &vlan(inner.len() as u16, &inner));
    shows_the_packet(LinkLayer::Ethernet, &frame);
}

#[test]
fn a_length_that_is_longer_than_its_frame_is_malformed_and_the_packet_still_read() {
    let inner = snap(IPV4, &small());
    let length = inner.len() as u16;
    let ppp = cat(&[&[0, 0x21], &small()]);
    let mut session = pppoe(&ppp);
    session[5] += 1;
    for frame in [
        ethernet(length + 1, &inner),
        ethernet(0x8100, &vlan(1_500, &inner)),
        ethernet(0x8864, &session),
    ] {
        let record = whole(LinkLayer::Ethernet, &frame);
        assert_eq!((record.ports(), record.defect()), (Some((5353, 53)), Defect::Malformed));
        // If the capture has cut the frame, the length may be right.
        let cut = of_wire_length(LinkLayer::Ethernet, &frame, 1_600);
        assert_eq!((cut.ports(), cut.defect()), (Some((5353, 53)), Defect::None));
    }
}

#[test]
fn what_is_behind_a_length_is_padding() {
    let (inner, ppp) = (snap(IPV4, &small()), cat(&[&[0, 0x21], &small()]));
    for frame in [ethernet_with_length(&inner), ethernet(0x8864, &pppoe(&ppp))] {
        shows_the_packet(LinkLayer::Ethernet, &cat(&[&frame, &[0; 20]]));
    }
    // Here the packet ends one byte behind the length, in the padding.
    let mut session = pppoe(&ppp);
    session[5] -= 1;
    for frame in [ethernet(inner.len() as u16 - 1, &inner), ethernet(0x8864, &session)] {
        let frame = cat(&[&frame, &[0; 20]]);
        let record = whole(LinkLayer::Ethernet, &frame);
        assert_eq!((record.ports(), record.defect()), (Some((5353, 53)), Defect::Malformed));
        assert_eq!(record.wire_len as usize, frame.len());
        assert_eq!(record.captured_len as usize, frame.len());
    }
    // A missing header is not read from the padding, even if the capture has cut the frame.
    let frame = cat(&[&ethernet(2, &[0xaa, 0xaa]), &snap(IPV4, &small())[2..]]);
    for wire_len in [frame.len() as u32, 1_500] {
        let record = of_wire_length(LinkLayer::Ethernet, &frame, wire_len);
        assert_eq!((record.network(), record.defect()), (Network::Other, Defect::Malformed));
        assert_eq!(record.wire_len, wire_len);
    }
}

#[test]
fn tags_of_switches_are_passed() {
    let (v4, v6) = (&small(), &small_v6());
    for frame in [
        ethernet(0x8926, &tag(4, IPV4, v4)),
        ethernet(0x893f, &tag(6, IPV6, v6)),
        ethernet(0x892f, &tag(4, IPV4, v4)),
        ethernet(0x8909, &metadata(1, IPV4, v4)),
        ethernet(0x8100, &vlan(0x8909, &metadata(1, IPV6, v6))),
        ethernet(0x8909, &metadata(3, 0x8100, &vlan(IPV4, v4))),
        // A length behind a tag.
        ethernet(0x893f, &tag(6, snap(IPV4, v4).len() as u16, &snap(IPV4, v4))),
    ] {
        let record = shows_the_packet(LinkLayer::Ethernet, &frame);
        assert_eq!(record.source_mac(), Mac(SENDER));
    }
}

#[test]
fn macsec_is_passed_unless_it_is_encrypted_or_changed() {
    for is_named in [false, true] {
        let tag = macsec(is_named, IPV4, &cat(&[&small(), &[0x55; 16]]));
        shows_the_packet(LinkLayer::Ethernet, &ethernet(0x88e5, &tag));
        for bits in [0x04, 0x08, 0x0c] {
            let mut hidden = tag.clone();
            hidden[0] |= bits;
            has_no_host(LinkLayer::Ethernet, &ethernet(0x88e5, &hidden));
        }
    }
}

#[test]
fn a_frame_in_a_frame_is_of_the_inner_sender() {
    let mut inner = ethernet(IPV4, &small());
    inner[6..12].copy_from_slice(&OUTSIDER);
    for frame in [
        ethernet(0x88e7, &backbone(&inner)),
        ethernet(0x88a8, &vlan(0x88e7, &backbone(&inner))),
        ethernet(0x22f3, &trill(0, &inner)),
        ethernet(0x22f3, &trill(31, &inner)),
        ethernet(0x894f, &service_function(2, 3, &inner)),
    ] {
        let record = shows_the_packet(LinkLayer::Ethernet, &frame);
        assert_eq!(record.source_mac(), Mac(OUTSIDER));
    }
}

#[test]
fn a_network_service_header_says_what_it_carries() {
    let nested = service_function(2, 4, &service_function(6, 2, &small_v6()));
    shows_the_packet(LinkLayer::Ethernet, &ethernet(0x894f, &nested));
    shows_the_packet(
        LinkLayer::Ethernet,
        &ethernet(0x894f, &service_function(2, 5, &mpls(&small()))),
    );
    has_no_host(LinkLayer::Ethernet, &ethernet(0x894f, &service_function(2, 6, &small())));
    let short = ethernet(0x894f, &service_function(1, 1, &small()));
    assert_eq!(whole(LinkLayer::Ethernet, &short).defect(), Defect::Malformed);
}

#[test]
fn a_frame_of_nothing_but_frames_ends() {
    for unit in [service_function(2, 4, &[]), service_function(2, 3, &ethernet(0x894f, &[]))] {
        let frame = ethernet(0x894f, &unit.repeat(20_000));
        assert!(!whole(LinkLayer::Ethernet, &frame).is_ip());
    }
    let unit = backbone(&ethernet(0x88e7, &[])).repeat(20_000);
    assert!(!whole(LinkLayer::Ethernet, &ethernet(0x88e7, &unit)).is_ip());
}

#[test]
fn mesh_frames_show_the_packet_and_who_sent_it() {
    for (ways, outside, sender) in [
        (TO_DS | FROM_DS, 0, SENDER),
        (TO_DS | FROM_DS, 2, OUTSIDER),
        (FROM_DS, 0, SENDER),
        (FROM_DS, 1, OUTSIDER),
    ] {
        let record = shows_the_packet(LinkLayer::Wifi, &mesh(ways, outside, &small()));
        assert_eq!(record.source_mac(), Mac(sender), "{ways:04x} {outside}");
    }
    // In other networks the bit is part of a time or of a queue's length.
    for ways in [0, TO_DS, FROM_DS, TO_DS | FROM_DS] {
        let mut frame = wifi(DATA | QOS | ways, &small());
        let end = wifi_header(DATA | QOS | ways).len();
        frame[end - 1] = 1;
        shows_the_packet(LinkLayer::Wifi, &frame);
    }
}

#[test]
fn cooked_frames_of_odd_devices_are_read_as_these_write_them() {
    let inner = ethernet(IPV4, &small());
    for (device, protocol, data) in [
        (770_u16, 0, cat(&[&[0x18, 0x41, 3, 0xcc], &small()])),
        (778, IPV4, small()),
        (778, 0x6558, inner),
        (803, 0, radiotap(0, &wifi(DATA, &small()))),
    ] {
        let mut one = cooked1(protocol, &data);
        one[2..4].copy_from_slice(&device.to_be_bytes());
        shows_the_packet(LinkLayer::Cooked1, &one);
        let mut two = cooked2(protocol, &data);
        two[8..10].copy_from_slice(&device.to_be_bytes());
        shows_the_packet(LinkLayer::Cooked2, &two);
    }
    // Netlink: its protocol numbers are no EtherTypes.
    let mut netlink = cooked1(IPV4, &small());
    netlink[2..4].copy_from_slice(&824_u16.to_be_bytes());
    has_no_host(LinkLayer::Cooked1, &netlink);
}

#[test]
fn other_local_networks_show_the_packet_and_who_sent_it() {
    use LinkLayer::{Enc, Fddi, FibreChannel, NetAnalyzer, TokenRing};
    for (name, link, frame) in every_kind() {
        if matches!(link, Fddi | FibreChannel | NetAnalyzer | TokenRing) {
            assert_eq!(shows_the_packet(link, &frame).source_mac(), Mac(SENDER), "{name}");
        }
    }
    // Frames of the ring itself.
    let mut ring = token_ring(&[], &snap(IPV4, &small()));
    ring[1] = 0;
    has_no_host(TokenRing, &ring);
    let mut ring = cat(&[&[0x50], &ring[2..14], &snap(IPV4, &small())]);
    ring[0] = 0x41;
    has_no_host(Fddi, &ring);
    // A route shorter than its own header.
    let odd = token_ring(&[1, 0], &snap(IPV4, &small()));
    assert_eq!(whole(TokenRing, &odd).defect(), Defect::Malformed);
    shows_the_packet(Enc, &cat(&[&[0, 0, 0, 2], &[7; 8], &small()]));
    shows_the_packet(Enc, &cat(&[&[24, 0, 0, 0], &[7; 8], &small_v6()]));
}

#[test]
fn batman_frames_are_passed_and_its_own_packets_are_not() {
    let mut inner = ethernet(IPV4, &small());
    inner[6..12].copy_from_slice(&OUTSIDER);
    for kind in [0x01, 0x40, 0x42] {
        let record =
            shows_the_packet(LinkLayer::Ethernet, &ethernet(0x4305, &batman(kind, &inner)));
        assert_eq!(record.source_mac(), Mac(OUTSIDER));
        let mut old = batman(kind, &inner);
        old[1] = 14;
        has_no_host(LinkLayer::Ethernet, &ethernet(0x4305, &old));
    }
    for kind in [0x00, 0x02, 0x03, 0x04, 0x41, 0x43, 0x44] {
        has_no_host(LinkLayer::Ethernet, &ethernet(0x4305, &batman(kind, &inner)));
    }
}

#[test]
fn spanning_tree_has_no_host() {
    has_no_host(LinkLayer::Ethernet, &ethernet_with_length(&[0x42, 0x42, 3, 0, 0, 0, 0, 0]));
}

#[test]
fn cooked_frames_of_both_versions_show_packet_and_sender() {
    let record = shows_the_packet(LinkLayer::Cooked1, &cooked1(IPV4, &small()));
    assert_eq!(record.source_mac(), Mac(SENDER));
    let record = shows_the_packet(LinkLayer::Cooked2, &cooked2(IPV6, &small_v6()));
    assert_eq!(record.source_mac(), Mac(SENDER));
    shows_the_packet(LinkLayer::Cooked1, &cooked1(0x8100, &vlan(IPV4, &small())));
    shows_the_packet(LinkLayer::Cooked2, &cooked2(4, &snap(IPV4, &small())));
}

#[test]
fn a_cooked_frame_whose_address_is_not_a_mac_has_no_mac() {
    let mut frame = cooked1(IPV4, &small());
    frame[5] = 4;
    assert!(!shows_the_packet(LinkLayer::Cooked1, &frame).source_mac().is_known());
    let mut frame = cooked2(IPV4, &small());
    frame[11] = 0;
    assert!(!shows_the_packet(LinkLayer::Cooked2, &frame).source_mac().is_known());
}

#[test]
fn linux_protocol_numbers_in_cooked_frames_are_no_lengths() {
    // 12 is CAN there, not the length of an LLC frame.
    has_no_host(LinkLayer::Cooked1, &cooked1(12, &snap(IPV4, &small())));
}

#[test]
fn raw_ip_is_told_apart_by_its_version() {
    assert!(!shows_the_packet(LinkLayer::RawIp, &small()).source_mac().is_known());
    shows_the_packet(LinkLayer::RawIp, &small_v6());
    let record = whole(LinkLayer::RawIp, &[0x50; 40]);
    assert_eq!((record.network(), record.defect()), (Network::Other, Defect::Malformed));
}

#[test]
fn null_is_read_in_both_byte_orders() {
    shows_the_packet(LinkLayer::Null, &cat(&[&[2, 0, 0, 0], &small()]));
    shows_the_packet(LinkLayer::Null, &cat(&[&[0, 0, 0, 2], &small()]));
    for family in [10, 23, 24, 28, 30] {
        shows_the_packet(LinkLayer::Null, &cat(&[&[family, 0, 0, 0], &small_v6()]));
        shows_the_packet(LinkLayer::Null, &cat(&[&[0, 0, 0, family], &small_v6()]));
    }
    has_no_host(LinkLayer::Null, &cat(&[&[7, 0, 0, 0], &small()]));
}

#[test]
fn loop_is_read_in_network_byte_order_only() {
    shows_the_packet(LinkLayer::Loop, &cat(&[&[0, 0, 0, 2], &small()]));
    shows_the_packet(LinkLayer::Loop, &cat(&[&[0, 0, 0, 24], &small_v6()]));
    has_no_host(LinkLayer::Loop, &cat(&[&[2, 0, 0, 0], &small()]));
}

#[test]
fn ppp_is_read_with_and_without_framing_and_compression() {
    let v4: &[u8] = &small();
    for head in [&[0, 0x21][..], &[0x21], &[0xff, 3, 0, 0x21], &[0xff, 3, 0x21]] {
        shows_the_packet(LinkLayer::Ppp, &cat(&[head, v4]));
    }
    for head in [&[0, 3, 0, 0x21][..], &[1, 3, 0, 0x21], &[0xff, 3, 0, 0x21], &[0, 0x21]] {
        shows_the_packet(LinkLayer::PppDirection, &cat(&[head, v4]));
    }
    shows_the_packet(LinkLayer::Ppp, &cat(&[&[0, 0x57], &small_v6()]));
    shows_the_packet(LinkLayer::Ppp, &cat(&[&[2, 0x81], &mpls(v4)]));
}

#[test]
fn cisco_hdlc_is_passed_on_its_own_and_in_a_ppp_capture() {
    shows_the_packet(LinkLayer::CiscoHdlc, &cat(&[&[0x0f, 0, 8, 0], &small()]));
    shows_the_packet(LinkLayer::CiscoHdlc, &cat(&[&[0x8f, 0, 0x86, 0xdd], &small_v6()]));
    shows_the_packet(LinkLayer::Ppp, &cat(&[&[0x0f, 0, 8, 0], &small()]));
    has_no_host(LinkLayer::CiscoHdlc, &[0x8f, 0, 0x80, 0x35, 0, 0, 0, 2, 0, 0, 0, 0]);
}

#[test]
fn frame_relay_addresses_of_two_to_four_bytes_are_passed() {
    for address in [&[0x18, 0x41][..], &[0x18, 0x40, 1], &[0x18, 0x40, 0, 1]] {
        shows_the_packet(LinkLayer::FrameRelay, &cat(&[address, &[3, 0xcc], &small()]));
        shows_the_packet(LinkLayer::FrameRelay, &cat(&[address, &[3, 0x8e], &small_v6()]));
        let snap = [3, 0, 0x80, 0, 0, 0, 8, 0];
        shows_the_packet(LinkLayer::FrameRelay, &cat(&[address, &snap, &small()]));
    }
}

#[test]
fn wifi_shows_the_sender_wherever_the_frame_has_it() {
    for ways in [0, TO_DS, FROM_DS, TO_DS | FROM_DS] {
        for qos in [0, QOS, QOS | ORDER] {
            let frame = wifi(DATA | ways | qos, &small());
            let record = shows_the_packet(LinkLayer::Wifi, &frame);
            assert_eq!(record.source_mac(), Mac(SENDER), "{ways:04x} {qos:04x}");
        }
    }
}

#[test]
fn protected_wifi_shows_the_sender_but_no_packet() {
    let frame = wifi(DATA | QOS | TO_DS | PROTECTED, &small());
    has_no_host(LinkLayer::Wifi, &frame);
    assert_eq!(whole(LinkLayer::Wifi, &frame).source_mac(), Mac(SENDER));
}

#[test]
fn wifi_that_is_not_one_data_frame_has_no_host() {
    has_no_host(LinkLayer::Wifi, &cat(&[&[0x80, 0], &[0; 60]])); // beacon
    has_no_host(LinkLayer::Wifi, &[0xd4, 0, 0, 0, 2, 0, 0, 0, 0, 1]); // acknowledgement
    has_no_host(LinkLayer::Wifi, &wifi_header(DATA | 0x0040)); // null function
    let mut aggregate = wifi(DATA | QOS, &small());
    aggregate[24] = 0x80;
    has_no_host(LinkLayer::Wifi, &aggregate);
}

#[test]
fn radiotap_is_passed_with_and_without_padding() {
    let header = wifi_header(DATA | QOS | FROM_DS);
    let body = snap(IPV4, &small());
    let plain = cat(&[&header, &body]);
    let padded = cat(&[&header, &[0, 0], &body]);
    let record = shows_the_packet(LinkLayer::Radiotap, &radiotap(0, &plain));
    assert_eq!(record.source_mac(), Mac(SENDER));
    shows_the_packet(LinkLayer::Radiotap, &radiotap(0x20, &padded));
    // Two presence words, and no timer in front of the flags.
    let head = [0, 0, 13, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0x20];
    shows_the_packet(LinkLayer::Radiotap, &cat(&[&head, &padded]));
}

#[test]
fn a_radiotap_header_shorter_than_itself_is_malformed() {
    let record = whole(LinkLayer::Radiotap, &[0, 0, 7, 0, 0, 0, 0, 0, 8, 0]);
    assert_eq!(record.defect(), Defect::Malformed);
}

#[test]
fn prism_and_avs_headers_are_passed() {
    let frame = wifi(DATA | TO_DS, &small());
    let record = shows_the_packet(LinkLayer::Prism, &prism(&frame));
    assert_eq!(record.source_mac(), Mac(SENDER));
    shows_the_packet(LinkLayer::Avs, &avs(&frame));
}

#[test]
fn per_packet_information_names_the_link_layer() {
    shows_the_packet(LinkLayer::Ppi, &ppi(105, &wifi(DATA, &small())));
    shows_the_packet(LinkLayer::Ppi, &ppi(1, &ethernet(IPV4, &small())));
    shows_the_packet(LinkLayer::Ppi, &ppi(101, &small_v6()));
    has_no_host(LinkLayer::Ppi, &ppi(147, &small()));
}

#[test]
fn per_packet_information_that_names_itself_is_malformed() {
    let record = whole(LinkLayer::Ppi, &ppi(192, &ppi(1, &ethernet(IPV4, &small()))));
    assert_eq!((record.network(), record.defect()), (Network::Other, Defect::Malformed));
}

#[test]
fn netfilter_log_attributes_are_passed_up_to_the_packet() {
    use LinkLayer::Nflog;
    let record = shows_the_packet(Nflog, &nflog(2, 0, &small()));
    assert_eq!(record.source_mac(), Mac(SENDER));
    shows_the_packet(Nflog, &nflog(10, 0, &small_v6()));
    // For a bridge, ARP or a device, the family is not the type of the packet.
    for family in [0, 3, 5, 7] {
        let record = shows_the_packet(Nflog, &nflog(family, IPV4, &small()));
        assert_eq!(record.source_mac(), Mac(SENDER));
        shows_the_packet(Nflog, &nflog(family, 0x8100, &vlan(IPV6, &small_v6())));
        assert_eq!(whole(Nflog, &nflog(family, ARP, &[0; 28])).network(), Network::Arp);
        has_no_host(Nflog, &nflog(family, 0x88cc, &small()));
    }
    let endless = [2, 0, 0, 5, 0, 0, 1, 0, 8, 0, 1, 0];
    assert_eq!(whole(Nflog, &endless).defect(), Defect::Malformed);
}

#[test]
fn netfilter_log_is_read_in_both_byte_orders() {
    shows_the_packet(LinkLayer::Nflog, &nflog_big_endian(2, IPV4, &small()));
    shows_the_packet(LinkLayer::Nflog, &nflog_big_endian(7, IPV6, &small_v6()));
}

#[test]
fn an_unknown_link_layer_counts_bytes_only() {
    assert_eq!(LinkLayer::from_dlt(147), LinkLayer::Unknown);
    has_no_host(LinkLayer::Unknown, &ethernet(IPV4, &small()));
}

#[test]
fn a_link_layer_that_is_cut_is_truncated_and_one_that_ends_is_malformed() {
    use LinkLayer::{Cooked1, Cooked2, Ethernet, Loop, Null, Pppoe, Prism};
    let lengths = [
        (Ethernet, 13),
        (Cooked1, 15),
        (Cooked2, 19),
        (Null, 3),
        (Loop, 3),
        (Pppoe, 5),
        (Prism, 143),
    ];
    for (link, short) in lengths {
        let frame = vec![0; short];
        assert_eq!(whole(link, &frame).defect(), Defect::Malformed, "{link:?}");
        assert_eq!(of_wire_length(link, &frame, 200).defect(), Defect::Truncated, "{link:?}");
    }
}

#[test]
fn a_record_forgets_the_frame_before() {
    let reset = ipv4(6, &tcp((1, 2), 3, RST, b"x"));
    let mut record = whole(LinkLayer::Ethernet, &ethernet(IPV4, &reset));
    assert!(record.is_reset());
    decode(LinkLayer::Ethernet, &[], 60, 7, &mut record);
    assert_eq!(record, of_wire_length(LinkLayer::Ethernet, &[], 60));
}
