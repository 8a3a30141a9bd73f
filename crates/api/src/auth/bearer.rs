//! Bearers of console links: callers without a token, restricted to one subscriber of the client that made the link.

use domain::subscriber::Owner;
use domain::{SubscriberId, Timestamp};
use http::Method;

use crate::refusal::{Refusal, because};

/// Rights of a link's bearer. Only code in the process can put it into a request's extensions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkBearer {
    /// The client that made the link.
    pub owner: Owner,
    /// The only accessible subscriber.
    pub subscriber: SubscriberId,
    /// Whether nothing can be changed.
    pub read_only: bool,
    /// End of access.
    pub until: Timestamp,
}

impl LinkBearer {
    /// Rejects a request for anything but the subscriber, and changes where they are not allowed.
    pub(crate) fn may(&self, method: &Method, path: &str) -> Result<(), Refusal> {
        let reads = *method == Method::GET || *method == Method::HEAD;
        match self.place(path) {
            Place::Elsewhere => Err(Refusal::not_found("object")),
            Place::Readable if reads => Ok(()),
            Place::Question => Ok(()),
            Place::Subscription if reads || !self.read_only => Ok(()),
            Place::Readable | Place::Subscription => Err(Refusal::new(
                because::LINK_FORBIDDEN,
                if self.read_only {
                    "the link allows no changes"
                } else {
                    "the link allows changes of subscriptions only"
                },
            )),
        }
    }

    fn place(&self, path: &str) -> Place {
        let Some(path) = path.strip_prefix("/api/v1/") else { return Place::Elsewhere };
        let mut segments = path.split('/');
        match (segments.next(), segments.next(), segments.next()) {
            (Some("filters"), Some("check"), None) => Place::Question,
            // Of these, only what concerns the subscriber is shown.
            (Some("logs" | "subscriptions" | "traffic"), None, None) | (Some("events"), _, None) => Place::Readable,
            (Some("subscribers"), Some(id), further) if SubscriberId::parse(id) == Some(self.subscriber) => {
                match further {
                    None => Place::Readable,
                    Some("subscriptions") => Place::Subscription,
                    Some(_) => Place::Elsewhere,
                }
            }
            _ => Place::Elsewhere,
        }
    }
}

/// Parts of the API, as a link allows them.
enum Place {
    /// The subscriber, and its part of the log and of the kept events.
    Readable,
    /// The subscriber's subscriptions.
    Subscription,
    /// Changes nothing, whatever the method.
    Question,
    Elsewhere,
}

#[cfg(test)]
mod tests {
    use domain::{ClientId, PimId};

    use super::*;

    const OWN: &str = "0192aabb-ccdd-7eff-8011-223344556677";
    const OTHER: &str = "0192aabb-ccdd-7eff-8011-223344556678";

    #[track_caller]
    fn check(read_only: bool, method: &Method, path: &str, status: u16) {
        let bearer = LinkBearer {
            owner: Owner { pim: PimId(1), client_id: ClientId("app".to_owned()) },
            subscriber: SubscriberId::parse(OWN).unwrap(),
            read_only,
            until: Timestamp::MAX,
        };
        let answer = bearer.may(method, path).map_or_else(|refusal| refusal.said().status, |()| 200);
        assert_eq!(answer, status, "{method} {path}");
    }

    #[test]
    fn a_link_opens_one_subscriber_only() {
        let own = format!("/api/v1/subscribers/{OWN}");
        for path in ["", "/subscriptions", "/subscriptions/x", "/subscriptions/x/attempts", "/subscriptions/x/events/y"]
        {
            check(true, &Method::GET, &format!("{own}{path}"), 200);
            check(true, &Method::GET, &format!("/api/v1/subscribers/{OTHER}{path}"), 404);
        }
        for path in ["/api/v1/logs", "/api/v1/subscriptions", "/api/v1/traffic", "/api/v1/events", "/api/v1/events/x"] {
            check(true, &Method::GET, path, 200);
            check(false, &Method::POST, path, 403);
        }
        for path in ["/api/v1/subscribers", "/api/v1/console-links", "/api/v1/admin/pims", "/api/v1/events/x/y", "/x"] {
            check(false, &Method::GET, path, 404);
            check(false, &Method::POST, path, 404);
        }
    }

    #[test]
    fn changes_need_a_link_that_allows_them_and_concern_subscriptions() {
        let own = format!("/api/v1/subscribers/{OWN}");
        for method in [Method::POST, Method::PATCH, Method::DELETE] {
            check(true, &method, &format!("{own}/subscriptions/x"), 403);
            check(false, &method, &format!("{own}/subscriptions/x"), 200);
            check(false, &method, &own, 403);
            check(false, &method, &format!("/api/v1/subscribers/{OTHER}/subscriptions/x"), 404);
        }
        check(true, &Method::POST, "/api/v1/filters/check", 200);
        check(true, &Method::POST, "/api/v1/logs", 403);
    }
}
