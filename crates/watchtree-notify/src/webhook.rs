//! A webhook: one JSON POST for each notification. The system's root certificates are used for https.

use crate::{Deliver, Failed};
use std::time::Duration;
use ureq::Agent;
use ureq::tls::{RootCerts, TlsConfig};

/// See the file's head.
#[derive(Debug)]
pub struct Webhook {
    agent: Agent,
    url: String,
}

impl Webhook {
    /// Posts to that URL; `deadline` = time for one attempt, answer included.
    pub fn new(url: &str, deadline: Duration) -> Self {
        let tls = TlsConfig::builder().root_certs(RootCerts::PlatformVerifier).build();
        let config = Agent::config_builder()
            .timeout_global(Some(deadline))
            .max_redirects(0)
            .user_agent(concat!("watchtree/", env!("CARGO_PKG_VERSION")))
            .tls_config(tls);
        Self {
            agent: config.build().into(),
            url: url.to_owned(),
        }
    }
}

impl Deliver for Webhook {
    fn deliver(&mut self, body: &str) -> Result<(), Failed> {
        let request = self.agent.post(&self.url).header("content-type", "application/json");
        match request.send(body) {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(answered(answer.status().as_u16())),
            Err(ureq::Error::StatusCode(code)) => Err(answered(code)),
            Err(error) => Err(Failed {
                why: error.to_string(),
                is_worth_a_retry: true,
            }),
        }
    }
}

/// 400, 401, 404, … are a no to this body.
fn answered(code: u16) -> Failed {
    Failed {
        why: format!("answered {code}"),
        is_worth_a_retry: !(400..500).contains(&code) || matches!(code, 408 | 425 | 429),
    }
}
