//! Faults that can be planted between a world and the engine, to show that the properties notice them. No product code
//! is touched: what goes in and what comes out is tampered with.

/// A planted fault.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mutation {
    /// Every fifth save is answered "done" without being made.
    ForgetSave,
    /// Cursors are saved as if nothing were under way.
    SaveCursorPastUnsettled,
    /// Waiting events are not saved.
    DropExceptions,
    /// Settled waiting events stay in the ledger.
    KeepSettledExceptions,
    /// Every thirtieth event goes to a subscription of another PIM.
    DeliverToOtherPim,
    /// A save is answered before it is made.
    AnswerBeforeDurable,
    /// Due times are saved a minute too early.
    SaveDueTooEarly,
    /// Suspensions reach the engine two seconds late.
    SendAfterSuspension,
    /// A restart resumes lanes slightly before their saved cursors.
    ResumeAtOldCursor,
    /// Suspensions by the platform are not notified.
    LoseNotification,
    /// Suspensions by the platform are logged twice.
    LogSuspensionTwice,
    /// Suspensions by the platform are not carried out.
    LoseSuspension,
    /// Saved windows hold each failure twice.
    CountTwice,
    /// The first event that a lane behind reads is left out.
    SkipEventAtFallBehind,
    /// Trims three events too many.
    TrimTooFar,
    /// Entries about dropped backlogs are lost.
    LoseDropEntry,
    /// Entries about failures are lost.
    LoseFailureEntry,
    /// New attempts continue to the old destination.
    KeepOldDestination,
    /// Failures are reported as deliveries.
    TakeFailureForSuccess,
    /// The engine's clock runs 10 % fast.
    HurryTheClock,
    /// Durations use the wall clock, which can be set.
    TrustTheWallClock,
    /// Every tenth attempt is made twice.
    SendTwice,
    /// The first two events of each batch are swapped.
    SwapInBatch,
    /// The end of an attempt is reported before it happens.
    AnswerBeforeTheEnd,
    /// A partly failed batch is reported as failed.
    TakePartForWhole,
    /// Since when a topic takes nothing is not saved.
    ForgetPause,
    /// What was taken of a batch that failed in part is not saved.
    ForgetWhatWasTaken,
    /// The ledger accepts saves of an old generation.
    IgnoreGenerationOnSave,
    /// Shared resources have one first-come, first-served queue.
    OneQueueForAll,
    /// Shared resources are divided by subscription, regardless of tenant.
    ShareBySubscription,
    /// The wait for a connection counts towards an attempt's five seconds.
    CountWaiting,
    /// Attempts are not limited per PIM and host.
    NoHostRate,
    /// A lookup takes a slot before the cache is checked.
    PlaceBeforeCache,
    /// A PIM's share of the log is judged by the total usage.
    OneBoundForAll,
    /// The platform's lacks are reported as receivers' failures.
    BlameReceivers,
    /// Silence is never judged a receiver's.
    ExcuseSilence,
    /// Failures that prove to be the platform's stay in the window.
    KeepDisprovenFailures,
    /// Suspends regardless of the age of the first failure.
    SuspendAtOnce,
    /// Records of events given up are lost.
    LoseGivenUp,
    /// Records of late deliveries are lost.
    LoseLateDelivery,
    /// The engine's records of drops are lost.
    LoseDropRecord,
    /// Records of drops lack the events outside of their range.
    DropWithoutSingles,
    /// Records of drops never say that they are uncertain.
    DropForCertain,
    /// Records reach the store one save too late.
    RecordAfterCursor,
    /// The store writes no record of a drop with the change.
    NoProvisionalDrop,
    /// Eras begin one event too late.
    ShiftEras,
    /// Suspends a topic that accepts nothing after a tenth of its time limit.
    LosePatience,

    // Those of the driver's paths:
    /// A change is announced only after events that were accepted later are in the tail.
    AnnounceAfterPush,
    /// One of several changes read together is lost.
    LoseChange,
    /// If the tail doesn't reach back, its contents are taken as complete.
    TakeGapForComplete,
    /// What a lane reads is taken from the tail, also where the log is ahead of it.
    TrustTheTail,
    /// The router goes on at the head of the log where events are no longer in the tail.
    SkipToHead,
    /// Trims what is routed, whichever lane is behind.
    TrimByTheMark,
    /// An orderly stop does not wait for its last save.
    StopBeforeTheLastSave,

    // Those of replays:
    /// Progress of replays is saved as if nothing were open.
    SaveProgressAhead,
    /// A restart begins replays anew.
    ReplayFromTheStart,
    /// A restart forgets the open events of replays.
    ForgetReplayRetries,
    /// A restart continues replays that ended with a suspension, or were cancelled.
    ReplayAfterItsEnd,
    /// The end of a replay is not saved.
    NeverEndReplay,
    /// The log seems to end behind the first events of a read.
    EndReplayEarly,
    /// Cancelled replays are not listed.
    IgnoreCancel,
    /// Events that another client's subscriptions named count as visible.
    ShowForeignTypes,
    /// The filter of a replay is lost.
    ReplayUnfiltered,
    /// Attempts of a replay aren't marked.
    ReplayUnmarked,
    /// Every fifth attempt of a replay is made twice.
    ReplayTwice,
    /// The platform's lacks are reported to replays as receivers' failures.
    BlameReplays,
    /// Failed attempts of replays are saved in the window.
    CountReplays,

    // Those of lost connections:
    /// A process goes on after a lost connection as if nothing had happened.
    KeepTenure,
    /// After a failover, the tail of the time before goes on.
    KeepTail,
    /// After a failover, the ledger is remembered from before it.
    RememberLedger,
    /// Every tenth append is answered "done" without being made.
    AcknowledgeUnwritten,
    /// A commit whose wait for the standby was cancelled is taken for done.
    TrustCancelled,
    /// Commits are answered before the standby has them.
    AnswerBeforeStandby,
    /// What is known already is acknowledged without waiting for the standby.
    TrustKnown,
    /// Ids of repeated events are not looked up.
    ForgetIds,

    // Those of several nodes:
    /// Saves are told the tenure of the current owner, whoever makes them.
    NoFence,
    /// Saves are fenced by the node, not by the epoch.
    FenceByNode,
    /// Suspensions by the platform are not fenced.
    SuspendUnfenced,
    /// Nodes take a shard over after a quarter of the time of its lease.
    TakeTooEarly,
    /// A takeover succeeds whatever has become of the lease since it was seen.
    TakeWhatever,
    /// Hand-overs to a sink do not look at the own lease.
    SendAfterTheEnd,
    /// The same for notifications.
    NotifyAfterTheEnd,
    /// An owner counts its lease from the answer of a renewal.
    CountFromAnswer,
    /// An owner counts its lease by the wall clock.
    LeaseByWallClock,
    /// An owner counts its lease by a clock that stands still while the machine sleeps.
    LeaseWithoutSleep,
    /// A node enters once, whatever the roll says of it later.
    EnterOnce,
    /// A shard is given away without a last save, and later continued from memory.
    KeepWhatWasGiven,
    /// A shard is given away before its driver has stopped.
    GiveBeforeTheStop,
    /// A node goes on after lost connections as if positions could not have gone back.
    IgnoreLosses,
    /// An append looks at known ids before it has the lock of the log.
    IdsBeforeTheLock,
    /// Own events are pushed to the tail before those of others that came before them.
    TakeGapOfOthers,
    /// A look at the heads of the logs announces changes after the events behind them.
    AnnounceAfterFrames,
    /// An owner reports changes to be in effect once they are announced.
    ApplyTooEarly,
    /// Changes are answered without waiting until they are in effect.
    AnswerAtCommit,
    /// Timeouts that a process slept through count as the receivers' failures.
    BlamePauses,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 95] = [
        Mutation::ForgetSave,
        Mutation::SaveCursorPastUnsettled,
        Mutation::DropExceptions,
        Mutation::KeepSettledExceptions,
        Mutation::DeliverToOtherPim,
        Mutation::AnswerBeforeDurable,
        Mutation::SaveDueTooEarly,
        Mutation::SendAfterSuspension,
        Mutation::ResumeAtOldCursor,
        Mutation::LoseNotification,
        Mutation::LogSuspensionTwice,
        Mutation::LoseSuspension,
        Mutation::CountTwice,
        Mutation::SkipEventAtFallBehind,
        Mutation::TrimTooFar,
        Mutation::LoseDropEntry,
        Mutation::LoseFailureEntry,
        Mutation::KeepOldDestination,
        Mutation::TakeFailureForSuccess,
        Mutation::HurryTheClock,
        Mutation::TrustTheWallClock,
        Mutation::SendTwice,
        Mutation::SwapInBatch,
        Mutation::AnswerBeforeTheEnd,
        Mutation::TakePartForWhole,
        Mutation::ForgetPause,
        Mutation::ForgetWhatWasTaken,
        Mutation::IgnoreGenerationOnSave,
        Mutation::OneQueueForAll,
        Mutation::ShareBySubscription,
        Mutation::CountWaiting,
        Mutation::NoHostRate,
        Mutation::PlaceBeforeCache,
        Mutation::OneBoundForAll,
        Mutation::BlameReceivers,
        Mutation::ExcuseSilence,
        Mutation::KeepDisprovenFailures,
        Mutation::SuspendAtOnce,
        Mutation::LosePatience,
        Mutation::LoseGivenUp,
        Mutation::LoseLateDelivery,
        Mutation::LoseDropRecord,
        Mutation::DropWithoutSingles,
        Mutation::DropForCertain,
        Mutation::RecordAfterCursor,
        Mutation::NoProvisionalDrop,
        Mutation::ShiftEras,
        Mutation::AnnounceAfterPush,
        Mutation::LoseChange,
        Mutation::TakeGapForComplete,
        Mutation::TrustTheTail,
        Mutation::SkipToHead,
        Mutation::TrimByTheMark,
        Mutation::StopBeforeTheLastSave,
        Mutation::SaveProgressAhead,
        Mutation::ReplayFromTheStart,
        Mutation::ForgetReplayRetries,
        Mutation::ReplayAfterItsEnd,
        Mutation::NeverEndReplay,
        Mutation::EndReplayEarly,
        Mutation::IgnoreCancel,
        Mutation::ShowForeignTypes,
        Mutation::ReplayUnfiltered,
        Mutation::ReplayUnmarked,
        Mutation::ReplayTwice,
        Mutation::BlameReplays,
        Mutation::CountReplays,
        Mutation::KeepTenure,
        Mutation::KeepTail,
        Mutation::RememberLedger,
        Mutation::AcknowledgeUnwritten,
        Mutation::TrustCancelled,
        Mutation::AnswerBeforeStandby,
        Mutation::TrustKnown,
        Mutation::ForgetIds,
        Mutation::NoFence,
        Mutation::FenceByNode,
        Mutation::SuspendUnfenced,
        Mutation::TakeTooEarly,
        Mutation::TakeWhatever,
        Mutation::SendAfterTheEnd,
        Mutation::NotifyAfterTheEnd,
        Mutation::CountFromAnswer,
        Mutation::LeaseByWallClock,
        Mutation::LeaseWithoutSleep,
        Mutation::EnterOnce,
        Mutation::KeepWhatWasGiven,
        Mutation::GiveBeforeTheStop,
        Mutation::IgnoreLosses,
        Mutation::IdsBeforeTheLock,
        Mutation::TakeGapOfOthers,
        Mutation::AnnounceAfterFrames,
        Mutation::ApplyTooEarly,
        Mutation::AnswerAtCommit,
        Mutation::BlamePauses,
    ];
}
