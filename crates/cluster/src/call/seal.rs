//! Seals of calls and answers: HMAC-SHA256 with keys derived from the master keys.
//!
//! A call is sealed once with each key of the caller, and accepted if one of the seals is by a key of the listener. So
//! keys are rotated node by node: two nodes always have one in common. The answer is sealed with that key, over the
//! seal of the call as well, so it is the answer to this call.

use std::fmt::Write as _;

use aws_lc_rs::hmac::{self, Key};
use domain::Timestamp;
use http::{Method, StatusCode};
use store::{NodeId, Vault};

/// Purpose of the derived keys.
const PURPOSE: &str = "calls between nodes";
/// Maximum number of seals that are looked at.
const MOST_SEALS: usize = 16;
/// Bytes of a seal.
const SIZE: usize = 32;

/// The keys of a node: the current one, then older ones.
#[derive(Clone)]
pub struct Keys(Vec<Key>);

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Keys({})", self.0.len())
    }
}

/// What a call's seal covers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed<'a> {
    pub(crate) method: &'a Method,
    pub(crate) path: &'a str,
    /// The node that is called: another one must not answer in its place.
    pub(crate) to: NodeId,
    pub(crate) time: Timestamp,
    pub(crate) body: &'a [u8],
}

/// A seal.
pub(crate) type Seal = [u8; SIZE];

/// A key of the listener, and the call's seal with it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opened {
    key: usize,
    seal: Seal,
}

impl Keys {
    /// The keys that follow from those of a vault.
    pub fn of(vault: &Vault) -> Keys {
        Keys(vault.mac_keys(PURPOSE))
    }

    /// Seals a call, once per key.
    pub(crate) fn seal(&self, call: Sealed<'_>) -> Vec<Seal> {
        self.0.iter().map(|key| call.seal(key)).collect()
    }

    /// Checks a call's seals; `None` if none is right.
    pub(crate) fn open(&self, call: Sealed<'_>, seals: &[Seal]) -> Option<Opened> {
        self.0.iter().enumerate().find_map(|(key, with)| {
            let seal = call.seal(with);
            seals.iter().any(|sent| is_same(sent, &seal)).then_some(Opened { key, seal })
        })
    }

    /// Seals the answer to a call.
    pub(crate) fn seal_answer(&self, to: Opened, status: StatusCode, body: &[u8]) -> Option<Seal> {
        Some(bytes(answer(self.0.get(to.key)?, &to.seal, status, body)))
    }

    /// Whether an answer is genuine: `seals` are those of the call.
    pub(crate) fn is_answer(&self, seals: &[Seal], status: StatusCode, body: &[u8], seal: &Seal) -> bool {
        self.0.iter().zip(seals).any(|(key, call)| is_same(&bytes(answer(key, call, status, body)), seal))
    }
}

impl Sealed<'_> {
    fn seal(&self, key: &Key) -> Seal {
        let mut context = hmac::Context::with_key(key);
        // No piece before the body can contain a line break.
        let head = format!("call 1\n{}\n{}\n{}\n{}\n", self.method, self.path, self.to, self.time.as_micros());
        context.update(head.as_bytes());
        context.update(self.body);
        bytes(context.sign())
    }
}

fn answer(key: &Key, call: &Seal, status: StatusCode, body: &[u8]) -> hmac::Tag {
    let mut context = hmac::Context::with_key(key);
    context.update(b"answer 1\n");
    context.update(call);
    context.update(format!("\n{}\n", status.as_u16()).as_bytes());
    context.update(body);
    context.sign()
}

fn bytes(tag: hmac::Tag) -> Seal {
    let mut seal = [0; SIZE];
    seal.copy_from_slice(tag.as_ref());
    seal
}

/// Compares in constant time.
fn is_same(one: &Seal, other: &Seal) -> bool {
    aws_lc_rs::constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// Seals as a header value.
pub(crate) fn write(seals: &[Seal]) -> String {
    let mut text = String::with_capacity(seals.len() * (2 * SIZE + 1));
    for (index, seal) in seals.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        for byte in seal {
            // Writing to a string cannot fail.
            _ = write!(text, "{byte:02x}");
        }
    }
    text
}

/// Seals from a header value, as far as they are well-formed.
pub(crate) fn read(text: &str) -> Vec<Seal> {
    text.split(',').take(MOST_SEALS).filter_map(|seal| one(seal.trim())).collect()
}

fn one(text: &str) -> Option<Seal> {
    if text.len() != 2 * SIZE || !text.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    let mut seal = [0; SIZE];
    for (index, byte) in seal.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(seal)
}

#[cfg(test)]
mod tests {
    use store::vault::MasterKey;

    use super::*;

    fn keys(ids: &[u8]) -> Keys {
        let key = |id: &u8| MasterKey::new(&format!("key-{id}"), &[*id; 32]).unwrap();
        Keys::of(&Vault::new(key(&ids[0]), ids[1..].iter().map(key)).unwrap())
    }

    fn call(to: NodeId) -> Sealed<'static> {
        Sealed { method: &Method::POST, path: "/a", to, time: Timestamp::from_micros(7), body: b"body" }
    }

    #[test]
    fn a_seal_covers_all_of_a_call() {
        let (keys, to) = (keys(&[1]), NodeId::generate());
        let seals = keys.seal(call(to));
        assert!(keys.open(call(to), &seals).is_some());
        let others = [
            Sealed { method: &Method::GET, ..call(to) },
            Sealed { path: "/b", ..call(to) },
            Sealed { time: Timestamp::from_micros(8), ..call(to) },
            Sealed { body: b"bodY", ..call(to) },
            call(NodeId::generate()),
        ];
        for other in others {
            assert!(keys.open(other, &seals).is_none(), "{other:?}");
        }
    }

    #[test]
    fn one_common_key_is_enough_in_both_directions() {
        let to = NodeId::generate();
        let check = |caller: &[u8], listener: &[u8], expect: bool| {
            let (caller, listener) = (keys(caller), keys(listener));
            let seals = caller.seal(call(to));
            let opened = listener.open(call(to), &seals);
            assert_eq!(opened.is_some(), expect);
            let Some(opened) = opened else { return };
            let seal = listener.seal_answer(opened, StatusCode::OK, b"yes").unwrap();
            assert!(caller.is_answer(&seals, StatusCode::OK, b"yes", &seal));
            assert!(!caller.is_answer(&seals, StatusCode::OK, b"no", &seal));
            assert!(!caller.is_answer(&seals, StatusCode::CONFLICT, b"yes", &seal));
            let of_another = caller.seal(Sealed { time: Timestamp::from_micros(8), ..call(to) });
            assert!(!caller.is_answer(&of_another, StatusCode::OK, b"yes", &seal), "the answer to another call");
        };
        check(&[1], &[1], true);
        check(&[2, 1], &[1], true);
        check(&[1], &[2, 1], true);
        check(&[3, 2], &[2, 1], true);
        check(&[1], &[2], false);
    }

    #[test]
    fn seals_are_written_in_hex() {
        let seals = [[0xab; SIZE], [1; SIZE]];
        assert_eq!(read(&write(&seals)), seals);
        assert_eq!(read("zz"), Vec::<Seal>::new());
        assert_eq!(read(&"+".repeat(64)), Vec::<Seal>::new());
        assert_eq!(read(&vec!["00".repeat(32); 99].join(",")).len(), MOST_SEALS);
    }
}
