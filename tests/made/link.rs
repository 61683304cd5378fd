//! Link-layer headers: bytes in front of a packet, which do not change its facts.

use super::packet::Packet;

/// The sending and the receiving station, and the access point.
const SENDER: [u8; 6] = [2, 0, 0, 0, 0, 1];
const RECEIVER: [u8; 6] = [2, 0, 0, 0, 0, 2];
const ACCESS_POINT: [u8; 6] = [2, 0, 0, 0, 0, 3];

/// Puts headers in front of a packet; `None` if this link layer cannot carry it.
pub type Wrap = fn(&Packet) -> Option<Vec<u8>>;

/// A link layer in a capture file.
pub struct Link {
    /// Part of the file's name.
    pub name: &'static str,
    /// The link type in the file's header (<https://www.tcpdump.org/linktypes.html>).
    pub number: u32,
    /// Its headers.
    pub wrap: Wrap,
}

/// Concatenates the parts.
pub fn cat(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

/// The EtherType of a packet.
fn kind(packet: &Packet) -> [u8; 2] {
    if packet.is_v6() { [0x86, 0xdd] } else { [8, 0] }
}

/// An Ethernet frame of this type.
pub fn ethernet(kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    cat(&[&RECEIVER, &SENDER, &kind, payload])
}

/// An IEEE 802.3 frame, with its length instead of a type.
pub fn ethernet_with_length(payload: &[u8]) -> Vec<u8> {
    ethernet((payload.len() as u16).to_be_bytes(), payload)
}

/// IEEE 802.2 LLC and SNAP with this organisation code (RFC 1042: zeros).
fn snap(organisation: [u8; 3], packet: &Packet) -> Vec<u8> {
    cat(&[&[0xaa, 0xaa, 3], &organisation, &kind(packet), &packet.bytes])
}

/// One VLAN tag, without its own EtherType.
fn tag(next: [u8; 2], payload: &[u8]) -> Vec<u8> {
    cat(&[&[0x20, 42], &next, payload])
}

/// Labels (RFC 3032), the last one at the bottom of the stack.
fn mpls(labels: usize, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for left in (0..labels).rev() {
        out.extend([0, 1, u8::from(left == 0), 64]);
    }
    cat(&[&out, payload])
}

/// PPP (RFC 1661), with a two-byte protocol field.
fn ppp(packet: &Packet) -> Vec<u8> {
    cat(&[&[0, if packet.is_v6() { 0x57 } else { 0x21 }], &packet.bytes])
}

/// A PPPoE session frame (RFC 2516).
fn pppoe(ppp: &[u8]) -> Vec<u8> {
    cat(&[&[0x11, 0, 0, 1], &(ppp.len() as u16).to_be_bytes(), ppp])
}

/// Linux cooked, version 1.
pub fn cooked1(kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    cat(&[&[0, 4, 0, 1, 0, 6], &SENDER, &[0, 0], &kind, payload])
}

/// Linux cooked, version 2.
fn cooked2(kind: [u8; 2], payload: &[u8]) -> Vec<u8> {
    cat(&[&kind, &[0, 0, 0, 0, 0, 3, 0, 1, 4, 6], &SENDER, &[0, 0], payload])
}

/// BSD loopback: the address family in this byte order.
fn family(packet: &Packet, v6: u32, is_big: bool) -> Vec<u8> {
    let number = if packet.is_v6() { v6 } else { 2 };
    let head = if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
    cat(&[&head, &packet.bytes])
}

/// Bits of the 802.11 frame control field, read as little-endian (IEEE 802.11, 9.2.4.1).
pub const DATA: u16 = 0x0008;
pub const QOS: u16 = 0x0080;
pub const TO_DS: u16 = 0x0100;
pub const FROM_DS: u16 = 0x0200;
pub const PROTECTED: u16 = 0x4000;
const ORDER: u16 = 0x8000;

/// An 802.11 MAC header that matches its control field.
pub fn wifi_header(control: u16) -> Vec<u8> {
    let both = TO_DS | FROM_DS;
    let addresses = match control & both {
        TO_DS => [ACCESS_POINT, SENDER, RECEIVER],
        FROM_DS => [RECEIVER, ACCESS_POINT, SENDER],
        0 => [RECEIVER, SENDER, ACCESS_POINT],
        _ => [ACCESS_POINT, ACCESS_POINT, RECEIVER],
    };
    let mut header = cat(&[&control.to_le_bytes(), &[0, 0], addresses.as_flattened(), &[0x10, 0]]);
    if control & both == both {
        header.extend(SENDER);
    }
    if control & QOS != 0 {
        header.extend([0, 0]);
    }
    if control & (QOS | ORDER) == QOS | ORDER {
        header.extend([0; 4]);
    }
    header
}

/// An 802.11 data frame.
pub fn wifi(control: u16, packet: &Packet) -> Vec<u8> {
    cat(&[&wifi_header(control), &snap([0; 3], packet)])
}

/// Radiotap with a timer and flags (<https://www.radiotap.org>).
pub fn radiotap(flags: u8, frame: &[u8]) -> Vec<u8> {
    cat(&[&[0, 0, 17, 0, 3, 0, 0, 0], &[0xee; 8], &[flags], frame])
}

/// Per-packet information in front of a frame of this link type.
fn ppi(number: u32, frame: &[u8]) -> Vec<u8> {
    cat(&[&[0, 0, 12, 0], &number.to_le_bytes(), &[9; 4], frame])
}

/// A netfilter log message: two attributes, then the packet.
fn nflog(packet: &Packet) -> Vec<u8> {
    let length = (4 + packet.bytes.len() as u16).to_le_bytes();
    let family = if packet.is_v6() { 10 } else { 2 };
    cat(&[
        &[family, 0, 0, 5],
        &[8, 0, 1, 0, 8, 0, 1, 0],
        &[5, 0, 10, 0, 0, 0xff, 0xff, 0xff],
        &length,
        &[9, 0],
        &packet.bytes,
    ])
}

/// Frame relay (RFC 2427) with this address.
fn frame_relay(address: &[u8], packet: &Packet) -> Vec<u8> {
    let protocol = if packet.is_v6() { 0x8e } else { 0xcc };
    cat(&[address, &[3, protocol], &packet.bytes])
}

/// The same from a bridge, whose hardware protocol is the EtherType; in either byte order.
fn nflog_bridge(packet: &Packet, is_big: bool) -> Vec<u8> {
    let word = |number: u16| if is_big { number.to_be_bytes() } else { number.to_le_bytes() };
    let length = word(4 + packet.bytes.len() as u16);
    let kind = kind(packet);
    cat(&[&[7, 0, 0, 5], &word(8), &word(1), &kind, &[1, 0], &length, &word(9), &packet.bytes])
}

/// A network service header (RFC 8300) of MD type 2 with this many words.
fn service_function(words: u8, carried: u8, payload: &[u8]) -> Vec<u8> {
    let context = vec![0xee; 4 * (usize::from(words) - 2)];
    cat(&[&[0x0f, 0xc0 | words, 2, carried], &[0, 0, 7, 255], &context, payload])
}

/// An 802.11s data frame: a mesh control field, with stations outside the mesh.
fn mesh(ways: u16, outside: u8, packet: &Packet) -> Vec<u8> {
    let mut header = wifi_header(DATA | QOS | ways);
    let last = header.len() - 1;
    header[last] = 1;
    let addresses = vec![[2, 0, 0, 0, 0, 9]; usize::from(outside)];
    let control = [outside, 31, 1, 0, 0, 0];
    cat(&[&header, &control, addresses.as_flattened(), &snap([0; 3], packet)])
}

const fn link(name: &'static str, number: u32, wrap: Wrap) -> Link {
    Link { name, number, wrap }
}

/// Every encapsulation of IP that the decoder passes through.
pub const LINKS: &[Link] = &[
    link("ethernet", 1, |p| Some(ethernet(kind(p), &p.bytes))),
    link("vlan", 1, |p| Some(ethernet([0x81, 0], &tag(kind(p), &p.bytes)))),
    link("qinq", 1, |p| Some(ethernet([0x88, 0xa8], &tag([0x81, 0], &tag(kind(p), &p.bytes))))),
    link("qinq-9100", 1, |p| {
        let inner = tag([0x92, 0], &tag([0x93, 0], &tag(kind(p), &p.bytes)));
        Some(ethernet([0x91, 0], &inner))
    }),
    link("mpls", 1, |p| Some(ethernet([0x88, 0x47], &mpls(1, &p.bytes)))),
    link("mpls-deep", 1, |p| Some(ethernet([0x88, 0x48], &mpls(5, &p.bytes)))),
    link("vlan-mpls", 1, |p| Some(ethernet([0x81, 0], &tag([0x88, 0x47], &mpls(2, &p.bytes))))),
    link("pppoe", 1, |p| Some(ethernet([0x88, 0x64], &pppoe(&ppp(p))))),
    link("vlan-pppoe", 1, |p| Some(ethernet([0x81, 0], &tag([0x88, 0x64], &pppoe(&ppp(p)))))),
    link("snap", 1, |p| Some(ethernet_with_length(&snap([0; 3], p)))),
    link("snap-bridge-tunnel", 1, |p| Some(ethernet_with_length(&snap([0, 0, 0xf8], p)))),
    link("vlan-snap", 1, |p| {
        let inner = snap([0; 3], p);
        Some(ethernet([0x81, 0], &tag((inner.len() as u16).to_be_bytes(), &inner)))
    }),
    link("llc-ip", 1, |p| {
        (!p.is_v6()).then(|| ethernet_with_length(&cat(&[&[6, 6, 3], &p.bytes])))
    }),
    link("cooked1", 113, |p| Some(cooked1(kind(p), &p.bytes))),
    link("cooked1-vlan", 113, |p| Some(cooked1([0x81, 0], &tag(kind(p), &p.bytes)))),
    link("cooked1-llc", 113, |p| Some(cooked1([0, 4], &snap([0; 3], p)))),
    link("cooked2", 276, |p| Some(cooked2(kind(p), &p.bytes))),
    link("cooked2-mpls", 276, |p| Some(cooked2([0x88, 0x47], &mpls(2, &p.bytes)))),
    link("raw", 101, |p| Some(p.bytes.clone())),
    link("raw12", 12, |p| Some(p.bytes.clone())),
    link("raw14", 14, |p| Some(p.bytes.clone())),
    link("ipv4", 228, |p| (!p.is_v6()).then(|| p.bytes.clone())),
    link("ipv6", 229, |p| p.is_v6().then(|| p.bytes.clone())),
    link("null-linux", 0, |p| Some(family(p, 10, false))),
    link("null-freebsd-big", 0, |p| Some(family(p, 28, true))),
    link("null-darwin", 0, |p| Some(family(p, 30, false))),
    link("null-windows", 0, |p| Some(family(p, 23, false))),
    link("loop", 108, |p| Some(family(p, 24, true))),
    link("ppp", 9, |p| Some(ppp(p))),
    link("ppp-hdlc", 9, |p| Some(cat(&[&[0xff, 3], &ppp(p)]))),
    link("ppp-compressed", 9, |p| Some(ppp(p)[1..].to_vec())),
    link("ppp-mpls", 9, |p| Some(cat(&[&[2, 0x81], &mpls(2, &p.bytes)]))),
    link("ppp-serial", 50, |p| Some(cat(&[&[0xff, 3], &ppp(p)]))),
    link("ppp-serial-cisco", 50, |p| Some(cat(&[&[0x0f, 0], &kind(p), &p.bytes]))),
    link("ppp-direction", 166, |p| Some(cat(&[&[1, 3], &ppp(p)]))),
    link("ppp-ether", 51, |p| Some(pppoe(&ppp(p)))),
    link("cisco-hdlc", 104, |p| Some(cat(&[&[0x8f, 0], &kind(p), &p.bytes]))),
    link("frame-relay", 107, |p| Some(frame_relay(&[0x18, 0x41], p))),
    link("frame-relay-long", 107, |p| Some(frame_relay(&[0x18, 0x40, 0, 1], p))),
    link("frame-relay-snap", 107, |p| {
        Some(cat(&[&[0x18, 0x41, 3, 0, 0x80, 0, 0, 0], &kind(p), &p.bytes]))
    }),
    link("wifi-adhoc", 105, |p| Some(wifi(DATA, p))),
    link("wifi-up", 105, |p| Some(wifi(DATA | TO_DS, p))),
    link("wifi-down", 105, |p| Some(wifi(DATA | FROM_DS | QOS, p))),
    link("wifi-bridge", 105, |p| Some(wifi(DATA | TO_DS | FROM_DS | QOS, p))),
    link("wifi-ht", 105, |p| Some(wifi(DATA | TO_DS | QOS | ORDER, p))),
    link("radiotap", 127, |p| Some(radiotap(0, &wifi(DATA | TO_DS, p)))),
    link("radiotap-padded", 127, |p| {
        let header = wifi_header(DATA | FROM_DS | QOS);
        Some(radiotap(0x20, &cat(&[&header, &[0, 0], &snap([0; 3], p)])))
    }),
    link("radiotap-two-words", 127, |p| {
        let head = [0, 0, 13, 0, 2, 0, 0, 0x80, 0, 0, 0, 0, 0];
        Some(cat(&[&head, &wifi(DATA | TO_DS, p)]))
    }),
    link("prism", 119, |p| {
        Some(cat(&[&[0x44, 0, 0, 0, 144, 0, 0, 0], &[0; 136], &wifi(DATA | FROM_DS, p)]))
    }),
    link("avs", 163, |p| {
        Some(cat(&[&[0x80, 0x21, 0x10, 1, 0, 0, 0, 64], &[0; 56], &wifi(DATA | QOS, p)]))
    }),
    link("ppi-wifi", 192, |p| Some(ppi(105, &wifi(DATA | TO_DS, p)))),
    link("ppi-ethernet", 192, |p| Some(ppi(1, &ethernet(kind(p), &p.bytes)))),
    link("ppi-raw", 192, |p| Some(ppi(101, &p.bytes))),
    link("nflog", 239, |p| Some(nflog(p))),
    link("nflog-bridge", 239, |p| Some(nflog_bridge(p, false))),
    link("nflog-bridge-big", 239, |p| Some(nflog_bridge(p, true))),
    link("mpls-alone", 219, |p| Some(mpls(2, &p.bytes))),
    link("ppp-with-direction", 204, |p| Some(cat(&[&[1], &ppp(p)]))),
    link("cisco-hdlc-with-direction", 205, |p| Some(cat(&[&[0, 0x8f, 0], &kind(p), &p.bytes]))),
    link("frame-relay-with-direction", 206, |p| Some(cat(&[&[0], &frame_relay(&[0x18, 0x41], p)]))),
    link("atm", 100, |p| Some(snap([0; 3], p))),
    link("token-ring", 6, |p| Some(cat(&[&[0x10, 0x40], &RECEIVER, &SENDER, &snap([0; 3], p)]))),
    link("token-ring-routed", 6, |p| {
        let routed = [0x82, 0, 0, 0, 0, 1, 6, 0, 0, 1, 0, 2];
        Some(cat(&[&[0x10, 0x40], &RECEIVER, &routed, &snap([0; 3], p)]))
    }),
    link("fddi", 10, |p| Some(cat(&[&[0x57], &RECEIVER, &SENDER, &snap([0; 3], p)]))),
    link("fibre-channel", 122, |p| {
        Some(cat(&[&[0x10, 0], &RECEIVER, &[0x10, 0], &SENDER, &snap([0; 3], p)]))
    }),
    link("firewire", 138, |p| Some(cat(&[&[1; 8], &[2; 8], &kind(p), &p.bytes]))),
    link("enc", 109, |p| {
        let family = family(p, 24, false);
        Some(cat(&[&family[..4], &[0; 8], &p.bytes]))
    }),
    link("net-analyzer", 240, |p| Some(cat(&[&[0; 4], &ethernet(kind(p), &p.bytes)]))),
    link("redundancy-tag", 1, |p| {
        Some(ethernet([0xf1, 0xc1], &cat(&[&[0, 0, 0, 1], &kind(p), &p.bytes])))
    }),
    link("jumbo-llc", 1, |p| Some(ethernet([0x88, 0x70], &snap([0; 3], p)))),
    link("batman", 1, |p| {
        let header = [0x40, 15, 50, 1, 2, 0, 0, 0, 0, 9];
        Some(ethernet([0x43, 0x05], &cat(&[&header, &ethernet(kind(p), &p.bytes)])))
    }),
    link("vn-tag", 1, |p| {
        Some(ethernet([0x89, 0x26], &cat(&[&[0x40, 1, 0, 2, 0x81, 0], &tag(kind(p), &p.bytes)])))
    }),
    link("e-tag", 1, |p| {
        Some(ethernet([0x89, 0x3f], &cat(&[&[0, 1, 0, 2, 0, 0], &kind(p), &p.bytes])))
    }),
    link("hsr", 1, |p| Some(ethernet([0x89, 0x2f], &cat(&[&[0, 60, 0, 1], &kind(p), &p.bytes])))),
    link("cisco-metadata", 1, |p| {
        Some(ethernet([0x89, 0x09], &cat(&[&[1, 1, 0, 1, 0, 10], &kind(p), &p.bytes])))
    }),
    link("macsec-clear", 1, |p| Some(ethernet([0x88, 0xe5], &cat(&[&[0; 6], &kind(p), &p.bytes])))),
    link("backbone", 1, |p| {
        let inner = cat(&[&[0, 0, 1, 2], &ethernet(kind(p), &p.bytes)]);
        Some(ethernet([0x88, 0xa8], &tag([0x88, 0xe7], &inner)))
    }),
    link("trill", 1, |p| {
        Some(ethernet([0x22, 0xf3], &cat(&[&[0, 0, 0, 1, 0, 2], &ethernet(kind(p), &p.bytes)])))
    }),
    link("nsh", 1, |p| {
        let carried = if p.is_v6() { 2 } else { 1 };
        Some(ethernet([0x89, 0x4f], &service_function(6, carried, &p.bytes)))
    }),
    link("nsh-ethernet", 1, |p| {
        Some(ethernet([0x89, 0x4f], &service_function(2, 3, &ethernet(kind(p), &p.bytes))))
    }),
    link("mesh", 105, |p| Some(mesh(TO_DS | FROM_DS, 0, p))),
    link("mesh-beyond", 105, |p| Some(mesh(TO_DS | FROM_DS, 2, p))),
    link("mesh-to-all", 105, |p| Some(mesh(FROM_DS, 1, p))),
];

/// Link types that are not decoded: their frames and bytes are counted.
pub const UNKNOWN: &[(&str, u32)] =
    &[("slip", 8), ("bluetooth", 187), ("user0", 147), ("usb", 220)];
