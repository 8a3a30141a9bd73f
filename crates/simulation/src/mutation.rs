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
    /// The engine hears of suspensions two seconds late.
    SendAfterSuspension,
    /// A restart takes lanes up a little before where they were saved.
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
    /// Entries about dropped backlogs get lost.
    LoseDropEntry,
    /// Entries about failures get lost.
    LoseFailureEntry,
    /// New attempts go on to the old destination.
    KeepOldDestination,
    /// Failures are told as deliveries.
    TakeFailureForSuccess,
    /// The clock that the engine sees runs a second in ten fast.
    HurryTheClock,
    /// Durations run on the wall clock, which others set.
    TrustTheWallClock,
    /// Every tenth attempt is made twice.
    SendTwice,
    /// The first two events of each batch change places.
    SwapInBatch,
    /// The engine is told of the end of an attempt before it has come.
    AnswerBeforeTheEnd,
    /// Where a part of a batch failed, all of it is told to have failed.
    TakePartForWhole,
    /// Since when a topic takes nothing is not saved.
    ForgetPause,
    /// What was taken of a batch that failed in part is not saved.
    ForgetWhatWasTaken,
    /// The ledger takes saves of a generation that is over.
    IgnoreGenerationOnSave,
    /// What tenants share has one queue, first come, first served.
    OneQueueForAll,
    /// What tenants share is divided by subscription, whosever it is.
    ShareBySubscription,
    /// The time that an attempt waits for a connection is part of its five seconds.
    CountWaiting,
    /// A PIM may send to one host as much as its subscriptions can.
    NoHostRate,
    /// A look-up takes its place before it is seen that the name is known.
    PlaceBeforeCache,
    /// What a PIM may have of the log is judged by what all have.
    OneBoundForAll,
    /// What the platform lacks is told as the receivers' failure.
    BlameReceivers,
    /// Suspends however young the first failure is.
    SuspendAtOnce,
    /// Suspends a topic that takes nothing after a tenth of its time.
    LosePatience,

    // Those of the driver's paths:
    /// A change is announced only after events that were accepted later are in the tail.
    AnnounceAfterPush,
    /// Of several changes that are read together, one gets lost.
    LoseChange,
    /// Where the tail does not reach back, what it has is taken for all there is.
    TakeGapForComplete,
    /// What a lane reads is taken from the tail, also where the log is ahead of it.
    TrustTheTail,
    /// The router goes on at the head of the log where events are no longer in the tail.
    SkipToHead,
    /// Trims what is routed, whichever lane is behind.
    TrimByTheMark,
    /// An orderly stop does not wait for its last save.
    StopBeforeTheLastSave,
}

impl Mutation {
    /// All of them.
    pub const ALL: [Mutation; 44] = [
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
        Mutation::SuspendAtOnce,
        Mutation::LosePatience,
        Mutation::AnnounceAfterPush,
        Mutation::LoseChange,
        Mutation::TakeGapForComplete,
        Mutation::TrustTheTail,
        Mutation::SkipToHead,
        Mutation::TrimByTheMark,
        Mutation::StopBeforeTheLastSave,
    ];
}
