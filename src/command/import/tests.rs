//! Imports of settings files into a folder that stands for a Pi.

use std::os::unix::fs::PermissionsExt;

use super::*;

const FILE: &str = "/boot/firmware/brightstat.toml";
const KEYFILE: &str = "/etc/NetworkManager/system-connections/05-brightstat-bridge.nmconnection";
const NETDEV: &str = "/etc/systemd/network/05-brightstat-bridge.netdev";

/// A folder that stands for a Pi.
struct Pi {
    folder: tempfile::TempDir,
}

impl Pi {
    fn new() -> Pi {
        let pi = Pi { folder: tempfile::tempdir().unwrap() };
        pi.put(config::DEFAULT_PATH, "");
        pi.plug("eth0", "b8:27:eb:00:00:01");
        pi
    }

    fn place(&self) -> Place {
        Place::new(self.folder.path())
    }

    fn put(&self, path: &str, text: impl AsRef<[u8]>) {
        let whole = self.place().path(path);
        fs::create_dir_all(whole.parent().unwrap()).unwrap();
        fs::write(whole, text).unwrap();
    }

    fn plug(&self, name: &str, mac: &str) {
        self.put(&format!("/sys/class/net/{name}/type"), "1\n");
        self.put(&format!("/sys/class/net/{name}/address"), format!("{mac}\n"));
    }

    fn enable(&self, unit: &str) {
        self.put(&format!("/etc/systemd/system/multi-user.target.wants/{unit}"), "");
    }

    fn import(&self, text: impl AsRef<[u8]>) -> Result<(), Failure> {
        self.put(FILE, text);
        self.again()
    }

    fn again(&self) -> Result<(), Failure> {
        run(&ImportArguments { file: None, root: self.folder.path().to_owned() })
    }

    fn text(&self, path: &str) -> String {
        self.place().read(path).unwrap_or_default()
    }

    fn config(&self) -> config::Config {
        config::load(Some(&self.place().path(config::DEFAULT_PATH))).unwrap().config
    }
}

/// The file on the card with every setting enabled.
fn active_sample() -> String {
    let lines = include_str!("../../../image/bootfs/brightstat.toml").lines();
    let active = lines.map(|line| match line.strip_prefix('#') {
        Some(setting) if setting.starts_with(|c: char| c.is_ascii_lowercase()) => setting,
        _ => line,
    });
    active.map(|line| format!("{line}\n")).collect()
}

#[test]
fn the_file_on_the_card_changes_nothing_until_it_is_edited() {
    let pi = Pi::new();
    pi.import(include_str!("../../../image/bootfs/brightstat.toml")).unwrap();
    assert_eq!(pi.config(), config::Config::default());
    assert!(!pi.place().has(page::LISTENER) && !pi.place().has(NETDEV));
    // The image contains what an import without a port creates.
    let shipped = include_str!("../../../image/files/etc/issue.d/brightstat.issue");
    assert_eq!(pi.text(page::ISSUE), shipped);
    assert!(pi.text(page::SERVICE).contains("<port>80</port>"));
}

#[test]
fn every_example_in_the_file_on_the_card_is_good() {
    let text = active_sample();
    for key in ["mode", "interfaces", "local", "keep", "port"] {
        assert_eq!(text.matches(&format!("\n{key} = ")).count(), 1, "{key}");
    }
    let pi = Pi::new();
    pi.import(&text).unwrap();
    let config = pi.config();
    assert_eq!(config.interfaces, ["eth0"]);
    assert_eq!(config.local.len(), 2);
    // The example of `keep` is the default.
    assert_eq!(config.tiers(), config::Config::default().tiers());
}

#[test]
fn the_example_in_the_guide_is_good() {
    let page = include_str!("../../../docs/card.md");
    let (_, rest) = page.split_once("## Settings on the card").unwrap();
    let (_, rest) = rest.split_once("```toml\n").unwrap();
    let (example, _) = rest.split_once("```").unwrap();
    let pi = Pi::new();
    pi.enable("NetworkManager.service");
    pi.import(example).unwrap();
    assert!(pi.text(page::LISTENER).contains("8080") && pi.place().has(KEYFILE));
    assert_eq!(pi.config().local, ["192.168.1.0/24".parse().unwrap()]);
}

#[test]
fn settings_reach_the_configuration_the_listener_and_the_console() {
    let pi = Pi::new();
    pi.import(
        "interfaces = [\n  \"eth0\", # the cable\n  \"wlan0\",\n]\nlocal = \"10.0.0.0/8\"\n\
         keep = \"hour:90d\"\nport = 8080\n",
    )
    .unwrap();
    let config = pi.config();
    assert_eq!(config.interfaces, ["eth0", "wlan0"]);
    assert_eq!(config.local, ["10.0.0.0/8".parse().unwrap()]);
    assert_eq!(config.tiers()[2].keep, Duration::from_secs(90 * 86_400));
    assert!(pi.text(page::LISTENER).ends_with("[Socket]\nListenStream=8080\n"));
    assert!(pi.text(page::SERVICE).contains("<port>8080</port>"));
    let issue = pi.text(page::ISSUE);
    assert!(issue.contains(r"http://\n.local:8080/") && issue.contains(r"http://\4:8080/"));
    // And back.
    pi.import("").unwrap();
    assert_eq!(pi.config(), config::Config::default());
    assert!(!pi.place().has(page::LISTENER));
    assert!(pi.text(page::SERVICE).contains("<port>80</port>"));
    // 667 is served anyway, and must not be listed twice.
    pi.import("port = 667").unwrap();
    assert!(!pi.text(page::LISTENER).contains("ListenStream"));
}

#[test]
fn whatever_an_editor_does_to_the_file_is_read() {
    let text = "# für zu Hause\nmode = \"mirror\"\ninterfaces = [\"eth1\"]\n";
    let dos = text.replace('\n', "\r\n");
    let wide: Vec<u16> = format!("\u{feff}{dos}").encode_utf16().collect();
    let forms: [Vec<u8>; 5] = [
        dos.clone().into_bytes(),
        format!("\u{feff}{dos}").into_bytes(),
        wide.iter().flat_map(|unit| unit.to_le_bytes()).collect(),
        wide.iter().flat_map(|unit| unit.to_be_bytes()).collect(),
        text.replace('\n', "\r").into_bytes(),
    ];
    for bytes in forms {
        let pi = Pi::new();
        pi.import(&bytes).unwrap();
        assert_eq!(pi.config().interfaces, ["eth1"], "{bytes:?}");
        // Different line ends are not a change.
        let copy = pi.text(COPY);
        pi.put(OWN, "# mine");
        pi.import(text).unwrap();
        assert_eq!((pi.text(COPY), pi.text(OWN)), (copy, "# mine".to_owned()));
    }
}

#[test]
fn all_mistakes_are_told_with_line_and_key_and_nothing_is_used() {
    let pi = Pi::new();
    let text = "mode = \"brdige\"\r\ninterfaces = 7\r\nlocal = [\"10.0.0.0/8\"]\r\n\r\n\
                interface = \"eth0\"\r\nport = 70000\r\nkeep = \"week:1d\"\r\n[capture]\r\nring = 1\r\n";
    let failure = pi.import(text).unwrap_err();
    assert_eq!(failure.exit, Exit::Config);
    let lines: Vec<&str> = failure.message.lines().collect();
    let expected = [
        ":1: mode: expected \"mirror\", \"bridge\" or \"gateway\", found \"brdige\"",
        ":2: interfaces: expected a list",
        ":5: interface: there is no such key",
        ":6: port: expected a whole number from 1 to 65535, found 70000",
        ":7: keep: there is no tier \"week\"",
        ":8: capture: there are no sections in this file",
    ];
    assert_eq!(lines.len(), expected.len(), "{lines:?}");
    for (line, expected) in lines.iter().zip(expected) {
        assert!(line.starts_with(&format!("{FILE}{expected}")), "{line} {expected}");
    }
    for path in [notices::MISTAKES, CONSOLE] {
        let told = pi.text(path);
        assert!(lines.iter().all(|line| told.contains(line)), "{path}: {told}");
        assert!(told.contains("the defaults hold"), "{told}");
    }
    assert!(!pi.place().has(OWN) && !pi.place().has(COPY));
    // Once it is corrected, the reports are gone.
    pi.import("mode = \"mirror\"").unwrap();
    assert!(!pi.place().has(notices::MISTAKES) && !pi.place().has(CONSOLE));
}

#[test]
fn what_is_no_settings_file_is_told_with_what_to_do() {
    for (bytes, expected) in [
        (&b"# a\nmode = bridge\n"[..], ":2: "),
        (b"mode = \"mirror\n", "lines are like  mode = \"bridge\""),
        ("mode = “mirror”".as_bytes(), ":1: "),
        (b"# ok\n# gr\xfc\xdfe\n", ":2: a letter that is not UTF-8"),
        (b"\xff\xfe\x00\xd8", "save it as plain text"),
        (b"mode = \"mirror\"\nmode = \"bridge\"\n", ":2: "),
        (b"interfaces = [\"../../x\"]\n", ":1: interfaces: \"../../x\" is no interface"),
        (b"port = 22\n", "22 is that of ssh"),
        (b"mode = \"gateway\"\n", ":1: mode: \"gateway\" needs the line  interfaces"),
        (b"mode = \"bridge\"\ninterfaces = [\"eth0\"]\n", ":2: interfaces: a bridge has two ends"),
        (&[b'#'; 70_000], "70000 bytes are too many"),
    ] {
        let failure = Pi::new().import(bytes).unwrap_err();
        assert_eq!(failure.exit, Exit::Config);
        assert!(failure.message.contains(expected), "{expected}: {failure}");
    }
}

#[test]
fn nothing_of_what_is_written_can_drive_the_console() {
    let pi = Pi::new();
    pi.import("port = \"\\u001b[2J\\\\4\"\n").unwrap_err();
    let told = pi.text(CONSOLE);
    assert!(!told.contains('\u{1b}') && told.contains("[2J\\\\4"), "{told}");
}

#[test]
fn a_file_is_imported_once_and_again_when_it_has_changed() {
    let pi = Pi::new();
    pi.import("interfaces = [\"eth0\"]").unwrap();
    pi.put(OWN, "[capture]\ninterfaces = [\"eth9\"]\n");
    pi.again().unwrap();
    assert_eq!(pi.config().interfaces, ["eth9"]);
    pi.import("interfaces = [\"eth1\"]").unwrap();
    assert_eq!(pi.config().interfaces, ["eth1"]);
    // A later mistake does not undo what was good.
    let failure = pi.import("interfaces = [eth2]").unwrap_err();
    assert!(failure.message.contains(":1:"), "{failure}");
    assert_eq!(pi.config().interfaces, ["eth1"]);
    assert!(pi.text(notices::MISTAKES).contains("the settings from before hold"));
    pi.import("interfaces = [\"eth1\"]").unwrap();
    assert!(!pi.place().has(notices::MISTAKES));
}

#[test]
fn the_older_place_of_the_boot_partition_is_found_and_none_is_no_trouble() {
    let pi = Pi::new();
    pi.again().unwrap();
    assert!(!pi.place().has(COPY));
    pi.put("/boot/brightstat.toml", "interfaces = \"eth1\"");
    pi.again().unwrap();
    assert_eq!(pi.config().interfaces, ["eth1"]);
}

#[test]
fn settings_that_do_not_go_with_the_owners_own_are_taken_back() {
    let pi = Pi::new();
    pi.put("/etc/brightstat/conf.d/a.toml", "[history]\nschema = \"minute:60, day:1d\"\n");
    let failure = pi.import("keep = \"hour:90d\"").unwrap_err();
    assert!(failure.message.contains("no tier \"hour\""), "{failure}");
    assert!(!pi.place().has(OWN) && !pi.place().has(COPY));
    pi.config();
}

#[test]
fn a_bridge_is_made_by_the_manager_that_is_enabled() {
    let pi = Pi::new();
    let failure = pi.import("# two cables\nmode = \"bridge\"").unwrap_err();
    assert!(failure.message.contains(":2: mode: a bridge is made by NetworkManager"), "{failure}");
    assert!(!pi.place().has(OWN));

    pi.enable("systemd-networkd.service");
    pi.again().unwrap();
    assert_eq!(pi.config().interfaces, [settings::BRIDGE]);
    assert!(pi.text(NETDEV).contains("\nMACAddress=b8:27:eb:00:00:01\n"));
    let plug = pi.text("/etc/systemd/network/05-brightstat-plug.network");
    assert!(plug.contains("\nName=eth* en*\n"), "{plug}");

    // If both are enabled, Raspberry Pi OS's default wins, and no file for the other remains.
    pi.enable("NetworkManager.service");
    pi.again().unwrap();
    assert!(!pi.place().has(NETDEV));
    assert!(pi.text(KEYFILE).contains("\ncloned-mac-address=b8:27:eb:00:00:01\n"));
    let mode = fs::metadata(pi.place().path(KEYFILE)).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);

    pi.import("mode = \"mirror\"").unwrap();
    assert_eq!(pi.config(), config::Config::default());
    assert!(pi.place().names("/etc/NetworkManager/system-connections").is_empty());
}

#[test]
fn the_bridge_has_the_address_of_the_built_in_plug_whatever_comes_and_goes() {
    let pi = Pi::new();
    pi.enable("systemd-networkd.service");
    pi.plug("enx00", "00:00:00:00:00:02");
    pi.plug("wlan0", "00:00:00:00:00:03");
    pi.put("/sys/class/net/wlan0/phy80211", "");
    pi.import("mode = \"bridge\"").unwrap();
    assert!(pi.text(NETDEV).contains("MACAddress=b8:27:eb:00:00:01"));
    // Once, the network card appears too late; then the SD card is in another Pi.
    for name in ["eth0", "enx00"] {
        fs::remove_dir_all(pi.place().path(format!("/sys/class/net/{name}"))).unwrap();
    }
    pi.again().unwrap();
    assert!(pi.text(NETDEV).contains("MACAddress=b8:27:eb:00:00:01"));
    pi.plug("eth0", "b8:27:eb:00:00:09");
    pi.again().unwrap();
    assert!(pi.text(NETDEV).contains("MACAddress=b8:27:eb:00:00:09"));
    // If ports are named, the first one's address is used.
    pi.plug("eth1", "00:00:00:00:00:04");
    pi.import("mode = \"bridge\"\ninterfaces = [\"eth1\", \"eth0\"]").unwrap();
    assert!(pi.text(NETDEV).contains("MACAddress=00:00:00:00:00:04"));
    let plug = pi.text("/etc/systemd/network/05-brightstat-plug.network");
    assert!(plug.contains("\nName=eth1 eth0\n"), "{plug}");
    assert_eq!(pi.config().interfaces, [settings::BRIDGE]);
}
