//! The machine: its memory, its inputs, its clockwork. Decides nothing itself; see the module's text.
//!
//! The daemon as a whole (each subject has a picture of its own in `subject` and `steps`):
//!
//! ```text
//!            Stop                 calls under way are answered, or the bound has passed
//!  Healing ───────▶ Leaving ─────────────────────────────────────────────────────────────▶ Gone
//!     │                ▲
//!     │ HostShutdown   │ Stop
//!     ├───────▶ HandsOff
//!     └────────────┘ still there after 15 min: the shutdown was cancelled
//! ```

use super::facts::Facts;
use super::io::{ContainerEffect, ContainerId, ContainerInput, EngineError, Record, Recovered, Ticket};
use super::settings::ContainerSettings;
use super::status::ContainerCounters;
use super::stream::Stream;
use super::subject::Subject;
use crate::decision::Decision;
use crate::frontend::{Frontend, FrontendNotice, FrontendSettings};
use crate::machine::Machine;
use crate::message::{Capabilities, Goodbye, OrderFrame, OrderInput};
use crate::order::OrderAnswer;
use crate::restart::Ledger;
use crate::subject::SubjectId;
use crate::time::{Duration, Moment};
use crate::verdict::ObserverHealth;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Most containers that are watched.
pub(crate) const CONTAINERS_MAX: usize = 8192;

/// A shutdown of the host that lasts longer than this was cancelled.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(900);

/// What the daemon as a whole is doing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Mode {
    Healing,
    /// Asked to stop; calls under way are waited for until then.
    Leaving {
        until: Moment,
    },
    /// The host goes down; if it has not by then, the shutdown was cancelled.
    HandsOff {
        until: Moment,
    },
    Gone,
}

pub(crate) struct List {
    pub(crate) asked: Option<Moment>,
    pub(crate) next: Moment,
    pub(crate) done: bool,
}

/// Heals the containers of one engine. Drive it by [`Machine`].
pub struct ContainerAgent {
    pub(crate) settings: ContainerSettings,
    pub(crate) frontend: Frontend,
    pub(crate) stream: Stream,
    pub(crate) facts: BTreeMap<ContainerId, Facts>,
    pub(crate) subjects: BTreeMap<SubjectId, Subject>,
    /// (when, whom) to look at; mirrors `Subject::armed`.
    pub(crate) wakes: BTreeSet<(Moment, SubjectId)>,
    /// Touched by the present input.
    pub(crate) touched: BTreeSet<SubjectId>,
    /// Wait for a free place among the parallel repairs.
    pub(crate) queued: BTreeSet<SubjectId>,
    /// Compose services under deployment, and when they count as quiet.
    pub(crate) deploys: BTreeMap<(String, String), Moment>,
    pub(crate) holds: BTreeMap<SubjectId, Moment>,
    pub(crate) orders: VecDeque<([u8; 16], bool, String)>,
    pub(crate) term: u64,
    pub(crate) host_ledger: Ledger,
    /// Crashes of late, to tell many at once.
    pub(crate) crashes: VecDeque<(Moment, SubjectId)>,
    pub(crate) decisions: VecDeque<Decision>,
    pub(crate) decision_count: u64,
    pub(crate) ticket_count: u64,
    /// Calls that are or may be under way.
    pub(crate) calls: BTreeMap<Ticket, SubjectId>,
    /// Those of them whose deadline passed: they may hang in the engine for ever, and hold no place among the parallel.
    pub(crate) lost_calls: BTreeSet<Ticket>,
    pub(crate) list: List,
    pub(crate) conditions: BTreeMap<&'static str, Result<String, String>>,
    pub(crate) mode: Mode,
    /// The stream ended (as against a stall of ours) in the present gap: perhaps the engine did.
    pub(crate) engine_went: bool,
    pub(crate) counters: ContainerCounters,
    pub(crate) effects: VecDeque<ContainerEffect>,
    /// Effects that can wait until the engine calls of this input are out.
    pub(crate) later: Vec<ContainerEffect>,
}

impl ContainerAgent {
    /// Starts with what the journal held. The first effects ask for the event stream.
    pub fn new(settings: ContainerSettings, recovered: Recovered, now: Moment) -> Self {
        let frontend = Frontend::new(
            FrontendSettings {
                identity: settings.identity.clone(),
                capabilities: Capabilities(Capabilities::REPORTS | Capabilities::ORDERS | Capabilities::EVENTS),
                scope: settings.engine.clone(),
                beat_wanted: settings.beat_wanted,
                look_at: settings.look_at.clone(),
            },
            now,
        );
        let stream = Stream::new(now, recovered.last_event.clone(), settings.settle);
        let mut agent = Self {
            frontend,
            stream,
            facts: BTreeMap::new(),
            subjects: BTreeMap::new(),
            wakes: BTreeSet::new(),
            touched: BTreeSet::new(),
            queued: BTreeSet::new(),
            deploys: BTreeMap::new(),
            holds: BTreeMap::new(),
            orders: VecDeque::new(),
            term: 0,
            host_ledger: Ledger::default(),
            crashes: VecDeque::new(),
            decisions: VecDeque::new(),
            decision_count: 0,
            ticket_count: 0,
            calls: BTreeMap::new(),
            lost_calls: BTreeSet::new(),
            list: List {
                asked: None,
                next: now + Duration::from_secs(2),
                done: false,
            },
            conditions: BTreeMap::new(),
            mode: Mode::Healing,
            engine_went: false,
            counters: ContainerCounters::default(),
            effects: VecDeque::new(),
            later: Vec::new(),
            settings,
        };
        agent.remember(now, recovered);
        agent.subscribe();
        agent
    }

    pub(crate) fn journal(&mut self, record: Record) {
        self.effects.push_back(ContainerEffect::Journal(record));
    }

    pub(crate) fn next_ticket(&mut self) -> Ticket {
        self.ticket_count += 1;
        Ticket(self.ticket_count)
    }

    pub(crate) fn condition(&mut self, about: &'static str, state: Result<String, String>) {
        // The first good news about something that was never bad is no news.
        let news = match self.conditions.get(about) {
            Some(old) => old.is_ok() != state.is_ok(),
            None => state.is_err(),
        };
        if news {
            self.conditions.insert(about, state.clone());
            self.later.push(ContainerEffect::Condition { about, state });
            self.observe_self();
        }
    }

    /// How well this watchdog is itself, for beats and verdicts.
    fn observe_self(&mut self) {
        let bad = |about: &str| self.conditions.get(about).is_some_and(Result::is_err);
        let health = if bad("engine") || bad("stream") {
            3
        } else if bad("journal") {
            1
        } else {
            0
        };
        let figures = vec![
            ("containers".to_string(), self.subjects.len() as u64),
            ("calls_open".to_string(), self.calls.len() as u64),
            ("starts".to_string(), self.counters.starts),
            (
                "given_up".to_string(),
                self.subjects.values().filter(|it| it.given_up.is_some()).count() as u64,
            ),
        ];
        self.frontend.set_health(ObserverHealth(health), figures);
    }

    pub(crate) fn subscribe(&mut self) {
        let open = self
            .subjects
            .values()
            .filter_map(|it| it.recovering.as_ref().map(|open| open.last_event));
        let running = self
            .subjects
            .values()
            .filter_map(|it| it.repair.as_ref().map(|repair| repair.last_event));
        let earliest = open.chain(running).filter(|at| at.0 != 0).min();
        let since = self
            .stream
            .since()
            .map(|since| earliest.map_or(since, |at| at.min(since)));
        self.effects.push_back(ContainerEffect::Subscribe { since });
    }

    pub(crate) fn ask_list(&mut self, now: Moment) {
        self.list.asked = Some(now);
        self.list.next = now + self.settings.list_every.min(Duration::from_secs(10));
        self.effects.push_back(ContainerEffect::List);
    }

    /// Asks for a look at a container; one at a time each.
    pub(crate) fn look(&mut self, now: Moment, facts: &mut Facts) {
        if facts
            .inspecting
            .is_some_and(|asked| now.since(asked) < Duration::from_secs(30))
        {
            facts.again = true;
            return;
        }
        facts.inspecting = Some(now);
        facts.again = false;
        self.effects
            .push_back(ContainerEffect::Inspect { id: facts.id.clone() });
    }

    pub(crate) fn look_at(&mut self, now: Moment, id: &ContainerId) {
        if let Some(mut facts) = self.facts.remove(id) {
            self.look(now, &mut facts);
            self.facts.insert(id.clone(), facts);
        }
    }

    pub(crate) fn touch_all(&mut self) {
        self.touched.extend(self.subjects.keys().cloned());
    }

    fn leave(&mut self, now: Moment) {
        if matches!(self.mode, Mode::Healing) {
            self.mode = Mode::Leaving {
                until: now + self.settings.stop_bound,
            };
            self.touch_all();
        } else if matches!(self.mode, Mode::HandsOff { .. }) {
            self.mode = Mode::Gone;
            self.later.push(ContainerEffect::Stopped);
        }
    }

    fn hands_off(&mut self, now: Moment) {
        let leaving = matches!(self.mode, Mode::Leaving { .. });
        self.mode = Mode::HandsOff {
            until: now + SHUTDOWN_WITHIN,
        };
        self.frontend.goodbye(now, Goodbye::HostShutdown);
        self.touch_all();
        if leaving {
            self.flush_frontend();
            self.leave(now);
        }
    }

    fn try_to_go(&mut self, now: Moment) {
        let Mode::Leaving { until } = self.mode else { return };
        let busy = self
            .subjects
            .values()
            .any(|it| it.repair.as_ref().is_some_and(|r| r.is_calling() || r.is_half_done()));
        if busy && now < until {
            return;
        }
        self.mode = Mode::Gone;
        self.frontend.goodbye(
            now,
            Goodbye::Restart {
                back_within: self.settings.back_within,
            },
        );
        self.flush_frontend();
        self.effects.push_back(ContainerEffect::Stopped);
    }

    fn flush_frontend(&mut self) {
        while let Some(envelope) = self.frontend.poll_envelope() {
            self.effects.push_back(ContainerEffect::Send(envelope));
        }
    }

    fn hear(&mut self) {
        while let Some(notice) = self.frontend.poll_notice() {
            match notice {
                FrontendNotice::Joined { parent, term } => {
                    self.term = self.term.max(term);
                    self.condition("parent", Ok(alloc::format!("joined {parent}")));
                }
                FrontendNotice::Lost(why) => self.condition("parent", Err(why)),
                FrontendNotice::ParentSilent(time) => {
                    let why = alloc::format!("the parent has been silent for {}", super::facts::secs(time));
                    self.condition("parent", Err(why));
                }
                FrontendNotice::ParentBack => self.condition("parent", Ok("the parent speaks again".to_string())),
                FrontendNotice::Refused(reason, detail) => {
                    self.condition(
                        "parent",
                        Err(alloc::format!("the parent refused a frame: {reason}: {detail}")),
                    );
                }
                FrontendNotice::Accepted => {
                    self.condition("parent", Ok("the parent takes our frames again".to_string()))
                }
                // Orders come checked, as inputs of their own; looks at neighbours are the host-watchdog's.
                FrontendNotice::Order(_) | FrontendNotice::ProbeRequest { .. } => {}
            }
        }
    }

    /// Reconciles what the input touched, then lets out what waits.
    fn finish_input(&mut self, now: Moment) {
        while let Some(subject) = self.touched.pop_first() {
            self.reconcile(now, &subject);
        }
        self.serve_queue(now);
        self.try_to_go(now);
    }

    fn let_out(&mut self) {
        self.hear();
        let later = core::mem::take(&mut self.later);
        self.effects.extend(later);
        self.flush_frontend();
    }

    fn take(&mut self, now: Moment, input: ContainerInput) {
        match input {
            ContainerInput::StreamOpened => {
                if self.stream.opened(now) {
                    self.unlearn();
                    let all: Vec<ContainerId> = self.facts.keys().cloned().collect();
                    all.iter().for_each(|id| self.look_at(now, id));
                }
                self.condition("stream", Ok("the event stream is open".to_string()));
                self.ask_list(now);
            }
            ContainerInput::StreamEnded { why } => {
                self.condition("stream", Err(why));
                self.stream_broke(now, true);
            }
            ContainerInput::Event(event) => self.on_event(now, &event),
            ContainerInput::Listed(result) => self.on_listed(now, result),
            ContainerInput::Inspected { id, result } => self.on_inspected(now, &id, result),
            ContainerInput::StopMark { id, manually_stopped } => self.on_mark(&id, manually_stopped),
            ContainerInput::Performed { ticket, result } => self.on_performed(now, ticket, result),
            ContainerInput::JournalHealth { state } => {
                self.condition(
                    "journal",
                    state.map(|()| "the journal can be written again".to_string()),
                );
            }
            ContainerInput::Link(input) => self.frontend.handle(now, input),
            ContainerInput::Order(input) => self.on_order(now, input),
            ContainerInput::OrderRefused(answer) => self.order_refused(now, answer),
            ContainerInput::OrderFrame(OrderFrame { header, checked }) => {
                if self.frontend.takes(now, &header) {
                    match checked {
                        Ok(order) => self.on_order(now, OrderInput { order, local: false }),
                        Err(answer) => self.order_refused(now, answer),
                    }
                }
            }
            ContainerInput::Stalled { .. } => {
                self.counters.stalls += 1;
                self.stream_broke(now, false);
                self.ask_list(now);
            }
            ContainerInput::HostShutdown => self.hands_off(now),
            ContainerInput::Stop => self.leave(now),
        }
    }

    fn order_refused(&mut self, now: Moment, answer: OrderAnswer) {
        self.counters.orders_refused += 1;
        self.frontend.order_result(now, answer);
    }

    pub(crate) fn engine_failed(&mut self, error: &EngineError) {
        let why = match error {
            EngineError::NotFound => return,
            EngineError::Refused { status, message } => alloc::format!("the engine answered {status}: {message}"),
            EngineError::Deadline => "the engine did not answer in time".to_string(),
            EngineError::Unreachable(why) | EngineError::BadAnswer(why) => why.clone(),
        };
        self.condition("engine", Err(why));
    }

    fn timers(&mut self, now: Moment) {
        if self.stream.wants_open(now) {
            self.subscribe();
        }
        if let Some(how) = self.stream.settle(now) {
            self.gap_ended(now, how);
        }
        if self.list.next <= now {
            self.ask_list(now);
            self.observe_self();
        }
        self.end_holds(now);
        if matches!(self.mode, Mode::HandsOff { until } if until <= now) {
            self.mode = Mode::Healing;
            self.touch_all();
        }
        if self.deploys.values().any(|at| *at <= now) {
            self.deploys.retain(|_, at| now < *at);
            self.touch_all();
        }
        while let Some((at, subject)) = self.wakes.first().cloned() {
            if now < at {
                break;
            }
            self.wakes.pop_first();
            if let Some(it) = self.subjects.get_mut(&subject) {
                it.armed = None;
            }
            self.touched.insert(subject);
        }
    }
}

impl Machine for ContainerAgent {
    type Input = ContainerInput;
    type Effect = ContainerEffect;

    fn handle(&mut self, now: Moment, input: ContainerInput) {
        if self.mode == Mode::Gone {
            return;
        }
        self.take(now, input);
        self.finish_input(now);
        self.let_out();
    }

    fn handle_timeout(&mut self, now: Moment) {
        if self.mode == Mode::Gone {
            return;
        }
        self.frontend.handle_timeout(now);
        self.timers(now);
        self.finish_input(now);
        self.let_out();
    }

    fn poll_effect(&mut self) -> Option<ContainerEffect> {
        self.effects.pop_front()
    }

    fn next_deadline(&self) -> Option<Moment> {
        let leaving = match self.mode {
            Mode::Gone => return None,
            Mode::Leaving { until } | Mode::HandsOff { until } => Some(until),
            Mode::Healing => None,
        };
        [
            self.frontend.next_deadline(),
            self.stream.next_deadline(),
            Some(self.list.next),
            self.wakes.first().map(|(at, _)| *at),
            self.deploys.values().min().copied(),
            self.holds.values().min().copied(),
            leaving,
        ]
        .into_iter()
        .flatten()
        .min()
    }
}
