//! Who may ask, and by which name: the checks against strangers and DNS rebinding.

use std::net::IpAddr;

use ipnet::IpNet;

use crate::account::LocalNetworks;

/// The rules for clients and for Host headers.
#[derive(Clone, Debug)]
pub struct Admission {
    local: LocalNetworks,
    allow: Vec<IpNet>,
    names: Vec<String>,
}

/// Endings that home routers put behind host names, and mDNS's own.
const SUFFIXES: [&str; 5] = ["", ".local", ".lan", ".home", ".fritz.box"];

impl Admission {
    /// Lets in clients of the local networks and of `allow`, who ask for an IP address,
    /// localhost, `host_name` (with the usual endings) or one of `names`.
    pub fn new(
        local: LocalNetworks,
        allow: Vec<IpNet>,
        host_name: &str,
        names: &[String],
    ) -> Admission {
        let short = host_name.split('.').next().unwrap_or(host_name).to_lowercase();
        let own = SUFFIXES.iter().map(|suffix| format!("{short}{suffix}"));
        let all = own.chain([host_name.to_lowercase(), "localhost".to_owned()]);
        let names = all.chain(names.iter().map(|name| name.to_lowercase()));
        Admission { local, allow, names: names.filter(|name| !name.is_empty()).collect() }
    }

    /// Whether a client with this address may ask at all.
    pub fn admits(&self, client: IpAddr) -> bool {
        let client = client.to_canonical();
        // This machine itself, whatever its networks are.
        client.is_loopback()
            || self.local.contains(&client)
            || self.allow.iter().any(|net| net.contains(&client))
    }

    /// Whether a Host header names us. A page of somebody else's, loaded under a name that
    /// he then points at our address, cannot.
    pub fn knows(&self, host: &str) -> bool {
        let name = match host.rsplit_once(':') {
            // The port does not matter: a forwarded one differs from ours.
            Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
            _ => host,
        };
        let bare = name.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if bare.unwrap_or(name).parse::<IpAddr>().is_ok() {
            return true;
        }
        let name = name.trim_end_matches('.').to_lowercase();
        self.names.contains(&name) || self.is_second(&name)
    }

    /// Whether this is what avahi calls us where another machine has our name already, such as
    /// `brightstat-2.local`. Names in .local are asked for on the link, where nobody else's
    /// name server is (RFC 6762).
    fn is_second(&self, name: &str) -> bool {
        let split = name.strip_suffix(".local").and_then(|name| name.rsplit_once('-'));
        split.is_some_and(|(name, number)| {
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            is_number && self.names.iter().any(|own| own.strip_suffix(".local") == Some(name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission() -> Admission {
        let local = LocalNetworks::exactly(vec!["192.168.1.0/24".parse().unwrap()]);
        let allow = vec!["2001:db8::/32".parse().unwrap()];
        Admission::new(local, allow, "Pi.example.org", &["stat.example.com".to_owned()])
    }

    #[test]
    fn names_of_ours_are_known_and_others_are_not() {
        for host in [
            "192.168.1.5",
            "192.168.1.5:667",
            "[::1]:667",
            "[fe80::1]",
            "localhost:8080",
            "pi",
            "PI.local",
            "pi.local.:667",
            "pi-2.local",
            "pi.example.org",
            "stat.example.com:80",
        ] {
            assert!(admission().knows(host), "{host}");
        }
        for host in [
            "",
            "evil.example.com",
            "pi.evil.com",
            "192.168.1.5.evil.com",
            "[::1",
            "a:b:c",
            "pi-2.lan",
            "pi-x.local",
            "pj-2.local",
            "pi-.local",
        ] {
            assert!(!admission().knows(host), "{host}");
        }
    }

    #[test]
    fn only_local_and_allowed_clients_are_admitted() {
        let admits = |ip: &str| admission().admits(ip.parse().unwrap());
        assert!(admits("192.168.1.77"));
        assert!(admits("::ffff:192.168.1.77"));
        assert!(admits("2001:db8::7"));
        assert!(admits("127.0.0.1") && admits("::1") && admits("::ffff:127.0.0.1"));
        assert!(!admits("192.168.2.1"));
        assert!(!admits("203.0.113.9"));
    }
}
