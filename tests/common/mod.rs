//! Shared by the black-box tests: private network namespaces, a running daemon, and frames with
//! known counts.
#![allow(dead_code)]

pub mod frames;

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

/// Waits for `ready` to return something, at most `seconds`.
pub fn wait_for<T>(what: &str, seconds: u64, mut ready: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = ready() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {seconds} s for: {what}");
        thread::sleep(Duration::from_millis(50));
    }
}

fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split_whitespace()).output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        output.status.success(),
        "ip {arguments}: {message} (these tests need root and iproute2)"
    );
}

/// A network namespace, deleted when this is dropped.
pub struct Namespace(pub String);

impl Namespace {
    fn new(name: String) -> Namespace {
        ip(&format!("netns add {name}"));
        let namespace = Namespace(name);
        namespace.ip("link set lo up");
        // No unsolicited packets: neighbour discovery would be counted.
        for who in ["all", "default"] {
            namespace.run(|| {
                let _ = std::fs::write(format!("/proc/sys/net/ipv6/conf/{who}/disable_ipv6"), "1");
            });
        }
        namespace
    }

    /// Runs `ip` with these arguments inside.
    pub fn ip(&self, arguments: &str) {
        ip(&format!("-n {} {arguments}", self.0));
    }

    /// Runs a closure in a thread inside the namespace.
    pub fn run<T: Send>(&self, body: impl FnOnce() -> T + Send) -> T {
        let file = File::open(format!("/run/netns/{}", self.0)).unwrap();
        thread::scope(|scope| {
            let inside = scope.spawn(move || {
                setns(file, CloneFlags::CLONE_NEWNET).unwrap();
                body()
            });
            inside.join().unwrap()
        })
    }

    /// A command that will run inside the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.0]).arg(program);
        command
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.0]).output();
    }
}

/// Two namespaces and a cable between them: `send0` in one, `rx` in the other.
pub struct Cable {
    pub sender: Namespace,
    pub receiver: Namespace,
}

impl Cable {
    pub fn new() -> Cable {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = |side: &str| format!("bs{}-{number}-{side}", std::process::id());
        let (sender, receiver) = (Namespace::new(name("tx")), Namespace::new(name("rx")));
        ip(&format!("-n {} link add send0 type veth peer name rx netns {}", sender.0, receiver.0));
        sender.ip("link set send0 arp off up");
        receiver.ip("link set rx arp off up");
        wait_for("the cable to be up", 10, || {
            let state =
                sender.run(|| std::fs::read_to_string("/proc/thread-self/net/dev").unwrap());
            state.contains("send0").then_some(())
        });
        thread::sleep(Duration::from_millis(200));
        Cable { sender, receiver }
    }

    /// Sends frames from `send0`, and waits whenever the kernel has no room.
    pub fn send(&self, frames: &[Vec<u8>]) {
        self.sender.run(|| {
            let mut out = pcap::Capture::from_device("send0").unwrap().open().unwrap();
            for frame in frames {
                // The sender's queue may be full for a moment.
                wait_for("room to send", 10, || out.sendpacket(&frame[..]).ok());
            }
        });
    }
}

/// The program under test.
pub fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_brightstat")
}

/// A daemon that runs in a namespace; killed when this is dropped.
pub struct Daemon<'a> {
    namespace: &'a Namespace,
    child: Child,
    pub log: PathBuf,
}

/// The port on which daemons under test serve; each has a namespace of its own.
pub const PORT: u16 = 667;

impl<'a> Daemon<'a> {
    /// Starts `brightstat run` with these arguments; its log and database are in `directory`.
    pub fn start(namespace: &'a Namespace, directory: &Path, arguments: &[&str]) -> Daemon<'a> {
        Daemon::start_as(&[binary()], namespace, directory, arguments)
    }

    /// The same with another program, which may need a runner.
    pub fn start_as(
        program: &[&str],
        namespace: &'a Namespace,
        directory: &Path,
        arguments: &[&str],
    ) -> Daemon<'a> {
        let log = directory.join(format!("{}.log", std::fs::read_dir(directory).unwrap().count()));
        let child = namespace
            .command(program[0])
            .args(&program[1..])
            .args(["run", "--database"])
            .arg(directory.join("db/brightstat.db"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log).unwrap())
            .spawn()
            .unwrap();
        Daemon { namespace, child, log }
    }

    pub fn log_text(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// Waits until a line of the log contains `text`.
    pub fn wait_for_log(&mut self, text: &str) {
        wait_for(&format!("'{text}' in the log:\n{}", self.log_text()), 15, || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the daemon ended with {status}:\n{}", self.log_text());
            }
            self.log_text().contains(text).then_some(())
        });
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.pid()), signal).unwrap();
    }

    /// The status and the body of a GET.
    pub fn get(&self, path: &str) -> (u16, String) {
        self.get_at("127.0.0.1", path)
    }

    /// The same via another address of the daemon's machine, which is then the client's, too.
    pub fn get_at(&self, address: &str, path: &str) -> (u16, String) {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        let answer = self.talk_at(address, request.as_bytes());
        let answer = String::from_utf8_lossy(&answer);
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).unwrap_or(0);
        (status, body.to_owned())
    }

    /// Sends bytes to the web server and reads until it closes.
    pub fn talk(&self, bytes: &[u8]) -> String {
        String::from_utf8_lossy(&self.talk_bytes(bytes)).into_owned()
    }

    /// The same, as bytes.
    pub fn talk_bytes(&self, bytes: &[u8]) -> Vec<u8> {
        self.talk_at("127.0.0.1", bytes)
    }

    /// A connection to the web server.
    pub fn connect(&self) -> TcpStream {
        self.namespace.run(|| {
            let stream = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            stream
        })
    }

    fn talk_at(&self, address: &str, bytes: &[u8]) -> Vec<u8> {
        self.namespace.run(|| {
            let mut stream = TcpStream::connect((address, PORT)).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            // The server may refuse early and stop reading.
            let _ = stream.write_all(bytes);
            // Nothing follows: the server closes the connection after the answer.
            let _ = stream.shutdown(Shutdown::Write);
            let mut answer = Vec::new();
            let _ = stream.read_to_end(&mut answer);
            answer
        })
    }

    /// A number of `/proc/PID/status`.
    pub fn proc_status(&self, key: &str) -> u64 {
        let text = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let mut lines = text.lines();
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(':')).unwrap();
        value.split_whitespace().next().unwrap().parse().unwrap()
    }

    /// Open descriptors.
    pub fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.pid())).unwrap().count()
    }

    pub fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        serde_json::from_str(&body).unwrap()
    }

    /// Waits until this many frames have been counted.
    pub fn wait_for_frames(&self, frames: u64) -> Value {
        wait_for(&format!("{frames} frames to be counted"), 20, || {
            let live = self.json("/api/v1/live?top=0");
            let counted = live["totals"]["packets"].as_u64().unwrap();
            (counted >= frames).then_some(live)
        })
    }

    /// Ends the daemon with SIGTERM; returns its exit code.
    pub fn stop(mut self) -> i32 {
        self.signal(Signal::SIGTERM);
        wait_for("the daemon to stop", 15, || self.child.try_wait().unwrap()).code().unwrap_or(-1)
    }

    /// Ends the daemon with SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Daemon<'_> {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A directory that the daemon's unprivileged user can enter.
pub fn directory() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let open = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(directory.path(), open).unwrap();
    directory
}

/// One number from the history that a daemon has left in `directory`.
pub fn query(directory: &Path, sql: &str) -> i64 {
    let path = directory.join("db/brightstat.db");
    let connection = rusqlite::Connection::open(path).unwrap();
    connection.query_row(sql, [], |row| row.get::<_, Option<i64>>(0)).unwrap().unwrap_or(0)
}
