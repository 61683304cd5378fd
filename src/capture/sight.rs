//! What an interface sees of the network: everybody's traffic, or only its own machine's.
//!
//! A switch sends a port the frames of the machine behind it, broadcasts, and now and then a frame
//! whose port it has forgotten. Seeing the others takes a mirror port, a bridge or a router. Pure:
//! `brightstat doctor` and the daemon count frames in their own ways and ask here.

/// Counts of frames by their ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sight {
    /// All frames.
    pub frames: u64,
    /// From or to this machine's addresses.
    pub own: u64,
    /// To everybody or to a group.
    pub group: u64,
    /// Between two others, as a mirror port, a bridge or a router sees them.
    pub others: u64,
}

/// The verdict on a [`Sight`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// The traffic of others is seen.
    Others,
    /// Only broadcasts and this machine's own traffic.
    OnlyOwn,
    /// Not one frame came.
    Nothing,
}

/// The remedy when not one frame came.
pub const NOTHING_REMEDY: &str =
    "a network is never that quiet: is this the right interface, and is the cable in?";

impl Sight {
    /// The frames since an earlier count.
    pub fn since(&self, before: &Sight) -> Sight {
        Sight {
            frames: self.frames.saturating_sub(before.frames),
            own: self.own.saturating_sub(before.own),
            group: self.group.saturating_sub(before.group),
            others: self.others.saturating_sub(before.others),
        }
    }

    /// The verdict. A flooded frame now and then proves nothing: others are seen if more than ten
    /// frames, and more than one in fifty, are theirs.
    pub fn view(&self) -> View {
        if self.others > 10 && self.others * 50 > self.frames {
            View::Others
        } else if self.frames == 0 {
            View::Nothing
        } else {
            View::OnlyOwn
        }
    }
}

/// The remedy when only this machine's own traffic is seen.
pub fn own_remedy(is_wifi: bool, is_promiscuous: bool) -> &'static str {
    if !is_promiscuous {
        return "capture.promiscuous is false; set it to true";
    }
    if is_wifi {
        return "Wi-Fi shows a station nothing else; use a cable to a mirror port of the switch";
    }
    "connect to a mirror (SPAN) port of the switch, or let the Pi be the bridge or the gateway; \
     without it you see this machine only"
}
