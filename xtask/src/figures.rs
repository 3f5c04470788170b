//! The figures in the documents: made from the JSON that bench and demo write, and from nothing else.
//!
//! `docs/benchmarks.md` and the README hold tables between marks; a test compares them with the JSON, and writes them
//! anew with `UPDATE_EXPECT=1`.

use crate::{machine, sh};
use anyhow::{Context, Result};
use serde_json::Value;

/// Figures of `cargo xtask bench recover`.
pub(crate) const RECOVER: &str = "docs/benchmarks/recover.json";
/// Figures of `cargo xtask demo --record`.
pub(crate) const DEMO: &str = "docs/benchmarks/demo.json";

/// Figures of `cargo xtask bench idle`.
pub(crate) const IDLE: &str = "docs/benchmarks/idle.json";

/// Figures of `cargo xtask bench heal`.
pub(crate) const HEAL: &str = "docs/benchmarks/heal.json";

const PAGE: &str = "docs/benchmarks.md";
const README: &str = "README.md";

/// All figures that are there.
struct Figures {
    recover: Value,
    demo: Value,
    idle: Value,
    heal: Value,
}

/// Which part of which document is made from the figures, and how.
type Part = (&'static str, &'static str, fn(&Figures) -> String);

/// The marks are `<!-- NAME: … -->` and `<!-- NAME: end -->`.
const PARTS: &[Part] = &[
    (PAGE, "recover", |figures| recover_table(&figures.recover)),
    (PAGE, "heal", |figures| heal_table(&figures.heal)),
    (PAGE, "idle", |figures| idle_table(&figures.idle)),
    (PAGE, "demo", |figures| demo_table(&figures.demo)),
    (README, "figures", readme_table),
];

/// Writes one command's figures, and every table that is made from them.
///
/// # Errors
/// A document cannot be read or written, or has no marks.
pub(crate) fn publish(file: &str, figures: &Value) -> Result<()> {
    let path = sh::root().join(file);
    std::fs::create_dir_all(path.parent().context("figures lie in a folder")?)?;
    std::fs::write(&path, serde_json::to_string_pretty(figures)? + "\n").with_context(|| file.to_owned())?;
    for (document, text) in documents()? {
        std::fs::write(sh::root().join(document), text).with_context(|| document.to_owned())?;
    }
    Ok(())
}

/// The documents as they must be, by the figures that are there.
fn documents() -> Result<Vec<(&'static str, String)>> {
    let read = |file: &str| std::fs::read_to_string(sh::root().join(file)).with_context(|| file.to_owned());
    let figures = |file: &str| -> Result<Value> { serde_json::from_str(&read(file)?).with_context(|| file.to_owned()) };
    let figures = Figures {
        recover: figures(RECOVER)?,
        demo: figures(DEMO)?,
        idle: figures(IDLE)?,
        heal: figures(HEAL)?,
    };
    let mut documents: Vec<(&'static str, String)> = Vec::new();
    for (document, name, make) in PARTS {
        if documents.iter().all(|(other, _)| other != document) {
            documents.push((document, read(document)?));
        }
        for (_, page) in documents.iter_mut().filter(|(other, _)| other == document) {
            *page = insert(page, name, &make(&figures)).with_context(|| (*document).to_owned())?;
        }
    }
    Ok(documents)
}

/// Puts the text between the marks of that name.
pub(crate) fn insert(page: &str, name: &str, text: &str) -> Result<String> {
    let open = format!("<!-- {name}: written by ");
    let close = format!("<!-- {name}: end -->");
    let missing = || format!("there are no marks `{open}…` and `{close}`");
    let at = page.find(&open).with_context(missing)?;
    let from = at + page[at..].find('\n').with_context(missing)?;
    let to = from + page[from..].find(&close).with_context(missing)?;
    Ok(format!("{}\n\n{}\n\n{}", &page[..from], text.trim(), &page[to..]))
}

const ARMS: [(&str, &str); 4] = [
    ("watchtree", "Watchtree"),
    ("floor", "floor: wait for `die`, post `/start`"),
    ("restart_always", "engine's `--restart always`, after > 10 s up"),
    (
        "own_share",
        "Watchtree's own share: event on the socket → start request on the socket",
    ),
];

fn ms(value: &Value) -> f64 {
    value.as_f64().unwrap_or(f64::NAN)
}

/// The median of ours as a multiple of the floor's.
pub(crate) fn ratio(network: &Value) -> f64 {
    ms(&network["watchtree"]["median_ms"]) / ms(&network["floor"]["median_ms"])
}

/// For people, and for `docs/benchmarks.md`.
pub(crate) fn recover_table(recover: &Value) -> String {
    let mut text = format!("{}.\n\n", machine::words(&recover["machine"]));
    text.push_str("| network | arm | n | median ms | p95 ms | p99 ms | max ms |\n|---|---|--:|--:|--:|--:|--:|\n");
    for network in ["host", "bridge"] {
        for (arm, words) in ARMS {
            let stats = &recover[network][arm];
            let digits = if arm == "own_share" { 2 } else { 1 };
            text.push_str(&format!("| {network} | {words} | {} |", stats["n"]));
            for key in ["median_ms", "p95_ms", "p99_ms", "max_ms"] {
                text.push_str(&format!(" {:.digits$} |", ms(&stats[key])));
            }
            text.push('\n');
        }
    }
    let (host, bridge) = (ratio(&recover["host"]), ratio(&recover["bridge"]));
    text.push_str(&format!(
        "\nMedian against the floor: host {host:.3}, bridge {bridge:.3}."
    ));
    if host < 1.0 || bridge < 1.0 {
        text.push_str(" Below 1 is noise: whoever waits for the same event cannot be faster than who only waits.");
    }
    text
}

fn cell(row: &Value, key: &str) -> String {
    row[key].as_str().unwrap_or("-").to_owned()
}

/// For people, and for `docs/benchmarks.md`.
pub(crate) fn heal_table(heal: &Value) -> String {
    if heal["machine"].is_null() {
        return "Not measured yet.".to_owned();
    }
    let mut text = format!("{}.\n\n", machine::words(&heal["machine"]));
    text.push_str("| failure | arm | n | median s | p99 s | max s |\n|---|---|--:|--:|--:|--:|\n");
    let mut row = |failure: &str, arm: &str, stats: &Value| {
        let [median, p99, max] = ["median_ms", "p99_ms", "max_ms"].map(|key| ms(&stats[key]) / 1000.0);
        let n = &stats["n"];
        text.push_str(&format!(
            "| {failure} | {arm} | {n} | {median:.3} | {p99:.3} | {max:.3} |\n"
        ));
    };
    for (arm, words) in ARMS.iter().take(2) {
        row("crash", words, &heal["crash"][arm]);
    }
    for (arm, words) in [
        ("watchtree", "Watchtree"),
        ("floor", "floor: wait for `unhealthy`, post `/restart`"),
    ] {
        row(
            "hang, the same one again and again",
            words,
            &heal["hangs"][arm]["stats"],
        );
    }
    let killed = format!("{} killed at once, until all answer", heal["containers"]["at_once"]);
    let engine = format!(
        "engine killed, until all {} answer",
        heal["containers"]["engine_killed"]
    );
    for (failure, key) in [(killed, "waves"), (engine, "outages")] {
        for stats in heal[key].as_array().map(Vec::as_slice).unwrap_or_default() {
            let arm = match stats["parallel"].as_u64() {
                Some(0) | None => "Watchtree".to_owned(),
                Some(parallel) => format!("by hand, {parallel} at one time"),
            };
            row(&failure, &arm, stats);
        }
    }
    let each = |arm: &str| {
        let all = heal["hangs"][arm]["each_s"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let words = all
            .iter()
            .map(|took| took.as_f64().map_or("never".to_owned(), |took| format!("{took:.2}")));
        words.collect::<Vec<_>>().join(", ")
    };
    let (ours, floor) = (each("watchtree"), each("floor"));
    text.push_str(&format!(
        "\nEach hang in order, s: Watchtree {ours}; floor {floor}.\n\n"
    ));
    for bar in heal["bars"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let word = if bar["is_met"] == true { "ok" } else { "MISSES" };
        let (what, value, most) = (cell(bar, "what"), ms(&bar["value"]), ms(&bar["most"]));
        text.push_str(&format!("- {word}: {what} {value:.3}, at most {most:.2}\n"));
    }
    text
}

/// The demo's table, for `docs/benchmarks.md`.
fn demo_table(demo: &Value) -> String {
    let mut text = format!("{}.\n\n", machine::words(&demo["machine"]));
    text.push_str("| fault | bound | seen after | repaired after |\n|---|---|--:|--:|\n");
    for row in demo["rows"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let cells = ["fault", "bound", "seen", "repaired"].map(|key| cell(row, key));
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}

const PROCESSES: [(&str, &str); 4] = [
    ("manager", "manager-watchdog"),
    ("host", "host-watchdog"),
    ("container-docker", "container-watchdog"),
    ("engine", "the engine"),
];

/// For people, and for `docs/benchmarks.md`.
pub(crate) fn idle_table(idle: &Value) -> String {
    let mut text = format!(
        "{}. {} containers, medians (least to most) of {} windows of {} s.\n\n",
        machine::words(&idle["machine"]),
        idle["containers"],
        idle["rounds"],
        idle["window_s"],
    );
    text.push_str("| process | arm | ms of processor time in a minute | PSS, MiB |\n|---|---|--:|--:|\n");
    for (process, words) in PROCESSES {
        for arm in ["engine alone", "this tree", "beside"] {
            let used = &idle["arms"][arm][process];
            if used.is_null() {
                continue;
            }
            let span = |key: &str, scale: f64| {
                let [median, min, max] = ["median", "min", "max"].map(|which| ms(&used[key][which]) / scale);
                format!("{median:.1} ({min:.1} to {max:.1})")
            };
            let (cpu, pss) = (span("cpu_ms_per_minute", 1.0), span("pss_kib", 1024.0));
            text.push_str(&format!("| {words} | {arm} | {cpu} | {pss} |\n"));
        }
    }
    text.push_str("\nHost and container-watchdog together:\n\n");
    for (what, value, most) in idle_bars(&idle["arms"]) {
        let word = if value <= most { "ok" } else { "MISSES" };
        text.push_str(&format!("- {word}: {what} {value:.2}, at most {most:.2}\n"));
    }
    text
}

/// What host and container-watchdog of this tree may cost: in words, what they do, and the most.
fn idle_bars(arms: &Value) -> [(&'static str, f64, f64); 2] {
    const CORE_PER_CENT_MAX: f64 = 0.35;
    const PSS_MIB_MAX: f64 = 14.0;
    const MINUTE_MS: f64 = 60_000.0;
    let median = |arm: &str, process: &str, key: &str| ms(&arms[arm][process][key]["median"]);
    let both = |key: &str| median("this tree", "host", key) + median("this tree", "container-docker", key);
    let engine = |arm: &str| median(arm, "engine", "cpu_ms_per_minute");
    let cpu_ms = both("cpu_ms_per_minute") + engine("this tree") - engine("engine alone");
    [
        (
            "per cent of a core, with what the engine spends more than alone",
            cpu_ms * 100.0 / MINUTE_MS,
            CORE_PER_CENT_MAX,
        ),
        ("PSS, MiB", both("pss_kib") / 1024.0, PSS_MIB_MAX),
    ]
}

/// All daemons of one arm together.
fn idle_sum(arm: &Value) -> String {
    let sum = |key: &str| -> f64 {
        let daemons = PROCESSES.iter().filter(|(process, _)| *process != "engine");
        daemons.map(|(process, _)| ms(&arm[process][key]["median"])).sum()
    };
    format!("{:.0} ms, {:.0} MiB", sum("cpu_ms_per_minute"), sum("pss_kib") / 1024.0)
}

/// What a reader asks first: the medians of the bench, and what the demo showed.
fn readme_table(figures: &Figures) -> String {
    let Figures {
        recover, demo, idle, ..
    } = figures;
    let host = &recover["host"];
    let median = |arm: &str| {
        let stats = &host[arm];
        (stats["n"].to_string(), format!("{:.0} ms", ms(&stats["median_ms"])))
    };
    let mut text = String::from("| | bound | measured |\n|---|--:|--:|\n");
    let crashes = [
        (
            "watchtree",
            "crash, from kill -9 of the container's process to its new one answering",
        ),
        ("floor", "the same by whoever only waits for `die` and posts `/start`"),
        (
            "restart_always",
            "the same by the engine's own `--restart always` at its best",
        ),
    ];
    for (arm, words) in crashes {
        let (n, median) = median(arm);
        text.push_str(&format!("| {words}, median of {n} | | {median} |\n"));
    }
    text.push_str(&format!(
        "| Watchtree's own share: event on the socket to start request on the socket, p99 | {:.0} ms | {:.1} ms |\n",
        ms(&recover["to_reach"]["share_p99_ms_max"]),
        ms(&host["own_share"]["p99_ms"]),
    ));
    text.push_str(&format!(
        "| the three daemons while {} containers run and nothing happens: processor time in a minute, memory (PSS) | | {} |\n",
        idle["containers"],
        idle_sum(&idle["arms"]["this tree"]),
    ));
    for row in demo["rows"].as_array().map(Vec::as_slice).unwrap_or_default() {
        let repaired = cell(row, "repaired");
        // Where nothing is to be repaired, what counts is when it was seen.
        let measured = if repaired.ends_with(" s") {
            repaired
        } else {
            format!("seen after {}, {repaired}", cell(row, "seen"))
        };
        text.push_str(&format!(
            "| {} | {} | {measured} |\n",
            cell(row, "fault"),
            cell(row, "bound")
        ));
    }
    text.push_str(&format!(
        "\nBench: {}. Demo (one run): {}. Both print yours.",
        machine::words(&recover["machine"]),
        machine::words(&demo["machine"])
    ));
    text
}

#[cfg(test)]
mod tests {
    use super::{documents, insert};
    use crate::sh;

    #[test]
    fn the_text_between_the_marks_is_replaced() {
        let page = "# Title\n<!-- x: written by `y` -->\nold\n<!-- x: end -->\nrest\n";
        let new = insert(page, "x", "new\n").expect("both marks are there");
        assert_eq!(
            new,
            "# Title\n<!-- x: written by `y` -->\n\nnew\n\n<!-- x: end -->\nrest\n"
        );
        assert_eq!(insert(&new, "x", "new\n").expect("still there"), new);
        assert!(insert("no marks", "x", "new").is_err());
        assert!(insert("<!-- x: end -->\n<!-- x: written by `y` -->\n", "x", "new").is_err());
    }

    #[test]
    fn every_figure_in_the_documents_is_one_that_was_measured() {
        for (document, wanted) in documents().expect("documents and figures are there") {
            let path = sh::root().join(document);
            if std::env::var_os("UPDATE_EXPECT").is_some() {
                std::fs::write(&path, &wanted).expect("written");
            }
            let found = std::fs::read_to_string(&path).expect("it is there");
            assert!(
                found == wanted,
                "{document} holds other figures than docs/benchmarks/*.json: UPDATE_EXPECT=1 writes them anew"
            );
        }
    }
}
