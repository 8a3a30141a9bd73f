//! The database as the destination of a move from another backend. All writes can be repeated, so a move that was
//! interrupted is run again. Until it is complete, nobody serves from the database.

use domain::{PimId, Position};
use store::moving::{Cell, FRAMES, Kind, Row, Table, Whole};
use uuid::Uuid;

use crate::args::{Arg, arg, args, int, long, natural};
use crate::event_log::decode;
use crate::failure::Failure;
use crate::hashes;
use crate::inner::SPREAD;
use crate::lines::{Line, Lines, Losses};
use crate::schema::{self, OpenError};
use crate::sealed;
use crate::settings::Settings;

/// The destination of a move.
pub struct Destination {
    lines: Lines,
    name: String,
    index: bool,
}

/// How far a move is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Progress {
    /// The database is empty.
    Empty,
    /// This move has begun.
    Begun,
    /// This move is complete.
    Complete,
}

impl Destination {
    /// Opens the database and creates its tables.
    pub async fn open(settings: Settings) -> Result<Destination, OpenError> {
        let Settings { target, patience, vault, keep, .. } = settings;
        let name = target.name().to_owned();
        let lines = Lines::new(&target, patience, &Losses::new(), 1);
        let link = lines.connect().await.map_err(|failure| OpenError::of(&name, failure))?;
        schema::prepare(&link, &name, true).await?;
        drop(link);
        let line = lines.line().await.map_err(|failure| OpenError::of(&name, failure))?;
        sealed::check(&line, &vault, &name).await?;
        drop(line);
        Ok(Destination { lines, name, index: keep.keep_any() })
    }

    /// Hosts and database.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn failed(&self, failure: Failure) -> OpenError {
        OpenError::of(&self.name, failure)
    }

    async fn line(&self) -> Result<Line, OpenError> {
        self.lines.line().await.map_err(|failure| self.failed(failure))
    }

    /// How far a move is. An error if the database has other data.
    pub async fn progress(&self, id: Uuid) -> Result<Progress, OpenError> {
        let line = self.line().await?;
        let sql = "SELECT origin, arrived, EXISTS (SELECT 1 FROM pims) OR EXISTS (SELECT 1 FROM subscribers) \
                   OR EXISTS (SELECT 1 FROM head WHERE pos > 1) FROM platform";
        let rows = line.query(sql, &[]).await.map_err(|failure| self.failed(failure))?;
        let Some(row) = rows.first() else { return Ok(Progress::Empty) };
        match (row.get::<_, Option<Uuid>>(0), row.get::<_, bool>(1), row.get::<_, bool>(2)) {
            (Some(origin), true, _) if origin == id => Ok(Progress::Complete),
            (Some(origin), false, _) if origin == id => Ok(Progress::Begun),
            (None, true, false) => Ok(Progress::Empty),
            _ => Err(OpenError::Occupied(self.name.clone())),
        }
    }

    /// Begins a move: from now on nobody serves from the database.
    pub async fn begin(&self, id: Uuid, whole: &Whole) -> Result<(), OpenError> {
        let line = self.line().await?;
        let sql = "UPDATE platform SET origin = $1, arrived = FALSE, dedup_secret = $2";
        line.execute(sql, args![id, whole.dedup_secret]).await.map_err(|failure| self.failed(failure))?;
        Ok(())
    }

    /// Position behind the frames that are here, from where on a move goes on.
    pub async fn reached(&self) -> Result<u64, OpenError> {
        let line = self.line().await?;
        let rows = line.query("SELECT coalesce(max(pos), 0) FROM frames", &[]).await;
        let rows = rows.map_err(|failure| self.failed(failure))?;
        Ok(rows.first().map_or(0, |row| natural(row.get(0))))
    }

    /// Stores rows, as far as they are not here.
    pub async fn put(&self, table: Table, rows: &[Row]) -> Result<(), OpenError> {
        let line = self.line().await?;
        let put = match table.name {
            name if name == FRAMES.name => put_frames(&line, rows, self.index).await,
            _ => put_rows(&line, table, rows).await,
        };
        put.map_err(|failure| self.failed(failure))
    }

    /// Number of rows of a table.
    pub async fn count(&self, table: Table) -> Result<u64, OpenError> {
        let line = self.line().await?;
        let rows = line.query(&format!("SELECT count(*) FROM {}", table.name), &[]).await;
        let rows = rows.map_err(|failure| self.failed(failure))?;
        Ok(rows.first().map_or(0, |row| natural(row.get(0))))
    }

    /// Completes the move, in one commit: numbers continue, and from now on somebody may serve.
    pub async fn complete(&self, whole: &Whole) -> Result<(), OpenError> {
        self.complete_all(whole).await.map_err(|failure| self.failed(failure))
    }

    async fn complete_all(&self, whole: &Whole) -> Result<(), Failure> {
        let tx = self.lines.begin().await?;
        let work = async {
            let (head, version) = (long(whole.head), long(whole.version));
            tx.execute("UPDATE head SET pos = $1, version = $2", args![head, version]).await?;
            tx.execute("UPDATE progress SET mark = $1", args![long(whole.mark)]).await?;
            // Those without a row keep nothing from before this position.
            let keeping = "INSERT INTO keeping (pim, shard, kept_from, swept) \
                           SELECT DISTINCT pim, shard, $1::bigint, $1::bigint FROM frames ON CONFLICT DO NOTHING";
            tx.execute(keeping, args![long(whole.kept_since)]).await?;
            let hours = "INSERT INTO hours SELECT shard, hour, min(pos) FROM frames GROUP BY shard, hour \
                         ON CONFLICT DO NOTHING";
            tx.execute(hours, &[]).await?;
            let totals = "INSERT INTO snapshot_totals SELECT pim, pim % 64, sum(size) FROM snapshots GROUP BY pim \
                          ON CONFLICT (pim) DO UPDATE SET bytes = excluded.bytes";
            tx.execute(totals, &[]).await?;
            for table in ["notifications", "dropped", "replays"] {
                let sequence = format!(
                    "SELECT setval(pg_get_serial_sequence('{table}', 'seq'), \
                     (SELECT coalesce(max(seq), 0) + 1 FROM {table}), FALSE)"
                );
                tx.query(&sequence, &[]).await?;
            }
            let platform = "UPDATE platform SET arrived = TRUE, service_hour = $1, service_rest = $2, \
                            pims_version = $3, last_pim = $4";
            let (hour, rest) = (int(whole.service.0), long(whole.service.1));
            tx.execute(platform, args![hour, rest, long(whole.pims_version), int(whole.last_pim)]).await?;
            Ok::<_, Failure>(())
        };
        let done = work.await;
        tx.end(done).await
    }
}

/// The values of one column.
enum Column {
    Numbers(Vec<Option<i64>>),
    Texts(Vec<Option<String>>),
    Bytes(Vec<Option<Vec<u8>>>),
    Ids(Vec<Option<Uuid>>),
}

impl Column {
    fn of(kind: Kind, rows: &[Row], index: usize) -> Column {
        let cells = rows.iter().map(|row| row.get(index).unwrap_or(&Cell::Null));
        let bytes = |cell: &Cell| match cell {
            Cell::Bytes(bytes) => Some(bytes.clone()),
            _ => None,
        };
        match kind {
            Kind::Number => Column::Numbers(
                cells.map(|cell| if let Cell::Number(number) = cell { Some(*number) } else { None }).collect(),
            ),
            Kind::Text => Column::Texts(
                cells.map(|cell| if let Cell::Text(text) = cell { Some(text.clone()) } else { None }).collect(),
            ),
            Kind::Bytes => Column::Bytes(cells.map(bytes).collect()),
            Kind::Id => Column::Ids(cells.map(|cell| Uuid::from_slice(&bytes(cell)?).ok()).collect()),
        }
    }

    fn arg(&self) -> Arg<'_> {
        match self {
            Column::Numbers(values) => arg(values),
            Column::Texts(values) => arg(values),
            Column::Bytes(values) => arg(values),
            Column::Ids(values) => arg(values),
        }
    }
}

async fn put_rows(line: &Line, table: Table, rows: &[Row]) -> Result<(), Failure> {
    let columns: Vec<Column> =
        table.columns.iter().enumerate().map(|(index, (_, kind))| Column::of(*kind, rows, index)).collect();
    let places: Vec<String> = (1..=columns.len()).map(|place| format!("${place}")).collect();
    let names: Vec<String> = table.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let given = format!("FROM unnest({}) AS t ({})", places.join(", "), names.join(", "));
    let args: Vec<Arg<'_>> = columns.iter().map(Column::arg).collect();
    line.execute(&insert(table, &given), &args).await.map(drop)
}

/// Inserts what is not there; columns that only this backend has follow from the others.
fn insert(table: Table, given: &str) -> String {
    let names: Vec<String> = table.columns.iter().map(|(name, _)| format!("\"{name}\"")).collect();
    let all = names.join(", ");
    let with = |more: &str, values: &str| {
        let name = table.name;
        format!("INSERT INTO {name} ({all}, {more}) SELECT {all}, {values} {given} ON CONFLICT DO NOTHING")
    };
    let shard = "pim % 64";
    match table.name {
        "ids" => format!(
            "INSERT INTO ids (part, key, hour) SELECT 1, key, max(hour) {given} GROUP BY key \
             ON CONFLICT (key, part) DO UPDATE SET hour = greatest(ids.hour, excluded.hour)"
        ),
        "pims" => with(
            "revision, keys",
            "coalesce((body::json->>'revision')::bigint, 0), \
             ARRAY(SELECT k->>'sha256' FROM json_array_elements(body::json->'keys') AS k)",
        ),
        "clients" => with("revision", "coalesce((body::json->>'revision')::bigint, 0)"),
        "subscribers" => with("shard, name", &format!("{shard}, body::json->>'name'")),
        "notifications" => format!(
            "INSERT INTO notifications ({all}, shard, revision, created_at, attempts, sent) OVERRIDING SYSTEM VALUE \
             SELECT {all}, {shard}, coalesce((body::json->>'revision')::bigint, 0), \
             coalesce((body::json->'notification'->>'timestamp')::bigint, 0), \
             coalesce((body::json->>'attempts')::bigint, 0), body::json->>'sent_at' IS NOT NULL {given} \
             ON CONFLICT DO NOTHING"
        ),
        "lanes" => format!(
            "INSERT INTO lanes (subscription, shard, generation, cursor, memory) \
             SELECT subscription, {shard}, generation, cursor, memory {given} ON CONFLICT DO NOTHING"
        ),
        "snapshots" => with("size", "100 + octet_length(key) + octet_length(body)"),
        "eras" => format!(
            "INSERT INTO eras ({all}) SELECT subscription, begins, ends, pim, creation <> 0, size, body {given} \
             ON CONFLICT DO NOTHING"
        ),
        "dropped" => format!(
            "INSERT INTO dropped ({all}) OVERRIDING SYSTEM VALUE SELECT seq, subscription, pim, first, until, reason, \
             uncertain <> 0, size, body {given} ON CONFLICT DO NOTHING"
        ),
        "outcome_counts" => format!(
            "INSERT INTO outcome_counts (subscription, begins, shard, hour, delivered, failed, throttled) \
             SELECT subscription, begins, {shard}, hour, delivered, failed, throttled {given} ON CONFLICT DO NOTHING"
        ),
        "replays" => format!(
            "INSERT INTO replays (seq, id, shard, subscription, version, running, body, progress) \
             OVERRIDING SYSTEM VALUE SELECT seq, id, {shard}, subscription, version, running <> 0, body, progress \
             {given} ON CONFLICT DO NOTHING"
        ),
        "subscriptions" | "entries" | "bridge_notes" | "keeping" => with("shard", shard),
        name => format!("INSERT INTO {name} ({all}) SELECT {all} {given} ON CONFLICT DO NOTHING"),
    }
}

/// Frames are read once: what their events are found by, and that they can be read at all.
async fn put_frames(line: &Line, rows: &[Row], index: bool) -> Result<(), Failure> {
    let (mut shards, mut pos, mut pims, mut counts, mut hours) = (vec![], vec![], vec![], vec![], vec![]);
    let (mut earliest, mut latest, mut keys, mut bodies) = (vec![], vec![], vec![], vec![]);
    for row in rows {
        let [Cell::Number(first), Cell::Number(pim), Cell::Number(count), Cell::Number(hour), Cell::Bytes(body)] =
            row.as_slice()
        else {
            return Err(Failure::Corrupt("a frame has unexpected columns".to_owned()));
        };
        let pim = PimId(u32::try_from(*pim).unwrap_or_default());
        let events = decode(pim, Position(natural(*first)), Position(0)..Position(u64::MAX), body)?;
        if events.len() as i64 != *count {
            return Err(Failure::Corrupt(format!("the frame at position {first} has {} events", events.len())));
        }
        let times = events.iter().map(|event| event.accepted_at.as_micros());
        earliest.push(times.clone().min().unwrap_or_default());
        latest.push(times.max().unwrap_or_default());
        keys.push(if index { hashes::of(events.iter().map(|event| &event.event)) } else { "{}".to_owned() });
        shards.push(i16::from(SPREAD.shard_of(pim).number()));
        pos.push(*first);
        pims.push(int(pim.0));
        counts.push(i32::try_from(*count).unwrap_or_default());
        hours.push(i32::try_from(*hour).unwrap_or_default());
        bodies.push(body.clone());
    }
    let sql = "INSERT INTO frames (part, shard, pos, pim, count, hour, earliest, latest, bytes, keys, body) \
               SELECT 1, s, p, m, c, h, e, l, octet_length(b), k::integer[], b \
               FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9) AS t (s, p, m, c, h, e, l, k, b) ON CONFLICT DO NOTHING";
    line.execute(sql, args![shards, pos, pims, counts, hours, earliest, latest, keys, bodies]).await?;
    Ok(())
}
