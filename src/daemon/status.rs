//! What the web threads get from the daemon: snapshots, history, and the answer of
//! `GET /api/v1/status`, which is how the daemon itself is doing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

use super::interfaces::{Interfaces, Statuses};
use super::machine::machine;
use super::names::Names;
use super::notices::notices;
use super::reload::Reloads;
use super::sight::{Machine, Watch};
use super::worker::Published;
use crate::account::Snapshot;
use crate::capture::interfaces;
use crate::config::{Config, Tier};
use crate::decode::Addr;
use crate::export::time::rfc3339;
use crate::store::InMemory;
use crate::store::query::History;
use crate::store::question::{Answer, Question};
use crate::store::{self, Recent};
use crate::web::guard::Guard;
use crate::web::source::{IsOver, Source};

/// What the answers are made from.
pub(super) struct Status {
    database: PathBuf,
    /// Finest first.
    tiers: Vec<Tier>,
    max_size: u64,
    recent: Arc<Recent>,
    host_limit: usize,
    published: Arc<Published>,
    store: Arc<store::Status>,
    captures: Statuses,
    guard: Arc<Guard>,
    names: Arc<Names>,
    /// `capture.promiscuous`, which a reload may change.
    is_promiscuous: Arc<AtomicBool>,
    watch: Mutex<Watch>,
    /// How the last reload went.
    pub(super) reloads: Arc<Reloads>,
}

impl Status {
    pub(super) fn new(
        config: &Config,
        published: &Arc<Published>,
        store: &Arc<store::Status>,
        captures: &Interfaces,
        guard: &Arc<Guard>,
        recent: &Arc<Recent>,
        names: &Arc<Names>,
    ) -> Status {
        Status {
            database: config.database.clone(),
            tiers: config.tiers(),
            max_size: config.max_size,
            recent: recent.clone(),
            host_limit: config.hosts,
            published: published.clone(),
            store: store.clone(),
            captures: captures.statuses(),
            guard: guard.clone(),
            names: names.clone(),
            is_promiscuous: captures.is_promiscuous(),
            watch: Mutex::default(),
            reloads: Arc::default(),
        }
    }
}

impl Source for Status {
    fn snapshot(&self) -> Arc<Snapshot> {
        self.published.latest()
    }

    fn age(&self) -> u64 {
        self.published.age()
    }

    fn history(&self, question: &Question, is_over: IsOver) -> Result<Answer, store::Error> {
        let tier = self.tiers.first().filter(|tier| tier.in_memory);
        let fresh = InMemory { recent: &self.recent, tier };
        let mut history = History::open(&self.database)?;
        history.end_when(move || is_over())?;
        history.ask(question, Some(fresh))
    }

    fn names(&self) -> Value {
        self.names.to_json()
    }

    fn status(&self) -> Value {
        let snapshot = self.published.latest();
        let all = interfaces::list();
        let own: Vec<Addr> =
            all.iter().flat_map(|i| &i.addresses).map(|net| Addr::from(net.addr())).collect();
        let machine_seen = Machine {
            own: &own,
            is_wifi: interfaces::is_wifi,
            is_promiscuous: self.is_promiscuous.load(Ordering::Relaxed),
        };
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        let blind = watch.look(&snapshot, &machine_seen);
        drop(watch);
        let speeds: HashMap<String, u64> = all
            .into_iter()
            .filter_map(|i| Some((i.name, u64::from(i.speed?) * 1_000_000)))
            .collect();
        let tier = |tier: &Tier| {
            json!({
                "name": tier.name,
                "seconds": tier.seconds,
                "keep_seconds": tier.keep.as_secs(),
                "in_memory": tier.in_memory,
            })
        };
        let captures = self.captures.lock().unwrap_or_else(PoisonError::into_inner);
        let interfaces: Vec<Value> = captures
            .iter()
            .map(|(name, status)| {
                json!({
                    "name": name,
                    "is_capturing": status.is_capturing(),
                    "trouble": status.trouble(),
                    "speed_bits_per_second": speeds.get(name),
                })
            })
            .collect();
        let mut told = self.reloads.notices();
        told.extend(notices(captures.iter().map(|(name, status)| (name, status.link_type()))));
        told.extend(blind);
        let written = written_bytes();
        // Less than an hour is too short to extrapolate to a day.
        let uptime = snapshot.uptime.as_secs();
        let a_day = written.filter(|_| uptime >= 3_600).map(|bytes| bytes * 86_400 / uptime);
        json!({
            "name": "brightstat",
            "version": env!("CARGO_PKG_VERSION"),
            "time": rfc3339(snapshot.taken_at),
            "age_seconds": self.published.age(),
            "uptime_seconds": snapshot.uptime.as_secs(),
            "packets": snapshot.total.packets,
            "bytes": snapshot.total.bytes,
            "drops": snapshot.drops(),
            "notices": told,
            "interfaces": interfaces,
            "hosts": { "rows": snapshot.hosts.len(), "limit": self.host_limit, "folded": snapshot.folded_hosts },
            "clock": {
                "state": self.published.clock().name(),
                "held_intervals": self.published.held_intervals(),
            },
            "store": {
                "database": self.database.display().to_string(),
                "size_bytes": database_size(&self.database),
                "max_size_bytes": self.max_size,
                "written_bytes": written,
                "written_bytes_per_day": a_day,
                "intervals_written": self.store.committed(),
                "intervals_waiting": self.store.waiting(),
                "intervals_lost": self.store.lost() + self.published.lost_intervals(),
                "trouble": self.store.trouble(),
                "tiers": self.tiers.iter().map(tier).collect::<Vec<_>>(),
            },
            "names": self.names.status(),
            "web": {
                "requests_answered": self.guard.counts.answered.load(Ordering::Relaxed),
                "requests_refused": self.guard.counts.refused.load(Ordering::Relaxed),
            },
            "memory_resident_bytes": resident_bytes(),
            "machine": machine(&self.database),
        })
    }
}

/// Bytes of the database and of the write-ahead log beside it.
pub(super) fn database_size(database: &Path) -> u64 {
    let size = |suffix: &str| {
        let mut path = database.as_os_str().to_owned();
        path.push(suffix);
        std::fs::metadata(path).map_or(0, |metadata| metadata.len())
    };
    size("") + size("-wal")
}

/// Bytes that the kernel has written to disk for this process since it started
/// (`/proc/self/io`, write_bytes; `None` where the kernel does not count).
fn written_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.parse().ok()
}

/// Resident memory of this process, bytes (`/proc/self/status`, VmRSS).
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1_024)
}
