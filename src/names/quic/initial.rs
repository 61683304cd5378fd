//! The first packets of a QUIC connection, and their protection (RFC 9001 section 5). The keys
//! follow from the connection ID that the client makes up, which everybody on the way can read: the
//! protection keeps off accidents, not listeners.

use aes_gcm::Aes128Gcm;
use aes_gcm::aead::{AeadInOut, KeyInit};
use aes_gcm::aes::Aes128;
use aes_gcm::aes::cipher::BlockCipherEncrypt;
use hkdf::Hkdf;
use sha2::Sha256;

use super::super::bytes::Bytes;

/// What a version of QUIC mixes into the keys.
pub(super) struct Recipe {
    salt: [u8; 20],
    /// Labels of key, initialisation vector and header protection.
    labels: [&'static str; 3],
}

const FIRST_LABELS: [&str; 3] = ["quic key", "quic iv", "quic hp"];

/// RFC 9001 section 5.2.
const V1: Recipe = Recipe {
    salt: [
        0x38, 0x76, 0x2c, 0xf7, 0xf5, 0x59, 0x34, 0xb3, 0x4d, 0x17, 0x9a, 0xe6, 0xa4, 0xc8, 0x0c,
        0xad, 0xcc, 0xbb, 0x7f, 0x0a,
    ],
    labels: FIRST_LABELS,
};

/// RFC 9369 section 3.3.
const V2: Recipe = Recipe {
    salt: [
        0x0d, 0xed, 0xe3, 0xde, 0xf7, 0x00, 0xa6, 0xdb, 0x81, 0x93, 0x81, 0xbe, 0x6e, 0x26, 0x9d,
        0xcb, 0xf9, 0xbd, 0x2e, 0xd9,
    ],
    labels: ["quicv2 key", "quicv2 iv", "quicv2 hp"],
};

/// draft-ietf-quic-tls-29 section 5.2, up to draft 32.
const DRAFT_29: Recipe = Recipe {
    salt: [
        0xaf, 0xbf, 0xec, 0x28, 0x99, 0x93, 0xd2, 0x4c, 0x9e, 0x97, 0x86, 0xf1, 0x9c, 0x61, 0x11,
        0xe0, 0x43, 0x90, 0xa8, 0x99,
    ],
    labels: FIRST_LABELS,
};

/// draft-ietf-quic-tls-23 section 5.2, up to draft 28.
const DRAFT_23: Recipe = Recipe {
    salt: [
        0xc3, 0xee, 0xf7, 0x12, 0xc7, 0x2e, 0xbb, 0x5a, 0x11, 0xa7, 0xd2, 0x43, 0x2b, 0xb4, 0x63,
        0x65, 0xbe, 0xf9, 0xf5, 0x02,
    ],
    labels: FIRST_LABELS,
};

/// What Chrome spoke in 2020, T051.
const T051: Recipe = Recipe {
    salt: [
        0x7a, 0x4e, 0xde, 0xf4, 0xe7, 0xcc, 0xee, 0x5f, 0xa4, 0x50, 0x6c, 0x19, 0x12, 0x4f, 0xc8,
        0xcc, 0xda, 0x6e, 0x03, 0x3d,
    ],
    labels: FIRST_LABELS,
};

const VERSION_2: u32 = 0x6b33_43cf;

/// The recipes that a version may follow; none of an unknown version.
fn recipes(version: u32) -> &'static [Recipe] {
    match version {
        1 | 0xff00_0021 | 0xff00_0022 => &[V1],
        VERSION_2 => &[V2],
        0xff00_001d..=0xff00_0020 => &[DRAFT_29],
        // The last two are Facebook's, which follow draft 27.
        0xff00_0017..=0xff00_001c | 0xface_b002 | 0xface_b00e => &[DRAFT_23],
        0x5430_3531 => &[T051],
        // A client that wants to see how a server refuses a version (RFC 9000 section 15) uses the
        // keys of the version that it would rather speak.
        _ if version & 0x0f0f_0f0f == 0x0a0a_0a0a => &[V1, DRAFT_29],
        _ => &[],
    }
}

/// One packet with a long header (RFC 9000 section 17.2).
pub(super) struct LongPacket<'a> {
    pub(super) version: u32,
    /// The connection ID that stands for the receiver.
    pub(super) destination: &'a [u8],
    /// Whether it is an Initial. Others of the handshake have keys that cannot be known.
    pub(super) is_initial: bool,
    /// All of the packet, and where its number begins.
    bytes: &'a [u8],
    number_at: usize,
}

/// Takes the next packet from a datagram, which may carry several; `None` if the rest is none with
/// a long header, a length and a known version, or if the capture cut it.
pub(super) fn split<'a>(datagram: &mut Bytes<'a>) -> Option<LongPacket<'a>> {
    let whole = datagram.0;
    let mut rest = *datagram;
    let first = rest.u8()?;
    let version = rest.u32()?;
    if first & 0xc0 != 0xc0 || recipes(version).is_empty() {
        return None;
    }
    let destination = connection_id(&mut rest)?;
    connection_id(&mut rest)?;
    // Version 2 counts the types from another one on.
    let shift = if version == VERSION_2 { 3 } else { 0 };
    let kind = ((first >> 4) + shift) & 3;
    match kind {
        0 => {
            let token = varint(&mut rest)?;
            rest.take(usize::try_from(token).ok()?)?;
        }
        // A Retry carries nothing but a token.
        3 => return None,
        _ => {}
    }
    let length = varint(&mut rest)?;
    let number_at = whole.len() - rest.0.len();
    rest.take(usize::try_from(length).ok()?)?;
    let bytes = whole.get(..whole.len() - rest.0.len())?;
    *datagram = rest;
    Some(LongPacket { version, destination, is_initial: kind == 0, bytes, number_at })
}

fn connection_id<'a>(rest: &mut Bytes<'a>) -> Option<&'a [u8]> {
    let length = rest.u8().filter(|&length| length <= 20)?;
    rest.take(length.into())
}

/// A number whose first two bits say how long it is (RFC 9000 section 16).
pub(super) fn varint(rest: &mut Bytes<'_>) -> Option<u64> {
    let first = *rest.0.first()?;
    let bytes = rest.take(1 << (first >> 6))?;
    let value = bytes.iter().fold(0, |value: u64, &byte| value << 8 | u64::from(byte));
    Some(value & (u64::MAX >> 2 >> (64 - 8 * bytes.len())))
}

/// The keys of a client's Initials.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Keys {
    key: [u8; 16],
    iv: [u8; 12],
    header: [u8; 16],
}

impl Keys {
    /// The keys that a packet may be protected with if it is the first of its connection.
    pub(super) fn of(packet: &LongPacket<'_>) -> impl Iterator<Item = Keys> {
        recipes(packet.version).iter().filter_map(|recipe| Keys::new(recipe, packet.destination))
    }

    /// `None` never: all lengths are right.
    fn new(recipe: &Recipe, id: &[u8]) -> Option<Keys> {
        let initial = Hkdf::<Sha256>::new(Some(&recipe.salt), id);
        let client: [u8; 32] = expand(&initial, "client in")?;
        let client = Hkdf::<Sha256>::from_prk(&client).ok()?;
        let [key, iv, header] = recipe.labels;
        Some(Keys {
            key: expand(&client, key)?,
            iv: expand(&client, iv)?,
            header: expand(&client, header)?,
        })
    }

    /// The frames of a packet, if these are its keys.
    pub(super) fn open(&self, packet: &LongPacket<'_>) -> Option<Vec<u8>> {
        // The number is 1 to 4 bytes long. The sample begins where the longest would end.
        let (clear, protected) = packet.bytes.split_at_checked(packet.number_at)?;
        let sample: [u8; 16] = *protected.get(4..)?.first_chunk()?;
        let mut mask = sample.into();
        Aes128::new(&self.header.into()).encrypt_block(&mut mask);
        let [of_first, of_number @ ..] = <[u8; 16]>::from(mask);

        let mut header = clear.to_vec();
        let first = header.first_mut()?;
        *first ^= of_first & 0x0f;
        let length = usize::from(*first & 3) + 1;
        let (number, body) = protected.split_at_checked(length)?;
        header.extend(number.iter().zip(of_number).map(|(byte, mask)| byte ^ mask));
        let mut nonce = self.iv;
        for (byte, number) in nonce.iter_mut().rev().zip(header.iter().rev().take(length)) {
            *byte ^= number;
        }

        let (body, tag) = body.split_last_chunk::<16>()?;
        let mut frames = body.to_vec();
        let buffer = frames.as_mut_slice().into();
        let cipher = Aes128Gcm::new(&self.key.into());
        cipher.decrypt_inout_detached(&nonce.into(), &header, buffer, tag.into()).ok()?;
        Some(frames)
    }
}

/// HKDF-Expand-Label of TLS (RFC 8446 section 7.1), without a context.
fn expand<const N: usize>(secret: &Hkdf<Sha256>, label: &str) -> Option<[u8; N]> {
    let length = u16::try_from(N).ok()?.to_be_bytes();
    let prefix = [u8::try_from("tls13 ".len() + label.len()).ok()?];
    let mut key = [0; N];
    let info: [&[u8]; 5] = [&length, &prefix, b"tls13 ", label.as_bytes(), &[0]];
    secret.expand_multi_info(&info, &mut key).ok()?;
    Some(key)
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    pub(in super::super) fn unhex(text: &str) -> Vec<u8> {
        let digits: Vec<u8> =
            text.chars().filter_map(|c| c.to_digit(16)).map(|digit| digit as u8).collect();
        digits.as_chunks::<2>().0.iter().map(|[high, low]| high << 4 | low).collect()
    }

    /// A client's Initial that is the first with this ID, as a client makes it. `salt_of` is the
    /// version whose keys it uses.
    pub(in super::super) fn seal(
        (version, salt_of): (u32, u32),
        [first_id, id, own_id, token]: [&[u8]; 4],
        number: &[u8],
        frames: &[u8],
    ) -> Vec<u8> {
        let keys = Keys::new(&recipes(salt_of)[0], first_id).unwrap();
        let kind = if version == VERSION_2 { 0xd0 } else { 0xc0 };
        let mut header = vec![kind | (number.len() as u8 - 1)];
        header.extend(version.to_be_bytes());
        for part in [id, own_id, token] {
            header.push(part.len() as u8);
            header.extend(part);
        }
        let length = 0x4000 | (number.len() + frames.len() + 16) as u16;
        header.extend(length.to_be_bytes());
        let number_at = header.len();
        header.extend(number);
        let mut nonce = keys.iv;
        nonce.iter_mut().rev().zip(number.iter().rev()).for_each(|(byte, number)| *byte ^= number);
        let mut body = frames.to_vec();
        let tag = Aes128Gcm::new(&keys.key.into())
            .encrypt_inout_detached(&nonce.into(), &header, body.as_mut_slice().into())
            .unwrap();
        let mut packet = [&header[..], &body, &tag].concat();
        let sample: [u8; 16] = packet[number_at + 4..][..16].try_into().unwrap();
        let mut mask = sample.into();
        Aes128::new(&keys.header.into()).encrypt_block(&mut mask);
        packet[0] ^= mask[0] & 0x0f;
        for (at, mask) in (number_at..header.len()).zip(&mask[1..]) {
            packet[at] ^= mask;
        }
        packet
    }

    const ID: &str = "8394c8f03e515708";
    /// The CRYPTO frame of RFC 9001 appendix A.2, which RFC 9369 uses, too.
    const FRAME: &str = "060040f1010000ed0303ebf8fa56f12939b9584a3896472ec40bb863cfd3e86804fe3a47
        f06a2b69484c00000413011302010000c000000010000e00000b6578616d706c652e636f6dff01000100000a00
        080006001d0017001800100007000504616c706e000500050100000000003300260024001d00209370b2c9caa4
        7fbabaf4559fedba753de171fa71f50f1ce15d43e994ec74d748002b0003020304000d0010000e040305030603
        0203080408050806002d00020101001c00024001003900320408ffffffffffffffff05048000ffff07048000ff
        ff0801100104800075300901100f088394c8f03e51570806048000ffff";

    /// Makes the packet of an appendix and opens it again.
    fn assert_vector(version: u32, keys: [&str; 3], begins: &str, ends: &str) {
        let [key, iv, header] = keys.map(unhex);
        let id = unhex(ID);
        let made = Keys::new(&recipes(version)[0], &id).unwrap();
        assert_eq!(made.key[..], key);
        assert_eq!(made.iv[..], iv);
        assert_eq!(made.header[..], header);
        let mut frames = unhex(FRAME);
        frames.resize(1162, 0);
        let sealed = seal((version, version), [&id, &id, &[], &[]], &[0, 0, 0, 2], &frames);
        assert_eq!(sealed.len(), 1200);
        assert!(sealed.starts_with(&unhex(begins)));
        assert!(sealed.ends_with(&unhex(ends)));
        let packet = split(&mut Bytes(&sealed)).unwrap();
        assert_eq!((packet.destination, packet.is_initial), (&id[..], true));
        assert_eq!(Keys::of(&packet).next(), Some(made.clone()));
        assert_eq!(made.open(&packet), Some(frames));
    }

    #[test]
    fn appendix_a_of_rfc_9001() {
        let keys = [
            "1f369613dd76d5467730efcbe3b1a22d",
            "fa044b2f42a3fd3b46fb255c",
            "9f50449e04a0e810283a1e9933adedd2",
        ];
        let begins = "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11
            d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f63300099f399";
        assert_vector(1, keys, begins, "e221af44860018ab0856972e194cd934");
    }

    #[test]
    fn appendix_a_of_rfc_9369() {
        let keys = [
            "8b1a0bc121284290a29e0971b5cd045d",
            "91f73e2351d8fa91660e909f",
            "45b95e15235d6f45a6b19cbcb0294ba9",
        ];
        let begins = "d76b3343cf088394c8f03e5157080000449ea0c95e82ffe67b6abcdb4298b485
            dd04de806071bf03dceebfa162e75d6c96058bdbfb127cdfcbf903388e99ad04";
        assert_vector(VERSION_2, keys, begins, "a18b2faa745b6fe189cf772a9f84cbfc");
    }

    #[test]
    fn numbers_say_how_long_they_are() {
        // RFC 9000 appendix A.1.
        for (bytes, number) in [
            ("c2197c5eff14e88c", 151_288_809_941_952_652),
            ("9d7f3e7d", 494_878_333),
            ("7bbd", 15_293),
            ("25", 37),
            ("4025", 37),
        ] {
            assert_eq!(varint(&mut Bytes(&unhex(bytes))), Some(number));
        }
        assert_eq!(varint(&mut Bytes(&[0xc0, 1, 2])), None);
        assert_eq!(varint(&mut Bytes(&[])), None);
    }

    #[test]
    fn a_packet_that_was_changed_does_not_open() {
        let id = unhex(ID);
        let sealed = seal((1, 1), [&id, &id, b"me", b"token"], &[7], &unhex(FRAME));
        assert!(split(&mut Bytes(&sealed)).is_some());
        for at in 0..sealed.len() {
            let mut bad = sealed.clone();
            bad[at] ^= 0x41;
            let packet = split(&mut Bytes(&bad));
            let opens = |packet| Keys::of(&packet).any(|keys| keys.open(&packet).is_some());
            assert!(!packet.is_some_and(opens), "{at}");
        }
        for length in 0..sealed.len() {
            assert!(split(&mut Bytes(&sealed[..length])).is_none());
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(first in any::<u8>(), version in 0..3u32,
                              bytes in prop::collection::vec(any::<u8>(), 0..99)) {
            let version = [1, VERSION_2, 0x1a2a_3a4a][version as usize];
            let datagram = [&[first][..], &version.to_be_bytes(), &bytes].concat();
            let mut rest = Bytes(&datagram);
            while let Some(packet) = split(&mut rest) {
                Keys::of(&packet).for_each(|keys| assert_eq!(keys.open(&packet), None));
            }
        }
    }
}
