//! Stylesheet and modules. Their names contain a hash of their content, so that browsers can cache them forever.

use aws_lc_rs::digest;
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONTENT_TYPE};

use crate::visit::Problem;

const CSS: &str = "text/css; charset=utf-8";
const JS: &str = "text/javascript; charset=utf-8";

/// Name, media type and content of each file.
const FILES: [(&str, &str, &str); 4] = [
    ("console.css", CSS, include_str!("assets/console.css")),
    ("page.js", JS, include_str!("assets/page.js")),
    ("live.js", JS, include_str!("assets/live.js")),
    ("link.js", JS, include_str!("assets/link.js")),
];

/// A file as it is served.
struct Served {
    name: &'static str,
    hashed: String,
    media_type: &'static str,
    content: Bytes,
}

/// The files by their hashed names.
pub(crate) struct Assets(Vec<Served>);

impl Assets {
    pub(crate) fn new() -> Assets {
        let served = |(name, media_type, content): (&'static str, &'static str, &str)| {
            let (stem, extension) = name.split_once('.').unwrap_or((name, ""));
            let content = if media_type == JS { without_comments(content) } else { content.to_owned() };
            let hashed = format!("{stem}-{}.{extension}", short_hash(&content));
            Served { name, hashed, media_type, content: content.into() }
        };
        Assets(FILES.into_iter().map(served).collect())
    }

    /// Path of a file.
    pub(crate) fn path(&self, name: &str) -> String {
        let hashed = self.0.iter().find(|one| one.name == name).map_or(name, |one| one.hashed.as_str());
        format!("/console/assets/{hashed}")
    }

    /// The file with a hashed name.
    pub(crate) fn serve(&self, hashed: &str) -> Result<Response, Problem> {
        let found = self.0.iter().find(|one| one.hashed == hashed).ok_or(Problem::Missing)?;
        let headers = [(CONTENT_TYPE, found.media_type), (CACHE_CONTROL, "public, max-age=31536000, immutable")];
        Ok((headers, found.content.clone()).into_response())
    }
}

/// A module without its lines of comments: a page's weight is bounded.
fn without_comments(module: &str) -> String {
    let lines = module.split_inclusive('\n');
    lines.filter(|line| !line.trim_start().starts_with("//")).collect()
}

fn short_hash(content: &str) -> String {
    let hash = digest::digest(&digest::SHA256, content.as_bytes());
    hash.as_ref().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_served_by_their_hashed_names_only() {
        let assets = Assets::new();
        for (name, media_type, _) in FILES {
            let path = assets.path(name);
            let hashed = path.strip_prefix("/console/assets/").unwrap();
            assert_ne!(hashed, name);
            let response = assets.serve(hashed).unwrap();
            assert_eq!(response.headers()[CONTENT_TYPE], media_type);
            assert!(response.headers()[CACHE_CONTROL].to_str().unwrap().contains("immutable"));
            assert!(assets.serve(name).is_err());
        }
    }

    #[test]
    fn modules_come_without_comments() {
        assert_eq!(without_comments("// One.\nlet a = 1; // 2\n  // Three.\nlet b;\n"), "let a = 1; // 2\nlet b;\n");
    }

    /// Nothing is loaded from elsewhere (the policy would block it as well).
    #[test]
    fn files_name_no_other_host() {
        for (name, _, content) in FILES {
            let without_namespaces = content.replace("http://www.w3.org/", "");
            assert!(!without_namespaces.contains("://"), "{name}");
        }
    }
}
