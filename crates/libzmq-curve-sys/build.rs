//! Compiles libzmq 4.3.5 with libsodium, or stops with one line where Cargo's links override was not read.

#![expect(unsafe_code, reason = "the compiler is told its flags by the environment")]

use std::env;
use std::path::PathBuf;

/// What zeromq-src's empty platform.hpp leaves out, verified for glibc and gcc 12: without these, keep-alive is a
/// no-op, ipc peers have no credentials, and descriptors leak into children.
const PLATFORM: &[&str] = &[
    "HAVE_POSIX_MEMALIGN=1",
    "ZMQ_CACHELINE_SIZE=64",
    "ZMQ_HAVE_SO_KEEPALIVE=1",
    "ZMQ_HAVE_TCP_KEEPCNT=1",
    "ZMQ_HAVE_TCP_KEEPIDLE=1",
    "ZMQ_HAVE_TCP_KEEPINTVL=1",
    "ZMQ_HAVE_SO_PEERCRED=1",
    "ZMQ_HAVE_EVENTFD=1",
    "ZMQ_HAVE_EVENTFD_CLOEXEC=1",
    "ZMQ_HAVE_SOCK_CLOEXEC=1",
    "ZMQ_HAVE_O_CLOEXEC=1",
    "HAVE_ACCEPT4=1",
    "ZMQ_HAVE_IFADDRS=1",
    "ZMQ_IOTHREAD_POLLER_USE_EPOLL_CLOEXEC=1",
    "HAVE_CLOCK_GETTIME=1",
    "HAVE_FORK=1",
    "HAVE_MKDTEMP=1",
    "ZMQ_HAVE_PTHREAD_SETNAME_2=1",
    "ZMQ_HAVE_SO_BINDTODEVICE=1",
    "HAVE_IF_NAMETOINDEX=1",
];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=DEP_ZMQ_SUPPLIED_BY");
    if env::var("DEP_ZMQ_SUPPLIED_BY").as_deref() != Ok("libzmq-curve-sys") {
        // Cargo finds .cargo/config.toml from the working directory upward: `--manifest-path` from elsewhere misses it,
        // and a target without its own table does too.
        println!(
            "cargo::error=libzmq would be built without CURVE: .cargo/config.toml was not read for target {}; \
             run cargo inside the workspace folder, or add the table [target.<triple>.zmq] for this target",
            env::var("TARGET").unwrap_or_default()
        );
        return;
    }
    let sodium_include = dep("DEP_SODIUM_INCLUDE");
    let sodium_lib = dep("DEP_SODIUM_LIB");
    let defines: Vec<String> = PLATFORM.iter().map(|define| format!("-D{define}")).collect();
    let flags = format!("{} {}", env::var("CXXFLAGS").unwrap_or_default(), defines.join(" "));
    // SAFETY: a build script has one thread here; the `cc` crate reads the variable in this process.
    unsafe { env::set_var("CXXFLAGS", flags.trim()) };
    zeromq_src::Build::new()
        .with_libsodium(Some(zeromq_src::LibLocation::new(sodium_lib, sodium_include)))
        .build();
}

fn dep(name: &str) -> PathBuf {
    PathBuf::from(env::var_os(name).unwrap_or_else(|| panic!("{name} is set by libsodium-sys-stable's build script")))
}
