//! Service ports: TCP and UDP, 65,536 each.

use std::hash::{Hash, Hasher};

use crate::decode::protocol;

/// The transport protocols that have ports here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Transport {
    /// Transmission Control Protocol.
    Tcp,
    /// User Datagram Protocol.
    Udp,
}

impl Transport {
    /// The name in reports, the API and the database.
    pub fn name(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Udp => "udp",
        }
    }

    /// The IP protocol number.
    pub fn number(self) -> u8 {
        match self {
            Transport::Tcp => protocol::TCP,
            Transport::Udp => protocol::UDP,
        }
    }
}

/// A service port of a transport protocol.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PortKey {
    /// TCP or UDP.
    pub transport: Transport,
    /// The port.
    pub port: u16,
}

impl Hash for PortKey {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u32(u32::from(self.transport.number()) << 16 | u32::from(self.port));
    }
}

/// All keys there are: a table for so many ports never has to fold one.
pub const PORT_KEYS: usize = 2 * 65_536;
