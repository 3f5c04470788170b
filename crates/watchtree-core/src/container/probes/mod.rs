//! Probes of our own, in Kubernetes' words: what is asked of a container that runs, when, and what the answers prove.
//!
//! ```text
//! labels, classes ─▶ words ─▶ spec ─▶ prober ──Probe──▶ driver
//!                                       │  ▲
//!                            evidence ◀─┘  └──Probed── (passed, failed, timed out, could not be run)
//! ```
//!
//! | file | what |
//! |---|---|
//! | `spec` | one probe: what is asked and how often, checked |
//! | `readers` | how single values are written |
//! | `words` | what labels and classes say of the probes of a container; the nearest word counts |
//! | `streak` | what the newest answers of one probe prove: thresholds |
//! | `probed` | the three probes of one container, and what they prove together |
//! | `prober` | all of them: who is asked when, rationed |
//!
//! What could not be run is unknown and never a failure. Nothing here repairs anything.

pub(crate) mod probed;
pub(crate) mod prober;
pub mod readers;
pub mod spec;
pub(crate) mod streak;
pub mod words;
