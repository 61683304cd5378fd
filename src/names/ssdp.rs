//! Simple service discovery (UPnP Device Architecture 2.0 section 1): televisions, speakers, routers
//! say which software they are.

use std::net::IpAddr;

use super::claim::{Claim, Packet, Sink, Source, Trait};

/// Reads an announcement or an answer: its header SERVER tells operating system and product. The
/// address of the device's description is not followed.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    // An answer from far away came through a router, whose hardware address the frame has.
    if !is_near(packet.source) && !packet.destination.is_multicast() {
        return;
    }
    let mut lines = packet.payload.split_inclusive(|&byte| byte == b'\n');
    let first = lines.next().unwrap_or_default();
    if !first.starts_with(b"NOTIFY ") && !first.starts_with(b"HTTP/1.1 200") {
        return;
    }
    for line in lines {
        // What is cut is none; an empty line ends the headers.
        let Some(line) = line.strip_suffix(b"\n").map(<[u8]>::trim_ascii) else { return };
        if line.is_empty() {
            return;
        }
        let mut parts = line.splitn(2, |&byte| byte == b':');
        let is_server =
            parts.next().is_some_and(|name| name.trim_ascii_end().eq_ignore_ascii_case(b"server"));
        if is_server && let Some(value) = parts.next() {
            return Claim::says(packet.mac, Trait::Vendor, value, Source::Ssdp, claims);
        }
    }
}

fn is_near(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_private() || address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local() || address.is_unique_local(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{cut_and_break, lines, packet};
    use super::*;

    const VENDOR: [&str; 1] = ["02:00:00:00:00:01 vendor linux/3.14 upnp/1.0 ipbridge/1.9"];

    #[test]
    fn a_device_tells_its_software() {
        for text in [
            "NOTIFY * HTTP/1.1\r\nHOST: a:1900\r\nSERVER: Linux/3.14 UPnP/1.0 IpBridge/1.9\r\n\r\n",
            "HTTP/1.1 200 OK\r\nserver :Linux/3.14 UPnP/1.0 IpBridge/1.9 \r\nX: y",
            "HTTP/1.1 200 OK\nServer:\tLinux/3.14 UPnP/1.0 IpBridge/1.9\n",
        ] {
            assert_eq!(cut_and_break(read, &packet(text.as_bytes())), VENDOR);
        }
        for text in [
            "M-SEARCH * HTTP/1.1\r\nSERVER: x\r\n\r\n",
            "HTTP/1.1 404 No\r\nSERVER: x\r\n\r\n",
            "NOTIFY * HTTP/1.1\r\n\r\nSERVER: x\r\n",
            "NOTIFY * HTTP/1.1\r\nSERVER: x",
            "NOTIFY * HTTP/1.1\r\nSERVER\r\nSERVERS: x\r\n\r\n",
            "NOTIFY * HTTP/1.1\r\nSERVER: a\x1b[2Jb\r\n\r\n",
            "",
        ] {
            assert!(lines(read, &packet(text.as_bytes())).is_empty(), "{text:?}");
        }
    }

    #[test]
    fn answers_from_far_away_are_a_routers() {
        let text = b"HTTP/1.1 200 OK\r\nSERVER: Linux/3.14 UPnP/1.0 IpBridge/1.9\r\n\r\n";
        let from = |source: &str, destination: &str| {
            let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
            lines(read, &Packet { source, destination, ..packet(text) })
        };
        assert!(from("203.0.113.9", "10.0.0.2").is_empty());
        assert!(from("2001:db8::1", "2001:db8::2").is_empty());
        assert_eq!(from("203.0.113.9", "239.255.255.250"), VENDOR);
        assert_eq!(from("fe80::1", "fe80::2"), VENDOR);
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            lines(read, &packet(&bytes));
            lines(read, &packet(&[b"NOTIFY *\n", &bytes[..]].concat()));
        }
    }
}
