//! Planted faults, one per test: each is detected by one of the first few hundred worlds, by a named property.

use simulation::Property::{self, *};
use simulation::plan::Plan;
use simulation::{Mutation, run};

/// Number of worlds within which a fault has to be detected.
const WORLDS: u64 = 300;

/// Plays worlds with a planted fault until one detects it; it must be by one of `expected`.
fn caught(mutation: Mutation, expected: &[Property]) {
    caught_in(Plan::random, mutation, expected);
}

/// The same in worlds of one kind.
fn caught_in(plan: impl Fn(u64) -> Plan, mutation: Mutation, expected: &[Property]) {
    for seed in 0..WORLDS {
        if let Err(violation) = run::play(plan(seed).with(mutation)) {
            assert!(expected.contains(&violation.property), "seed {seed}: {mutation:?} was noticed by {violation}");
            return;
        }
    }
    panic!("{mutation:?} was not noticed in {WORLDS} worlds");
}

#[test]
fn forgotten_saves() {
    caught(Mutation::ForgetSave, &[NothingIsForgotten, DuplicatesAreBounded, FailuresAreReported, FatesAreTrue]);
}

#[test]
fn cursors_past_events_in_flight() {
    caught(Mutation::SaveCursorPastUnsettled, &[NothingIsForgotten, FatesAreTrue]);
}

#[test]
fn waiting_events_that_are_not_saved() {
    caught(Mutation::DropExceptions, &[NothingIsForgotten, FatesAreTrue]);
}

#[test]
fn settled_events_that_stay_in_the_ledger() {
    caught(Mutation::KeepSettledExceptions, &[DuplicatesAreBounded, FatesAreTrue]);
}

#[test]
fn events_for_another_pim() {
    caught(Mutation::DeliverToOtherPim, &[PimsAreApart]);
}

#[test]
fn saves_answered_before_they_are_made() {
    caught(Mutation::AnswerBeforeDurable, &[NothingIsForgotten, NeededIsKept, FailuresAreReported]);
}

#[test]
fn due_times_saved_too_early() {
    caught(Mutation::SaveDueTooEarly, &[NothingIsForgotten, RetriesAreNeverEarly]);
}

#[test]
fn events_sent_after_a_suspension() {
    caught(Mutation::SendAfterSuspension, &[SuspensionStops]);
}

#[test]
fn restarts_at_an_old_cursor() {
    caught(Mutation::ResumeAtOldCursor, &[DuplicatesAreExplained, OnlyWhatMatches, DropsAreTold, FatesAreTrue]);
}

#[test]
fn lost_notifications() {
    caught(Mutation::LoseNotification, &[SuspensionsAreToldOnce]);
}

#[test]
fn suspensions_logged_twice() {
    caught(Mutation::LogSuspensionTwice, &[SuspensionsAreToldOnce]);
}

#[test]
fn suspensions_that_are_not_carried_out() {
    caught(Mutation::LoseSuspension, &[EveryEventEnds]);
}

#[test]
fn failures_counted_twice() {
    caught(Mutation::CountTwice, &[SuccessRateIsTrue, SuspendsByTheRule]);
}

#[test]
fn events_skipped_at_fall_behind() {
    caught(
        Mutation::SkipEventAtFallBehind,
        &[NothingIsForgotten, EveryEventEnds, TopicsStayInOrder, DropsAreTold, FatesAreTrue],
    );
}

#[test]
fn trimming_too_far() {
    caught(Mutation::TrimTooFar, &[NeededIsKept]);
}

#[test]
fn lost_entries_about_dropped_backlogs() {
    caught(Mutation::LoseDropEntry, &[DropsAreTold]);
}

#[test]
fn lost_entries_about_failures() {
    caught(Mutation::LoseFailureEntry, &[FailuresAreReported]);
}

#[test]
fn the_old_destination() {
    caught(Mutation::KeepOldDestination, &[DestinationIsCurrent]);
}

#[test]
fn failures_taken_for_successes() {
    caught(Mutation::TakeFailureForSuccess, &[SuccessRateIsTrue, EveryEventEnds, TopicsStayInOrder]);
}

#[test]
fn a_hurried_clock() {
    caught(Mutation::HurryTheClock, &[RetriesAreNeverEarly, RateIsSpread, NothingIsForgotten, UnneededIsFreed]);
}

#[test]
fn a_wall_clock_that_is_trusted() {
    caught(Mutation::TrustTheWallClock, &[RetriesAreNeverEarly, RateIsSpread, NothingIsForgotten, SuspendsByTheRule]);
}

#[test]
fn events_sent_twice() {
    caught(Mutation::SendTwice, &[DuplicatesAreExplained]);
}

#[test]
fn batches_out_of_order() {
    caught(Mutation::SwapInBatch, &[TopicsStayInOrder]);
}

#[test]
fn a_batch_beside_another() {
    caught(Mutation::AnswerBeforeTheEnd, &[OneBatchAtATime, DuplicatesAreExplained, NothingIsForgotten, StatusIsTrue]);
}

#[test]
fn a_part_taken_for_the_whole() {
    caught(Mutation::TakePartForWhole, &[DuplicatesAreExplained, SuccessRateIsTrue, PausesAreKept, FatesAreTrue]);
}

#[test]
fn pauses_forgotten_by_a_restart() {
    caught(Mutation::ForgetPause, &[PausesAreKept, DuplicatesAreExplained, EveryEventEnds, SuccessRateIsTrue]);
}

#[test]
fn parts_of_batches_repeated_by_a_restart() {
    caught_in(Plan::restless, Mutation::ForgetWhatWasTaken, &[DuplicatesAreExplained]);
}

#[test]
fn saves_of_a_generation_that_is_over() {
    caught_in(
        Plan::restless,
        Mutation::IgnoreGenerationOnSave,
        &[NothingIsForgotten, DuplicatesAreExplained, OnlyWhatMatches, DropsAreTold],
    );
}

#[test]
fn own_trouble_blamed_on_receivers() {
    caught_in(
        Plan::outage,
        Mutation::BlameReceivers,
        &[SuccessRateIsTrue, SuspendsByTheRule, FailuresAreReported, RetriesAreNeverEarly, DuplicatesAreExplained],
    );
}

#[test]
fn silence_that_is_never_anyones_own() {
    caught_in(Plan::silence, Mutation::ExcuseSilence, &[SuccessRateIsTrue, FailuresAreReported, SuspendsByTheRule]);
}

#[test]
fn disproven_failures_that_still_count() {
    caught_in(Plan::silence, Mutation::KeepDisprovenFailures, &[SuccessRateIsTrue, SuspendsByTheRule]);
}

#[test]
fn suspensions_however_young_the_first_failure_is() {
    caught(Mutation::SuspendAtOnce, &[SuspendsByTheRule]);
}

#[test]
fn topics_suspended_before_their_time() {
    caught(Mutation::LosePatience, &[SuspendsByTheRule]);
}

#[test]
fn changes_announced_after_the_events_behind_them() {
    caught(Mutation::AnnounceAfterPush, &[OnlyWhatMatches, SuspensionStops, DestinationIsCurrent, EveryEventEnds]);
}

#[test]
fn a_change_lost_among_others() {
    caught(Mutation::LoseChange, &[EveryEventEnds, RetriesAreOnTime, SuspensionStops]);
}

#[test]
fn a_tail_with_a_gap() {
    caught(Mutation::TakeGapForComplete, &[EveryEventEnds, TopicsStayInOrder, NeededIsKept, FatesAreTrue]);
}

#[test]
fn a_tail_behind_the_log() {
    caught(Mutation::TrustTheTail, &[DropsAreTold, FatesAreTrue]);
}

#[test]
fn missed_events_that_are_skipped() {
    caught(Mutation::SkipToHead, &[EveryEventEnds, TopicsStayInOrder, NeededIsKept, StatusIsTrue, FatesAreTrue]);
}

#[test]
fn trimming_events_of_a_lagging_lane() {
    caught(Mutation::TrimByTheMark, &[NeededIsKept]);
}

#[test]
fn stops_that_do_not_wait_for_the_last_save() {
    caught(Mutation::StopBeforeTheLastSave, &[DuplicatesAreExplained, DuplicatesAreBounded, FailuresAreReported]);
}

/// The same for faults of replays.
fn caught_replaying(mutation: Mutation, expected: &[Property]) {
    caught_in(|seed| Plan::random(seed).with_replays(), mutation, expected);
}

#[test]
fn progress_of_replays_saved_ahead() {
    caught_replaying(Mutation::SaveProgressAhead, &[ReplaysAreComplete]);
}

#[test]
fn replays_begun_anew_by_a_restart() {
    caught_replaying(Mutation::ReplayFromTheStart, &[DuplicatesAreBounded, ReplaysAreComplete]);
}

#[test]
fn open_events_of_replays_forgotten_by_a_restart() {
    caught_replaying(Mutation::ForgetReplayRetries, &[ReplaysAreComplete]);
}

#[test]
fn replays_that_go_on_after_their_end() {
    caught_replaying(Mutation::ReplayAfterItsEnd, &[ReplaysEnd]);
}

#[test]
fn replays_that_never_end() {
    caught_replaying(Mutation::NeverEndReplay, &[ReplaysEnd, RetriesAreOnTime]);
}

#[test]
fn replays_that_end_early() {
    caught_replaying(Mutation::EndReplayEarly, &[ReplaysAreComplete]);
}

#[test]
fn cancelled_replays_that_go_on() {
    caught_replaying(Mutation::IgnoreCancel, &[ReplaysEnd]);
}

#[test]
fn types_that_only_another_client_has_named() {
    caught_replaying(Mutation::ShowForeignTypes, &[OnlyWhatMatches]);
}

#[test]
fn replays_without_their_filter() {
    caught_replaying(Mutation::ReplayUnfiltered, &[OnlyWhatMatches]);
}

#[test]
fn replays_without_a_mark() {
    caught_replaying(Mutation::ReplayUnmarked, &[DuplicatesAreExplained, OnlyWhatMatches]);
}

#[test]
fn attempts_of_replays_made_twice() {
    caught_replaying(Mutation::ReplayTwice, &[DuplicatesAreExplained, LiveComesFirst]);
}

#[test]
fn own_trouble_blamed_on_receivers_of_replays() {
    caught_in(|seed| Plan::outage(seed).with_replays(), Mutation::BlameReplays, &[ReplaysAreComplete, ReplaysEnd]);
}

#[test]
fn failures_of_replays_counted_in_the_window() {
    caught_replaying(Mutation::CountReplays, &[SuccessRateIsTrue, SuspendsByTheRule]);
}

#[test]
fn lost_records_of_events_given_up() {
    caught(Mutation::LoseGivenUp, &[FatesAreTrue]);
}

#[test]
fn lost_records_of_late_deliveries() {
    caught(Mutation::LoseLateDelivery, &[FatesAreTrue]);
}

#[test]
fn lost_records_of_drops() {
    caught(Mutation::LoseDropRecord, &[FatesAreTrue]);
}

#[test]
fn drops_without_what_was_in_hand() {
    caught(Mutation::DropWithoutSingles, &[FatesAreTrue]);
}

#[test]
fn drops_that_are_always_certain() {
    caught(Mutation::DropForCertain, &[FatesAreTrue]);
}

#[test]
fn records_behind_their_cursor() {
    caught(Mutation::RecordAfterCursor, &[FatesAreTrue]);
}

#[test]
fn drops_that_only_the_engine_records() {
    caught_in(Plan::restless, Mutation::NoProvisionalDrop, &[FatesAreTrue]);
}

#[test]
fn eras_that_begin_too_late() {
    caught(Mutation::ShiftEras, &[FatesAreTrue, EveryFateIsKnown]);
}
