//! Each rule can be broken.
use super::*;
use watchtree_core::decision::{Decision, DecisionId};
use watchtree_core::id::NodeName;

const NOW: Moment = Moment::from_millis(1_000_000);
const BOOT: BootId = BootId([1; 16]);

fn subject() -> SubjectId {
    SubjectId::new("h1/docker/a").unwrap()
}

fn decided() -> Record {
    Record::Decided(Decision {
        id: DecisionId {
            node: NodeName::new("h1.docker.watchdog").unwrap(),
            epoch: 1,
            count: 1,
        },
        at: NOW,
        wall: WallTime(0),
        subject: subject(),
        incarnation: Incarnation("a@1".into()),
        evidence: Vec::new(),
        guards: Vec::new(),
        action: ActionKind::Start,
        budget_left: None,
        outcome: Outcome::UnderWay,
        why: String::new(),
        result: String::new(),
    })
}

fn charged() -> Record {
    Record::Charged {
        subject: subject(),
        at: NOW,
        boot_id: BOOT,
        wall: WallTime(0),
        mass: false,
    }
}

fn repair(step: RepairStep) -> Record {
    Record::Repair {
        subject: subject(),
        id: "a".into(),
        incarnation: Incarnation("a@1".into()),
        step,
        last_event: watchtree_core::container::io::EngineTime(0),
        at: NOW,
        boot_id: BOOT,
        stop_timeout_secs: 0,
    }
}

/// The name of the rule that these records, in this order, break.
fn write(book: &mut ReportedState, journal: &mut Recovered, records: &[Record]) -> Option<&'static str> {
    for record in records {
        if let Err((rule, _)) = book.record(NOW, Moment::ZERO, journal, record) {
            return Some(rule);
        }
        journal.apply(record);
    }
    None
}

fn post(book: &mut ReportedState, journal: &Recovered, ticket: u64, call: EngineCall) -> Option<&'static str> {
    book.post(NOW, journal, (1, ticket), "a", call)
        .err()
        .map(|(rule, _)| rule)
}

#[test]
fn a_call_needs_a_decision_a_charge_and_a_record_of_that_very_call() {
    let posted = repair(RepairStep::StartPosted);
    let (mut book, mut journal) = (ReportedState::default(), Recovered::default());
    assert_eq!(post(&mut book, &journal, 1, EngineCall::Start), Some("acts_on_record"));
    let records = [decided(), posted.clone()];
    assert_eq!(write(&mut book, &mut journal, &records), Some("acts_on_record"));
    let (mut book, mut journal) = (ReportedState::default(), Recovered::default());
    let records = [charged(), posted.clone()];
    assert_eq!(write(&mut book, &mut journal, &records), Some("acts_on_record"));
    let (mut book, mut journal) = (ReportedState::default(), Recovered::default());
    assert_eq!(write(&mut book, &mut journal, &[decided(), charged(), posted]), None);
    let stop = EngineCall::Stop { timeout_secs: 0 };
    assert_eq!(post(&mut book, &journal, 1, stop), Some("acts_on_record"));
    assert_eq!(post(&mut book, &journal, 2, EngineCall::Start), None);
}

#[test]
fn a_call_is_posted_once_whatever_its_ticket() {
    let (mut book, mut journal) = (ReportedState::default(), Recovered::default());
    let records = [decided(), charged(), repair(RepairStep::StartPosted)];
    assert_eq!(write(&mut book, &mut journal, &records), None);
    assert_eq!(post(&mut book, &journal, 1, EngineCall::Start), None);
    assert_eq!(post(&mut book, &journal, 2, EngineCall::Start), Some("posted_once"));
    book.finished(NOW, (1, 1), false);
    book.finished(NOW, (1, 2), false);
    assert_eq!(
        post(&mut book, &journal, 3, EngineCall::Start),
        None,
        "nothing came of it"
    );
    book.finished(NOW, (1, 3), true);
    assert_eq!(post(&mut book, &journal, 4, EngineCall::Start), Some("posted_once"));
}

#[test]
fn the_sixth_restart_within_a_window_breaks_the_budget() {
    let (mut book, mut journal) = (ReportedState::default(), Recovered::default());
    let once = [
        decided(),
        charged(),
        repair(RepairStep::StartPosted),
        repair(RepairStep::Ended),
    ];
    for _ in 0..RestartPolicy::default().allowance.budget {
        assert_eq!(write(&mut book, &mut journal, &once), None);
    }
    assert_eq!(write(&mut book, &mut journal, &once), Some("budget_kept"));
}

#[test]
fn the_hosts_budget_is_one_of_its_own() {
    let (mut book, mut journal) = (ReportedState::default(), Recovered::default());
    let budget = FleetPolicy::default().allowance.budget;
    let records: Vec<Record> = (0..budget).map(|_| charged()).collect();
    assert_eq!(write(&mut book, &mut journal, &records), None);
    let cleared = Record::Cleared { subject: subject() };
    let records = [cleared, decided(), charged(), repair(RepairStep::StartPosted)];
    assert_eq!(write(&mut book, &mut journal, &records), Some("budget_kept"));
}
