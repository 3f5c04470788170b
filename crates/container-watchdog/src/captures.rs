//! Captures what a restart of a container destroys: its processes, its figures, the last lines of its log.
//!
//! Contract: each order is answered once, soon after its time at the latest; a part that cannot be read by then is left out, and named as
//! such. A process is looked at only where it is proven to be of that container: by its name, never by its arguments or its environment.
//! What is read goes into a file of this machine; the answer holds figures. Blocks no task, and has few threads however many are asked
//! for. Decides nothing.

use crate::capture_files::CaptureFiles;
use crate::engine_claim::EngineHandle;
use crate::processes;
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError};
use tokio::sync::{Semaphore, mpsc};
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use watchtree_core::container::io::{CaptureOrder, Captured, ContainerId, ContainerInput, Usage};
use watchtree_core::time::Duration;
use watchtree_docker::{LastLines, last_lines};
use watchtree_os::control_group::{ControlGroups, MemoryFigures};
use watchtree_os::process::{Task, task};
use watchtree_runtime::Clock;

/// Most captures that read or write at one time: a disk or a kernel that does not answer may keep a thread for ever.
const READERS_MAX: usize = 4;
/// Part of the time that is left for the file.
const WRITE_TAKES: Duration = Duration::from_millis(50);

/// See the file's head. Must be used inside a tokio runtime.
#[derive(Clone)]
pub(crate) struct ContainerCapturer {
    files: CaptureFiles,
    engine: EngineHandle,
    readers: Arc<Semaphore>,
    inputs: mpsc::Sender<ContainerInput>,
}

/// What the kernel shows.
#[derive(Debug, Default)]
struct Seen {
    tasks: Vec<Task>,
    memory: Option<MemoryFigures>,
    pids: Option<Usage>,
}

impl ContainerCapturer {
    pub(crate) fn new(files: CaptureFiles, engine: EngineHandle, inputs: mpsc::Sender<ContainerInput>) -> Self {
        Self {
            files,
            engine,
            readers: Arc::new(Semaphore::new(READERS_MAX)),
            inputs,
        }
    }

    /// Captures that container, and answers through the inbox.
    pub(crate) fn begin(&self, id: ContainerId, order: CaptureOrder) {
        let it = self.clone();
        tokio::spawn(async move {
            let captured = it.capture(&id, order).await;
            let asked = order.asked;
            // An error means that the daemon has ended.
            let _ = it.inputs.send(ContainerInput::Captured { id, asked, captured }).await;
        });
    }

    async fn capture(&self, id: &str, order: CaptureOrder) -> Captured {
        let Ok(place) = Arc::clone(&self.readers).try_acquire_owned() else {
            // Many at once are no fault of the folder: nothing is said of that.
            return Captured {
                log_lines: Some(Err("earlier captures have not come to their end".to_owned())),
                ..Captured::default()
            };
        };
        let within = order.within.saturating_sub(WRITE_TAKES);
        let about = id.to_owned();
        // It has the place for as long as it lasts, whoever waits for it.
        let look = spawn_blocking(move || (look(&about, order.pid), place));
        let (seen, lines) = tokio::join!(timeout(within, look), self.log(id, order, within));
        let Ok(Ok((seen, place))) = seen else {
            return Captured {
                log_lines: Some(Err("the kernel has not shown its processes in time".to_owned())),
                ..Captured::default()
            };
        };
        let mut captured = Captured {
            processes: (order.pid != 0).then(|| count(seen.tasks.len())),
            in_kernel: in_kernel(&seen.tasks),
            memory: seen.memory.map(|it| it.usage),
            memory_at_limit: seen.memory.map_or(0, |it| it.at_limit),
            pids: seen.pids,
            log_lines: Some(lines.as_ref().map(|it| count(it.len())).map_err(Clone::clone)),
            ..Captured::default()
        };
        let text = text(id, &captured, &seen.tasks, &lines);
        let (files, about) = (self.files.clone(), id.to_owned());
        let write = spawn_blocking(move || {
            let _place = place;
            files.keep(Clock.wall().0, &about, &text)
        });
        captured.file = Some(match timeout(WRITE_TAKES, write).await {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("the disk did not take it in time".to_owned()),
        });
        captured
    }

    async fn log(&self, id: &str, order: CaptureOrder, within: Duration) -> Result<Vec<String>, String> {
        let engine = match self.engine.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Ok(executor) => executor.engine().clone(),
            Err(why) => return Err(why.clone()),
        };
        let which = LastLines {
            since: order.logs_since,
            until: order.logs_until,
            lines_max: Captured::LOG_LINES_MAX,
            bytes_max: Captured::LOG_BYTES_MAX,
            within,
        };
        last_lines(&engine, id, which).await
    }
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

/// Looks at the processes of a container by its init. Blocks.
fn look(id: &str, pid: u32) -> Seen {
    // While it is held, the number is its.
    let Ok(_init) = processes::open(id, pid) else {
        return Seen::default();
    };
    let Ok(groups) = ControlGroups::of(pid) else {
        return Seen::default();
    };
    let mut all = groups.processes(Captured::PROCESSES_MAX);
    if all.is_empty() {
        all.push(pid);
    }
    Seen {
        tasks: all.into_iter().filter_map(|pid| task(pid).ok()).collect(),
        memory: groups.memory(),
        pids: groups.pids(),
    }
}

fn in_kernel(tasks: &[Task]) -> Vec<String> {
    let waits = tasks.iter().filter(|it| it.state == 'D');
    let words = |it: &Task| match &it.waits_in {
        Some(place) => format!("{} in {place}", it.name),
        None => it.name.clone(),
    };
    waits.map(words).collect()
}

/// The file, for people.
fn text(id: &str, captured: &Captured, tasks: &[Task], lines: &Result<Vec<String>, String>) -> String {
    let mut text = format!("container {id}\n{}\n", captured.words());
    if !tasks.is_empty() {
        text.push_str("\nprocess  state  threads  name             waits in\n");
    }
    for it in tasks {
        let waits_in = it.waits_in.as_deref().unwrap_or("-");
        let _ = writeln!(
            text,
            "{:>7}  {:<5}  {:>7}  {:<15}  {waits_in}",
            it.pid, it.state, it.threads, it.name
        );
    }
    match lines {
        Ok(lines) => {
            let _ = writeln!(text, "\nits last {} log lines:", lines.len());
            lines.iter().for_each(|line| {
                let _ = writeln!(text, "{line}");
            });
        }
        Err(why) => {
            let _ = writeln!(text, "\nits log cannot be read: {why}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    //! A process of ours is captured without its arguments and its environment, and a container of somebody else is not looked at.
    use super::*;
    use std::process::{Command, Stdio};
    use std::sync::Mutex;
    use watchtree_core::container::io::EngineTime;
    use watchtree_core::time::Moment;

    fn order(pid: u32) -> CaptureOrder {
        CaptureOrder {
            asked: Moment::from_millis(7),
            pid,
            logs_since: EngineTime(0),
            logs_until: EngineTime(0),
            within: Duration::from_secs(5),
        }
    }

    async fn captured(id: &str, pid: u32) -> (tempfile::TempDir, Captured) {
        let state = tempfile::tempdir().expect("a folder");
        let engine: EngineHandle = Arc::new(Mutex::new(Err("no engine".to_owned())));
        let (inputs, mut inbox) = mpsc::channel(1);
        let files = CaptureFiles::new(state.path());
        ContainerCapturer::new(files, engine, inputs).begin(id.to_owned(), order(pid));
        match inbox.recv().await {
            Some(ContainerInput::Captured { asked, captured, .. }) if asked == Moment::from_millis(7) => {
                (state, captured)
            }
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn a_process_is_captured_and_its_secrets_are_not() {
        let mut command = Command::new("sh");
        command
            .args(["-c", "read line", "an-argument"])
            .env("A_SECRET", "of-its-environment");
        let mut child = command.stdin(Stdio::piped()).spawn().expect("sh");
        // Its control group is ours: that is its "container".
        let groups = watchtree_os::process::control_groups(child.id()).expect("control groups");
        let (state, captured) = captured(groups.trim(), child.id()).await;
        let name = captured.file.expect("it is kept").expect("there is room");
        let text = std::fs::read_to_string(state.path().join("captures").join(name)).expect("a file");
        assert!(text.contains("its log cannot be read: no engine"), "{text}");
        assert!(captured.processes.is_some_and(|count| 1 <= count), "{text}");
        assert!(
            !text.contains("an-argument") && !text.contains("of-its-environment"),
            "{text}"
        );
        child.kill().expect("it lives");
        let _ = child.wait();
    }

    #[tokio::test]
    async fn a_process_of_somebody_else_is_not_looked_at() {
        let (_state, captured) = captured(&"0".repeat(64), std::process::id()).await;
        assert_eq!(
            (captured.processes, captured.memory, captured.pids),
            (Some(0), None, None)
        );
    }

    #[tokio::test]
    async fn more_than_can_be_captured_at_once_is_no_fault_of_the_folder() {
        let (state, engine) = (tempfile::tempdir().expect("a folder"), Err("no engine".to_owned()));
        let (inputs, _inbox) = mpsc::channel(1);
        let files = CaptureFiles::new(state.path());
        let capturer = ContainerCapturer::new(files, Arc::new(Mutex::new(engine)), inputs);
        let places: Vec<_> = (0..READERS_MAX)
            .map(|_| capturer.readers.clone().try_acquire_owned())
            .collect();
        let captured = capturer.capture("it", order(0)).await;
        assert_eq!(captured.file, None, "it is a condition where it is told");
        assert!(captured.log_lines.is_some_and(|it| it.is_err()) && places.iter().all(Result::is_ok));
    }
}
