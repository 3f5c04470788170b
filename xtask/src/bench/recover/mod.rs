//! `cargo xtask bench recover`: how long from the end of a container's init to its new process answering.
//!
//! Three arms, interleaved in one run on one machine: ours (the daemons as shipped, journal on), the floor (wait for
//! `die`, post `/start`), and the engine's own `--restart always` at its best (after more than 10 s up). Every victim is
//! killed once, so that nobody's back-off plays a part; the daemons begin anew, on empty state, only where the shipped
//! budget of one engine would end ([`ENGINE_BUDGET`]). The host's network is judged; the bridge is reported.

mod floor;
mod proxy;
mod report;
pub(super) mod stats;

use super::ground::{self, Ground};
use crate::engine::Engine;
use crate::fleet::{Containers, Fleet, Plan};
use crate::victims::{Network, Victim, VictimSpec};
use crate::{interrupt, leftovers};
use anyhow::{Context, Result};
use floor::Floor;
use proxy::Notes;
use rustix::process::{Pid, Signal, kill_process};
use stats::{Stats, Times};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long a victim may be away.
const AWAY_MAX: Duration = Duration::from_secs(30);
/// The engine starts its back-off anew for a container that was up this long.
const ALWAYS_UP: Duration = Duration::from_millis(10_500);
/// The daemons restart at most so many containers of one engine in 10 minutes (shipped), which the bench does not change:
/// before a batch that could go beyond it they begin anew.
const ENGINE_BUDGET: usize = 250;
/// Pause between two kills, so that the engine has finished with the one before.
const PAUSE: Duration = Duration::from_millis(150);

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Amount {
    batches: usize,
    /// Victims of ours, and as many of the floor, in one batch.
    pairs: usize,
    /// Victims of `--restart always` in one batch.
    always: usize,
}

/// Who restarts a victim.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Arm {
    Ours,
    Floor,
    Always,
}

struct Bench<'a> {
    engine: &'a Engine,
    image: &'a str,
    /// The run of the victims that exist for our daemons, and that of the others.
    ours: &'a str,
    others: &'a str,
    programs: &'a Path,
    /// The engine's socket with the pass-through in front.
    socket: &'a Path,
    floor: Floor,
    notes: Notes,
    made: usize,
}

/// Measures, prints, and (unless `quick`) writes `docs/benchmarks.md` and its JSON.
///
/// # Errors
/// Something could not be measured, or a figure misses what is to be reached.
pub(crate) fn recover(quick: bool, programs: Option<PathBuf>) -> Result<()> {
    // Figures in the documents are those of this tree.
    let record = !quick && programs.is_none();
    if !record {
        outln!("a trial run: no documents are written");
    }
    let Ground {
        engine,
        programs,
        machine,
        run,
        image,
    } = ground::prepare("recover", programs)?;
    let folder = leftovers::folder("bench")?;
    let others = format!("{run}-others");
    let _containers = [&run, &others].map(|run| Containers {
        engine: engine.clone(),
        run: run.clone(),
    });
    let socket = folder.path().join("engine.sock");
    let mut bench = Bench {
        engine: &engine,
        image: &image.name,
        ours: &run,
        others: &others,
        programs: &programs,
        socket: &socket,
        floor: Floor::start(&engine)?,
        notes: proxy::start(&socket, engine.socket())?,
        made: 0,
    };

    let (host, bridge) = if quick {
        (
            Amount {
                batches: 2,
                pairs: 6,
                always: 1,
            },
            Amount {
                batches: 1,
                pairs: 4,
                always: 0,
            },
        )
    } else {
        (
            Amount {
                batches: 8,
                pairs: 25,
                always: 4,
            },
            Amount {
                batches: 2,
                pairs: 25,
                always: 4,
            },
        )
    };
    let host = bench.measure(Network::Host, host)?;
    let bridge = bench.measure(Network::Bridge, bridge)?;
    report::publish(&machine.json(), &host, &bridge, record)
}

/// Kills so many of ours and of the floor's in turn, on the host's network, from one start of the daemons. The containers are
/// those of `run` and of `run`-others, which the caller removes.
///
/// # Errors
/// Something could not be measured.
pub(super) fn crashes(engine: &Engine, image: &str, run: &str, programs: &Path, pairs: usize) -> Result<Times> {
    let folder = leftovers::folder("bench")?;
    let socket = folder.path().join("engine.sock");
    let mut bench = Bench {
        engine,
        image,
        ours: run,
        others: &format!("{run}-others"),
        programs,
        socket: &socket,
        floor: Floor::start(engine)?,
        notes: proxy::start(&socket, engine.socket())?,
        made: 0,
    };
    let (batches, always) = (1, 0);
    bench.measure(Network::Host, Amount { batches, pairs, always })
}

impl Bench<'_> {
    fn measure(&mut self, network: Network, amount: Amount) -> Result<Times> {
        let mut times = Times::default();
        let mut daemons: Option<(Fleet, tempfile::TempDir)> = None;
        let mut left = 0;
        for batch in 0..amount.batches {
            if left < amount.pairs {
                daemons = None; // the old ones end before the new ones want the engine
                left = ENGINE_BUDGET;
            }
            left -= amount.pairs;
            let fleet = match daemons.take() {
                Some(old) => daemons.insert(old),
                None => daemons.insert(self.daemons()?),
            };
            self.batch(&fleet.0, network, amount, &mut times)?;
            let (ours, floor) = (Stats::of(&times.ours), Stats::of(&times.floor));
            outln!(
                "{network:?} batch {}/{}: ours {:.1} ms, floor {:.1} ms (medians of {} and {}), own share p99 {:.2} ms",
                batch + 1,
                amount.batches,
                ours.median_ms,
                floor.median_ms,
                ours.n,
                floor.n,
                Stats::of(&times.share).p99_ms,
            );
        }
        Ok(times)
    }

    /// The three daemons, on empty state. Dropped they end, and then their folder goes.
    fn daemons(&self) -> Result<(Fleet, tempfile::TempDir)> {
        let folder = leftovers::folder("bench")?;
        let plan = Plan {
            programs: self.programs,
            folder: folder.path(),
            run: self.ours,
            engine: self.socket,
            webhook: None,
        };
        Ok((Fleet::start(&plan)?, folder))
    }

    /// Makes the victims, kills them one after the other, all arms in turn, removes them.
    fn batch(&mut self, fleet: &Fleet, network: Network, amount: Amount, times: &mut Times) -> Result<()> {
        let mut victims = Vec::new();
        for arm in order(amount) {
            interrupt::check()?;
            victims.push((arm, self.make(arm, network)?));
        }
        let last_start = Instant::now();
        let mut known = Vec::new();
        for (arm, victim) in &victims {
            victim.await_incarnation(None, Instant::now(), AWAY_MAX)?;
            match arm {
                Arm::Ours => known.push(victim),
                Arm::Floor => self.floor.guard(&victim.id),
                Arm::Always => (),
            }
        }
        await_known(fleet, &known)?;
        let up = |_: &()| ALWAYS_UP < last_start.elapsed();
        interrupt::wait("a while of rest", last_start, ALWAYS_UP * 2, PAUSE, || {
            Ok(Some(()).filter(up))
        })?;

        for (arm, victim) in &victims {
            let took = self.kill_and_wait(victim).with_context(|| fleet.log_ends())?;
            match arm {
                Arm::Floor => times.floor.push(took),
                Arm::Always => times.always.push(took),
                Arm::Ours => {
                    times.ours.push(took);
                    let share = self.notes.share(&victim.id);
                    times
                        .share
                        .push(share.with_context(|| format!("{}: its restart did not pass the proxy", victim.name))?);
                }
            }
            self.floor.check()?;
            std::thread::sleep(PAUSE);
        }
        for (_, victim) in &victims {
            self.floor.release(&victim.id);
            self.engine.remove(&victim.id)?;
        }
        Ok(())
    }

    fn make(&mut self, arm: Arm, network: Network) -> Result<Victim> {
        self.made += 1;
        let spec = VictimSpec {
            name: format!("wt-{}-{}", self.ours, self.made),
            image: self.image.to_owned(),
            run: if arm == Arm::Ours { self.ours } else { self.others }.to_owned(),
            network,
            healed: arm == Arm::Ours,
            labels: Vec::new(),
            env: Vec::new(),
            health: None,
            restart: if arm == Arm::Always { "always" } else { "no" },
        };
        Victim::start(self.engine, &spec)
    }

    fn kill_and_wait(&self, victim: &Victim) -> Result<Duration> {
        let old = victim
            .incarnation()
            .with_context(|| format!("{} answers", victim.name))?;
        let pid = self.engine.inspect(&victim.id)?.pid;
        let pid = Pid::from_raw(pid)
            .filter(|_| 1 < pid)
            .with_context(|| format!("{} has a process", victim.name))?;
        let start = Instant::now();
        kill_process(pid, Signal::KILL)?;
        let every = Duration::from_micros(500);
        let what = format!("{} does not come back", victim.name);
        let poll = || Ok(victim.incarnation().filter(|life| *life != old));
        interrupt::wait(&what, start, AWAY_MAX, every, poll).map(|(_, took)| took)
    }
}

/// In which order a batch's victims are killed: ours and the floor's in turn, and the engine's own spread evenly among
/// them. Which of a pair comes first alternates, so that neither always follows the other's dust.
fn order(amount: Amount) -> Vec<Arm> {
    let mut order = Vec::new();
    for index in 0..amount.pairs {
        order.extend(if index % 2 == 0 {
            [Arm::Ours, Arm::Floor]
        } else {
            [Arm::Floor, Arm::Ours]
        });
        // So many of the engine's own are due in the middle of each of as many equal parts of the batch.
        let due = |pairs: usize| (2 * pairs * amount.always + amount.pairs) / (2 * amount.pairs);
        order.extend([Arm::Always].repeat(due(index + 1) - due(index)));
    }
    order
}

/// Waits until container-watchdog's tree has all of these.
///
/// # Errors
/// It has not, within 30 s.
pub(super) fn await_known(fleet: &Fleet, victims: &[&Victim]) -> Result<()> {
    let what = "container-watchdog does not know all victims";
    interrupt::wait(
        what,
        Instant::now(),
        Duration::from_secs(30),
        Duration::from_millis(100),
        || {
            let answer = fleet.get("container-docker", "/api/v1/tree")?.ok("the tree")?;
            let text = String::from_utf8_lossy(&answer.body).into_owned();
            Ok(victims
                .iter()
                .all(|victim| text.contains(&format!("/{}\"", victim.name)))
                .then_some(()))
        },
    )
    .map(drop)
}

#[cfg(test)]
mod tests {
    use super::{AWAY_MAX, Amount, Arm, ENGINE_BUDGET, Floor, order};
    use crate::engine::Engine;
    use crate::fleet::{Containers, run_name};
    use crate::victims::{Image, Network, Victim, VictimSpec};
    use std::time::Instant;

    #[test]
    fn the_engines_own_restarts_are_spread_among_the_others() {
        for (pairs, always) in [(25, 4), (6, 1), (4, 0), (12, 2)] {
            let order = order(Amount {
                batches: 1,
                pairs,
                always,
            });
            let of = |arm: Arm| (0..order.len()).filter(|&at| order[at] == arm).collect::<Vec<_>>();
            assert_eq!((of(Arm::Ours).len(), of(Arm::Floor).len()), (pairs, pairs));
            let at = of(Arm::Always);
            assert_eq!(at.len(), always);
            let part = order.len() / always.max(1);
            for (index, at) in at.iter().enumerate() {
                assert!((index * part..=(index + 1) * part).contains(at), "{order:?}");
            }
        }
    }

    #[test]
    fn the_budget_of_an_engine_is_the_shipped_one() {
        assert_eq!(crate::demo::shipped("host_budget"), ENGINE_BUDGET.to_string());
    }

    /// The arm everything is compared with does what it says, on the engine that is here.
    #[test]
    fn the_floor_restarts_what_it_guards() {
        let engine = Engine::here().expect("DOCKER_HOST is a unix socket or unset");
        if engine.version().is_err() && std::env::var_os("CI").is_none() {
            eprintln!("skipped: no engine answers here");
            return;
        }
        let run = run_name("floor");
        let image = Image::make(&engine, &run).expect("the victim's image");
        let _containers = Containers {
            engine: engine.clone(),
            run: run.clone(),
        };
        let floor = Floor::start(&engine).expect("the event stream");
        let victim = |name: &str| {
            let spec = VictimSpec {
                name: format!("wt-{run}-{name}"),
                image: image.name.clone(),
                run: run.clone(),
                network: Network::Host,
                healed: false,
                labels: Vec::new(),
                env: Vec::new(),
                health: None,
                restart: "no",
            };
            let victim = Victim::start(&engine, &spec).expect("a victim");
            let (life, _) = victim
                .await_incarnation(None, Instant::now(), AWAY_MAX)
                .expect("it answers");
            (victim, life)
        };
        let (guarded, life) = victim("guarded");
        let (other, _) = victim("other");
        floor.guard(&guarded.id);
        other.crash().expect("it crashes");
        let at = guarded.crash().expect("it crashes");
        guarded
            .await_incarnation(Some(&life), at, AWAY_MAX)
            .expect("a new life");
        floor.check().expect("the thread lives");
        assert!(
            !engine.inspect(&other.id).expect("it is there").running,
            "only what is guarded is started"
        );
    }
}
