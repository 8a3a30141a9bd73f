//! What an operator meets: databases that cannot be used, connections that are lost, commits that are not confirmed,
//! and poolers.

#![expect(clippy::unwrap_used, reason = "these are tests")]

use std::collections::BTreeSet;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use domain::Position;
use parts::postgres::{PgBouncer, Postgres};
use store::conformance::sample::{
    ALL, FAR, PIM, append, at, change, changed, events, make, own, put, read, subscription,
};
use store::figures::Backend;
use store::vault::MasterKey;
use store::{AppendError, EventLog, Floors, Ledger, Put, Save, Shards, StoreError, Subscriptions, TenureError, Vault};
use store_postgres::{OpenError, PostgresStore, Settings, Target};

fn server() -> &'static Postgres {
    static SERVER: OnceLock<Postgres> = OnceLock::new();
    SERVER.get_or_init(|| Postgres::start(&["fsync = off"]).unwrap())
}

fn settings_with(url: &str, key: MasterKey) -> Settings {
    let target = Target::parse(url, None, &[], true).unwrap();
    let vault = Vault::new(key, []).unwrap();
    Settings { connections: 4, patience: Duration::from_secs(3), ..Settings::new(target, vault) }
}

fn settings(url: &str) -> Settings {
    settings_with(url, MasterKey::generate().unwrap())
}

async fn open(url: &str) -> PostgresStore {
    PostgresStore::open_to_serve(settings(url)).await.unwrap()
}

async fn refused(url: &str) -> String {
    PostgresStore::open_to_serve(settings(url)).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_database_that_cannot_be_used_says_why() {
    let server = server();
    let check = async |url: &str, expect: &str| {
        let said = refused(url).await;
        assert!(said.contains(expect), "{said}");
    };
    check(&server.url("nothing"), "the database of store.url does not exist").await;
    server.create("foreigner").unwrap();
    server.query("foreigner", "CREATE TABLE orders (id int)").unwrap();
    let said = "belongs to another program (its schema \"public\" has the table \"orders\")";
    check(&server.url("foreigner"), said).await;
    server.create("rights").unwrap();
    server.query("rights", "CREATE ROLE visitor LOGIN; REVOKE CREATE ON SCHEMA public FROM public").unwrap();
    check(&server.url("rights").replace("postgres@", "visitor@"), "lacks a right: it needs CREATE").await;
    server.create("readonly").unwrap();
    server.query("readonly", "ALTER DATABASE readonly SET default_transaction_read_only = on").unwrap();
    check(&server.url("readonly"), "does not allow writes").await;
    let port = parts::port::free();
    check(&format!("postgres://u@127.0.0.1:{port}/db"), "cannot connect to the database").await;
    server.create("newer").unwrap();
    server.query("newer", "CREATE TABLE schema_version AS SELECT 99 AS number").unwrap();
    check(&server.url("newer"), "was written by a newer version (schema 99").await;
}

#[tokio::test]
async fn all_processes_need_the_same_keys_and_commands_create_no_tables() {
    let url = server().create("keys").unwrap();
    let beside = PostgresStore::open_beside(settings(&url), false).await;
    assert!(matches!(beside, Err(OpenError::Empty(_))), "{beside:?}");
    let key = MasterKey::generate().unwrap();
    drop(PostgresStore::open_to_serve(settings_with(&url, key.clone())).await.unwrap());
    let said = refused(&url).await;
    assert!(said.contains("were sealed with other encryption keys"), "{said}");
    let same_id = MasterKey::random(key.id()).unwrap();
    let other = PostgresStore::open_beside(settings_with(&url, same_id), false).await;
    assert!(matches!(other, Err(OpenError::OtherKeys { .. })), "{other:?}");
    let store = PostgresStore::open_beside(settings_with(&url, key.clone()), false).await.unwrap();
    let appended = store.append(PIM, events("a"), at(0)).await;
    assert!(matches!(appended, Err(AppendError::Store(_))), "only a serving process appends");
    // A rotation: the new key seals, the old one is still there; afterwards it is not needed.
    make(&store).await;
    let next = MasterKey::generate().unwrap();
    let both = || Settings { vault: Vault::new(next.clone(), [key.clone()]).unwrap(), ..settings(&url) };
    let store = PostgresStore::open_beside(both(), false).await.unwrap();
    assert_eq!((store.reseal().await.unwrap(), store.reseal().await.unwrap()), (2, 0));
    drop(PostgresStore::open_to_serve(settings_with(&url, next)).await.unwrap());
    assert!(PostgresStore::open_to_serve(settings_with(&url, key)).await.is_err());
}

/// Two processes that start on an empty database at the same time.
#[tokio::test(flavor = "multi_thread")]
async fn the_schema_is_created_once() {
    let url = server().create("together").unwrap();
    let key = MasterKey::generate().unwrap();
    let starting = (0..6).map(|_| tokio::spawn(PostgresStore::open_to_serve(settings_with(&url, key.clone()))));
    for started in starting.collect::<Vec<_>>() {
        started.await.unwrap().unwrap();
    }
}

/// After a lost connection nothing that was learned is trusted: the owner is fenced by itself, and takes over anew.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_ends_all_tenures() {
    let name = "lost";
    let store = open(&server().create(name).unwrap()).await;
    let mut interrupted = store.interruptions();
    let tenure = own(&store).await;
    append(&store, PIM, "a", at(0)).await;
    let cut = "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = 'lost'";
    server().query("postgres", cut).unwrap();
    interrupted.changed().await.unwrap();
    assert!(!store.owns(tenure.shard));
    let saved = store.save(&tenure, Save { mark: Position(2), ..Save::default() }).await;
    assert!(matches!(saved, Err(TenureError::Fenced)), "{saved:?}");
    let next = loop {
        // Connections that are not known to be lost yet fail once.
        if let Ok(next) = store.take(tenure.shard).await
            && store.owns(next.shard)
        {
            break next;
        }
    };
    assert!(next.epoch > tenure.epoch);
    while let Err(error) = store.append(PIM, events("b"), at(0)).await {
        assert!(matches!(error, AppendError::Store(_)), "{error}");
    }
    assert_eq!(read(&store, Some(PIM), 1, ALL).await.0, "a b");
}

/// What the owner has delivered before it reported anything is no backlog for others either.
#[tokio::test(flavor = "multi_thread")]
async fn another_node_forgets_what_the_owner_has_delivered() {
    let url = server().create("delivered").unwrap();
    let key = MasterKey::generate().unwrap();
    let owner = PostgresStore::open_to_serve(settings_with(&url, key.clone())).await.unwrap();
    let other = PostgresStore::open_to_serve(settings_with(&url, key)).await.unwrap();
    let tenure = own(&owner).await;
    append(&other, PIM, "a b", at(0)).await;
    assert!(other.backlog().of(PIM) > 0);
    let tail = owner.tail(tenure.shard);
    tail.watch().wait_for(|head| *head == Position(3)).await.unwrap();
    owner.save(&tenure, Save { mark: Position(3), ..Save::default() }).await.unwrap();
    let floors = Floors { pims: Vec::new(), rest: Position(3) };
    while owner.trim(&tenure, &floors).await.unwrap() > 0 {}
    assert_eq!(owner.backlog().of(PIM), 0);
    let by = Instant::now() + Duration::from_secs(30);
    while other.backlog().of(PIM) > 0 {
        assert!(Instant::now() < by, "{} bytes are still counted", other.backlog().of(PIM));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    // What it still has is told.
    append(&owner, PIM, "c d", at(0)).await;
    while other.backlog().of(PIM) != owner.backlog().of(PIM) {
        assert!(Instant::now() < by, "{} bytes are counted", other.backlog().of(PIM));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A commit whose wait for the standby is cancelled reports success: that is none for us.
#[tokio::test(flavor = "multi_thread")]
async fn a_commit_without_its_standby_is_not_acknowledged() {
    let mut server = Postgres::start(&["fsync = off"]).unwrap();
    let store = open(&server.create("alone").unwrap()).await;
    append(&store, PIM, "a", at(0)).await;
    server.set("synchronous_standby_names = 'nobody'").unwrap();
    let waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query LIKE '%FROM append(%'";
    let cancel = "SELECT count(pg_cancel_backend(pid)) FROM pg_stat_activity WHERE wait_event = 'SyncRep' \
                  AND query LIKE '%FROM append(%'";
    let store = std::sync::Arc::new(store);
    let by = Instant::now() + Duration::from_secs(20);
    // Commits wait only once the server's checkpointer has read the setting, too.
    let mut stored = "a".to_owned();
    let mut early = 0;
    let appending = loop {
        let name = format!("b{early}");
        let appending = {
            let (store, name) = (std::sync::Arc::clone(&store), name.clone());
            tokio::spawn(async move { store.append(PIM, events(&name), at(0)).await })
        };
        while !appending.is_finished() && server.query("postgres", waits).unwrap() != "1" {
            assert!(Instant::now() < by, "no commit waits");
        }
        stored = format!("{stored} {name}");
        if !appending.is_finished() {
            break appending;
        }
        appending.await.unwrap().unwrap();
        early += 1;
    };
    server.query("postgres", cancel).unwrap();
    let appended = appending.await.unwrap();
    assert!(matches!(&appended, Err(AppendError::Store(_))), "{appended:?}");
    // One that is left to itself hangs, and is not acknowledged either.
    let started = Instant::now();
    let appended = store.append(PIM, events("c"), at(0)).await;
    assert!(matches!(appended, Err(AppendError::Store(_))), "{appended:?}");
    assert!(started.elapsed() >= Duration::from_secs(2), "{:?}", started.elapsed());
    server.set("synchronous_standby_names = ''").unwrap();
    // The producer's repetition finds what was committed after all.
    let by = Instant::now() + Duration::from_secs(20);
    let again = format!("b{early} c");
    while let Err(error) = store.append(PIM, events(&again), at(0)).await {
        assert!(Instant::now() < by, "{error}");
    }
    assert_eq!(read(&*store, Some(PIM), 1, ALL).await.0, format!("{stored} c"));
}

#[tokio::test]
async fn what_a_failover_would_lose_is_told() {
    let mut server = Postgres::start(&["synchronous_commit = local"]).unwrap();
    let store = open(&server.create("told").unwrap()).await;
    let told = store.durability().await.unwrap().unwrap();
    assert!(told.contains("synchronous_commit is local") && told.contains("set synchronous_commit = on"), "{told}");
    drop(store);
    server.set("synchronous_commit = on").unwrap();
    let store = open(&server.create("told_again").unwrap()).await;
    assert!(store.durability().await.unwrap().unwrap().contains("set synchronous_standby_names"));
}

/// A pooler that gives each transaction any connection knows neither sessions nor prepared statements.
#[tokio::test(flavor = "multi_thread")]
async fn everything_works_behind_a_pooler_in_transaction_mode() {
    let server = server();
    server.create("pooled").unwrap();
    let pooler = match PgBouncer::start(server) {
        Ok(pooler) => pooler,
        Err(error) => return parts::left_out("PgBouncer", &error),
    };
    let store = open(&pooler.url("pooled")).await;
    let (_, stored) = make(&store).await;
    append(&store, PIM, "a b", at(0)).await;
    let tenure = own(&store).await;
    let lane = store::conformance::sample::lane(&stored);
    store.save(&tenure, Save { mark: Position(3), lanes: vec![lane], ..Save::default() }).await.unwrap();
    assert_eq!(store.load(&tenure).await.unwrap().mark, Position(3));
    assert_eq!(read(&store, Some(PIM), 1, ALL).await.0, "a b");
    assert_eq!(store.append(PIM, events("b c"), at(0)).await.unwrap().duplicates, 1);
    drop(store);
}

/// What a later version wrote, or what was damaged, stops its own subscription only.
#[tokio::test]
async fn a_subscription_that_cannot_be_read_stops_no_other_one() {
    let (server, url) = (server(), server().create("unreadable").unwrap());
    let store = open(&url).await;
    let (subscriber, readable) = make(&store).await;
    let made = store.change(change(vec![Put::New(subscription(&subscriber))])).await.unwrap();
    let (before, both) = store.changed_since(made.shard, None).await.unwrap();
    assert_eq!(both.len(), 2);
    let unreadable = both.iter().find(|one| one.id != readable.id).unwrap().id;
    let damage = format!("UPDATE subscriptions SET body = '{{}}', version = version + 1 WHERE id = '{unreadable}'");
    server.query("unreadable", &damage).unwrap();
    server.query("unreadable", &format!("UPDATE head SET version = version + 1 WHERE shard = {}", made.shard)).unwrap();
    let (_, left) = store.changed_since(made.shard, None).await.unwrap();
    assert_eq!(left, [readable]);
    // Who has read it before must not go on with what it was.
    let changed = store.changed_since(made.shard, Some(before)).await;
    assert!(matches!(changed, Err(StoreError::Corrupt(_))), "{changed:?}");
}

/// A node that is no owner notes for whom it has written; the owner itself does not.
#[tokio::test]
async fn what_is_written_for_another_owner_is_noted() {
    let url = server().create("elsewhere").unwrap();
    let key = MasterKey::generate().unwrap();
    let owner = PostgresStore::open_to_serve(settings_with(&url, key.clone())).await.unwrap();
    let (_, stored) = make(&owner).await;
    let shard = owner.shard_of(PIM);
    owner.elsewhere().unwrap().take().await;
    owner.take(shard).await.unwrap();
    append(&owner, PIM, "a", at(0)).await;
    let other = PostgresStore::open_to_serve(settings_with(&url, key)).await.unwrap();
    append(&other, PIM, "b", at(0)).await;
    assert_eq!(other.elsewhere().unwrap().take().await, BTreeSet::from([shard]));
    put(&other, changed(&stored, |one| one.options.hold = true)).await;
    assert_eq!(other.elsewhere().unwrap().take().await, BTreeSet::from([shard]));
    let own = tokio::time::timeout(Duration::from_millis(100), owner.elsewhere().unwrap().take()).await;
    assert!(own.is_err(), "{own:?}");
    assert_eq!(owner.lags().await.unwrap()[&shard], 2);
}

/// Others' events that cannot be read stop their own shard only, and are read once they can be.
#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_event_stops_no_other_shard() {
    let (server, name) = (server(), "damaged");
    let url = server.create(name).unwrap();
    let key = MasterKey::generate().unwrap();
    let owner = PostgresStore::open_to_serve(settings_with(&url, key.clone())).await.unwrap();
    let other = PostgresStore::open_to_serve(settings_with(&url, key)).await.unwrap();
    let (damaged, far) = (owner.shard_of(PIM), owner.shard_of(FAR));
    for shard in [damaged, far] {
        owner.take(shard).await.unwrap();
    }
    let damage = format!(
        "CREATE TABLE intact (pos bigint, body bytea);
         CREATE FUNCTION damage() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO intact VALUES (NEW.pos, NEW.body);
             NEW.body := '\\x00';
             RETURN NEW;
         END $$;
         CREATE TRIGGER damage BEFORE INSERT ON frames FOR EACH ROW WHEN (NEW.shard = {damaged})
             EXECUTE FUNCTION damage();"
    );
    server.query(name, &damage).unwrap();
    append(&other, PIM, "a", at(0)).await;
    append(&other, FAR, "b", at(0)).await;
    let head_of = |shard| owner.tail(shard).watch();
    let arrives = async |shard| {
        let mut head = head_of(shard);
        let arrived = head.wait_for(|head| *head == Position(2));
        tokio::time::timeout(Duration::from_secs(30), arrived).await.unwrap().unwrap();
    };
    arrives(far).await;
    assert_eq!(*head_of(damaged).borrow(), Position(1));
    let mend =
        format!("UPDATE frames SET body = intact.body FROM intact WHERE shard = {damaged} AND frames.pos = intact.pos");
    server.query(name, &mend).unwrap();
    arrives(damaged).await;
}
