//! Answers of name servers (RFC 1035), multicast DNS (RFC 6762) and link-local multicast name
//! resolution (RFC 4795). The three share one format, which the crate `simple-dns` parses.
//!
//! Theory of operation. A name server's answer names an address by the name that was asked for: the
//! chain of CNAMEs is followed from the question to the owner of the address. The other two have no
//! chains. A message that cannot be parsed as a whole (the capture cut it, a record is odd) is read
//! as far as it can be: the longest list of records that parses, found by bisection.
//!
//! All addresses in a message are claimed, also those of others: for a capture file that is what
//! was said. Who believes such a claim must compare the address with the packet's source.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::{RData, TXT};
use simple_dns::{Name as DomainName, Packet as Message, PacketFlag, RCODE, ResourceRecord};

use super::bytes::Bytes;
use super::claim::{Claim, Name, Packet, Sink, Source, Trait};

/// The ports of DNS, multicast DNS and LLMNR.
pub const PORTS: [u16; 3] = [DNS, MDNS, LLMNR];
const DNS: u16 = 53;
const MDNS: u16 = 5_353;
const LLMNR: u16 = 5_355;

/// The header of a message, the shortest question and the shortest record, bytes.
const HEADER: usize = 12;
const QUESTION: usize = 5;
const RECORD: usize = 11;
/// The longest part of a message that is read, bytes. Longer ones are in fragments, mostly; and what
/// a message can cost grows with the square of its length, because each name in it may walk through
/// all that is before it (pointers to pointers). At this length it is 5 ms at most, measured.
const LONGEST: usize = 4_096;
/// The longest chain of names, as resolvers limit it, too.
const CHAIN: usize = 16;

/// Reads a UDP datagram.
pub fn read(packet: &Packet<'_>, claims: Sink<'_>) {
    let is_at = |port: &u16| packet.ports.0 == *port || packet.ports.1 == *port;
    if let Some(port) = PORTS.iter().find(|port| is_at(port)) {
        message(*port, packet, packet.payload, claims);
    }
}

/// Reads the messages of a TCP connection's server: each has its length in front. Returns where the
/// one begins that is not complete.
pub fn read_stream(packet: &Packet<'_>, stream: &[u8], claims: Sink<'_>) -> Option<usize> {
    let mut rest = Bytes(stream);
    while !rest.is_empty() {
        let start = stream.len() - rest.0.len();
        let Some(bytes) = rest.u16().and_then(|length| rest.take(length.into())) else {
            return Some(start);
        };
        message(DNS, packet, bytes, claims);
    }
    None
}

/// Whether a server's data may begin with a message: an answer, behind its length.
pub fn begins(stream: &[u8]) -> bool {
    matches!(stream, [high, low, _, _, flags, ..]
        if usize::from(u16::from_be_bytes([*high, *low])) > HEADER && flags & 0xf8 == 0x80)
}

fn message(port: u16, packet: &Packet<'_>, bytes: &[u8], claims: Sink<'_>) {
    parse(bytes.get(..LONGEST).unwrap_or(bytes), |message| {
        let is_answer = message.has_flags(PacketFlag::RESPONSE);
        if port != MDNS && !(is_answer && message.rcode() == RCODE::NoError) {
            return;
        }
        match port {
            DNS => answers(message, claims),
            _ => announced(port, message, claims),
        }
        if port == MDNS && is_answer {
            describe(packet, message, claims);
        }
    });
}

/// Parses a message, or as many of its records as can be read.
fn parse(bytes: &[u8], then: impl FnOnce(&Message<'_>)) {
    let Some(header) = bytes.first_chunk::<HEADER>() else { return };
    let count = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
    let counts = [count(6), count(8), count(10)];
    let records: usize = counts.iter().sum();
    // The parser reserves memory for all records that the header announces.
    let room = (bytes.len() - HEADER).saturating_sub(count(4) * QUESTION) / RECORD;
    if count(4) * QUESTION + HEADER > bytes.len() {
        return;
    }
    if records <= room
        && let Ok(message) = Message::parse(bytes)
    {
        return then(&message);
    }
    let mut copy = bytes.to_vec();
    // The reserved bit, which the parser insists on being 0.
    copy[3] &= !0x40;
    // A list that parses does so without its last records as well.
    let (mut good, mut bad) = (0, records.min(room) + 1);
    while bad - good > 1 {
        let middle = good + (bad - good) / 2;
        shorten(&mut copy, counts, middle);
        if Message::parse(&copy).is_ok() {
            good = middle;
        } else {
            bad = middle;
        }
    }
    shorten(&mut copy, counts, good);
    if let Ok(message) = Message::parse(&copy) {
        then(&message);
    }
}

/// Changes the counts in the header so that only the first records are announced.
fn shorten(message: &mut [u8], counts: [usize; 3], mut records: usize) {
    for (count, field) in counts.into_iter().zip(message[6..HEADER].chunks_exact_mut(2)) {
        let kept = count.min(records);
        records -= kept;
        field.copy_from_slice(&(kept as u16).to_be_bytes());
    }
}

/// A name as text: its labels with dots between them, in lower case. Two names that differ in case
/// are one.
fn text(name: &DomainName<'_>) -> Vec<u8> {
    let labels: Vec<&[u8]> = name.get_labels().iter().map(|label| label.as_ref()).collect();
    labels.join(&b'.').to_ascii_lowercase()
}

fn address(record: &ResourceRecord<'_>) -> Option<IpAddr> {
    match &record.rdata {
        RData::A(a) => Some(Ipv4Addr::from_bits(a.address).into()),
        RData::AAAA(aaaa) => Some(Ipv6Addr::from_bits(aaaa.address).into()),
        _ => None,
    }
}

/// What a name server answers. Its other sections are about name servers.
fn answers(message: &Message<'_>, claims: Sink<'_>) {
    let alias = |record: &ResourceRecord<'_>| match &record.rdata {
        RData::CNAME(to) => Some((text(&record.name), text(&to.0))),
        _ => None,
    };
    let aliases: Vec<_> = message.answers.iter().filter_map(alias).collect();
    // Each question with the name at the end of its chain.
    let end = |mut name: Vec<u8>| {
        for _ in 0..CHAIN {
            let Some((_, to)) = aliases.iter().find(|(from, _)| *from == name) else { break };
            name.clone_from(to);
        }
        name
    };
    let asked = message.questions.iter().take(CHAIN).map(|question| text(&question.qname));
    let asked: Vec<_> = asked.map(|name| (end(name.clone()), name)).collect();
    for record in &message.answers {
        let owner = text(&record.name);
        if let Some(address) = address(record) {
            let name = asked.iter().rev().find(|(end, _)| *end == owner);
            let name = name.map_or(&owner, |(_, name)| name);
            claim(address, name, Source::Dns, record.ttl, claims);
        }
    }
    let all = message.answers.iter().chain(&message.additional_records);
    all.for_each(|record| reverse(record, Source::DnsPtr, claims));
}

/// What a host announces by multicast: not what it only wants to be called (the authority section of
/// a probe).
fn announced(port: u16, message: &Message<'_>, claims: Sink<'_>) {
    let (forward, backward) = match port {
        MDNS => (Source::Mdns, Source::MdnsPtr),
        _ => (Source::Llmnr, Source::Llmnr),
    };
    for record in message.answers.iter().chain(&message.additional_records) {
        if let Some(address) = address(record) {
            claim(address, &text(&record.name), forward, record.ttl, claims);
        }
        reverse(record, backward, claims);
    }
}

/// The name of an address.
fn reverse(record: &ResourceRecord<'_>, source: Source, claims: Sink<'_>) {
    if let RData::PTR(name) = &record.rdata
        && let Some(address) = reversed(&text(&record.name))
    {
        claim(address, &text(&name.0), source, record.ttl, claims);
    }
}

/// The address in `4.3.2.1.in-addr.arpa`, or in its like for IPv6.
fn reversed(owner: &[u8]) -> Option<IpAddr> {
    let owner = std::str::from_utf8(owner).ok()?;
    if let Some(bytes) = owner.strip_suffix(".in-addr.arpa") {
        let address: Ipv4Addr = bytes.parse().ok()?;
        let [d, c, b, a] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d).into());
    }
    let digits = owner.strip_suffix(".ip6.arpa")?;
    let mut bits = 0_u128;
    let mut count = 0;
    for (place, digit) in digits.split('.').enumerate() {
        let [digit] = *digit.as_bytes() else { return None };
        let digit = char::from(digit).to_digit(16)?;
        bits |= u128::from(digit).checked_shl(4 * place as u32)?;
        count += 1;
    }
    (count == 32).then(|| Ipv6Addr::from_bits(bits).into())
}

/// What the sender of a multicast says of itself: its services, its model.
fn describe(packet: &Packet<'_>, message: &Message<'_>, claims: Sink<'_>) {
    for record in message.answers.iter().chain(&message.additional_records) {
        match &record.rdata {
            RData::PTR(to) => {
                let owner = text(&record.name);
                let service = match owner.as_slice() {
                    // The list of all services (RFC 6763 section 9).
                    b"_services._dns-sd._udp.local" => text(&to.0),
                    _ => owner,
                };
                let is_service =
                    service.ends_with(b"._tcp.local") || service.ends_with(b"._udp.local");
                if service.starts_with(b"_") && is_service {
                    Claim::says(packet.mac, Trait::Service, &service, Source::Mdns, claims);
                }
            }
            RData::TXT(text) => {
                if let Some(model) = model(text) {
                    Claim::says(packet.mac, Trait::Model, model, Source::Mdns, claims);
                }
            }
            _ => {}
        }
    }
}

/// The model in a TXT record: the keys of Google and AirPrint, then Apple's.
fn model<'a>(text: &'a TXT<'_>) -> Option<&'a [u8]> {
    let value = |wanted: &[u8]| {
        text.iter_raw()
            .find(|(key, _)| key.eq_ignore_ascii_case(wanted))
            .and_then(|(_, value)| value)
    };
    value(b"md").or_else(|| value(b"ty")).or_else(|| value(b"model"))
}

/// Groups have names as well.
fn claim(address: IpAddr, name: &[u8], source: Source, ttl: u32, claims: Sink<'_>) {
    if let Some(name) = Name::new(name)
        && !address.is_unspecified()
    {
        claims(Claim::Name { address, name, source, ttl: Some(ttl), is_shared: false });
    }
}

#[cfg(test)]
mod tests;
