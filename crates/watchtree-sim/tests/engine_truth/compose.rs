//! docker-compose 1.29, as the recordings show it: a client that calls the API in an order of its own. It plays on the model
//! through the player; the time that compose itself takes is that of the recording.

use crate::player::Player;
use crate::rows::Act;
use serde_json::{Value, json};
use watchtree_core::container::io::RestartPolicy;
use watchtree_core::time::Duration;
use watchtree_sim::state::engine::{Spec, Verb, Version};

const NETWORK: &str = "truth_default";
/// `stop_grace_period` of the service.
const GRACE: Duration = Duration::from_secs(1);

/// Between an answer and compose's next call.
const BETWEEN: Duration = Duration::from_millis(10);

fn name(number: usize) -> String {
    format!("truth_web_{number}")
}

impl Player<'_> {
    /// One command line; its answer is compose's exit code.
    pub(crate) fn compose(&mut self, act: &Act) -> Value {
        let began = self.now;
        self.compose_thinks();
        let words: Vec<&str> = act.words().collect();
        let (image, command) = (words[0], words[1]);
        let timeout = words.iter().position(|word| *word == "-t");
        let timeout = timeout.map_or(GRACE, |at| Duration::from_secs(words[at + 1].parse().expect("seconds")));
        let there: Vec<usize> = (1..=9).filter(|n| self.engine.find_name(&name(*n)).is_some()).collect();
        let exit_code = match command {
            "up" => self.up(image, &words, &there),
            "start" => self.each(&there, |_| Verb::Start),
            "pause" => self.each(&there, |_| Verb::Pause),
            "unpause" => self.each(&there, |_| Verb::Unpause),
            "rm" => self.each(&there, |_| Verb::Remove { force: false }),
            "restart" => self.each(&there, |_| Verb::Restart(Some(timeout))),
            "stop" => self.each(&there, |_| Verb::Stop(Some(timeout))),
            "kill" => self.each(&there, |_| Verb::Kill(9)),
            "down" => {
                self.each(&there, |_| Verb::Stop(Some(timeout)));
                self.each(&there, |_| Verb::Remove { force: false })
            }
            other => panic!("compose {other} is not known to the player of the model"),
        };
        if let Some(ms) = act.number("interrupt_ms") {
            // A person's Ctrl-C where `up` stays and listens.
            self.run_until(began + Duration::from_millis(ms));
            self.each(&[1], |_| Verb::Stop(Some(timeout)));
        }
        json!({ "exit_code": exit_code })
    }

    /// Until the first call that an event tells of.
    fn compose_thinks(&mut self) {
        // It may find nothing to do.
        let first = self.recorded_times().min().unwrap_or_else(|| self.recorded_took());
        self.run_until(self.now + Duration::from_millis(first));
    }

    fn each(&mut self, there: &[usize], verb: impl Fn(usize) -> Verb) -> u8 {
        for number in there {
            self.call(&name(*number), verb(*number), 204);
            self.run_until(self.now + BETWEEN);
        }
        0
    }

    fn up(&mut self, image: &str, words: &[&str], there: &[usize]) -> u8 {
        let scale = words.iter().find_map(|word| word.strip_prefix("web:"));
        let wanted: usize = scale.map_or(1, |count| count.parse().expect("a number of containers"));
        for number in there {
            if wanted < *number {
                self.each(&[*number], |_| Verb::Stop(Some(GRACE)));
                self.each(&[*number], |_| Verb::Remove { force: false });
                continue;
            }
            let place = self.engine.find_name(&name(*number)).expect("it is there");
            let same = self.engine.spec(place).labels.get("image").map(String::as_str) == Some(image);
            if !same || words.contains(&"--force-recreate") {
                let made = self.recreate(image, *number);
                if made != 0 {
                    return made;
                }
            } else {
                self.each(&[*number], |_| Verb::Start);
            }
        }
        for number in (1..=wanted).filter(|number| !there.contains(number)) {
            self.make(image, number);
            if !words.contains(&"--no-start") {
                self.each(&[number], |_| Verb::Start);
            }
        }
        0
    }

    fn make(&mut self, image: &str, number: usize) {
        let mut spec = Spec::named(&name(number));
        spec.policy = RestartPolicy::Always;
        spec.stop_timeout = Some(GRACE);
        spec.networks.push(NETWORK.to_owned());
        spec.labels.insert("image".into(), image.into());
        self.create(spec);
    }

    /// Stop, set aside under another name, create, start, remove the old one. Between the second and the third compose 1.29
    /// reads a field of the image that 26.1 does not give any more, and ends there.
    fn recreate(&mut self, image: &str, number: usize) -> u8 {
        let old = name(number);
        let aside = format!("{}_{old}", self.short_id(&old));
        self.each(&[number], |_| Verb::Stop(Some(GRACE)));
        self.rename(&old, &aside);
        if self.recording.version == Version::V26_1 {
            return 1;
        }
        self.make(image, number);
        self.each(&[number], |_| Verb::Start);
        self.call(&aside, Verb::Remove { force: false }, 204);
        0
    }
}
