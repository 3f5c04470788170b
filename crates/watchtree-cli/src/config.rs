//! `config check`: reads a file as the daemons would, and opens nothing else.

use crate::args::ConfigCommand;
use crate::fail::{Code, Fail};
use std::path::Path;

pub(crate) fn run(command: &ConfigCommand) -> Result<Code, Fail> {
    match command {
        ConfigCommand::Check { file } => check(file),
    }
}

fn check(file: &Path) -> Result<Code, Fail> {
    let text = std::fs::read_to_string(file).map_err(|error| {
        let code = match error.kind() {
            std::io::ErrorKind::PermissionDenied => Code::NoRights,
            _ => Code::BadInput,
        };
        Fail::new(code, format!("{}: {error}", file.display()))
    })?;
    let (kind, result) = if watchtree_config::looks_like_manager(&text) {
        ("manager", watchtree_config::read_manager(file).map(drop))
    } else {
        ("host", watchtree_config::read_host(file).map(drop))
    };
    match result {
        Ok(()) => {
            crate::render::print(&format!(
                "{}: in order (read as a {kind} configuration)\n",
                file.display()
            ))?;
            Ok(Code::Ok)
        }
        Err(error) => Err(Fail::new(Code::BadInput, error.to_string())),
    }
}
