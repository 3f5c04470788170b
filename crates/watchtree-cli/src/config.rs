//! `config check`: reads a file as the daemons would, and opens nothing else.

use crate::args::{Cli, ConfigCommand};
use crate::fail::{Code, Fail};
use crate::render;
use serde_json::json;
use std::path::Path;
use watchtree_api::API_VERSION;

pub(crate) fn run(cli: &Cli, command: &ConfigCommand) -> Result<Code, Fail> {
    match command {
        ConfigCommand::Check { file } => check(cli, file),
    }
}

/// With `--json` what was found goes to standard output, good or bad; the code and the line of a failure are the same.
fn check(cli: &Cli, file: &Path) -> Result<Code, Fail> {
    let checked = watchtree_config::check(file);
    if cli.json {
        let (line, column) = checked.as_ref().err().and_then(|error| error.place).unzip();
        render::print_json(&json!({
            "apiVersion": API_VERSION,
            "file": file.display().to_string(),
            "ok": checked.is_ok(),
            "kind": checked.as_ref().ok().map(|kind| kind.as_str()),
            "line": line,
            "column": column,
            "what": checked.as_ref().err().map(|error| error.what.as_str()),
        }))?;
    }
    match checked {
        Ok(_) if cli.json => Ok(Code::Ok),
        Ok(kind) => {
            let kind = kind.as_str();
            render::print(&format!(
                "{}: in order (read as a {kind} configuration)\n",
                file.display()
            ))?;
            Ok(Code::Ok)
        }
        Err(error) => {
            let code = if error.no_rights {
                Code::NoRights
            } else {
                Code::BadInput
            };
            Err(Fail::new(code, error.to_string()))
        }
    }
}
