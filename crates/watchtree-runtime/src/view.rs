//! Core values as the JSON types of the API. The core derives no `Serialize`, so the conversion is here.
//!
//! Contract: an answer made of many subjects is made in two steps, so that the working loop is held up as little as possible:
//! [`TreeCollector::add`] and [`About::add`] while the machine is read, `finish` outside.

mod about;
mod collect;
mod records;

pub use about::About;
pub use collect::TreeCollector;
pub use records::{
    answer, condition_event, conditions, decision, decision_event, evidence, incident, incident_event, node, refused,
    shown_node, state_event, state_word,
};
