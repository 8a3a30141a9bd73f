//! Pages of subscribers and subscriptions.

use domain::subscriber::Subscriber;
use domain::subscription::Subscription;
use store::{
    ChangedPage, Page, Shard, StatusFilter, SubscriberQuery, SubscriptionCounts, SubscriptionQuery, Vault, Whose,
};

use super::filter::{Filter, has_text};
use super::rows;
use crate::args::{Value, args, int, long, natural};
use crate::failure::Failure;
use crate::inner::number;
use crate::lines::{Line, Tx};

pub(super) async fn subscribers(
    line: &Line,
    vault: &Vault,
    query: &SubscriberQuery,
) -> Result<Page<Subscriber>, Failure> {
    let mut filter = Filter::new("TRUE", []);
    of(&mut filter, &query.of);
    status(&mut filter, query.status);
    filter.and(&has_text("name"), query.text.clone().map(Value::Text));
    filter.and("id > ?", query.after.map(|after| Value::Id(after.0)));
    let filter = filter.page("id", query.limit);
    let found = rows::subscribers(line, vault, &filter.sql, &filter.args()).await?;
    Ok(Page::of(found, query.limit))
}

pub(super) async fn subscriptions(
    line: &Line,
    vault: &Vault,
    query: &SubscriptionQuery,
) -> Result<Page<Subscription>, Failure> {
    let mut filter = Filter::new("TRUE", []);
    filter.and("pim = ?", query.of.pim.map(|pim| Value::Int(int(pim.0))));
    let of = "subscriber_id IN (SELECT id FROM subscribers WHERE";
    let client = query.of.client_id.clone().map(|client| Value::Text(client.0));
    match (client, query.text.clone().map(Value::Text)) {
        (Some(client), Some(text)) => {
            filter.and_all(&format!("{of} client_id = ? AND {})", has_text("name")), [client, text]);
        }
        (client, text) => {
            filter.and(&format!("{of} client_id = ?)"), client);
            filter.and(&format!("{of} {})", has_text("name")), text);
        }
    }
    status(&mut filter, query.status);
    filter.and("destination_type = ?", query.destination_type.map(|of| Value::Text(of.name().to_owned())));
    filter.and("id > ?", query.after.map(|after| Value::Id(after.0)));
    let filter = filter.page("id", query.limit);
    let found = rows::subscriptions(line, vault, &filter.sql, &filter.args()).await?;
    Ok(Page::of(found, query.limit))
}

/// Changes after a version, up to the version of the `at_most`-th changed subscription. One snapshot.
pub(super) async fn changed(
    tx: &Tx,
    vault: &Vault,
    shard: Shard,
    since: Option<u64>,
    at_most: usize,
) -> Result<ChangedPage, Failure> {
    let shard = number(shard);
    let newest = tx.row("SELECT version FROM head WHERE shard = $1", args![shard]).await?;
    let newest = newest.map_or(0, |row| natural(row.get(0)));
    // Later, one that was readable before must not go on as it was.
    let is_start = since.is_none();
    let since = since.map_or(-1, long);
    let sql = "SELECT version FROM subscriptions WHERE shard = $1 AND version > $2 ORDER BY version LIMIT 1 OFFSET $3";
    let place = i64::try_from(at_most.saturating_sub(1)).unwrap_or(i64::MAX);
    let last = tx.row(sql, args![shard, since, place]).await?;
    let version = last.map_or(newest, |row| natural(row.get(0)));
    let which = "shard = $1 AND version > $2 AND version <= $3 ORDER BY version, id";
    let until = long(version);
    let args = args![shard, since, until];
    let subscriptions = match is_start {
        true => rows::readable_subscriptions_in(tx, vault, which, args).await?,
        false => rows::subscriptions_in(tx, vault, which, args).await?,
    };
    Ok(ChangedPage { version, subscriptions, more: version < newest })
}

fn of(filter: &mut Filter, whose: &Whose) {
    filter.and("pim = ?", whose.pim.map(|pim| Value::Int(int(pim.0))));
    filter.and("client_id = ?", whose.client_id.clone().map(|client| Value::Text(client.0)));
}

fn status(filter: &mut Filter, status: StatusFilter) {
    match status.name() {
        None => filter.and_all("status <> 'deleted'", []),
        Some(name) => filter.and("status = ?", Some(Value::Text(name.to_owned()))),
    }
}

/// Counts by index only.
pub(super) async fn count(line: &Line) -> Result<SubscriptionCounts, Failure> {
    let rows = line.query("SELECT status, count(*) FROM subscriptions GROUP BY status", &[]).await?;
    let mut counts = SubscriptionCounts::default();
    for row in rows {
        let count = natural(row.get(1));
        match row.get(0) {
            "active" => counts.active = count,
            "suspended" => counts.suspended = count,
            "revoked" => counts.revoked = count,
            _ => {}
        }
    }
    Ok(counts)
}
