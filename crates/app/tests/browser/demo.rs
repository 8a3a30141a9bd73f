//! `postrider demo --keep`, whose console the pictures in the documentation show.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};

use serde_json::{Value, json};

use crate::platform::serving::tied;
use crate::play::Stage;

/// A running demo that dies with the test.
pub(crate) struct Demo {
    child: Child,
    url: String,
    link: String,
    operator: String,
}

impl Demo {
    /// Starts it, and waits until its story is told.
    pub(crate) fn start() -> Demo {
        let mut child = tied(&["demo", "--keep"]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut demo = Demo { child, url: String::new(), link: String::new(), operator: String::new() };
        for line in lines {
            let line = line.trim();
            if line.contains("/console/link#") {
                demo.link = line.to_owned();
            }
            if let Some((url, key)) = line.split_once("/console/operator with the key ") {
                (demo.url, demo.operator) = (url.to_owned(), key.to_owned());
            }
            // The last line.
            if line.ends_with("/health/ready") {
                break;
            }
        }
        assert!(!demo.link.is_empty() && !demo.operator.is_empty(), "the demo did not invite to its console");
        demo
    }
}

impl Stage for Demo {
    fn told(&self) -> Value {
        json!({"url": self.url, "link": self.link, "operator": self.operator})
    }

    fn must_be_well(&mut self) {
        assert!(self.child.try_wait().unwrap().is_none(), "it has ended");
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
