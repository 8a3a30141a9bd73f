//! Reading a request's body, bounded in size, in time, and in memory over all requests.

use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::response::IntoResponse;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, EXPECT};
use http::{HeaderMap, StatusCode};
use http_body_util::BodyExt;

use crate::bodies::{Held, Room};
use crate::refusal::{Refusal, because};

/// How long the rest of a body that is too large is read and thrown away, so that the client gets to read the answer: a
/// connection closed over unread bytes is reset, and the answer is lost with it.
const DRAIN: Duration = Duration::from_secs(1);

/// A body that was read, with the memory that it holds until its request is answered.
pub(crate) struct Whole {
    pub(crate) bytes: Bytes,
    pub(crate) held: Held,
}

/// Reads the body, at most `limit` bytes within `at_most`, once there is room for it.
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
        Ok(Err(Short::Broken)) => {
            Err(Refusal::new(because::BODY_INCOMPLETE, "the request's body broke off before its end"))
        }
        Err(_) => Err(Refusal::new(
            because::BODY_TIMEOUT,
            format!("the request's body did not arrive within {} s", at_most.as_secs()),
        )),
    }
}

/// Why there is no whole body.
enum Short {
    /// It is too large, or there is no room for it.
    Refused(Refusal),
    /// It broke off.
    Broken,
}

/// The whole body. One frame, the usual case, is not copied.
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

/// Reads what a refused request still sends, up to `limit` bytes and not for long.
pub(crate) async fn discard(headers: &HeaderMap, mut body: Body, limit: usize) {
    if body.is_end_stream() || headers.contains_key(EXPECT) {
        // Who asks before sending is told before sending.
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
    Refusal::new(because::BODY_TOO_LARGE, format!("the request's body is larger than {} KiB", limit / 1024))
}

/// The media type of the body, without parameters, in lower case.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    Some(value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase())
}

/// An answer of JSON text.
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

    /// A body that arrives in pieces and, if told so, never ends.
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
