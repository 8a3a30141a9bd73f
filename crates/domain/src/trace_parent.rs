//! A position in a distributed trace, in the format of W3C Trace Context: `00-<trace id>-<span id>-<flags>`.

use std::fmt;

/// A position in a distributed trace: a potential parent span.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// Id of the trace. Not all zero.
    pub trace_id: [u8; 16],
    /// Id of the span. Not all zero.
    pub span_id: [u8; 8],
    /// Whether the trace's origin requests its recording.
    pub sampled: bool,
}

impl TraceParent {
    /// Length of the text form.
    pub const LENGTH: usize = 55;

    /// Parses one. For future versions, it reads the parts known today, as the standard demands.
    pub fn parse(text: &str) -> Option<TraceParent> {
        let bytes = text.as_bytes();
        let known = bytes.get(..TraceParent::LENGTH)?;
        let [version @ .., b'-'] = known.get(..3)? else { return None };
        let version = hex::<1>(version)?[0];
        let more = bytes.get(TraceParent::LENGTH);
        let shape = known.get(35) == Some(&b'-') && known.get(52) == Some(&b'-');
        if !shape || version == 0xff || (version == 0 && more.is_some()) || more.is_some_and(|more| *more != b'-') {
            return None;
        }
        let (trace_id, span_id) = (hex::<16>(known.get(3..35)?)?, hex::<8>(known.get(36..52)?)?);
        let flags = hex::<1>(known.get(53..55)?)?[0];
        let named = trace_id != [0; 16] && span_id != [0; 8];
        named.then_some(TraceParent { trace_id, span_id, sampled: flags & 1 == 1 })
    }
}

/// Parses lower-case hex digits.
fn hex<const N: usize>(text: &[u8]) -> Option<[u8; N]> {
    let digit = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let (pairs, []) = text.as_chunks::<2>() else { return None };
    let mut bytes = [0; N];
    if pairs.len() != N {
        return None;
    }
    for (byte, [high, low]) in bytes.iter_mut().zip(pairs) {
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    Some(bytes)
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let trace = u128::from_be_bytes(self.trace_id);
        let span = u64::from_be_bytes(self.span_id);
        write!(f, "00-{trace:032x}-{span:016x}-{:02x}", u8::from(self.sampled))
    }
}

impl fmt::Debug for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn is_read_and_written_as_the_standard_says() {
        let parent = TraceParent::parse(TEXT).unwrap();
        assert_eq!(parent.to_string(), TEXT);
        assert!(parent.sampled);
        assert_eq!(parent.trace_id[0], 0x4b);
        assert!(!TraceParent::parse(&TEXT.replace("-01", "-00")).unwrap().sampled);
        // Unknown flags are ignored.
        assert!(TraceParent::parse(&TEXT.replace("-01", "-03")).unwrap().sampled);
    }

    #[test]
    fn invalid_values_are_rejected() {
        let check = |text: &str, expect: bool| assert_eq!(TraceParent::parse(text).is_some(), expect, "{text}");
        check("", false);
        check("00-1", false);
        check(&TEXT[..54], false);
        check(&format!("{TEXT}-more"), false);
        check(&format!("cc{}", &TEXT[2..]), true);
        check(&format!("cc{}-more", &TEXT[2..]), true);
        check(&format!("cc{}.more", &TEXT[2..]), false);
        check(&format!("ff{}", &TEXT[2..]), false);
        check(&TEXT.to_uppercase(), false);
        check(&TEXT.replace("4bf92f3577b34da6a3ce929d0e0e4736", "00000000000000000000000000000000"), false);
        check(&TEXT.replace("00f067aa0ba902b7", "0000000000000000"), false);
        check(&TEXT.replacen('-', "_", 2), false);
        check(&TEXT.replace("b7-01", "bé-01"), false);
    }
}
