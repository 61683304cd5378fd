//! Translates the keys of rows between addresses and the numbers of hosts, for the thread that asks.

use std::cell::RefCell;
use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result};

use super::hosts;
use super::kind::{HOST_PARTS, Key, Kind, NONE, PARTS, Stored};

/// Numbers that are remembered, so as not to look them up again.
const KNOWN_MOST: usize = 4_096;

/// The hosts that a question meets. Numbers hold as long as its transaction.
pub(super) struct Numbers<'a> {
    connection: &'a Connection,
    known: RefCell<HashMap<[i64; HOST_PARTS], i64>>,
    /// Hosts that are only in memory yet, as much as memory holds.
    unknown: RefCell<Unknown>,
}

/// Hosts that no table has, with their numbers.
#[derive(Default)]
struct Unknown {
    numbers: HashMap<[i64; HOST_PARTS], i64>,
    /// By `FIRST_UNKNOWN` minus their number.
    addresses: Vec<[i64; HOST_PARTS]>,
}

/// The first number given to a host that has none in the database. The next is one less.
const FIRST_UNKNOWN: i64 = NONE - 1;

impl<'a> Numbers<'a> {
    pub(super) fn new(connection: &'a Connection) -> Numbers<'a> {
        Numbers { connection, known: RefCell::default(), unknown: RefCell::default() }
    }

    /// The key of a row as in its table.
    ///
    /// # Errors
    /// An error of SQLite.
    pub(super) fn stored(&self, kind: &Kind, key: &Key) -> Result<Stored> {
        stored_key(kind, key, |address| self.number(address))
    }

    /// The number of a host. One that is only in memory gets one that no row of a table has.
    ///
    /// # Errors
    /// An error of SQLite.
    pub(super) fn number(&self, address: [i64; HOST_PARTS]) -> Result<i64> {
        if let Some(number) = self.known.borrow().get(&address) {
            return Ok(*number);
        }
        let mut unknown = self.unknown.borrow_mut();
        if let Some(number) = unknown.numbers.get(&address) {
            return Ok(*number);
        }
        let Some(number) = hosts::find(self.connection, address)? else {
            let number = FIRST_UNKNOWN - unknown.addresses.len() as i64;
            unknown.addresses.push(address);
            unknown.numbers.insert(address, number);
            return Ok(number);
        };
        let mut known = self.known.borrow_mut();
        if known.len() >= KNOWN_MOST {
            known.clear();
        }
        known.insert(address, number);
        Ok(number)
    }

    /// The key of a row with addresses.
    ///
    /// # Errors
    /// An error of SQLite.
    pub(super) fn key(&self, kind: &Kind, stored: &Stored) -> Result<Key> {
        let mut key = [0; PARTS];
        let (numbers, others) = stored.split_at(kind.hosts);
        let (hosts, rest) = key.split_at_mut(kind.hosts * HOST_PARTS);
        for (host, number) in hosts.chunks_exact_mut(HOST_PARTS).zip(numbers) {
            host.copy_from_slice(&self.address(*number)?);
        }
        rest.iter_mut().zip(others).for_each(|(part, stored)| *part = *stored);
        Ok(key)
    }

    /// The address of a host; of "other" and "none" their first part.
    fn address(&self, number: i64) -> Result<[i64; HOST_PARTS]> {
        if number <= FIRST_UNKNOWN {
            let at = usize::try_from(FIRST_UNKNOWN - number).ok();
            let unknown = self.unknown.borrow();
            return Ok(at.and_then(|at| unknown.addresses.get(at).copied()).unwrap_or_default());
        }
        let sql = "SELECT family, high, low FROM host WHERE id = ?1";
        let mut statement = self.connection.prepare_cached(sql)?;
        let found =
            statement.query_row([number], |row| Ok([row.get(0)?, row.get(1)?, row.get(2)?]));
        Ok(found.optional()?.unwrap_or([number.min(0), 0, 0]))
    }
}

/// The key of a row as in its table; `number` gives the number of a host.
///
/// # Errors
/// Those of `number`.
pub(super) fn stored_key(
    kind: &Kind,
    key: &Key,
    mut number: impl FnMut([i64; HOST_PARTS]) -> Result<i64>,
) -> Result<Stored> {
    let mut stored = Stored::default();
    let (hosts, others) = key.split_at(kind.hosts * HOST_PARTS);
    let (numbers, rest) = stored.split_at_mut(kind.hosts);
    for (place, host) in numbers.iter_mut().zip(hosts.chunks_exact(HOST_PARTS)) {
        *place = match host {
            // "Other" and "none" have no address.
            [first, ..] if *first <= 0 => *first,
            [family, high, low] => number([*family, *high, *low])?,
            _ => 0,
        };
    }
    rest.iter_mut().zip(others).for_each(|(place, part)| *place = *part);
    Ok(stored)
}

#[cfg(test)]
mod tests {
    use rusqlite::params_from_iter;

    use super::*;
    use crate::store::kind::{HOST, OTHER, SERVICE, host_key, key_of};
    use crate::store::schema;
    use crate::store::tables::{put_rows, read_rows};

    /// The widest kind that there can be: two hosts and a service.
    static CONVERSATION: Kind = Kind {
        at: 9,
        name: "conversation",
        plural: "conversations",
        hosts: 2,
        keys: &["family", "high", "low", "peer_family", "peer_high", "peer_low", "service"],
        ways: &["_in", "_out"],
        extras: &[],
        has_other: true,
        has_none: false,
    };

    fn host(address: &str) -> [i64; 3] {
        let key = host_key(address.parse().unwrap());
        [key[0], key[1], key[2]]
    }

    fn service(address: &str, service: i64) -> Key {
        let [family, high, low] = host(address);
        key_of([family, high, low, service])
    }

    fn conversation(one: &str, other: &str, service: i64) -> Key {
        let ([a, b, c], [d, e, f]) = (host(one), host(other));
        [a, b, c, d, e, f, service]
    }

    #[test]
    fn keys_survive_the_way_to_a_table_and_back_whether_their_hosts_are_known_or_not() {
        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        let known = host("192.168.1.2");
        let sql = "INSERT INTO host (id, family, high, low) VALUES (7, ?1, ?2, ?3)";
        connection.execute(sql, params_from_iter(known)).unwrap();
        let numbers = Numbers::new(&connection);
        let [family, high, low] = known;
        for (kind, key, stored) in [
            (&HOST, key_of(known), known),
            (&HOST, key_of([NONE]), [-1, 0, 0]),
            (&SERVICE, key_of([family, high, low, 443]), [7, 443, 0]),
            (&SERVICE, service("2001:db8::1", 443), [-2, 443, 0]),
            (&CONVERSATION, conversation("10.0.0.9", "192.168.1.2", -7), [-3, 7, -7]),
            (&CONVERSATION, conversation("192.168.1.2", "2001:db8::1", 80), [7, -2, 80]),
            (&CONVERSATION, key_of([OTHER]), [0, 0, 0]),
        ] {
            assert_eq!(numbers.stored(kind, &key).unwrap(), stored, "{key:?}");
            assert_eq!(numbers.stored(kind, &key).unwrap(), stored, "{key:?}, once more");
            assert_eq!(numbers.key(kind, &stored).unwrap(), key, "{stored:?}");
        }
        // More hosts than are remembered.
        for n in 0..5_000 {
            numbers.number([4, 0, n + 1_000]).unwrap();
        }
        assert_eq!(numbers.number(host("10.0.0.9")).unwrap(), -3);
        assert_eq!(numbers.number(known).unwrap(), 7);
    }

    #[test]
    fn a_row_of_two_hosts_and_a_service_fits_the_tables() {
        use crate::store::hosts::Hosts;
        use crate::store::rows::{Cell, Row, Rows};

        let mut connection = Connection::open_in_memory().unwrap();
        schema::migrate(&mut connection, 0).unwrap();
        let transaction = connection.transaction().unwrap();
        schema::make_tables(&transaction, 60).unwrap();
        let mut rows = Rows::default();
        for (at, key) in [
            conversation("192.168.1.2", "2001:db8::1", 443),
            conversation("192.168.1.2", "2001:db8::2", 443),
            conversation("192.168.1.3", "192.168.1.2", -2),
            key_of([OTHER]),
        ]
        .into_iter()
        .enumerate()
        {
            let cell =
                Cell { packets: at as u64 + 1, bytes: 1 << (10 * at), least: 0, greatest: 9 };
            let row = Row { cells: vec![cell, cell], extras: Vec::new(), parts: 1 };
            rows.add(&CONVERSATION, key, row);
        }
        let mut hosts = Hosts::default();
        put_rows(&transaction, &mut hosts, &CONVERSATION, (60, 1_200), &rows).unwrap();
        let mut found = Rows::default();
        read_rows(&transaction, &CONVERSATION, 60, (0, 2_000), &mut found).unwrap();
        assert_eq!(found, rows);
        let count = |sql: &str| transaction.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(count("SELECT count(*) FROM host"), 4);
        assert_eq!(count("SELECT count(*) FROM traffic_60 WHERE kind = 9"), 4);
    }
}
