//! What follows from the end of a container-watchdog: the classification of its exit. Pure.
//!
//! A child that ends without being asked to has crashed. One that says by its exit code that it cannot run (2, 6, 8), or
//! that cannot be started, is unfit: it is tried again slowly, out of no budget, and a person is told.

use super::child_process::ProcessEnd;
use super::io::{ChildExit, HostPolicy};
use crate::subject::Incarnation;
use crate::supervisor::{ExitClass, ExitRecord};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind};
use alloc::format;
use alloc::string::String;
use alloc::vec;

/// The end as a fact.
pub(super) fn fact(now: Moment, end: &ProcessEnd) -> Evidence {
    let detail = match end {
        ProcessEnd::NotStarted(why) => format!("it cannot be started: {why}"),
        ProcessEnd::Exited { pid, exit, last_line } => {
            format!("process {pid}: {}{}", in_words(*exit), after_colon(last_line))
        }
    };
    Evidence::new(EvidenceKind::ProcessGone, now, detail)
}

/// Classifies an end that nobody here asked for.
pub(super) fn classify(
    now: Moment,
    engine: &str,
    incarnation: Incarnation,
    end: &ProcessEnd,
    policy: &HostPolicy,
) -> ExitRecord {
    let how = match end {
        ProcessEnd::NotStarted(_) => String::from("it cannot be started"),
        ProcessEnd::Exited { pid, exit, .. } => format!("process {pid} ended ({})", in_words(*exit)),
    };
    let record = ExitRecord::new(incarnation, ExitClass::Crash, now, how, "nobody here asked it to end")
        .with_evidence(vec![fact(now, end)]);
    match unfit(engine, end, policy) {
        Some((why, every)) => record.say_unfit(why, every),
        None => record,
    }
}

/// Why it cannot run for now, and how often it is tried all the same.
fn unfit(engine: &str, end: &ProcessEnd, policy: &HostPolicy) -> Option<(String, Duration)> {
    let watchdog = format!("container-watchdog of {engine}");
    let (exit, last_line) = match end {
        ProcessEnd::NotStarted(why) => {
            return Some((format!("{watchdog} cannot be started: {why}"), policy.retry_unfit));
        }
        ProcessEnd::Exited { exit, last_line, .. } => (exit, last_line),
    };
    let (what, every) = match exit {
        ChildExit::Code(2) => ("bad configuration", policy.retry_unfit),
        ChildExit::Code(6) => ("no rights", policy.retry_unfit),
        ChildExit::Code(8) => ("another healer holds the engine", policy.retry_taken),
        ChildExit::Code(_) | ChildExit::Signal(_) | ChildExit::Unknown => return None,
    };
    let why = format!("{watchdog} cannot run ({what}){}", after_colon(last_line));
    Some((why, every))
}

fn in_words(exit: ChildExit) -> String {
    match exit {
        ChildExit::Code(code) => format!("exit code {code}"),
        ChildExit::Signal(signal) => format!("killed by signal {signal}"),
        ChildExit::Unknown => String::from("its process is gone"),
    }
}

fn after_colon(line: &str) -> String {
    if line.is_empty() {
        String::new()
    } else {
        format!(": {line}")
    }
}

#[cfg(test)]
mod tests {
    //! Every kind of end.
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn each_end_has_its_class() {
        let policy = HostPolicy::default();
        let exited = |exit| ProcessEnd::Exited {
            pid: 7,
            exit,
            last_line: "so".to_string(),
        };
        let cannot = |what: &str| format!("container-watchdog of docker cannot run ({what}): so");
        let cases = [
            (exited(ChildExit::Code(1)), None),
            (exited(ChildExit::Code(0)), None),
            (exited(ChildExit::Signal(9)), None),
            (exited(ChildExit::Unknown), None),
            (exited(ChildExit::Code(2)), Some((cannot("bad configuration"), 60))),
            (exited(ChildExit::Code(6)), Some((cannot("no rights"), 60))),
            (
                exited(ChildExit::Code(8)),
                Some((cannot("another healer holds the engine"), 10)),
            ),
            (
                ProcessEnd::NotStarted("no file".to_string()),
                Some((
                    "container-watchdog of docker cannot be started: no file".to_string(),
                    60,
                )),
            ),
        ];
        for (end, expected) in cases {
            let record = classify(Moment::ZERO, "docker", Incarnation::default(), &end, &policy);
            assert!(record.wants_restart(), "{end:?}");
            let unfit = record.unfit().map(|(why, every)| (why.to_string(), every.as_secs()));
            assert_eq!(unfit, expected, "{end:?}");
        }
    }

    #[test]
    fn the_fact_names_the_process_and_its_last_words() {
        let end = |last_line: &str| ProcessEnd::Exited {
            pid: 7,
            exit: ChildExit::Signal(9),
            last_line: last_line.to_string(),
        };
        let detail = |end| fact(Moment::ZERO, &end).detail;
        assert_eq!(detail(end("")), "process 7: killed by signal 9");
        assert_eq!(
            detail(end("out of paper")),
            "process 7: killed by signal 9: out of paper"
        );
    }
}
