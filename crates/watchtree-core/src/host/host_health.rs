//! The machine's own health: figures, and thresholds for them. What passes one is a remark for people; nothing is done
//! about it. Does not know how figures are read, nor who is told.

use super::io::{HostFigures, HostPolicy};
use crate::pressure::{LAG_MAX, Pressure, percent};
use crate::time::{Duration, Moment};
use crate::verdict::{Evidence, EvidenceKind, Verdict};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

/// Figures that were asked for and did not come within this are a remark, and the old ones no longer told.
const FIGURES_WITHIN: Duration = Duration::from_secs(10);

/// When to read figures, and the newest ones.
#[derive(Clone, Debug)]
pub(super) struct HostHealth {
    next: Moment,
    /// When figures were asked for that have not come yet.
    asked: Option<Moment>,
    newest: Option<(Moment, HostFigures)>,
}

impl HostHealth {
    /// Figures are due at once.
    pub(super) fn new(now: Moment) -> Self {
        Self {
            next: now,
            asked: None,
            newest: None,
        }
    }

    /// When figures are due.
    pub(super) fn next_deadline(&self) -> Moment {
        self.next
    }

    /// True if figures are to be read now; the next ones are due `every` later.
    pub(super) fn pop_due(&mut self, now: Moment, every: Duration) -> bool {
        if now < self.next {
            return false;
        }
        self.next = now + every;
        self.asked.get_or_insert(now);
        true
    }

    /// Takes new figures.
    pub(super) fn take(&mut self, now: Moment, figures: HostFigures) {
        self.asked = None;
        self.newest = Some((now, figures));
    }

    /// After a stall of the observer: the waiting for figures begins anew.
    pub(super) fn restart_waiting(&mut self, now: Moment) {
        self.asked = self.asked.map(|_| now);
    }

    /// For how long figures have been waited for, if that is too long.
    pub(super) fn overdue(&self, now: Moment) -> Option<Duration> {
        let waited = self.asked.map(|asked| now.since(asked));
        waited.filter(|waited| FIGURES_WITHIN <= *waited)
    }

    /// What a person should see, worst first.
    pub(super) fn remarks(&self, now: Moment, policy: &HostPolicy) -> Vec<String> {
        if let Some(waited) = self.overdue(now) {
            let waited = waited.as_secs();
            return vec![format!("no figures of the machine for {waited} s: a file system hangs")];
        }
        let Some((_, figures)) = &self.newest else {
            return Vec::new();
        };
        let mut remarks = Vec::new();
        for disk in &figures.disks {
            if disk.free_milli < policy.disk_free_milli_min {
                remarks.push(format!("disk {} has {} free", disk.path, percent(disk.free_milli)));
            }
        }
        if figures.memory_available_milli < policy.memory_available_milli_min {
            let available = percent(figures.memory_available_milli);
            remarks.push(format!("{available} of the memory is available"));
        }
        let load_max = policy
            .load_per_cpu_milli_max
            .saturating_mul(u64::from(figures.cpus.max(1)));
        if load_max < figures.load1_milli {
            let load = figures.load1_milli as f64 / 1000.0;
            remarks.push(format!("load {load:.1} on {} processors", figures.cpus));
        }
        let pressure = figures.pressure.unwrap_or_default();
        remarks.extend(pressure.stalls_above(policy.psi_milli_max));
        if LAG_MAX < figures.loop_lag {
            let lag = figures.loop_lag.as_millis();
            remarks.push(format!("the host-watchdog's own loop lagged {lag} ms"));
        }
        remarks.truncate(Verdict::REMARKS_MAX);
        remarks
    }

    /// The newest figures in words.
    pub(super) fn evidence(&self) -> Vec<Evidence> {
        let Some((at, figures)) = &self.newest else {
            return Vec::new();
        };
        let disk = least_free(figures).map_or("unknown".to_string(), percent);
        let detail = format!(
            "load {:.2} on {} processors, memory available {}, least disk free {disk}",
            figures.load1_milli as f64 / 1000.0,
            figures.cpus,
            percent(figures.memory_available_milli)
        );
        vec![Evidence::new(EvidenceKind::HostHealth, *at, detail)]
    }

    /// The figures that go with each beat; none while they are overdue.
    pub(super) fn beat_figures(&self, now: Moment) -> Vec<(String, u64)> {
        let Some((_, figures)) = self.newest.as_ref().filter(|_| self.overdue(now).is_none()) else {
            return Vec::new();
        };
        let pressure = |milli: fn(&Pressure) -> u64| figures.pressure.as_ref().map(milli);
        let lag = u64::try_from(figures.loop_lag.as_millis()).unwrap_or(u64::MAX);
        let all = [
            ("load1_milli", Some(figures.load1_milli)),
            ("cpus", Some(u64::from(figures.cpus))),
            ("memory_available_milli", Some(figures.memory_available_milli)),
            ("disk_free_milli", least_free(figures)),
            ("psi_cpu_milli", pressure(|it| it.cpu_milli)),
            ("psi_memory_milli", pressure(|it| it.memory_milli)),
            ("psi_io_milli", pressure(|it| it.io_milli)),
            ("loop_lag_ms", Some(lag)),
        ];
        let known = all
            .into_iter()
            .filter_map(|(name, value)| Some((name.to_string(), value?)));
        known.collect()
    }
}

fn least_free(figures: &HostFigures) -> Option<u64> {
    figures.disks.iter().map(|disk| disk.free_milli).min()
}

#[cfg(test)]
mod tests {
    //! Each threshold, and figures that do not come.
    use super::super::io::DiskFigure;
    use super::*;

    fn figures() -> HostFigures {
        let path = "/".to_string();
        HostFigures {
            load1_milli: 8000,
            cpus: 2,
            memory_available_milli: 50,
            disks: vec![DiskFigure { path, free_milli: 50 }],
            pressure: Some(Pressure {
                cpu_milli: 400,
                memory_milli: 400,
                io_milli: 400,
            }),
            loop_lag: Duration::from_millis(500),
        }
    }

    fn remarks(change: impl FnOnce(&mut HostFigures)) -> Vec<String> {
        let (mut health, mut figures) = (HostHealth::new(Moment::ZERO), figures());
        change(&mut figures);
        health.take(Moment::ZERO, figures);
        health.remarks(Moment::ZERO, &HostPolicy::default())
    }

    #[test]
    fn each_threshold_is_passed_by_one_more() {
        assert_eq!(remarks(|_| ()), Vec::<String>::new(), "at the threshold all is well");
        assert_eq!(remarks(|it| it.disks[0].free_milli = 49), ["disk / has 4.9 % free"]);
        let memory = remarks(|it| it.memory_available_milli = 49);
        assert_eq!(memory, ["4.9 % of the memory is available"]);
        assert_eq!(remarks(|it| it.load1_milli = 8001), ["load 8.0 on 2 processors"]);
        let psi = |io_milli| move |it: &mut HostFigures| it.pressure.as_mut().unwrap().io_milli = io_milli;
        assert_eq!(remarks(psi(401)), ["tasks wait for io 40.1 % of the time"]);
        let lag = remarks(|it| it.loop_lag = Duration::from_millis(501));
        assert_eq!(lag, ["the host-watchdog's own loop lagged 501 ms"]);
    }

    #[test]
    fn figures_that_do_not_come_are_told_no_more() {
        let at = Moment::from_millis;
        let (mut health, policy) = (HostHealth::new(at(0)), HostPolicy::default());
        health.take(at(0), figures());
        assert!(health.pop_due(at(0), policy.figures_every));
        assert!(!health.pop_due(at(1999), policy.figures_every));
        assert!(health.pop_due(at(2000), policy.figures_every));
        assert_eq!(health.next_deadline(), at(4000));
        assert_eq!(health.beat_figures(at(9999)).len(), 8);
        assert_eq!(health.overdue(at(9999)), None);
        assert_eq!(health.beat_figures(at(10_000)).len(), 0);
        assert_eq!(health.remarks(at(10_000), &policy).len(), 1);
        assert_eq!(health.evidence().len(), 1);
        health.take(at(10_001), figures());
        assert_eq!(health.remarks(at(10_001), &policy).len(), 0);
    }
}
