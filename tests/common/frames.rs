//! Hand-made frames, and the counts that they must produce.

use std::collections::BTreeMap;

/// The expected account, by the names of the API.
#[derive(Default, Debug)]
pub struct Expected {
    pub packets: u64,
    pub bytes: u64,
    /// Address to bytes in, bytes out, packets in, packets out.
    pub hosts: BTreeMap<String, [u64; 4]>,
    /// Transport and service port to packets and bytes.
    pub ports: BTreeMap<(String, u64), (u64, u64)>,
    /// Protocol to packets and bytes.
    pub protocols: BTreeMap<String, (u64, u64)>,
    pub not_ip: (u64, u64),
    pub without_port: (u64, u64),
}

impl Expected {
    fn ip(&mut self, source: [u8; 4], destination: [u8; 4], protocol: &str, bytes: u64) {
        let text = |ip: [u8; 4]| std::net::Ipv4Addr::from(ip).to_string();
        let row = self.hosts.entry(text(source)).or_default();
        (row[1], row[3]) = (row[1] + bytes, row[3] + 1);
        let row = self.hosts.entry(text(destination)).or_default();
        (row[0], row[2]) = (row[0] + bytes, row[2] + 1);
        add(self.protocols.entry(protocol.to_owned()).or_default(), bytes);
    }
}

fn add(sum: &mut (u64, u64), bytes: u64) {
    *sum = (sum.0 + 1, sum.1 + bytes);
}

fn ethernet(tag: Option<u16>, ethertype: u16) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    if let Some(tag) = tag {
        frame.extend(0x8100_u16.to_be_bytes());
        frame.extend(tag.to_be_bytes());
    }
    frame.extend(ethertype.to_be_bytes());
    frame
}

fn ipv4(source: [u8; 4], destination: [u8; 4], protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = (20 + payload.len()) as u16;
    let mut header = vec![0x45, 0];
    header.extend(length.to_be_bytes());
    header.extend([0, 1, 0, 0, 64, protocol, 0, 0]);
    header.extend(source);
    header.extend(destination);
    let sum: u32 = header.chunks(2).map(|w| u32::from(u16::from_be_bytes([w[0], w[1]]))).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    header[10..12].copy_from_slice(&sum.to_be_bytes());
    header.extend(payload);
    header
}

/// `count` frames of many kinds and sizes, the same each time, and their account.
pub fn mixture(count: u32) -> (Vec<Vec<u8>>, Expected) {
    let mut expected = Expected::default();
    let frames = (0..count)
        .map(|n| {
            let size = 4 + (n as usize * 37) % 1_400;
            let inside = [192, 168, 7, (n % 50 + 1) as u8];
            let outside = [203, 0, 113, (n % 90 + 1) as u8];
            let (source, destination) =
                if n % 2 == 0 { (inside, outside) } else { (outside, inside) };
            let service = [53_u16, 80, 123, 443, 8_080][n as usize % 5];
            let client = 40_000 + (n % 97) as u16;
            let (sport, dport) = if n % 2 == 0 { (client, service) } else { (service, client) };
            let mut payload = Vec::new();
            payload.extend(sport.to_be_bytes());
            payload.extend(dport.to_be_bytes());
            let tag = (n % 9 == 0).then_some(42);
            let frame = match n % 11 {
                // ARP
                0 => {
                    let mut frame = ethernet(None, 0x0806);
                    frame.extend([0; 46]);
                    frame
                }
                // ICMP echo
                1 => {
                    payload[..2].copy_from_slice(&[8, 0]);
                    payload.resize(8 + size, 0);
                    [ethernet(tag, 0x0800), ipv4(source, destination, 1, &payload)].concat()
                }
                // UDP
                2..=4 => {
                    payload.extend(((8 + size) as u16).to_be_bytes());
                    payload.resize(8 + size, 0);
                    [ethernet(tag, 0x0800), ipv4(source, destination, 17, &payload)].concat()
                }
                // TCP
                _ => {
                    payload.extend([0; 8]);
                    payload.extend([0x50, 0x10, 0, 0, 0, 0, 0, 0]);
                    payload.resize(20 + size, 0);
                    [ethernet(tag, 0x0800), ipv4(source, destination, 6, &payload)].concat()
                }
            };
            let bytes = frame.len() as u64;
            expected.packets += 1;
            expected.bytes += bytes;
            let protocol = match n % 11 {
                0 => {
                    add(&mut expected.not_ip, bytes);
                    add(&mut expected.without_port, bytes);
                    return frame;
                }
                1 => "icmp",
                2..=4 => "udp",
                _ => "tcp",
            };
            expected.ip(source, destination, protocol, bytes);
            match protocol {
                "icmp" => add(&mut expected.without_port, bytes),
                _ => {
                    let key = (protocol.to_owned(), u64::from(service));
                    add(expected.ports.entry(key).or_default(), bytes);
                }
            }
            frame
        })
        .collect();
    (frames, expected)
}

/// One frame from each of `count` hosts inside.
pub fn crowd(count: u16) -> Vec<Vec<u8>> {
    let datagram = [0x9c, 0x40, 0, 53, 0, 8, 0, 0];
    let from = |n: u16| [192, 168, (n >> 8) as u8, n as u8];
    let frame = |n| ipv4(from(n), [203, 0, 113, 1], 17, &datagram);
    (0..count).map(|n| [ethernet(None, 0x0800), frame(n)].concat()).collect()
}
