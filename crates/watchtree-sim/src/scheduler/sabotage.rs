//! Defects that can be planted between the machines and their world, one for each rule of the checker: a rule that no
//! planted defect breaks is no rule.

/// A planted defect, and the rule that it breaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Bug {
    /// Decisions to repair are not written down (`acts_on_record`).
    DecisionUnrecorded,
    /// A call whose answer was lost is posted again (`posted_once`).
    PostedAgain,
    /// A stop goes to the neighbour of the container that is meant (`healthy_left_alone`).
    StopsTheNeighbour,
    /// What a person does to a container is not told, and the flag that shows it reads as clear (`operator_wins`).
    PersonUnheard,
    /// A restarted container-watchdog has forgotten what its containers were charged (`budget_kept`).
    BudgetForgotten,
    /// A container-watchdog is not told that its machine goes down (`hands_off`).
    ShutdownUntold,
    /// A hold ends right after it was recorded (`held_left_alone`).
    HoldLetGo,
    /// Orders are handed in as if they were of now (`stale_order_refused`).
    OrdersRenewed,
    /// Frames are judged by when they come, not by when they were sent (`silence_is_seen`).
    TimerResetOnReceipt,
    /// Every look from outside is answered (`silence_is_judged`).
    EveryLookAnswered,
    /// Beats of the hosts get lost for three seconds in each twenty (`no_false_suspicion`).
    BeatsLost,
    /// A manager that stands still hears nobody, and its timers go on (`stall_judges_nobody`).
    DeafNotFrozen,
    /// Unreachable is shown as down (`silence_is_no_death`).
    UnreachableIsDown,
    /// Decisions lose their evidence (`decision_has_evidence`).
    EvidenceLost,
    /// What ended is listed and shown as running, and no event tells of it (`repaired_or_escalated`).
    EndsHidden,
    /// A watchdog is not told that its journal cannot be written (`degraded_is_said`).
    FullDiskUntold,
    /// A person is not told that something is well again (`person_is_called`).
    EndUntold,
    /// Probes of containerd fail though it answers (`engine_left_alone`).
    ContainerdSaidIll,
    /// Nothing tells a container-watchdog how busy its machine is (`no_wave`).
    LoadHidden,
    /// A container-watchdog does not see which containers depend on which (`parents_first`).
    DependenciesHidden,
    /// A driver posts a stop only when the capture before it has come (`capture_delays_none`).
    CaptureAwaited,
    /// From some time on no report of a container-watchdog arrives (`converges`).
    ReportsLost,
}

impl Bug {
    /// All of them, each with the rule that it breaks.
    pub const ALL: [(Self, &'static str); 22] = [
        (Self::DecisionUnrecorded, "acts_on_record"),
        (Self::PostedAgain, "posted_once"),
        (Self::StopsTheNeighbour, "healthy_left_alone"),
        (Self::PersonUnheard, "operator_wins"),
        (Self::BudgetForgotten, "budget_kept"),
        (Self::ShutdownUntold, "hands_off"),
        (Self::HoldLetGo, "held_left_alone"),
        (Self::OrdersRenewed, "stale_order_refused"),
        (Self::TimerResetOnReceipt, "silence_is_seen"),
        (Self::EveryLookAnswered, "silence_is_judged"),
        (Self::BeatsLost, "no_false_suspicion"),
        (Self::DeafNotFrozen, "stall_judges_nobody"),
        (Self::UnreachableIsDown, "silence_is_no_death"),
        (Self::EvidenceLost, "decision_has_evidence"),
        (Self::EndsHidden, "repaired_or_escalated"),
        (Self::FullDiskUntold, "degraded_is_said"),
        (Self::EndUntold, "person_is_called"),
        (Self::ContainerdSaidIll, "engine_left_alone"),
        (Self::LoadHidden, "no_wave"),
        (Self::DependenciesHidden, "parents_first"),
        (Self::CaptureAwaited, "capture_delays_none"),
        (Self::ReportsLost, "converges"),
    ];
}
