//! A third kind of subject, a toy process with a ping and a reboot, on the one supervisor. It shows what a new kind costs:
//! this file. It knows no container and no child process.

use std::collections::VecDeque;
use watchtree_core::decision::{ActionKind, Guard, Outcome};
use watchtree_core::id::{AgentEpoch, NodeName};
use watchtree_core::recorder::DecisionRecorder;
use watchtree_core::subject::{Incarnation, SubjectId};
use watchtree_core::supervisor::*;
use watchtree_core::time::{Duration, Moment, WallTime};
use watchtree_core::verdict::{Evidence, EvidenceKind, State};

/// A process that answers a ping, or not, or is gone; each reboot is a new one.
struct Toy {
    id: SubjectId,
    life: u64,
    born: Moment,
    runs: bool,
    answers: bool,
}

#[derive(Debug, PartialEq)]
enum Do {
    Spawn,
    Kill,
}

type Out<'a> = Outputs<'a, Do>;

impl Subject for Toy {
    type Around<'a> = ();
    type Repair = u64;
    type Command = Do;

    fn id(&self) -> &SubjectId {
        &self.id
    }

    fn incarnation(&self, _: &()) -> Incarnation {
        Incarnation(self.life.to_string())
    }

    fn ping(&mut self, now: Moment, _: &mut (), supervision: &mut Supervision, _: &mut Out<'_>) -> Assessment {
        let fact = |kind, words: &str| vec![Evidence::new(kind, now, words)];
        if self.runs && self.answers {
            let (since, shown) = (self.born, Shown::new(State::Ok, "answers"));
            return Assessment::Well { since, shown };
        }
        if self.runs {
            let (how, evidence) = ("hung".to_string(), fact(EvidenceKind::Ping, "no answer"));
            return Assessment::Unhealthy { how, evidence };
        }
        if supervision.exit().is_none() {
            let life = self.incarnation(&());
            let exit = ExitRecord::new(life, ExitClass::Crash, now, "gone", "nobody asked it to end");
            supervision.set_exit(exit.with_evidence(fact(EvidenceKind::ProcessGone, "exit code 1")));
        }
        Assessment::Down
    }

    fn action(&self, ill: Ill) -> ActionKind {
        match ill {
            Ill::Down => ActionKind::Start,
            Ill::Running => ActionKind::StopThenStart,
        }
    }

    fn plan(&self, _: ActionKind) -> &'static str {
        "start it anew"
    }

    fn guards(&mut self, _: Moment, _: Ill, _: &mut (), on: &Supervision, to: &mut Admission, _: &mut Out<'_>) {
        to.ask(Guard::OperatorIntent, || on.guard_exit(Guard::OperatorIntent));
    }

    fn reboot(&mut self, _: Moment, _: ActionKind, _: &mut (), _: &mut Supervision, out: &mut Out<'_>) -> u64 {
        if self.runs {
            out.command(Do::Kill);
        }
        out.command(Do::Spawn);
        self.life
    }

    fn advance(&mut self, now: Moment, old: &mut u64, _: &mut (), _: &mut Supervision, _: &mut Out<'_>) -> Progress {
        let until = self.born + Duration::from_secs(5);
        if self.life == *old || now < until {
            let (until, shown) = (Some(until), Shown::new(State::Repairing, "being started"));
            return Progress::Waits { until, shown };
        }
        let (outcome, result) = (Outcome::Succeeded, "it stays".to_string());
        Progress::Over { outcome, result }
    }
}

/// Steps the toy; returns what came out, in words.
fn step(ms: u64, toy: &mut Toy, on: &mut Supervisor<Toy>, recorder: &mut DecisionRecorder) -> Vec<String> {
    let (mut queue, mut fleet) = (VecDeque::new(), FleetBudget::default());
    let places = Places::free();
    let (policy, fleet, seed) = (RestartPolicy::default(), &mut fleet, 7);
    #[rustfmt::skip]
    let terms = Terms { policy, fleet, places, seed };
    let (now, mut out) = (Moment::from_millis(ms), Outputs::new(recorder, &mut queue));
    on.step(now, toy, &mut (), terms, &mut out);
    let words = |output| match output {
        Output::Decided(it) => format!("{} {}: {}", it.action.as_str(), it.outcome.as_str(), it.why),
        other => format!("{other:?}"),
    };
    queue.into_iter().map(words).collect()
}

#[test]
fn a_toy_process_is_pinged_and_rebooted() {
    let mut toy = Toy {
        id: SubjectId::new("h/toy").unwrap(),
        life: 1,
        born: Moment::ZERO,
        runs: true,
        answers: true,
    };
    let mut on = Supervisor::default();
    let mut recorder = DecisionRecorder::new(NodeName::new("h").unwrap(), AgentEpoch(1), Moment::ZERO, WallTime(0));
    assert!(step(100_000, &mut toy, &mut on, &mut recorder).is_empty(), "it is well");
    toy.runs = false;
    let out = step(200_000, &mut toy, &mut on, &mut recorder);
    let why = "start under_way: gone, nobody asked it to end: start it anew, restart 1 in a row";
    assert_eq!(out, [why, "Restarted { correlated: false }", "Command(Spawn)"]);
    (toy.life, toy.born, toy.runs) = (2, Moment::from_millis(200_100), true);
    assert!(
        step(201_000, &mut toy, &mut on, &mut recorder).is_empty(),
        "it must stay to count"
    );
    assert_eq!(on.supervision().reported().state(), State::Repairing);
    let out = step(206_000, &mut toy, &mut on, &mut recorder);
    assert!(
        out[0].starts_with("start succeeded") && out[1] == "Repaired(Succeeded)",
        "{out:?}"
    );
    assert_eq!(on.supervision().reported().state(), State::Ok);
    toy.answers = false;
    let out = step(300_000, &mut toy, &mut on, &mut recorder);
    assert_eq!(
        out[2..],
        ["Command(Kill)", "Command(Spawn)"],
        "a hung one is killed first"
    );
}
