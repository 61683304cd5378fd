//! A second, small handle of an interface: whole packets of the protocols that tell names and
//! addresses, for the names thread. The capture threads never see it.
//!
//! Theory of operation. The kernel filters: a handle gets the ports of name services, ARP and the
//! like, and of connections to servers only what can be the beginning of a conversation: a SYN, from
//! which bytes are numbered, a record of a TLS handshake, a long header of QUIC, a request of HTTP.
//! A TLS hello often takes two segments; the second one begins with any bytes, so those that end a
//! write (PSH) and do not begin a record of application data pass, too. Of an upload that is a small
//! part. Frames with a VLAN tag match as well: Linux takes the tag off before the filter sees it.
//! Within PPPoE and further tags nothing matches.

use std::os::fd::{AsFd, BorrowedFd};

use pcap::{Active, Capture, Error, Precision};

use super::error::Trouble;
use super::handle::{Options, open};
use super::timestamp;
use crate::decode::{LinkLayer, PacketRecord, decode};

/// Bytes of a packet that are read: DHCP's options begin at byte 282, a hello has up to a segment.
const SNAP_LENGTH: u32 = 1_600;
/// The kernel's ring, bytes: some 300 packets.
const KERNEL_BUFFER: u32 = 512 << 10;

/// Messages with names in them.
const MESSAGES: &str = "(udp and (port 53 or port 67 or port 68 or port 137 or port 138 or port 546 \
    or port 547 or port 1900 or port 5353 or port 5355)) or tcp port 53 \
    or (icmp6 and ip6[40] >= 133 and ip6[40] <= 136)";
/// Servers that speak TLS, and HTTP.
const TLS: &str = "(dst port 443 or dst port 853 or dst port 8443)";
const HTTP: &str = "(dst port 80 or dst port 8080)";
/// What most requests of HTTP begin with.
const REQUESTS: [&[u8; 4]; 3] = [b"GET ", b"POST", b"HEAD"];
/// Those of the link layer.
const OVER_LINK: &str = "arp or ether proto 0x88cc or ether dst 01:00:0c:cc:cc:cc";

/// The filter for what is over IP.
fn over_ip() -> String {
    // pcap-filter(7): `tcp[]` and `udp[]` are for IPv4 only.
    let (v4, v6) = (beginnings("ip", "tcp[", "udp["), beginnings("ip6", "ip6[40 + ", "ip6[40 + "));
    format!("{MESSAGES} or {v4} or {v6}")
}

/// The filter for the beginnings of connections over one version of IP. `tcp` and `udp` begin the
/// expression for a byte of the transport header; its offset and a bracket follow.
fn beginnings(ip: &str, tcp: &str, udp: &str) -> String {
    let data = format!("{tcp}(({tcp}12] & 0xf0) >> 2)");
    let requests =
        REQUESTS.map(|request| format!("{data} : 4] = {:#x}", u32::from_be_bytes(*request)));
    format!(
        "({ip} and udp dst port 443 and {udp}8] & 0xc0 = 0xc0) \
         or ({ip} and tcp and {TLS} and ({tcp}13] & 0x12 = 2 or {data} : 2] = 0x1603 \
            or ({tcp}13] & 8 != 0 and {data} : 2] != 0x1703))) \
         or ({ip} and tcp and {HTTP} and ({}))",
        requests.join(" or ")
    )
}

/// An interface that is being listened to.
pub struct Ear {
    capture: Capture<Active>,
    link: LinkLayer,
}

impl Ear {
    /// Opens an interface.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(name: &str, promiscuous: bool) -> Result<Ear, Trouble> {
        let options = |filter: String| Options {
            snap_length: SNAP_LENGTH,
            kernel_buffer: KERNEL_BUFFER,
            promiscuous,
            filter,
        };
        let over_ip = over_ip();
        let capture = match open(name, &options(format!("{OVER_LINK} or {over_ip}"))) {
            // Not every link layer has these.
            Err(Trouble::Filter(_)) => open(name, &options(over_ip))?,
            other => other?,
        };
        let link = LinkLayer::from_dlt(capture.get_datalink().0);
        Ok(Ear { capture, link })
    }

    /// The descriptor that is readable when there are packets.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }

    /// Passes at most `most` packets to `each`, with their decoded headers; returns how many.
    ///
    /// # Errors
    /// libpcap's: the interface may have gone.
    pub fn read(
        &mut self,
        most: usize,
        mut each: impl FnMut(&[u8], &PacketRecord),
    ) -> Result<usize, Error> {
        let link = self.link;
        self.capture.dispatch(Some(most), |packet| {
            let mut record = PacketRecord::default();
            let time = timestamp(packet.header, Precision::Nano);
            decode(link, packet.data, packet.header.len, time, &mut record);
            each(packet.data, &record);
        })
    }

    /// Packets that the kernel had to drop since the handle was opened.
    pub fn dropped(&mut self) -> u64 {
        self.capture.stats().map_or(0, |stat| u64::from(stat.dropped))
    }
}

#[cfg(test)]
mod tests {
    use pcap::Linktype;

    use super::*;

    /// Ethernet, then these bytes.
    fn frame(ethertype: u16, rest: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        frame.extend(ethertype.to_be_bytes());
        frame.extend(rest);
        frame
    }

    fn transport(is_tcp: bool, port: u16, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0xc3, 0x50];
        bytes.extend(port.to_be_bytes());
        if is_tcp {
            // A header of 32 bytes: with options.
            bytes.extend([0, 0, 0, 1, 0, 0, 0, 1, 0x80, flags, 1, 0, 0, 0, 0, 0]);
            bytes.extend([1; 12]);
        } else {
            bytes.extend([0, 8 + payload.len() as u8, 0, 0]);
        }
        bytes.extend(payload);
        bytes
    }

    fn v4(protocol: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45, 0, 0, 20 + rest.len() as u8, 0, 0, 0, 0, 64, protocol, 0, 0];
        packet.extend([10, 0, 0, 1, 10, 0, 0, 2]);
        packet.extend(rest);
        frame(0x0800, &packet)
    }

    fn v6(protocol: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x60, 0, 0, 0, 0, rest.len() as u8, protocol, 255];
        packet.extend([0x20; 32]);
        packet.extend(rest);
        frame(0x86dd, &packet)
    }

    #[test]
    fn the_filter_passes_what_tells_names_and_no_bulk() {
        let dead = Capture::dead(Linktype(1)).unwrap();
        let filter = dead.compile(&format!("{OVER_LINK} or {}", over_ip()), true).unwrap();
        const PSH: u8 = 0x18;
        const ACK: u8 = 0x10;
        let tcp = |port, flags, payload: &[u8]| {
            let segment = transport(true, port, flags, payload);
            [v4(6, &segment), v6(6, &segment)]
        };
        let udp = |port, payload: &[u8]| {
            let datagram = transport(false, port, 0, payload);
            [v4(17, &datagram), v6(17, &datagram)]
        };
        for (frames, passes) in [
            (udp(53, b"..........."), true),
            (udp(5_353, b"..........."), true),
            (udp(123, b"..........."), false),
            // QUIC: a long header, and a short one.
            (udp(443, &[0xc3, 0, 0, 0, 1, 8]), true),
            (udp(443, &[0x43, 0, 0, 0, 1, 8]), false),
            // A hello and its second segment; an upload, and a request within TLS.
            (tcp(443, ACK, &[0x16, 3, 1, 6, 0]), true),
            (tcp(443, PSH, &[0x99, 0x88, 1, 2, 3]), true),
            (tcp(443, ACK, &[0x99, 0x88, 1, 2, 3]), false),
            (tcp(443, PSH, &[0x17, 3, 3, 0, 40]), false),
            (tcp(443, 2, &[]), true),
            (tcp(443, 0x12, &[]), false),
            (tcp(80, PSH, b"GET / HTTP/1.1\r\n"), true),
            (tcp(80, PSH, b"\x00\x01\x02\x03\x04"), false),
            (tcp(22, PSH, &[0x16, 3, 1, 6, 0]), false),
            ([frame(0x0806, &[0; 28]), frame(0x88cc, &[0; 28])], true),
            ([v6(58, &[135, 0, 0, 0]), v6(58, &[136, 0, 0, 0])], true),
            ([v6(58, &[128, 0, 0, 0]), v4(1, &[8, 0, 0, 0])], false),
        ] {
            for frame in frames {
                assert_eq!(filter.filter(&frame), passes, "{frame:02x?}");
            }
        }
        assert!(Capture::dead(Linktype(12)).unwrap().compile(&over_ip(), true).is_ok());
    }
}
