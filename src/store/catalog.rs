//! The numbers of interfaces, and a cache of the hardware addresses (MACs) of hosts. The store
//! thread owns it.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, Result, Transaction};

use super::kind::{Key, addr_key};
use super::sweep::{Step, Sweep};
use crate::account::IntervalHost;
use crate::decode::Mac;

/// Limit of MACs that are remembered, so as not to write them again, and of MACs that wait to be
/// written: the disk may fail while somebody invents addresses.
const MACS: usize = 4_096;
/// With this many MACs in the database, those of hosts without history are searched for.
const MANY_MACS: usize = 20_000;

/// The names and numbers of interfaces, and the MACs of hosts, as far as known.
pub(super) struct Catalog {
    interfaces: HashMap<String, i64>,
    new_interfaces: Vec<(i64, String)>,
    macs: HashMap<Key, Mac>,
    new_macs: BTreeMap<Key, Mac>,
    /// MACs in the database, an estimate.
    stored_macs: usize,
    /// The number of MACs from which on a sweep is due.
    pub(super) many_macs: usize,
    /// The sweep in progress.
    sweep: Option<Sweep>,
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
            stored_macs: count_macs(connection, MANY_MACS)?,
            many_macs: MANY_MACS,
            sweep: None,
        })
    }

    /// Remembers MACs that are new or have changed, to be written.
    pub(super) fn note_macs(&mut self, hosts: &[IntervalHost]) {
        if let Some(sweep) = &mut self.sweep {
            hosts.iter().for_each(|host| sweep.add(&addr_key(&host.address)));
        }
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

    /// Writes what is new within a transaction. [`Catalog::note_written`] follows its commit.
    pub(super) fn write(&mut self, transaction: &Transaction<'_>) -> Result<()> {
        self.write_interfaces(transaction)?;
        let mut put = transaction.prepare_cached(
            "INSERT INTO host_mac VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO UPDATE SET mac = excluded.mac WHERE mac <> excluded.mac",
        )?;
        for (key, mac) in &self.new_macs {
            put.execute((key[0], key[1], key[2], mac.to_string()))?;
        }
        self.stored_macs += self.new_macs.len();
        Ok(())
    }

    /// The transaction has been committed.
    pub(super) fn note_written(&mut self) {
        self.new_interfaces.clear();
        self.new_macs.clear();
    }

    /// Does a step of a sweep for MACs of hosts without history, if there are many. Returns whether
    /// there is more to do.
    ///
    /// A sweep begins only if `may_begin`: if no interval waits.
    ///
    /// # Errors
    /// An error of SQLite; the next call repeats the step.
    pub(super) fn sweep(&mut self, connection: &mut Connection, may_begin: bool) -> Result<bool> {
        if self.sweep.is_none() {
            if !may_begin || self.stored_macs < self.many_macs {
                return Ok(false);
            }
            // MACs that were written again have been counted twice.
            self.stored_macs = count_macs(connection, self.many_macs)?;
            if self.stored_macs < self.many_macs {
                return Ok(false);
            }
            self.sweep = Some(Sweep::new(connection)?);
        }
        let Some(sweep) = &mut self.sweep else { return Ok(false) };
        match sweep.step(connection)? {
            Step::More(gone) => {
                // Forget deleted MACs: some will be seen, and written, again.
                self.macs.retain(|key, _| !gone.contains(key));
                Ok(true)
            }
            Step::Done(kept) => {
                self.sweep = None;
                self.stored_macs = kept;
                // Sweep again only after the table has grown by as many rows.
                self.many_macs = MANY_MACS.max(2 * kept);
                Ok(false)
            }
        }
    }

    /// Abandons the sweep: rows have been moved to where it may have been already.
    pub(super) fn give_up_sweep(&mut self) {
        self.sweep = None;
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

/// The number of MACs in the database, counted up to `most`.
fn count_macs(connection: &Connection, most: usize) -> Result<usize> {
    let sql = format!("SELECT count(*) FROM (SELECT 1 FROM host_mac LIMIT {most})");
    let count: i64 = connection.query_row(&sql, [], |row| row.get(0))?;
    Ok(usize::try_from(count).unwrap_or(0))
}
