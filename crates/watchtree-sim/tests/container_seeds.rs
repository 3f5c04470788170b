//! The container role against the model engine under random acts: people, crashes, failing checks, and its own deaths, freezes
//! and broken streams. After the noise stops, what people stopped is down, everything else runs, and no budget was broken.
//! A failing run is replayed by its seed: `WATCHTREE_SEED=17 cargo nextest run -p watchtree-sim seeds`.

use watchtree_core::container::io::{Record, RunState};
use watchtree_core::random::mix;
use watchtree_core::supervisor::{Allowance, FleetLimits, FleetPolicy, RestartLimits, RestartPolicy};
use watchtree_sim::run;
use watchtree_sim::scene::Scene;
use watchtree_sim::script::Script;
use watchtree_sim::state::engine::Version;

struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = mix(self.0);
        self.0 % sides
    }
}

fn one_run(seed: u64) {
    let mut dice = Dice(seed);
    let names = ["a", "b", "c"];
    let mut w = Scene::new();
    let wide = |allowance: Allowance, budget| Allowance { budget, ..allowance };
    let (one, all) = (RestartLimits::default(), FleetLimits::default());
    w.settings().policy = RestartPolicy::default().with_allowance(wide(one.allowance, 100));
    w.settings().fleet_policy = FleetPolicy::new(FleetLimits {
        allowance: wide(all.allowance, 500),
        ..all
    })
    .expect("a policy");
    w.engine().set_version(match dice.roll(2) {
        0 => Version::V26_1,
        _ => Version::V20_10,
    });
    names.iter().for_each(|name| w.create(name, |_| {}));
    w.run(60_000);
    w.start_agent();
    w.run(30_000);
    let mut meant = [true; 3];
    let mut thaw_at = None;
    let mut deaf = false;
    for _ in 0..40 {
        let n = usize::try_from(dice.roll(3)).unwrap();
        let name = names[n];
        let running = w.running(name);
        let what = dice.roll(12);
        match what {
            0..=2 if running => {
                w.lose_next_die(name, dice.roll(6) == 0);
                let code = [1, 137, 143][usize::try_from(dice.roll(3)).unwrap()];
                w.does(&format!("{name} exits {code}"));
            }
            3 if running => {
                w.does(&format!("docker stop {name}"));
                meant[n] = false;
            }
            4 if running => {
                w.does(&format!("docker kill {name}"));
                meant[n] = false;
            }
            5 if w.inspect(name).run == RunState::Exited && !meant[n] => {
                w.does(&format!("docker start {name}"));
                meant[n] = true;
            }
            6 if running => _ = w.does(&format!("{name} is unhealthy")),
            7 if w.agent().is_some() && thaw_at.is_none() => w.kill_agent(),
            8 if w.agent().is_some() && thaw_at.is_none() => {
                w.freeze();
                thaw_at = Some(w.now() + 200 + dice.roll(8000));
            }
            9 if w.agent().is_some() && thaw_at.is_none() => w.cut_stream(),
            10 if w.agent().is_some() && thaw_at.is_none() => {
                w.api().deafen_stream();
                deaf = true;
            }
            // No SIGHUP here: it leaves the engine's manual-stop flag, which is all that is left to go by where
            // events were lost. The scripts have it on a whole stream.
            _ => {}
        }
        // Acts of the model are done before the next one is thrown, so that what was meant is what happened.
        let short = dice.roll(3) != 0;
        w.run(if short {
            30 + dice.roll(300)
        } else {
            500 + dice.roll(20_000)
        });
        if deaf {
            // An incarnation that begins and ends between two lists, with no event of it, cannot be known of.
            w.run(12_000);
        }
        if thaw_at.is_some_and(|at| at <= w.now()) {
            thaw_at = None;
            w.thaw();
        }
        if w.agent().is_none() && dice.roll(2) == 0 {
            w.start_agent();
        }
    }
    w.thaw();
    if w.agent().is_none() {
        w.start_agent();
    }
    w.run(180_000);
    for (name, meant) in names.iter().zip(meant) {
        assert_eq!(w.running(name), meant, "seed {seed}: {name}\n{}", w.take_story());
    }
    let charged = w
        .records()
        .iter()
        .filter(|it| matches!(it, Record::Charged { .. }))
        .count();
    let starts: u64 = names.iter().map(|name| w.starts(name) as u64).sum();
    assert!(
        starts <= charged as u64,
        "seed {seed}: {starts} starts, {charged} charged"
    );
}

#[test]
fn seeds() {
    if let Some(seed) = std::env::var("WATCHTREE_SEED").ok().and_then(|text| text.parse().ok()) {
        return one_run(seed);
    }
    let tried = run::seeds(500);
    let failed: Vec<u64> = (0..tried)
        .filter(|seed| std::panic::catch_unwind(|| one_run(*seed)).is_err())
        .collect();
    assert_eq!(failed, [0; 0], "replay each by itself");
}
