//! Which subject a container is, by its name and its compose labels. Pure; knows no other container but those it is told of.

use super::io::{ContainerId, ContainerView, EngineEvent};
use crate::subject::SubjectId;
use alloc::string::String;

/// Compose sets an old container aside, or makes a new one, under a name that begins with so many digits of an id.
const ID_DIGITS: usize = 12;
/// On a container that compose made to replace another: that one's id, or its name, by version.
const REPLACE_LABEL: &str = "com.docker.compose.replace";

fn label<'v>(view: &'v ContainerView, key: &str) -> Option<&'v str> {
    view.labels.get(key).map(String::as_str).filter(|text| !text.is_empty())
}

/// The subject a container belongs to: compose project, service and number, else its name.
pub(crate) fn subject_of(engine: &SubjectId, view: &ContainerView) -> SubjectId {
    let compose = (
        label(view, "com.docker.compose.project"),
        label(view, "com.docker.compose.service"),
        label(view, "com.docker.compose.container-number"),
    );
    match compose {
        (Some(project), Some(service), Some(number)) if !is_oneoff(view) => {
            engine.outer_child(project).outer_child(service).outer_child(number)
        }
        _ => engine.outer_child(&view.name),
    }
}

/// The 12 hex digits and what follows the `_` after them: a name that compose may have given for a while. Anybody may give
/// such a name: whether compose did, the digits tell.
pub(crate) fn id_and_name(name: &str) -> Option<(&str, &str)> {
    let (digits, rest) = name.split_once('_')?;
    let is_id = digits.len() == ID_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some((digits, rest))
}

/// Compose 1.29 sets the old container aside under its own id.
pub(crate) fn is_its_own_id(id: &ContainerId, digits: &str) -> bool {
    id.starts_with(digits)
}

/// Compose 2 makes the new one under the id of the one it replaces, with a label of it.
pub(crate) fn replaces(view: &ContainerView, (digits, rest): (&str, &str)) -> bool {
    let is_id = |text: &str| text.bytes().all(|byte| byte.is_ascii_hexdigit()) && text.starts_with(digits);
    label(view, REPLACE_LABEL).is_some_and(|replaced| is_id(replaced) || rest.ends_with(replaced))
}

/// The compose project and service of a container that compose keeps up.
pub(crate) fn compose_service(view: &ContainerView) -> Option<(&str, &str)> {
    let project = compose_project(view).filter(|_| !is_oneoff(view))?;
    Some((project, label(view, "com.docker.compose.service")?))
}

/// The compose project of a container.
pub(crate) fn compose_project(view: &ContainerView) -> Option<&str> {
    label(view, "com.docker.compose.project")
}

/// `docker compose run`: ends when its command ends.
fn is_oneoff(view: &ContainerView) -> bool {
    view.labels
        .get("com.docker.compose.oneoff")
        .is_some_and(|text| text.eq_ignore_ascii_case("true"))
}

/// Why it is not meant to be kept up, if it is not: what it began is over when it ends, and its volumes may go with it.
pub(crate) fn runs_once(view: &ContainerView) -> Option<&'static str> {
    if view.auto_remove {
        return Some("the engine removes it when it ends");
    }
    is_oneoff(view).then_some("a one-off container of compose")
}

/// The compose service of a container.
pub(crate) fn service_of(engine: &SubjectId, view: &ContainerView) -> Option<SubjectId> {
    let project = view.labels.get("com.docker.compose.project")?;
    let service = view.labels.get("com.docker.compose.service")?;
    Some(engine.outer_child(project).outer_child(service))
}

/// The places that an event is about: the name of its container, and its compose service.
pub(crate) fn places_of(engine: &SubjectId, event: &EngineEvent) -> impl Iterator<Item = SubjectId> + use<> {
    let service = event.compose.as_ref();
    let service = service.map(|(project, service)| engine.outer_child(project).outer_child(service));
    service.into_iter().chain([engine.outer_child(&event.name)])
}

#[cfg(test)]
mod tests {
    //! Subjects, and names that compose gave for a while.
    use super::*;
    use alloc::string::ToString;

    fn view(name: &str, labels: &[(&str, &str)]) -> ContainerView {
        ContainerView {
            name: name.into(),
            labels: labels
                .iter()
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .collect(),
            ..ContainerView::default()
        }
    }

    #[test]
    fn compose_names_by_an_id() {
        for (name, expected) in [
            ("0123456789ab_web", Some(("0123456789ab", "web"))),
            ("0123456789ab_", Some(("0123456789ab", ""))),
            ("0123456789ab_my_web_1", Some(("0123456789ab", "my_web_1"))),
            ("web", None),
            ("0123456789abc_web", None),
            ("0123456789zz_web", None),
        ] {
            assert_eq!(id_and_name(name), expected, "{name}");
        }
        let id = "0123456789abcdef".to_string();
        assert!(is_its_own_id(&id, "0123456789ab") && !is_its_own_id(&id, "202611261200"));
        let by_compose = |replaced: &str, name: &str| {
            let view = view(name, &[(REPLACE_LABEL, replaced)]);
            replaces(&view, id_and_name(name).unwrap())
        };
        assert!(by_compose(&id, "0123456789ab_shop-web-1"));
        assert!(by_compose("web-1", "0123456789ab_shop-web-1"));
        // The label stays when the name of its own is given.
        assert!(!by_compose("0123456789ab_web", "0123456789ab_web"));
        assert!(!by_compose(&id, "202611261200_web"));
        assert!(!replaces(&view("0123456789ab_web", &[]), ("0123456789ab", "web")));
    }

    #[test]
    fn a_service_of_compose_is_one_subject_and_what_it_runs_once_is_another() {
        let number = ("com.docker.compose.container-number", "1");
        let compose = [
            ("com.docker.compose.project", "shop"),
            ("com.docker.compose.service", "web"),
        ];
        let engine = SubjectId::new("h/d").unwrap();
        type Labels<'a> = &'a [(&'a str, &'a str)];
        let cases: [(&str, Labels<'_>, &str); 4] = [
            ("all three labels", &[compose[0], compose[1], number], "h/d/shop/web/1"),
            ("no number", &compose, "h/d/x"),
            (
                "an empty label",
                &[compose[0], ("com.docker.compose.service", ""), number],
                "h/d/x",
            ),
            (
                "compose run",
                &[compose[0], compose[1], number, ("com.docker.compose.oneoff", "True")],
                "h/d/x",
            ),
        ];
        for (case, labels, expected) in cases {
            assert_eq!(subject_of(&engine, &view("x", labels)).as_str(), expected, "{case}");
        }
    }
}
