//! Single calls to one engine, each with a deadline that covers connecting, headers and body.
//!
//! Calls that only read are dropped at their deadline. Calls that change something never are: dropping the connection of
//! a `/stop` or `/start` under way changes what some engines do (an immediate SIGKILL, a container left down). For those
//! see [`Engine::perform`]. Holds no connection between calls and decides nothing.

use crate::error::{SocketTrouble, engine_error};
use crate::transport::{ResponseStatus, handle};
use crate::{convert, manual_stop, timestamp};
use bollard::Docker;
use bollard::errors::Error;
use bollard::query_parameters::{
    InspectContainerOptions, InspectNetworkOptions, ListContainersOptionsBuilder, StartContainerOptions,
    StopContainerOptionsBuilder,
};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use watchtree_core::container::io::{
    ContainerView, EngineCall, EngineError, EngineTime, ListEntry, Performed, RunState,
};

/// Most looks at files at once: one on a dead network file system may keep its thread for ever.
const FILE_LOOKS_MAX: usize = 2;
/// Most inspects at once: a burst of them must not slow the engine for others.
const INSPECTS_MAX: usize = 8;
/// Deadline of a ping.
const PING_WITHIN: Duration = Duration::from_secs(2);
/// Deadline of a list: 11 ms for 100 containers on an engine that is well.
const LIST_WITHIN: Duration = Duration::from_secs(10);
/// Deadline of an inspect: under a millisecond on an engine that is well.
const INSPECT_WITHIN: Duration = Duration::from_secs(5);
/// Deadline of a look at files, which a dead network file system never answers.
const FILES_WITHIN: Duration = Duration::from_millis(500);
/// Deadline of `/info`, which asks containerd as well.
const INFO_WITHIN: Duration = Duration::from_secs(5);

/// Deadline of the question since when it answers: a millisecond on an engine that is well, and its events wait meanwhile.
const BEGAN_WITHIN: Duration = Duration::from_secs(2);
/// The network that the engine makes anew at each of its starts, where no container lives on in it: after it has stopped the
/// containers that it found, and before it answers anybody (20.10, seen).
const NETWORK_OF_A_LIFE: &str = "bridge";

/// What an engine says of itself.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct EngineInfo {
    /// Its id: one per data folder. Empty if it has none.
    pub id: String,
    /// The name of its machine.
    pub name: String,
    /// Its version.
    pub version: String,
    /// True if containers survive its own end.
    pub live_restore: bool,
    /// Its data folder, on its machine.
    pub root: PathBuf,
    /// How many containers it has, running or not.
    pub containers: u64,
}

/// One engine behind a unix socket. Cheap to clone; clones share the limit of inspects.
#[derive(Clone, Debug)]
pub struct Engine {
    socket: Arc<PathBuf>,
    labels: Arc<Vec<String>>,
    label_keys: Arc<Vec<String>>,
    inspects: Arc<Semaphore>,
    file_looks: Arc<Semaphore>,
    root: Arc<Mutex<Option<PathBuf>>>,
    /// The container that [`Self::list_one`] found last.
    listed_one: Arc<Mutex<Option<String>>>,
    /// When the last answer about `root` came, or failed to; held while one is waited for.
    root_asked: Arc<tokio::sync::Mutex<Option<Instant>>>,
}

impl Engine {
    /// Nothing is connected yet.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self {
            socket: Arc::new(socket.into()),
            labels: Arc::default(),
            label_keys: Arc::default(),
            inspects: Arc::new(Semaphore::new(INSPECTS_MAX)),
            file_looks: Arc::new(Semaphore::new(FILE_LOOKS_MAX)),
            root: Arc::default(),
            listed_one: Arc::default(),
            root_asked: Arc::default(),
        }
    }

    /// The same engine, where only containers with all of these labels (`key` or `key=value`) exist: lists and events
    /// show no others.
    #[must_use]
    pub fn with_labels(self, labels: Vec<String>) -> Self {
        Self {
            labels: Arc::new(labels),
            ..self
        }
    }

    /// The same engine, of whose containers the labels with these keys are told too.
    #[must_use]
    pub fn with_label_keys(self, keys: Vec<String>) -> Self {
        Self {
            label_keys: Arc::new(keys),
            ..self
        }
    }

    /// Its socket.
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Connects once and hangs up.
    ///
    /// # Errors
    /// [`SocketTrouble`] tells what only a person can mend (no rights) from what may come (no engine yet).
    pub async fn check_socket(&self) -> Result<(), SocketTrouble> {
        match tokio::net::UnixStream::connect(self.socket()).await {
            Ok(_) => Ok(()),
            Err(error) => Err(SocketTrouble::of(self.socket(), error)),
        }
    }

    /// `GET /_ping`. Proves little: it answers while containerd hangs.
    ///
    /// # Errors
    /// See [`EngineError`]; `Deadline` after 2 s.
    pub async fn ping(&self) -> Result<(), EngineError> {
        self.read(PING_WITHIN, "", async |docker| docker.ping().await.map(drop))
            .await
    }

    /// `GET /info`. Answers only while containerd does.
    ///
    /// # Errors
    /// See [`EngineError`]; `Deadline` after 5 s.
    pub async fn info(&self) -> Result<EngineInfo, EngineError> {
        let info = self.read(INFO_WITHIN, "", async |docker| docker.info().await).await?;
        let info = EngineInfo {
            id: info.id.unwrap_or_default(),
            name: info.name.unwrap_or_default(),
            version: info.server_version.unwrap_or_default(),
            live_restore: info.live_restore_enabled.unwrap_or(false),
            root: PathBuf::from(info.docker_root_dir.unwrap_or_default()),
            containers: info.containers.and_then(|count| u64::try_from(count).ok()).unwrap_or(0),
        };
        *self.root.lock().unwrap_or_else(PoisonError::into_inner) = Some(info.root.clone());
        Ok(info)
    }

    /// Since when its present life answers, by `GET /networks/bridge`. `None` where that cannot be read (no such network, a
    /// filter before the socket, no answer in 2 s).
    pub async fn began(&self) -> Option<EngineTime> {
        let inspect = async |docker: Docker| {
            let options = None::<InspectNetworkOptions>;
            docker.inspect_network(NETWORK_OF_A_LIFE, options).await
        };
        let network = self.read(BEGAN_WITHIN, "", inspect).await.ok()?;
        let began = timestamp::engine_time(&network.created?);
        (began != EngineTime(0)).then_some(began)
    }

    /// Whether it is Podman behind Docker's API, as `GET /version` tells.
    ///
    /// # Errors
    /// See [`EngineError`]; `Deadline` after 5 s.
    pub async fn is_podman(&self) -> Result<bool, EngineError> {
        let version = match self.read(INFO_WITHIN, "", async |docker| docker.version().await).await {
            Err(EngineError::Refused { status: 404, .. }) => return Ok(false),
            answer => answer?,
        };
        let mut names = version.components.unwrap_or_default().into_iter().map(|part| part.name);
        Ok(names.any(|name| name.starts_with("Podman")))
    }

    /// All containers, running or not.
    ///
    /// # Errors
    /// See [`EngineError`]; `Deadline` after 10 s.
    pub async fn list(&self) -> Result<Vec<ListEntry>, EngineError> {
        let mut all = ListContainersOptionsBuilder::new().all(true);
        if !self.labels.is_empty() {
            all = all.filters(&self.filters([]));
        }
        self.list_of(all).await
    }

    /// A list of one container: a probe. It goes the way of the whole list, the image of that container included, at a cost
    /// that hardly grows with their number (measured with 400: 1.7 ms of the engine's time instead of 39). The container is the
    /// one that was found last, and the newest one where that is gone; `None` where there is none at all.
    ///
    /// # Errors
    /// See [`EngineError`]; `Deadline` after 10 s for each of the two.
    pub async fn list_one(&self) -> Result<Option<ListEntry>, EngineError> {
        let all = || ListContainersOptionsBuilder::new().all(true);
        let known = self.listed_one.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let found = match known {
            Some(id) => {
                let by_id = HashMap::from([("id".to_owned(), vec![id])]);
                self.list_of(all().filters(&by_id)).await?.pop()
            }
            None => None,
        };
        let found = match found {
            Some(entry) => Some(entry),
            None => self.list_of(all().limit(1)).await?.pop(),
        };
        *self.listed_one.lock().unwrap_or_else(PoisonError::into_inner) = found.as_ref().map(|entry| entry.id.clone());
        Ok(found)
    }

    async fn list_of(&self, which: ListContainersOptionsBuilder) -> Result<Vec<ListEntry>, EngineError> {
        let which = which.build();
        let list = self
            .read(LIST_WITHIN, "", async |docker| {
                docker.list_containers(Some(which)).await
            })
            .await?;
        Ok(list.into_iter().filter_map(convert::list_entry).collect())
    }

    /// The chosen fields of one container. At most 8 at once; the wait for a turn is not part of the deadline.
    ///
    /// # Errors
    /// See [`EngineError`]; `Deadline` after 5 s.
    pub async fn inspect(&self, id: &str) -> Result<ContainerView, EngineError> {
        // The semaphore is never closed; without a turn the call is merely not limited.
        let _turn = self.inspects.acquire().await.ok();
        let inspect = async |docker: Docker| docker.inspect_container(id, None::<InspectContainerOptions>).await;
        let answer = self.read(INSPECT_WITHIN, id, inspect).await?;
        let binds = convert::bind_sources(&answer);
        let view = convert::view(id, answer, &self.label_keys);
        if view.run != RunState::Created || binds.is_empty() {
            return Ok(view);
        }
        let missing_mount = self.missing(view.id.clone(), binds).await;
        Ok(ContainerView { missing_mount, ..view })
    }

    /// The first of these paths that is not there. Nothing where the machine's files are not those of the engine, or a file system
    /// does not answer, now or since an earlier look.
    async fn missing(&self, id: String, paths: Vec<PathBuf>) -> Option<String> {
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let turn = Arc::clone(&self.file_looks).try_acquire_owned().ok()?;
        let look = move || {
            let _turn = turn;
            let is_here = root.join("containers").join(id).is_dir();
            let gone = |path: &&PathBuf| matches!(path.try_exists(), Ok(false));
            let gone = paths.iter().find(gone).filter(|_| is_here);
            gone.map(|path| path.display().to_string())
        };
        let looked = timeout(FILES_WITHIN, tokio::task::spawn_blocking(look)).await;
        looked.ok()?.ok().flatten()
    }

    /// The engine's manual-stop flag of a container: that somebody stopped it. `None` where it cannot be read here.
    pub async fn manual_stop(&self, id: &str) -> Option<bool> {
        self.ask_root(Instant::now()).await;
        let root = self.root.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let id = id.to_owned();
        tokio::task::spawn_blocking(move || manual_stop::read(&root, &id))
            .await
            .ok()
            .flatten()
    }

    /// Asks where the data lies, unless that was done since `began`: after an engine's restart the flags of all its containers
    /// are read at once, and a thousand `/info` keep it busy for longer than any of them is waited for (measured: 12 s).
    /// A sick containerd makes `/info` hang; where the data lies does not change meanwhile.
    async fn ask_root(&self, began: Instant) {
        let mut asked = self.root_asked.lock().await;
        if asked.is_none_or(|at| at < began) {
            // Where there is no answer, what was known before stands.
            let _ = self.info().await;
            *asked = Some(Instant::now());
        }
    }

    /// Carries out a call that changes something, however long the engine takes: no deadline here, and the future must
    /// be polled to its end. `Unreachable` means that the engine never got it; `BadAnswer` leaves that open.
    ///
    /// # Errors
    /// See [`EngineError`].
    pub async fn perform(&self, id: &str, call: EngineCall) -> Result<Performed, EngineError> {
        let (docker, response) = self.handle(id)?;
        let result = match call {
            EngineCall::Start => docker.start_container(id, None::<StartContainerOptions>).await,
            EngineCall::Stop { timeout_secs } => {
                let seconds = i32::try_from(timeout_secs).unwrap_or(i32::MAX);
                docker
                    .stop_container(id, Some(StopContainerOptionsBuilder::new().t(seconds).build()))
                    .await
            }
        };
        match result {
            // bollard takes 304 for success.
            Ok(()) if response.status() == 304 => Ok(Performed::AlreadySo),
            Ok(()) => Ok(Performed::Done),
            Err(error) => Err(engine_error(self.socket(), id, error)),
        }
    }

    /// The filters of a list or a stream: these and the labels.
    pub(crate) fn filters<const N: usize>(
        &self,
        own: [(&'static str, Vec<String>); N],
    ) -> HashMap<String, Vec<String>> {
        let labels = [("label", self.labels.as_ref().clone())];
        let all = own.into_iter().chain(labels).filter(|(_, values)| !values.is_empty());
        all.map(|(key, values)| (key.to_owned(), values)).collect()
    }

    /// A handle for one call.
    pub(crate) fn handle(&self, id: &str) -> Result<(Docker, Arc<ResponseStatus>), EngineError> {
        handle(self.socket()).map_err(|error| engine_error(self.socket(), id, error))
    }

    async fn read<T>(
        &self,
        within: Duration,
        id: &str,
        call: impl AsyncFnOnce(Docker) -> Result<T, Error>,
    ) -> Result<T, EngineError> {
        let (docker, _) = self.handle(id)?;
        match timeout(within, call(docker)).await {
            Ok(result) => result.map_err(|error| engine_error(self.socket(), id, error)),
            Err(_) => Err(EngineError::Deadline),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::UnixListener;

    /// An engine with that answer for each request.
    fn engine_that_says(status: &str, body: &str) -> (tempfile::TempDir, Engine) {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let head = format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nConnection: close\r\n");
        let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        (folder, Engine::new(&socket))
    }

    #[tokio::test]
    async fn since_when_it_answers_is_told_by_its_network() {
        let network = r#"{"Name":"bridge","Created":"2026-11-28T06:02:14.449243708Z","Containers":{}}"#;
        let (_folder, engine) = engine_that_says("200 OK", network);
        assert_eq!(engine.began().await, Some(EngineTime(1_795_845_734_449_243_708)));
        for (status, body) in [
            ("404 Not Found", r#"{"message":"network bridge not found"}"#),
            ("403 Forbidden", r#"{"message":"not here"}"#),
            ("200 OK", r#"{"Name":"bridge","Created":"0001-01-01T00:00:00Z"}"#),
        ] {
            let (_folder, engine) = engine_that_says(status, body);
            assert_eq!(engine.began().await, None, "{status}");
        }
    }

    #[tokio::test]
    async fn many_flags_read_at_once_ask_for_the_folder_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let socket = folder.path().join("engine.sock");
        let listener = UnixListener::bind(&socket).expect("a socket");
        let asked = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::Relaxed);
                let mut request = [0; 4096];
                let _ = stream.read(&mut request).await;
                let body = r#"{"ID":"E","DockerRootDir":"/nowhere"}"#;
                let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n";
                let answer = format!("{head}Content-Length: {}\r\n\r\n{body}", body.len());
                let _ = stream.write_all(answer.as_bytes()).await;
            }
        });
        let engine = Engine::new(&socket);
        let ids: Vec<String> = (0..30).map(|n| format!("{n:064x}")).collect();
        // All of them are begun before the first one is answered.
        let flags = futures_util::future::join_all(ids.iter().map(|id| engine.manual_stop(id))).await;
        assert!(flags.iter().all(Option::is_none), "{flags:?}");
        assert_eq!(asked.load(Ordering::Relaxed), 1);
        // A later question is asked anew: the engine may have been moved since.
        assert_eq!(engine.manual_stop(&ids[0]).await, None);
        assert_eq!(asked.load(Ordering::Relaxed), 2);
    }
}
