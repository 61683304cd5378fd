//! The machine that the monitor runs on, as far as the sandbox shows it. Read by the web
//! thread that answers the status.

use std::fs;

use nix::sys::statvfs::statvfs;
use nix::unistd::gethostname;
use serde_json::{Value, json};

/// Its name and model, CPU temperature (degrees Celsius), load (of the last minute), memory
/// and the room on the disk that holds `path` (bytes). Unknown values are null.
pub(super) fn machine(path: &std::path::Path) -> Value {
    let disk = path.parent().and_then(|directory| statvfs(directory).ok());
    // The types of these numbers differ between machines.
    #[allow(clippy::useless_conversion)]
    let sizes = disk.map(|disk| {
        let size = u64::from(disk.fragment_size());
        [disk.blocks(), disk.blocks_available()].map(|blocks| u64::from(blocks) * size)
    });
    json!({
        "name": gethostname().ok().and_then(|name| name.into_string().ok()),
        "model": read("/proc/device-tree/model").or_else(|| read("/sys/firmware/devicetree/base/model")),
        "cpu_celsius": celsius(),
        "load": read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse::<f64>().ok()),
        "memory_total_bytes": memory("MemTotal:"),
        "memory_available_bytes": memory("MemAvailable:"),
        "disk_total_bytes": sizes.map(|[total, _]| total),
        "disk_available_bytes": sizes.map(|[_, free]| free),
    })
}

/// The text of a small kernel file, without trailing zeros and line feeds.
fn read(path: &str) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    let text = text.trim_end_matches(['\0', '\n']);
    (!text.is_empty()).then(|| text.to_owned())
}

/// The temperature of the first thermal zone, which on a Raspberry Pi is the CPU's (the
/// kernel's sysfs-class-thermal: thousandths of a degree).
fn celsius() -> Option<f64> {
    let thousandths: f64 = read("/sys/class/thermal/thermal_zone0/temp")?.parse().ok()?;
    Some(thousandths / 1_000.0)
}

/// A line of /proc/meminfo, in bytes.
fn memory(key: &str) -> Option<u64> {
    let text = read("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    let kilobytes: u64 = line.split_whitespace().next()?.parse().ok()?;
    Some(kilobytes * 1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_this_machine_is_known_by_is_plausible() {
        let machine = machine(std::path::Path::new("/x"));
        let total = machine["memory_total_bytes"].as_u64().unwrap();
        assert!(machine["memory_available_bytes"].as_u64().unwrap() <= total);
        assert!(total > 100 << 20);
        assert!(machine["load"].as_f64().unwrap() >= 0.0);
        assert!(machine["disk_available_bytes"].as_u64() <= machine["disk_total_bytes"].as_u64());
        assert!(!machine["name"].as_str().unwrap().is_empty());
    }
}
