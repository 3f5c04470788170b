//! Key files and directories as they lie on a real file system.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use watchtree_keys::{
    AllowDir, AllowList, CurveKeys, CurvePublic, KeyError, Kind, OrderKeyDir, OrderKeys, Untrusted, inspect,
};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn allow(dir: &Path, name: &str, keys: &[CurvePublic]) {
    let lines: String = keys.iter().map(|key| format!("public {key}\n")).collect();
    fs::write(dir.join(name), format!("watchtree-key v1 curve public\n{lines}")).unwrap();
}

#[test]
fn a_pair_is_written_with_its_modes_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let keys = CurveKeys::generate().unwrap();
    let saved = keys.save(dir.path(), "h1").unwrap();
    assert_eq!((mode(&saved.secret), mode(&saved.public)), (0o600, 0o644));
    let again = CurveKeys::load(&saved.secret).unwrap();
    assert_eq!(
        (again.public(), again.secret_bytes()),
        (keys.public(), keys.secret_bytes())
    );
    assert_eq!(CurvePublic::load(&saved.public).unwrap(), [keys.public()]);
    let shown = inspect(&saved.secret).unwrap();
    assert_eq!(
        (shown.kind, shown.secret, shown.publics),
        (Kind::Curve, true, vec![keys.public().0])
    );
}

#[test]
fn nothing_is_overwritten_and_no_half_pair_stays() {
    let dir = tempfile::tempdir().unwrap();
    let keys = CurveKeys::generate().unwrap();
    keys.save(dir.path(), "h1").unwrap();
    assert!(matches!(keys.save(dir.path(), "h1"), Err(KeyError::Exists { .. })));
    fs::write(dir.path().join("h2.pub"), "mine").unwrap();
    assert!(matches!(keys.save(dir.path(), "h2"), Err(KeyError::Exists { .. })));
    assert!(!dir.path().join("h2.key").exists());
    symlink("elsewhere", dir.path().join("h3.key")).unwrap();
    assert!(keys.save(dir.path(), "h3").is_err());
    for name in ["", "../x", "a/b", ".hidden"] {
        assert!(
            matches!(keys.save(dir.path(), name), Err(KeyError::Name(_))),
            "{name:?}"
        );
    }
}

#[test]
fn a_bad_secret_is_refused_in_one_line_with_place_and_cure_and_without_the_secret() {
    let dir = tempfile::tempdir().unwrap();
    let keys = CurveKeys::generate().unwrap();
    let saved = keys.save(dir.path(), "h1").unwrap();
    let text = fs::read_to_string(&saved.secret).unwrap();
    let secret = text
        .lines()
        .last()
        .unwrap()
        .strip_prefix("secret ")
        .unwrap()
        .to_string();
    let refused = |expected: &str| {
        let line = CurveKeys::load(&saved.secret).unwrap_err().to_string();
        assert!(
            line.contains("h1.key") && line.contains(expected) && !line.contains('\n'),
            "{line}"
        );
        assert!(!line.contains(&secret), "{line}");
    };

    fs::set_permissions(&saved.secret, Permissions::from_mode(0o640)).unwrap();
    refused("run: chmod 600");
    fs::set_permissions(&saved.secret, Permissions::from_mode(0o600)).unwrap();
    for (content, expected) in [
        (text.replace("public ", "public x"), ":2: the key must be 40 characters"),
        (text.replace("secret ", "secrets "), ":3: expected"),
        (text.replace("v1", "v9"), ":1: no key file"),
        (
            text.replace(&keys.public().to_string(), &"0".repeat(40)),
            "does not belong",
        ),
        (
            text.replace("curve", "order"),
            "this is a key of kind order, needed is one of kind curve (watchtree key gen curve PATH.key)",
        ),
        (format!("{text}{text}"), "expected"),
        ("x".repeat(100_000), "no key file"),
        (String::new(), "no key file"),
    ] {
        fs::write(&saved.secret, content).unwrap();
        refused(expected);
    }
    let link = dir.path().join("link.key");
    symlink(&saved.secret, &link).unwrap();
    assert!(
        CurveKeys::load(&link)
            .unwrap_err()
            .to_string()
            .contains("symbolic link")
    );
    assert!(
        CurveKeys::load(&saved.public)
            .unwrap_err()
            .to_string()
            .contains("this is a public key")
    );
    assert!(CurveKeys::load(&dir.path().join("none.key")).unwrap_err().is_missing());
}

fn node<'a>(allowed: &'a AllowList, key: &CurvePublic) -> Option<&'a str> {
    allowed.iter().find(|(its, _)| *its == key).map(|(_, node)| node)
}

#[test]
fn the_allow_list_follows_its_directory_and_a_bad_file_locks_nobody_else_out() {
    let dir = tempfile::tempdir().unwrap();
    let [h1, h1_next, h2] = [(); 3].map(|()| CurveKeys::generate().unwrap().public());
    allow(dir.path(), "h1.pub", &[h1, h1_next]);
    allow(dir.path(), "h2.pub.swp", &[h2]);
    let mut watched = AllowDir::new(dir.path());
    let first = watched.poll().unwrap().unwrap();
    assert!(first.bad.is_empty(), "{:?}", first.bad);
    assert_eq!(
        (node(&first.now, &h1), node(&first.now, &h1_next), node(&first.now, &h2)),
        (Some("h1"), Some("h1"), None)
    );
    assert!(watched.poll().unwrap().is_none(), "unchanged");

    allow(dir.path(), "h2.pub", &[h2]);
    fs::write(dir.path().join("bad.pub"), "rubbish").unwrap();
    allow(dir.path(), "thief.pub", &[h1]);
    let second = watched.poll().unwrap().unwrap();
    assert_eq!(
        (node(&second.now, &h1), node(&second.now, &h2), second.now.len()),
        (Some("h1"), Some("h2"), 3)
    );
    let bad: Vec<String> = second.bad.iter().map(ToString::to_string).collect();
    assert!(
        bad.len() == 2 && bad[0].contains("bad.pub:1: no key file") && bad[1].contains("h1.pub has the same key"),
        "{bad:?}"
    );

    fs::remove_file(dir.path().join("h1.pub")).unwrap();
    fs::remove_file(dir.path().join("thief.pub")).unwrap();
    assert_eq!(node(&watched.poll().unwrap().unwrap().now, &h1), None);
    fs::remove_dir_all(dir.path()).unwrap();
    assert!(watched.poll().unwrap_err().is_missing());
}

#[test]
fn a_directory_that_was_away_is_news_when_it_is_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (place, away) = (dir.path().join("order-keys"), dir.path().join("away"));
    fs::create_dir(&place).unwrap();
    let keys = OrderKeys::generate().unwrap();
    keys.save(&place, "manager").unwrap();
    let mut watched = OrderKeyDir::new(&place);
    assert_eq!(watched.poll().unwrap().unwrap().now.len(), 1);
    assert!(watched.poll().unwrap().is_none(), "unchanged");
    fs::rename(&place, &away).unwrap();
    assert!(watched.poll().unwrap_err().is_missing());
    fs::rename(&away, &place).unwrap();
    let back = watched
        .poll()
        .unwrap()
        .expect("whoever was told that it is away is told that it is back");
    assert_eq!(back.now.verify(&keys.key_id(), b"order", &keys.sign(b"order")), Ok(()));
    assert!(watched.poll().unwrap().is_none(), "unchanged");
}

/// Says to the next test's other process that it is one.
const STARVED: &str = "WATCHTREE_KEYS_TEST_STARVED";

/// Not a test of its own: the other process of the next one, in which somebody else takes every descriptor that is free.
#[test]
fn as_a_process_without_descriptors() {
    if std::env::var_os(STARVED).is_none() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let [h1, h2] = [(); 2].map(|()| CurveKeys::generate().unwrap().public());
    allow(dir.path(), "h1.pub", &[h1]);
    allow(dir.path(), "h2.pub", &[h2]);
    let mut watched = AllowDir::new(dir.path());
    assert_eq!(watched.poll().unwrap().unwrap().now.len(), 2);
    // Each name in turn: so the directory has always changed.
    let names = ["h2.pub", "h3.pub"].map(|name| dir.path().join(name));
    let over = AtomicBool::new(false);
    let (mut turn, mut unread, mut lost) = (0, 0, None);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut taken = Vec::new();
            while !over.load(Relaxed) {
                match fs::File::open("/dev/null") {
                    Ok(file) => taken.push(file),
                    // One is free for a moment, as with a connection that comes and goes.
                    Err(_) => drop(taken.pop()),
                }
            }
        });
        while unread < 2000 && lost.is_none() {
            fs::rename(&names[turn % 2], &names[(turn + 1) % 2]).unwrap();
            turn += 1;
            match watched.poll() {
                Ok(Some(read)) => lost = (read.now.len() < 2).then_some(read.bad),
                Ok(None) => {}
                Err(_) => unread += 1,
            }
        }
        over.store(true, Relaxed);
    });
    assert!(lost.is_none(), "{lost:?}");
    // The last one was not read.
    let read = watched
        .poll()
        .unwrap()
        .expect("what could not be read is news when it can be");
    assert_eq!((read.now.len(), read.bad.len()), (2, 0), "{:?}", read.bad);
}

#[test]
fn a_key_that_could_not_be_read_for_want_of_descriptors_stays_on_the_list() {
    let status = std::process::Command::new("sh")
        .args([
            "-c",
            "ulimit -n 32 && exec \"$0\" --exact as_a_process_without_descriptors",
        ])
        .arg(std::env::current_exe().unwrap())
        .env(STARVED, "1")
        .status()
        .unwrap();
    assert!(status.success(), "{status}");
}

#[test]
fn a_secret_or_a_world_writable_file_is_no_allowed_key() {
    let dir = tempfile::tempdir().unwrap();
    let keys = CurveKeys::generate().unwrap();
    let saved = keys.save(dir.path(), "h1").unwrap();
    fs::rename(&saved.secret, &saved.public).unwrap();
    let mut watched = AllowDir::new(dir.path());
    let read = watched.poll().unwrap().unwrap();
    assert!(
        read.now.is_empty() && read.bad[0].to_string().contains("this is a secret key"),
        "{:?}",
        read.bad
    );
    allow(dir.path(), "h1.pub", &[keys.public()]);
    fs::set_permissions(&saved.public, Permissions::from_mode(0o666)).unwrap();
    let read = watched.poll().unwrap().unwrap();
    assert!(
        read.now.is_empty() && read.bad[0].to_string().contains("chmod o-w"),
        "{:?}",
        read.bad
    );
}

#[test]
fn orders_count_only_with_a_trusted_key_and_exact_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let trusted = OrderKeys::generate().unwrap();
    let stranger = OrderKeys::generate().unwrap();
    let saved = trusted.save(dir.path(), "manager").unwrap();
    let loaded = OrderKeys::load(&saved.secret).unwrap();
    assert_eq!((loaded.key_id(), loaded.key_id().len()), (trusted.key_id(), 16));

    let keys = OrderKeyDir::new(dir.path()).poll().unwrap().unwrap();
    assert!(keys.bad.is_empty(), "{:?}", keys.bad);
    let signature = loaded.sign(b"hold h1");
    assert_eq!(keys.now.verify(&trusted.key_id(), b"hold h1", &signature), Ok(()));
    assert_eq!(
        keys.now.verify(&trusted.key_id(), b"hold h2", &signature),
        Err(Untrusted::BadSignature)
    );
    assert_eq!(
        keys.now.verify(&trusted.key_id(), b"hold h1", &signature[..63]),
        Err(Untrusted::BadSignature)
    );
    assert_eq!(
        keys.now
            .verify(&trusted.key_id(), b"hold h1", &stranger.sign(b"hold h1")),
        Err(Untrusted::BadSignature)
    );
    assert_eq!(
        keys.now
            .verify(&stranger.key_id(), b"hold h1", &stranger.sign(b"hold h1")),
        Err(Untrusted::UnknownKey)
    );
}
