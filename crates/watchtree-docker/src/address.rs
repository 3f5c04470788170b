//! The address of a container, out of an inspection: for where its network cannot be entered.

use bollard::models::{HostConfig, NetworkSettings};
use std::net::{IpAddr, Ipv4Addr};

/// Of the first of its networks, by name, that has one; this machine's own where it is in its network.
pub(crate) fn address(host: &HostConfig, settings: Option<NetworkSettings>) -> Option<IpAddr> {
    if host.network_mode.as_deref() == Some("host") {
        return Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let mut networks: Vec<_> = settings?.networks?.into_iter().collect();
    networks.sort_by(|(a, _), (b, _)| a.cmp(b));
    let mut addresses = networks.into_iter().flat_map(|(_, network)| {
        let texts = [network.ip_address, network.global_ipv6_address];
        texts.into_iter().flatten().filter_map(|text| text.parse().ok())
    });
    addresses.next()
}

#[cfg(test)]
mod tests {
    //! What engines write there.
    use super::*;

    #[test]
    fn the_first_network_that_has_one() {
        let of = |mode: &str, settings: &str| {
            let host = HostConfig {
                network_mode: Some(mode.to_owned()),
                ..HostConfig::default()
            };
            let settings = serde_json::from_str(settings).expect("settings");
            address(&host, Some(settings)).map(|it| it.to_string())
        };
        let two = r#"{"Networks": {"b": {"IPAddress": "172.18.0.2"}, "a": {"IPAddress": ""}}}"#;
        assert_eq!(of("b", two).as_deref(), Some("172.18.0.2"));
        let six = r#"{"Networks": {"a": {"IPAddress": "", "GlobalIPv6Address": "2001:db8::2"}}}"#;
        assert_eq!(of("a", six).as_deref(), Some("2001:db8::2"));
        assert_eq!(
            of("host", r#"{"Networks": {"host": {"IPAddress": ""}}}"#).as_deref(),
            Some("127.0.0.1")
        );
        assert_eq!(of("none", r#"{"Networks": {"none": {"IPAddress": ""}}}"#), None);
        assert_eq!(of("container:7d3d", r#"{}"#), None);
    }
}
