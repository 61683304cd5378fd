//! The headers between the addresses of an Ethernet frame and its packet: tags that end in an
//! EtherType, whole Ethernet frames carried in others, label stacks, lengths in place of a type.
//!
//! This is a loop, not a recursion: a frame may consist of tags only, or of SNAP headers that say
//! "802.3 length". Each step moves on by at least two bytes.

use super::layer::{ETHERTYPE_ARP, ETHERTYPE_IPV4, ETHERTYPE_IPV6, narrow};
use super::{Defect, Network, PacketRecord, ip, mpls, ppp};

const NSH: u16 = 0x894f;
const MPLS: u16 = 0x8847;

/// An EtherType and the data of that type.
type Typed<'a> = (u16, &'a [u8]);

/// The next step after a header.
enum Next<'a> {
    /// An EtherType again.
    Typed(Typed<'a>),
    /// The frame has been read, or there is nothing to read.
    Done,
    /// The header is cut off.
    Short,
}

impl<'a> From<Option<Typed<'a>>> for Next<'a> {
    fn from(typed: Option<Typed<'a>>) -> Next<'a> {
        typed.map_or(Next::Short, Next::Typed)
    }
}

/// Follows an EtherType (or, up to 1,500, the length field of IEEE 802.3).
pub(super) fn ethertype(mut kind: u16, mut data: &[u8], record: &mut PacketRecord) {
    loop {
        let next = match kind {
            ETHERTYPE_IPV4 => return ip::v4(data, record),
            ETHERTYPE_IPV6 => return ip::v6(data, record),
            ETHERTYPE_ARP => return record.set_network(Network::Arp),
            // 802.1Q, 802.1ad and the tag types that came before it.
            0x8100 | 0x88a8 | 0x9100 | 0x9200 | 0x9300 => typed(data, 2).into(),
            // VN-Tag (Cisco; the draft of 802.1Qbh), HSR (IEC 62439-3, 5.7), redundancy tag
            // (IEEE 802.1CB, 7.8).
            0x8926 | 0x892f | 0xf1c1 => typed(data, 4).into(),
            // E-Tag (IEEE 802.1BR, 7.5).
            0x893f => typed(data, 6).into(),
            0x8909 => metadata(data).into(),
            0x88e5 => macsec(data),
            // Provider backbone bridging (IEEE 802.1ah, 9.7): a service tag of 4 bytes, then
            // the customer's frame.
            0x88e7 => frame_at(data, 4, record).into(),
            // LLC in a frame too long for a length field.
            0x8870 => snap(data, record),
            0x4305 => batman(data, record),
            0x22f3 => trill(data, record).into(),
            NSH => service_function(data, record),
            MPLS | 0x8848 => return mpls::stack(data, record),
            0x8864 => return ppp::pppoe(data, record),
            0..=1500 => {
                data = narrow(data, u32::from(kind), record);
                snap(data, record)
            }
            _ => return,
        };
        match next {
            Next::Typed(next) => (kind, data) = next,
            Next::Done => return,
            Next::Short => return record.set_short(),
        }
    }
}

/// The EtherType that stands at `at`, and the data behind it: a tag's bytes in front of its EtherType
/// are `at`, not the length of the tag with it.
fn typed(data: &[u8], at: usize) -> Option<Typed<'_>> {
    let (kind, rest) = data.get(at..)?.split_first_chunk()?;
    Some((u16::from_be_bytes(*kind), rest))
}

/// The Ethernet frame at `at`; the packet's sender is this frame's.
fn frame_at<'a>(data: &'a [u8], at: usize, record: &mut PacketRecord) -> Option<Typed<'a>> {
    let frame = data.get(at..)?;
    let inner = typed(frame, 12)?;
    record.set_extra(frame.get(6..)?.first_chunk().copied()?);
    Some(inner)
}

/// Cisco metadata (TrustSec): version, the length of the options in units of 4 bytes, the
/// options (a security group tag takes one unit), EtherType.
fn metadata(data: &[u8]) -> Option<Typed<'_>> {
    typed(data, 2 + 4 * usize::from(*data.get(1)?))
}

/// A MACsec tag (IEEE 802.1AE, 9.3): 6 bytes, 8 more if it names the channel. The data behind it is
/// readable if it is only signed, not encrypted or changed.
fn macsec(data: &[u8]) -> Next<'_> {
    const CHANNEL_NAMED: u8 = 0x20;
    const ENCRYPTED_OR_CHANGED: u8 = 0x0c;
    match data.first() {
        Some(bits) if bits & ENCRYPTED_OR_CHANGED != 0 => Next::Done,
        Some(bits) if bits & CHANNEL_NAMED != 0 => typed(data, 14).into(),
        Some(_) => typed(data, 6).into(),
        None => Next::Short,
    }
}

/// TRILL (RFC 6325, section 3): 6 bytes, options, then an Ethernet frame. The first two bytes hold
/// the length of the options in units of 4 bytes.
fn trill<'a>(data: &'a [u8], record: &mut PacketRecord) -> Option<Typed<'a>> {
    let bits = u16::from_be_bytes(*data.first_chunk()?);
    frame_at(data, 6 + 4 * usize::from(bits >> 6 & 0x1f), record)
}

/// batman-adv (`linux/batadv_packet.h`, version 15): a header whose length depends on its kind,
/// then a frame to all or to one. Other kinds are the mesh's own packets, or pieces.
fn batman<'a>(data: &'a [u8], record: &mut PacketRecord) -> Next<'a> {
    let length = match data.first_chunk() {
        None => return Next::Short,
        Some([0x01, 15]) => 14,
        Some([0x40, 15]) => 10,
        Some([0x42, 15]) => 18,
        Some(_) => return Next::Done,
    };
    frame_at(data, length, record).into()
}

/// The network service header (RFC 8300, section 2). The second byte holds its length in units of 4
/// bytes, the fourth the type of its payload.
fn service_function<'a>(data: &'a [u8], record: &mut PacketRecord) -> Next<'a> {
    const BASE_AND_PATH: usize = 8;
    let Some(&[_, length, _, carried]) = data.first_chunk() else {
        return Next::Short;
    };
    let length = usize::from(length & 0x3f) * 4;
    if length < BASE_AND_PATH {
        record.set_defect(Defect::Malformed);
        return Next::Done;
    }
    let kind = match carried {
        1 => ETHERTYPE_IPV4,
        2 => ETHERTYPE_IPV6,
        3 => return frame_at(data, length, record).into(),
        4 => NSH,
        5 => MPLS,
        _ => return Next::Done,
    };
    data.get(length..).map(|rest| (kind, rest)).into()
}

/// Reads IEEE 802.2 LLC in a frame without a length of its own.
pub(super) fn llc(data: &[u8], record: &mut PacketRecord) {
    match snap(data, record) {
        Next::Typed((kind, rest)) => ethertype(kind, rest, record),
        Next::Done => {}
        Next::Short => record.set_short(),
    }
}

/// IEEE 802.2 LLC. With SNAP (RFC 1042) it leads to an EtherType; behind IP's rare service access
/// point, IP is read here.
fn snap<'a>(data: &'a [u8], record: &mut PacketRecord) -> Next<'a> {
    match data {
        [0xaa, 0xaa, 0x03, 0, 0, 0 | 0xf8, high, low, rest @ ..] => {
            return Next::Typed((u16::from_be_bytes([*high, *low]), rest));
        }
        [0x06, 0x06, _, rest @ ..] => ip::v4(rest, record),
        [_, _, _, ..] if !data.starts_with(&[0xaa, 0xaa, 0x03]) || data.len() >= 8 => {}
        _ => return Next::Short,
    }
    Next::Done
}
