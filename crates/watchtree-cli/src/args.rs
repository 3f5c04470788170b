//! The command-line arguments. Does not know what a command does.

use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;
use watchtree_api::parse_duration_ms;

/// The socket of the manager on this machine.
pub(crate) const MANAGER_SOCKET: &str = "/run/watchtree/manager.sock";

const EXAMPLES: &str = "\
Examples:
  watchtree status                           the whole in one screen
  watchtree tree --filter ill                what is not well, and where it hangs
  watchtree explain h1/docker/shop/web/1     why it was restarted, or why not
  watchtree --local policy show h1/docker/web   what holds for it, and who says so
  watchtree events --follow                  what happens, as it happens
  watchtree hold h1/docker/shop --for 30m    no repairs there while you work
  watchtree forget h7                        take out a host that will not come back
  watchtree --local status                   this machine's watchdogs, without the manager
  watchtree dev                              try it: a whole tree on this machine, only looking

Exit codes:
  0 done, all is well                 5 refused by a guard or by the target
  1 failed                            6 no rights
  2 bad input                         7 no answer in time
  3 something is ill (status, tree)   8 taken (a port, an engine that has a healer)
  4 unknown subject, or nobody answers";

/// A watchdog tree for Docker hosts.
#[derive(Debug, Parser)]
#[command(name = "watchtree", version, after_help = EXAMPLES, max_term_width = 110)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Ask the watchdogs of this machine instead of the manager; wins over --socket.
    #[arg(long, global = true)]
    pub(crate) local: bool,

    /// Ask this daemon: a unix socket, or http://127.0.0.1:PORT (reads only).
    #[arg(long, global = true, value_name = "PATH", env = "WATCHTREE_SOCKET")]
    pub(crate) socket: Option<String>,

    /// Folder of the sockets that --local looks into.
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        default_value = "/run/watchtree",
        env = "WATCHTREE_RUN_DIR"
    )]
    pub(crate) run_dir: PathBuf,

    /// Print JSON (with `apiVersion`; fields are only ever added).
    #[arg(long, global = true)]
    pub(crate) json: bool,

    /// Plain text without colour and line drawing, one subject per line; the default where the output is no terminal.
    #[arg(long, global = true)]
    pub(crate) plain: bool,

    /// Time for one request.
    #[arg(long, global = true, value_name = "TIME", default_value = "20s", value_parser = duration_ms)]
    pub(crate) timeout: u64,
}

fn duration_ms(text: &str) -> Result<u64, String> {
    parse_duration_ms(text)
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// The whole in one screen: counts, open incidents, each host. Exits 3 if something is ill.
    #[command(
        after_help = "Examples:\n  watchtree status\n  watchtree --local status\n  watchtree status > /dev/null || echo \"ill, or nobody answers: $?\""
    )]
    Status,
    /// Every subject, what is believed of it, and how sure. Exits 3 if something is ill; with --filter, something shown.
    #[command(
        after_help = "Examples:\n  watchtree tree --filter ill\n  watchtree tree --depth 1\n  watchtree tree --json | jq .counts"
    )]
    Tree {
        /// Levels below the hosts to show.
        #[arg(long)]
        depth: Option<u32>,
        /// Only subjects whose path contains this, or in this state (`agent_lost`, …), or `ill` for all that are.
        #[arg(long, value_name = "TEXT")]
        filter: Option<String>,
    },
    /// What happened: changed states, decisions, incidents. With --json one event per line.
    #[command(
        after_help = "Examples:\n  watchtree events --follow\n  watchtree events --subject h1/docker/shop --limit 200"
    )]
    Events(EventArgs),
    /// Open incidents.
    #[command(after_help = "Examples:\n  watchtree incidents\n  watchtree incidents --all")]
    Incidents {
        /// The closed ones too.
        #[arg(long)]
        all: bool,
    },
    /// Why a subject is what it is: evidence, guards, actions, also what was *not* done.
    #[command(
        after_help = "Examples:\n  watchtree explain h1/docker/shop/web/1\n  watchtree explain h1/docker/shop     (a group: its members)"
    )]
    Explain {
        /// Its path, as `watchtree tree` shows it.
        subject: String,
    },
    /// What holds for containers.
    #[command(after_help = "Example:\n  watchtree --local policy show h1/docker/shop/web/1")]
    Policy {
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// Keep repairs away from a subject and everything below. Ends by itself.
    #[command(
        after_help = "Examples:\n  watchtree hold h1/docker/shop --for 30m\n  watchtree --local hold h1 --for 2h    (without the manager)"
    )]
    Hold {
        /// Its path: a host, an engine, a project, a container.
        subject: String,
        /// How long: 90s, 30m, 2h, 1h30m; at most 7d.
        #[arg(long = "for", value_name = "TIME", value_parser = duration_ms)]
        lasts: u64,
    },
    /// End a hold.
    #[command(after_help = "Example:\n  watchtree release h1/docker/shop")]
    Release {
        /// Its path.
        subject: String,
    },
    /// Forget a used-up budget and try again now.
    #[command(after_help = "Example:\n  watchtree retry h1/docker/shop/web/1")]
    Retry {
        /// Its path.
        subject: String,
    },
    /// Take a host that will not come back out of the tree, and close its incidents. Refused while it is heard.
    #[command(after_help = "Example:\n  watchtree forget h7")]
    Forget {
        /// The host's name.
        host: String,
    },
    /// Configuration files.
    #[command(after_help = "Example:\n  watchtree config check /etc/watchtree/host.toml")]
    Config {
        #[command(subcommand)]
        command: ConfigCommand,
    },
    /// Key files.
    #[command(
        after_help = "Examples:\n  watchtree key gen curve /etc/watchtree/keys/h1.key\n  watchtree key show /etc/watchtree/keys/h1.pub"
    )]
    Key {
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// Run a whole tree on this machine with throw-away keys and state, until Ctrl-C. Only watches unless --heal.
    #[command(after_help = "Examples:\n  watchtree dev\n  watchtree dev --heal --engine /run/docker.sock")]
    Dev(DevArgs),
}

#[derive(Debug, Args)]
pub(crate) struct EventArgs {
    /// Go on until Ctrl-C.
    #[arg(long, short)]
    pub(crate) follow: bool,
    /// Only those after this cursor.
    #[arg(long, value_name = "CURSOR")]
    pub(crate) since: Option<u64>,
    /// Only of this subject and everything below.
    #[arg(long)]
    pub(crate) subject: Option<String>,
    /// How many of the newest to begin with.
    #[arg(long, default_value_t = 50)]
    pub(crate) limit: usize,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Check a manager.toml or host.toml and touch nothing else.
    #[command(
        after_help = "Examples:\n  watchtree config check /etc/watchtree/manager.toml\n  watchtree --json config check host.toml"
    )]
    Check {
        /// The file.
        file: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Each value in force for a container, and where it comes from: default, configuration, class, label. Asks its own
    /// watchdog, on its host: --local.
    #[command(after_help = "Example:\n  watchtree --local policy show h1/docker/shop/web/1")]
    Show {
        /// Its path, as `watchtree tree` shows it.
        subject: String,
    },
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum KeyKind {
    /// Encrypts the link; its name in the allow-list is the node's name.
    Curve,
    /// Signs orders.
    Order,
}

#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a pair: PATH (mode 0600) and the .pub beside it. Overwrites nothing.
    #[command(after_help = "Example:\n  watchtree key gen curve /etc/watchtree/keys/h1.key")]
    Gen {
        /// What it is for.
        kind: KeyKind,
        /// The secret file, ending in .key.
        path: PathBuf,
    },
    /// Print the public half and the fingerprint of a .key or .pub file; never the secret.
    #[command(after_help = "Example:\n  watchtree key show /etc/watchtree/keys/h1.key")]
    Show {
        /// The file.
        path: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct DevArgs {
    /// Heal containers labelled watchtree.enable=true, instead of only looking.
    #[arg(long)]
    pub(crate) heal: bool,
    /// The engine's API socket.
    #[arg(long, value_name = "SOCKET", default_value = "/var/run/docker.sock")]
    pub(crate) engine: PathBuf,
    /// Leave the folder with keys, state and logs behind.
    #[arg(long)]
    pub(crate) keep: bool,
}
