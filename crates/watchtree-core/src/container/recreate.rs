//! How a person makes a container anew where no restart mends it: the exact command, as far as its labels tell. Pure.

use super::io::ContainerView;
use super::naming::compose_service;
use alloc::format;
use alloc::string::{String, ToString};

const CONFIG_FILES: &str = "com.docker.compose.project.config_files";
const WORKING_DIR: &str = "com.docker.compose.project.working_dir";
const VERSION: &str = "com.docker.compose.version";
/// What is longer is no command that anybody reads, nor fits beside its reason: the short one is told.
const COMMAND_BYTES_MAX: usize = 320;

/// `needs recreate: …`
pub(crate) fn needs_recreate(view: Option<&ContainerView>) -> String {
    match view.and_then(command) {
        Some(command) => format!("needs recreate: {command}"),
        None => "needs recreate: remove it and run it again".to_string(),
    }
}

/// What makes one of compose anew, and nothing else.
fn command(view: &ContainerView) -> Option<String> {
    let (project, service) = compose_service(view)?;
    let label = |key: &str| view.labels.get(key).filter(|text| !text.is_empty());
    let program = match label(VERSION) {
        Some(version) if version.starts_with("1.") => "docker-compose",
        _ => "docker compose",
    };
    let (project, service) = (quoted(project), quoted(service));
    let what = format!("-p {project} up -d --force-recreate --no-deps {service}");
    let short = format!("{program} {what}");
    let folder = label(WORKING_DIR).map_or(String::new(), |folder| {
        format!(" --project-directory {}", quoted(folder))
    });
    let files = label(CONFIG_FILES).map_or("", String::as_str);
    let files = files.split(',').map(str::trim).filter(|file| !file.is_empty());
    let files: String = files
        .map(|file| format!(" -f {}", quoted(&within(view, file))))
        .collect();
    let whole = format!("{program}{folder}{files} {what}");
    [whole, short]
        .into_iter()
        .find(|command| command.len() <= COMMAND_BYTES_MAX)
}

/// Compose 1.29 notes files as they were given, beside the folder.
fn within(view: &ContainerView, file: &str) -> String {
    match view.labels.get(WORKING_DIR).filter(|folder| !folder.is_empty()) {
        Some(folder) if !file.starts_with('/') => format!("{}/{file}", folder.trim_end_matches('/')),
        _ => file.to_string(),
    }
}

/// For a shell.
fn quoted(word: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-/:@%+=".contains(&byte);
    match !word.is_empty() && word.bytes().all(is_plain) {
        true => word.to_string(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

#[cfg(test)]
mod tests {
    //! The command of each maker, and what a shell makes of odd words.
    use super::*;

    fn said(labels: &[(&str, &str)]) -> String {
        let labels = labels.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let view = ContainerView {
            labels: labels.collect(),
            ..ContainerView::default()
        };
        needs_recreate(Some(&view))
    }

    const SHOP_APP: [(&str, &str); 2] = [
        ("com.docker.compose.project", "shop"),
        ("com.docker.compose.service", "app"),
    ];

    #[test]
    fn the_command_is_that_of_whoever_made_it() {
        assert_eq!(needs_recreate(None), "needs recreate: remove it and run it again");
        assert_eq!(said(&[]), "needs recreate: remove it and run it again");
        let what = "-p shop up -d --force-recreate --no-deps app";
        assert_eq!(said(&SHOP_APP), format!("needs recreate: docker compose {what}"));
        let two = [
            &SHOP_APP[..],
            &[
                (CONFIG_FILES, "/srv/shop/a.yml,/srv/shop/b.yml"),
                (WORKING_DIR, "/srv/shop"),
            ],
        ];
        let folder = "--project-directory /srv/shop -f /srv/shop/a.yml -f /srv/shop/b.yml";
        assert_eq!(
            said(&two.concat()),
            format!("needs recreate: docker compose {folder} {what}")
        );
        let one = [
            &SHOP_APP[..],
            &[
                (CONFIG_FILES, "docker-compose.yml"),
                (WORKING_DIR, "/srv/my shop"),
                (VERSION, "1.29.2"),
            ],
        ];
        let folder = "--project-directory '/srv/my shop' -f '/srv/my shop/docker-compose.yml'";
        assert_eq!(
            said(&one.concat()),
            format!("needs recreate: docker-compose {folder} {what}")
        );
    }

    #[test]
    fn what_compose_runs_once_and_what_is_too_long_have_no_such_command() {
        let job = [&SHOP_APP[..], &[("com.docker.compose.oneoff", "True")]].concat();
        assert_eq!(said(&job), "needs recreate: remove it and run it again");
        let long = "x".repeat(COMMAND_BYTES_MAX);
        let deep = [&SHOP_APP[..], &[(WORKING_DIR, long.as_str())]].concat();
        assert_eq!(said(&deep), said(&SHOP_APP));
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
