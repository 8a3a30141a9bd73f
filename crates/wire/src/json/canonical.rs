//! Converts JSON text to canonical text in one pass: canonical stretches are copied in long runs, without a tree.

use std::ops::Range;

use super::escape::{escape_into, unescape};
use super::number;
use super::place::{JsonError, Problem, text_of};
use super::reader::Reader;
use super::tree::{deeper, duplicate};

type Result<T> = std::result::Result<T, Box<Problem>>;

/// Appends the canonical form of `text` to `out`: the result of JavaScript's `JSON.stringify(JSON.parse(text))`, except
/// that numbers not representable as a double keep their text. Rejects what [`super::parse`] rejects; `out` is then
/// unchanged.
pub fn canonicalize(text: &[u8], out: &mut String) -> std::result::Result<(), JsonError> {
    let before = out.len();
    document(text, out).map_err(|problem| {
        out.truncate(before);
        problem.placed(text)
    })
}

fn document(text: &[u8], out: &mut String) -> Result<()> {
    let text = text_of(text)?;
    out.reserve(text.len());
    let mut canonicalizer = Canonicalizer::new(text, out);
    canonicalizer.value(0)?;
    canonicalizer.end()
}

/// The value of a key that is an array index (`"0"` to `"4294967294"`, canonical form): JavaScript sorts these first.
pub(super) fn array_index(key: &str) -> Option<u32> {
    let canonical = match key.as_bytes() {
        [b'0'] => true,
        [b'1'..=b'9', rest @ ..] => rest.len() < 10 && rest.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    if !canonical {
        return None;
    }
    key.parse().ok().filter(|index| *index != u32::MAX)
}

/// A member of an object, as ranges of the canonical text.
#[derive(Clone)]
pub(crate) struct Member {
    /// The key, quotes included.
    pub(crate) key: Range<usize>,
    /// The value.
    pub(crate) value: Range<usize>,
    /// Position of the key in the text as sent.
    pub(crate) sent_at: usize,
}

/// Capacity for the members of open objects in a typical event.
const USUAL_MEMBERS: usize = 32;

/// Writes canonical text while reading.
///
/// Bytes from `run` to the reader's position are canonical but not yet copied: positions in the output are therefore
/// counted as if they were ([`Canonicalizer::place`]).
pub(crate) struct Canonicalizer<'a, 'o> {
    reader: Reader<'a>,
    out: &'o mut String,
    run: usize,
    /// Members of all open objects, the innermost object's last.
    members: Vec<Member>,
}

impl<'a, 'o> Canonicalizer<'a, 'o> {
    pub(crate) fn new(text: &'a str, out: &'o mut String) -> Canonicalizer<'a, 'o> {
        Canonicalizer { reader: Reader::new(text), out, run: 0, members: Vec::with_capacity(USUAL_MEMBERS) }
    }

    /// The reader's position in the text as sent.
    pub(crate) fn sent_at(&self) -> usize {
        self.reader.at
    }

    /// The next byte.
    pub(crate) fn peek(&self) -> Option<u8> {
        self.reader.peek()
    }

    /// The canonical text so far.
    pub(crate) fn text(&self) -> &str {
        self.out
    }

    /// Discards the canonical text so far, and its members.
    pub(crate) fn clear(&mut self) {
        self.out.clear();
        self.members.clear();
        self.run = self.reader.at;
    }

    fn place(&self) -> usize {
        self.out.len() + (self.reader.at - self.run)
    }

    /// Copies the pending canonical bytes.
    fn flush(&mut self) {
        self.flush_until(self.reader.at);
    }

    fn flush_until(&mut self, end: usize) {
        self.out.push_str(self.reader.text.get(self.run..end).unwrap_or_default());
        self.run = self.reader.at;
    }

    /// Drops white space.
    pub(crate) fn blanks(&mut self) {
        if self.reader.peek().is_some_and(|byte| byte <= b' ') {
            self.flush();
            self.reader.skip_blanks();
            self.run = self.reader.at;
        }
    }

    /// Consumes one required byte and keeps it.
    pub(crate) fn expect(&mut self, byte: u8, what: &str) -> Result<()> {
        self.reader.expect(byte, what)
    }

    /// Only white space may follow; completes the canonical text.
    pub(crate) fn end(&mut self) -> Result<()> {
        self.flush();
        self.reader.end()
    }

    /// Reads a value.
    pub(crate) fn value(&mut self, depth: usize) -> Result<()> {
        self.blanks();
        match self.reader.peek() {
            Some(b'"') => self.string(),
            Some(b'{') => {
                let start = self.place();
                let members = self.object(depth)?;
                self.order(start, members);
                self.members.truncate(members);
                Ok(())
            }
            Some(b'[') => self.array(depth),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.reader.word().map(|_| ()),
        }
    }

    /// Reads an object whose members matter to the caller: they are in [`Canonicalizer::members`] afterwards, in the
    /// order sent, with their text in [`Canonicalizer::text`].
    pub(crate) fn object_with_members(&mut self, depth: usize) -> Result<()> {
        self.object(depth).map(|_| ())
    }

    /// The members of the object last read by [`Canonicalizer::object_with_members`].
    pub(crate) fn members(&self) -> &[Member] {
        &self.members
    }

    fn string(&mut self) -> Result<()> {
        let start = self.reader.at;
        let string = self.reader.string()?;
        if !string.canonical {
            self.flush_until(start);
            escape_into(self.out, &unescape(string.raw));
        }
        Ok(())
    }

    fn number(&mut self) -> Result<()> {
        let start = self.reader.at;
        let sent = self.reader.number()?;
        let canonical = number::canonical(sent);
        if *canonical != *sent {
            self.flush_until(start);
            self.out.push_str(&canonical);
        }
        Ok(())
    }

    fn array(&mut self, depth: usize) -> Result<()> {
        let depth = deeper(&self.reader, depth)?;
        self.reader.at += 1;
        self.blanks();
        if self.reader.peek() == Some(b']') {
            self.reader.at += 1;
            return Ok(());
        }
        for index in 0.. {
            self.value(depth).map_err(|problem| problem.within_index(index))?;
            self.blanks();
            if self.reader.peek() != Some(b',') {
                break;
            }
            self.reader.at += 1;
        }
        self.reader.expect(b']', "`,` or `]`")
    }

    /// Reads an object; returns the index of its first member.
    fn object(&mut self, depth: usize) -> Result<usize> {
        let depth = deeper(&self.reader, depth)?;
        let first = self.members.len();
        self.reader.at += 1;
        self.blanks();
        if self.reader.peek() == Some(b'}') {
            self.reader.at += 1;
            self.flush();
            return Ok(first);
        }
        loop {
            self.blanks();
            let sent_at = self.reader.at;
            if self.reader.peek() != Some(b'"') {
                return Err(self.reader.expected("a key in double quotes"));
            }
            let key_start = self.place();
            self.string()?;
            let key = key_start..self.place();
            self.blanks();
            self.reader.expect(b':', "`:` after the key")?;
            self.blanks();
            let value_start = self.place();
            if let Err(problem) = self.value(depth) {
                self.flush();
                return Err(problem.within_key(self.key(&key)));
            }
            self.members.push(Member { key, value: value_start..self.place(), sent_at });
            self.blanks();
            if self.reader.peek() != Some(b',') {
                break;
            }
            self.reader.at += 1;
        }
        self.reader.expect(b'}', "`,` or `}`")?;
        self.flush();
        self.check_keys(first)?;
        Ok(first)
    }

    fn key(&self, range: &Range<usize>) -> String {
        let raw = self.out.get(range.start + 1..range.end - 1).unwrap_or_default();
        unescape(raw).into_owned()
    }

    /// Canonical texts of keys are equal exactly if the unescaped keys are.
    fn check_keys(&self, first: usize) -> Result<()> {
        let members = self.members.get(first..).unwrap_or_default();
        let text = self.out.as_bytes();
        let twice = if members.len() <= FEW {
            members.iter().enumerate().find(|(index, member)| {
                let key = &text[member.key.clone()];
                members[..*index].iter().any(|earlier| text[earlier.key.clone()] == *key)
            })
        } else {
            let mut order: Vec<(usize, &Member)> = members.iter().enumerate().collect();
            order.sort_by_key(|(_, member)| &text[member.key.clone()]);
            let again = order.windows(2).filter(|pair| text[pair[0].1.key.clone()] == text[pair[1].1.key.clone()]);
            again.map(|pair| pair[1]).min_by_key(|(index, _)| *index)
        };
        match twice {
            None => Ok(()),
            Some((_, member)) => Err(duplicate(member.sent_at, &self.key(&member.key))),
        }
    }

    /// Moves array indices to the front of the object that begins at `start` and was just closed.
    fn order(&mut self, start: usize, first: usize) {
        let members = self.members.get(first..).unwrap_or_default();
        let text = self.out.as_bytes();
        if !members.iter().any(|member| text.get(member.key.start + 1).is_some_and(u8::is_ascii_digit)) {
            return;
        }
        // Index keys contain no escapes, so their canonical text is their value.
        let rank = |member: &Member| {
            let key = self.out.get(member.key.start + 1..member.key.end - 1).unwrap_or_default();
            array_index(key).map_or(u64::MAX, u64::from)
        };
        if members.is_sorted_by_key(rank) {
            return;
        }
        let mut order: Vec<&Member> = members.iter().collect();
        order.sort_by_key(|member| rank(member));
        let mut ordered = String::with_capacity(self.out.len() - start);
        for member in order {
            ordered.push(if ordered.is_empty() { '{' } else { ',' });
            ordered.push_str(&self.out[member.key.start..member.value.end]);
        }
        ordered.push('}');
        self.out.truncate(start);
        self.out.push_str(&ordered);
    }
}

/// Up to this many keys are compared pairwise; beyond, sorting is faster and safe from crafted input.
const FEW: usize = 16;
