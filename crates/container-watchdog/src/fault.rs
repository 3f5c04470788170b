//! Fault points: where a test may abort this process as by kill -9, between journal, request, answer and verification.
//!
//! Only with the feature `fault-points`, which no installed program has. `WATCHTREE_TEST_ABORT_AT` names the point: `stop_posted`,
//! `stop_answered`, `start_posted`, `start_answered`, `ended` (the journal has that step, nothing after it was done), `request` (handed
//! to the engine's connection), `answer` (received, not yet an input).

#[cfg(feature = "fault-points")]
mod points {
    use watchtree_core::container::io::ContainerInput;
    use watchtree_core::container::record::{Record, RepairStep};

    fn at(point: &str) {
        if std::env::var_os("WATCHTREE_TEST_ABORT_AT").is_some_and(|wanted| wanted == point) {
            eprintln!("aborting at the fault point {point}");
            std::process::abort();
        }
    }

    /// After the journal took a record.
    pub(crate) fn written(record: &Record) {
        if let Record::Repair { step, .. } = record {
            at(match step {
                RepairStep::StopPosted => "stop_posted",
                RepairStep::StopAnswered => "stop_answered",
                RepairStep::StartPosted => "start_posted",
                RepairStep::StartAnswered => "start_answered",
                RepairStep::Ended | RepairStep::LeftDown | RepairStep::StopLingers => "ended",
            });
        }
    }

    /// After a call was begun. The connection's task gets the time to write the request: the point is the time after
    /// that, and where exactly is left to chance.
    pub(crate) fn begun() {
        if std::env::var_os("WATCHTREE_TEST_ABORT_AT").is_some_and(|wanted| wanted == "request") {
            std::thread::spawn(|| {
                std::thread::sleep(std::time::Duration::from_millis(4));
                at("request");
            });
        }
    }

    /// Before the machine is told.
    pub(crate) fn delivered(input: &ContainerInput) {
        if matches!(input, ContainerInput::Performed { .. }) {
            at("answer");
        }
    }
}

#[cfg(not(feature = "fault-points"))]
mod points {
    use watchtree_core::container::io::ContainerInput;
    use watchtree_core::container::record::Record;

    pub(crate) fn written(_: &Record) {}
    pub(crate) fn begun() {}
    pub(crate) fn delivered(_: &ContainerInput) {}
}

pub(crate) use points::{begun, delivered, written};
