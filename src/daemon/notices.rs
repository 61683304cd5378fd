//! Notices to the owner: mistakes in the settings on the card, bridges with one end,
//! interfaces whose frames are not decoded. Made by the web thread that answers the status.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;

use crate::capture::undecoded_notice;

/// Where `brightstat import` writes mistakes in the settings on the card, at each boot. A
/// reboot deletes it.
pub const MISTAKES: &str = "/run/brightstat-import/mistakes";
/// Bytes of that file shown at most: nobody would read more.
const LONGEST: u64 = 8 << 10;

/// One text for each notice, of any number of lines. `watched` has the name and the link type
/// of each interface.
pub(super) fn notices<'a>(watched: impl Iterator<Item = (&'a String, String)>) -> Vec<String> {
    collect(Path::new("/"), watched)
}

fn collect<'a>(root: &Path, watched: impl Iterator<Item = (&'a String, String)>) -> Vec<String> {
    let mut found: Vec<String> = mistakes(root).into_iter().collect();
    for (name, link_type) in watched {
        found.extend(lonely_bridge(root, name));
        found.extend(undecoded_notice(name, &link_type).map(|text| format!("{text}.")));
    }
    found
}

fn mistakes(root: &Path) -> Option<String> {
    let mut bytes = Vec::new();
    let file = File::open(root.join(MISTAKES.trim_start_matches('/'))).ok()?;
    file.take(LONGEST).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    (!text.is_empty()).then(|| format!("The settings on the card have a mistake.\n{text}"))
}

/// A notice for a bridge with fewer than two ends: it sees no more than a single cable.
fn lonely_bridge(root: &Path, name: &str) -> Option<String> {
    let ends = fs::read_dir(root.join("sys/class/net").join(name).join("brif")).ok()?;
    let ends: Vec<String> =
        ends.filter_map(|end| end.ok()?.file_name().into_string().ok()).collect();
    (ends.len() < 2).then(|| match ends.first() {
        Some(end) => format!(
            "The bridge {name} has one end, {end}, and sees no more than a single cable does. \
                 Plug in the second Ethernet adapter."
        ),
        None => format!("The bridge {name} has no end and sees nothing. Plug in both cables."),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mistakes_and_bridges_with_one_end_are_told_and_nothing_else_is() {
        let root = tempfile::tempdir().unwrap();
        let path = |path: &str| root.path().join(path);
        let watched = ["br0", "br1", "eth0"].map(str::to_owned);
        let told = || collect(root.path(), watched.iter().map(|name| (name, "EN10MB".to_owned())));
        assert!(told().is_empty());
        fs::create_dir_all(path("sys/class/net/eth0")).unwrap();
        fs::create_dir_all(path("sys/class/net/br1/brif/eth2")).unwrap();
        fs::create_dir_all(path("sys/class/net/br1/brif/eth3")).unwrap();
        assert!(told().is_empty());
        fs::create_dir_all(path("sys/class/net/br0/brif/eth0")).unwrap();
        fs::create_dir_all(path("run/brightstat-import")).unwrap();
        fs::write(path("run/brightstat-import/mistakes"), b"x.toml:7: mode: \xff\n").unwrap();
        let told = told();
        assert!(told[0].ends_with("x.toml:7: mode: \u{fffd}"), "{told:?}");
        assert!(told[1].starts_with("The bridge br0 has one end, eth0,"), "{told:?}");
        assert_eq!(told.len(), 2);
    }

    #[test]
    fn an_interface_whose_frames_are_not_decoded_is_told() {
        let root = tempfile::tempdir().unwrap();
        let (usb, not_open, eth) = ("usbmon0".to_owned(), "wlan0".to_owned(), "eth0".to_owned());
        let watched = [(&usb, "USB_LINUX_MMAPPED"), (&not_open, ""), (&eth, "EN10MB")].into_iter();
        let told = collect(root.path(), watched.map(|(name, link)| (name, link.to_owned())));
        let [text] = &told[..] else { panic!("{told:?}") };
        assert!(text.starts_with("usbmon0: frames of link type USB_LINUX_MMAPPED"), "{text}");
        assert!(text.ends_with('.'), "{text}");
    }
}
