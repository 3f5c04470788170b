//! A person takes a host out of the tree that will not come back. One that is heard is not taken out: it would be back
//! with its next beat, and its incidents would be gone.

use super::ManagerAgent;
use super::hosts::Phase;
use super::io::{AskError, ManagerEffect, TargetAnswer};
use crate::decision::{ActionKind, Guard, GuardAnswer, Outcome};
use crate::order::OrderAnswer;
use crate::subject::SubjectId;
use crate::time::Moment;
use crate::verdict::{Evidence, EvidenceKind};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;

impl ManagerAgent {
    pub(super) fn ask_to_forget(&mut self, now: Moment, ticket: u64, subject: &SubjectId, asked_by: &str) {
        let asked = format!("{asked_by} asked to forget {subject}");
        let result = self.forget_asked(now, subject, asked_by, &asked);
        if let Err(error @ (AskError::UnknownSubject | AskError::Bad(_))) = &result {
            self.note_refusal(now, subject, &asked, ActionKind::Forget, error);
        }
        let result = result.map(|detail| {
            let answer = OrderAnswer {
                id: [0; 16],
                result: Ok(()),
                detail,
            };
            vec![TargetAnswer {
                target: self.identity.name.clone(),
                answer: Some(answer),
            }]
        });
        self.effects.push_back(ManagerEffect::AskAnswered { ticket, result });
    }

    fn forget_asked(
        &mut self,
        now: Moment,
        subject: &SubjectId,
        asked_by: &str,
        asked: &str,
    ) -> Result<String, AskError> {
        if *subject == self.subject {
            return Err(AskError::Bad("this is the manager itself: name a host".to_string()));
        }
        let host = self.host_of(subject).cloned().ok_or(AskError::UnknownSubject)?;
        if subject.parent().is_some() {
            let why = format!("only a whole host can be forgotten: name {host}");
            return Err(AskError::Bad(why));
        }
        let Some(watch) = self.hosts.get(&host) else {
            return Err(AskError::UnknownSubject);
        };
        let state = format!("{host} is {}: {}", watch.verdict.state.as_str(), watch.verdict.why);
        let heard = matches!(watch.phase, Phase::Well | Phase::Suspect(_));
        let guard = GuardAnswer {
            guard: Guard::Level,
            verdict: if heard {
                crate::decision::GuardVerdict::Blocked
            } else {
                crate::decision::GuardVerdict::Passed
            },
            detail: state.clone(),
        };
        let evidence = vec![Evidence::new(EvidenceKind::Order, now, asked)];
        let (outcome, why) = if heard {
            (Outcome::NotTaken, format!("{asked}: it is heard, so it stays"))
        } else {
            (Outcome::Succeeded, format!("{asked}: it is taken out of the tree"))
        };
        let guards = vec![guard];
        self.decide(now, subject.clone(), evidence, guards, ActionKind::Forget, outcome, why);
        if heard {
            return Err(AskError::StillHeard(state));
        }
        self.incidents.wait_no_more_within(subject);
        self.forget(now, &host, &format!("{asked_by} took the host out of the tree"));
        Ok(format!("{host} is taken out of the tree"))
    }
}
