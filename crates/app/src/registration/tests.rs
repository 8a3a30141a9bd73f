//! The configuration as the authority on its PIMs, with the in-memory store.

use domain::pim::TokenCheck;
use store::conformance::sample;
use store::{MemoryStore, Outbox, Pims, Shard, Subscriptions};

use super::*;
use crate::config::PimUrl;

const KEY: &str = "a-key-of-sixteen-chars";

fn at(second: i64) -> Timestamp {
    Timestamp::from_micros(second * 1_000_000)
}

fn configured(name: &str, url: &str, keys: Option<&[&str]>) -> PimSettings {
    PimSettings {
        name: name.into(),
        url: PimUrl::parse(url).unwrap(),
        keys: keys.map(|keys| keys.iter().map(|key| Secret::new(*key)).collect()),
        token_check: TokenCheck::Static,
        static_tokens: Vec::new(),
        events_api_secret: None,
    }
}

fn main_pim() -> PimSettings {
    configured("main", "https://pim.example.com", Some(&[KEY]))
}

async fn only(store: &MemoryStore) -> Pim {
    let mut pims = store.all_pims().await.unwrap();
    assert_eq!(pims.len(), 1);
    pims.remove(0)
}

#[test]
fn key_hashes_are_plain_sha256() {
    let key = source_key(&Secret::new("abc"), Timestamp::EPOCH, Origin::Command);
    assert_eq!(key.sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

#[test]
fn new_keys_differ_and_are_stored_as_hashes() {
    let (first, kept) = new_key().unwrap();
    let (second, _) = new_key().unwrap();
    assert_ne!(first, second);
    assert!(first.expose().len() > 40 && !format!("{kept:?}").contains(first.expose()));
}

/// Several nodes start at the same time with the same configuration.
#[tokio::test]
async fn a_pim_that_another_node_has_just_registered_is_not_registered_twice() {
    let store = MemoryStore::default();
    apply(&store, &[main_pim()], at(1)).await.unwrap();
    let first = only(&store).await;
    // Read before.
    register(&store, &[], &main_pim(), at(2)).await.unwrap();
    assert_eq!(only(&store).await, first);
    let same_key = configured("other", "https://other.example.com", Some(&[KEY]));
    let error = register(&store, &[], &same_key, at(3)).await.unwrap_err().to_string();
    assert!(error.contains("one of the keys is one of the PIM \"main\""), "{error}");
}

#[tokio::test]
async fn a_key_that_the_file_names_no_more_ends() {
    let store = MemoryStore::default();
    apply(&store, &[main_pim()], at(1)).await.unwrap();
    let first = only(&store).await;
    assert_eq!((first.keys.len(), first.keys[0].origin), (1, Origin::Configuration));
    apply(&store, &[main_pim()], at(2)).await.unwrap();
    assert_eq!(only(&store).await, first, "unchanged settings change nothing");
    // Keys added by a command apply as long as the file specifies none.
    let silent = configured("main", "https://pim.example.com", None);
    apply(&store, std::slice::from_ref(&silent), at(3)).await.unwrap();
    assert_eq!(only(&store).await.keys, [], "the key was removed from the file");
    let (_, made) = new_key().unwrap();
    let add = |pim: &mut Pim| -> Result<(), ChangeError> {
        pim.keys.push(made.clone());
        Ok(())
    };
    edit_pim(&store, first.id, add).await.unwrap();
    apply(&store, std::slice::from_ref(&silent), at(4)).await.unwrap();
    assert_eq!(only(&store).await.keys, [made]);
    apply(&store, &[main_pim()], at(5)).await.unwrap();
    assert_eq!(
        only(&store).await.keys[0].sha256,
        first.keys[0].sha256,
        "the file is authoritative for the keys it contains"
    );
}

#[tokio::test]
async fn a_secret_that_the_file_names_no_more_ends() {
    let store = MemoryStore::default();
    let with = |secret: Option<&str>| PimSettings { events_api_secret: secret.map(Secret::new), ..main_pim() };
    apply(&store, &[with(Some("s1"))], at(1)).await.unwrap();
    assert_eq!(only(&store).await.events_api_secret, Some(Secret::new("s1")));
    apply(&store, &[with(None)], at(2)).await.unwrap();
    assert_eq!(only(&store).await.events_api_secret, None);
    let set = |pim: &mut Pim| -> Result<(), ChangeError> {
        pim.events_api_secret = Some(Secret::new("by command"));
        Ok(())
    };
    edit_pim(&store, only(&store).await.id, set).await.unwrap();
    apply(&store, &[with(None)], at(3)).await.unwrap();
    assert_eq!(only(&store).await.events_api_secret, Some(Secret::new("by command")), "never part of the file");
}

#[tokio::test]
async fn a_pim_that_the_file_names_no_more_stands_still_until_it_is_named_again() {
    let store = MemoryStore::default();
    let settings = configured("main", &sample::pim("a").url, Some(&[KEY]));
    apply(&store, std::slice::from_ref(&settings), at(1)).await.unwrap();
    let (_, subscription) = sample::make(&store).await;
    let status = async || store.subscription(subscription.id).await.unwrap().unwrap();
    for second in [2, 3] {
        apply(&store, &[], at(second)).await.unwrap();
        assert_eq!(only(&store).await.provenance.withdrawn_at, Some(at(2)));
        let standing = status().await;
        assert_eq!(standing.status, SubscriptionStatus::Suspended(SuspensionReason::PimWithdrawn));
        assert!(standing.holds(), "the backlog is kept");
    }
    apply(&store, std::slice::from_ref(&settings), at(4)).await.unwrap();
    assert_eq!(status().await.status, SubscriptionStatus::Active);
    assert!(!only(&store).await.is_withdrawn());
    let notifications = store.notifications(Shard::FIRST, None, 10).await.unwrap();
    assert_eq!(notifications.len(), 0, "its owner is locked out and can do nothing about it");
}

#[tokio::test]
async fn pims_of_commands_stay() {
    let store = MemoryStore::default();
    let pim =
        store.add_pim(new_pim("by-hand", "https://other.example.com", TokenCheck::Static).unwrap()).await.unwrap();
    apply(&store, &[], at(1)).await.unwrap();
    assert_eq!(only(&store).await, pim);
}

#[tokio::test]
async fn a_new_name_for_a_known_url_is_refused_with_the_command_that_renames() {
    let store = MemoryStore::default();
    apply(&store, &[main_pim()], at(1)).await.unwrap();
    let renamed = configured("shop", "https://PIM.example.com/", Some(&[KEY]));
    let refused = format!("{:#}", apply(&store, &[renamed], at(2)).await.unwrap_err());
    assert!(refused.contains("postrider pim rename main shop"), "{refused}");
    assert!(!only(&store).await.is_withdrawn(), "nothing was changed");
}

#[tokio::test]
async fn a_key_of_a_pim_of_a_command_is_not_given_to_another() {
    let store = MemoryStore::default();
    let mut by_hand = new_pim("by-hand", "https://other.example.com", TokenCheck::Static).unwrap();
    by_hand.keys.push(source_key(&Secret::new(KEY), at(0), Origin::Command));
    store.add_pim(by_hand).await.unwrap();
    let refused = format!("{:#}", apply(&store, &[main_pim()], at(1)).await.unwrap_err());
    assert!(refused.contains("\"by-hand\"") && !refused.contains(KEY), "{refused}");
}
