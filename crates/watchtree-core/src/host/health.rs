//! The machine's own health: figures with thresholds. What passes one is a remark for people; nothing is done about it.

use super::HostAgent;
use super::io::{HostEffect, HostFigures};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// A lag of the own loop above this is a remark.
const LAG_MAX: Duration = Duration::from_millis(500);
/// Figures that were asked for and did not come within this are a remark, and the old ones no longer told.
const FIGURES_WITHIN: Duration = Duration::from_secs(10);

#[derive(Clone, Debug)]
pub(super) struct Health {
    next: Moment,
    /// When figures were asked for that have not come yet.
    asked: Option<Moment>,
    pub(super) figures: Option<(Moment, HostFigures)>,
}

impl Health {
    pub(super) fn new(now: Moment) -> Self {
        Self {
            next: now,
            asked: None,
            figures: None,
        }
    }

    pub(super) fn deadline(&self) -> Moment {
        self.next
    }

    /// For how long figures have been waited for, if that is too long.
    fn overdue(&self, now: Moment) -> Option<Duration> {
        let waited = self.asked.map(|asked| now.since(asked));
        waited.filter(|waited| FIGURES_WITHIN <= *waited)
    }
}

impl HostAgent {
    pub(super) fn health_due(&mut self, now: Moment) {
        if now < self.health.next {
            return;
        }
        self.health.next = now + self.policy.figures_every;
        self.health.asked.get_or_insert(now);
        self.effects.push_back(HostEffect::ReadFigures);
        if self.health.overdue(now).is_some() {
            self.tell_host(now);
        }
    }

    pub(super) fn take_figures(&mut self, now: Moment, figures: HostFigures) {
        self.health.asked = None;
        self.health.figures = Some((now, figures));
        self.tell_host(now);
    }

    /// What a person should see, worst first.
    pub(super) fn remarks(&self, now: Moment) -> Vec<String> {
        if let Some(waited) = self.health.overdue(now) {
            let waited = waited.as_secs();
            return vec![format!("no figures of the machine for {waited} s: a file system hangs")];
        }
        let Some((_, figures)) = &self.health.figures else {
            return Vec::new();
        };
        let policy = &self.policy;
        let mut remarks = Vec::new();
        for disk in figures
            .disks
            .iter()
            .filter(|disk| disk.free_milli < policy.disk_free_milli_min)
        {
            remarks.push(format!("disk {} has {} free", disk.path, percent(disk.free_milli)));
        }
        if figures.memory_available_milli < policy.memory_available_milli_min {
            remarks.push(format!(
                "{} of the memory is available",
                percent(figures.memory_available_milli)
            ));
        }
        if policy
            .load_per_cpu_milli_max
            .saturating_mul(u64::from(figures.cpus.max(1)))
            < figures.load1_milli
        {
            let load = figures.load1_milli as f64 / 1000.0;
            remarks.push(format!("load {load:.1} on {} processors", figures.cpus));
        }
        let pressure = figures.pressure.unwrap_or_default();
        let stalls = [
            ("cpu", pressure.cpu_milli),
            ("memory", pressure.memory_milli),
            ("io", pressure.io_milli),
        ];
        for (what, milli) in stalls.into_iter().filter(|(_, milli)| policy.psi_milli_max < *milli) {
            remarks.push(format!("tasks wait for {what} {} of the time", percent(milli)));
        }
        if LAG_MAX < figures.loop_lag {
            remarks.push(format!(
                "the host-watchdog's own loop lagged {} ms",
                figures.loop_lag.as_millis()
            ));
        }
        remarks.truncate(Verdict::REMARKS_MAX);
        remarks
    }

    pub(super) fn health_evidence(&self) -> Vec<Evidence> {
        let Some((at, figures)) = &self.health.figures else {
            return Vec::new();
        };
        let disk = figures.disks.iter().map(|disk| disk.free_milli).min();
        let disk = disk.map_or("unknown".to_string(), percent);
        let detail = format!(
            "load {:.2} on {} processors, memory available {}, least disk free {disk}",
            figures.load1_milli as f64 / 1000.0,
            figures.cpus,
            percent(figures.memory_available_milli)
        );
        vec![Evidence::new(EvidenceKind::HostHealth, *at, detail)]
    }

    /// The figures that go with each beat.
    pub(super) fn beat_figures(&self, now: Moment) -> Vec<(String, u64)> {
        let current = self.health.overdue(now).is_none();
        let Some((_, figures)) = self.health.figures.as_ref().filter(|_| current) else {
            return Vec::new();
        };
        let mut all = Vec::new();
        let mut add = |name: &str, value: u64| all.push((name.to_string(), value));
        add("load1_milli", figures.load1_milli);
        add("cpus", u64::from(figures.cpus));
        add("memory_available_milli", figures.memory_available_milli);
        if let Some(disk) = figures.disks.iter().map(|disk| disk.free_milli).min() {
            add("disk_free_milli", disk);
        }
        if let Some(pressure) = figures.pressure {
            add("psi_cpu_milli", pressure.cpu_milli);
            add("psi_memory_milli", pressure.memory_milli);
            add("psi_io_milli", pressure.io_milli);
        }
        add(
            "loop_lag_ms",
            u64::try_from(figures.loop_lag.as_millis()).unwrap_or(u64::MAX),
        );
        all
    }
}

fn percent(milli: u64) -> String {
    format!("{}.{} %", milli / 10, milli % 10)
}
