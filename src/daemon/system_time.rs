//! Reads the machine's clocks, and finds out how it keeps time. Runs on the worker thread.

use std::path::Path;
use std::time::UNIX_EPOCH;

use nix::time::{ClockId, clock_gettime};

use super::clock::{Facts, Reading, SECOND, Synchroniser, is_plausible};

/// Where the time comes from; tests have their own.
pub(crate) trait Times {
    /// Both clocks.
    fn read(&mut self) -> Reading;
    /// How the machine keeps time; reads a few files.
    fn facts(&mut self) -> Facts;
}

/// This machine.
pub(crate) struct SystemTimes;

impl Times for SystemTimes {
    fn read(&mut self) -> Reading {
        // The thread may lose the CPU between the two readings, which must not look like a
        // step: try again, and accept the last attempt.
        const SOON: i64 = SECOND / 1_000;
        let mut reading = Reading { monotonic: 0, real: 0 };
        for _ in 0..10 {
            let before = clock(ClockId::CLOCK_BOOTTIME);
            reading.real = clock(ClockId::CLOCK_REALTIME);
            reading.monotonic = clock(ClockId::CLOCK_BOOTTIME);
            if reading.monotonic - before < SOON {
                break;
            }
        }
        reading
    }

    fn facts(&mut self) -> Facts {
        facts_below(Path::new("/"))
    }
}

fn clock(id: ClockId) -> i64 {
    // Linux has both clocks. The types of these numbers differ between machines.
    #[allow(clippy::useless_conversion)]
    let (seconds, rest): (i64, i64) =
        clock_gettime(id).map_or((0, 0), |t| (t.tv_sec().into(), t.tv_nsec().into()));
    seconds.saturating_mul(SECOND).saturating_add(rest)
}

fn facts_below(root: &Path) -> Facts {
    // A Raspberry Pi 5 has a clock chip, but its battery is sold separately; without one the
    // chip starts in 1970.
    let chip = std::fs::read_to_string(root.join("sys/class/rtc/rtc0/since_epoch"));
    let chip = chip.ok().and_then(|text| text.trim().parse::<i64>().ok());
    let has_battery = chip.is_some_and(|time| is_plausible(time.saturating_mul(SECOND)));
    // systemd-timesyncd(8): touched whenever the clock has been synchronised.
    let said = std::fs::metadata(root.join("run/systemd/timesync/synchronized"))
        .and_then(|metadata| metadata.modified())
        .map(|time| time.duration_since(UNIX_EPOCH).unwrap_or_default());
    // chrony reports a synchronisation only over its socket.
    let is_there = |path| root.join(path).exists();
    let synchroniser = match said {
        Ok(at) => Synchroniser::Done { at: i64::try_from(at.as_nanos()).unwrap_or(i64::MAX) },
        Err(_) if is_there("run/systemd/timesync") || is_there("run/chrony") => {
            Synchroniser::Waiting
        }
        Err(_) => Synchroniser::Absent,
    };
    Facts { has_battery, synchroniser }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clocks_of_this_machine_go() {
        let before = SystemTimes.read();
        std::thread::sleep(std::time::Duration::from_millis(2));
        let after = SystemTimes.read();
        assert!(after.monotonic - before.monotonic >= 2_000_000);
        assert!(is_plausible(after.real));
    }

    #[test]
    fn how_a_machine_keeps_time_shows_in_its_files() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let write = |path: &str, text: &str| {
            let path = root.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        let facts = |has_battery, synchroniser| Facts { has_battery, synchroniser };
        assert_eq!(facts_below(root), facts(false, Synchroniser::Absent));
        write("sys/class/rtc/rtc0/since_epoch", "74\n");
        assert_eq!(facts_below(root), facts(false, Synchroniser::Absent));
        write("sys/class/rtc/rtc0/since_epoch", "1800000000\n");
        assert_eq!(facts_below(root), facts(true, Synchroniser::Absent));
        std::fs::create_dir_all(root.join("run/chrony")).unwrap();
        assert_eq!(facts_below(root), facts(true, Synchroniser::Waiting));
        std::fs::remove_dir(root.join("run/chrony")).unwrap();
        std::fs::create_dir_all(root.join("run/systemd/timesync")).unwrap();
        assert_eq!(facts_below(root), facts(true, Synchroniser::Waiting));
        write("run/systemd/timesync/synchronized", "");
        let Synchroniser::Done { at } = facts_below(root).synchroniser else { panic!() };
        assert!((SystemTimes.read().real - at).abs() < 60 * SECOND);
    }
}
