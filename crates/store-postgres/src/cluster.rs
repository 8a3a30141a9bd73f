//! Nodes, and taking over and giving back shards: one statement each.

use std::sync::atomic::Ordering;

use async_trait::async_trait;
use store::{Cluster, Epoch, Lease, Node, NodeId, Profile, Roll, StoreError, Tenure};
use uuid::Uuid;

use crate::PostgresStore;
use crate::args::{args, int, long, natural, unsigned};
use crate::failure::Failure;
use crate::inner::{Inner, SPREAD, not_serving, number};
use crate::lines::PLATFORM;

#[async_trait]
impl Cluster for PostgresStore {
    fn node(&self) -> NodeId {
        self.at.node
    }

    async fn roll(&self) -> Result<Roll, StoreError> {
        Ok(roll(&self.at).await?)
    }

    async fn enter(&self, profile: &Profile) -> Result<(), StoreError> {
        if !self.at.serves {
            return Err(not_serving());
        }
        Ok(enter(&self.at, profile).await?)
    }

    async fn take_if(&self, seen: &Lease) -> Result<Option<Tenure>, StoreError> {
        if !self.at.serves {
            return Err(not_serving());
        }
        Ok(take_if(&self.at, seen).await?)
    }

    async fn give(&self, tenure: &Tenure) -> Result<(), StoreError> {
        Ok(give(&self.at, tenure).await?)
    }
}

/// Nodes have no shard.
const ROLL: &str = "SELECT shard, owner, epoch, beat, NULL::text, NULL::text, NULL::int, NULL::boolean FROM lease \
                    UNION ALL SELECT NULL, id, 0, beat, address, version, reads, fit FROM node ORDER BY 1, 2";

async fn roll(inner: &Inner) -> Result<Roll, Failure> {
    let line = inner.readers.line(PLATFORM).await?;
    let mut roll = Roll::default();
    for row in line.query(ROLL, &[]).await? {
        let id = row.get::<_, Option<Uuid>>(1).map(NodeId::from_uuid);
        let beat = natural(row.get(3));
        match (row.get::<_, Option<i16>>(0), id) {
            (Some(shard), owner) => {
                let shard = u8::try_from(shard).ok().and_then(|shard| SPREAD.shard(shard));
                let shard = shard.ok_or_else(|| Failure::Corrupt("a lease of an unknown shard".to_owned()))?;
                roll.leases.push(Lease { shard, owner, epoch: Epoch(natural(row.get(2))), beat });
            }
            (None, Some(id)) => {
                let profile = Profile {
                    address: row.get(4),
                    version: row.get(5),
                    reads: unsigned(row.get(6)),
                    is_fit: row.get(7),
                };
                roll.nodes.push(Node { id, beat, profile });
            }
            (None, None) => {}
        }
    }
    let has_company = roll.nodes.iter().any(|node| node.id != inner.node);
    inner.has_company.store(has_company, Ordering::Relaxed);
    Ok(roll)
}

async fn enter(inner: &Inner, profile: &Profile) -> Result<(), Failure> {
    let Profile { address, version, reads, is_fit } = profile;
    let sql = "INSERT INTO node (id, address, version, reads, fit) VALUES ($1, $2, $3, $4, $5) \
               ON CONFLICT (id) DO UPDATE SET address = excluded.address, version = excluded.version, \
               reads = excluded.reads, fit = excluded.fit";
    let line = inner.changes.line().await?;
    line.execute(sql, args![inner.node.uuid(), *address, version.as_str(), int(*reads), *is_fit]).await?;
    Ok(())
}

async fn take_if(inner: &Inner, seen: &Lease) -> Result<Option<Tenure>, Failure> {
    let line = inner.changes.line().await?;
    // Before the takeover: what is lost later makes it void.
    let losses = inner.losses.count();
    let (shard, node, seen_by) = (number(seen.shard), inner.node.uuid(), seen.owner.map(NodeId::uuid));
    let (epoch, beat) = (long(seen.epoch.0), long(seen.beat));
    let rows = line.query("SELECT take_if($1, $2, $3, $4, $5)", args![shard, node, seen_by, epoch, beat]).await?;
    drop(line);
    let Some(epoch) = rows.first().and_then(|row| row.get::<_, Option<i64>>(0)) else { return Ok(None) };
    let tenure = Tenure { shard: seen.shard, node: inner.node, epoch: Epoch(natural(epoch)) };
    inner.took(&tenure, losses).await?;
    Ok(Some(tenure))
}

async fn give(inner: &Inner, tenure: &Tenure) -> Result<(), Failure> {
    // Nothing is sent by it from now on, whatever becomes of the statement.
    inner.leases.gave(tenure);
    let line = inner.changes.line().await?;
    let (shard, node, epoch) = (number(tenure.shard), tenure.node.uuid(), long(tenure.epoch.0));
    line.query("SELECT give($1, $2, $3)", args![shard, node, epoch]).await?;
    Ok(())
}
