//! Hands an interface from one capture socket to another without losing or doubling a frame.
//!
//! Theory of operation (packet(7), PACKET_FANOUT): the kernel gives each frame to exactly one
//! socket of a fanout group. A BPF program chooses it; here the program is a constant. Each capture
//! begins as the only member of its own group. A socket that takes over joins as the second member,
//! and gets nothing while the program says 0. Once it says 1, every frame goes to the second. The
//! kernel returns from that call only when no CPU uses the old program any more: then the first
//! socket has its last frames in its ring, no frame is in both, and none is in neither.
//!
//! Two sockets without a group would both get the frames that come while both are open. Nobody
//! could tell what one of them drops then from what both count.

use std::os::fd::AsFd;

use nix::errno::Errno;
use nix::sys::socket::sockopt::SetStruct;
use nix::sys::socket::{GetSockOpt, SetSockOpt};
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};

// linux/if_packet.h
const PACKET_FANOUT: libc::c_int = 18;
const PACKET_FANOUT_DATA: libc::c_int = 22;
const PACKET_FANOUT_CBPF: u32 = 6;
const PACKET_FANOUT_FLAG_UNIQUEID: u32 = 0x2000;

// nix has no name for these options, but exports the macros with which it makes its own.
sockopt_impl!(
    /// The group of a packet socket: its number, then its kind in the upper half.
    Fanout,
    Both,
    libc::SOL_PACKET,
    PACKET_FANOUT,
    u32
);

/// The program of a group, which chooses the member that gets a frame.
#[derive(Clone, Copy)]
struct FanoutProgram;
setsockopt_impl!(
    FanoutProgram,
    libc::SOL_PACKET,
    PACKET_FANOUT_DATA,
    libc::sock_fprog,
    SetStruct<'_, libc::sock_fprog>
);

/// A fanout group of this network namespace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Group(u16);

impl Group {
    /// Makes a group whose only member is this capture socket.
    ///
    /// # Errors
    /// The kernel is older than Linux 4.12.
    pub(super) fn found(socket: &impl AsFd) -> Result<Group, Errno> {
        Fanout.set(socket, &((PACKET_FANOUT_CBPF | PACKET_FANOUT_FLAG_UNIQUEID) << 16))?;
        let id = Fanout.get(socket)?;
        choose(socket, 0)?;
        Ok(Group((id & 0xffff) as u16))
    }

    /// Joins the group as its second member; the first one goes on getting every frame.
    ///
    /// # Errors
    /// The group is gone, or is of another interface.
    pub(super) fn join(self, socket: &impl AsFd) -> Result<(), Errno> {
        Fanout.set(socket, &(PACKET_FANOUT_CBPF << 16 | u32::from(self.0)))
    }

    /// Whether the socket is a member.
    pub(super) fn has(self, socket: &impl AsFd) -> bool {
        Fanout.get(socket).is_ok_and(|id| (id & 0xffff) as u16 == self.0)
    }
}

/// Gives every frame, once this returns, to one member of the socket's group: the one at `place`,
/// counted from 0 in the order of joining.
///
/// # Errors
/// The socket is in no group.
pub(super) fn choose(socket: &impl AsFd, place: u32) -> Result<(), Errno> {
    // BPF_RET | BPF_K: the result is a constant.
    let mut program = [libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: place }];
    FanoutProgram.set(socket, &libc::sock_fprog { len: 1, filter: program.as_mut_ptr() })
}
