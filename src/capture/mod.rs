//! Frames from live interfaces and capture files, through libpcap.
//!
//! Capture threads run here. Each owns its pcap handle, decodes each frame's headers into a packet
//! record and pushes it into its ring. Per frame it neither allocates nor locks; live, it never
//! waits for a disk.

pub mod error;
mod fanout;
pub mod file;
pub mod handle;
mod input;
pub mod interfaces;
pub mod listen;
pub mod live;
mod orders;
mod pcapng;
pub mod sight;

use pcap::{Linktype, PacketHeader, Precision};

use crate::decode::{LinkLayer, NO_TIME};

pub use error::{Error, Trouble};

/// libpcap's name for a link type, such as `EN10MB`.
fn link_type_name(link_type: Linktype) -> String {
    link_type.get_name().unwrap_or_else(|_| link_type.0.to_string())
}

/// Separates the names of several link types.
const SEPARATOR: &str = ", ";

/// Those of these link types (libpcap's names, one or several) that are not decoded.
pub fn undecoded(link_types: &str) -> Vec<&str> {
    // libpcap gives a number where it knows no name.
    let number = |name: &str| match Linktype::from_name(name) {
        Ok(link_type) => Some(link_type.0),
        Err(_) => name.parse().ok(),
    };
    let is_undecoded = |name: &&str| {
        let link = number(name).map_or(LinkLayer::Unknown, LinkLayer::from_dlt);
        !name.is_empty() && link == LinkLayer::Unknown
    };
    link_types.split(SEPARATOR).filter(is_undecoded).collect()
}

/// The notice for an interface or a file whose frames are not all decoded.
pub fn undecoded_notice(name: &str, link_types: &str) -> Option<String> {
    let undecoded = undecoded(link_types);
    (!undecoded.is_empty()).then(|| {
        format!(
            "{name}: frames of link type {} are counted, but not decoded: they show no hosts, protocols \
             and ports. Capture where frames are Ethernet, Wi-Fi, PPP or IP to see these",
            undecoded.join(" and ")
        )
    })
}

/// The frame's time in nanoseconds since 1970 UTC.
///
/// libpcap reads the unsigned seconds of a classic capture file as signed: times from
/// 2038 on come out negative.
#[inline]
// On 32-bit targets these fields are narrower.
#[allow(clippy::useless_conversion)]
fn timestamp(header: &PacketHeader, precision: Precision) -> i64 {
    let seconds = i64::from(header.ts.tv_sec);
    let fraction = match precision {
        Precision::Nano => i64::from(header.ts.tv_usec),
        Precision::Micro => i64::from(header.ts.tv_usec) * 1_000,
    };
    if (0..1 << 32).contains(&seconds) {
        return seconds * 1_000_000_000 + fraction;
    }
    odd_timestamp(seconds, fraction)
}

#[cold]
fn odd_timestamp(seconds: i64, fraction: i64) -> i64 {
    let seconds = if (-(1 << 31)..0).contains(&seconds) { seconds + (1 << 32) } else { seconds };
    // Only damaged files go past the year 2262.
    seconds
        .checked_mul(1_000_000_000)
        .and_then(|seconds| seconds.checked_add(fraction))
        .filter(|time| *time < i64::MAX)
        .unwrap_or(NO_TIME)
}

#[cfg(test)]
mod tests {
    mod files;
    mod made;

    use super::*;

    #[test]
    fn link_types_that_are_not_decoded_are_told_apart() {
        for decoded in ["", "EN10MB", "LINUX_SLL2", "RAW", "EN10MB, NFLOG, IEEE802_11_RADIO"] {
            assert_eq!(undecoded(decoded), Vec::<&str>::new());
            assert_eq!(undecoded_notice("x", decoded), None);
        }
        assert_eq!(undecoded("EN10MB, USB_LINUX, 12, 9999"), ["USB_LINUX", "9999"]);
        let notice = undecoded_notice("usbmon0", "USB_LINUX_MMAPPED").unwrap();
        assert!(notice.starts_with("usbmon0: frames of link type USB_LINUX_MMAPPED are counted"));
    }
}
