//! Reading configuration files: what is accepted, what is refused, and with which message.

use super::*;
use crate::failure::{Coded, Exit};

fn read(text: &str) -> Result<Loaded, Error> {
    let mut loaded = Loaded::default();
    loaded.merge(Path::new("test.toml"), text)?;
    loaded.check_tiers()?;
    Ok(loaded)
}

fn problem(text: &str) -> String {
    let failure = read(text).unwrap_err();
    assert_eq!(failure.exit(), Exit::Config);
    failure.to_string()
}

#[test]
fn the_shipped_sample_is_made_from_the_table() {
    let shipped = include_str!("brightstat.toml");
    assert_eq!(shipped, sample::sample(), "run 'make sample'");
}

#[test]
fn the_guide_names_every_key_with_its_default_and_when_it_is_in_force() {
    let page = include_str!("../../docs/settings.md");
    let rows: Vec<Vec<&str>> = page
        .lines()
        .filter(|line| line.starts_with("| `"))
        .map(|line| line.split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), keys::KEYS.len(), "docs/settings.md has a row for each key");
    for (key, row) in keys::KEYS.iter().zip(rows) {
        let when = match key.applies {
            keys::Applies::AtOnce => "reload",
            keys::Applies::AtRestart(_) => "restart",
        };
        let name = format!("`{}.{}`", key.section, key.name);
        assert_eq!(row[1..4], [&name, &format!("`{}`", key.default), when], "in docs/settings.md");
    }
    let (_, rest) = page.split_once("```toml\n").unwrap();
    let loaded = read(rest.split_once("```").unwrap().0).unwrap();
    assert_eq!(loaded.config.interfaces, ["eth0", "wlan0"]);
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
}

#[test]
fn the_sample_with_every_line_active_is_the_default() {
    let active: String = sample::sample()
        .lines()
        .map(|line| match line.strip_prefix('#') {
            Some(setting) if !setting.starts_with(' ') && !setting.is_empty() => setting,
            _ => line,
        })
        .flat_map(|line| [line, "\n"])
        .collect();
    let loaded = read(&active).unwrap();
    assert_eq!(loaded.config, Config::default());
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    for key in keys::KEYS {
        assert!(active.contains(&format!("\n{} = {}\n", key.name, key.default)), "{}", key.name);
    }
}

#[test]
fn errors_name_file_line_and_key() {
    assert_eq!(
        problem("[web]\n\nlisten = \"nowhere\"\n"),
        "test.toml:3: web.listen: expected an address with a port such as \"[::]:667\" or \
         \"127.0.0.1:8080\", found \"nowhere\""
    );
    assert_eq!(
        problem("[capture]\nsnap_length = 20"),
        "test.toml:2: capture.snap_length: expected a whole number from 64 to 65535, found 20"
    );
    assert_eq!(
        problem("[history]\ncommit = \"5 parsecs\""),
        "test.toml:2: history.commit: expected a time such as \"5min\" from 1min to 60min, \
         found \"5 parsecs\""
    );
    assert_eq!(
        problem("[capture]\nkernel_buffer = \"1GiB\""),
        "test.toml:2: capture.kernel_buffer: expected a size such as \"8MiB\" from 512KiB to \
         256MiB, found \"1GiB\""
    );
    assert!(problem("[capture]\ninterfaces = [1]").contains("capture.interfaces: expected a list"));
    assert!(problem("[network]\nlocal = [\"10.0.0.0/33\"]").contains("expected a prefix"));
    assert!(problem("[capture\n").starts_with("test.toml:1: not valid TOML: "));
    assert!(problem("a = 1\n[web]\nlisten = = 1\n").starts_with("test.toml:3: not valid TOML: "));
}

#[test]
fn unknown_keys_warn_and_stop_nothing() {
    let loaded = read("colour = 1\nfilter = \"\"\n[web]\nshiny = true\n[moon]\nx = 1\n").unwrap();
    assert_eq!(
        loaded.warnings,
        [
            "test.toml:1: unknown key 'colour' is ignored",
            "test.toml:2: 'filter' stands outside its section and is ignored; put it under [capture]",
            "test.toml:4: unknown key 'web.shiny' is ignored",
            "test.toml:5: unknown section [moon] is ignored",
        ]
        .map(|w| w.to_owned())
    );
    assert_eq!(loaded.config, Config::default());
}

#[test]
fn units_are_understood() {
    let config = read(
        "[capture]\nkernel_buffer = \"16 MiB\"\n[history]\ncommit = \"90s\"\nkeep = \"minute:2w\"\n",
    )
    .unwrap()
    .config;
    assert_eq!(config.kernel_buffer, 16 << 20);
    assert_eq!(config.commit.as_secs(), 90);
    assert_eq!(config.tiers()[1].keep.as_secs(), 14 * 86_400);
}

#[test]
fn units_can_be_joined_and_broken() {
    let config = read(
        "[capture]\nkernel_buffer = \"1.5MiB\"\n[history]\ncommit = \"0.5h 5min\"\n\
         max_size = \"500MB\"\nclock_wait = \"1h30m\"\nschema = \"minute:1min, day:1d\"\n\
         keep = \"minute:2w 1d, day:1y 26w\"\n",
    )
    .unwrap()
    .config;
    assert_eq!((config.kernel_buffer, config.max_size), (1_536 << 10, 500_000_000));
    assert_eq!((config.commit.as_secs(), config.clock_wait.as_secs()), (2_100, 5_400));
    let days = config.tiers().iter().map(|tier| tier.keep.as_secs() / 86_400).collect::<Vec<_>>();
    assert_eq!(days, [15, 365 + 182]);
    // What is not a whole second is told, not cut off.
    assert!(problem("[history]\ncommit = \"90.5s\"").ends_with("found \"90.5s\""));
    // Bits and months are not meant.
    assert!(problem("[history]\nmax_size = \"800Mb\"").contains("expected a size"));
    assert!(problem("[history]\nkeep = \"day:6mo\"").contains("expected a time"));
}

/// 0x10000000 was read as 10,000,000.
#[test]
fn numbers_of_every_radix_are_what_they_say() {
    let size = |text: &str| read(&format!("[history]\nmax_size = {text}")).unwrap().config.max_size;
    for text in
        ["0x10000000", "0o2000000000", "0b1_0000_0000_0000_0000_0000_0000_0000", "268_435_456"]
    {
        assert_eq!(size(text), 1 << 28, "{text}");
    }
    let told = problem("[history]\nmax_size = 0x10");
    assert!(told.ends_with("found 0x10"), "{told}");
}

#[test]
fn a_commit_period_is_from_a_minute_to_an_hour() {
    let commit = |text: &str| read(&format!("[history]\ncommit = \"{text}\"\n"));
    for (text, seconds) in
        [("1min", 60), ("60s", 60), ("15min", 900), ("60min", 3_600), ("1h", 3_600)]
    {
        assert_eq!(commit(text).unwrap().config.commit.as_secs(), seconds, "{text}");
    }
    for text in ["0s", "59s", "61min", "3601s", "1d", "-5min"] {
        let failure = commit(text).err().unwrap();
        assert!(failure.to_string().contains("from 1min to 60min"), "{text}: {failure}");
    }
    assert_eq!(Config::default().commit.as_secs(), 300);
}

#[test]
fn conf_d_is_read_in_the_order_of_names_and_the_last_word_counts() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("brightstat.toml");
    fs::create_dir(directory.path().join("conf.d")).unwrap();
    fs::write(&main, "[limits]\nhosts = 100\n[capture]\nsnap_length = 99\n").unwrap();
    fs::write(directory.path().join("conf.d/20.toml"), "[limits]\nhosts = 300\n").unwrap();
    fs::write(directory.path().join("conf.d/10.toml"), "[limits]\nhosts = 200\n").unwrap();
    fs::write(directory.path().join("conf.d/notes.txt"), "not TOML").unwrap();
    let loaded = load(Some(&main)).unwrap();
    assert_eq!((loaded.config.hosts, loaded.config.snap_length), (300, 99));
    assert_eq!(loaded.files.len(), 3);
}

/// An unreadable `conf.d` passed for an empty one, and its settings were lost silently.
#[test]
fn only_a_conf_d_that_is_not_there_is_empty() {
    let directory = tempfile::tempdir().unwrap();
    let main = directory.path().join("brightstat.toml");
    let extra = directory.path().join("conf.d");
    fs::write(&main, "").unwrap();
    assert_eq!(load(Some(&main)).unwrap().files.len(), 1);
    // Root can read a directory of mode 0, so put a file in its place.
    fs::write(&extra, "").unwrap();
    let failure = load(Some(&main)).unwrap_err();
    assert!(failure.to_string().contains("conf.d: is not a directory"), "{failure}");
    fs::remove_file(&extra).unwrap();
    std::os::unix::fs::symlink("conf.d", &extra).unwrap();
    let failure = load(Some(&main)).unwrap_err();
    assert!(failure.to_string().contains("conf.d: "), "{failure}");
}

#[test]
fn a_named_file_must_be_there() {
    let failure = load(Some(Path::new("/nonexistent/brightstat.toml"))).unwrap_err();
    assert_eq!(failure.exit(), Exit::NoInput);
    assert!(failure.to_string().contains("no such file"), "{failure}");
}

/// A reload stored settings that need a restart as if they were in force: the size of another
/// database was shown, and a second reload no longer said that a restart was due.
#[test]
fn what_takes_a_restart_stays_as_it_is_and_is_named() {
    let mut new = read(
        "[history]\ndatabase = \"/tmp/other.db\"\ncommit = \"7min\"\nkeep = \"minute:2w\"\n\
         [limits]\nhosts = 77\n[capture]\nfilter = \"ip\"\n[web]\nlisten = \"[::]:1\"\n",
    )
    .unwrap()
    .config;
    let in_force = Config::default();
    let wanted = new.clone();
    assert_eq!(
        new.keep_until_restart(&in_force),
        ["limits.hosts", "history.database", "history.keep", "web.listen"]
    );
    assert_eq!((new.filter.as_str(), new.commit.as_secs()), ("ip", 420));
    let at_once = Config { filter: new.filter.clone(), commit: new.commit, ..in_force.clone() };
    assert_eq!(new, at_once);
    // The next reload of the same file says the same.
    assert_eq!(wanted.clone().keep_until_restart(&new).len(), 4);
    assert_eq!(in_force.clone().keep_until_restart(&in_force), Vec::<String>::new());
}

#[test]
fn the_place_of_a_setting_is_known() {
    let loaded = read("[capture]\n\nfilter = \"ip\"\n").unwrap();
    assert_eq!(loaded.place("capture", "filter").unwrap().to_string(), "test.toml:3");
    assert_eq!(loaded.place("capture", "ring"), None);
}
