//! Pages of subscribers and subscriptions.

use domain::subscriber::Subscriber;
use domain::subscription::Subscription;
use rusqlite::{Connection, params_from_iter};
use store::{Page, StatusFilter, SubscriberQuery, SubscriptionCounts, SubscriptionQuery, Vault, Whose};

use super::filter::{Filter, bytes, has_text};
use super::rows;
use crate::failure::Failure;

/// Name of a subscriber, stored in its body.
const NAME: &str = "json_extract(body, '$.name')";

pub(super) fn subscribers(
    connection: &Connection,
    vault: &Vault,
    query: &SubscriberQuery,
) -> Result<Page<Subscriber>, Failure> {
    let mut filter = Filter::new("TRUE", []);
    of(&mut filter, &query.of);
    status(&mut filter, query.status);
    filter.and(&has_text(NAME), query.text.clone());
    filter.and("id > ?", query.after.map(|after| bytes(after.0)));
    let Filter { sql, values } = filter.page("id", query.limit);
    let found = rows::subscribers(connection, vault, &sql, params_from_iter(values))?;
    Ok(Page::of(found, query.limit))
}

pub(super) fn subscriptions(
    connection: &Connection,
    vault: &Vault,
    query: &SubscriptionQuery,
) -> Result<Page<Subscription>, Failure> {
    let mut filter = Filter::new("TRUE", []);
    filter.and("pim = ?", query.of.pim.map(|pim| pim.0));
    if query.of.client_id.is_some() || query.text.is_some() {
        let mut whose = Filter::new("TRUE", []);
        of(&mut whose, &query.of);
        whose.and(&has_text(NAME), query.text.clone());
        filter.and_also(&format!("subscriber_id IN (SELECT id FROM subscribers WHERE {})", whose.sql));
        filter.values.extend(whose.values);
    }
    status(&mut filter, query.status);
    filter.and("destination_type = ?", query.destination_type.map(|of| of.name().to_owned()));
    filter.and("id > ?", query.after.map(|after| bytes(after.0)));
    let Filter { sql, values } = filter.page("id", query.limit);
    let found = rows::subscriptions(connection, vault, &sql, params_from_iter(values))?;
    Ok(Page::of(found, query.limit))
}

fn of(filter: &mut Filter, whose: &Whose) {
    filter.and("pim = ?", whose.pim.map(|pim| pim.0));
    filter.and("client_id = ?", whose.client_id.clone().map(|client_id| client_id.0));
}

fn status(filter: &mut Filter, status: StatusFilter) {
    match status.name() {
        None => filter.and_also("status <> 'deleted'"),
        Some(name) => filter.and("status = ?", Some(name.to_owned())),
    }
}

/// Counts by index only.
pub(super) fn count(connection: &Connection) -> Result<SubscriptionCounts, Failure> {
    let mut select = connection.prepare_cached("SELECT status, count(*) FROM subscriptions GROUP BY status")?;
    let mut rows = select.query([])?;
    let mut counts = SubscriptionCounts::default();
    while let Some(row) = rows.next()? {
        let count = row.get(1)?;
        match row.get_ref(0)?.as_str().map_err(rusqlite::Error::from)? {
            "active" => counts.active = count,
            "suspended" => counts.suspended = count,
            "revoked" => counts.revoked = count,
            _ => {}
        }
    }
    Ok(counts)
}
