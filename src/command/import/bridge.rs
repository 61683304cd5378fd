//! Mode "bridge": the machine's network manager joins two Ethernet ports into one wire.
//!
//! Theory of operation. Files tell the manager once that every Ethernet port is a member of one
//! bridge, and that the Pi's address is on the bridge. With a single port this equals plain mode: a
//! bridge with one member forwards nothing, and the Pi has its address and counts as before. A
//! second port may be added or removed at any time, even while the Pi runs.
//!
//! The bridge takes care of three things:
//!
//! - It keeps the hardware address of the built-in port, whichever ports come and go, so that the
//!   router gives the Pi the same address as without a bridge.
//! - Spanning tree is on: both cables in the same switch form a loop, which would take the whole
//!   network down. The price is some seconds before frames pass. Its priority is the lowest, so
//!   that switches never make the Pi the root of the network.
//! - Multicast snooping is off: between two ports it saves nothing, and frames of groups that the
//!   bridge has not learned yet would be missing.

use super::place::Place;
use super::settings::BRIDGE;
use crate::failure::Failure;

/// The service that manages the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manager {
    NetworkManager,
    Networkd,
}

/// Seconds for each of the two steps of spanning tree; 802.1D allows no less than 2.
const DELAY: u32 = 2;
/// The lowest of 802.1D's priorities.
const PRIORITY: u32 = 61_440;
/// The names of Ethernet ports, by the kernel and by systemd. Not usb0: that is a cable to a
/// computer or a phone.
const PLUGS: [&str; 2] = ["eth*", "en*"];
const KEYFILES: &str = "/etc/NetworkManager/system-connections";
const NETWORKD: &str = "/etc/systemd/network";
const OURS: &str = "05-brightstat-";

impl Manager {
    /// The enabled one.
    pub(super) fn of(place: &Place) -> Option<Manager> {
        let units = "/etc/systemd/system";
        let wants: Vec<String> = place.names(units);
        let is_enabled = |unit: &str| {
            let mut wants = wants.iter().filter(|name| name.ends_with(".wants"));
            wants.any(|target| place.has(&format!("{units}/{target}/{unit}")))
        };
        if is_enabled("NetworkManager.service") {
            Some(Manager::NetworkManager)
        } else if is_enabled("systemd-networkd.service") {
            Some(Manager::Networkd)
        } else {
            None
        }
    }

    /// The files that define a bridge of these ports (none: all): path, mode and text.
    fn files(self, ethernet_ports: &[String], mac: Option<&str>) -> Vec<(String, u32, String)> {
        let ethernet_ports: Vec<&str> = if ethernet_ports.is_empty() {
            PLUGS.to_vec()
        } else {
            ethernet_ports.iter().map(String::as_str).collect()
        };
        let head = "# Made by 'brightstat import': mode = \"bridge\".\n";
        match self {
            Manager::NetworkManager => {
                let mac = mac.map(|mac| format!("[ethernet]\ncloned-mac-address={mac}\n\n"));
                let mac = mac.unwrap_or_default();
                let ethernet_ports: String =
                    ethernet_ports.iter().map(|plug| format!("{plug};")).collect();
                let bridge = format!(
                    "{head}[connection]\nid=brightstat-bridge\n\
                     uuid=6f1a3b1e-5d0c-4a57-9c3a-b2157a70b001\ntype=bridge\ninterface-name={BRIDGE}\n\
                     autoconnect-priority=900\n\n{mac}\
                     [bridge]\nstp=true\npriority={PRIORITY}\nforward-delay={DELAY}\n\
                     multicast-snooping=false\n\n[ipv4]\nmethod=auto\n\n[ipv6]\nmethod=auto\n"
                );
                // Takes precedence over other profiles of these ports, such as Imager's; one
                // profile serves all of them (multi-connect=3).
                let plug = format!(
                    "{head}[connection]\nid=brightstat-plug\n\
                     uuid=6f1a3b1e-5d0c-4a57-9c3a-b2157a70b002\ntype=ethernet\nmaster={BRIDGE}\n\
                     slave-type=bridge\nautoconnect-priority=900\nmulti-connect=3\n\n\
                     [match]\ninterface-name={ethernet_ports}\n"
                );
                // NetworkManager ignores keyfiles that other users can read.
                vec![
                    (format!("{KEYFILES}/{OURS}bridge.nmconnection"), 0o600, bridge),
                    (format!("{KEYFILES}/{OURS}plug.nmconnection"), 0o600, plug),
                ]
            }
            Manager::Networkd => {
                let mac = mac.map(|mac| format!("MACAddress={mac}\n")).unwrap_or_default();
                let device = format!(
                    "{head}[NetDev]\nName={BRIDGE}\nKind=bridge\n{mac}\n\
                     [Bridge]\nSTP=yes\nPriority={PRIORITY}\nForwardDelaySec={DELAY}\n\
                     MulticastSnooping=no\n"
                );
                // A router goes by the hardware address unless the client sends another identifier.
                let bridge = format!(
                    "{head}[Match]\nName={BRIDGE}\n\n[Network]\nDHCP=yes\n\n\
                     [DHCPv4]\nClientIdentifier=mac\n"
                );
                let plug = format!(
                    "{head}[Match]\nName={}\nType=ether\n\n[Network]\nBridge={BRIDGE}\n",
                    ethernet_ports.join(" ")
                );
                vec![
                    (format!("{NETWORKD}/{OURS}bridge.netdev"), 0o644, device),
                    (format!("{NETWORKD}/{OURS}bridge.network"), 0o644, bridge),
                    (format!("{NETWORKD}/{OURS}plug.network"), 0o644, plug),
                ]
            }
        }
    }
}

/// Creates the bridge of these ports (none: all).
pub(super) fn make(
    place: &Place,
    manager: Manager,
    ethernet_ports: &[String],
    mac: Option<&str>,
) -> Result<(), Failure> {
    let old = known_mac(place);
    let files = manager.files(ethernet_ports, mac.or(old.as_deref()));
    clear(place, |path| files.iter().any(|(wanted, _, _)| wanted == path))?;
    for (path, mode, text) in &files {
        place.write(path, text, *mode)?;
    }
    Ok(())
}

/// Removes the bridge.
pub(super) fn remove(place: &Place) -> Result<(), Failure> {
    clear(place, |_| false)
}

/// Removes our files except the wanted ones.
fn clear(place: &Place, is_wanted: impl Fn(&str) -> bool) -> Result<(), Failure> {
    for directory in [KEYFILES, NETWORKD] {
        for name in place.names(directory).iter().filter(|name| name.starts_with(OURS)) {
            let path = format!("{directory}/{name}");
            if !is_wanted(&path) {
                place.remove(&path)?;
            }
        }
    }
    Ok(())
}

/// The hardware address in our existing files.
fn known_mac(place: &Place) -> Option<String> {
    let files = [
        (format!("{KEYFILES}/{OURS}bridge.nmconnection"), "cloned-mac-address="),
        (format!("{NETWORKD}/{OURS}bridge.netdev"), "MACAddress="),
    ];
    files.iter().find_map(|(path, key)| {
        let text = place.read(path)?;
        text.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned)
    })
}

/// The hardware address that the bridge takes: that of the first of `ethernet_ports` that exists;
/// if none is named, that of the built-in port, else of any.
pub(super) fn mac(place: &Place, ethernet_ports: &[String]) -> Option<String> {
    let devices = "/sys/class/net";
    let address = |name: &str| {
        let file = |what: &str| place.read(&format!("{devices}/{name}/{what}"));
        // ARPHRD_ETHER, which Wi-Fi has as well.
        let is_ethernet = file("type")?.trim() == "1"
            && !place.has(&format!("{devices}/{name}/phy80211"))
            && !place.has(&format!("{devices}/{name}/bridge"));
        is_ethernet.then(|| file("address")).flatten().map(|mac| mac.trim().to_owned())
    };
    if !ethernet_ports.is_empty() {
        return ethernet_ports.iter().find_map(|name| address(name));
    }
    let starts = |name: &str| PLUGS.iter().any(|plug| name.starts_with(plug.trim_end_matches('*')));
    let mut names: Vec<String> = place.names(devices).into_iter().filter(|n| starts(n)).collect();
    // The names of the built-in port: by Raspberry Pi OS, by Debian.
    names.sort_by_key(|name| (name != "eth0", name != "end0", name.clone()));
    names.iter().find_map(|name| address(name))
}
