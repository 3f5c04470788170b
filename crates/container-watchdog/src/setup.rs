//! Reads and checks the configuration, and returns what a run needs. Opens nothing but the state folder.

use anyhow::Context as _;
use std::path::{Path, PathBuf};
use watchtree_config::{Class, Heal, HealMode, HostConfig, LogFormat};
use watchtree_core::container::settings::{ContainerSettings, HealMode as CoreHealMode};
use watchtree_core::id::{NodeIdentity, Tier};
use watchtree_core::subject::SubjectId;
use watchtree_core::supervisor::{Allowance, FleetLimits, FleetPolicy, RestartLimits, RestartPolicy};
use watchtree_core::time::WallTime;
use watchtree_os::identity::{Life, begin_life, boot_id, machine_id, random16};
use watchtree_runtime::{Clock, Code, Exit, logging};

/// What a run needs.
#[derive(Debug)]
pub(crate) struct Plan {
    /// For the core.
    pub(crate) settings: ContainerSettings,
    /// The engine's API socket.
    pub(crate) engine_socket: PathBuf,
    /// Only containers with all of these labels exist for us.
    pub(crate) select: Vec<String>,
    /// Labels that classes are told by.
    pub(crate) label_keys: Vec<String>,
    /// The parent's ipc socket.
    pub(crate) parent_socket: PathBuf,
    /// Our own API socket.
    pub(crate) status_socket: PathBuf,
    /// Group that may use it.
    pub(crate) status_group: Option<String>,
    /// Journal and identity.
    pub(crate) state_folder: PathBuf,
    /// Public keys whose orders are obeyed.
    pub(crate) order_keys_folder: PathBuf,
    /// Why the identity is only in memory, if so.
    pub(crate) life: Life,
}

/// Reads and checks the file.
pub(crate) fn read(file: &Path) -> anyhow::Result<HostConfig> {
    watchtree_config::read_host(file).map_err(|error| {
        let code = if error.no_rights {
            Code::NoRights
        } else {
            Code::BadInput
        };
        Exit::new(code, error.to_string()).into()
    })
}

/// Reads the file, begins to log, and begins a life in the state folder.
pub(crate) fn plan(file: &Path, engine: &str, observe: bool) -> anyhow::Result<Plan> {
    let config = read(file)?;
    let Some(chosen) = config.engine(engine) else {
        let known: Vec<&str> = config.engines.iter().map(|engine| engine.name.as_str()).collect();
        let line = format!(
            "{}: no [[engine]] named `{engine}`; it has: {}",
            file.display(),
            known.join(", ")
        );
        return Err(Exit::bad_input(line).into());
    };
    let format = match config.log.format {
        LogFormat::Text => logging::LogFormat::Text,
        LogFormat::Json => logging::LogFormat::Json,
    };
    logging::init(&config.log.level.0, format)?;
    let state_folder = config.container_state_dir(engine);
    let life = begin_life(&state_folder);
    let version = env!("CARGO_PKG_VERSION");
    let identity = NodeIdentity {
        name: config.container_node(engine),
        tier: Tier::Container,
        node_id: life.node_id,
        machine_id: machine_id(),
        boot_id: boot_id()?,
        agent_epoch: life.epoch,
        version: watchtree_os::build::own_version(version).unwrap_or_else(|_| version.to_owned()),
    };
    let subject =
        SubjectId::new(&format!("{}/{engine}", config.name)).map_err(|error| Exit::bad_input(error.to_string()))?;
    let mut settings = ContainerSettings::new(identity, subject);
    fill(&mut settings, &config)?;
    settings.heal = match chosen.heal {
        _ if observe => CoreHealMode::Observe,
        HealMode::Observe => CoreHealMode::Observe,
        HealMode::Labelled => CoreHealMode::Labelled,
        HealMode::All => CoreHealMode::All,
    };
    let classes = label_keys(&config);
    let selected = chosen.select.iter().map(|label| label.key().to_owned());
    settings.named_labels = selected.chain(classes.clone()).collect();
    Ok(Plan {
        settings,
        engine_socket: chosen.socket().to_owned(),
        select: chosen.select.iter().map(|label| label.as_str().to_owned()).collect(),
        label_keys: classes,
        parent_socket: config.children_socket(),
        status_socket: config.container_status_socket(engine),
        status_group: config.http.socket_group.clone(),
        state_folder,
        order_keys_folder: config.keys().order_keys_dir,
        life,
    })
}

fn label_keys(config: &HostConfig) -> Vec<String> {
    let keys = config.classes.iter().filter_map(Class::label_key);
    keys.map(str::to_owned).collect()
}

/// The numbers of `[heal]`, and the classes.
fn fill(settings: &mut ContainerSettings, config: &HostConfig) -> anyhow::Result<()> {
    let heal = &config.heal;
    (settings.policy, settings.fleet_policy) = policies(heal)?;
    settings.classes = config.classes.iter().map(Class::core).collect();
    settings.configured = heal.configured();
    settings.stop_timeout = heal.stop_timeout.get();
    settings.list_every = heal.list_every.get();
    settings.look_at = config.look_at.iter().map(ToString::to_string).collect();
    let seed = random16()?;
    settings.seed = seed.iter().take(8).fold(0, |seed, byte| seed << 8 | u64::from(*byte));
    let elapsed_millis = Clock.now().as_micros() / 1000;
    settings.wall_at_zero = WallTime(Clock.wall().0.saturating_sub(elapsed_millis));
    Ok(())
}

/// The limits of one container, and of all together.
fn policies(heal: &Heal) -> anyhow::Result<(RestartPolicy, FleetPolicy)> {
    let (one, all) = (RestartLimits::default(), FleetLimits::default());
    let one = RestartPolicy::new(RestartLimits {
        allowance: Allowance {
            budget: heal.budget,
            window: heal.window.get(),
        },
        stop_budget: heal.stop_budget,
        delay_first: heal.delay_min.get(),
        delay_max: heal.delay_max.get(),
        reset_after_stable: heal.clean_after.get(),
        verify: heal.verify.get(),
        grace_min: heal.grace.get(),
        // A grace that is longer than the longest one that ships is meant to be had.
        grace_max: one.grace_max.max(heal.grace.get()),
        half_open_every: heal.retry_given_up.get(),
        ..one
    });
    let all = FleetPolicy::new(FleetLimits {
        allowance: Allowance {
            budget: heal.host_budget,
            ..all.allowance
        },
        parallel: heal.parallel,
        ..all
    });
    Ok((one.context("[heal]")?, all.context("[heal]")?))
}

#[cfg(test)]
mod tests {
    //! What the configuration allows is a policy, and the one that was asked for.
    use super::*;
    use watchtree_core::time::Duration;

    fn heal(lines: &str) -> Heal {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("host.toml");
        let text = format!("name = \"h\"\n[heal]\n{lines}\n[[engine]]\nname = \"docker\"\n");
        std::fs::write(&file, text).expect("a file");
        let config = read(&file).expect("a configuration");
        config.heal
    }

    #[test]
    fn a_grace_beyond_the_longest_that_ships_is_kept_with_all_the_rest() {
        let (one, _) = policies(&heal("budget = 2\ngrace = \"1h\"")).expect("a policy");
        assert_eq!(one.allowance.budget, 2);
        assert_eq!(one.grace(Duration::ZERO, 1), Duration::from_secs(3600));
    }

    #[test]
    fn the_ends_of_every_range_are_a_policy() {
        let low = "budget = 1\nwindow = \"10s\"\ndelay_min = \"10ms\"\ndelay_max = \"100ms\"\ngrace = \"0s\"\nparallel = 1\nhost_budget = 1";
        let high = "budget = 100\nwindow = \"7d\"\ndelay_min = \"1m\"\ndelay_max = \"1h\"\ngrace = \"1h\"\nparallel = 64\nhost_budget = 500\nretry_given_up = \"1d\"";
        for lines in [low, high] {
            assert!(policies(&heal(lines)).is_ok(), "{lines}");
        }
    }
}
