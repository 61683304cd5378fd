//! The numbers of interfaces, and a cache of the hardware addresses (MACs) of hosts. The store
//! thread owns it.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Result, Transaction};

use super::hosts;
use super::kind::{Key, addr_key};
use crate::account::IntervalHost;
use crate::decode::Mac;

/// Limit of MACs that are remembered, so as not to write them again, and of MACs that wait to be
/// written: the disk may fail while somebody invents addresses.
const MACS: usize = 4_096;

/// The names and numbers of interfaces, and the MACs of hosts, as far as known.
pub(super) struct Catalog {
    interfaces: HashMap<String, i64>,
    new_interfaces: Vec<(i64, String)>,
    macs: HashMap<Key, Mac>,
    new_macs: BTreeMap<Key, Mac>,
}

impl Catalog {
    pub(super) fn read(connection: &Connection) -> Result<Catalog> {
        let interfaces = connection
            .prepare("SELECT name, id FROM interface_name")?
            .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<Result<_>>()?;
        Ok(Catalog {
            interfaces,
            new_interfaces: Vec::new(),
            macs: HashMap::new(),
            new_macs: BTreeMap::new(),
        })
    }

    /// Remembers MACs that are new or have changed, to be written.
    pub(super) fn note_macs(&mut self, hosts: &[IntervalHost]) {
        for host in hosts.iter().filter(|host| host.mac.is_known()) {
            let key = addr_key(&host.address);
            if self.macs.get(&key) == Some(&host.mac) {
                continue;
            }
            if self.macs.len() >= MACS {
                self.macs.clear();
            }
            self.macs.insert(key, host.mac);
            self.new_macs.insert(key, host.mac);
            if self.new_macs.len() > MACS
                && let Some((gone, _)) = self.new_macs.pop_first()
            {
                // It is written when it is seen again.
                self.macs.remove(&gone);
            }
        }
    }

    /// The number of an interface; a new one if it has none.
    pub(super) fn interface(&mut self, name: &str) -> i64 {
        if let Some(id) = self.interfaces.get(name) {
            return *id;
        }
        let id = self.interfaces.values().max().map_or(1, |id| id + 1);
        self.interfaces.insert(name.to_owned(), id);
        self.new_interfaces.push((id, name.to_owned()));
        id
    }

    /// Writes the names of new interfaces at once: answers from memory refer to them by number. If
    /// that fails, the next commit writes them.
    pub(super) fn write_names(&mut self, connection: &Connection) {
        if !self.new_interfaces.is_empty() && self.write_interfaces(connection).is_ok() {
            self.new_interfaces.clear();
        }
    }

    fn write_interfaces(&self, connection: &Connection) -> Result<()> {
        for (id, name) in &self.new_interfaces {
            let sql = "INSERT OR IGNORE INTO interface_name (id, name) VALUES (?1, ?2)";
            connection.execute(sql, (id, name))?;
        }
        Ok(())
    }

    /// Writes what is new within a transaction, after the rows of its intervals.
    /// [`Catalog::note_written`] follows its commit.
    pub(super) fn write(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        self.write_interfaces(transaction)?;
        let mut put = transaction
            .prepare_cached("UPDATE host SET mac = ?2 WHERE id = ?1 AND mac IS NOT ?2")?;
        for (key, mac) in &self.new_macs {
            match hosts::find(transaction, [key[0], key[1], key[2]])? {
                Some(number) => {
                    put.execute((number, mac.to_string()))?;
                }
                // It has no history. Note its MAC again when it is seen again: it may have one then.
                None => {
                    self.macs.remove(key);
                }
            }
        }
        Ok(())
    }

    /// The transaction has been committed.
    pub(super) fn note_written(&mut self) {
        self.new_interfaces.clear();
        self.new_macs.clear();
    }

    /// Adopts what the catalog of another database knows, to be written to this one. Returns the
    /// numbers of interfaces that have changed: from old to new.
    pub(super) fn inherit(&mut self, known: Catalog) -> HashMap<i64, i64> {
        let mut renumbered = HashMap::new();
        for (name, before) in known.interfaces {
            let is_free = self.interfaces.values().all(|id| *id != before);
            if is_free && !self.interfaces.contains_key(&name) {
                self.interfaces.insert(name.clone(), before);
                self.new_interfaces.push((before, name));
                continue;
            }
            let now = self.interface(&name);
            if now != before {
                renumbered.insert(before, now);
            }
        }
        self.new_macs = known.macs.iter().map(|(key, mac)| (*key, *mac)).collect();
        self.macs = known.macs;
        renumbered
    }
}
