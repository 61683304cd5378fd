//! The machine itself: its clock, disk, database and power.

use std::path::Path;

use nix::sys::statvfs::{FsFlags, statvfs};

use super::service::State;
use super::{Finding, good, note, problem};
use crate::daemon::clock::{Synchroniser, is_plausible};
use crate::daemon::system_time::{SystemTimes, Times};
use crate::export::report::byte_size;
use crate::failure::{Exit, Failure};
use crate::store::query::History;

/// Whether the clock is right, as far as we can know.
pub(super) fn clock(state: &State) -> Vec<Finding> {
    let said = state.answer().and_then(|status| status["clock"]["state"].as_str());
    if let Some(said) = said
        && said != "trusted"
    {
        return vec![note(
            format!("the daemon's clock: {said}; history waits in memory until then"),
            "see to it that the Pi reaches a time server ('timedatectl' shows whether it does)",
        )];
    }
    let mut times = SystemTimes;
    let (real, facts) = (times.read().real, times.facts());
    if !is_plausible(real) {
        return vec![problem(
            "the clock is not set: it shows a time that cannot be",
            "connect the Pi to the internet, or set it: 'timedatectl set-time \"2026-11-24 12:00\"'",
        )];
    }
    vec![match (facts.synchroniser, facts.has_battery) {
        (Synchroniser::Done { .. }, _) => good("set from the network"),
        (Synchroniser::Waiting, true) => good("runs on a battery"),
        (Synchroniser::Waiting, false) => note(
            "not set from the network since the machine started",
            "'timedatectl timesync-status' tells why; without a network history is dated by \
             the clock as it is",
        ),
        (Synchroniser::Absent, true) => {
            note("nothing sets it from the network", "apt install systemd-timesyncd")
        }
        (Synchroniser::Absent, false) => note(
            "nothing sets it from the network, and it has no battery: it stands still while \
             the machine is off",
            "apt install systemd-timesyncd",
        ),
    }]
}

/// Less free space than this deserves a note.
const LITTLE: u64 = 200 << 20;

/// Whether history can be written.
pub(super) fn disk(database: &Path, is_active: bool) -> Vec<Finding> {
    let directory = database.parent().unwrap_or(Path::new("/"));
    let shown = directory.display();
    let mut findings = Vec::new();
    match statvfs(directory) {
        Err(_) if !directory.exists() => findings.push(if is_active {
            problem(
                format!("{shown}: is not there"),
                "make it, or name another file with history.database",
            )
        } else {
            note(format!("{shown}: is not there yet; the daemon makes it"), "")
        }),
        Err(e) => findings.push(problem(
            format!("{shown}: cannot be looked at: {e}"),
            "run this as root ('sudo brightstat doctor')",
        )),
        Ok(disk) => {
            // The types of these numbers differ between machines.
            #[allow(clippy::useless_conversion)]
            let free = u64::from(disk.blocks_available()) * u64::from(disk.fragment_size());
            findings.push(if disk.flags().contains(FsFlags::ST_RDONLY) {
                problem(
                    format!("{shown}: the file system is read-only"),
                    "a worn SD card often ends so: 'dmesg' tells more; back up and replace it, \
                     or 'mount -o remount,rw /' if it was done on purpose",
                )
            } else {
                of_space(&shown.to_string(), free, disk.files_available() == 0 && disk.files() > 0)
            });
        }
    }
    if database.exists() || directory.exists() {
        findings.extend(of_database(database, History::open(database).err().map(Failure::from)));
        findings.extend(damaged(database));
    }
    findings
}

fn of_space(shown: &str, free: u64, is_out_of_files: bool) -> Finding {
    let remedy = "make room ('sudo apt clean', 'sudo journalctl --vacuum-size=50M', \
                  'df -h' shows the rest), or use a larger card";
    if is_out_of_files || free < 1 << 20 {
        problem(format!("{shown}: the disk is full; history waits in memory"), remedy)
    } else if free < LITTLE {
        note(format!("{shown}: only {} are free", byte_size(free)), remedy)
    } else {
        good(format!("{shown}: {} are free", byte_size(free)))
    }
}

fn of_database(database: &Path, failure: Option<Failure>) -> Option<Finding> {
    let shown = database.display();
    match failure {
        None => Some(good(format!("{shown}: can be read"))),
        Some(failure) if failure.exit == Exit::Permission => {
            Some(note(failure.to_string(), "run this as root ('sudo brightstat doctor')"))
        }
        // A directory without a database gives this, too.
        Some(failure) if failure.exit == Exit::NoInput => None,
        Some(failure) => Some(problem(
            failure.to_string(),
            "'brightstat db check' tells more; a damaged database is moved aside at the next start",
        )),
    }
}

/// Databases that were moved aside because of damage.
fn damaged(database: &Path) -> Option<Finding> {
    let (directory, name) = (database.parent()?, database.file_name()?.to_str()?);
    let prefix = format!("{name}.damaged");
    let files = std::fs::read_dir(directory).ok()?.flatten();
    let count = files.filter(|f| f.file_name().to_string_lossy().starts_with(&prefix)).count();
    (count > 0).then(|| {
        note(
            format!("{}: {count} damaged databases were moved aside", directory.display()),
            "check the card and the power supply; sqlite3's '.recover' may save what is in them; \
             then remove them",
        )
    })
}

/// The Raspberry Pi firmware's report on its power supply.
const THROTTLED: &str = "/sys/devices/platform/soc/soc:firmware/get_throttled";

/// Whether a Raspberry Pi gets enough power; nothing on other machines.
pub(super) fn power() -> Vec<Finding> {
    let text = std::fs::read_to_string(THROTTLED).ok();
    let bits =
        text.and_then(|text| u32::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok());
    bits.map(of_power).into_iter().collect()
}

/// The bits are those of `vcgencmd get_throttled`: 0 undervoltage now, 2 throttled now, 16
/// undervoltage since the start.
fn of_power(bits: u32) -> Finding {
    let remedy = "use the power supply made for this Pi and a short cable; too little voltage \
                  damages SD cards";
    if bits & 1 != 0 {
        problem("the Pi gets too little voltage", remedy)
    } else if bits & (1 << 16) != 0 {
        note("the Pi has had too little voltage since it was started", remedy)
    } else if bits & (1 << 2) != 0 {
        note("the Pi is slowed down, as it is hot", "give it air or a heat sink")
    } else {
        good("enough voltage")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Verdict;
    use super::*;

    #[test]
    fn a_disk_that_is_full_or_nearly_so_is_told() {
        let verdict = |free, is_out_of_files| of_space("/x", free, is_out_of_files).verdict;
        assert_eq!(verdict(1 << 30, false), Verdict::Good);
        assert_eq!(verdict(100 << 20, false), Verdict::Note);
        assert_eq!(verdict(1_000, false), Verdict::Problem);
        assert_eq!(verdict(1 << 30, true), Verdict::Problem);
    }

    #[test]
    fn a_database_is_good_absent_or_damaged() {
        let directory = tempfile::tempdir().unwrap();
        let database = directory.path().join("b.db");
        let verdicts =
            || -> Vec<Verdict> { disk(&database, false)[1..].iter().map(|f| f.verdict).collect() };
        assert_eq!(verdicts(), []);
        drop(crate::store::open::open(&database).unwrap());
        assert_eq!(verdicts(), [Verdict::Good]);
        std::fs::write(directory.path().join("b.db.damaged-1"), "").unwrap();
        assert_eq!(verdicts(), [Verdict::Good, Verdict::Note]);
        std::fs::write(&database, "this is no database, and longer than a header is ".repeat(9))
            .unwrap();
        assert_eq!(verdicts(), [Verdict::Problem, Verdict::Note]);
    }

    #[test]
    fn a_directory_that_is_not_there_matters_when_the_daemon_runs() {
        let database = Path::new("/nowhere/at/all/b.db");
        assert_eq!(disk(database, true)[0].verdict, Verdict::Problem);
        assert_eq!(disk(database, false)[0].verdict, Verdict::Note);
    }

    #[test]
    fn the_firmware_tells_of_too_little_power() {
        let verdicts = [0, 1, 0x5_0005, 0x1_0000, 4].map(|bits| of_power(bits).verdict);
        use Verdict::{Good, Note, Problem};
        assert_eq!(verdicts, [Good, Problem, Problem, Note, Note]);
    }
}
