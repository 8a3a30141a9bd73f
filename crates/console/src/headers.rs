//! Headers of all responses: what a page may load, who may show it in a frame, and who may keep it.

use axum::response::Response;
use http::HeaderValue;
use http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS};

use crate::Settings;

/// Everything comes from the platform itself; nothing is inline.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; \
    connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors";

/// Adds the headers; `link`: whether the page belongs to the bearer of a link, which may be shown in a frame.
pub(crate) fn secure(mut response: Response, settings: &Settings, link: bool) -> Response {
    let framed = link && !settings.frame_origins.is_empty();
    let ancestors = if framed { settings.frame_origins.join(" ") } else { "'none'".to_owned() };
    let headers = response.headers_mut();
    // The origins were checked with the settings; without a valid policy the strictest one applies.
    let policy = HeaderValue::try_from(format!("{POLICY} {ancestors}"))
        .unwrap_or(HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'"));
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    if !framed {
        headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[track_caller]
    fn check(origins: &[&str], link: bool, ancestors: &str) {
        let frame_origins = origins.iter().map(|origin| (*origin).to_owned()).collect();
        let settings = Settings { frame_origins, ..Settings::default() };
        let response = secure("".into_response(), &settings, link);
        let headers = response.headers();
        let policy = headers[CONTENT_SECURITY_POLICY].to_str().unwrap();
        assert!(policy.ends_with(&format!("frame-ancestors {ancestors}")), "{policy}");
        assert!(policy.starts_with("default-src 'none';") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(headers.contains_key(X_FRAME_OPTIONS), ancestors == "'none'");
        assert_eq!(headers[CACHE_CONTROL], "no-store");
        assert_eq!(headers[REFERRER_POLICY], "no-referrer");
        assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
    }

    #[test]
    fn only_the_pages_of_a_link_may_be_framed_and_only_by_allowed_origins() {
        check(&[], false, "'none'");
        check(&[], true, "'none'");
        check(&["https://app.example.com"], false, "'none'");
        check(&["https://a.example.com", "https://b.example.com"], true, "https://a.example.com https://b.example.com");
    }

    #[test]
    fn assets_keep_their_own_caching() {
        let asset = ([(CACHE_CONTROL, "public")], "").into_response();
        assert_eq!(secure(asset, &Settings::default(), false).headers()[CACHE_CONTROL], "public");
    }
}
