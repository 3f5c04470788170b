//! The commands `key gen` and `key show`: make and show key files. A secret is never printed.

use crate::args::{Cli, KeyCommand, KeyKind};
use crate::fail::{Code, Fail};
use crate::render;
use serde_json::json;
use std::path::{Path, PathBuf};
use watchtree_keys::{CurveKeys, KeyError, Kind, OrderKeys, OrderPublic, Saved, inspect, z85_encode};

pub(crate) fn run(cli: &Cli, command: &KeyCommand) -> Result<Code, Fail> {
    match command {
        KeyCommand::Gen { kind, path } => make(cli, *kind, path),
        KeyCommand::Show { path } => show(cli, path),
    }
}

fn make(cli: &Cli, kind: KeyKind, path: &Path) -> Result<Code, Fail> {
    let (folder, name) = place(path)?;
    let saved = save(kind, &folder, &name).map_err(|error| match error.is_missing() {
        true => fail(error).hint(format!("install -d -m 0700 {}", folder.display())),
        false => fail(error),
    })?;
    if cli.json {
        let value = json!({"apiVersion": watchtree_api::API_VERSION, "secret": saved.secret, "public": saved.public});
        render::print_json(&value)?;
        return Ok(Code::Ok);
    }
    let public = saved.public.display();
    let next = match kind {
        KeyKind::Curve => format!(
            "of a host: copy {public} to the manager's /etc/watchtree/allowed/NODE.pub\n        \
             of the manager: copy it to /etc/watchtree/keys/manager.pub of each host"
        ),
        KeyKind::Order => format!("copy {public} into /etc/watchtree/order-keys/ of each host"),
    };
    render::print(&format!(
        "secret  {} (mode 0600; keep it)\npublic  {public}\nnext    {next}\n",
        saved.secret.display()
    ))?;
    Ok(Code::Ok)
}

/// Makes a pair of either kind.
pub(crate) fn save(kind: KeyKind, folder: &Path, name: &str) -> Result<Saved, KeyError> {
    match kind {
        KeyKind::Curve => CurveKeys::generate()?.save(folder, name),
        KeyKind::Order => OrderKeys::generate()?.save(folder, name),
    }
}

/// `/etc/watchtree/keys/h1.key` → its folder and `h1`.
fn place(path: &Path) -> Result<(PathBuf, String), Fail> {
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .and_then(|name| name.strip_suffix(".key"));
    let Some(name) = name else {
        let line = format!(
            "{}: the secret file's name must end in .key, for example h1.key",
            path.display()
        );
        return Err(Fail::new(Code::BadInput, line));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    Ok((folder, name.to_string()))
}

fn show(cli: &Cli, path: &Path) -> Result<Code, Fail> {
    let inspected = inspect(path).map_err(fail)?;
    let publics: Vec<String> = inspected.publics.iter().map(z85_encode).collect();
    let key_ids: Vec<String> = match inspected.kind {
        Kind::Curve => Vec::new(),
        Kind::Order => inspected
            .publics
            .iter()
            .filter_map(OrderPublic::from_bytes)
            .map(|key| key.key_id())
            .collect(),
    };
    if cli.json {
        let value = json!({
            "apiVersion": watchtree_api::API_VERSION, "kind": inspected.kind.as_str(),
            "has_secret": inspected.secret, "public": publics, "key_id": key_ids,
        });
        render::print_json(&value)?;
        return Ok(Code::Ok);
    }
    let secret = if inspected.secret {
        "with its secret (not shown)"
    } else {
        "public only"
    };
    let mut text = format!("kind    {}, {secret}\n", inspected.kind.as_str());
    for public in publics {
        text.push_str(&format!("public  {public}\n"));
    }
    for key_id in key_ids {
        text.push_str(&format!("key id  {key_id}\n"));
    }
    render::print(&text)?;
    Ok(Code::Ok)
}

fn fail(error: KeyError) -> Fail {
    let code = if error.is_permission() {
        Code::NoRights
    } else {
        Code::BadInput
    };
    Fail::new(code, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_file() {
        let (folder, name) = place(Path::new("/etc/keys/h1.key")).expect("good");
        assert_eq!((folder, name), (PathBuf::from("/etc/keys"), "h1".to_string()));
        assert_eq!(place(Path::new("h1.key")).expect("good").0, PathBuf::from("."));
        assert!(place(Path::new("/etc/keys/h1")).is_err());
    }
}
