//! Pages of subscribers and subscriptions.

use domain::subscriber::Subscriber;
use domain::subscription::Subscription;
use rusqlite::{Connection, OptionalExtension, params_from_iter};
use store::{ChangedPage, Page, StatusFilter, SubscriberQuery, SubscriptionCounts, SubscriptionQuery, Vault, Whose};

use super::filter::{Filter, bytes, has_text};
use super::{rows, version};
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

/// Changes after a version, up to the version of the `at_most`-th changed subscription.
pub(super) fn changed(
    connection: &Connection,
    vault: &Vault,
    since: Option<u64>,
    at_most: usize,
) -> Result<ChangedPage, Failure> {
    // One read snapshot.
    let transaction = connection.unchecked_transaction()?;
    let newest = version(&transaction)?;
    let is_start = since.is_none();
    let since = since.map_or(Ok(-1), i64::try_from).unwrap_or(i64::MAX);
    let sql = "SELECT version FROM subscriptions WHERE version > ?1 ORDER BY version LIMIT 1 OFFSET ?2";
    let mut select = transaction.prepare_cached(sql)?;
    let last = select.query_row((since, at_most.saturating_sub(1)), |row| row.get(0)).optional()?;
    let version = last.unwrap_or(newest);
    let which = "version > ?1 AND version <= ?2 ORDER BY version, id";
    let subscriptions = match rows::subscriptions(&transaction, vault, which, (since, version)) {
        // Later, one that was readable before must not go on as it was.
        Err(Failure::Corrupt(_)) if is_start => {
            rows::readable_subscriptions(&transaction, vault, which, (since, version))?
        }
        read => read?,
    };
    Ok(ChangedPage { version, subscriptions, more: version < newest })
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
