//! The public listeners: those that systemd hands over, else our own.
//!
//! Under systemd, `brightstat.socket` holds the listener and the service may not open IP
//! sockets: an attacker in the process that reads packets can then open no connection. And
//! clients that connect while the daemon restarts wait in the kernel's queue.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use listenfd::ListenFd;
use log::{info, warn};

use super::error::Error;
use super::nearby::{forwards, nearby};
use crate::capture::interfaces::list;
use crate::config::Config;
use crate::web::answer::safety_headers;

/// The listeners: inherited ones (sd_listen_fds(3)), else those of `web.listen`.
///
/// # Errors
/// An address that is taken or may not be used.
pub(super) fn listen(
    config: &Config,
    inherited: Vec<TcpListener>,
) -> Result<Vec<TcpListener>, Error> {
    if inherited.is_empty() {
        return open(&config.listen);
    }
    info!("the listener comes from systemd");
    if config.listen != Config::default().listen {
        warn!(
            "web.listen is not used: systemd holds the listener; change the port with \
             'systemctl edit brightstat.socket'"
        );
    }
    Ok(inherited)
}

/// Tells the clients waiting at systemd's listeners why the daemon cannot start.
///
/// systemd would start the service over and over for a connection that is never accepted. And
/// the person who opens the page learns what is wrong.
pub(super) fn excuse(listeners: &[TcpListener], why: &str) {
    const MOST: usize = 64;
    let end = Instant::now() + Duration::from_secs(2);
    let body = format!("brightstat cannot start: {why}\n");
    let answer = format!(
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: text/plain; charset=utf-8\r\n\
         Content-Length: {}\r\n{}Cache-Control: no-store\r\nRetry-After: 10\r\n\
         Connection: close\r\n\r\n{body}",
        body.len(),
        safety_headers()
    );
    let near = nearby(&list(), &[], forwards()).prefixes;
    for listener in listeners {
        let _ = listener.set_nonblocking(true);
        for _ in 0..MOST {
            let Ok((mut client, from)) = listener.accept() else { break };
            let from = from.ip().to_canonical();
            if Instant::now() > end
                || !(from.is_loopback() || near.iter().any(|net| net.contains(&from)))
            {
                continue;
            }
            let _ = client.set_read_timeout(Some(Duration::from_millis(100)));
            let _ = client.set_write_timeout(Some(Duration::from_millis(100)));
            // Closing a socket with unread data would reset the connection.
            let _ = client.read(&mut [0; 4_096]);
            let _ = client.write_all(answer.as_bytes());
        }
    }
}

/// The listeners that systemd has handed over; a second call gets none.
///
/// # Errors
/// A descriptor that is no TCP listener.
pub(super) fn inherited() -> Result<Vec<TcpListener>, Error> {
    let mut handed_over = ListenFd::from_env();
    let mut listeners = Vec::new();
    for number in 0..handed_over.len() {
        let listener = handed_over.take_tcp_listener(number);
        listeners.extend(listener.map_err(|source| Error::Inherited { number, source })?);
    }
    Ok(listeners)
}

/// Opens the public listeners. An IPv6 wildcard falls back to IPv4 where there is no IPv6.
fn open(addresses: &[SocketAddr]) -> Result<Vec<TcpListener>, Error> {
    let open_one = |address: &SocketAddr| match TcpListener::bind(address) {
        Err(e)
            if e.raw_os_error() == Some(nix::libc::EAFNOSUPPORT)
                && address.ip().is_unspecified() =>
        {
            TcpListener::bind(("0.0.0.0", address.port()))
        }
        other => other,
    };
    let listen = |address: &SocketAddr| {
        open_one(address).map_err(|source| Error::Listen { address: *address, source })
    };
    addresses.iter().map(listen).collect()
}

/// The page's address to type on another machine. For a listener on all addresses, it has one
/// of the watched interfaces: rather not loopback, and rather IPv4.
pub(super) fn url(listener: SocketAddr, watched: &[String]) -> String {
    let own = || {
        let interfaces = list().into_iter().filter(|i| watched.contains(&i.name));
        let addresses = interfaces.flat_map(|i| i.addresses).map(|net| net.addr());
        addresses.min_by_key(|address| (address.is_loopback(), address.is_ipv6()))
    };
    let address = match listener.ip() {
        ip if ip.is_unspecified() => own(),
        ip => Some(ip.to_canonical()),
    };
    let port = listener.port();
    match address {
        Some(address) => format!("http://{}/", SocketAddr::new(address, port)),
        None => format!("http://localhost:{port}/"),
    }
}
