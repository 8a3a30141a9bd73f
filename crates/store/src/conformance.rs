//! Conformance suite: small tests over the ports. A backend calls [`store_conformance!`](crate::store_conformance) with
//! an expression that opens an empty store, and gets a `#[tokio::test]` per test.

#![expect(clippy::unwrap_used, reason = "this is a suite of tests")]

pub mod changes;
pub mod cluster;
pub mod concurrency;
pub mod entries;
pub mod found;
pub mod kept;
pub mod lanes;
pub mod log;
pub mod notifications;
pub mod pages;
pub mod pims;
pub mod recorded;
pub mod replays;
pub mod revisions;
pub mod sample;
pub mod shards;
pub mod snapshots;

use crate::KeepBounds;

/// Bound of the states of one PIM's entities in a tested store.
pub const STATE_BYTES: u64 = 4 << 20;

/// Bound of the log entries of one PIM in a tested store: more than one client may have.
pub const ENTRY_BYTES: u64 = 24 << 20;

/// Bounds of kept events in the tests about them.
pub const BOUNDS: KeepBounds = KeepBounds { hours: 24, bytes: 256 << 10 };

/// One test per takeover rule, for backends shared by several processes. `$open` returns two processes on one empty
/// store with [`Spread::CLUSTER`](crate::Spread::CLUSTER), or wrappers that deref to them.
#[macro_export]
macro_rules! takeover_conformance {
    ($open:expr) => {
        $crate::takeover_conformance! { @ $open;
            shards::a_previous_owner_is_fenced
            shards::an_owner_that_takes_its_shard_anew_is_fenced_in_the_old_epoch
            shards::a_takeover_is_of_one_shard
            shards::any_process_appends_and_changes_and_the_owner_gets_news
            shards::shards_share_nothing
            shards::trimming_touches_no_other_shard
            shards::pruning_touches_no_other_shard
            shards::notifications_are_read_by_shard
            cluster::nodes_and_leases_are_on_the_roll
            cluster::a_lease_is_taken_if_it_is_as_it_was_seen
            cluster::one_of_two_takes_a_lease
            cluster::an_own_lease_is_taken_anew
            cluster::a_shard_that_is_given_back_is_free_and_its_owner_fenced
            cluster::an_outdated_tenure_gives_nothing_back
        }
    };
    (@ $open:expr; $($module:ident :: $name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let (a, b) = $open;
                $crate::conformance::$module::$name(&*a, &*b).await;
            }
        )*
    };
}

/// One test per rule of the ports. `$open` is a closure that opens an empty store with these [`KeepBounds`], which
/// bounds states to [`STATE_BYTES`] and
/// log entries to [`ENTRY_BYTES`], and returns it or a wrapper that derefs to it.
#[macro_export]
macro_rules! store_conformance {
    ($open:expr) => {
        $crate::store_conformance! { @ $open, $crate::KeepBounds::NONE;
            log::appends_are_read_in_order
            log::the_tail_has_events_before_the_answer
            log::known_ids_are_left_out_within_a_request
            log::known_ids_are_left_out_within_the_window
            log::known_ids_are_forgotten_after_the_window
            log::ids_are_known_for_each_pim_of_its_own
            log::ids_are_known_for_each_source_of_its_own
            log::an_event_comes_back_as_it_was
            log::an_empty_append_changes_nothing
            log::reading_stops_at_the_number_of_events
            log::reading_stops_at_the_number_of_bytes
            log::reading_stops_before_until
            log::reading_behind_the_head_finds_nothing
            log::reading_one_pim_passes_over_the_others
            log::reading_from_within_a_request
            log::trimming_goes_by_floors_and_rest
            log::trimming_ends_with_zero_and_keeps_the_head
            log::ids_are_known_after_trimming
            log::no_step_of_the_clock_keeps_a_duplicate_from_being_found
            log::the_first_since_an_hour_of_service
            log::no_step_of_the_clock_ages_an_event
            log::the_backlog_is_counted_by_pim
            log::the_position_after_bytes_of_a_pim
            log::hours_of_service_are_counted_and_the_rest_is_kept
        }
        $crate::store_conformance! { @ $open, $crate::KeepBounds::CONTRACT;
            changes::created_objects_can_be_read
            changes::a_revision_is_needed
            changes::new_means_new
            changes::a_change_is_made_as_a_whole_or_not_at_all
            changes::subscribers_are_limited_by_those_that_are_active
            changes::subscriptions_are_limited_by_active_and_suspended_ones
            changes::a_subscriber_that_ends_takes_all_of_its_subscriptions
            changes::a_new_subscription_is_stamped
            changes::a_new_status_is_stamped
            changes::a_new_reason_is_no_new_status
            changes::hold_during_a_suspension_is_stamped
            changes::a_selection_is_remembered_for_older_events
            changes::selections_that_the_lane_has_passed_go
            changes::versions_list_changed_subscriptions
            changes::changes_are_paged
            changes::many_changes_are_read_by_id
            changes::deleted_ones_are_left_out_of_lists
            changes::deleted_ones_are_forgotten_after_a_time
            changes::objects_of_a_removed_pim_are_pruned_after_a_time
            changes::client_records
            notifications::entries_and_notifications_come_with_the_change
            notifications::notifications_are_settled
            notifications::notifications_survive_their_subscriber
            notifications::notifications_are_put_back
            notifications::a_question_comes_with_its_subscriber
            notifications::notifications_of_a_pim_are_bounded
            notifications::the_client_with_the_most_notifications_gives_way
            pages::a_pim_is_looked_up
            pages::pims_are_paged
            pages::clients_are_paged
            pages::subscribers_are_paged
            pages::subscriptions_are_filtered
            pages::pages_of_subscriptions_are_stable
            pages::notifications_that_wait_are_counted
            pims::names_and_urls_are_unique
            pims::numbers_are_not_used_again
            pims::removing_a_pim_revokes_its_subscribers
            pims::removing_a_pim_revokes_all_of_its_subscribers
            pims::secrets_come_back
            revisions::a_pim_is_changed_from_its_latest_registration
            revisions::keys_that_are_made_at_once_are_all_kept
            revisions::the_version_of_pims_differs_after_each_change
            revisions::a_client_is_changed_from_its_latest_record
            revisions::a_notification_is_put_back_from_the_latest
            revisions::a_note_is_changed_from_the_latest
            revisions::a_change_is_judged_in_its_commit
            revisions::an_append_is_judged_in_its_commit
            revisions::a_request_of_the_bridge_is_judged_in_its_commit
            revisions::conditions_are_about_one_client
            entries::equal_errors_become_one_in_a_sliding_window
            entries::errors_that_differ_stay_apart
            entries::refusals_of_a_route_become_one_with_the_latest_body
            entries::an_owner_has_a_bounded_number_of_entries
            entries::an_owner_has_a_bounded_size_of_entries
            entries::a_pim_has_a_bounded_size_of_entries
            entries::a_new_entry_drops_a_bounded_number_of_its_pim
            entries::actions_are_never_merged
            entries::entries_are_ordered_by_id
            entries::pages_are_stable_while_entries_arrive
            entries::entries_are_filtered
            entries::old_entries_are_pruned
            lanes::saved_lanes_are_loaded
            lanes::lanes_are_paged
            lanes::exceptions_are_put_settled_and_dropped
            lanes::a_lane_without_a_cursor_follows_the_mark
            lanes::memory_is_kept_unless_it_is_new
            lanes::a_lane_that_is_over_changes_nothing
            lanes::an_overtaken_save_is_still_valid
            lanes::an_unknown_lane_changes_nothing
            lanes::saves_add_log_entries
            lanes::a_new_lane_starts_at_the_head
            lanes::a_resume_starts_at_the_head
            lanes::a_resume_with_hold_goes_on
            lanes::a_suspension_stops_a_lane_that_follows_the_mark
            lanes::a_revocation_leaves_a_stopped_lane_as_it_is
            lanes::a_revocation_keeps_the_cursor_of_an_uncounted_backlog
            lanes::a_revocation_stops_a_held_lane
            lanes::a_deleted_lane_is_forgotten
            concurrency::a_hundred_appends_at_once_are_there_once_and_in_order
            concurrency::a_change_is_in_the_order_of_the_log
            snapshots::events_and_snapshots_come_together
            snapshots::a_known_event_rejects_the_request
            snapshots::a_changed_state_rejects_the_request
            snapshots::a_removed_entity_leaves_nothing
            snapshots::a_revision_never_comes_again
            snapshots::pims_and_kinds_are_kept_apart
            snapshots::the_ids_are_known_to_other_appends
            snapshots::of_many_at_once_one_is_first
            snapshots::states_of_a_removed_pim_are_pruned
            snapshots::states_of_a_pim_are_bounded
            snapshots::a_note_is_kept_for_each_pim
        }
        $crate::store_conformance! { @ $open, $crate::conformance::BOUNDS;
            kept::what_no_lane_needs_is_kept
            kept::kept_events_are_deleted_after_hours_of_service
            kept::an_event_that_a_lane_needs_stays
            kept::the_pim_that_takes_most_loses_its_oldest
            kept::bounds_delete_nothing_that_a_lane_needs
            kept::records_go_with_their_events
            kept::records_alone_are_bounded
            recorded::a_history_has_an_era_per_change
            recorded::an_era_without_events_is_not_stored
            recorded::histories_are_bounded
            recorded::histories_are_of_one_client
            recorded::facts_come_with_a_save
            recorded::undelivered_events_are_listed
            recorded::a_drop_is_recorded_with_its_change
            recorded::only_a_backlog_that_is_lost_is_dropped
            recorded::outcomes_are_counted
        }
        $crate::store_conformance! { @ $open, $crate::KeepBounds::CONTRACT;
            found::queries_find_what_a_look_at_each_event_finds
            found::only_one_pim_is_searched
            found::positions_contain_a_time_span
            replays::a_replay_is_started_and_cancelled
            replays::a_replay_needs_an_active_subscription
            replays::the_latest_replays_are_remembered
            replays::progress_is_saved
            replays::a_suspension_ends_a_replay
        }
        $crate::store_conformance! { @ $open, $crate::KeepBounds::NONE;
            kept::nothing_is_kept_with_a_bound_of_zero
        }
    };
    (@ $open:expr, $keep:expr; $($module:ident :: $name:ident)*) => {
        $(
            #[tokio::test]
            async fn $name() {
                let opened = $open($keep);
                $crate::conformance::$module::$name(&*opened).await;
            }
        )*
    };
}
