//! Reading the fields of a message from the front of its bytes.

/// The bytes that have not been read yet. A read that asks for more than there is answers `None`
/// and takes nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bytes<'a>(pub(super) &'a [u8]);

impl<'a> Bytes<'a> {
    /// The next `length` bytes.
    pub(super) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    /// The next `length` bytes, or those of them that were captured.
    pub(super) fn take_captured(&mut self, length: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(length.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    pub(super) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(super) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// Whether nothing is left.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A name in labels (RFC 1035 section 3.1) with dots between them. DHCP does not use pointers, and
/// leaves out the empty label at the end of names that are not complete.
pub(super) fn labels(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut rest = Bytes(bytes);
    let mut name = Vec::new();
    while let Some(length) = rest.u8().filter(|&length| length > 0) {
        let label = rest.take(length.into())?;
        if length > 63 || label.contains(&b'.') {
            return None;
        }
        if !name.is_empty() {
            name.push(b'.');
        }
        name.extend_from_slice(label);
    }
    Some(name)
}

/// Hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_is_not_read() {
        let mut bytes = Bytes(&[1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(
            (bytes.u8(), bytes.u16(), bytes.u32()),
            (Some(1), Some(0x203), Some(0x405_0607))
        );
        assert_eq!((bytes.u16(), bytes.u32(), bytes.take(2)), (None, None, None));
        assert_eq!(bytes.take_captured(9), [8]);
        assert!(bytes.is_empty());
        assert_eq!(bytes.take(0), Some(&[][..]));
    }
}
