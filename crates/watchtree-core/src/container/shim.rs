//! The two processes behind a container, as the kernel shows them: its init, and the shim that stands between that and the engine.
//! Pure data; does not know what follows from it.

/// What the kernel says of a process.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum TaskState {
    /// It runs, or sleeps until something happens.
    #[default]
    Works,
    /// It is stopped, by SIGSTOP or a debugger: it does nothing until somebody lets it go on.
    Stopped,
    /// It waits in the kernel, for a disk or a network share, and takes no signal meanwhile.
    InKernel,
    /// It has ended, or there is none.
    Gone,
}

/// Both of a container, seen at one moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ShimSeen {
    /// Its shim, by its number; `None` = none was found, or none can be seen from here.
    pub shim: Option<(u32, TaskState)>,
    /// Its init.
    pub init: TaskState,
}
