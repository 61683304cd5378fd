//! What the rows and columns of answers from the history are called, in every format.

use serde_json::{Map, Value, json};

use crate::store::question::{Cell, Label};

/// What a row is about, as keys and values.
pub fn label(label: &Label) -> Map<String, Value> {
    let value = match label {
        Label::Interface(name) | Label::Device(name) => json!({ "name": name }),
        Label::Host(addr, mac, local) => json!({ "addr": addr, "mac": mac, "local": local }),
        Label::Port(protocol, port) => json!({ "protocol": protocol, "port": port }),
        Label::Protocol(name, number) => {
            json!({ "protocol": name, "number": (*number < 256).then_some(number) })
        }
        Label::Service(addr, mac, local, protocol, port) => json!({
            "addr": addr, "mac": mac, "local": local, "protocol": protocol, "port": port
        }),
        Label::Other | Label::None | Label::Total => json!({}),
    };
    match value {
        Value::Object(object) => object,
        _ => Map::new(),
    }
}

/// A column: its name, which the way follows, and its value.
pub type Column = (&'static str, fn(&Cell) -> u64);

/// The columns of a cell. Rates are told in bits.
pub const COLUMNS: [Column; 4] = [
    ("packets", |cell| cell.packets),
    ("bytes", |cell| cell.bytes),
    ("bits_per_second_min", |cell| cell.least * 8),
    ("bits_per_second_max", |cell| cell.greatest * 8),
];

/// The columns of a row: all, or those without rates.
pub fn columns(label: &Label) -> &'static [Column] {
    if has_rates(label) { &COLUMNS } else { &COLUMNS[..2] }
}

/// Whether rates mean something: those of different rows cannot be added or taken away.
pub fn has_rates(label: &Label) -> bool {
    *label != Label::Other
}
