//! MPLS.

use super::{PacketRecord, ip};

/// The label stack (RFC 3032). As in routers, the first nibble behind it gives the IP version.
pub(super) fn stack(mut data: &[u8], record: &mut PacketRecord) {
    loop {
        let Some(&[_, _, bottom, _]) = data.first_chunk::<4>() else {
            return record.set_short();
        };
        data = &data[4..];
        if bottom & 1 != 0 {
            break;
        }
    }
    match data.first().map(|first| first >> 4) {
        Some(4) => ip::v4(data, record),
        Some(6) => ip::v6(data, record),
        Some(_) => {}
        None => record.set_short(),
    }
}
