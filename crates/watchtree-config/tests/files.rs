//! The files themselves: defaults, mistakes and their lines, samples, and the documentation of every key.

use expect_test::{Expect, expect, expect_file};
use watchtree_config::keys::{self, Key, Shown};
use watchtree_config::reference;
use watchtree_config::{HealMode, parse_host, parse_manager, read_host, read_manager};

const REPO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn host_line(text: &str, expected: Expect) {
    expected.assert_eq(&parse_host(text).map_or_else(|error| error.to_string(), |_| "fine".into()));
}

fn manager_line(text: &str, expected: Expect) {
    expected.assert_eq(&parse_manager(text).map_or_else(|error| error.to_string(), |_| "fine".into()));
}

#[test]
fn the_least_files() {
    let host = parse_host("name = 'h1'").expect("a name is enough");
    assert_eq!(host.container_node("docker").as_str(), "h1.docker.watchdog");
    assert_eq!(
        host.engine("docker").map(|engine| engine.heal),
        Some(HealMode::Labelled)
    );
    assert_eq!(
        host.children_socket().to_str(),
        Some("/run/watchtree/host-children.sock")
    );
    assert_eq!(host.keys().key.to_str(), Some("/etc/watchtree/keys/h1.key"));
    assert_eq!(
        host.policy(),
        Default::default(),
        "a file that says nothing changes no number of the core"
    );
    let manager = parse_manager("").expect("everything has a default");
    assert_eq!(manager.listen[0].endpoint(), "tcp://0.0.0.0:7411");
    assert_eq!(
        manager.policy(),
        Default::default(),
        "a file that says nothing changes no number of the core"
    );
}

#[test]
fn a_wrong_key_is_named_with_the_right_one() {
    host_line(
        "name = 'h1'\n\n[heal]\nbudgett = 3",
        expect!["4:1: unknown key `budgett`; did you mean `budget`?"],
    );
    host_line(
        "name = 'h1'\n[[engine]]\nname='docker'\nsokcet='/x'",
        expect!["4:1: unknown key `sokcet`; did you mean `socket`?"],
    );
    host_line(
        "name = 'h1'\nbudget = 3",
        expect!["2:1: key `budget` does not belong here; it belongs under [heal]"],
    );
    host_line(
        "name = 'h1'\n[heal]\ncolour = 3",
        expect![
            "3:1: unknown key `colour`; the keys here are budget, window, stop_budget, delay_min, delay_max, clean_after, stop_timeout, grace, verify, list_every, retry_given_up, parallel, host_budget"
        ],
    );
    manager_line(
        "[hots]\nbeat = '1s'",
        expect!["1:2: unknown key `hots`; did you mean `hosts`?"],
    );
}

#[test]
fn a_wrong_value_is_named_with_its_place_and_cure() {
    host_line("", expect!["1:1: key `name` is missing; add it"]);
    host_line(
        "name = 'a b'",
        expect!["1:8: name `a b`: a name consists of A-Z a-z 0-9 . _ - @, not of ' '"],
    );
    host_line(
        "name = 'h1'\n[heal]\nwindow = '5'",
        expect![[r#"3:10: `5` is no duration; write one such as "500ms", "30s", "10m", "2h""#]],
    );
    host_line(
        "name = 'h1'\n[heal]\nwindow = 5",
        expect![[r#"3:10: invalid type: integer `5`, expected a duration such as "500ms", "30s" or "10m""#]],
    );
    host_line(
        "name = 'h1'\n[heal]\nlist_every = '90s'",
        expect!["3:14: `90s` is out of bounds; give a duration from 1s to 1m"],
    );
    host_line(
        "name = 'h1'\n[heal]\nbudget = 0",
        expect![[r#"3:1: [heal] budget: give 1 to 100 restarts; to heal nothing set heal = "observe" at the engine"#]],
    );
    host_line(
        "name = 'h1'\n[[engine]]\nname='d'\nheal='most'",
        expect!["4:6: unknown variant `most`, expected one of `labelled`, `all`, `observe`"],
    );
    host_line(
        "name = 'h1'\n[[engine]]\nname='d'\n[[engine]]\nname='e'",
        expect!["4:1: [[engine]]: `d` and `e` share a name or a socket; keep one"],
    );
    host_line(
        "name = 'h1'\nrun_dir = 'run'",
        expect!["2:11: `run` is no absolute path; begin it with /"],
    );
    host_line(
        "name = 'h1'\n[parent]\nconnect = 'm'",
        expect![[
            r#"3:11: `m` is not HOST:PORT; write one such as "192.0.2.10:7411", "manager.example.org:7411" or "[2001:db8::1]:7411""#
        ]],
    );
    host_line("name = 'h1'\nname = 'h2'", expect!["2:1: duplicate key"]);
    host_line(
        "name = 'h1'\n[heal]\nbudget = '5'",
        expect![[r#"3:10: invalid type: string "5", expected a whole number from 0 on, without quotes"#]],
    );
    host_line(
        "name = 'h1'\n[figures]\ndisk_free_min = 500",
        expect!["3:17: invalid value: integer `500`, expected a whole number from 0 to 255"],
    );
    host_line(
        "name = 'h1'\n[engine]\nname = 'docker'",
        expect!["2:1: invalid type: map, expected a list: values in [ ], or tables under [[ ]]"],
    );
    host_line(
        &format!("name = 'h1'\nrun_dir = '/{}'", "r".repeat(64)),
        expect!["2:1: run_dir: too long for sockets; at most 64 bytes"],
    );
    host_line("name = 'h1", expect!["1:11: invalid literal string, expected `'`"]);
    manager_line(
        "[http]\nlisten = '0.0.0.0:80'",
        expect![
            "2:1: [http] listen: `0.0.0.0:80` is open to the network; use 127.0.0.1:PORT and a proxy that asks who comes"
        ],
    );
    manager_line(
        "[hosts]\nbeat = '5s'",
        expect!["1:1: [hosts] margin: is shorter than beat, so one lost beat would suspect a host; raise it"],
    );
    manager_line(
        "[[webhook]]\nurl = 'ftp://x'",
        expect!["2:7: `ftp://x` is no URL; begin it with http:// or https://"],
    );
    manager_line(
        "[log]\nlevel = 'loud'",
        expect!["2:9: `loud` is no log level; use error, warn, info, debug or trace"],
    );
}

#[test]
fn a_probe_of_a_class_is_read_as_its_label_is() {
    let class = |lines: &str| format!("name = 'h1'\n[[class]]\nname = 'web'\ncontainer = 'web*'\n{lines}");
    for kind in ["startup", "liveness", "readiness"] {
        let good = class(&format!(
            "[class.{kind}]\nhttp = ':80/'\nperiod = '250ms'\nstatus = '200'"
        ));
        host_line(&good, expect!["fine"]);
    }
    host_line(&class("[class.liveness]\nperiod = '1s'"), expect!["fine"]);
    host_line(
        &class("[class.liveness]\nhttp = 'localhost'"),
        expect![[r#"6:8: `localhost` is not understood; write a port and a path such as ":8080/healthz""#]],
    );
    host_line(
        &class("[class.liveness]\nhttp = ':80/'\ntcp = ':81'"),
        expect!["2:1: [[class]]: `web` has a liveness probe that is none: it says more than one of http, tcp and exec"],
    );
    host_line(
        &class("[class.liveness]\nexec = ['/check']\nperiod = '500ms'"),
        expect![
            "2:1: [[class]]: `web` has a liveness probe that is none: the period of an exec probe must be 1s or longer"
        ],
    );
    host_line(
        &class("[class.liveness]\nhtpp = ':80/'"),
        expect!["6:1: unknown key `htpp`; did you mean `http`?"],
    );
    host_line(
        &class("[class.readiness]\ntcp = ':80'\nsend = 'PING\\q'"),
        expect![[r#"7:8: `PING\q` is not understood; write a text, in single quotes, with \r \n \t \0 \\ \x00"#]],
    );
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let dir = tempfile::tempdir().expect("a folder can be made");
    let missing = dir.path().join("host.toml");
    let error = read_host(&missing).expect_err("there is none");
    assert!(
        error
            .to_string()
            .ends_with("host.toml: no such file; make it, or name the right one"),
        "{error}"
    );
    let error = read_manager(dir.path()).expect_err("a folder is no file");
    assert!(error.to_string().contains("it is a directory"), "{error}");
    let error = read_host(std::path::Path::new("/dev/zero")).expect_err("a device is no file");
    assert!(error.to_string().contains("no regular file"), "{error}");
    std::fs::write(&missing, [0xff, 0xfe]).expect("it can be written");
    assert!(
        read_host(&missing)
            .expect_err("no text")
            .to_string()
            .contains("not UTF-8")
    );
    std::fs::write(&missing, "name = 'h1'\nnmae = 1").expect("it can be written");
    let error = read_host(&missing).expect_err("a wrong key").to_string();
    assert!(
        error.ends_with("host.toml:2:1: unknown key `nmae`; did you mean `name`?"),
        "{error}"
    );
}

/// Takes the marks off the commented-out keys: of defaults only, or of examples too.
fn uncommented(sample: &str, keys: &[Key], examples: bool) -> String {
    let mut out = String::new();
    let mut table = String::new();
    for line in sample.lines() {
        let bare = line.strip_prefix('#').unwrap_or(line);
        if bare.starts_with('[') {
            table = bare.to_string();
            out += if examples { bare } else { line };
        } else {
            let name = bare.split(" = ").next().unwrap_or_default();
            let key = keys.iter().find(|key| key.table == table && key.name == name);
            let take = key.is_some_and(|key| match key.shown {
                Shown::Default => true,
                Shown::Required | Shown::Example => examples,
                Shown::Instead => false,
            });
            out += if take { bare } else { line };
        }
        out.push('\n');
    }
    out
}

#[test]
fn the_samples_are_parsed_and_show_the_defaults() {
    let manager = reference::sample(reference::MANAGER_INTRO, keys::MANAGER);
    let host = reference::sample(reference::HOST_INTRO, keys::HOST);
    expect_file![format!("{REPO}/deploy/samples/manager.toml")].assert_eq(&manager);
    expect_file![format!("{REPO}/deploy/samples/host.toml")].assert_eq(&host);
    let shipped = parse_manager(&manager).expect("the sample is good");
    assert_eq!(
        Ok(shipped),
        parse_manager(&uncommented(&manager, keys::MANAGER, false)),
        "a default shown is the default"
    );
    let shipped = parse_host(&host).expect("the sample is good");
    assert_eq!(
        Ok(&shipped),
        parse_host(&uncommented(&host, keys::HOST, false)).as_ref(),
        "a default shown is the default"
    );
    let all = parse_host(&uncommented(&host, keys::HOST, true)).expect("the examples are good");
    assert_eq!(all.engines, shipped.engines, "the example engine is the default engine");
    let all = parse_manager(&uncommented(&manager, keys::MANAGER, true)).expect("the examples are good");
    assert_eq!(all.webhooks.len(), 1);
}

#[test]
fn every_key_is_documented_and_no_other() {
    expect_file![format!("{REPO}/docs/configuration.md")].assert_eq(&reference::markdown());
    for (keys, parse) in [
        (
            keys::MANAGER,
            (|text| parse_manager(text).expect_err("a wrong key")) as fn(&str) -> _,
        ),
        (keys::HOST, |text| parse_host(text).expect_err("a wrong key")),
    ] {
        let mut tables: Vec<&str> = keys.iter().map(|key| key.table).collect();
        tables.dedup();
        for table in &tables {
            let above = if table.starts_with("[class.") {
                "[[class]]\n"
            } else {
                ""
            };
            let error = parse(&format!("{above}{table}\nno_key_looks_like_this_0123456789 = 1")).to_string();
            let taken = error
                .split("the keys here are ")
                .nth(1)
                .unwrap_or_else(|| panic!("{table}: {error}"));
            let mut taken: Vec<String> = taken.split(", ").map(str::to_string).collect();
            if table.is_empty() {
                let is_table = |key: &String| tables.iter().any(|table| table.trim_matches(['[', ']']) == key);
                let all = tables.iter().filter(|table| !table.contains('.')).count();
                assert_eq!(taken.iter().filter(|key| is_table(key)).count(), all - 1, "{taken:?}");
                taken.retain(|key| !is_table(key));
            }
            if *table == "[[class]]" {
                // All three take the keys of the one that is documented.
                let before = taken.len();
                taken.retain(|key| !["startup", "liveness", "readiness"].contains(&key.as_str()));
                assert_eq!(before, taken.len() + 3);
            }
            let mut listed: Vec<&str> = keys
                .iter()
                .filter(|key| key.table == *table)
                .map(|key| key.name)
                .collect();
            taken.sort();
            listed.sort_unstable();
            assert_eq!(taken, listed, "keys of {table:?}");
        }
    }
}
