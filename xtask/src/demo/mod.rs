//! `cargo xtask demo`: the whole product on this machine, hurt before the reader's eyes.
//!
//! Three separate daemons on their production edges watch containers that the demo made, and no others. Every time is
//! taken from outside: the victim's new process answers, the alert's POST arrives. It ends with a table, with 1 if a
//! row failed, and with nothing left behind, also on Ctrl-C; what a killed run left, the next one removes. It does not know how
//! the daemons heal.

mod receiver;
mod scenes;
mod stage;
mod table;
mod ui;

use crate::engine::Engine;
use crate::fleet::{self, Containers, Fleet, Plan};
use crate::machine::Machine;
use crate::prepare::{self, May};
use crate::victims::{Image, Network, Victim, VictimSpec};
use crate::{figures, interrupt, leftovers, prerequisites};
use anyhow::{Result, bail};
use receiver::Receiver;
use rustix::process::Signal;
use scenes::{HEALTH, LoopPolicy, STOP_SHIPPED, STOP_SHORT};
use serde_json::json;
use stage::Stage;
use std::path::PathBuf;
use std::time::{Duration, Instant};
use table::Row;
use ui::{Tone, Ui};

/// After a start a failing health check is not held against a container for this long (the shipped grace).
const GRACE: Duration = Duration::from_secs(10);

/// What bounds how soon a crash loop is given up: a budget by label, for the shipped one takes two minutes and more.
const LOOP: LoopPolicy = LoopPolicy {
    budget: 5,
    delay_min: Duration::from_millis(100),
};

/// A machine that is busy with something else may say so; it is there all the same.
const WELL: &[&str] = &["ok", "degraded"];

/// Runs it; with `record` a table that held is written into the documents.
///
/// # Errors
/// Something is missing here, or a row failed.
pub(crate) fn run(programs: Option<PathBuf>, record: bool) -> Result<()> {
    if record && programs.is_some() {
        bail!("--record writes the figures of this tree: leave --programs out");
    }
    let ui = Ui::new();
    let engine = prepare::engine(May::Install, &|text| ui.say(Tone::Plain, text))?;
    prerequisites::satisfy(prerequisites::BUILD)?;
    leftovers::sweep(&engine, &|text| ui.say(Tone::Plain, text));
    if programs.is_none() {
        ui.say(
            Tone::Plain,
            "building the daemons for release (the first time takes minutes), and the victim",
        );
    }
    let given = programs.clone();
    let programs = fleet::programs(programs)?;
    let machine = Machine::begin(&engine, given.as_deref());
    interrupt::catch()?;
    let run = fleet::run_name("demo");
    let image = Image::make(&engine, &run)?;

    let built = Instant::now();
    let folder = leftovers::folder("demo")?;
    let _containers = Containers {
        engine: engine.clone(),
        run: run.clone(),
    };
    let receiver = Receiver::start()?;
    ui.say(Tone::Plain, "starting manager, host and container-watchdog");
    let webhook = receiver.url();
    let plan = Plan {
        programs: &programs,
        folder: folder.path(),
        run: &run,
        engine: engine.socket(),
        webhook: Some(&webhook),
    };
    let mut fleet = Fleet::start(&plan)?;
    // After the daemons: whoever saw a container's birth knows at its death that nobody stopped it.
    let cast = Cast::start(&engine, &image.name, &run)?;
    ui.say(Tone::Plain, &format!("{} containers started", cast.all().len()));
    let stage = Stage {
        ui: &ui,
        engine: &engine,
        receiver: &receiver,
    };
    let played = play(&stage, &mut fleet, &cast);
    // Who pressed Ctrl-C wants no logs.
    let rows = played.or_else(|error| interrupt::check().and(Err(error.context(fleet.log_ends()))))?;
    let all_held = table::print(&ui, &rows);
    if !all_held {
        outln!("{}", fleet.log_ends());
    }
    ui.say(Tone::Plain, "cleaning up");
    drop(fleet);
    outln!("{:.0} s after the build", built.elapsed().as_secs_f64());
    if !all_held {
        bail!("a row failed");
    }
    if record {
        let figures = json!({ "demo": "the table of one run", "machine": machine.json(), "rows": table::json(&rows) });
        figures::publish(figures::DEMO, &figures)?;
        outln!("written to {} and the documents", figures::DEMO);
    }
    Ok(())
}

/// The containers, each for one scene: so that every first restart is a first one.
struct Cast {
    image: String,
    run: String,
    started: Instant,
    crash: Victim,
    killed: Victim,
    frozen: Victim,
    hang_shipped: Victim,
    hang_short: Victim,
    stopped: Victim,
    manager: Victim,
    bystander: Victim,
}

impl Cast {
    fn start(engine: &Engine, image: &str, run: &str) -> Result<Self> {
        let victim = |name: &str, change: &dyn Fn(&mut VictimSpec)| {
            interrupt::check()?;
            let mut spec = spec(image, run, name);
            change(&mut spec);
            Victim::start(engine, &spec)
        };
        let plain = |_: &mut VictimSpec| ();
        let healthy = |spec: &mut VictimSpec| spec.health = Some(HEALTH);
        let short = |spec: &mut VictimSpec| {
            spec.health = Some(HEALTH);
            spec.labels.push((
                "watchtree.stop-timeout".to_owned(),
                format!("{}s", STOP_SHORT.as_secs()),
            ));
        };
        Ok(Self {
            image: image.to_owned(),
            run: run.to_owned(),
            hang_shipped: victim("hang", &healthy)?,
            hang_short: victim("hang-short", &short)?,
            crash: victim("crash", &plain)?,
            killed: victim("orphan", &plain)?,
            frozen: victim("unwatched", &plain)?,
            stopped: victim("stopped", &plain)?,
            manager: victim("headless", &plain)?,
            bystander: victim("bystander", &plain)?,
            started: Instant::now(),
        })
    }

    /// Those that run at the end.
    fn running(&self) -> Vec<&Victim> {
        let stopped = |victim: &&Victim| victim.id != self.stopped.id;
        self.all().into_iter().filter(stopped).collect()
    }

    fn all(&self) -> Vec<&Victim> {
        vec![
            &self.crash,
            &self.killed,
            &self.frozen,
            &self.hang_shipped,
            &self.hang_short,
            &self.stopped,
            &self.manager,
            &self.bystander,
        ]
    }
}

fn spec(image: &str, run: &str, name: &str) -> VictimSpec {
    VictimSpec {
        name: format!("wt-{run}-{name}"),
        image: image.to_owned(),
        run: run.to_owned(),
        network: Network::Host,
        healed: true,
        labels: Vec::new(),
        env: Vec::new(),
        health: None,
        restart: "no",
    }
}

fn play(stage: &Stage<'_>, fleet: &mut Fleet, cast: &Cast) -> Result<Vec<Row>> {
    for victim in cast.all() {
        victim.await_incarnation(None, Instant::now(), Duration::from_secs(10))?;
    }
    let subjects: Vec<String> = cast.all().into_iter().map(stage::subject).collect();
    let took = stage.await_states(fleet, "manager", &subjects, &["ok"], Duration::from_secs(30))?;
    stage.say(
        Tone::Plain,
        &format!(
            "the manager's tree has them all, and all are OK (after {:.1} s)",
            took.as_secs_f64()
        ),
    );

    let mut rows = Vec::new();
    stage.ui.heading("One container crashes");
    rows.push(scenes::crash(stage, fleet, &cast.crash, "crash"));

    stage
        .ui
        .heading("The watchdog itself is killed, then frozen; a container crashes while it is away");
    let (killed, frozen) = (Duration::from_secs(1), Duration::from_secs(4));
    rows.push(scenes::watcher_away(stage, fleet, &cast.killed, Signal::KILL, killed));
    fleet.await_ready("container-docker")?;
    rows.push(scenes::watcher_away(stage, fleet, &cast.frozen, Signal::STOP, frozen));
    fleet.await_ready("container-docker")?;

    stage
        .ui
        .heading("At one time: two hangs, a crash loop, and a person's docker stop");
    interrupt::wait(
        "the grace after a start",
        cast.started,
        GRACE * 2,
        stage::POLL_EVERY,
        || Ok((GRACE < cast.started.elapsed()).then_some(())),
    )?;
    rows.extend(side_by_side(stage, fleet, cast)?);

    stage
        .ui
        .heading("The manager is killed; a container crashes while it is away");
    rows.push(scenes::manager_away(stage, fleet, &cast.manager));
    let top = [fleet::HOST.to_owned(), stage::subject(&cast.bystander)];
    stage.await_states(fleet, "manager", &top, WELL, Duration::from_secs(10))?;
    stage.say(Tone::Plain, "the manager is back, and so is the host in its tree");

    stage.ui.heading("The host-watchdog is frozen");
    rows.push(scenes::host_frozen(stage, fleet, &cast.running()));
    // Who pressed Ctrl-C wants no rows that failed by it.
    interrupt::check()?;
    Ok(rows)
}

fn side_by_side(stage: &Stage<'_>, fleet: &Fleet, cast: &Cast) -> Result<Vec<Row>> {
    let start_loop = || {
        let mut spec = spec(&cast.image, &cast.run, "loop");
        spec.env.push("VICTIM_MODE=crash-loop".to_owned());
        let budget = format!("{}/10m", LOOP.budget);
        spec.labels.push(("watchtree.budget".to_owned(), budget));
        Victim::start(stage.engine, &spec)
    };
    let rows = std::thread::scope(|scope| {
        let shipped_name = "hang, shipped stop timeout";
        let short_name = "hang, label watchtree.stop-timeout=1s";
        let scenes = [
            scope.spawn(|| scenes::hang(stage, fleet, &cast.hang_shipped, STOP_SHIPPED, shipped_name)),
            scope.spawn(|| scenes::hang(stage, fleet, &cast.hang_short, STOP_SHORT, short_name)),
            scope.spawn(|| scenes::crash_loop(stage, fleet, &LOOP, start_loop)),
            scope.spawn(|| scenes::operator_stop(stage, fleet, &cast.stopped)),
        ];
        scenes.map(|scene| scene.join())
    });
    rows.into_iter()
        .map(|row| row.map_err(|_| anyhow::anyhow!("a scene panicked")))
        .collect()
}

/// The default of a key of `[heal]`, from the document that is generated from what is shipped.
#[cfg(test)]
pub(crate) fn shipped(key: &str) -> String {
    let path = crate::sh::root().join("docs/configuration.md");
    let page = std::fs::read_to_string(path).expect("the page is there");
    let row = format!("| `[heal]` | `{key}` | `");
    let value = page.lines().find_map(|line| line.strip_prefix(row.as_str()));
    let value = value.unwrap_or_else(|| panic!("[heal] {key} has a row"));
    value.split('`').next().unwrap_or_default().trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use super::{GRACE, LOOP, STOP_SHIPPED, shipped};
    use std::time::Duration;

    fn shipped_time(key: &str) -> Duration {
        let text = shipped(key);
        let number = |unit: &str| text.strip_suffix(unit).and_then(|number| number.parse().ok());
        match (number("ms"), number("s")) {
            (Some(ms), _) => Duration::from_millis(ms),
            (None, Some(secs)) => Duration::from_secs(secs),
            (None, None) => panic!("[heal] {key} = {text:?} is in ms or s"),
        }
    }

    #[test]
    fn the_bounds_are_computed_from_what_is_shipped() {
        assert_eq!(shipped_time("delay_min"), LOOP.delay_min);
        assert_eq!(shipped_time("stop_timeout"), STOP_SHIPPED);
        assert_eq!(shipped_time("grace"), GRACE);
    }
}
