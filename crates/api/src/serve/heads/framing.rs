//! Framing of request bodies (RFC 9112, 6).

use super::{At, Fault};
use crate::refusal::because;

/// What follows a head with these fields.
pub(super) fn judge(codings: &[&[u8]], lengths: &[&[u8]], is_1_1: bool) -> Result<At, Fault> {
    if !codings.is_empty() {
        if !is_1_1 {
            return Err(Fault::malformed("HTTP/1.0 has no Transfer-Encoding"));
        }
        let [coding] = codings else { return Err(not_chunked_alone()) };
        if !coding.trim_ascii().eq_ignore_ascii_case(b"chunked") {
            return Err(not_chunked_alone());
        }
        if !lengths.is_empty() {
            return Err(Fault::malformed("Content-Length and Transfer-Encoding contradict each other"));
        }
        return Ok(At::Chunked(Chunks::default()));
    }
    let mut length = None;
    for text in lengths {
        let digits = std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let read: u64 = digits
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Fault::malformed("Content-Length is not a number of bytes"))?;
        if length.replace(read).is_some_and(|other| other != read) {
            return Err(Fault::malformed("conflicting values of Content-Length"));
        }
    }
    // The two highest numbers have a special meaning in hyper.
    match length.unwrap_or(0) {
        0 => Ok(At::Head),
        length if length > u64::MAX - 2 => Err(Fault::malformed("Content-Length is not a number of bytes")),
        length => Ok(At::Body(length)),
    }
}

fn not_chunked_alone() -> Fault {
    Fault::new(
        because::UNSUPPORTED_TRANSFER_CODING,
        "send the body with Content-Length, or with Transfer-Encoding: chunked and no other coding",
    )
}

/// Follows a chunked body to its end, in every spelling that hyper accepts and more.
#[derive(Debug, Default)]
pub(super) struct Chunks {
    at: Part,
    /// The size being read, or the remaining bytes of a chunk.
    size: u64,
}

#[derive(Debug, Default, Clone, Copy)]
enum Part {
    /// Digits of a size.
    #[default]
    Size,
    /// The rest of a size line.
    Extension,
    /// Bytes of a chunk.
    Data,
    /// The line break after a chunk.
    DataEnd,
    /// The first byte of a trailer line.
    TrailerStart,
    /// The rest of such a line.
    Trailer,
}

impl Chunks {
    /// Number of bytes that belong to the body, and whether it ended with them; an error if a size is unreadable.
    pub(super) fn follow(&mut self, bytes: &[u8]) -> Result<(usize, bool), ()> {
        let mut taken = 0;
        while let Some(byte) = bytes.get(taken).copied() {
            match (self.at, byte) {
                (Part::Data, _) => {
                    let piece = (bytes.len() - taken).min(usize::try_from(self.size).unwrap_or(usize::MAX));
                    self.size -= piece as u64;
                    taken += piece;
                    if self.size == 0 {
                        self.at = Part::DataEnd;
                    }
                    continue;
                }
                (Part::Size | Part::Extension, b'\n') => {
                    self.at = if self.size == 0 { Part::TrailerStart } else { Part::Data };
                }
                (Part::Size, byte) => match char::from(byte).to_digit(16) {
                    Some(digit) => {
                        let shifted = self.size.checked_mul(16).ok_or(())?;
                        self.size = shifted | u64::from(digit);
                    }
                    None => self.at = Part::Extension,
                },
                (Part::DataEnd, b'\n') => self.at = Part::Size,
                (Part::TrailerStart, b'\n') => {
                    return Ok((taken + 1, true));
                }
                (Part::TrailerStart, b'\r') => {}
                (Part::TrailerStart, _) => self.at = Part::Trailer,
                (Part::Trailer, b'\n') => self.at = Part::TrailerStart,
                (Part::Extension | Part::DataEnd | Part::Trailer, _) => {}
            }
            taken += 1;
        }
        Ok((taken, false))
    }
}
