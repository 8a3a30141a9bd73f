//! A browser without a window.

use std::net::IpAddr;

use axum::Router;
use axum::body::Body;
use console::Visitor;
use http::header::{CONTENT_TYPE, COOKIE, LOCATION, SET_COOKIE};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt;
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use serde_json::Value;

/// A browser that keeps the console's cookie.
pub(crate) struct Browser<'w> {
    console: &'w TowerToHyperService<Router>,
    address: IpAddr,
    pub(crate) cookie: Option<String>,
}

/// A response.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Page {
    /// Where it redirects to.
    pub(crate) fn location(&self) -> &str {
        self.headers.get(LOCATION).map_or("", |to| to.to_str().unwrap())
    }

    /// The token of its forms.
    pub(crate) fn csrf(&self) -> String {
        let (_, rest) = self.body.split_once("name=\"csrf\" value=\"").unwrap_or_else(|| panic!("{}", self.body));
        rest.split('"').next().unwrap().to_owned()
    }

    #[track_caller]
    pub(crate) fn has(&self, text: &str) -> &Page {
        assert!(self.body.contains(text), "no {text:?} in {}", self.body);
        self
    }

    #[track_caller]
    pub(crate) fn lacks(&self, text: &str) -> &Page {
        assert!(!self.body.contains(text), "{text:?} in {}", self.body);
        self
    }
}

impl<'w> Browser<'w> {
    /// One without a session.
    pub(crate) fn new(console: &'w TowerToHyperService<Router>, address: &str) -> Browser<'w> {
        Browser { console, address: address.parse().unwrap(), cookie: None }
    }

    pub(crate) async fn get(&mut self, path: &str) -> Page {
        self.send(Method::GET, path, "", String::new()).await
    }

    /// A page that must be there.
    pub(crate) async fn page(&mut self, path: &str) -> Page {
        let page = self.get(path).await;
        assert_eq!(page.status, StatusCode::OK, "{path} {} {}", page.location(), page.body);
        page
    }

    /// Sends the fields as they are, without a token.
    pub(crate) async fn post(&mut self, path: &str, fields: &[(&str, &str)]) -> Page {
        let body: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        self.send(Method::POST, path, "application/x-www-form-urlencoded", body.join("&")).await
    }

    pub(crate) async fn post_json(&mut self, path: &str, body: Value) -> Page {
        self.send(Method::POST, path, "application/json", body.to_string()).await
    }

    /// Sends a form of a page, with its token.
    pub(crate) async fn submit(&mut self, page: &str, action: &str, fields: &[(&str, &str)]) -> Page {
        let csrf = self.page(page).await.csrf();
        let fields = [fields, &[("csrf", csrf.as_str())]].concat();
        self.post(action, &fields).await
    }

    async fn send(&mut self, method: Method, path: &str, media_type: &str, body: String) -> Page {
        let mut request = Request::builder().method(method).uri(path);
        if !media_type.is_empty() {
            request = request.header(CONTENT_TYPE, media_type);
        }
        if let Some(cookie) = &self.cookie {
            request = request.header(COOKIE, cookie);
        }
        let mut request = request.body(Body::from(body)).unwrap();
        request.extensions_mut().insert(Visitor(self.address));
        let Ok(response) = self.console.call(request).await;
        let (parts, body) = response.into_parts();
        if let Some(cookie) = parts.headers.get(SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            let pair = cookie.split(';').next().unwrap();
            self.cookie = (!cookie.contains("Max-Age=0")).then(|| pair.to_owned());
        }
        let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
        Page { status: parts.status, headers: parts.headers, body }
    }
}

fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}
