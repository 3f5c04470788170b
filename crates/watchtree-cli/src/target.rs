//! Which daemons a command asks: the manager, or with `--local` the watchdogs of this machine.
//!
//! Contract: the clients are in the order in which their answers count. Does not know what is asked.

use crate::args::{Cli, MANAGER_SOCKET};
use crate::fail::{Code, Fail, print_error};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;
use watchtree_api::{Client, ClientError, Endpoint, ErrorCode, TreeQuery};

/// A client of the manager, or of what `--socket` names.
pub(crate) fn manager(cli: &Cli) -> Result<Client, Fail> {
    let text = cli.socket.as_deref().unwrap_or(MANAGER_SOCKET);
    let endpoint = Endpoint::parse(text).map_err(|line| Fail::new(Code::BadInput, line))?;
    Ok(Client::new(endpoint, Duration::from_millis(cli.timeout)))
}

/// Clients to ask about `subject` (or about everything), the best first: the one the answer is taken from is the first
/// that knows.
pub(crate) fn clients(cli: &Cli, subject: Option<&str>) -> Result<Vec<Client>, Fail> {
    if !cli.local {
        return Ok(vec![manager(cli)?]);
    }
    let sockets = local_sockets(&cli.run_dir, subject);
    if sockets.is_empty() {
        let looked = std::fs::read_dir(&cli.run_dir);
        if looked.is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
            let line = format!("no rights on {}: use sudo", cli.run_dir.display());
            return Err(Fail::new(Code::NoRights, line));
        }
        let line = format!("no watchdog of this machine has a socket in {}", cli.run_dir.display());
        return Err(Fail::new(Code::Unknown, line)
            .hint("systemctl status host-watchdog")
            .hint("watchtree dev"));
    }
    let within = Duration::from_millis(cli.timeout);
    Ok(sockets
        .into_iter()
        .map(|path| Client::new(Endpoint::Unix(path), within))
        .collect())
}

/// Everyone who must be told of a request, or who keeps events of it. The manager passes the one on to all concerned and
/// has the other; without it, this machine's host-watchdog and each container-watchdog concerned is asked itself.
pub(crate) fn responsible(cli: &Cli, subject: Option<&str>) -> Result<Vec<Client>, Fail> {
    let mut clients = clients(cli, subject)?;
    if let (true, Some(subject)) = (cli.local, subject) {
        let keep = |client: &Client| match client.endpoint() {
            Endpoint::Unix(path) => is_concerned(path, subject),
            Endpoint::Tcp(_) => true,
        };
        clients.retain(keep);
    }
    Ok(clients)
}

/// The host of a subject: the first segment of its path.
pub(crate) fn host_of(subject: &str) -> &str {
    subject.split('/').next().unwrap_or_default()
}

/// The hosts that this machine's watchdogs watch: one, unless they are set up by hand. Ends at the host of `subject`; a
/// watchdog that does not answer is left out.
pub(crate) async fn local_hosts(cli: &Cli, subject: &str) -> Result<Vec<String>, Fail> {
    let mut hosts = Vec::new();
    let tops = TreeQuery {
        depth: Some(0),
        filter: None,
    };
    for client in clients(cli, Some(subject))? {
        // Why it does not answer is reported when the order itself is sent.
        let Ok(answer) = client.tree(&tops).await else { continue };
        for top in answer.tree {
            let host = host_of(&top.subject).to_string();
            if !hosts.contains(&host) {
                hosts.push(host);
            }
        }
        if hosts.iter().any(|host| host == host_of(subject)) {
            break;
        }
    }
    Ok(hosts)
}

/// A container is its own watchdog's affair; an engine is the host-watchdog's and its container-watchdog's; a host is
/// everybody's.
fn is_concerned(socket: &Path, subject: &str) -> bool {
    let name = socket.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let mut segments = subject.split('/').skip(1);
    match (segments.next(), segments.next()) {
        (None, _) => true,
        (Some(engine), below) => {
            let its_own = name == format!("container-{engine}.sock");
            its_own || (name == "host.sock" && below.is_none_or(|segment| segment.starts_with('@')))
        }
    }
}

/// The sockets of this machine's watchdogs that exist: for a container its own watchdog comes first, else the
/// host-watchdog, which sees everything.
fn local_sockets(run_dir: &Path, subject: Option<&str>) -> Vec<PathBuf> {
    let mut segments = subject.unwrap_or_default().split('/');
    let engine = segments.nth(1).filter(|engine| !engine.starts_with('@'));
    let below_engine = segments.next().is_some();
    let host = run_dir.join("host.sock");
    let own = engine
        .filter(|_| below_engine)
        .map(|engine| run_dir.join(format!("container-{engine}.sock")));
    let mut all: Vec<PathBuf> = own.into_iter().chain([host]).filter(|path| path.exists()).collect();
    let mut others = containers(run_dir);
    others.retain(|path| !all.contains(path));
    all.extend(others);
    all
}

fn containers(run_dir: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(run_dir) else {
        return Vec::new();
    };
    let is_container = |path: &PathBuf| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("container-") && name.ends_with(".sock")
    };
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_container)
        .collect();
    found.sort();
    found
}

/// Asks one client after the other until one knows the answer.
pub(crate) async fn first<T, F: Future<Output = Result<T, ClientError>>>(
    cli: &Cli,
    clients: Vec<Client>,
    ask: impl Fn(Client) -> F,
) -> Result<T, Fail> {
    let mut last = None;
    for client in clients {
        match ask(client).await {
            Ok(answer) => return Ok(answer),
            Err(error) => {
                let goes_on =
                    matches!(error, ClientError::Unreachable { .. }) || error.code() == Some(ErrorCode::NotFound);
                last = Some(error);
                if !goes_on {
                    break;
                }
            }
        }
    }
    let error = last.map_or_else(|| Fail::new(Code::Unknown, "nobody to ask"), Fail::from);
    Err(with_hints(cli, error))
}

/// Asks all of them; some must know.
pub(crate) async fn every<T, F: Future<Output = Result<T, ClientError>>>(
    cli: &Cli,
    clients: Vec<Client>,
    ask: impl Fn(Client) -> F,
) -> Result<Vec<T>, Fail> {
    let (mut answers, mut failed) = (Vec::new(), Vec::new());
    for client in clients {
        match ask(client).await {
            Ok(answer) => answers.push(answer),
            Err(error) => failed.push(with_hints(cli, error.into())),
        }
    }
    if answers.is_empty() {
        return Err(failed
            .into_iter()
            .next()
            .unwrap_or_else(|| Fail::new(Code::Unknown, "nobody to ask")));
    }
    for fail in failed {
        print_error(&format!("watchtree: not shown: {}", fail.line));
    }
    Ok(answers)
}

/// What to try where nobody answers.
pub(crate) fn with_hints(cli: &Cli, fail: Fail) -> Fail {
    let hints_fit = fail.code == Code::Unknown && fail.line.starts_with("nobody answers");
    if !hints_fit || cli.local || cli.socket.is_some() {
        return fail;
    }
    let mut fail = fail;
    fail.line = format!("the manager is not reachable: {}", fail.line);
    if !local_sockets(&cli.run_dir, None).is_empty() {
        fail = fail.hint("watchtree --local status   (this machine's watchdogs go on without the manager)");
    }
    fail.hint("systemctl status manager-watchdog   (on the manager's machine)")
        .hint("watchtree --socket PATH status   (if it listens elsewhere)")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_asked_about_at_its_own_watchdog_first() {
        let dir = tempfile::tempdir().expect("a folder");
        for name in [
            "host.sock",
            "container-docker.sock",
            "container-podman.sock",
            "manager.sock",
            "host.sock.lock",
        ] {
            std::fs::write(dir.path().join(name), "").expect("written");
        }
        let names = |subject| {
            let found = local_sockets(dir.path(), subject);
            let name = |path: &PathBuf| {
                path.file_name()
                    .and_then(|name| name.to_str())
                    .unwrap_or_default()
                    .to_string()
            };
            found.iter().map(name).collect::<Vec<_>>()
        };
        let all_from_host = ["host.sock", "container-docker.sock", "container-podman.sock"];
        assert_eq!(names(None), all_from_host);
        assert_eq!(names(Some("h1")), all_from_host);
        assert_eq!(names(Some("h1/podman")), all_from_host);
        assert_eq!(
            names(Some("h1/podman/web")),
            ["container-podman.sock", "host.sock", "container-docker.sock"]
        );
        assert_eq!(names(Some("h1/@agent")), all_from_host);

        let concerned = |subject| {
            let all = ["host.sock", "container-docker.sock", "container-podman.sock"];
            all.into_iter()
                .filter(|name| is_concerned(Path::new(name), subject))
                .collect::<Vec<_>>()
        };
        assert_eq!(concerned("h1"), all_from_host);
        assert_eq!(concerned("h1/docker"), ["host.sock", "container-docker.sock"]);
        assert_eq!(concerned("h1/podman/shop/web/1"), ["container-podman.sock"]);
        assert_eq!(concerned("h1/docker/@watchdog"), ["host.sock", "container-docker.sock"]);
        assert_eq!(concerned("h1/@agent"), ["host.sock"]);
    }
}
