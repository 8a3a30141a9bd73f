//! Cost of processing an event of 1 KB: read, enveloped and signed twice, relative to one plain SHA-256 over the same
//! bytes.

#![expect(clippy::print_stdout, reason = "a benchmark's answer is its one line")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use aws_lc_rs::digest;
use domain::{Event, Secret, SubscriptionId, Timestamp};
use wire::cloudevents::{self, Request};
use wire::envelope::{self, EnvelopeStyle};
use wire::signature::Signer;

fn main() {
    let text = sample();
    let style = EnvelopeStyle::new("akeneo-event-platform", "https://events.example.com");
    let subject = SubscriptionId::generate();
    let signer = Signer::new(&Secret::new("first secret of the receiver"), Some(&Secret::new("second secret")));
    let Some(event) = read(&text) else {
        println!("event: the sample was refused");
        std::process::exit(1);
    };
    let body = envelope::body(&style, &event, &subject, false);

    let mut least = [Duration::MAX; 4];
    for _ in 0..ROUNDS {
        let took = [
            round(|| black_box(digest::digest(&digest::SHA256, black_box(text.as_bytes())).as_ref()[0])),
            round(|| black_box(read(black_box(&text)))),
            round(|| black_box(envelope::body(&style, black_box(&event), &subject, false))),
            round(|| black_box(signer.sign(event.id(), Timestamp::EPOCH, black_box(&body)))),
        ];
        for (least, took) in least.iter_mut().zip(took) {
            *least = (*least).min(took);
        }
    }
    let [sha, parse, envelope, sign] = least.map(|took| took.as_secs_f64() * 1e6 / f64::from(REPEATS));
    let all = parse + envelope + sign;
    println!(
        "event of {} bytes: {all:.2} µs = {:.1} × SHA-256 ({sha:.2} µs); parse {parse:.2} µs ({:.1} ×), envelope \
         {envelope:.2} µs ({:.1} ×), both signatures with two secrets {sign:.2} µs ({:.1} ×)",
        text.len(),
        all / sha,
        parse / sha,
        envelope / sha,
        sign / sha,
    );
}

const ROUNDS: u32 = 40;
const REPEATS: u32 = 2_000;

/// The time of [`REPEATS`] calls. The fastest of many rounds counts, because other load only ever adds time.
fn round<T>(mut call: impl FnMut() -> T) -> Duration {
    let start = Instant::now();
    for _ in 0..REPEATS {
        call();
    }
    start.elapsed()
}

fn read(text: &str) -> Option<Event> {
    let request = Request {
        content_type: Some(b"application/cloudevents+json"),
        content_encoding: None,
        headers: [],
        body: text.as_bytes(),
        received_at: Timestamp::EPOCH,
    };
    cloudevents::parse(request).ok()?.pop()
}

/// A change of four values, as sent by a PIM.
fn sample() -> String {
    let change = |attribute: &str, previous: &str, new: &str| {
        format!(
            r#""{attribute}":[{{"previous":{previous},"new":{new},"type":"pim_catalog_text","locale":"en_US","scope":null}}]"#
        )
    };
    let changes = [
        change("name", r#""Camera 2000""#, r#""Camera 2000 with \"zoom\"""#),
        change("weight", "12.5", "13"),
        change("description", "null", "\"Sees what you see, only sharper. Für Anfänger und Profis.\""),
        change("colour", r#""red""#, r#""blue""#),
    ];
    format!(
        r#"{{"specversion":"1.0","id":"a0073846-cd42-4399-aec8-3fe0604e6a9f","source":"pim","type":"com.akeneo.pim.v1.product.updated.delta","time":"2026-11-02T08:00:00.716Z","datacontenttype":"application/json","data":{{"product":{{"uuid":"4a40cffc-a02d-5dd1-877c-5876596015f4","identifier":"1111111171","updated_at":{{"date":"2026-11-02 08:00:00.716000","timezone":"UTC"}},"changes":{{"enabled":{{"previous":false,"new":true}},"values":{{{}}}}}}},"author":{{"identifier":"57616f6f-1a4d-490e-bc23-c5877d2b30d9","type":"user"}}}}}}"#,
        changes.join(",")
    )
}
