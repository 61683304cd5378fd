//! Tells the owner when the monitor sees only its own traffic. A switch port that is not
//! mirrored otherwise looks healthy: it has traffic and hosts.
//!
//! Theory of operation: the counters hold no single frame, but each IP packet has one sender
//! and one receiver. The traffic of others is all IP packets minus those of this machine's
//! addresses and those to groups. What this machine sends to a group is subtracted twice, which
//! is too little to matter. The verdict covers the last minutes, from the counters at two
//! moments. The web thread that answers the status runs this; it costs the worker no time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::account::Snapshot;
use crate::capture::sight::{NOTHING_REMEDY, Sight, View, own_remedy};
use crate::decode::Addr;

/// How long the monitor must have seen nothing else before the owner is told.
const LEAST: Duration = Duration::from_secs(300);
/// Least time between two counts that are kept.
const APART: Duration = Duration::from_secs(30);
/// Counts that are kept at most: those of the last minutes.
const KEPT: usize = 16;
/// libpcap's name for Ethernet, and for Wi-Fi in station mode. Other links are not judged: a
/// tunnel or a modem cannot be plugged into another port.
const ETHERNET: &str = "EN10MB";
/// Where the package installs docs/plug-in.md.
const GUIDE: &str = "/usr/share/doc/brightstat/plug-in.md";

/// The counts of the last minutes, each with the uptime when it was made.
#[derive(Default)]
pub(super) struct Watch {
    counts: VecDeque<(Duration, Sight)>,
}

/// What is known of this machine.
pub(super) struct Machine<'a> {
    /// Its addresses.
    pub own: &'a [Addr],
    /// Whether an interface of that name is Wi-Fi.
    pub is_wifi: fn(&str) -> bool,
    pub is_promiscuous: bool,
}

impl Watch {
    /// A sentence for the owner if nothing but this machine's own traffic has been seen for
    /// some minutes.
    pub(super) fn look(&mut self, snapshot: &Snapshot, machine: &Machine<'_>) -> Option<String> {
        let now = (snapshot.uptime, count(snapshot, machine.own));
        if self.counts.back().is_none_or(|(at, _)| now.0.saturating_sub(*at) >= APART) {
            self.counts.push_back(now);
            if self.counts.len() > KEPT {
                self.counts.pop_front();
            }
        }
        let capturing: Vec<_> =
            snapshot.interfaces.iter().filter(|interface| interface.is_capturing).collect();
        let is_judged = !capturing.is_empty()
            && capturing.iter().all(|interface| interface.link_type == ETHERNET)
            // Once hosts are folded, the rows do not hold everything.
            && snapshot.folded_hosts == 0
            && now.0 >= LEAST;
        if !is_judged {
            return None;
        }
        // Without an old count, judge everything since the start.
        let old = self.counts.iter().rev().find(|(at, _)| *at + LEAST <= now.0);
        let (since, before) = old.copied().unwrap_or_default();
        let sight = now.1.since(&before);
        let minutes = now.0.saturating_sub(since).as_secs() / 60;
        let names: Vec<&str> = capturing.iter().map(|interface| interface.name.as_str()).collect();
        let names = names.join(", ");
        match sight.view() {
            View::Others => None,
            View::Nothing => Some(format!(
                "{names}: not one frame has come for {minutes} minutes. {NOTHING_REMEDY}"
            )),
            View::OnlyOwn => {
                let is_wifi = capturing.iter().all(|i| (machine.is_wifi)(&i.name));
                let Sight { frames, own, group, others } = sight;
                Some(format!(
                    "{names} sees only broadcasts and this machine's own traffic, not the network's \
                     ({frames} frames in {minutes} minutes: {own} of its own, {group} to groups, {others} of \
                     others).\nWhat to do: {}. The ways: \"Where do I plug it in?\" in {GUIDE}.",
                    own_remedy(is_wifi, machine.is_promiscuous)
                ))
            }
        }
    }
}

/// Counts the frames since the start by whose they are.
fn count(snapshot: &Snapshot, own: &[Addr]) -> Sight {
    let mut sight = Sight { frames: snapshot.total.packets, ..Sight::default() };
    for row in &snapshot.hosts {
        if row.group {
            sight.group += row.traffic.received.packets;
        } else if own.contains(&row.address) {
            sight.own += row.traffic.received.packets + row.traffic.sent.packets;
        }
    }
    let ip = sight.frames.saturating_sub(snapshot.not_ip().packets);
    sight.others = ip.saturating_sub(sight.own + sight.group);
    sight
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Accounts, LocalNetworks};
    use crate::decode::{LinkLayer, PacketRecord, decode};

    const OWN: [u8; 4] = [192, 168, 1, 5];

    struct World {
        accounts: Accounts,
        watch: Watch,
        own: Vec<Addr>,
        is_promiscuous: bool,
    }

    impl World {
        fn new(link_type: &str) -> World {
            let local = LocalNetworks::exactly(vec!["192.168.1.0/24".parse().unwrap()]);
            let mut accounts = Accounts::new(100, local);
            let eth0 = accounts.interface("eth0", link_type);
            accounts.set_state(eth0, true, Default::default());
            World {
                accounts,
                watch: Watch::default(),
                own: vec![Addr::v4(OWN)],
                is_promiscuous: true,
            }
        }

        fn count(&mut self, many: usize, source: [u8; 4], destination: [u8; 4]) {
            let mut frame = vec![0_u8; 12];
            frame.extend([8, 0, 0x45, 0, 0, 20, 0, 0, 0, 0, 64, 17, 0, 0]);
            frame.extend(source.iter().chain(&destination));
            let mut record = PacketRecord::default();
            decode(LinkLayer::from_dlt(1), &frame, 34, 0, &mut record);
            self.accounts.count(0, &vec![record; many]);
        }

        fn look(&mut self, uptime: u64) -> Option<String> {
            let mut snapshot = self.accounts.snapshot();
            snapshot.uptime = Duration::from_secs(uptime);
            let machine = Machine {
                own: &self.own,
                is_wifi: |name| name == "wlan0",
                is_promiscuous: self.is_promiscuous,
            };
            self.watch.look(&snapshot, &machine)
        }
    }

    #[test]
    fn a_port_that_is_not_mirrored_is_told_after_some_minutes_with_what_to_do() {
        let mut world = World::new("EN10MB");
        world.count(500, OWN, [9, 9, 9, 9]);
        world.count(400, [9, 9, 9, 9], OWN);
        world.count(90, [192, 168, 1, 7], [239, 255, 255, 250]);
        // Flooded by the switch.
        world.count(8, [192, 168, 1, 7], [192, 168, 1, 8]);
        assert_eq!(world.look(100), None);
        let told = world.look(310).unwrap();
        assert!(told.contains("only broadcasts and this machine's own traffic"), "{told}");
        assert!(told.contains("998 frames in 5 minutes: 900 of its own, 90 to groups, 8 of"));
        assert!(told.contains("mirror (SPAN) port"), "{told}");
        assert!(told.ends_with(&format!("\"Where do I plug it in?\" in {GUIDE}.")), "{told}");
        assert!(include_str!("../../docs/plug-in.md").starts_with("# Where do I plug it in?\n"));
        world.is_promiscuous = false;
        assert!(world.look(311).unwrap().contains("capture.promiscuous"));
        // Plugged into the right port: the notice soon ends.
        for uptime in (330..900).step_by(30) {
            world.count(100, [192, 168, 1, 7], [9, 9, 9, 9]);
            world.look(uptime);
        }
        assert_eq!(world.look(900), None);
        // Plugged back into the wrong one.
        for uptime in (900..1_500).step_by(30) {
            world.count(100, [192, 168, 1, 7], [192, 168, 1, 255]);
            world.look(uptime);
        }
        assert!(world.look(1_500).unwrap().contains("0 of others"));
    }

    #[test]
    fn an_interface_without_a_single_frame_is_told() {
        let mut world = World::new("EN10MB");
        assert!(world.look(300).unwrap().contains("not one frame has come for 5 minutes"));
        world.count(100, [192, 168, 1, 7], [9, 9, 9, 9]);
        assert_eq!(world.look(301), None);
    }

    #[test]
    fn a_tunnel_and_an_interface_that_is_away_are_not_judged() {
        let mut tunnel = World::new("RAW");
        tunnel.count(100, OWN, [9, 9, 9, 9]);
        assert_eq!(tunnel.look(600), None);
        let mut away = World::new("EN10MB");
        away.accounts.set_state(0, false, Default::default());
        assert_eq!(away.look(600), None);
    }
}
