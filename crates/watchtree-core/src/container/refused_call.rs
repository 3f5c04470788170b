//! Why the engine refused a call, read from its status and its words: the one place that reads them. Pure; does not know what
//! follows.
//!
//! The engine has a number for who is at fault and prose for the cause. The words are those of Docker 20.10 and 26.1, and of their
//! runtimes; what is not known stays what the engine said.

use crate::container::io::EngineError;
use crate::supervisor::Refusal;
use alloc::format;
use alloc::string::String;

/// The status of a socket filter that does not let a call through.
const FORBIDDEN: u16 = 403;
/// How an engine says that its disk is full.
const DISK_FULL: [&str; 2] = ["no space left on device", "disk quota exceeded"];
/// What is away, and the words by which the engine says so: the first that fits.
const CAUSES: [(&str, &[&str]); 9] = [
    ("no space is left on the disk of the engine", &DISK_FULL),
    (
        "the container whose network, pids or ipc it joins does not run",
        &["of a non running container", "is not running"],
    ),
    (
        "the container that it joins is restarting",
        &["is restarting, wait until"],
    ),
    (
        "a port that it publishes is taken",
        &[
            "port is already allocated",
            "address already in use",
            "Ports are not available",
        ],
    ),
    (
        "a device that it wants is not there",
        &[
            "gathering device information",
            "error adding device",
            "could not select device driver",
        ],
    ),
    (
        "the source of a mount is not there",
        &[
            "bind source path does not exist",
            "bind mount source stat",
            "error mounting",
            "error while mounting volume",
            "failed to mount local volume",
            "error creating mount source path",
        ],
    ),
    (
        "its image is not there",
        &["No such image", "unable to find image", "layer does not exist"],
    ),
    (
        "no address in its network is free",
        &[
            "Address already in use",
            "no available IPv4 addresses",
            "could not find an available",
        ],
    ),
    (
        "its command cannot be run",
        &[
            "executable file not found",
            "container process: exec",
            "exec format error",
        ],
    ),
];

/// A start that the engine refused. What no retry mends, a recreate does: see [`super::recreate`].
pub(crate) fn start(status: u16, message: &str) -> Refusal {
    let said = format!("the engine refused the start ({status}): {message}");
    if status == FORBIDDEN {
        return Refusal::passing(format!("{}: {said}", forbidden("start")));
    }
    if let Some(what) = gone_for_good(message) {
        return Refusal::lasting(format!("{what} (the engine says: {message}, {status})"));
    }
    Refusal::passing(match cause(message) {
        Some(cause) => format!("{cause}: {said}"),
        None => said,
    })
}

/// What is away, by the engine's words.
pub(crate) fn cause(message: &str) -> Option<&'static str> {
    let is_said = |words: &&str| message.contains(*words);
    let known = CAUSES.iter().find(|(_, words)| words.iter().any(is_said));
    let no_network = message.contains("network ") && message.contains(" not found");
    let known = known.map(|(cause, _)| *cause);
    known.or(no_network.then_some("its network is not there"))
}

/// A stop that the engine never saw; nothing where it saw and refused it.
pub(crate) fn unseen_stop(status: u16, message: &str) -> Option<Refusal> {
    let said = format!("the stop was refused ({status}): {message}");
    (status == FORBIDDEN).then(|| Refusal::passing(format!("{}: {said}", forbidden("stop"))))
}

/// The engine's answer says that calls are not let through: in words.
pub(crate) fn denied(error: &EngineError) -> Option<String> {
    let denied = matches!(error, EngineError::Refused { status: FORBIDDEN, .. });
    denied.then(|| forbidden("(start|stop)"))
}

/// The engine's answer says that its disk is full: in words, with the cure.
pub(crate) fn disk_full(error: &EngineError) -> Option<String> {
    let EngineError::Refused { message, .. } = error else {
        return None;
    };
    let is_said = DISK_FULL.iter().any(|words| message.contains(words));
    is_said.then(|| {
        format!("the engine's disk is full, and no restart mends that: make room (docker system df tells what takes it); it says: {message}")
    })
}

fn forbidden(verb: &str) -> String {
    format!("this watchdog may not POST /containers/ID/{verb}: let the filter of the engine's socket allow it")
}

/// What the container knows by an id never comes back under that id.
fn gone_for_good(message: &str) -> Option<&'static str> {
    let of_id = |before: &str, after: &str| {
        let rest = message.split(before).nth(1).unwrap_or("");
        let (id, rest) = rest.split_at(rest.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(rest.len()));
        id.len() == 64 && rest.starts_with(after)
    };
    if of_id("No such container: ", "") {
        return Some("the container that it joins was removed or made anew");
    }
    of_id("network ", " not found").then_some("its network was removed or made anew")
}

#[cfg(test)]
mod tests {
    //! The engines' words, and what they mean.
    use super::*;

    const ID: &str = "76706e0000000000000000000000000000000000000000000000000000000000";

    #[test]
    fn a_cause_is_named_before_the_engines_own_words() {
        let cases = [
            (
                409,
                "cannot join network of a non running container: abc",
                "the container whose network, pids or ipc it joins does not run",
            ),
            (
                400,
                "invalid mount config for type \"bind\": bind source path does not exist: /m",
                "the source of a mount is not there",
            ),
            (
                400,
                "failed to create task for container: OCI runtime create failed: runc create failed: unable to start container process: error \
                 during container init: error mounting \"/m\" to rootfs at \"/more\": stat /m: no such file or directory: unknown",
                "the source of a mount is not there",
            ),
            (
                500,
                "Bind for 0.0.0.0:80 failed: port is already allocated",
                "a port that it publishes is taken",
            ),
            (
                500,
                "Error starting userland proxy: listen tcp4 0.0.0.0:80: bind: address already in use",
                "a port that it publishes is taken",
            ),
            (
                500,
                "error gathering device information while adding custom device \"/dev/x\": no such file or directory",
                "a device that it wants is not there",
            ),
            (
                400,
                "OCI runtime create failed: runc create failed: unable to start container process: exec: \"/nothing\": stat /nothing: no such \
                 file or directory: unknown",
                "its command cannot be run",
            ),
            (
                400,
                "OCI runtime create failed: exec: \"sh\": executable file not found in $PATH",
                "its command cannot be run",
            ),
            (
                500,
                "error while mounting volume '/v': failed to mount local volume: mkdir /v: no space left on device",
                "no space is left on the disk of the engine",
            ),
            (404, "network back not found", "its network is not there"),
            (500, "something new", "the engine refused the start"),
        ];
        for (status, message, begins) in cases {
            let refusal = start(status, message);
            assert!(refusal.why().starts_with(begins), "{}", refusal.why());
            assert!(refusal.why().ends_with(message), "{}", refusal.why());
            assert_eq!(refusal, Refusal::passing(refusal.why()), "it may pass");
        }
    }

    #[test]
    fn what_is_known_by_an_id_that_is_no_more_needs_a_recreate() {
        for message in [format!("No such container: {ID}"), format!("network {ID} not found")] {
            let refusal = start(404, &message);
            assert_eq!(refusal, Refusal::lasting(refusal.why()), "{message}");
            assert!(refusal.why().contains(" removed or made anew"), "{}", refusal.why());
        }
    }

    #[test]
    fn a_call_that_is_not_let_through_is_named() {
        let answer = |status| EngineError::Refused {
            status,
            message: "Forbidden".into(),
        };
        assert!(start(403, "Forbidden").why().contains("POST /containers/ID/start"));
        assert!(unseen_stop(403, "Forbidden").is_some_and(|it| it.why().contains("POST /containers/ID/stop")));
        assert!(denied(&answer(403)).is_some_and(|why| why.contains("POST /containers/ID/(start|stop)")));
        assert_eq!(
            (denied(&answer(500)), unseen_stop(500, "cannot stop container")),
            (None, None)
        );
    }
}
