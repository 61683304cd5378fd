//! The ClientHello of TLS (RFC 8446 section 4.1.2) as far as it names the server. TLS carries it in
//! records, QUIC in CRYPTO frames: both readers put its bytes together and ask here.

use super::bytes::Bytes;
use super::claim::Name;

/// The handshake message that this reads.
const CLIENT_HELLO: u8 = 1;
/// Extension server_name (RFC 6066 section 3).
const SERVER_NAME: u16 = 0;
/// Extension encrypted_client_hello (RFC 9849).
const ENCRYPTED_HELLO: u16 = 0xfe0d;
/// The longest message worth waiting for, bytes. Hellos with post-quantum keys take 2,000.
const LONGEST: usize = 16_384;

/// What the first bytes of a client say.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Hello {
    /// The hello is not complete.
    More,
    /// This is no hello.
    Never,
    /// The hello has been read.
    Found {
        /// The server that the client asks for; many clients do not say.
        name: Option<Name>,
        /// Whether the hello carries an encrypted one, whose server may be another. Browsers send
        /// random bytes in its place to servers without keys; nobody who listens can tell.
        is_shared: bool,
    },
}

/// Reads a message that begins with the handshake header (type and 24-bit length). It waits for the
/// complete message: the extensions come in any order, and each decides what the name is worth.
pub fn read(bytes: &[u8]) -> Hello {
    let mut rest = Bytes(bytes);
    match rest.u8() {
        None => return Hello::More,
        Some(CLIENT_HELLO) => {}
        Some(_) => return Hello::Never,
    }
    let Some([a, b, c]) = rest.array() else { return Hello::More };
    let length = u32::from_be_bytes([0, a, b, c]) as usize;
    // The version is 3.x in every hello, that of TLS 1.3 included.
    if length > LONGEST || rest.0.first().is_some_and(|&major| major != 3) {
        return Hello::Never;
    }
    let Some(body) = rest.take(length) else { return Hello::More };
    let mut found = Extensions::default();
    match found.read(Bytes(body)) {
        Some(()) => Hello::Found { name: found.name, is_shared: found.is_shared },
        None => Hello::Never,
    }
}

/// The same for a message of which no more will come, because the capture cut it: the name counts
/// if its extension is whole.
pub fn read_partial(bytes: &[u8]) -> Hello {
    match read(bytes) {
        Hello::More => {}
        whole => return whole,
    }
    let mut found = Extensions::default();
    let _ = found.read(Bytes(bytes.get(4..).unwrap_or_default()));
    match found.name {
        None => Hello::More,
        name => Hello::Found { name, is_shared: found.is_shared },
    }
}

/// What the extensions say, as far as they have been read.
#[derive(Default)]
struct Extensions {
    name: Option<Name>,
    is_shared: bool,
}

impl Extensions {
    /// Reads the body of a hello; `None` where it ends too early.
    fn read(&mut self, mut body: Bytes<'_>) -> Option<()> {
        let [major, _] = body.array()?;
        if major != 3 {
            return None;
        }
        body.take(32)?; // The random.
        let session = body.u8()?;
        body.take(session.into())?;
        let ciphers = body.u16()?;
        body.take(ciphers.into())?;
        let compressions = body.u8()?;
        body.take(compressions.into())?;
        // Old clients end here.
        if body.is_empty() {
            return Some(());
        }
        let length = body.u16()?;
        let is_cut = body.0.len() < length.into();
        let mut extensions = Bytes(body.take_captured(length.into()));
        while !extensions.is_empty() {
            let kind = extensions.u16()?;
            let length = extensions.u16()?;
            self.is_shared |= kind == ENCRYPTED_HELLO;
            let value = extensions.take(length.into())?;
            if kind == SERVER_NAME && self.name.is_none() {
                self.name = server_name(Bytes(value));
            }
        }
        (!is_cut).then_some(())
    }
}

/// The host name of a list of server names. A server's answer to it is an empty extension.
fn server_name(mut value: Bytes<'_>) -> Option<Name> {
    let length = value.u16()?;
    let mut list = Bytes(value.take(length.into())?);
    while !list.is_empty() {
        let kind = list.u8()?;
        let length = list.u16()?;
        let name = list.take(length.into())?;
        if kind == 0 {
            return Name::new(name);
        }
    }
    None
}

#[cfg(test)]
pub(super) mod tests {
    use proptest::prelude::*;

    use super::*;

    fn with_length16(bytes: &[u8]) -> Vec<u8> {
        [&(bytes.len() as u16).to_be_bytes()[..], bytes].concat()
    }

    pub(in super::super) fn extension(kind: u16, value: &[u8]) -> Vec<u8> {
        [&kind.to_be_bytes()[..], &with_length16(value)].concat()
    }

    pub(in super::super) fn server_name(name: &[u8]) -> Vec<u8> {
        extension(0, &with_length16(&[&[0][..], &with_length16(name)].concat()))
    }

    /// A hello with these extensions.
    pub(in super::super) fn hello(extensions: &[Vec<u8>]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([2, 1, 2]); // Session.
        body.extend([0, 4, 0x13, 1, 0x13, 2]); // Ciphers.
        body.extend([1, 0]); // Compression.
        body.extend(with_length16(&extensions.concat()));
        let mut message = (body.len() as u32).to_be_bytes().to_vec();
        message[0] = 1;
        message.extend(body);
        message
    }

    fn found(name: Option<&str>, is_shared: bool) -> Hello {
        Hello::Found { name: name.and_then(|name| Name::new(name.as_bytes())), is_shared }
    }

    #[test]
    fn the_name_of_a_whole_hello_is_found() {
        let groups = extension(10, &[0, 2, 0, 29]);
        let plain = hello(&[groups.clone(), server_name(b"WWW.Example.org")]);
        assert_eq!(read(&plain), found(Some("www.example.org"), false));
        // What follows is another message.
        assert_eq!(read(&[&plain[..], &[9, 9]].concat()), found(Some("www.example.org"), false));
        let hidden = extension(0xfe0d, &[0, 1, 2, 3]);
        for order in [[hidden.clone(), server_name(b"a.b")], [server_name(b"a.b"), hidden]] {
            assert_eq!(read(&hello(&order)), found(Some("a.b"), true));
        }
        assert_eq!(read(&hello(&[groups])), found(None, false));
        assert_eq!(read(&hello(&[server_name(b"a\x1b[2Jb")])), found(None, false));
        // Without extensions at all.
        let mut old = hello(&[]);
        old.truncate(old.len() - 2);
        old[3] -= 2;
        assert_eq!(read(&old), found(None, false));
    }

    #[test]
    fn a_part_waits_for_the_rest_unless_none_will_come() {
        let name = server_name(b"a.example");
        let whole = hello(&[name, extension(0xfe0d, &[1; 40])]);
        let named = whole.len() - 44;
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), Hello::More, "{length}");
            let partial = read_partial(&whole[..length]);
            match length {
                _ if length < named => assert_eq!(partial, Hello::More, "{length}"),
                // Four bytes later it shows that the name is an outer one.
                _ => assert_eq!(partial, found(Some("a.example"), length >= named + 4), "{length}"),
            }
        }
        assert_eq!(read_partial(&whole), read(&whole));
    }

    #[test]
    fn what_is_no_hello_is_told_at_once() {
        let good = hello(&[server_name(b"a.example")]);
        assert_eq!(read(&[2]), Hello::Never);
        assert_eq!(read(&[1, 0xff, 0xff, 0xff]), Hello::Never);
        assert_eq!(read(&[1, 0, 2, 0, 9]), Hello::Never);
        // A length inside that lies.
        for at in [38, 41, 47, 49, 53] {
            let mut bad = good.clone();
            bad[at] = 0xff;
            assert_eq!(read(&bad), Hello::Never, "{at}");
        }
        // Of the name: the hello is good, the name is not.
        let mut bad = good.clone();
        let at = good.len() - b"a.example".len() - 1;
        bad[at] = 0xff;
        assert_eq!(read(&bad), found(None, false));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            let _ = (read(&bytes), read_partial(&bytes));
            let header = [&[1, 0, 2, 0, 3, 3][..], &bytes].concat();
            let _ = (read(&header), read_partial(&header));
        }
    }
}
