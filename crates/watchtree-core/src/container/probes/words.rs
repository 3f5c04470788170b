//! What labels and classes say of the probes of a container. The nearest word counts, value by value; a method that is nearer
//! takes the place of a further one with all that belongs to it. What cannot be read is said in words, and that probe is not run.
//!
//! | label (also `watchtree.startup…`, `watchtree.readiness…`) | means |
//! |---|---|
//! | `watchtree.liveness.http` | `:8080/healthz`: `GET` there |
//! | `watchtree.liveness.status`, `.body`, `.host` | `200-399`, the statuses that pass; a text that the body must hold; the `Host` header |
//! | `watchtree.liveness.tcp` | `:6379`: connects, and an answer must come |
//! | `watchtree.liveness.send`, `.expect` | what is sent first, what the answer must hold; `\r`, `\n`, `\t`, `\0`, `\\`, `\x00` |
//! | `watchtree.liveness.exec` | `["/bin/check", "x"]`, or words with blanks between them: run in it, without a shell |
//! | `watchtree.liveness.period`, `.timeout`, `.initial-delay` | times: `10s`, `1s`, `0s` |
//! | `watchtree.liveness.failure-threshold`, `.success-threshold` | so many in a row: `3`, `1` |
//! | `watchtree.liveness` | `off`: not run, whatever a class says |

use super::readers::{
    HttpAt, read_argv, read_bytes, read_count, read_http, read_off, read_port, read_status, read_text,
};
use super::spec::{Method, ProbeKind, ProbeSpec, ProbeSpecs, Timing};
use crate::container::overrides::Source;
use crate::container::written::{read_duration, shown};
use crate::time::Duration;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

macro_rules! words {
    ($($(#[$doc:meta])* $name:ident $label:literal: $kind:ty = $read:ident, $wanted:literal;)*) => {
        /// What somebody says of one probe.
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        pub struct ProbeWords { $($(#[$doc])* pub $name: Option<$kind>,)* }

        /// What holds, and who says so.
        #[derive(Clone, Debug, Default, Eq, PartialEq)]
        struct InForce { $($name: Option<($kind, Source)>,)* }

        impl InForce {
            fn take(&mut self, words: &ProbeWords, source: impl Fn(&'static str) -> Source) {
                $(if let Some(value) = &words.$name {
                    self.$name = Some((value.clone(), source($label)));
                })*
            }
        }

        /// The ends of the labels of a probe.
        const ENDS: &[&str] = &[$($label),*];

        /// The label of that probe with that end.
        fn label(kind: ProbeKind, end: &str) -> &'static str {
            match (kind, end) {
                $((ProbeKind::Startup, $label) => concat!("watchtree.startup", $label),
                (ProbeKind::Liveness, $label) => concat!("watchtree.liveness", $label),
                (ProbeKind::Readiness, $label) => concat!("watchtree.readiness", $label),)*
                _ => "",
            }
        }

        /// The value of that probe, as it is written in the configuration.
        fn key(kind: ProbeKind, end: &str) -> &'static str {
            if end.is_empty() {
                return kind.as_str();
            }
            match (kind, end) {
                $((ProbeKind::Startup, $label) => concat!("startup.", stringify!($name)),
                (ProbeKind::Liveness, $label) => concat!("liveness.", stringify!($name)),
                (ProbeKind::Readiness, $label) => concat!("readiness.", stringify!($name)),)*
                _ => "",
            }
        }

        impl ProbeWords {
            /// What the labels say of that probe; one sentence into `remarks` for each that cannot be read.
            fn read(kind: ProbeKind, labels: &BTreeMap<String, String>, remarks: &mut Vec<String>) -> Self {
                let mut words = Self::default();
                $(if let Some(text) = labels.get(label(kind, $label)) {
                    words.$name = $read(text);
                    if words.$name.is_none() {
                        remarks.push(not_read(label(kind, $label), text, $wanted));
                    }
                })*
                words
            }
        }
    };
}

words! {
    /// It is not run.
    off "": bool = read_off, "off";
    /// What is asked by HTTP.
    http ".http": HttpAt = read_http, "a port and a path such as :8080/healthz";
    /// Where something is asked by TCP.
    tcp ".tcp": u16 = read_port, "a port such as :6379";
    /// What is run.
    exec ".exec": Vec<String> = read_argv, "[\"/bin/check\", \"x\"], or words without quotes";
    /// Statuses that pass.
    status ".status": (u16, u16) = read_status, "a status or a range such as 200-399";
    /// What the body must hold.
    body ".body": String = read_text, "a text";
    /// The `Host` header.
    host ".host": String = read_text, "a name";
    /// What is sent.
    send ".send": Vec<u8> = read_bytes, "a text, with \\r \\n \\t \\0 \\\\ \\x00";
    /// What the answer must hold.
    expect ".expect": Vec<u8> = read_bytes, "a text, with \\r \\n \\t \\0 \\\\ \\x00";
    /// See [`Timing`].
    period ".period": Duration = read_duration, "a time such as 10s";
    /// See [`Timing`].
    timeout ".timeout": Duration = read_duration, "a time such as 1s";
    /// See [`Timing`].
    initial_delay ".initial-delay": Duration = read_duration, "a time such as 5s";
    /// See [`Timing`].
    failure_threshold ".failure-threshold": u32 = read_count, "a number such as 3";
    /// See [`Timing`].
    success_threshold ".success-threshold": u32 = read_count, "a number such as 1";
}

impl ProbeWords {
    fn has_method(&self) -> bool {
        self.off.is_some() || self.http.is_some() || self.tcp.is_some() || self.exec.is_some()
    }

    /// Says nothing at all.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// What is wrong with them alone, in words: a method without what belongs to it may come from elsewhere.
    ///
    /// # Errors
    /// See there.
    pub fn check(&self, kind: ProbeKind) -> Result<(), String> {
        let mut in_force = InForce::default();
        in_force.take(self, |_| Source::Config);
        match self.has_method() {
            true => in_force.spec(kind).map(drop),
            false => Ok(()),
        }
    }
}

/// What is said of the three, by [`ProbeKind`].
pub type ProbeWordsOfAll = [ProbeWords; 3];

/// What labels say, and which of the probes cannot be read.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ProbeLabels {
    words: ProbeWordsOfAll,
    unreadable: [bool; 3],
}

impl ProbeLabels {
    /// Reads them; one sentence for each that cannot be read.
    pub(crate) fn read(labels: &BTreeMap<String, String>, remarks: &mut Vec<String>) -> Self {
        let mut it = Self::default();
        for kind in ProbeKind::ALL {
            let before = remarks.len();
            it.words[kind as usize] = ProbeWords::read(kind, labels, remarks);
            it.unreadable[kind as usize] = before < remarks.len();
        }
        it
    }
}

/// All labels of probes.
pub(crate) fn labels() -> impl Iterator<Item = &'static str> {
    let of = |kind: ProbeKind| ENDS.iter().map(move |end| label(kind, end));
    ProbeKind::ALL.into_iter().flat_map(of)
}

/// The probes of a container, as they are in force.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(crate) struct ProbesInForce {
    said: [InForce; 3],
    specs: ProbeSpecs,
    /// One sentence for each that is not run though it was asked for.
    remarks: Vec<String>,
}

impl ProbesInForce {
    /// By these classes, the furthest first, and these labels.
    pub(crate) fn of<'c>(
        classes: impl Iterator<Item = (&'c ProbeWordsOfAll, Source)> + Clone,
        labels: &ProbeLabels,
    ) -> Self {
        let mut it = Self::default();
        for kind in ProbeKind::ALL {
            let mut said = InForce::default();
            for (words, source) in classes.clone() {
                said.overrule(&words[kind as usize], |_| source.clone());
            }
            said.overrule(&labels.words[kind as usize], |end| Source::Label(label(kind, end)));
            // Whoever wrote what cannot be read meant another probe than the one that is left of it.
            // A class may say how often whatever the labels of its containers ask for is asked.
            let is_meant = said.has_method() || !labels.words[kind as usize].is_empty();
            if is_meant && !labels.unreadable[kind as usize] {
                match said.spec(kind) {
                    Ok(spec) => it.specs.set(kind, spec),
                    Err(why) => it
                        .remarks
                        .push(format!("its {} probe is not run: {why}", kind.as_str())),
                }
            }
            it.said[kind as usize] = said;
        }
        it
    }

    /// Those that are run.
    pub(crate) fn specs(&self) -> &ProbeSpecs {
        &self.specs
    }

    /// One sentence for each that is not run though it was asked for.
    pub(crate) fn remarks(&self) -> impl Iterator<Item = &String> {
        self.remarks.iter()
    }

    /// What is in force, value by value: key, value, source.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String, Option<Source>)> {
        let mut lines = Vec::new();
        for kind in ProbeKind::ALL {
            if let Some(spec) = self.specs.get(kind) {
                self.said[kind as usize].lines(kind, spec, &mut lines);
            }
        }
        lines
    }
}

impl InForce {
    fn has_method(&self) -> bool {
        self.off.is_some() || self.http.is_some() || self.tcp.is_some() || self.exec.is_some()
    }

    fn overrule(&mut self, words: &ProbeWords, source: impl Fn(&'static str) -> Source) {
        if words.has_method() {
            // The values of a probe that nobody means any more say nothing of this one; how often they are run may still hold.
            *self = Self {
                period: self.period.take(),
                timeout: self.timeout.take(),
                initial_delay: self.initial_delay.take(),
                failure_threshold: self.failure_threshold.take(),
                success_threshold: self.success_threshold.take(),
                ..Self::default()
            };
        }
        self.take(words, source);
    }

    /// The probe that is meant; `None` = none.
    fn spec(&self, kind: ProbeKind) -> Result<Option<ProbeSpec>, String> {
        let value = |it: &Option<(Duration, Source)>| it.as_ref().map(|(time, _)| *time);
        let count = |it: &Option<(u32, Source)>| it.as_ref().map(|(count, _)| *count);
        if self.off.is_some() {
            return Ok(None);
        }
        let method = self.method()?;
        let period = value(&self.period);
        let default = Timing::of(&method, period);
        let timing = Timing {
            timeout: value(&self.timeout).unwrap_or(default.timeout),
            initial_delay: value(&self.initial_delay).unwrap_or(default.initial_delay),
            failure_threshold: count(&self.failure_threshold).unwrap_or(default.failure_threshold),
            success_threshold: count(&self.success_threshold).unwrap_or(default.success_threshold),
            ..default
        };
        ProbeSpec::new(kind, method, timing).map(Some)
    }

    fn method(&self) -> Result<Method, String> {
        let text = |it: &Option<(String, Source)>| it.as_ref().map(|(text, _)| text.clone());
        let bytes = |it: &Option<(Vec<u8>, Source)>| it.as_ref().map(|(bytes, _)| bytes.clone()).unwrap_or_default();
        let of_http = self.status.is_some() || self.body.is_some() || self.host.is_some();
        let of_tcp = self.send.is_some() || self.expect.is_some();
        match (&self.http, &self.tcp, &self.exec) {
            (None, None, None) => Err("it says neither http nor tcp nor exec".to_string()),
            (Some(_), None, None) if of_tcp => Err("send and expect belong to tcp".to_string()),
            (None, _, _) if of_http => Err("status, body and host belong to http".to_string()),
            (None, None, Some(_)) if of_tcp => Err("send and expect belong to tcp".to_string()),
            (Some((at, _)), None, None) => Ok(Method::Http {
                port: at.port,
                path: at.path.clone(),
                host: text(&self.host),
                status: self.status.as_ref().map_or(Method::STATUS, |(status, _)| *status),
                body: text(&self.body),
            }),
            (None, Some((port, _)), None) => Ok(Method::Tcp {
                port: *port,
                send: bytes(&self.send),
                expect: bytes(&self.expect),
            }),
            (None, None, Some((argv, _))) => Ok(Method::Exec { argv: argv.clone() }),
            _ => Err("it says more than one of http, tcp and exec".to_string()),
        }
    }

    fn lines(&self, kind: ProbeKind, spec: &ProbeSpec, lines: &mut Vec<(&'static str, String, Option<Source>)>) {
        fn by<T>(it: &Option<(T, Source)>) -> Option<Source> {
            it.as_ref().map(|(_, source)| source.clone())
        }
        let timing = spec.timing();
        let method = by(&self.http).or(by(&self.tcp)).or(by(&self.exec));
        let key = |end| key(kind, end);
        lines.extend([
            (key(""), spec.method().words(), method),
            (key(".period"), shown(timing.period), by(&self.period)),
            (key(".timeout"), shown(timing.timeout), by(&self.timeout)),
            (
                key(".initial-delay"),
                shown(timing.initial_delay),
                by(&self.initial_delay),
            ),
            (
                key(".failure-threshold"),
                timing.failure_threshold.to_string(),
                by(&self.failure_threshold),
            ),
            (
                key(".success-threshold"),
                timing.success_threshold.to_string(),
                by(&self.success_threshold),
            ),
        ]);
    }
}

fn not_read(key: &str, text: &str, wanted: &str) -> String {
    let shown: String = text.trim().chars().take(32).collect();
    format!("label {key}={shown:?} is not understood: want {wanted}; that probe is not run")
}

#[cfg(test)]
mod tests {
    //! What is read, what is not, and which word counts.
    use super::*;
    use alloc::vec;

    fn read(labels: &[(&str, &str)]) -> ProbesInForce {
        read_with(&[], labels)
    }

    fn read_with(classes: &[ProbeWordsOfAll], labels: &[(&str, &str)]) -> ProbesInForce {
        let labels = labels
            .iter()
            .map(|(key, value)| (format!("watchtree.{key}"), value.to_string()));
        let mut remarks = Vec::new();
        let labels = ProbeLabels::read(&labels.collect(), &mut remarks);
        let classes = classes.iter().map(|it| (it, Source::Class(1, "web".to_string())));
        let mut it = ProbesInForce::of(classes, &labels);
        remarks.append(&mut it.remarks);
        it.remarks = remarks;
        it
    }

    fn told(it: &ProbesInForce) -> Vec<String> {
        let lines = it.lines().into_iter();
        let line = |(key, value, source): (&str, String, Option<Source>)| match source {
            Some(source) => format!("{key} {value}: {source}"),
            None => format!("{key} {value}"),
        };
        lines.map(line).chain(it.remarks.iter().cloned()).collect()
    }

    #[test]
    fn each_method_is_read_with_its_defaults() {
        let http = read(&[("liveness.http", ":8080/healthz?x=1"), ("liveness.period", "250ms")]);
        assert_eq!(
            told(&http),
            [
                "liveness http :8080/healthz?x=1: label watchtree.liveness.http",
                "liveness.period 250ms: label watchtree.liveness.period",
                "liveness.timeout 200ms",
                "liveness.initial_delay 0s",
                "liveness.failure_threshold 3",
                "liveness.success_threshold 1",
            ]
        );
        let tcp = read(&[
            ("readiness.tcp", "6379"),
            ("readiness.send", "PING\\r\\n\\x00\\\\"),
            ("readiness.expect", "+PONG"),
        ]);
        let expected = Method::Tcp {
            port: 6379,
            send: b"PING\r\n\0\\".to_vec(),
            expect: b"+PONG".to_vec(),
        };
        let spec = tcp.specs().get(ProbeKind::Readiness).expect("a probe");
        assert_eq!(spec.method(), &expected);
        assert!(tcp.specs().get(ProbeKind::Liveness).is_none());
    }

    #[test]
    fn what_cannot_be_read_is_not_run_and_said() {
        for (labels, said) in [
            (
                vec![("liveness.http", "localhost")],
                "label watchtree.liveness.http=\"localhost\" is not understood: want a port and a path such as :8080/healthz; that \
                 probe is not run",
            ),
            (
                vec![("liveness.http", ":80/"), ("liveness.period", "often")],
                "label watchtree.liveness.period=\"often\" is not understood: want a time such as 10s; that probe is not run",
            ),
            (
                vec![("liveness.period", "1s")],
                "its liveness probe is not run: it says neither http nor tcp nor exec",
            ),
            (
                vec![("liveness.http", ":80/"), ("liveness.tcp", ":81")],
                "its liveness probe is not run: it says more than one of http, tcp and exec",
            ),
            (
                vec![("liveness.http", ":80/"), ("liveness.expect", "x")],
                "its liveness probe is not run: send and expect belong to tcp",
            ),
            (
                vec![("liveness.exec", "/check"), ("liveness.period", "500ms")],
                "its liveness probe is not run: the period of an exec probe must be 1s or longer",
            ),
            (
                vec![("liveness.http", ":80/"), ("liveness.success-threshold", "2")],
                "its liveness probe is not run: the success threshold must be 1 but for readiness",
            ),
            (
                vec![("liveness", "on"), ("liveness.http", ":80/")],
                "label watchtree.liveness=\"on\" is not understood: want off; that probe is not run",
            ),
        ] {
            assert_eq!(told(&read(&labels)), [said]);
        }
    }

    #[test]
    fn the_nearest_word_counts_and_a_nearer_method_takes_the_place_of_a_further_one() {
        let mut class = ProbeWordsOfAll::default();
        class[ProbeKind::Liveness as usize] = ProbeWords {
            http: read_http(":80/healthz"),
            body: read_text("fine"),
            period: read_duration("2s"),
            failure_threshold: Some(5),
            ..ProbeWords::default()
        };
        let of = |labels: &[(&str, &str)]| told(&read_with(&[class.clone()], labels));
        let lines = of(&[("liveness.failure-threshold", "2")]);
        assert_eq!(lines[0], "liveness http :80/healthz: class 1 (web)");
        assert_eq!(
            lines[4],
            "liveness.failure_threshold 2: label watchtree.liveness.failure-threshold"
        );
        let lines = of(&[("liveness.tcp", ":81")]);
        assert_eq!(lines[0], "liveness tcp :81: label watchtree.liveness.tcp");
        assert_eq!(lines[1], "liveness.period 2s: class 1 (web)");
        assert_eq!(of(&[("liveness", "off")]), [""; 0]);
        assert_eq!(of(&[("liveness.tcp", "x")]).len(), 1, "not the one of the class either");
        let times = ProbeWords {
            period: read_duration("2s"),
            ..ProbeWords::default()
        };
        let none = read_with(&[ProbeWordsOfAll::default(), [(); 3].map(|()| times.clone())], &[]);
        assert_eq!(told(&none), [""; 0], "it says how often, and nobody says what");
        assert_eq!(class[1].check(ProbeKind::Liveness), Ok(()));
        let bad = ProbeWords {
            success_threshold: Some(2),
            ..class[1].clone()
        };
        assert!(bad.check(ProbeKind::Liveness).is_err());
    }

    #[test]
    fn every_label_is_known_by_its_name() {
        let all: Vec<&str> = labels().collect();
        assert_eq!(all.len(), 3 * ENDS.len());
        assert!(all.iter().all(|key| key.starts_with("watchtree.")));
        assert!(all.contains(&"watchtree.startup.failure-threshold") && all.contains(&"watchtree.readiness"));
    }
}
