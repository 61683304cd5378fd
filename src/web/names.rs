//! Admission: which clients may ask, by which name, and from whose page (against strangers, DNS
//! rebinding and forged requests).

use std::net::{IpAddr, SocketAddr};

use ipnet::IpNet;

/// The rules for clients and for Host headers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    near: Vec<IpNet>,
    /// Interface numbers, as the kernel has them.
    links: Vec<u32>,
    allow: Vec<IpNet>,
    names: Vec<String>,
}

/// Suffixes that home routers append to host names, and that of mDNS.
const SUFFIXES: [&str; 5] = ["", ".local", ".lan", ".home", ".fritz.box"];

impl Admission {
    /// Admits clients in the prefixes `near` and `allow`, and link-local ones on the interfaces
    /// numbered `links`. They must ask for an IP address, localhost, `host_name` (with the usual
    /// suffixes) or one of `names`.
    pub fn new(
        near: Vec<IpNet>,
        links: Vec<u32>,
        allow: Vec<IpNet>,
        host_name: &str,
        names: &[String],
    ) -> Admission {
        let short = host_name.split('.').next().unwrap_or(host_name).to_lowercase();
        let own = SUFFIXES.iter().map(|suffix| format!("{short}{suffix}"));
        let all = own.chain([host_name.to_lowercase(), "localhost".to_owned()]);
        let names = all.chain(names.iter().map(|name| name.to_lowercase()));
        let names = names.filter(|name| !name.is_empty()).collect();
        Admission { near, links, allow, names }
    }

    /// Whether a client with this address may ask at all.
    pub fn admits(&self, client: SocketAddr) -> bool {
        let address = client.ip().to_canonical();
        let is_on_link = match client {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => {
                self.links.contains(&v6.scope_id())
            }
            _ => false,
        };
        // This machine itself, whatever its networks are.
        address.is_loopback()
            || is_on_link
            || self.near.iter().chain(&self.allow).any(|net| net.contains(&address))
    }

    /// Whether a Host header names us. This stops DNS rebinding: a foreign page whose name is
    /// repointed at our address still sends that name.
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

    /// Whether avahi would call us this because another machine already has our name, such as
    /// `brightstat-2.local`. Names in .local are resolved on the link, out of reach of foreign name
    /// servers (RFC 6762).
    fn is_second(&self, name: &str) -> bool {
        let split = name.strip_suffix(".local").and_then(|name| name.rsplit_once('-'));
        split.is_some_and(|(name, number)| {
            let is_number = !number.is_empty() && number.bytes().all(|b| b.is_ascii_digit());
            is_number && self.names.iter().any(|own| own.strip_suffix(".local") == Some(name))
        })
    }
}

/// Whether the Origin header of a browser names the site that `host`, the Host header of the same
/// request, names: same name and port. Browsers write both alike, without the usual port of the
/// scheme; a proxy in front of us has to pass Host on as it is. "null" is nobody's.
///
/// We speak HTTP, so HTTPS is another server, or a proxy in front of us. Over HTTPS, browsers say
/// more: `is_same_origin` is whether Sec-Fetch-Site was "same-origin".
pub(super) fn is_own_origin(origin: &str, host: &str, is_same_origin: bool) -> bool {
    let secure = origin.strip_prefix("https://").filter(|_| is_same_origin);
    let authority = origin.strip_prefix("http://").or(secure);
    authority.is_some_and(|authority| authority.eq_ignore_ascii_case(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_ours_if_name_and_port_are_those_that_were_asked() {
        for (origin, host) in [
            ("http://pi.local", "pi.local"),
            ("http://pi.local:667", "PI.local:667"),
            ("http://192.168.1.5:667", "192.168.1.5:667"),
            ("http://[fe80::1]:667", "[fe80::1]:667"),
        ] {
            assert!(is_own_origin(origin, host, false), "{origin} {host}");
        }
        // A proxy in front of us, or another server of the same machine.
        assert!(is_own_origin("https://pi.local", "pi.local", true));
        assert!(!is_own_origin("https://pi.local", "pi.local", false));
        for (origin, host) in [
            ("", ""),
            ("null", "null"),
            ("pi.local", "pi.local"),
            ("ftp://pi.local", "pi.local"),
            ("http://pi.local.", "pi.local"),
            ("http://pi.local/", "pi.local"),
            ("http://pi.local", "pi.local:667"),
            // Another server of the same machine is another site.
            ("http://pi.local:8080", "pi.local:667"),
            ("http://evil.example", "pi.local"),
            ("http://evil.example/pi.local", "pi.local"),
            ("http://pi.local@evil.example", "pi.local"),
            ("http://pi.local http://evil.example", "pi.local"),
        ] {
            assert!(!is_own_origin(origin, host, true), "{origin} {host}");
        }
    }

    fn admission() -> Admission {
        let near = vec!["192.168.1.0/24".parse().unwrap()];
        let allow = vec!["2001:db8::/32".parse().unwrap()];
        Admission::new(near, vec![2], allow, "Pi.example.org", &["stat.example.com".to_owned()])
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
    fn only_near_and_allowed_clients_are_admitted() {
        let admits = |ip: &str| admission().admits((ip.parse::<IpAddr>().unwrap(), 4_711).into());
        assert!(admits("192.168.1.77"));
        assert!(admits("::ffff:192.168.1.77"));
        assert!(admits("2001:db8::7"));
        assert!(admits("127.0.0.1") && admits("::1") && admits("::ffff:127.0.0.1"));
        let on_link = |scope| {
            let address = std::net::SocketAddrV6::new("fe80::7".parse().unwrap(), 4_711, 0, scope);
            admission().admits(address.into())
        };
        assert!(on_link(2) && !on_link(3) && !on_link(0));
        // Private, but not in a neighbouring network.
        assert!(!admits("192.168.2.1") && !admits("10.0.0.1") && !admits("100.64.0.1"));
        assert!(!admits("203.0.113.9"));
    }
}
