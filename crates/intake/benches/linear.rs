//! Cost of an Events API request by size, for each shape that a sender can enlarge: a table whose last column is
//! constant if the work is linear. `cargo bench -p intake --bench linear` (with `-- --quick`: smaller sizes).

#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "this is a benchmark")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use domain::Timestamp;
use intake::attributes::Types;
use intake::delta::changes;
use intake::notice::{Received, read};
use intake::state::State;
use store::SnapshotKind;

const NOW: Timestamp = Timestamp::from_micros(1_793_692_840_000_000);

/// A shape: a `resource` around the items, and the item of a number before and after a change.
struct Shape {
    name: &'static str,
    around: (&'static str, &'static str),
    item: fn(usize, bool) -> String,
}

const SHAPES: [Shape; 8] = [
    Shape {
        name: "categories",
        around: (r#""categories":["#, "]"),
        item: |number, new| format!(r#""category-{}""#, number + usize::from(new)),
    },
    Shape {
        name: "groups, all of them changed",
        around: (r#""groups":["#, "]"),
        item: |number, new| format!(r#""group-{new}-{number}""#),
    },
    Shape {
        name: "attributes",
        around: (r#""values":{"#, "}"),
        item: |number, new| format!(r#""attribute_{number}":[{{"locale":null,"scope":null,"data":"{new}"}}]"#),
    },
    Shape {
        name: "values of one attribute",
        around: (r#""values":{"name":["#, "]}"),
        item: |number, new| format!(r#"{{"locale":"l{number}","scope":"s","data":"{new}"}}"#),
    },
    Shape {
        name: "members of one value, in another order",
        around: (r#""values":{"table":[{"data":{"#, "}}]}"),
        item: |number, new| {
            let number = if new { number ^ 1 } else { number };
            format!(r#""k{number}":1"#)
        },
    },
    Shape {
        name: "association types",
        around: (r#""associations":{"#, "}"),
        item: |number, new| format!(r#""A{}":{{"products":["p{new}"]}}"#, number + usize::from(new)),
    },
    Shape {
        name: "associated products",
        around: (r#""associations":{"A":{"products":["#, "]}}"),
        item: |number, new| format!(r#""product-{}""#, number + usize::from(new)),
    },
    Shape {
        name: "quantified product models",
        around: (r#""quantified_associations":{"A":{"product_models":["#, "]}}"),
        item: |number, new| format!(r#"{{"identifier":"m{number}","quantity":{}}}"#, number + usize::from(new)),
    },
];

/// A request with one update of this many bytes.
fn request(shape: &Shape, bytes: usize, new: bool) -> String {
    let head = r#"{"events":[{"action":"product.updated","data":{"resource":{"identifier":"x","#;
    let mut body = format!("{head}{}", shape.around.0);
    // An even number of items, so that two of them can change places.
    for number in 0.. {
        if number > 0 {
            body.push(',');
        }
        body.push_str(&(shape.item)(number, new));
        if number % 2 == 1 && body.len() >= bytes {
            break;
        }
    }
    body.push_str(shape.around.1);
    body.push_str("}}}]}");
    body
}

/// A request with many small events.
fn events(bytes: usize) -> String {
    let mut body = String::from(r#"{"events":["#);
    for number in 0.. {
        let event = r#""action":"product.removed","data":{"resource":{"identifier":"x"}}"#;
        write!(body, r#"{{"event_id":"{number}",{event}}}"#).unwrap();
        if body.len() >= bytes {
            break;
        }
        body.push(',');
    }
    body.push_str("]}");
    body
}

/// The state in a request.
fn state(body: &str) -> State {
    match read("main", body.as_bytes(), NOW).unwrap().remove(0) {
        Received::Notice(notice) => notice.state.unwrap(),
        other => panic!("{other:?}"),
    }
}

/// The shortest of several runs, to exclude other load on the machine.
fn shortest(mut run: impl FnMut()) -> Duration {
    let once = |_| {
        let began = Instant::now();
        run();
        began.elapsed()
    };
    (0..5).map(once).min().unwrap_or_default()
}

fn row(name: &str, bytes: usize, took: Duration) {
    let per_byte = took.as_nanos() as f64 / bytes as f64;
    println!("| {name} | {:.2} | {:.1} | {per_byte:.0} |", bytes as f64 / (1 << 20) as f64, took.as_secs_f64() * 1e3);
}

fn main() {
    let quick = std::env::args().any(|argument| argument == "--quick" || argument == "--test");
    let sizes: &[usize] = if quick { &[1 << 14, 1 << 16] } else { &[1 << 18, 1 << 20, 1 << 22] };
    println!("| what is large | MiB sent | ms | ns per byte |");
    println!("| --- | ---: | ---: | ---: |");
    for size in sizes {
        let body = events(*size);
        row("events of a request", body.len(), shortest(|| drop(black_box(read("main", body.as_bytes(), NOW)))));
    }
    for shape in &SHAPES {
        for size in sizes {
            let (old, new) = (request(shape, *size, false), request(shape, *size, true));
            let snapshot = state(&old).to_snapshot();
            let took = shortest(|| {
                let old = State::from_snapshot(&snapshot).unwrap();
                let new = state(&new);
                let delta = changes(SnapshotKind::Product, &old, &new, &Types::default());
                black_box((delta.map(|delta| delta.to_canonical()), new.to_snapshot()));
            });
            row(shape.name, new.len(), took);
        }
    }
}
