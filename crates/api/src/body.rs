//! Reads request bodies, limited in size, time, and total memory.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;

use crate::bodies::{Held, Room};
use crate::refusal::{Refusal, because};

/// How long the rest of an oversized body is read and discarded, so that the client can read the response: closing a
/// connection with unread bytes resets it, and the response is lost.
const DRAIN: Duration = Duration::from_secs(1);

/// A received body, with its reserved memory.
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) held: Held,
}

/// Reads the body, at most `limit` bytes within `at_most`, once memory is reserved.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit: usize,
    at_most: Duration,
    room: Room<'_>,
) -> Result<Whole, Refusal> {
    if body.is_end_stream() {
        return Ok(Whole { bytes: Bytes::new(), held: Held::default() });
    }
    let announced = announced(headers);
    if announced.is_some_and(|length| length > limit as u64) {
        discard(headers, body, limit).await;
        return Err(too_large(limit));
    }
    let mut held = match room.begin(announced, limit).await {
        Ok(held) => held,
        Err(refusal) => {
            discard(headers, body, limit).await;
            return Err(refusal);
        }
    };
    match tokio::time::timeout(at_most, collect(&mut body, limit, &room, &mut held)).await {
        Ok(Ok(bytes)) => Ok(Whole { bytes, held }),
        Ok(Err(Short::Refused(refusal))) => {
            drop(held);
            discard(headers, body, limit).await;
            Err(refusal)
        }
        Ok(Err(Short::Broken)) => Err(Refusal::new(because::BODY_INCOMPLETE, "the request body is incomplete")),
        Err(_) => Err(Refusal::new(
            because::BODY_TIMEOUT,
            format!("the request body did not arrive within {} s", at_most.as_secs()),
        )),
    }
}

/// Reason for an incomplete body.
enum Short {
    /// Too large, or no memory for it.
    Refused(Refusal),
    /// Connection lost.
    Broken,
}

/// The complete body. A single frame, the usual case, is not copied.
async fn collect(body: &mut Body, limit: usize, room: &Room<'_>, held: &mut Held) -> Result<Bytes, Short> {
    let mut first = Bytes::new();
    let mut all: Vec<u8> = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| Short::Broken)?.into_data() else { continue };
        let length = first.len().max(all.len()) + data.len();
        if length > limit {
            return Err(Short::Refused(too_large(limit)));
        }
        room.hold(held, length, limit).await.map_err(Short::Refused)?;
        if first.is_empty() && all.is_empty() {
            first = data;
            continue;
        }
        if all.is_empty() {
            all.reserve(body.size_hint().lower().min(limit as u64) as usize + first.len() + data.len());
            all.extend_from_slice(&first);
            first = Bytes::new();
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.into() })
}

/// Reads the rest of a rejected request, up to `limit` bytes and a short time.
pub(crate) async fn discard(headers: &HeaderMap, mut body: Body, limit: usize) {
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        // `Expect: 100-continue` is answered before the body is sent.
        return;
    }
    let rest = async {
        let mut left = limit;
        while let Some(Ok(frame)) = body.frame().await {
            left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
            if left == 0 {
                break;
            }
        }
    };
    tokio::time::timeout(DRAIN, rest).await.unwrap_or_default();
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: usize) -> Refusal {
    Refusal::new(because::BODY_TOO_LARGE, format!("the request body is larger than {} KiB", limit / 1024))
}

/// Media type of the body in lower case, without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// A JSON response from text.
pub(crate) fn json(status: StatusCode, text: impl Into<Body>) -> axum::response::Response {
    (status, [(CONTENT_TYPE, "application/json")], text.into()).into_response()
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::pin::Pin;
    use std::task::{Context, Poll};

    use http_body_util::Full;
    use hyper::body::Frame;

    use super::*;
    use crate::bodies::Bodies;

    /// A body that arrives in pieces and optionally never ends.
    struct Pieces(Vec<&'static [u8]>, bool);

    impl HttpBody for Pieces {
        type Data = Bytes;
        type Error = Infallible;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
            match self.0.is_empty() {
                false => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(self.0.remove(0)))))),
                true if self.1 => Poll::Pending,
                true => Poll::Ready(None),
            }
        }
    }

    async fn check(body: impl HttpBody<Data = Bytes, Error = Infallible> + Send + 'static, expect: Result<&[u8], u16>) {
        let bodies = Bodies::new(1 << 20);
        let room = bodies.of_operator();
        let read = read(&HeaderMap::new(), Body::new(body), 8, Duration::from_secs(5), room).await;
        let read = read.as_ref().map(|whole| &whole.bytes[..]);
        assert_eq!(read.map_err(|refusal| refusal.said().status), expect);
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_is_whole_or_refused() {
        check(Full::new(Bytes::new()), Ok(b"")).await;
        check(Full::new(Bytes::from_static(b"12345678")), Ok(b"12345678")).await;
        check(Full::new(Bytes::from_static(b"123456789")), Err(413)).await;
        check(Pieces(vec![b"123", b"", b"45", b"678"], false), Ok(b"12345678")).await;
        check(Pieces(vec![b"12345", b"6789"], false), Err(413)).await;
        check(Pieces(vec![b"123"], true), Err(408)).await;
        check(Pieces(vec![b"12345", b"6789"], true), Err(413)).await;
    }

    #[test]
    fn a_media_type_is_read_without_its_parameters() {
        let mut headers = HeaderMap::new();
        assert_eq!(media_type(&headers), None);
        headers.insert(CONTENT_TYPE, "Application/JSON; charset=utf-8".parse().unwrap());
        assert_eq!(media_type(&headers).as_deref(), Some("application/json"));
    }
}
