//! The table of all settings: name, default, meaning, and how a value is read.

use std::path::PathBuf;
use std::time::Duration;

use log::LevelFilter;
use toml::de::DeValue;

use super::{Config, NamesLevel, tiers, value};
use crate::account::DEFAULT_HOST_LIMIT;
use crate::ring::DEFAULT_CAPACITY;

pub use super::units::WRITTEN;
pub use super::value::{prefix, socket_address, whole};

/// One setting.
pub struct Key {
    /// Its section.
    pub section: &'static str,
    /// Its name.
    pub name: &'static str,
    /// Its default, as it is written in the file.
    pub default: &'static str,
    /// What it means, for the sample file and the manual page.
    pub meaning: &'static str,
    /// Reads a value into the configuration.
    pub set: fn(&mut Config, &DeValue<'_>) -> Result<(), String>,
    /// When a new value takes effect.
    pub applies: Applies,
}

/// When a new value of a setting takes effect.
#[derive(Clone, Copy)]
pub enum Applies {
    /// At a reload.
    AtOnce,
    /// At a restart. The function copies the value of the configuration in force (second) into
    /// the new one (first), and returns whether they differed.
    AtRestart(fn(&mut Config, &Config) -> bool),
}

/// A setting that needs a restart, given the fields of [`Config`] that hold it.
macro_rules! at_restart {
    ($($field:ident),+) => {
        Applies::AtRestart(|new, old| {
            let mut differed = false;
            $(
                differed |= new.$field != old.$field;
                new.$field.clone_from(&old.$field);
            )+
            differed
        })
    };
}

impl Key {
    /// What it means, and when a new value takes effect: for the sample file and the manual
    /// page.
    pub fn text(&self) -> String {
        let restart = match self.applies {
            Applies::AtOnce => "",
            Applies::AtRestart(_) => " Takes a restart.",
        };
        format!("{}{restart}", self.meaning)
    }
}

/// All settings, in the order of the sample file.
pub const KEYS: &[Key] = &[
    Key {
        section: "capture",
        name: "interfaces",
        default: "[]",
        meaning: "The interfaces to watch, such as [\"eth0\", \"wlan0\"]. Empty: the one with \
                  the default route; without one, the first Ethernet or Wi-Fi interface that is \
                  up. An interface that is absent is waited for.",
        set: |c, v| value::texts(v).map(|v| c.interfaces = v),
        applies: Applies::AtOnce,
    },
    Key {
        section: "capture",
        name: "promiscuous",
        default: "true",
        meaning: "Whether to see frames for other stations too, as behind a mirror port.",
        set: |c, v| value::boolean(v).map(|v| c.promiscuous = v),
        applies: Applies::AtOnce,
    },
    Key {
        section: "capture",
        name: "filter",
        default: "\"\"",
        meaning: "A libpcap filter such as \"not port 22\" (see pcap-filter(7)). Empty: \
                  everything is counted.",
        set: |c, v| value::text(v).map(|v| c.filter = v),
        applies: Applies::AtOnce,
    },
    Key {
        section: "capture",
        name: "snap_length",
        default: "128",
        meaning: "Bytes of each frame that are copied from the kernel, 64 to 65535: enough for \
                  the headers. Counts always use the length on the wire. Wi-Fi in monitor mode \
                  needs about 192.",
        set: |c, v| value::whole(v, 64, 65_535).map(|v| c.snap_length = v as u32),
        applies: Applies::AtOnce,
    },
    Key {
        section: "capture",
        name: "kernel_buffer",
        default: "\"8MiB\"",
        meaning: "The kernel's ring for each interface, \"512KiB\" to \"256MiB\". It bridges \
                  bursts; on a board with 512 MiB of memory 8 to 16 MiB are right.",
        set: |c, v| value::size(v, 512 << 10, 256 << 20).map(|v| c.kernel_buffer = v as u32),
        applies: Applies::AtOnce,
    },
    Key {
        section: "capture",
        name: "ring",
        default: "4096",
        meaning: "Packet records that may wait between a capture thread and the worker, 1024 to \
                  1048576, 64 bytes each.",
        set: |c, v| value::whole(v, 1_024, 1 << 20).map(|v| c.ring = v as usize),
        applies: at_restart!(ring),
    },
    Key {
        section: "network",
        name: "local",
        default: "[]",
        meaning: "The prefixes that count as inside, such as [\"192.168.1.0/24\"]; they decide \
                  what is in, out, internal and transit. Empty: the private ranges, multicast, \
                  and the prefixes of the watched interfaces.",
        set: |c, v| value::prefixes(v).map(|v| c.local = v),
        applies: Applies::AtOnce,
    },
    Key {
        section: "names",
        name: "level",
        default: "\"all\"",
        meaning: "Which names are learned by listening: \"all\"; \"local\", only what devices at \
                  home are called, and nothing of the services that they use; or \"none\".",
        set: |c, v| {
            let text = value::text(v)?;
            let level = NamesLevel::ALL.into_iter().find(|level| level.name() == text);
            c.names = level.ok_or_else(|| {
                format!("expected \"all\", \"local\" or \"none\", found \"{text}\"")
            })?;
            Ok(())
        },
        applies: Applies::AtOnce,
    },
    Key {
        section: "limits",
        name: "hosts",
        default: "32768",
        meaning: "Hosts that are told apart, 16 to 1000000, some 250 bytes each. Beyond that the \
                  least recently seen are added up in a row named \"other\"; totals stay exact.",
        set: |c, v| value::whole(v, 16, 1_000_000).map(|v| c.hosts = v as usize),
        applies: at_restart!(hosts),
    },
    Key {
        section: "history",
        name: "database",
        default: "\"/var/lib/brightstat/brightstat.db\"",
        meaning: "The SQLite file with the history. Its directory is made if need be and is \
                  given to the daemon's user.",
        set: |c, v| {
            value::text(v).and_then(|v| {
                let path = PathBuf::from(v);
                if path.is_absolute() && path.file_name().is_some() {
                    c.database = path;
                    Ok(())
                } else {
                    Err("expected the absolute path of a file, such as \"/var/lib/brightstat/brightstat.db\"".to_owned())
                }
            })
        },
        applies: at_restart!(database),
    },
    Key {
        section: "history",
        name: "commit",
        default: "\"5min\"",
        meaning: "How often history is written to the card, \"1min\" to \"60min\". A power cut \
                  loses what came after that; a longer time spares the card.",
        set: |c, v| value::duration(v, "1min", "60min").map(|v| c.commit = v),
        applies: Applies::AtOnce,
    },
    Key {
        section: "history",
        name: "schema",
        default: "\"second:1, minute:60, hour:3600, day:86400\"",
        meaning: "The tiers: resolutions in which history is kept, as names and lengths in \
                  seconds (or with a unit, as in \"week:7d\"). Each length must divide the next.",
        set: |c, v| tiers::schema(v).map(|v| c.schema = v),
        applies: at_restart!(schema),
    },
    Key {
        section: "history",
        name: "keep",
        default: "\"second:1h, minute:48h, hour:60d, day:10y\"",
        meaning: "How long each tier is kept: by name, or without names in the order of the \
                  schema. What is not named is kept as long as its like is by default.",
        set: |c, v| tiers::keep(v).map(|v| c.keep = v),
        applies: at_restart!(keep),
    },
    Key {
        section: "history",
        name: "store_seconds",
        default: "false",
        meaning: "Whether tiers of intervals shorter than a minute are written to the card as \
                  well, which wears it. Otherwise they live in memory, which has room for one.",
        set: |c, v| value::boolean(v).map(|v| c.store_seconds = v),
        applies: at_restart!(store_seconds),
    },
    Key {
        section: "history",
        name: "max_size",
        default: "\"1GiB\"",
        meaning: "The size that the database may grow to, \"8MiB\" to \"1024GiB\". Beyond it the \
                  oldest intervals of the finest tier go first, whatever their age; those that \
                  the current hour and day are made of stay. The log beside it takes some 16 MiB \
                  more.",
        set: |c, v| value::size(v, 8 << 20, 1 << 40).map(|v| c.max_size = v),
        applies: at_restart!(max_size),
    },
    Key {
        section: "history",
        name: "hosts_per_interval",
        default: "200",
        meaning: "The busiest hosts of each interval that are stored by name, 2 to 100000; the \
                  others are stored as one row, \"other\". Half of them are set aside for local \
                  hosts.",
        set: |c, v| value::whole(v, 2, 100_000).map(|v| c.hosts_per_interval = v as usize),
        applies: at_restart!(hosts_per_interval),
    },
    Key {
        section: "history",
        name: "ports_per_interval",
        default: "100",
        meaning: "The same for service ports, 1 to 100000.",
        set: |c, v| value::whole(v, 1, 100_000).map(|v| c.ports_per_interval = v as usize),
        applies: at_restart!(ports_per_interval),
    },
    Key {
        section: "history",
        name: "services_per_interval",
        default: "10",
        meaning: "How many rows of who did what are stored of each interval: a local host and \
                  one of its services, 0 to 100000. What else a host did, and all that a \
                  remote host did, is its \"other\". Each row more writes about 0.13 MB a \
                  day to the card.",
        set: |c, v| value::whole(v, 0, 100_000).map(|v| c.services_per_interval = v as usize),
        applies: at_restart!(services_per_interval),
    },
    Key {
        section: "history",
        name: "clock_wait",
        default: "\"10min\"",
        meaning: "How long a machine without a battery for its clock waits after booting for \
                  the time from the network before it believes its clock, \"0s\" to \"24h\". \
                  History waits in memory until then. Where no time service runs, the clock is \
                  believed at once.",
        set: |c, v| value::duration(v, "0s", "24h").map(|v| c.clock_wait = v),
        applies: at_restart!(clock_wait),
    },
    Key {
        section: "web",
        name: "listen",
        default: "[\"[::]:667\"]",
        meaning: "Where the page and the API are served. \"[::]:667\" is every address of this \
                  machine, IPv4 and IPv6.",
        set: |c, v| value::socket_addresses(v).map(|v| c.listen = v),
        applies: at_restart!(listen),
    },
    Key {
        section: "web",
        name: "allow",
        default: "[]",
        meaning: "Prefixes from which the page may be opened, besides those of this machine's own \
                  Ethernet and Wi-Fi interfaces and of the watched ones; other private networks \
                  are not let in by themselves. \"0.0.0.0/0\" and \"::/0\" let everybody in.",
        set: |c, v| value::prefixes(v).map(|v| c.allow = v),
        applies: Applies::AtOnce,
    },
    Key {
        section: "web",
        name: "host_names",
        default: "[]",
        meaning: "Names under which the page may be opened, besides IP addresses, localhost, \
                  this machine's host name and that name with .local, .lan, .home or .fritz.box. \
                  Others are refused, which stops DNS rebinding.",
        set: |c, v| value::texts(v).map(|v| c.host_names = v),
        applies: Applies::AtOnce,
    },
    Key {
        section: "web",
        name: "connections",
        default: "64",
        meaning: "Connections that are served at the same time, 4 to 1024.",
        set: |c, v| value::whole(v, 4, 1_024).map(|v| c.connections = v as usize),
        applies: at_restart!(connections),
    },
    Key {
        section: "web",
        name: "connections_per_address",
        default: "16",
        meaning: "The same of one client, an IPv4 address or a /64 of IPv6, 1 to 1024.",
        set: |c, v| value::whole(v, 1, 1_024).map(|v| c.connections_per_address = v as usize),
        applies: at_restart!(connections_per_address),
    },
    Key {
        section: "daemon",
        name: "user",
        default: "\"\"",
        meaning: "The user to become when started as root outside systemd, keeping only the \
                  right to capture; \"root\" stays root. Empty: _brightstat if there is one, else \
                  who called sudo, else nobody.",
        set: |c, v| value::text(v).map(|v| c.user = v),
        applies: at_restart!(user),
    },
    Key {
        section: "daemon",
        name: "log_level",
        default: "\"info\"",
        meaning: "How much is logged: \"error\", \"warn\", \"info\" or \"debug\".",
        set: |c, v| {
            let text = value::text(v)?;
            c.log_level = match text.as_str() {
                "error" => LevelFilter::Error,
                "warn" => LevelFilter::Warn,
                "info" => LevelFilter::Info,
                "debug" => LevelFilter::Debug,
                _ => {
                    return Err(format!(
                        "expected \"error\", \"warn\", \"info\" or \"debug\", found \"{text}\""
                    ));
                }
            };
            Ok(())
        },
        applies: Applies::AtOnce,
    },
];

impl Default for Config {
    fn default() -> Config {
        Config {
            interfaces: Vec::new(),
            promiscuous: true,
            snap_length: 128,
            kernel_buffer: 8 << 20,
            filter: String::new(),
            ring: DEFAULT_CAPACITY,
            local: Vec::new(),
            names: NamesLevel::All,
            hosts: DEFAULT_HOST_LIMIT,
            database: PathBuf::from("/var/lib/brightstat/brightstat.db"),
            commit: Duration::from_secs(5 * 60),
            schema: [("second", 1), ("minute", 60), ("hour", 3_600), ("day", 86_400)]
                .map(|(name, seconds)| (name.to_owned(), seconds))
                .to_vec(),
            keep: [("second", 1), ("minute", 48), ("hour", 60 * 24), ("day", 3_650 * 24)]
                .map(|(name, hours)| (Some(name.to_owned()), Duration::from_secs(hours * 3_600)))
                .to_vec(),
            store_seconds: false,
            max_size: 1 << 30,
            hosts_per_interval: 200,
            ports_per_interval: 100,
            services_per_interval: 10,
            clock_wait: Duration::from_secs(600),
            listen: vec![(std::net::Ipv6Addr::UNSPECIFIED, 667).into()],
            host_names: Vec::new(),
            allow: Vec::new(),
            connections: 64,
            connections_per_address: 16,
            user: String::new(),
            log_level: LevelFilter::Info,
        }
    }
}
