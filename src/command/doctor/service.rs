//! The service and its page: does it run, and does it answer?

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::{Finding, good, note, problem};
use crate::config::Config;
use crate::export::report::byte_size;

/// How long the page may take to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// The state of the daemon.
pub(super) struct State {
    /// systemd's view of the unit; `None` if there is no systemd or no such unit.
    unit: Option<Unit>,
    page: Page,
    address: SocketAddr,
}

/// Properties of the unit, as `systemctl show` names them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Unit {
    active: String,
    enabled: String,
    status: String,
    restarts: u64,
    exit: String,
    socket: String,
}

enum Page {
    /// brightstat's own status.
    Answers(Box<Value>),
    /// Something answers, but not with brightstat's status.
    Foreign,
    /// Nobody listens.
    Silent,
    /// Something listens but does not answer.
    Stuck,
}

impl State {
    /// Whether the daemon runs, as a service or otherwise.
    pub(super) fn is_active(&self) -> bool {
        matches!(self.page, Page::Answers(_))
            || self.unit.as_ref().is_some_and(|unit| unit.active == "active")
    }

    /// The daemon's own status (`/api/v1/status`), if it answers.
    pub(super) fn answer(&self) -> Option<&Value> {
        match &self.page {
            Page::Answers(status) => Some(status),
            _ => None,
        }
    }
}

/// The daemon's notices to its owner.
pub(super) fn notices(state: &State) -> Vec<Finding> {
    let notices = state.answer().and_then(|status| status["notices"].as_array());
    let texts = notices.into_iter().flatten().filter_map(Value::as_str);
    texts.map(|text| problem(text.replace('\n', "\n           "), "")).collect()
}

/// Asks systemd and the page.
pub(super) fn look(config: &Config) -> State {
    let unit = Path::new("/run/systemd/system").exists().then(ask_systemd).flatten();
    let listener = config.listen.first().copied();
    let listener = listener.unwrap_or_else(|| (Ipv4Addr::UNSPECIFIED, 667).into());
    let ip = match listener.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    let address = SocketAddr::new(ip, listener.port());
    State { unit, page: ask_page(address), address }
}

fn ask_systemd() -> Option<Unit> {
    let ask = |unit: &str, properties: &str| {
        let output = Command::new("systemctl")
            .args(["show", unit, "--property", properties])
            .output()
            .ok()?;
        String::from_utf8(output.stdout).ok()
    };
    let service = ask(
        "brightstat.service",
        "LoadState,ActiveState,UnitFileState,StatusText,NRestarts,ExecMainStatus",
    )?;
    let socket = ask("brightstat.socket", "ActiveState")?;
    parse(&service, &socket)
}

fn parse(service: &str, socket: &str) -> Option<Unit> {
    let value = |text: &str, key: &str| {
        let found = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_default().to_owned()
    };
    (value(service, "LoadState") == "loaded").then(|| Unit {
        active: value(service, "ActiveState"),
        enabled: value(service, "UnitFileState"),
        status: value(service, "StatusText"),
        restarts: value(service, "NRestarts").parse().unwrap_or(0),
        exit: value(service, "ExecMainStatus"),
        socket: value(socket, "ActiveState"),
    })
}

fn ask_page(address: SocketAddr) -> Page {
    let Ok(mut stream) = TcpStream::connect_timeout(&address, PATIENCE) else {
        return Page::Silent;
    };
    let _ = stream.set_read_timeout(Some(PATIENCE));
    let _ = stream.set_write_timeout(Some(PATIENCE));
    let request =
        format!("GET /api/v1/status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = Vec::new();
    let taken = stream
        .write_all(request.as_bytes())
        .and_then(|()| stream.take(1 << 20).read_to_end(&mut answer));
    if taken.is_err() && answer.is_empty() {
        return Page::Stuck;
    }
    let text = String::from_utf8_lossy(&answer);
    let body = text.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    match serde_json::from_str::<Value>(body) {
        Ok(status) if status["name"] == "brightstat" => Page::Answers(Box::new(status)),
        _ => Page::Foreign,
    }
}

/// The findings about the service.
pub(super) fn findings(state: &State) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(unit) = &state.unit {
        findings.extend(of_unit(unit));
    }
    let address = state.address;
    let is_socket_up = state.unit.as_ref().is_some_and(|unit| unit.socket == "active");
    findings.push(match &state.page {
        Page::Answers(status) => good(format!(
            "version {} answers at http://{address}/, for {} now",
            status["version"].as_str().unwrap_or("?"),
            span(status["uptime_seconds"].as_u64().unwrap_or(0))
        )),
        Page::Foreign => problem(
            format!("{address}: something answers there that is not brightstat's status"),
            format!(
                "'ss -ltnp sport = :{}' tells which program it is; stop it, or give brightstat \
                 another port ('systemctl edit brightstat.socket'; without systemd web.listen)",
                address.port()
            ),
        ),
        Page::Stuck => problem(
            format!("{address}: somebody listens there and does not answer"),
            "'journalctl -u brightstat -n 50' tells why the daemon does not come up",
        ),
        Page::Silent if is_socket_up => problem(
            format!("{address}: nobody listens there, though brightstat.socket is up"),
            "it listens elsewhere: 'systemctl cat brightstat.socket' tells where",
        ),
        Page::Silent => match TcpListener::bind(address) {
            Err(e) if e.kind() == std::io::ErrorKind::AddrInUse => problem(
                format!("{address}: the port is taken by a program that lets nobody in"),
                format!("'ss -ltnp sport = :{}' tells which program it is", address.port()),
            ),
            _ if state.unit.is_some() => {
                problem(format!("{address}: the page is not served"), "systemctl start brightstat")
            }
            _ => problem(
                format!("{address}: the page is not served, and there is no brightstat.service"),
                "install the package, or start 'brightstat run'",
            ),
        },
    });
    if let Some(status) = state.answer() {
        findings.extend(of_status(status));
    }
    findings
}

fn of_unit(unit: &Unit) -> Vec<Finding> {
    let said = match unit.status.as_str() {
        "" => String::new(),
        status => format!(": {status}"),
    };
    let mut findings = vec![match unit.active.as_str() {
        "active" => good(format!("brightstat.service is running{said}")),
        "activating" | "reloading" => note(
            format!("brightstat.service is {}{said}", unit.active),
            "wait a moment; 'systemctl status brightstat' shows how it goes",
        ),
        _ if unit.exit == "78" => problem(
            format!("brightstat.service does not start, as its configuration is wrong{said}"),
            "correct it, check it with 'brightstat check-config', then 'systemctl start brightstat'",
        ),
        other => problem(
            format!("brightstat.service is {other}{said}"),
            "systemctl start brightstat; 'journalctl -u brightstat -n 50' tells why it ended",
        ),
    }];
    if unit.enabled != "enabled" {
        findings.push(note(
            "brightstat.service does not start by itself when the machine does",
            "systemctl enable brightstat.service brightstat.socket",
        ));
    }
    if unit.restarts > 0 {
        findings.push(note(
            format!("systemd had to start it again {} times", unit.restarts),
            "'journalctl -u brightstat' tells why",
        ));
    }
    findings
}

fn of_status(status: &Value) -> Vec<Finding> {
    let mut findings = Vec::new();
    let drops: u64 =
        ["kernel", "ring"].iter().filter_map(|what| status["drops"][*what].as_u64()).sum();
    let frames = status["packets"].as_u64().unwrap_or(0);
    // Up to one in a hundred thousand is a burst at a bad moment.
    findings.push(if drops > frames / 100_000 {
        problem(
            format!("{drops} missed packets, beside {frames} that were counted"),
            "give capture.kernel_buffer more (\"16MiB\"), or use a faster machine",
        )
    } else {
        good(format!("{frames} frames counted, {drops} missed"))
    });
    let store = &status["store"];
    if let Some(trouble) = store["trouble"].as_str() {
        findings.push(problem(
            format!("history cannot be written: {trouble}"),
            "what waits in memory is written as soon as that is over",
        ));
    }
    if let Some(lost @ 1..) = store["intervals_lost"].as_u64() {
        findings.push(note(
            format!("{lost} intervals of history were lost since the start"),
            "'brightstat db stats' lists the events that tell why",
        ));
    }
    let (size, most) = (store["size_bytes"].as_u64(), store["max_size_bytes"].as_u64());
    if let (Some(size), Some(most)) = (size, most)
        && size > most / 10 * 9
    {
        findings.push(note(
            format!("the database has {} of the {} it may have", byte_size(size), byte_size(most)),
            "from there on the oldest fine intervals go first; history.max_size allows more",
        ));
    }
    findings
}

/// A span of time in words.
fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::Verdict;
    use super::*;

    const SERVICE: &str = "LoadState=loaded\nActiveState=active\nUnitFileState=enabled\n\
        StatusText=in 1.0 Mbit/s\nNRestarts=0\nExecMainStatus=0\n";

    fn verdicts(findings: &[Finding]) -> Vec<Verdict> {
        findings.iter().map(|finding| finding.verdict).collect()
    }

    #[test]
    fn a_unit_that_runs_is_good() {
        let unit = parse(SERVICE, "ActiveState=active\n").unwrap();
        assert_eq!(unit.socket, "active");
        let findings = of_unit(&unit);
        assert_eq!(verdicts(&findings), [Verdict::Good]);
        assert!(findings[0].what.ends_with("running: in 1.0 Mbit/s"), "{findings:?}");
    }

    #[test]
    fn a_unit_that_is_not_there_is_not_spoken_of() {
        assert_eq!(parse("LoadState=not-found\nActiveState=inactive\n", ""), None);
    }

    #[test]
    fn a_wrong_configuration_is_told_from_another_end() {
        let failed = SERVICE
            .replace("ActiveState=active", "ActiveState=failed")
            .replace("in 1.0 Mbit/s", "local.toml:2: capture.ring: expected a number");
        let other = parse(&failed, "").unwrap();
        assert!(of_unit(&other)[0].remedy.contains("journalctl"));
        let wrong = Unit { exit: "78".to_owned(), ..other };
        let findings = of_unit(&wrong);
        assert_eq!(verdicts(&findings), [Verdict::Problem]);
        assert!(findings[0].what.contains("local.toml:2"), "{findings:?}");
        assert!(findings[0].remedy.contains("check-config"));
    }

    #[test]
    fn drops_lost_history_and_a_full_database_are_told() {
        let status = json!({
            "packets": 1_000_000, "drops": { "kernel": 11, "ring": 0, "interface": 0 },
            "store": { "trouble": "the disk is full; make room", "intervals_lost": 3,
                       "size_bytes": 95, "max_size_bytes": 100 },
        });
        let findings = of_status(&status);
        let expected = [Verdict::Problem, Verdict::Problem, Verdict::Note, Verdict::Note];
        assert_eq!(verdicts(&findings), expected, "{findings:?}");
        let calm = json!({
            "packets": 1_000_000, "drops": { "kernel": 10, "ring": 0, "interface": 0 },
            "store": { "trouble": null, "intervals_lost": 0, "size_bytes": 5, "max_size_bytes": 100 },
        });
        assert_eq!(verdicts(&of_status(&calm)), [Verdict::Good]);
    }

    #[test]
    fn what_the_daemon_wants_seen_to_is_a_problem_with_all_its_lines() {
        let status = serde_json::json!({ "notices": ["A mistake.\nx.toml:7: mode"] });
        let address = SocketAddr::from(([127, 0, 0, 1], 667));
        let state = State { unit: None, page: Page::Answers(Box::new(status)), address };
        let [finding] = &notices(&state)[..] else { panic!("one notice") };
        assert_eq!(finding, &problem("A mistake.\n           x.toml:7: mode", ""));
        let silent = State { unit: None, page: Page::Silent, address };
        assert!(notices(&silent).is_empty());
    }

    #[test]
    fn what_listens_in_our_place_is_not_taken_for_us() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let other = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut request = [0; 512];
            let _ = client.read(&mut request).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"name\": \"other\"}").unwrap();
        });
        assert!(matches!(ask_page(address), Page::Foreign));
        other.join().unwrap();
        assert!(matches!(ask_page(address), Page::Silent));
    }
}
