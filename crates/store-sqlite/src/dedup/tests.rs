//! The table, the runs, and the transition between them.

use store::Vault;
use store::vault::MasterKey;

use domain::PimId;

use super::*;

fn settings() -> Settings {
    let vault = Vault::new(MasterKey::generate().unwrap(), []).unwrap();
    Settings { dedup_recent: 1000, ..Settings::new(vault) }
}

fn database() -> Connection {
    let connection = Connection::open_in_memory().unwrap();
    connection.execute_batch(include_str!("../../migrations/0001_initial.sql")).unwrap();
    connection
}

fn at(hour: u32) -> ServiceHour {
    ServiceHour(hour)
}

/// Adds ids and tidies like the writer; returns the number of known ones.
fn add(dedup: &mut Dedup, connection: &Connection, ids: std::ops::Range<u32>, now: ServiceHour) -> usize {
    let keyed = keyed(connection).unwrap();
    let mut known = 0;
    for id in ids {
        known += usize::from(dedup.add(connection, keyed.key(PimId(1), &id.to_string()), now).unwrap());
        if id % 10 == 9 {
            dedup.write(connection).unwrap();
            dedup.settle();
            if dedup.is_full() {
                dedup.tidy(connection).unwrap();
            }
        }
    }
    known
}

#[test]
fn ids_are_known_in_memory_in_runs_and_after_a_restart() {
    let connection = database();
    let mut dedup = Dedup::load(&connection, &settings()).unwrap();
    assert_eq!(add(&mut dedup, &connection, 0..5500, at(0)), 0);
    assert_eq!((dedup.runs.len(), dedup.recent.len()), (5, 500));
    assert_eq!(add(&mut dedup, &connection, 0..5500, at(1)), 5500);
    let mut dedup = Dedup::load(&connection, &settings()).unwrap();
    assert_eq!((dedup.runs.len(), dedup.recent.len()), (5, 500));
    assert_eq!(add(&mut dedup, &connection, 0..5600, at(1)), 5500);
    // Without memory for filters it is slower but correct.
    let mut dedup = Dedup::load(&connection, &Settings { dedup_filter_bytes: 2000, ..settings() }).unwrap();
    assert_eq!(dedup.runs.iter().filter(|run| run.filter_bytes() > 0).count(), 1);
    assert_eq!(add(&mut dedup, &connection, 0..5700, at(1)), 5600);
}

#[test]
fn ids_are_forgotten_after_the_window_exactly_and_runs_go() {
    let connection = database();
    let mut dedup = Dedup::load(&connection, &settings()).unwrap();
    add(&mut dedup, &connection, 0..1000, at(0));
    add(&mut dedup, &connection, 1000..1500, at(1));
    assert_eq!(add(&mut dedup, &connection, 0..1500, at(24)), 1500);
    assert_eq!(add(&mut dedup, &connection, 0..1500, at(25)), 500);
    assert_eq!(dedup.runs.len(), 1, "the run of the first thousand went when the new one came");
    assert_eq!(add(&mut dedup, &connection, 0..1000, at(26)), 1000);
}

#[test]
fn few_ids_over_a_long_time_stay_in_memory() {
    let connection = database();
    let mut dedup = Dedup::load(&connection, &settings()).unwrap();
    for hour in 0..200 {
        add(&mut dedup, &connection, hour * 20..hour * 20 + 20, at(hour));
        assert!(dedup.recent.len() <= 1000, "{}", dedup.recent.len());
    }
    assert!(dedup.runs.is_empty());
    let rows: u32 = connection.query_row("SELECT count(*) FROM dedup_recent", [], |row| row.get(0)).unwrap();
    assert!(rows <= 100, "{rows} rows of 10 ids");
}

/// Wall-clock seconds stored by earlier versions count from the migration.
#[test]
fn ids_from_before_hours_of_service_are_known_for_a_day_from_then_on() {
    let connection = database();
    let keyed = keyed(&connection).unwrap();
    let old = |id: &str| [&keyed.key(PimId(1), id).0.to_be_bytes()[..], &1_793_000_000u32.to_be_bytes()].concat();
    connection.execute("INSERT INTO dedup_recent (newest, keys) VALUES (0, ?1)", [old("recent")]).unwrap();
    let run = "INSERT INTO dedup_runs (run, newest, fences, filter) VALUES (1, 0, ?1, x'')";
    connection.execute(run, [&old("run")[..16]]).unwrap();
    connection.execute("INSERT INTO dedup_blocks (id, keys) VALUES (1 << 20, ?1)", [old("run")]).unwrap();
    let dedup = Dedup::load(&connection, &settings()).unwrap();
    for id in ["recent", "run"] {
        let known = |hour| dedup.knows(&connection, keyed.key(PimId(1), id), at(hour)).unwrap();
        assert!(known(0) && known(24), "{id}");
        assert!(!known(25), "{id}");
    }
}

#[test]
fn uncommitted_ids_are_rolled_back() {
    let connection = database();
    let mut dedup = Dedup::load(&connection, &settings()).unwrap();
    let keyed = keyed(&connection).unwrap();
    let (first, second) = (keyed.key(PimId(1), "a"), keyed.key(PimId(2), "a"));
    assert!(!dedup.add(&connection, first, at(0)).unwrap());
    let before = dedup.added();
    assert!(!dedup.add(&connection, second, at(0)).unwrap());
    dedup.undo(before);
    assert!(dedup.add(&connection, first, at(0)).unwrap());
    assert!(!dedup.add(&connection, second, at(0)).unwrap());
}

#[test]
fn the_filter_forgets_nothing_and_is_rarely_wrong() {
    let keyed = Keyed::new(vec![7]);
    let key = |n: u32| keyed.key(PimId(1), &n.to_string());
    let filter = filter::Filter::of((0..10_000).map(key));
    assert!((0..10_000).all(|n| filter.may_contain(key(n))));
    let wrong = (10_000..110_000).filter(|n| filter.may_contain(key(*n))).count();
    assert!(wrong < 2_000, "{wrong} of 100,000");
}
