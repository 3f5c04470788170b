//! The engine adapter against a fake engine: every odd thing a real one does rarely, each with what must come of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use watchtree_core::container::io::{
    ContainerInput, EngineCall, EngineError, EngineTime, EventAction, Health, Performed, RunState, Ticket,
};
use watchtree_docker::{Engine, EngineExecutor, EventStream, SocketTrouble, StreamItem};
use watchtree_e2e::fake_engine::{End, FakeEngine, Reply, Request};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

fn event(action: &str, at: u64) -> String {
    let attributes = r#"{"name":"web","exitCode":"1","signal":"15"}"#;
    format!(
        r#"{{"Type":"container","Action":"{action}","Actor":{{"ID":"{ID}","Attributes":{attributes}}},"time":1,"timeNano":{at}}}"#
    ) + "\n"
}

fn engine_with(answer: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> (FakeEngine, Engine) {
    let fake = FakeEngine::start(answer).expect("a fake engine");
    let engine = Engine::new(fake.socket());
    (fake, engine)
}

/// Everything a stream gives until it ends, with the time that took.
async fn drained(engine: &Engine, since: Option<EngineTime>) -> (Vec<StreamItem>, Duration) {
    let began = Instant::now();
    let mut stream = EventStream::open(engine, since);
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item);
    }
    (items, began.elapsed())
}

fn actions(items: &[StreamItem]) -> Vec<&EventAction> {
    items
        .iter()
        .filter_map(|item| {
            if let StreamItem::Event(event) = item {
                Some(&event.action)
            } else {
                None
            }
        })
        .collect()
}

#[tokio::test]
async fn events_are_asked_for_by_filter_and_since() {
    let (fake, engine) = engine_with(|_| Reply::Pieces(vec![event("die", 5), event("kill", 6)], End::Eof));
    let (items, _) = drained(&engine, Some(EngineTime(1_700_000_000_000_000_042))).await;
    assert_eq!(items.first(), Some(&StreamItem::Opened(None)));
    assert_eq!(
        actions(&items),
        [&EventAction::Die { exit_code: 1 }, &EventAction::Kill { signal: 15 }]
    );
    let request = fake.requests().remove(0);
    assert_eq!((request.method.as_str(), request.path.as_str()), ("GET", "/events"));
    assert!(
        request.query.contains("since=1700000000.000000042"),
        "{}",
        request.query
    );
    assert!(request.query.contains(r#""type":["container"]"#) && request.query.contains(r#""health_status""#));
    assert!(!request.query.contains("exec"), "{}", request.query);
}

#[tokio::test]
async fn a_clean_end_of_the_stream_is_an_end() {
    let (_fake, engine) = engine_with(|_| Reply::Pieces(vec![event("start", 5)], End::Eof));
    let (items, _) = drained(&engine, None).await;
    assert_eq!(items.last(), Some(&StreamItem::Ended("the engine ended it".to_owned())));
    assert_eq!(items.len(), 3);
}

#[tokio::test]
async fn a_cut_stream_is_an_end_and_keeps_what_came_before() {
    let (_fake, engine) = engine_with(|_| Reply::Pieces(vec![event("start", 5), event("oom", 6)], End::Cut));
    let (items, _) = drained(&engine, None).await;
    assert_eq!(actions(&items), [&EventAction::Start, &EventAction::Oom]);
    assert!(matches!(items.last(), Some(StreamItem::Ended(_))), "{items:?}");
}

#[tokio::test]
async fn an_event_of_an_unknown_type_ends_the_stream_rather_than_hiding_what_follows() {
    let bad = event("die", 6).replace("\"container\"", "\"pod\"");
    let (_fake, engine) =
        engine_with(move |_| Reply::Pieces(vec![event("start", 5), bad.clone(), event("die", 7)], End::Hold));
    let (items, took) = drained(&engine, None).await;
    assert_eq!(actions(&items), [&EventAction::Start]);
    assert!(
        matches!(items.last(), Some(StreamItem::Ended(why)) if why.contains("pod")),
        "{items:?}"
    );
    // The engine holds the stream open: otherwise there would be no end.
    assert!(took < Duration::from_secs(10), "the end of the stream is told at once");
}

#[tokio::test]
async fn events_split_anywhere_come_whole() {
    let whole = event("die", 5) + &event("start", 6);
    let pieces: Vec<String> = whole.chars().map(String::from).collect();
    let (_fake, engine) = engine_with(move |_| Reply::Pieces(pieces.clone(), End::Eof));
    let (items, _) = drained(&engine, None).await;
    assert_eq!(
        actions(&items),
        [&EventAction::Die { exit_code: 1 }, &EventAction::Start]
    );
}

#[tokio::test]
async fn a_refused_subscription_never_opens() {
    let (_fake, engine) = engine_with(|_| Reply::Full(500, r#"{"message":"no"}"#.to_owned()));
    let (items, _) = drained(&engine, None).await;
    assert_eq!(items, [StreamItem::Ended("refused with 500: no".to_owned())]);
}

#[tokio::test]
async fn a_subscription_that_stalls_before_its_headers_ends_after_10_s() {
    let (_fake, engine) = engine_with(|_| Reply::StallHeaders);
    let (items, took) = drained(&engine, None).await;
    assert_eq!(items, [StreamItem::Ended("no answer within 10 s".to_owned())]);
    assert!(
        (Duration::from_secs(10)..Duration::from_secs(20)).contains(&took),
        "{took:?}"
    );
}

#[tokio::test]
async fn a_quiet_stream_opens_at_once() {
    let (_fake, engine) = engine_with(|_| Reply::Pieces(Vec::new(), End::Hold));
    let mut stream = EventStream::open(&engine, None);
    let first = tokio::time::timeout(Duration::from_secs(9), stream.next())
        .await
        .expect("opened in time");
    assert_eq!(first, Some(StreamItem::Opened(None)));
}

/// The queue of waiting events is bounded: a flood that nobody takes ends the stream and frees the engine.
#[tokio::test]
async fn a_flood_that_nobody_takes_is_hung_up_on() {
    let flood: String = (0..1000).map(|at| event("start", at)).collect();
    let (fake, engine) = engine_with(move |request| match request.path.as_str() {
        "/events" => Reply::Pieces(vec![flood.clone(); 70], End::Hold),
        _ => Reply::Full(404, "{}".to_owned()),
    });
    let mut stream = EventStream::open(&engine, None);
    // Nothing is taken until the adapter has hung up by itself; the other connection asked since when the engine answers.
    let hung_up = async {
        while fake.ended() < 2 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), hung_up)
        .await
        .expect("it hangs up");
    let mut items = Vec::new();
    while let Some(item) = stream.next().await {
        items.push(item);
    }
    assert!(
        matches!(items.last(), Some(StreamItem::Ended(why)) if why.contains("waiting")),
        "{:?}",
        items.last()
    );
    assert_eq!(items.len(), watchtree_docker::EVENT_QUEUE_EVENTS_MAX + 1);
}

#[tokio::test]
async fn stalled_headers_and_stalled_bodies_meet_the_deadline() {
    for body_stalls in [false, true] {
        let (_fake, engine) = engine_with(move |request| match request.path.as_str() {
            _ if !body_stalls => Reply::StallHeaders,
            "/containers/json" => Reply::StallBody("[{".to_owned()),
            _ => Reply::StallBody("{".to_owned()),
        });
        let began = Instant::now();
        let list = async {
            let answer = engine.list().await;
            (answer, began.elapsed())
        };
        let others = async {
            let answers = tokio::join!(engine.ping(), engine.inspect(ID), engine.info());
            (answers, began.elapsed())
        };
        let ((list, list_took), ((ping, inspect, info), took)) = tokio::join!(list, others);
        assert!(matches!(list, Err(EngineError::Deadline)), "{list:?}");
        assert!(
            (Duration::from_secs(10)..Duration::from_secs(20)).contains(&list_took),
            "{list_took:?}"
        );
        assert_eq!(ping, Err(EngineError::Deadline));
        assert_eq!(inspect, Err(EngineError::Deadline));
        assert_eq!(info, Err(EngineError::Deadline));
        assert!(
            (Duration::from_secs(5)..Duration::from_secs(10)).contains(&took),
            "{took:?}"
        );
    }
}

#[tokio::test]
async fn done_and_already_so_are_told_apart() {
    let (_fake, engine) =
        engine_with(|request| Reply::Full(if request.path.ends_with("/start") { 304 } else { 204 }, String::new()));
    assert_eq!(engine.perform(ID, EngineCall::Start).await, Ok(Performed::AlreadySo));
    assert_eq!(
        engine.perform(ID, EngineCall::Stop { timeout_secs: 3 }).await,
        Ok(Performed::Done)
    );
}

#[tokio::test]
async fn a_stop_carries_its_timeout() {
    let (fake, engine) = engine_with(|_| Reply::Full(204, String::new()));
    engine
        .perform(ID, EngineCall::Stop { timeout_secs: 3 })
        .await
        .expect("stopped");
    let request = fake.requests().remove(0);
    assert_eq!(
        (request.method.as_str(), request.path),
        ("POST", format!("/containers/{ID}/stop"))
    );
    assert!(request.query.split('&').any(|pair| pair == "t=3"), "{}", request.query);
}

#[tokio::test]
async fn refusals_say_status_and_words() {
    let (_fake, engine) = engine_with(|request| match request.path.as_str() {
        path if path.ends_with("/start") => Reply::Full(500, format!(r#"{{"message":"{}"}}"#, "x".repeat(2000))),
        path if path.ends_with("/stop") => Reply::Full(409, "not even json".to_owned()),
        _ => Reply::Full(404, format!(r#"{{"message":"No such container: {ID}"}}"#)),
    });
    let refused = engine.perform(ID, EngineCall::Start).await;
    assert_eq!(
        refused,
        Err(EngineError::Refused {
            status: 500,
            message: "x".repeat(512)
        })
    );
    let refused = engine.perform(ID, EngineCall::Stop { timeout_secs: 1 }).await;
    assert_eq!(
        refused,
        Err(EngineError::Refused {
            status: 409,
            message: "not even json".to_owned()
        })
    );
    assert_eq!(engine.inspect(ID).await, Err(EngineError::NotFound));
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_not_called_unreachable() {
    let (_fake, engine) = engine_with(|_| Reply::Pieces(vec!["[".to_owned()], End::Cut));
    assert!(matches!(engine.list().await, Err(EngineError::BadAnswer(_))));
    assert!(matches!(engine.inspect(ID).await, Err(EngineError::BadAnswer(_))));
}

#[tokio::test]
async fn lists_and_views_are_read() {
    let (_fake, engine) = engine_with(|request| match request.path.as_str() {
        "/containers/json" => Reply::Full(
            200,
            format!(
                r#"[{{"Id":"{ID}","Names":["/other/alias","/web"],"State":"running","Status":"Up 1 second (unhealthy)","Later":{{}}}}]"#
            ),
        ),
        _ => Reply::Full(
            200,
            format!(r#"{{"Id":"{ID}","Name":"/web","State":{{"Status":"exited","ExitCode":3}}}}"#),
        ),
    });
    let list = engine.list().await.expect("a list");
    assert_eq!(
        (list[0].name.as_str(), list[0].run, list[0].health),
        ("web", RunState::Running, Health::Unhealthy)
    );
    let view = engine.inspect(ID).await.expect("a view");
    assert_eq!((view.run, view.exit_code, view.stop_signal), (RunState::Exited, 3, 15));
}

#[tokio::test]
async fn podman_is_known_by_what_it_is_made_of() {
    let of = async |reply: fn() -> Reply| {
        let (_fake, engine) = engine_with(move |_| reply());
        engine.is_podman().await
    };
    let podman = || {
        Reply::Full(
            200,
            r#"{"Components":[{"Name":"Podman Engine","Version":"5.4.2"}]}"#.into(),
        )
    };
    let docker = || Reply::Full(200, r#"{"Components":[{"Name":"Engine","Version":"26.1"}]}"#.into());
    assert_eq!(of(podman).await, Ok(true));
    assert_eq!(of(docker).await, Ok(false));
    assert_eq!(of(|| Reply::Full(404, r#"{"message":"none"}"#.into())).await, Ok(false));
    let ill = of(|| Reply::Full(500, r#"{"message":"ill"}"#.into())).await;
    assert!(matches!(ill, Err(EngineError::Refused { status: 500, .. })), "{ill:?}");
}

#[tokio::test]
async fn the_manual_stop_flag_is_read_where_it_can_be() {
    let (fake, engine) = engine_with(|_| Reply::StallHeaders);
    assert_eq!(engine.manual_stop(ID).await, None);
    drop(fake);
    let root = tempfile::tempdir().expect("a folder");
    let folder = root.path().join("containers").join(ID);
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::write(folder.join("config.v2.json"), r#"{"HasBeenManuallyStopped":true}"#).expect("a file");
    let told = root.path().display().to_string();
    let sick = Arc::new(AtomicBool::new(false));
    let sick_too = Arc::clone(&sick);
    let (_fake, engine) = engine_with(move |_| {
        if sick_too.load(Ordering::Relaxed) {
            return Reply::StallHeaders;
        }
        Reply::Full(
            200,
            format!(r#"{{"ID":"E","DockerRootDir":"{told}","LiveRestoreEnabled":true}}"#),
        )
    });
    assert_eq!(engine.manual_stop(ID).await, Some(true));
    let info = engine.info().await.expect("info");
    assert_eq!((info.id.as_str(), info.live_restore), ("E", true));
    // While containerd hangs, `/info` does; the folder is known by now.
    sick.store(true, Ordering::Relaxed);
    assert_eq!(engine.manual_stop(ID).await, Some(true));
}

/// The deadline of a call that changes something is only told: the call goes on, once, and its answer follows.
#[tokio::test]
async fn a_late_answer_follows_its_deadline_and_nothing_is_posted_twice() {
    let late = || Reply::Late(Duration::from_millis(600), Box::new(Reply::Full(204, String::new())));
    let (fake, engine) = engine_with(move |_| late());
    let (inputs, mut told) = mpsc::channel(8);
    let executor = EngineExecutor::new(engine, inputs);
    let within = Duration::from_millis(200);
    let (ticket, id, call) = (Ticket(9), ID.to_owned(), EngineCall::Start);
    executor.call(ticket, id, call, within);
    let first = told.recv().await;
    assert_eq!(
        first,
        Some(ContainerInput::Performed {
            ticket,
            result: Err(EngineError::Deadline)
        })
    );
    let second = told.recv().await;
    assert_eq!(
        second,
        Some(ContainerInput::Performed {
            ticket,
            result: Ok(Performed::Done)
        })
    );
    assert_eq!(fake.requests().len(), 1);
}

#[tokio::test]
async fn a_new_subscription_replaces_the_older_one() {
    let (fake, engine) = engine_with(|_| Reply::Pieces(vec![event("start", 5)], End::Hold));
    let (inputs, mut told) = mpsc::channel(64);
    let mut executor = EngineExecutor::new(engine, inputs);
    for _ in 0..3 {
        executor.subscribe(None);
        let opened = ContainerInput::StreamOpened { began: None };
        assert_eq!(told.recv().await, Some(opened));
        assert!(matches!(told.recv().await, Some(ContainerInput::Event(_))));
    }
    assert_eq!(fake.count("GET", "/events"), 3);
    // The replaced streams are silent: no end of theirs can be taken for the end of the newest.
    assert!(
        tokio::time::timeout(Duration::from_millis(300), told.recv())
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_missing_engine_is_named_with_its_cure() {
    let folder = tempfile::tempdir().expect("a folder");
    let engine = Engine::new(folder.path().join("docker.sock"));
    assert!(matches!(engine.check_socket().await, Err(SocketTrouble::NoEngine(_))));
    assert!(
        matches!(engine.list().await, Err(EngineError::Unreachable(words)) if words.contains("systemctl start docker"))
    );
    let refused = engine.perform(ID, EngineCall::Start).await;
    assert!(matches!(refused, Err(EngineError::Unreachable(_))), "{refused:?}");
    let (items, _) = drained(&engine, None).await;
    assert!(
        matches!(&items[..], [StreamItem::Ended(words)] if words.starts_with("no engine at")),
        "{items:?}"
    );
    // A socket whose listener is gone is no engine either.
    drop(std::os::unix::net::UnixListener::bind(folder.path().join("docker.sock")).expect("a socket"));
    assert!(matches!(engine.check_socket().await, Err(SocketTrouble::NoEngine(_))));
}
