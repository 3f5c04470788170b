//! The unit files are what systemd takes, and stay as locked up as they are. Skipped where there is no systemd-analyze
//! and `CI` is not set.

use anyhow::{Context, Result, ensure};
use std::path::PathBuf;
use std::process::Command;

/// Highest exposure that systemd may see (0 = locked up, 10 = open), in tenths.
const EXPOSURE_MAX: [(&str, u32); 2] = [("host-watchdog", 30), ("manager-watchdog", 23)];

fn unit(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/systemd")).join(format!("{name}.service"))
}

fn analyze(arguments: &[&str]) -> Option<String> {
    let output = Command::new("systemd-analyze").args(arguments).output();
    let Ok(output) = output else {
        assert!(
            std::env::var_os("CI").is_none(),
            "CI is set, and systemd-analyze cannot be started: {output:?}"
        );
        eprintln!("skipped: there is no systemd-analyze here");
        return None;
    };
    Some(String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr))
}

#[test]
fn systemd_knows_every_setting() -> Result<()> {
    for (name, _) in EXPOSURE_MAX {
        let path = unit(name).display().to_string();
        let Some(said) = analyze(&["verify", &path]) else {
            return Ok(());
        };
        // The programs are not installed where this runs.
        let mistakes: Vec<&str> = said
            .lines()
            .filter(|line| line.contains(name) && !line.contains("is not executable") && !line.contains("man "))
            .collect();
        ensure!(mistakes.is_empty(), "{mistakes:?}");
    }
    Ok(())
}

#[test]
fn exposure_does_not_grow() -> Result<()> {
    for (name, most) in EXPOSURE_MAX {
        let path = unit(name).display().to_string();
        let Some(said) = analyze(&["security", "--offline=true", "--no-pager", &path]) else {
            return Ok(());
        };
        let line = said
            .lines()
            .find(|line| line.contains("Overall exposure level"))
            .context("no verdict")?;
        let level = line
            .split(": ")
            .nth(1)
            .and_then(|rest| rest.split(' ').next())
            .context("no number")?;
        let tenths: f64 = level.parse::<f64>()? * 10.0;
        ensure!(
            tenths.round() <= f64::from(most),
            "{name}: {level} is more than {most} tenths"
        );
    }
    Ok(())
}
