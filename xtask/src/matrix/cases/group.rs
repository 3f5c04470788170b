//! Many containers of one service, and two projects of one name: each container has its own verdict.

use super::case::{Case, HEALED, LEFT, Lane};
use crate::matrix::container::{Container, Seen, stay};
use crate::matrix::spec::Spec;
use crate::matrix::testbed::Testbed;
use anyhow::{Context, Result, ensure};
use rustix::process::Signal;
use std::time::Duration;

const REPLICAS: usize = 50;

pub(super) const CASES: fn() -> Vec<Case> = || {
    let case = |name, what, play| Case {
        name,
        what,
        lane: Lane::Free,
        play,
    };
    vec![
        case(
            "same-project",
            "two projects of one name from two folders: each container has its verdict",
            same_project,
        ),
        Case {
            lane: Lane::Long,
            ..case(
                "replicas",
                "50 replicas: one crashes, one ends with 3, one is stopped: each has its verdict",
                replicas,
            )
        },
    ]
};

fn service(spec: Spec, project: &str, folder: &str, number: usize) -> Spec {
    let labels = [
        ("project", project.to_owned()),
        ("service", "web".to_owned()),
        ("container-number", number.to_string()),
        ("oneoff", "False".to_owned()),
        ("project.working_dir", folder.to_owned()),
        ("project.config_files", format!("{folder}/docker-compose.yml")),
    ];
    let label = |spec: Spec, (key, value): &(&str, String)| spec.label(&format!("com.docker.compose.{key}"), value);
    labels.iter().fold(spec, label)
}

/// The place that the watchdog has it at, by what inspect and the tree both know.
fn find_place(testbed: &Testbed, container: &mut Container<'_>, places: &[String]) -> Result<()> {
    let id = &container.id;
    let all = testbed.told()?;
    let subjects = places.iter().map(|place| format!("h1/docker/{place}"));
    let its = |subject: &String| {
        let of = |it: &&serde_json::Value| it["subject"] == subject.as_str();
        let incarnation = all.iter().find(of).and_then(|it| it["incarnation"].as_str());
        incarnation.is_some_and(|it| id.starts_with(it.split(['@', ' ', '/']).next().unwrap_or(it)))
    };
    let subject = subjects.into_iter().find(its).with_context(|| {
        let seen: Vec<_> = all
            .iter()
            .map(|it| format!("{} {}", it["subject"], it["incarnation"]))
            .collect();
        format!("{} ({id}) is not in the tree: {}", container.name, seen.join(", "))
    })?;
    container.place = subject.trim_start_matches("h1/docker/").to_owned();
    Ok(())
}

fn same_project(testbed: &Testbed, case: &str) -> Result<String> {
    let spec = |name: &str, folder: &str| service(Spec::new(case, name), "twice", folder, 1);
    let mut first = Container::run(testbed, &spec("twice-a-web", "/srv/a"))?;
    let mut second = Container::run(testbed, &spec("twice-b-web", "/srv/b"))?;
    let places = ["twice/web/1", "twice-a-web", "twice-b-web"].map(str::to_owned);
    let found = || {
        Ok([&mut first, &mut second]
            .into_iter()
            .all(|it| find_place(testbed, it, &places).is_ok())
            .then_some(()))
    };
    let every = Duration::from_millis(300);
    crate::interrupt::wait("both in the tree", std::time::Instant::now(), HEALED, every, found)?;
    ensure!(first.place != second.place, "both are one subject: {}", first.place);
    let (first_before, second_before) = (first.is_well()?, second.is_well()?);
    second.signal(Signal::KILL)?;
    second.is_started_again(&second_before, HEALED)?;
    first.stays(&first_before, Duration::from_secs(3))?;
    let second_now = second.is_well()?;
    first.ask("stop?t=2")?;
    let ended = first.seen()?;
    stay(&[(first.clone(), ended), (second.clone(), second_now)], LEFT)?;
    first.is_told(&["stopped"], LEFT)?;
    second.is_told(&["ok"], LEFT)?;
    Ok(String::new())
}

fn replicas(testbed: &Testbed, case: &str) -> Result<String> {
    let spec = |number: usize| {
        let spec = Spec::new(case, &format!("many_web_{number}"));
        service(spec, "many", "/srv/many", number)
    };
    let specs: Vec<Spec> = (1..=REPLICAS).map(spec).collect();
    let mut all = Container::run_all(testbed, &specs)?;
    for (at, container) in all.iter_mut().enumerate() {
        container.place = format!("many/web/{}", at + 1);
    }
    let before: Vec<Seen> = all.iter().map(Container::is_well).collect::<Result<_>>()?;
    all[6].signal(Signal::KILL)?;
    all[22].order("exit 3")?;
    all[30].ask("stop?t=2")?;
    let stopped = all[30].seen()?;
    for hurt in [6, 22] {
        all[hurt].is_started_again(&before[hurt], HEALED)?;
        all[hurt].is_well()?;
    }
    let hurt = [6, 22, 30];
    let others = (0..REPLICAS).filter(|at| !hurt.contains(at));
    let mut left: Vec<_> = others.map(|at| (all[at].clone(), before[at].clone())).collect();
    left.push((all[30].clone(), stopped));
    stay(&left, LEFT)?;
    all[30].is_told(&["stopped"], LEFT)?;
    let told = testbed.told()?;
    let is_well = |it: &&serde_json::Value| {
        let of_many = it["subject"]
            .as_str()
            .is_some_and(|it| it.starts_with("h1/docker/many/web/"));
        of_many && it["state"] == "ok"
    };
    let well = told.iter().filter(is_well).count();
    ensure!(well == REPLICAS - 1, "{well} are told as well");
    Ok(format!("{well} well, 1 stopped"))
}
