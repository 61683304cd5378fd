//! The table of subcommands and options; `--help` and the manual pages come from it.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use ipnet::IpNet;

use crate::config::keys::{prefix, socket_address};

/// The text of `--version`: the version, the commit it was built from, and the target. `-V` and the
/// manual pages, which are the same for all machines, contain the version only.
pub const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (",
    env!("BRIGHTSTAT_BUILT_FROM"),
    ", ",
    env!("BRIGHTSTAT_TARGET"),
    ")"
);

/// See your network: who uses it, how much, on which ports and protocols.
#[derive(Parser, Debug)]
#[command(name = "brightstat", version, long_version = VERSION, about, max_term_width = 100)]
#[command(
    after_help = "Exit codes: 0 done, 64 wrong usage, 65 damaged input, 66 no such input or \
    interface, 69 something is taken, 73 output is there already, 74 read or write error, 77 not permitted, 78 wrong configuration."
)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The subcommands.
#[derive(Subcommand, Debug)]
pub enum Command {
    /// Watch the network: the daemon, in the foreground, logging to standard error
    Run(RunArguments),
    /// Give an account of capture files
    Report(ReportArguments),
    /// Check the configuration and say what is odd in it
    CheckConfig(CheckArguments),
    /// List the interfaces of this machine; '*' marks the one with the default route
    Interfaces,
    /// Ask the history: who used how much, when
    Query(QueryArguments),
    /// Copy the database to a file, also while the daemon runs
    Backup(BackupArguments),
    /// Look for what goes wrong in the field, and say what to do about it
    Doctor(DoctorArguments),
    /// Look after the database
    #[command(subcommand)]
    Db(DatabaseCommand),
    /// Check the configuration and have a running daemon read it: what systemctl reload calls
    #[command(hide = true)]
    Reload {
        /// The process id of the daemon.
        pid: i32,
        /// The configuration file.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// Take over the settings from the card's boot partition: what the appliance does at each boot
    Import(ImportArguments),
}

/// Options of `brightstat run`.
#[derive(Args, Debug, Default)]
pub struct RunArguments {
    /// The configuration file [default: /etc/brightstat/brightstat.toml, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// An interface to watch instead of those in the configuration; may be repeated
    #[arg(short, long = "interface", value_name = "IF")]
    pub interfaces: Vec<String>,
    /// Where to serve the page instead of where the configuration says; may be repeated
    #[arg(short, long, value_name = "ADDRESS:PORT", value_parser = socket_address)]
    pub listen: Vec<SocketAddr>,
    /// The database to use instead of the one in the configuration
    #[arg(short, long, value_name = "FILE")]
    pub database: Option<PathBuf>,
}

/// Options of `brightstat report`.
#[derive(Args, Debug)]
pub struct ReportArguments {
    /// Capture files (pcap or pcapng), '-' for standard input
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// Print one JSON object instead of tables
    #[arg(long)]
    pub json: bool,
    /// A prefix that counts as inside; may be repeated [default: the private ranges and multicast]
    #[arg(long, value_name = "PREFIX", value_parser = prefix)]
    pub local: Vec<IpNet>,
    /// Hosts and ports to list; 0 lists all. The others are added up as "other"
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// Hosts to tell apart; beyond that the least recently seen are added up as "other"
    #[arg(long, value_name = "N", default_value_t = 65_536, value_parser = clap::value_parser!(u32).range(16..))]
    pub max_hosts: u32,
    /// Do not read the names of hosts from the frames: takes half the time
    #[arg(long)]
    pub no_names: bool,
}

/// Options of `brightstat check-config`.
#[derive(Args, Debug)]
pub struct CheckArguments {
    /// The configuration file [default: /etc/brightstat/brightstat.toml]
    pub file: Option<PathBuf>,
    /// Print the sample configuration, every key with its default, and stop
    #[arg(long)]
    pub sample: bool,
}

/// Which database is meant.
#[derive(Args, Debug, Default)]
pub struct DatabaseArguments {
    /// The database [default: the one in the configuration]
    #[arg(short, long, value_name = "FILE")]
    pub database: Option<PathBuf>,
    /// The configuration file [default: /etc/brightstat/brightstat.toml, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// Options of `brightstat query`.
#[derive(Args, Debug)]
#[command(
    after_help = "Moments: now, 2h (ago), yesterday, monday, 2026-11-01, \"2026-11-01 14:00\", 14:00, \
    @1793541600, or RFC 3339.\n\nExamples:\n  brightstat query hosts --from yesterday --to today\n  \
    brightstat query host 192.168.1.5 --from 7d --by hour\n  brightstat query ports --from 2h --top 5 --json\n  \
    brightstat query services --host 192.168.1.5\n  brightstat query service tcp/445 --from 30d"
)]
pub struct QueryArguments {
    /// hosts, services, ports, protocols, interfaces or devices; or one of them: host, port ...
    pub what: String,
    /// The one that is meant: 192.168.1.5, tcp/443 (also a service), udp, eth0
    pub name: Option<String>,
    /// With services: what this host did
    #[arg(long, value_name = "ADDRESS")]
    pub host: Option<String>,
    /// Since when
    #[arg(long, value_name = "WHEN", default_value = "24h")]
    pub from: String,
    /// Until when
    #[arg(long, value_name = "WHEN", default_value = "now")]
    pub to: String,
    /// Points in time: minute, hour, day or another tier, auto, or none (the whole span as one)
    #[arg(long, value_name = "TIER")]
    pub by: Option<String>,
    /// The time zone of dates and days: local, utc, or a name such as Europe/Berlin
    #[arg(long, value_name = "ZONE", default_value = "local")]
    pub tz: String,
    /// Rows to name, busiest first; 0 names all, 5,000 at most. The others are added up as "other"
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub top: usize,
    /// Print CSV instead of a table
    #[arg(long, conflicts_with = "json")]
    pub csv: bool,
    /// Print one JSON object instead of a table
    #[arg(long)]
    pub json: bool,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArguments,
}

/// Options of `brightstat backup`.
#[derive(Args, Debug)]
pub struct BackupArguments {
    /// Where the copy goes: a file that is not there yet; with --keep a directory
    pub file: PathBuf,
    /// Name the copy by the time, and keep so many such copies in the directory
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub keep: Option<u32>,
    /// The database.
    #[command(flatten)]
    pub database: DatabaseArguments,
}

/// Options of `brightstat doctor`.
#[derive(Args, Debug)]
pub struct DoctorArguments {
    /// The configuration file [default: /etc/brightstat/brightstat.toml, if it is there]
    #[arg(short, long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// How long to look at the frames of each interface, in seconds; 0 does not
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(..=3600))]
    pub seconds: u32,
}

/// Options of `brightstat import`.
#[derive(Args, Debug)]
#[command(
    after_help = "Keys of the file: mode, interfaces, local, keep, port; the one on the card tells what they mean. \
    A file with a mistake is not used at all; the page, the console and the journal tell line and key. \
    A file that has not changed since it was imported leaves alone what was changed on the Pi since."
)]
pub struct ImportArguments {
    /// The settings [default: /boot/firmware/brightstat.toml, else /boot/brightstat.toml]
    pub file: Option<PathBuf>,
    /// A directory that stands for the machine: all files are read and written below it
    #[arg(long, value_name = "DIRECTORY", default_value = "/", hide = true)]
    pub root: PathBuf,
}

/// The subcommands of `brightstat db`.
#[derive(Subcommand, Debug)]
pub enum DatabaseCommand {
    /// Look for damage, and for sums that do not come out
    Check(DatabaseArguments),
    /// Show sizes, tiers, rows and the latest events
    Stats(DatabaseArguments),
    /// Make the file as small as it can be
    Compact(DatabaseArguments),
    /// Upgrade a file that no daemon uses, such as an old copy, to the schema of this version
    Upgrade(DatabaseArguments),
}
