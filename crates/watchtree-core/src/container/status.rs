//! What the daemon counts, for its local status socket and for metrics.

/// What was counted since the start.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ContainerCounters {
    /// Events taken (without duplicates).
    pub events: u64,
    /// Events that had been taken before.
    pub duplicates: u64,
    /// `/start` calls posted.
    pub starts: u64,
    /// `/stop` calls posted.
    pub stops: u64,
    /// Repairs that ended well.
    pub succeeded: u64,
    /// Repairs that failed.
    pub failed: u64,
    /// Repairs that a person's act ended.
    pub overruled: u64,
    /// Times that a restart limit was reached.
    pub given_up: u64,
    /// Restarts seen to be done by the engine.
    pub engine_restarts: u64,
    /// Times the event stream's continuity was lost.
    pub stream_losses: u64,
    /// Times this process was found not to have run.
    pub stalls: u64,
    /// Orders refused.
    pub orders_refused: u64,
}
