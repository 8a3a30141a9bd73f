//! Round trips, and all kinds of damage.

use proptest::prelude::*;

use super::*;

fn everything() -> Range<Position> {
    Position(0)..Position(u64::MAX)
}

fn logged(position: u64, id: &str, data: &str, cut: Option<Range<usize>>, at: i64) -> Arc<LoggedEvent> {
    let event = Event::new(EventParts {
        id,
        event_type: "com.example.thing.happened",
        time: "2026-11-02T08:00:00Z",
        extensions: "\"traceparent\":\"00-1\"",
        data,
        product_identifier: cut,
    });
    let accepted_at = Timestamp::from_micros(at);
    Arc::new(LoggedEvent { position: Position(position), pim: PimId(7), accepted_at, event })
}

fn sample() -> Vec<Arc<LoggedEvent>> {
    (0..5)
        .map(|n| logged(10 + n, &format!("id-{n}"), "{\"a\":\"é\",\"b\":1}", Some(1..10), 1_000 - 300 * n as i64))
        .collect()
}

/// The same events, one of them from a traced request.
fn traced() -> Vec<Arc<LoggedEvent>> {
    let parent = TraceParent { trace_id: [7; 16], span_id: [9; 8], sampled: true };
    let mut events = sample();
    let event = events[1].event.clone().brought_by(Some(parent));
    events[1] = Arc::new(LoggedEvent { event, ..LoggedEvent::clone(&events[1]) });
    events
}

#[test]
fn the_trace_of_a_request_is_kept_and_costs_nothing_where_there_is_none() {
    assert_eq!(encode(&sample())[0], PLAIN);
    let frame = encode(&traced());
    let read = decode(PimId(7), Position(10), everything(), &frame).unwrap();
    assert_eq!(read, traced());
    assert_eq!(
        read[1].event.request().map(ToString::to_string).as_deref(),
        Some("00-07070707070707070707070707070707-0909090909090909-01")
    );
    assert_eq!(read[0].event.request(), None);
    let some = decode(PimId(7), Position(10), Position(12)..Position(14), &frame).unwrap();
    assert_eq!(some, traced()[2..4]);
}

#[test]
fn only_requested_events_are_read() {
    let events = sample();
    let read = decode(PimId(7), Position(10), Position(12)..Position(14), &encode(&events)).unwrap();
    assert_eq!(read, events[2..4]);
}

#[test]
fn every_damaged_byte_is_found() {
    for frame in [encode(&sample()), encode(&traced())] {
        for at in 0..frame.len() {
            for bit in 0..8 {
                let mut damaged = frame.clone();
                damaged[at] ^= 1 << bit;
                assert!(decode(PimId(7), Position(10), everything(), &damaged).is_err(), "byte {at}, bit {bit}");
            }
        }
        for length in 0..frame.len() {
            assert!(decode(PimId(7), Position(10), everything(), &frame[..length]).is_err(), "cut at {length}");
        }
    }
}

#[test]
fn a_newer_format_is_named() {
    let mut frame = encode(&sample());
    frame[0] = 3;
    assert_eq!(decode(PimId(7), Position(10), everything(), &frame), Err(FrameError::Unknown(3)));
}

#[test]
fn pieces_are_bounded_but_one_event_may_be_larger() {
    let large = "x".repeat(MAX_BYTES + 1);
    let mut events = vec![logged(1, "large", &large, None, 0)];
    events.extend((2..=300).map(|n| logged(n, "small", "{}", None, 0)));
    let half = "y".repeat(MAX_BYTES / 2);
    events.extend((301..=303).map(|n| logged(n, "half", &half, None, 0)));
    let pieces: Vec<usize> = split(&events).map(<[_]>::len).collect();
    assert_eq!(pieces, [1, 256, 44, 1, 1]);
}

proptest! {
    #[test]
    fn frames_round_trip(
        items in prop::collection::vec((".{1,40}", ".{0,200}", any::<i64>(), any::<bool>()), 0..40),
        first in 0..u64::MAX / 2,
    ) {
        let make = |(n, (id, data, at, cut)): (usize, &(String, String, i64, bool))| {
            let end = data.char_indices().map(|(at, _)| at).nth(2).unwrap_or(0);
            logged(first + n as u64, id, data, cut.then_some(0..end), *at)
        };
        let events: Vec<_> = items.iter().enumerate().map(make).collect();
        let read = decode(PimId(7), Position(first), everything(), &encode(&events)).unwrap();
        prop_assert_eq!(read, events);
    }

    /// With a valid checksum, so that the decoder behind it is tested.
    #[test]
    fn rubbish_is_an_error_and_no_panic(version in PLAIN..=TRACED, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let mut frame = vec![version];
        frame.extend_from_slice(&checksum(&body).to_le_bytes());
        frame.extend_from_slice(&body);
        let _ = decode(PimId(7), Position(1), everything(), &frame);
    }
}
