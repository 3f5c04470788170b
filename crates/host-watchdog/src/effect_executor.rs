//! Executes the effects of the host role.
//!
//! Contract: never awaits; slow work runs in a task that answers through the inbox. Does not know why an effect was wanted.

use crate::alerts::Alerts;
use crate::api::Waiting;
use crate::children::Children;
use crate::figures::Reader;
use crate::links::Links;
use crate::probes::Prober;
use crate::repairer::Repairer;
use std::ops::ControlFlow;
use std::sync::PoisonError;
use watchtree_core::decision::{Decision, Outcome};
use watchtree_core::host::HostAgent;
use watchtree_core::host::io::HostEffect;
use watchtree_core::time::Moment;
use watchtree_runtime::{Clock, Conditions, EventLog, Execute, view};

/// Everything that acts.
pub(crate) struct EffectExecutor {
    pub(crate) children: Children,
    pub(crate) links: Links,
    pub(crate) prober: Prober,
    pub(crate) repairer: Repairer,
    pub(crate) figures: Reader,
    pub(crate) alerts: Alerts,
    pub(crate) events: EventLog,
    pub(crate) conditions: Conditions,
    pub(crate) waiting: Waiting,
}

impl Execute<HostAgent> for EffectExecutor {
    fn execute(&mut self, _now: Moment, effect: HostEffect) -> ControlFlow<()> {
        match effect {
            HostEffect::Send(envelope) => self.links.send_up(&envelope),
            HostEffect::SendToChild { to, envelope } => self.links.send_down(to, &envelope),
            HostEffect::StartChild { engine } => self.children.start(&engine),
            HostEffect::SignalChild { engine, pid, signal } => self.children.signal(&engine, pid, signal),
            HostEffect::ProbeEngine { engine, probe, within } => self.prober.begin(engine, probe, within),
            HostEffect::InspectEngine { engine } => self.repairer.inspect(engine),
            HostEffect::WorkOnEngine { engine, work, within } => self.repairer.work(engine, work, within),
            HostEffect::ReadFigures => self.figures.begin(),
            HostEffect::Alert(change) => self.alerts.tell(&change),
            HostEffect::Decided(decision) => self.decided(&decision),
            HostEffect::LocalAnswer(answer) => {
                let waiter = self
                    .waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&answer.id);
                // Who asked may have given up meanwhile.
                let _ = waiter.map(|waiter| waiter.send(answer));
            }
            HostEffect::Condition { about, state } => {
                if self.conditions.report(&about, &state) {
                    self.events.push(view::condition_event(Clock.wall(), &about, &state));
                }
            }
            HostEffect::Stopped => return ControlFlow::Break(()),
        }
        ControlFlow::Continue(())
    }

    fn status(&mut self, agent: &HostAgent) -> Option<String> {
        let children = agent.children();
        let well = children
            .iter()
            .filter(|child| child.version.is_some() && child.pid.is_some())
            .count();
        let manager = if agent.frontend().is_joined() {
            "manager connected"
        } else {
            "no manager in sight"
        };
        let degraded = self.conditions.degraded();
        let ill = degraded
            .first()
            .map(|(about, why)| format!("; DEGRADED {about}: {why}"))
            .unwrap_or_default();
        Some(format!(
            "{well} of {} container-watchdogs answer; {manager}{ill}",
            children.len()
        ))
    }
}

impl EffectExecutor {
    fn decided(&self, decision: &Decision) {
        let (id, subject) = (&decision.id, &decision.subject);
        let (action, outcome) = (decision.action.as_str(), decision.outcome.as_str());
        match decision.outcome {
            Outcome::Failed => {
                tracing::warn!(%id, %subject, action, outcome, result = decision.result, "{}", decision.why);
            }
            Outcome::NotTaken => tracing::debug!(%id, %subject, action, outcome, "{}", decision.why),
            _ => tracing::info!(%id, %subject, action, outcome, result = decision.result, "{}", decision.why),
        }
        self.events.push(view::decision_event(decision));
    }
}
