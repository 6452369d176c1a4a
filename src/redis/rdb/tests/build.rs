//! Writes files by the description of the format, with the encodings that no server of today writes.

use super::checks::checksum;

/// A file in the making.
#[derive(Clone)]
pub(super) struct File {
    version: u32,
    pub(super) bytes: Vec<u8>,
}

impl File {
    pub(super) fn new(version: u32) -> Self {
        Self { version, bytes: format!("REDIS{version:04}").into_bytes() }
    }

    /// A file of the newest version with one key `k`.
    pub(super) fn of(kind: u8, body: &[u8]) -> Vec<u8> {
        Self::new(12).key(kind, b"k", body).end()
    }

    pub(super) fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    pub(super) fn key(self, kind: u8, key: &[u8], body: &[u8]) -> Self {
        self.raw(&[kind]).raw(&text(key)).raw(body)
    }

    /// With the checksum, if the version has one.
    pub(super) fn end(self) -> Vec<u8> {
        let version = self.version;
        let bytes = self.raw(&[255]).bytes;
        if version < 5 { bytes } else { [bytes.as_slice(), &checksum(&bytes).to_le_bytes()].concat() }
    }
}

/// A length in its shortest form.
pub(super) fn length(length: usize) -> Vec<u8> {
    match length {
        0..64 => vec![u8::try_from(length).unwrap()],
        64..16_384 => (u16::try_from(length).unwrap() | 0x4000).to_be_bytes().to_vec(),
        _ => [&[0x80][..], &u32::try_from(length).unwrap().to_be_bytes()].concat(),
    }
}

/// A length of eight bytes.
pub(super) fn long(length: u64) -> Vec<u8> {
    [&[0x81][..], &length.to_be_bytes()].concat()
}

pub(super) fn text(text: &[u8]) -> Vec<u8> {
    [length(text.len()).as_slice(), text].concat()
}

pub(super) fn texts(texts: &[&[u8]]) -> Vec<u8> {
    texts.iter().flat_map(|one| text(one)).collect()
}

/// A compressed string that says to be `full` bytes long.
pub(super) fn lzf(compressed: &[u8], full: usize) -> Vec<u8> {
    [&[0xc3][..], &length(compressed.len()), &length(full), compressed].concat()
}

/// An element before it is packed.
#[derive(Clone, Copy)]
pub(super) enum Item<'a> {
    Text(&'a [u8]),
    /// In so many bits.
    Number(i64, u32),
}

pub(super) fn listpack(items: &[Item]) -> Vec<u8> {
    let mut body = Vec::new();
    for item in items {
        let element = listpack_element(*item);
        let mut backward = element.len();
        let mut groups = vec![u8::try_from(backward & 127).unwrap()];
        // The writer takes one byte more than it needs at the upper end of each size.
        for bound in [127, 16_382, 2_097_150] {
            if element.len() > bound {
                backward >>= 7;
                groups.push(u8::try_from(backward & 127).unwrap());
            }
        }
        groups.reverse();
        for group in groups.iter_mut().skip(1) {
            *group |= 128;
        }
        body.extend_from_slice(&element);
        body.extend_from_slice(&groups);
    }
    let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
    let all = u32::try_from(body.len() + 7).unwrap();
    [all.to_le_bytes().as_slice(), &count.to_le_bytes(), &body, &[255]].concat()
}

fn listpack_element(item: Item) -> Vec<u8> {
    match item {
        Item::Text(text) if text.len() < 64 => [&[0x80 | u8::try_from(text.len()).unwrap()], text].concat(),
        Item::Text(text) if text.len() < 4_096 => {
            [&(0xe000 | u16::try_from(text.len()).unwrap()).to_be_bytes(), text].concat()
        }
        Item::Text(text) => [&[0xf0][..], &u32::try_from(text.len()).unwrap().to_le_bytes(), text].concat(),
        Item::Number(number, 7) => vec![u8::try_from(number).unwrap()],
        Item::Number(number, 13) => {
            let [.., high, low] = number.to_be_bytes();
            vec![0xc0 | (high & 0x1f), low]
        }
        Item::Number(number, bits) => {
            let bytes = number.to_le_bytes();
            let (mark, count) = match bits {
                16 => (0xf1, 2),
                24 => (0xf2, 3),
                32 => (0xf3, 4),
                _ => (0xf4, 8),
            };
            [&[mark], &bytes[..count]].concat()
        }
    }
}

pub(super) fn ziplist(items: &[Item]) -> Vec<u8> {
    let (mut body, mut before, mut last) = (Vec::new(), 0, 10);
    for item in items {
        last = 10 + body.len();
        let mut element = match u8::try_from(before) {
            Ok(short) if short < 254 => vec![short],
            _ => [&[254][..], &u32::try_from(before).unwrap().to_le_bytes()].concat(),
        };
        element.extend_from_slice(&ziplist_element(*item));
        before = element.len();
        body.extend_from_slice(&element);
    }
    let count = u16::try_from(items.len()).unwrap_or(u16::MAX);
    let (all, last) = (u32::try_from(body.len() + 11).unwrap(), u32::try_from(last).unwrap());
    [all.to_le_bytes().as_slice(), &last.to_le_bytes(), &count.to_le_bytes(), &body, &[255]].concat()
}

fn ziplist_element(item: Item) -> Vec<u8> {
    match item {
        Item::Text(text) if text.len() < 64 => [&[u8::try_from(text.len()).unwrap()], text].concat(),
        Item::Text(text) if text.len() < 16_384 => {
            [&(0x4000 | u16::try_from(text.len()).unwrap()).to_be_bytes(), text].concat()
        }
        Item::Text(text) => [&[0x80][..], &u32::try_from(text.len()).unwrap().to_be_bytes(), text].concat(),
        Item::Number(number, 4) => vec![0xf1 + u8::try_from(number).unwrap()],
        Item::Number(number, bits) => {
            let bytes = number.to_le_bytes();
            let (mark, count) = match bits {
                8 => (0xfe, 1),
                16 => (0xc0, 2),
                24 => (0xf0, 3),
                32 => (0xd0, 4),
                _ => (0xe0, 8),
            };
            [&[mark], &bytes[..count]].concat()
        }
    }
}

/// Pairs of a name and a value, with so many unused bytes behind each value.
pub(super) fn zipmap(pairs: &[(&[u8], &[u8])], unused: u8) -> Vec<u8> {
    let length = |text: &[u8]| match u8::try_from(text.len()) {
        Ok(short) if short < 254 => vec![short],
        _ => [&[254][..], &u32::try_from(text.len()).unwrap().to_le_bytes()].concat(),
    };
    let mut bytes = vec![u8::try_from(pairs.len()).unwrap_or(254).min(254)];
    for (name, value) in pairs {
        bytes.extend_from_slice(&length(name));
        bytes.extend_from_slice(name);
        bytes.extend_from_slice(&length(value));
        bytes.push(unused);
        bytes.extend_from_slice(value);
        bytes.extend(std::iter::repeat_n(0xaa, usize::from(unused)));
    }
    bytes.push(255);
    bytes
}
