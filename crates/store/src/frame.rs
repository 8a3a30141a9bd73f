//! A frame: many events of one PIM and one commit, as the bytes of one row (or one message of a replicated log).
//!
//! ```text
//! version u8 | checksum u32 LE | count | accepted_at of the first | events…
//! event: accepted_at − first one | lengths of id, type, time, extensions, data | cut | trace (version 2) | text
//! cut: 0, or start + 1 and length of the product's identifier in data
//! trace: 0, or 1, trace id of the event's request (16 bytes), its span (8 bytes), and whether it is recorded (1 byte)
//! ```
//!
//! Numbers are LEB128, times zigzag. Positions are not stored: the events of a frame are contiguous.

use std::ops::Range;
use std::sync::Arc;

use domain::event::EventParts;
use domain::trace_parent::TraceParent;
use domain::{Event, LoggedEvent, PimId, Position, Timestamp};

/// Without traces: readable by older versions of the platform.
const PLAIN: u8 = 1;
/// With traces of requests.
const TRACED: u8 = 2;
/// The newest format that this version reads.
pub const NEWEST: u32 = TRACED as u32;
/// Maximum number of events per frame, so that reading one of them is cheap.
pub const MAX_EVENTS: usize = 256;
/// Maximum number of event bytes per frame; a single event may be larger.
pub const MAX_BYTES: usize = 64 << 10;

/// An unreadable frame.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum FrameError {
    /// Written by a newer version of the platform.
    #[error("frame format {0} is not known; this version reads up to format {TRACED}")]
    Unknown(u8),
    /// Damaged data.
    #[error("the frame is damaged: {0}")]
    Damaged(&'static str),
}

/// Splits a run of events into pieces of at most one frame.
pub fn split<T: AsRef<LoggedEvent>>(mut events: &[T]) -> impl Iterator<Item = &[T]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |event: &T| {
            bytes += event.as_ref().event.size();
            bytes <= MAX_BYTES
        };
        let count = events.iter().take(MAX_EVENTS).map(fits).take_while(|fits| *fits).count();
        let (piece, rest) = events.split_at(count.max(1).min(events.len()));
        events = rest;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Encodes contiguous events.
pub fn encode<T: AsRef<LoggedEvent>>(events: &[T]) -> Vec<u8> {
    let text: usize = events.iter().map(|event| event.as_ref().event.size()).sum();
    let mut out = Vec::with_capacity(text + 16 * events.len() + 16);
    let traced = events.iter().any(|event| event.as_ref().event.request().is_some());
    out.extend_from_slice(&[if traced { TRACED } else { PLAIN }, 0, 0, 0, 0]);
    let first = events.first().map_or(Timestamp::EPOCH, |event| event.as_ref().accepted_at).as_micros();
    put(&mut out, events.len() as u64);
    put(&mut out, zigzag(first));
    for event in events {
        let event = event.as_ref();
        put(&mut out, zigzag(event.accepted_at.as_micros().wrapping_sub(first)));
        let parts = event.event.parts();
        let texts = [parts.id, parts.event_type, parts.time, parts.extensions, parts.data];
        for text in texts {
            put(&mut out, text.len() as u64);
        }
        match &parts.product_identifier {
            None => put(&mut out, 0),
            Some(cut) => {
                put(&mut out, cut.start as u64 + 1);
                put(&mut out, cut.len() as u64);
            }
        }
        if traced {
            match event.event.request() {
                None => out.push(0),
                Some(parent) => {
                    out.push(1);
                    out.extend_from_slice(&parent.trace_id);
                    out.extend_from_slice(&parent.span_id);
                    out.push(u8::from(parent.sampled));
                }
            }
        }
        for text in texts {
            out.extend_from_slice(text.as_bytes());
        }
    }
    let checksum = checksum(&out[5..]).to_le_bytes();
    out[1..5].copy_from_slice(&checksum);
    out
}

/// Decodes the requested events of a frame. `first` is the position of its first event.
pub fn decode(
    pim: PimId,
    first: Position,
    wanted: Range<Position>,
    frame: &[u8],
) -> Result<Vec<Arc<LoggedEvent>>, FrameError> {
    let (version, rest) = frame.split_first().ok_or(FrameError::Damaged("it is empty"))?;
    let traced = match *version {
        PLAIN => false,
        TRACED => true,
        other => return Err(FrameError::Unknown(other)),
    };
    let (sum, body) = rest.split_first_chunk::<4>().ok_or(FrameError::Damaged("it ends in the checksum"))?;
    if u32::from_le_bytes(*sum) != checksum(body) {
        return Err(FrameError::Damaged("the checksum does not fit"));
    }
    let mut reader = Reader { rest: body };
    let count = reader.number()?;
    let base = unzigzag(reader.number()?);
    let mut events = Vec::new();
    for index in 0..count {
        let position = Position(first.0.saturating_add(index));
        let accepted_at = Timestamp::from_micros(base.wrapping_add(unzigzag(reader.number()?)));
        let mut lengths = [0; 5];
        for length in &mut lengths {
            *length = reader.length()?;
        }
        let cut = match reader.length()? {
            0 => None,
            start => Some((start - 1, reader.length()?)),
        };
        let request = if traced { reader.trace()? } else { None };
        if !wanted.contains(&position) {
            for length in lengths {
                reader.take(length)?;
            }
            continue;
        }
        let mut texts = [""; 5];
        for (text, length) in texts.iter_mut().zip(lengths) {
            let bytes = reader.take(length)?;
            *text = std::str::from_utf8(bytes).map_err(|_| FrameError::Damaged("an event is not UTF-8"))?;
        }
        let [id, event_type, time, extensions, data] = texts;
        let product_identifier = cut.map(|(start, length)| start..start.saturating_add(length));
        if product_identifier.as_ref().is_some_and(|cut| data.get(cut.clone()).is_none()) {
            return Err(FrameError::Damaged("the product's identifier is not within data"));
        }
        let event = Event::new(EventParts { id, event_type, time, extensions, data, product_identifier });
        let event = event.brought_by(request);
        events.push(Arc::new(LoggedEvent { position, pim, accepted_at, event }));
    }
    if !reader.rest.is_empty() {
        return Err(FrameError::Damaged("there is more after the last event"));
    }
    Ok(events)
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    fn number(&mut self) -> Result<u64, FrameError> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(FrameError::Damaged("it ends in a number"))?;
            self.rest = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(FrameError::Damaged("a number is too long"))
    }

    fn length(&mut self) -> Result<usize, FrameError> {
        usize::try_from(self.number()?).map_err(|_| FrameError::Damaged("a length is too large"))
    }

    fn trace(&mut self) -> Result<Option<TraceParent>, FrameError> {
        match self.take(1)? {
            [0] => Ok(None),
            [1] => {
                let damaged = FrameError::Damaged("it ends in a trace");
                let (trace_id, rest) = self.take(25)?.split_first_chunk::<16>().ok_or(damaged)?;
                let (span_id, sampled) = rest.split_first_chunk::<8>().ok_or(damaged)?;
                Ok(Some(TraceParent { trace_id: *trace_id, span_id: *span_id, sampled: sampled == [1] }))
            }
            _ => Err(FrameError::Damaged("a trace is neither there nor not")),
        }
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], FrameError> {
        let (taken, rest) = self.rest.split_at_checked(length).ok_or(FrameError::Damaged("it ends in an event"))?;
        self.rest = rest;
        Ok(taken)
    }
}

fn put(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn zigzag(number: i64) -> u64 {
    ((number << 1) ^ (number >> 63)) as u64
}

fn unzigzag(number: u64) -> i64 {
    (number >> 1) as i64 ^ -((number & 1) as i64)
}

/// Detects accidental damage. Eight bytes per step, so that it costs next to nothing compared to the copy.
fn checksum(bytes: &[u8]) -> u32 {
    // The golden ratio, an odd number with well mixed bits.
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let step = |sum: u64, word: u64| (sum ^ word).wrapping_mul(MIX).rotate_left(29);
    let (words, rest) = bytes.as_chunks::<8>();
    let mut sum = words.iter().fold(bytes.len() as u64, |sum, word| step(sum, u64::from_le_bytes(*word)));
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    sum = step(sum, u64::from_le_bytes(last));
    (sum ^ (sum >> 32)) as u32
}

#[cfg(test)]
mod tests;
