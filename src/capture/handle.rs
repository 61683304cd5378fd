//! One opening of a live interface: libpcap's handle, its place in a fanout group, and what the
//! kernel says about it. The capture thread reads it.

use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::net::if_::if_nametoindex;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};
use pcap::{Active, Capture, Error, Linktype, Precision, Stat};

use super::error::Trouble;
use super::fanout::{self, Group};
use super::interfaces::attribute;
use super::{link_type_name, timestamp};
use crate::decode::{LinkLayer, PacketRecord, decode};
use crate::ring::{BATCH, Sender};

/// The kernel hands over a block that is not full after this time. A shorter time costs wake-ups on
/// a quiet network, a longer one delays the page.
pub const BLOCK_TIMEOUT: Duration = Duration::from_millis(250);
/// After this time the kernel has handed over every frame that it had.
pub(super) const DRAINED: Duration = Duration::from_millis(300);

/// How an interface is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    /// Bytes of each frame that are copied from the kernel.
    pub snap_length: u32,
    /// Size of the kernel's ring, bytes.
    pub kernel_buffer: u32,
    /// Whether to capture frames for other stations as well.
    pub promiscuous: bool,
    /// A libpcap filter expression; empty sees everything.
    pub filter: String,
}

impl Trouble {
    /// Whether to wait for the interface: it may appear, or be switched on.
    pub fn is_absence(&self) -> bool {
        matches!(self, Trouble::Absent | Trouble::Down)
    }

    /// The kernel's reason why libpcap failed on an interface. libpcap's own messages differ from
    /// version to version, and its crate passes on nothing else.
    pub fn of(name: &str, error: Error) -> Trouble {
        let raw = || socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None);
        // libpcap's "any" is no kernel interface.
        if name != "any" && if_nametoindex(name).is_err() {
            Trouble::Absent
        } else if matches!(raw(), Err(Errno::EPERM | Errno::EACCES)) {
            Trouble::NoPermission
        } else if !is_up(name) {
            Trouble::Down
        } else {
            Trouble::Other(error)
        }
    }
}

/// Whether an interface is switched on, as far as the kernel says.
pub(super) fn is_up(name: &str) -> bool {
    const IFF_UP: u32 = 1;
    let flags = attribute(name, "flags");
    let flags = flags.and_then(|text| u32::from_str_radix(text.trim_start_matches("0x"), 16).ok());
    flags.is_none_or(|flags| flags & IFF_UP != 0)
}

/// Opens an interface for capture.
///
/// # Errors
/// Why it cannot be opened.
pub fn open(name: &str, options: &Options) -> Result<Capture<Active>, Trouble> {
    let mut capture = activate(name, options).map_err(|e| Trouble::of(name, e))?;
    set_filter(name, &mut capture, &options.filter)?;
    Ok(capture)
}

fn activate(name: &str, options: &Options) -> Result<Capture<Active>, Error> {
    Capture::from_device(name)?
        .snaplen(i32::try_from(options.snap_length).unwrap_or(i32::MAX))
        .buffer_size(i32::try_from(options.kernel_buffer).unwrap_or(i32::MAX))
        .promisc(options.promiscuous)
        .timeout(BLOCK_TIMEOUT.as_millis() as i32)
        .precision(Precision::Nano)
        .open()?
        .setnonblock()
}

/// Installs a filter, even an empty one: without one libpcap copies whole frames through the kernel
/// ring instead of cutting them at the snap length.
fn set_filter(name: &str, capture: &mut Capture<Active>, filter: &str) -> Result<(), Trouble> {
    capture.compile(filter, true).map_err(Trouble::Filter)?;
    capture.filter(filter, true).map_err(|e| Trouble::of(name, e))
}

/// Checks a filter for these interfaces without opening any: writing a configuration must not need
/// root.
///
/// # Errors
/// libpcap's message.
pub fn check_filter(filter: &str, interfaces: &[String]) -> Result<(), Error> {
    let mut types: Vec<i32> = interfaces.iter().map(|name| link_type_of(name)).collect();
    if types.is_empty() {
        types.push(ETHERNET);
    }
    types.dedup();
    types.into_iter().try_for_each(|link_type| {
        Capture::dead(Linktype(link_type))?.compile(filter, true).map(|_| ())
    })
}

const ETHERNET: i32 = 1;

/// The link type (DLT_*) with which libpcap opens an interface, by the kernel's type
/// (ARPHRD_* of linux/if_arp.h); Ethernet if the interface is not there.
fn link_type_of(interface: &str) -> i32 {
    const RAW_IP: i32 = 12;
    const RADIOTAP: i32 = 127;
    match attribute(interface, "type").as_deref() {
        Some("803") => RADIOTAP,
        // ARPHRD_NONE, and tunnels: bare IP packets.
        Some("65534" | "768" | "769" | "776" | "778" | "823") => RAW_IP,
        _ => ETHERNET,
    }
}

/// Frames lost since the last [`Handle::lost`].
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub(super) struct Lost {
    pub(super) kernel: u64,
    pub(super) interface: u64,
}

/// An interface that is open, in a fanout group (see [`super::fanout`]).
pub struct Handle {
    capture: Capture<Active>,
    link: LinkLayer,
    group: Option<Group>,
    seen: Stat,
    /// Another handle has taken over, and counts the interface's losses from then on.
    is_leaving: bool,
}

impl Handle {
    /// Opens an interface. With a `group` it gets no frame until it takes over from the only member
    /// of that group.
    ///
    /// # Errors
    /// Why it cannot be opened.
    pub fn open(name: &str, options: &Options, group: Option<Group>) -> Result<Handle, Trouble> {
        let mut capture = activate(name, options).map_err(|e| Trouble::of(name, e))?;
        let joined = group.filter(|group| group.join(&capture).is_ok());
        set_filter(name, &mut capture, &options.filter)?;
        let link = LinkLayer::from_dlt(capture.get_datalink().0);
        let group = joined.or_else(|| Group::found(&capture).ok());
        let seen = Stat { received: 0, dropped: 0, if_dropped: 0 };
        let mut handle = Handle { capture, link, group, seen, is_leaving: false };
        if joined.is_some() {
            // It got frames before it joined; the member has counted them.
            handle.discard(DRAINED).map_err(|e| Trouble::of(name, e))?;
        }
        Ok(handle)
    }

    /// libpcap's name of the link type.
    pub(super) fn link_type(&self) -> String {
        link_type_name(self.capture.get_datalink())
    }

    /// The group that a handle must join to take over.
    pub(super) fn group(&self) -> Option<Group> {
        self.group
    }

    /// The descriptor that is readable when there are frames.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.capture.as_fd()
    }

    /// Decodes at most [`BATCH`] frames into the ring; returns whether there may be more.
    pub(super) fn read(&mut self, ring: &mut Sender) -> Result<bool, Error> {
        let Handle { capture, link, .. } = self;
        let taken = ring.fill(|slots| {
            let most = slots.len();
            let (used, taken) = match *link {
                LinkLayer::Ethernet => take::<true>(capture, *link, slots),
                link => take::<false>(capture, link, slots),
            };
            (used, taken.map(|taken| taken == most))
        });
        taken.unwrap_or_else(|| {
            if ring.wait_a_moment() {
                return Ok(true);
            }
            // Still no room: count what comes as dropped. This drains the kernel's ring, so the
            // newest frames are not the ones that are lost.
            let taken = capture.dispatch(Some(BATCH), |packet| ring.drop_frame(packet.header.len));
            taken.map(|taken| taken == BATCH)
        })
    }

    /// Throws away the frames of the next `time`, and forgets the losses so far.
    fn discard(&mut self, time: Duration) -> Result<(), Error> {
        let end = Instant::now() + time;
        loop {
            while self.capture.dispatch(Some(BATCH), |_| ())? > 0 {}
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            let mut frames = [PollFd::new(self.capture.as_fd(), PollFlags::POLLIN)];
            let _ = poll(&mut frames, timeout(left));
        }
        self.forget();
        Ok(())
    }

    fn forget(&mut self) {
        if let Ok(stat) = self.capture.stats() {
            self.seen = stat;
        }
    }

    /// From now on every frame, and every loss of the interface, comes here and not to `old`. `old`
    /// still has frames in its ring, for at most [`DRAINED`]. Without a common group (Linux before
    /// 4.12) both or neither may count a few frames.
    pub(super) fn take_over(&mut self, old: &mut Handle) -> Lost {
        let lost = old.lost();
        old.is_leaving = true;
        self.forget();
        let is_common = old.group.is_some_and(|group| group.has(&self.capture));
        if !is_common || fanout::choose(&self.capture, 1).is_err() {
            let _ = self.discard(Duration::ZERO);
        }
        lost
    }

    /// The old handle is closed: another one may join the group.
    pub(super) fn stand_alone(&self) {
        // Fails without a group, which does not matter.
        let _ = fanout::choose(&self.capture, 0);
    }

    /// The losses since the last call. libpcap's counters are 32 bits wide.
    pub(super) fn lost(&mut self) -> Lost {
        let Ok(stat) = self.capture.stats() else { return Lost::default() };
        let kernel = u64::from(stat.dropped.wrapping_sub(self.seen.dropped));
        let interface = u64::from(stat.if_dropped.wrapping_sub(self.seen.if_dropped));
        self.seen = stat;
        Lost { kernel, interface: if self.is_leaving { 0 } else { interface } }
    }
}

/// Writes the frames that are ready into `slots`, as many as fit; returns how many, and libpcap's
/// result. Compiled once for Ethernet alone: six instructions a frame less, measured.
#[inline(always)]
fn take<const IS_ETHERNET: bool>(
    capture: &mut Capture<Active>,
    link: LinkLayer,
    slots: &mut [PacketRecord],
) -> (usize, Result<usize, Error>) {
    let mut used = 0;
    let taken = capture.dispatch(Some(slots.len()), |packet| {
        let time = timestamp(packet.header, Precision::Nano);
        // libpcap hands over no more than it was asked for.
        if let Some(slot) = slots.get_mut(used) {
            let link = if IS_ETHERNET { LinkLayer::Ethernet } else { link };
            decode(link, packet.data, packet.header.len, time, slot);
            used += 1;
        }
    });
    (used, taken)
}

/// The timeout of a poll that lasts `duration`, a minute at most.
pub fn timeout(duration: Duration) -> PollTimeout {
    // Rounded up: a poll of 0 ms in a loop would burn the CPU for the last millisecond.
    let milliseconds = u16::try_from(duration.as_millis() + 1).unwrap_or(u16::MAX);
    PollTimeout::from(milliseconds)
}

#[cfg(test)]
mod tests {
    use super::super::error::clause;
    use super::*;

    #[test]
    fn a_filter_is_checked_without_any_right_and_for_the_link_type() {
        let check = |filter: &str, interfaces: &[&str]| {
            let names: Vec<String> = interfaces.iter().map(|name| (*name).to_owned()).collect();
            check_filter(filter, &names)
        };
        assert_eq!(check("", &[]), Ok(()));
        assert_eq!(check("not port 22 and not vlan 3", &["lo", "nowhere0"]), Ok(()));
        assert!(clause(&check("not prot 22", &[]).unwrap_err()).contains("syntax"));
        assert!(check("host", &["lo"]).is_err());
        assert!(check("wlan type data", &["lo"]).is_err());
    }

    #[test]
    fn an_interface_that_is_not_there_is_known_without_libpcaps_words() {
        assert_eq!(Trouble::of("nowhere0", Error::InvalidString), Trouble::Absent);
        assert!(Trouble::Absent.is_absence() && !Trouble::NoPermission.is_absence());
    }
}
