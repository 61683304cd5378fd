//! The interfaces: do they exist, and do they see the network or only themselves?

use std::collections::HashSet;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::process::Command;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use pcap::{Active, Capture, Error};
use serde_json::Value;

use super::{Finding, good, note, problem};
use crate::capture::interfaces::{Interface, is_wifi, usual};
use crate::capture::sight::{NOTHING_REMEDY, Sight, View, own_remedy};
use crate::capture::{Trouble, live};
use crate::config::Config;
use crate::decode::{LinkLayer, PacketRecord, decode};

/// The interfaces that the daemon watches, or would watch.
pub(super) fn watched(config: &Config, status: Option<&Value>) -> Vec<String> {
    if !config.interfaces.is_empty() {
        return config.interfaces.clone();
    }
    let told = status.and_then(|status| status["interfaces"].as_array());
    match told {
        Some(told) if !told.is_empty() => {
            told.iter().filter_map(|i| i["name"].as_str()).map(str::to_owned).collect()
        }
        _ => usual(None).into_iter().collect(),
    }
}

/// Whether they exist and are up.
pub(super) fn interfaces(
    names: &[String],
    all: &[Interface],
    status: Option<&Value>,
) -> Vec<Finding> {
    if names.is_empty() {
        return vec![problem(
            "there is no interface to watch: none has a default route, and none is up",
            "plug a cable in, or set up Wi-Fi; 'brightstat interfaces' lists what there is",
        )];
    }
    names.iter().map(|name| of_interface(name, all, status)).collect()
}

fn of_interface(name: &str, all: &[Interface], status: Option<&Value>) -> Finding {
    let Some(interface) = all.iter().find(|interface| interface.name == name) else {
        let known: Vec<&str> = all.iter().map(|interface| interface.name.as_str()).collect();
        return problem(
            format!("{name}: there is no such interface"),
            format!(
                "plug the adapter in, or correct capture.interfaces; there are {}",
                known.join(", ")
            ),
        );
    };
    if !interface.is_up {
        return problem(
            format!("{name}: is switched off"),
            format!("'sudo ip link set {name} up', or let the network manager do so"),
        );
    }
    if matches!(interface.state.as_str(), "down" | "lowerlayerdown") {
        return problem(
            format!("{name}: has no link"),
            "plug the cable in at both ends, or connect to the Wi-Fi; the lights beside the \
             socket tell whether there is one",
        );
    }
    let told = status.and_then(|status| {
        let told = status["interfaces"].as_array()?.iter().find(|i| i["name"] == name)?;
        told["trouble"].as_str()
    });
    if let Some(trouble) = told {
        return problem(format!("{name}: {trouble}"), "");
    }
    let speed = interface.speed.map_or(String::new(), |speed| format!(", {speed} Mbit/s"));
    good(format!("{name}: up{speed}"))
}

/// Whether the kernel delivers frames as they arrived. Without ethtool(8) nothing is reported: the
/// query needs a socket that we do not open.
pub(super) fn merging(names: &[String]) -> Vec<Finding> {
    let found = names.iter().filter_map(|name| {
        let output = Command::new("ethtool").args(["--show-features", name]).output().ok()?;
        of_features(name, &String::from_utf8_lossy(&output.stdout))
    });
    found.collect()
}

fn of_features(name: &str, features: &str) -> Option<Finding> {
    let is_on = |feature: &str| {
        features.lines().any(|line| {
            line.trim().strip_prefix(feature).is_some_and(|state| state.starts_with(": on"))
        })
    };
    let merged = ["generic-receive-offload", "large-receive-offload"].map(is_on);
    merged.contains(&true).then(|| {
        note(
            format!(
                "{name}: the kernel merges the segments of TCP streams before they are counted: \
                 fewer frames, and about a twentieth fewer bytes of such streams"
            ),
            format!("sudo ethtool -K {name} gro off lro off (costs some CPU; lost at a restart)"),
        )
    })
}

/// Captures on an interface for a while.
pub(super) fn sight(name: &str, all: &[Interface], config: &Config, seconds: u32) -> Vec<Finding> {
    if seconds == 0 {
        return Vec::new();
    }
    let options = live::Options {
        snap_length: 128,
        kernel_buffer: 2 << 20,
        promiscuous: config.promiscuous,
        filter: String::new(),
    };
    let own: HashSet<IpAddr> =
        all.iter().flat_map(|i| &i.addresses).map(|net| net.addr()).collect();
    let sample = live::open(name, &options).and_then(|capture| {
        let time = Duration::from_secs(seconds.into());
        take(capture, &own, time).map_err(|e| Trouble::of(name, e))
    });
    vec![match sample {
        Ok(sample) => of_sample(name, &sample, is_wifi(name), config.promiscuous, seconds),
        Err(trouble @ Trouble::NoPermission) => {
            note(format!("{name}: {trouble}"), "run this as root ('sudo brightstat doctor')")
        }
        Err(trouble) => problem(format!("{name}: cannot capture: {trouble}"), ""),
    }]
}

fn take(
    mut capture: Capture<Active>,
    own: &HashSet<IpAddr>,
    time: Duration,
) -> Result<Sight, Error> {
    let link = LinkLayer::from_dlt(capture.get_datalink().0);
    let is_ethernet = capture.get_datalink().0 == 1;
    let (mut sample, end) = (Sight::default(), Instant::now() + time);
    while let Some(left) = end.checked_duration_since(Instant::now()) {
        {
            let mut fds = [PollFd::new(capture.as_fd(), PollFlags::POLLIN)];
            let milliseconds = u16::try_from(left.as_millis().min(250) + 1).unwrap_or(250);
            let _ = poll(&mut fds, PollTimeout::from(milliseconds));
        }
        capture.dispatch(None, |packet| {
            let mut record = PacketRecord::default();
            decode(link, packet.data, packet.header.len, 0, &mut record);
            // The lowest bit of an Ethernet address's first byte marks groups (IEEE 802).
            let is_group = is_ethernet && packet.data.first().is_some_and(|byte| byte & 1 != 0);
            count(&mut sample, &record, is_group, own);
        })?;
    }
    Ok(sample)
}

/// Counts a frame as this machine's own, a group's or another machine's.
fn count(sight: &mut Sight, record: &PacketRecord, is_group: bool, own: &HashSet<IpAddr>) {
    sight.frames += 1;
    let is_own = |ip: IpAddr| own.contains(&ip) || ip.is_loopback();
    if record.is_ip() && (is_own(record.source.ip()) || is_own(record.destination.ip())) {
        sight.own += 1;
    } else if is_group || record.destination.ip().is_multicast() {
        sight.group += 1;
    } else if record.is_ip() {
        sight.others += 1;
    }
}

fn of_sample(
    name: &str,
    sample: &Sight,
    is_wifi: bool,
    is_promiscuous: bool,
    seconds: u32,
) -> Finding {
    let Sight { frames, own, group, others } = sample;
    let seen = format!(
        "{frames} frames in {seconds} s: {own} of this machine's own, {group} broadcasts, {others} of others"
    );
    match sample.view() {
        View::Others => good(format!("{name} sees the traffic of others ({seen})")),
        View::Nothing => note(format!("{name}: not one frame came in {seconds} s"), NOTHING_REMEDY),
        View::OnlyOwn => note(
            format!("{name}: I see only broadcast and my own traffic ({seen})"),
            own_remedy(is_wifi, is_promiscuous),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;
    use crate::decode::Addr;

    fn interface(name: &str, is_up: bool, state: &str) -> Interface {
        Interface {
            name: name.to_owned(),
            addresses: vec!["192.168.1.5/24".parse().unwrap()],
            mac: None,
            is_up,
            state: state.to_owned(),
            speed: Some(1_000),
            has_default_route: true,
            is_ethernet: true,
            is_real: true,
        }
    }

    #[test]
    fn an_interface_is_absent_off_unplugged_or_good() {
        let all = [
            interface("eth0", true, "up"),
            interface("eth1", false, "down"),
            interface("eth2", true, "down"),
        ];
        let names = ["eth0", "eth1", "eth2", "eth9"].map(str::to_owned);
        let findings = interfaces(&names, &all, None);
        let words = ["up, 1000 Mbit/s", "switched off", "no link", "no such interface"];
        for (finding, words) in findings.iter().zip(words) {
            assert!(finding.what.contains(words), "{finding:?}");
        }
        assert!(findings[3].remedy.ends_with("eth0, eth1, eth2"));
        assert_eq!(interfaces(&[], &all, None)[0].verdict, Verdict::Problem);
    }

    #[test]
    fn segments_that_the_kernel_merges_are_told() {
        let features = "Features for eth0:\ntx-checksumming: on\ngeneric-receive-offload: on\n\
            large-receive-offload: off [fixed]\n";
        let finding = of_features("eth0", features).unwrap();
        assert!(finding.remedy.starts_with("sudo ethtool -K eth0 gro off"), "{finding:?}");
        assert_eq!(of_features("eth0", &features.replace("offload: on", "offload: off")), None);
        assert_eq!(of_features("eth0", ""), None);
    }

    #[test]
    fn what_the_daemon_says_of_its_interfaces_is_passed_on() {
        let status =
            serde_json::json!({ "interfaces": [{ "name": "eth0", "trouble": "no luck" }] });
        let findings =
            interfaces(&["eth0".to_owned()], &[interface("eth0", true, "up")], Some(&status));
        assert_eq!(findings, [problem("eth0: no luck", "")]);
    }

    #[test]
    fn a_port_that_is_not_mirrored_is_told_from_one_that_is() {
        let verdict = |frames, own, others, is_wifi| {
            let sample = Sight { frames, own, group: frames - own - others, others };
            of_sample("eth0", &sample, is_wifi, true, 5)
        };
        assert_eq!(verdict(1_000, 100, 800, false).verdict, Verdict::Good);
        let blind = verdict(1_000, 900, 9, false);
        assert!(blind.what.contains("only broadcast and my own traffic"), "{blind:?}");
        assert!(blind.remedy.contains("mirror (SPAN) port"));
        assert!(verdict(1_000, 900, 9, true).remedy.contains("Wi-Fi"));
        assert!(verdict(0, 0, 0, false).what.contains("not one frame"));
    }

    #[test]
    fn frames_are_sorted_by_whose_they_are() {
        let own: HashSet<IpAddr> = ["192.168.1.5".parse().unwrap()].into();
        let mut sample = Sight::default();
        let mut count = |ends: Option<(&str, &str)>, is_group| {
            let mut record = PacketRecord::default();
            if let Some((source, destination)) = ends {
                let mut frame = vec![0_u8; 12];
                frame.extend([8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0]);
                for end in [source, destination] {
                    let ip: std::net::Ipv4Addr = end.parse().unwrap();
                    frame.extend(ip.octets());
                }
                decode(LinkLayer::from_dlt(1), &frame, 34, 0, &mut record);
                assert_eq!(record.source, Addr::from(source.parse::<IpAddr>().unwrap()));
            }
            count(&mut sample, &record, is_group, &own);
        };
        count(Some(("192.168.1.5", "9.9.9.9")), false);
        count(Some(("192.168.1.7", "9.9.9.9")), false);
        count(Some(("192.168.1.7", "239.1.1.1")), true);
        count(None, true);
        count(None, false);
        assert_eq!(sample, Sight { frames: 5, own: 1, group: 2, others: 1 });
    }
}
