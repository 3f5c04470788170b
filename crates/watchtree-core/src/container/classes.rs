//! Classes of containers: what the configuration says of all that share a label, a name, an image or a compose project.
//! Checked where they are read; knows no file format.

use super::io::ContainerView;
use super::overrides::Overrides;
use super::probes::words::ProbeWordsOfAll;
use alloc::string::{String, ToString};

/// One class.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Class {
    /// Its name, for people.
    pub name: String,
    /// Which containers it is about.
    pub selector: Selector,
    /// What holds for them.
    pub set: Overrides,
    /// How they are probed.
    pub probes: ProbeWordsOfAll,
}

impl Class {
    /// Most classes.
    pub const CLASSES_MAX: usize = 64;
}

/// Which containers: all that is given must fit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Selector {
    /// A label, and its value if one is given.
    pub label: Option<(String, Option<Glob>)>,
    /// The container's name.
    pub container: Option<Glob>,
    /// Its image, as it was named when the container was made.
    pub image: Option<Glob>,
    /// Its compose project.
    pub project: Option<Glob>,
}

impl Selector {
    /// It says nothing, and would fit everything.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn fits(&self, view: &ContainerView) -> bool {
        let label = |key: &str| view.labels.get(key).map(String::as_str);
        let has_label = |(key, value): &(String, Option<Glob>)| match (label(key), value) {
            (Some(text), Some(value)) => value.fits(text),
            (found, _) => found.is_some(),
        };
        let is_of = |project: &Glob| label("com.docker.compose.project").is_some_and(|it| project.fits(it));
        self.label.as_ref().is_none_or(has_label)
            && self.container.as_ref().is_none_or(|it| it.fits(&view.name))
            && self.image.as_ref().is_none_or(|it| it.fits(&view.image))
            && self.project.as_ref().is_none_or(is_of)
    }
}

/// A text in which `*` stands for any, also for none.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Glob(String);

impl Glob {
    /// Of that text.
    pub fn new(text: &str) -> Self {
        Self(text.to_string())
    }

    /// True where the whole text fits.
    pub fn fits(&self, text: &str) -> bool {
        let Some((head, rest)) = self.0.split_once('*') else {
            return self.0 == text;
        };
        let Some(mut left) = text.strip_prefix(head) else {
            return false;
        };
        let mut parts = rest.split('*').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return left.ends_with(part);
            }
            // The first place is the best: it leaves most for the parts that follow.
            match left.find(part) {
                Some(at) => left = &left[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    //! What fits.
    use super::*;

    #[test]
    fn a_star_is_any_text() {
        for (glob, text, fits) in [
            ("postgres", "postgres", true),
            ("postgres", "postgres:16", false),
            ("postgres*", "postgres", true),
            ("*/postgres:*", "registry/postgres:16", true),
            ("*/postgres:*", "postgres:16", false),
            ("a*a", "a", false),
            ("a*a", "aba", true),
            ("*b*b*", "ab", false),
            ("*", "", true),
            ("", "", true),
            ("", "x", false),
        ] {
            assert_eq!(Glob::new(glob).fits(text), fits, "{glob} {text}");
        }
    }

    #[test]
    fn all_that_is_given_must_fit() {
        let view = ContainerView {
            name: "shop-db-1".into(),
            image: "postgres:16".into(),
            labels: [("com.docker.compose.project", "shop"), ("tier", "db")]
                .map(|(key, value)| (key.to_string(), value.to_string()))
                .into(),
            ..ContainerView::default()
        };
        let glob = |text| Some(Glob::new(text));
        let all = Selector {
            label: Some(("tier".into(), glob("d*"))),
            container: glob("*-db-*"),
            image: glob("postgres*"),
            project: glob("shop"),
        };
        assert!(all.fits(&view));
        let without = |change: fn(&mut Selector)| {
            let mut it = all.clone();
            change(&mut it);
            it.fits(&view)
        };
        assert!(without(|it| it.label = Some(("tier".into(), None))));
        assert!(!without(|it| it.label = Some(("tier".into(), Some(Glob::new("web"))))));
        assert!(!without(|it| it.label = Some(("team".into(), None))));
        assert!(!without(|it| it.container = Some(Glob::new("web"))));
        assert!(!without(|it| it.image = Some(Glob::new("mysql*"))));
        assert!(!without(|it| it.project = Some(Glob::new("blog"))));
        assert!(Selector::default().is_empty() && !all.is_empty());
    }
}
