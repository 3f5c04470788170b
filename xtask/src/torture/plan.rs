//! What is done and when, from the seed alone: equal seeds give equal plans, whatever comes of them. It does nothing.
//!
//! It keeps in mind what it has planned for each container, so that what is stopped is started some time later; whether an act
//! finds what it needs is seen when it is done.

use super::notes::Ms;
use super::seed::Seed;
use super::world::{Kind, WORLD};
use std::collections::BTreeMap;

/// What a person does to a container.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Deed {
    Start,
    /// With that many seconds of patience.
    Stop(Option<u64>),
    /// A signal, by its number.
    Kill(u32),
    Restart,
    Pause,
    Unpause,
    /// `rm -f`, and `run` again under the same name.
    Anew,
    /// The successor under the same name, as docker-compose 1.29 does it: stop, rename, create, start, remove.
    Swap,
    /// `update --restart`.
    Policy(&'static str),
    /// `watchtree hold` for so long.
    Hold(Ms),
    Release,
}

/// A fault of the engine.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum EngineFault {
    /// Killed, and started again so much later.
    Kill(Ms),
    /// Stopped in order, and started again so much later.
    Restart(Ms),
    /// Frozen for so long.
    Freeze(Ms),
    /// Its containerd killed, and started again so much later.
    Containerd(Ms),
}

/// A fault of the watchdog.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum WatchdogFault {
    Kill(Ms),
    Stop(Ms),
    Freeze(Ms),
}

/// An act; containers by their place in the world.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Act {
    Person(usize, Deed),
    /// SIGKILL to their processes.
    Crash(Vec<usize>),
    /// Its process ends by itself, with that code.
    Exit(usize, i32),
    /// Its process is frozen.
    Hang(usize),
    /// Its check is told to fail.
    Ill(usize),
    /// It takes memory until the kernel ends it.
    Eat(usize),
    Engine(EngineFault),
    Watchdog(WatchdogFault),
}

/// An act and its time.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Step {
    pub(super) at: Ms,
    pub(super) act: Act,
}

/// Makes the plan.
struct Planner {
    seed: Seed,
    now: Ms,
    end: Ms,
    steps: BTreeMap<(Ms, usize), Act>,
    /// Until when a container has something planned that is to be undone first.
    taken: Vec<Ms>,
    engine_from: Ms,
    watchdog_from: Ms,
    ill_from: Ms,
}

/// All acts of a run whose faults last from `begin` to `end`.
pub(super) fn plan(seed: u64, begin: Ms, end: Ms) -> Vec<Step> {
    let mut planner = Planner {
        seed: Seed::new(seed),
        now: begin,
        end,
        steps: BTreeMap::new(),
        taken: vec![0; WORLD.len()],
        engine_from: begin + 10_000,
        watchdog_from: begin + 5000,
        ill_from: begin,
    };
    while planner.now < end {
        planner.draw();
        planner.now += planner.seed.within(500, 2300);
    }
    let of = |((at, _), act): ((Ms, usize), Act)| Step { at, act };
    planner.steps.into_iter().map(of).collect()
}

impl Planner {
    fn push(&mut self, after: Ms, act: Act) {
        let number = self.steps.len();
        self.steps.insert((self.now + after, number), act);
    }

    fn person(&mut self, after: Ms, slot: usize, deed: Deed) {
        self.push(after, Act::Person(slot, deed));
    }

    /// A container of those with nothing to be undone.
    fn slot(&mut self, fits: impl Fn(usize) -> bool) -> Option<usize> {
        let free = |slot: &usize| self.taken[*slot] <= self.now && fits(*slot);
        let fitting: Vec<usize> = (0..WORLD.len()).filter(free).collect();
        (!fitting.is_empty()).then(|| self.seed.pick(&fitting))
    }

    /// Its undoing comes that much later.
    fn take(&mut self, slot: usize, lasts: Ms) {
        self.taken[slot] = self.now + lasts + 500;
    }

    fn draw(&mut self) {
        match self.seed.within(1, 100) {
            1..=24 => self.crash(),
            25..=30 => self.exit(),
            31..=37 => self.ill(),
            38..=39 => self.crowd(),
            40..=56 => self.stop(),
            57..=61 => self.signal(),
            62..=66 => self.restart(),
            67..=71 => self.pause(),
            72..=76 => self.replace(),
            77..=78 => self.policy(),
            79..=83 => self.hold(),
            84..=90 => self.engine(),
            91..=97 => self.watchdog(),
            _ => self.eat(),
        }
    }

    fn crash(&mut self) {
        let Some(slot) = self.slot(|_| true) else { return };
        self.push(0, Act::Crash(vec![slot]));
        // A person's stop may fall into the repair, or come just before it.
        if self.seed.chance(12) {
            let after = self.seed.within(0, 700);
            self.stop_of(slot, after);
        }
    }

    fn exit(&mut self) {
        let serves = |slot: usize| !WORLD[slot].plays() && !matches!(WORLD[slot].kind, Kind::Looper | Kind::Stubborn);
        let Some(slot) = self.slot(serves) else { return };
        let code = if self.seed.chance(50) { 1 } else { 0 };
        self.push(0, Act::Exit(slot, code));
        // What has finished stays so until somebody starts it.
        if code == 0 {
            let lasts = self.seed.within(6000, 20_000);
            self.person(lasts, slot, Deed::Start);
            self.take(slot, lasts);
        }
    }

    fn ill(&mut self) {
        if self.now < self.ill_from {
            return self.crash();
        }
        let Some(slot) = self.slot(|slot| matches!(WORLD[slot].kind, Kind::Asked | Kind::Filed)) else {
            return;
        };
        self.ill_from = self.now + 12_000;
        match WORLD[slot].kind {
            Kind::Asked => self.push(0, Act::Hang(slot)),
            _ => self.push(0, Act::Ill(slot)),
        }
        self.take(slot, 15_000);
    }

    fn crowd(&mut self) {
        let count = if self.seed.chance(30) {
            WORLD.len() as u64
        } else {
            self.seed.within(3, 9)
        };
        let mut all: Vec<usize> = (0..WORLD.len()).filter(|slot| self.taken[*slot] <= self.now).collect();
        let mut slots = Vec::new();
        while !all.is_empty() && (slots.len() as u64) < count {
            let at = self.seed.within(0, all.len() as u64 - 1);
            slots.push(all.swap_remove(usize::try_from(at).unwrap_or(0)));
        }
        self.push(0, Act::Crash(slots));
    }

    fn stop(&mut self) {
        if let Some(slot) = self.slot(|_| true) {
            self.stop_of(slot, 0);
        }
    }

    fn stop_of(&mut self, slot: usize, after: Ms) {
        let deed = match self.seed.within(1, 10) {
            1..=4 => Deed::Stop(None),
            5..=6 => Deed::Stop(Some(0)),
            7 => Deed::Stop(Some(1)),
            8 if WORLD[slot].obeys_term() => Deed::Kill(15),
            _ => Deed::Kill(9),
        };
        self.person(after, slot, deed);
        let lasts = after + self.seed.within(8000, 25_000);
        self.person(lasts, slot, Deed::Start);
        self.take(slot, lasts);
    }

    fn signal(&mut self) {
        let Some(slot) = self.slot(|_| true) else { return };
        let signal = if self.seed.chance(50) { 1 } else { 10 };
        self.person(0, slot, Deed::Kill(signal));
        let lasts = self.seed.within(1500, 6000);
        self.push(lasts, Act::Crash(vec![slot]));
        self.take(slot, lasts);
    }

    fn restart(&mut self) {
        if let Some(slot) = self.slot(|_| true) {
            self.person(0, slot, Deed::Restart);
            self.take(slot, 3000);
        }
    }

    fn pause(&mut self) {
        let Some(slot) = self.slot(|slot| WORLD[slot].kind != Kind::Looper) else {
            return;
        };
        let lasts = self.seed.within(4000, 15_000);
        self.person(0, slot, Deed::Pause);
        self.person(lasts, slot, Deed::Unpause);
        self.take(slot, lasts);
    }

    fn replace(&mut self) {
        let Some(slot) = self.slot(|slot| !WORLD[slot].is_joined()) else {
            return;
        };
        let deed = if self.seed.chance(50) { Deed::Anew } else { Deed::Swap };
        self.person(0, slot, deed);
        self.take(slot, 4000);
    }

    fn policy(&mut self) {
        let Some(slot) = self.slot(|slot| WORLD[slot].kind == Kind::Plain) else {
            return;
        };
        let policy = self.seed.pick(&["no", "on-failure", "unless-stopped", "always"]);
        self.person(0, slot, Deed::Policy(policy));
    }

    fn hold(&mut self) {
        let Some(slot) = self.slot(|slot| WORLD[slot].healed) else {
            return;
        };
        let lasts = self.seed.within(5000, 15_000);
        self.person(0, slot, Deed::Hold(lasts));
        let after = self.seed.within(300, 2000);
        self.push(after, Act::Crash(vec![slot]));
        if self.seed.chance(50) {
            self.person(lasts.saturating_sub(1500), slot, Deed::Release);
        }
        self.take(slot, lasts);
    }

    fn engine(&mut self) {
        // What it takes to be whole again is left to it, or nothing would ever be.
        if self.now < self.engine_from || self.end < self.now + 5000 {
            return self.crash();
        }
        let away = self.seed.within(300, 4000);
        let (fault, lasts) = match self.seed.within(1, 10) {
            1..=3 => (EngineFault::Kill(away), 45_000),
            4..=6 => (EngineFault::Restart(away), 45_000),
            7..=8 => (EngineFault::Freeze(self.seed.within(3000, 15_000)), 25_000),
            _ => (EngineFault::Containerd(away), 25_000),
        };
        self.push(0, Act::Engine(fault));
        self.engine_from = self.now + lasts;
        // The watchdog may be away meanwhile.
        if self.seed.chance(30) {
            let away = self.seed.within(500, 20_000);
            let after = self.seed.within(0, 3000);
            self.push(after, Act::Watchdog(WatchdogFault::Kill(away)));
            self.watchdog_from = self.now + after + away + 8000;
        }
    }

    fn watchdog(&mut self) {
        if self.now < self.watchdog_from {
            return self.crash();
        }
        let away = self.seed.within(100, 6000);
        let fault = match self.seed.within(1, 10) {
            1..=5 => WatchdogFault::Kill(away),
            6..=7 => WatchdogFault::Stop(away),
            _ => WatchdogFault::Freeze(self.seed.within(500, 9000)),
        };
        self.push(0, Act::Watchdog(fault));
        self.watchdog_from = self.now + away + 10_000;
        // What happens meanwhile is to be found afterwards.
        for _ in 0..self.seed.within(0, 3) {
            let Some(slot) = self.slot(|_| true) else { return };
            let after = self.seed.within(0, away);
            match self.seed.chance(50) {
                true => self.push(after, Act::Crash(vec![slot])),
                false => self.stop_of(slot, after),
            }
        }
    }

    fn eat(&mut self) {
        if let Some(slot) = self.slot(|slot| WORLD[slot].kind == Kind::Glutton) {
            self.push(0, Act::Eat(slot));
        }
    }
}

#[cfg(test)]
mod tests {
    //! A plan is a function of its seed.
    use super::plan;

    #[test]
    fn equal_seeds_give_equal_plans_and_others_do_not() {
        let of = |seed| plan(seed, 1000, 120_000);
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert!(40 < of(1).len());
        assert!(of(1).is_sorted_by_key(|step| step.at));
    }
}
