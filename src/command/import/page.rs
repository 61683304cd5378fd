//! How to reach the page: the listener, the name on the network, the line on the console.

use super::place::Place;
use super::settings::FIXED_PORT;
use crate::failure::Failure;

/// The default port of the appliance.
const USUAL: u16 = 80;
/// Replaces the file of the same name that the image has in /usr/lib.
pub(super) const LISTENER: &str = "/etc/systemd/system/brightstat.socket.d/appliance.conf";
pub(super) const SERVICE: &str = "/etc/avahi/services/brightstat.service";
pub(super) const ISSUE: &str = "/etc/issue.d/brightstat.issue";

/// Serves the page at this port besides 667. Returns whether systemd must reload its units.
pub(super) fn serve_at(place: &Place, port: Option<u16>) -> Result<bool, Failure> {
    let port = port.unwrap_or(USUAL);
    place.write(SERVICE, &service(port), 0o644)?;
    place.write(ISSUE, &issue(port), 0o644)?;
    match port {
        USUAL => place.remove(LISTENER),
        port => place.write(LISTENER, &listener(port), 0o644),
    }
}

fn listener(port: u16) -> String {
    let line = match port {
        FIXED_PORT => "# 667 only, which is there anyhow.\n".to_owned(),
        port => format!("ListenStream={port}\n"),
    };
    format!(
        "# Made by 'brightstat import' from brightstat.toml on the boot partition.\n[Socket]\n{line}"
    )
}

pub(super) fn service(port: u16) -> String {
    let usual = include_str!("../../../image/files/etc/avahi/services/brightstat.service");
    usual.replace("<port>80</port>", &format!("<port>{port}</port>"))
}

/// agetty replaces `\n` by the host name and `\4` by the address, and keeps the address up to date.
pub(super) fn issue(port: u16) -> String {
    let usual = include_str!("../../../image/files/etc/issue.d/brightstat.issue");
    match port {
        USUAL => usual.to_owned(),
        port => usual
            .replace(".local/", &format!(".local:{port}/"))
            .replace(r"\4/", &format!(r"\4:{port}/")),
    }
}
