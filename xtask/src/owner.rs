//! The owner of something that a run made: the very process, not its number alone, which may be given away again.
//!
//! Its text form is written on everything that demo and bench make. It does not know engines and folders.

use anyhow::{Context, Result};
use std::path::Path;

/// A process, told apart from all others of this machine, also after its number was given away again.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Owner {
    boot: String,
    /// Numbers mean something in their namespace only.
    namespace: String,
    pid: u32,
    /// In the kernel's ticks since boot.
    start: u64,
}

impl Owner {
    /// This process.
    ///
    /// # Errors
    /// There is no `/proc`.
    pub(crate) fn me() -> Result<Self> {
        Self::of(std::process::id())
    }

    fn of(pid: u32) -> Result<Self> {
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").context("the boot id")?;
        let namespace = std::fs::read_link("/proc/self/ns/pid").context("the namespace of processes")?;
        let digits = |name: &Path| name.to_string_lossy().chars().filter(char::is_ascii_digit).collect();
        Ok(Self {
            boot: boot.trim().to_owned(),
            namespace: digits(&namespace),
            pid,
            start: start_of(pid).with_context(|| format!("process {pid} has ended"))?,
        })
    }

    /// False only if it has certainly ended. Of a process in another namespace nothing is known.
    pub(crate) fn may_live(&self) -> Result<bool> {
        let me = Self::me()?;
        Ok(self.boot == me.boot && (self.namespace != me.namespace || start_of(self.pid) == Some(self.start)))
    }

    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut words = text.trim().split(':');
        let owner = Self {
            boot: words.next()?.to_owned(),
            namespace: words.next()?.to_owned(),
            pid: words.next()?.parse().ok()?,
            start: words.next()?.parse().ok()?,
        };
        words.next().is_none().then_some(owner)
    }
}

impl std::fmt::Display for Owner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}:{}", self.boot, self.namespace, self.pid, self.start)
    }
}

/// When a process was started; `None` if there is none, or only a body that nobody has fetched.
fn start_of(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in brackets may hold anything, brackets too.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    let state = fields.next()?;
    // Field 22 of all; the state is field 3.
    fields.nth(18)?.parse().ok().filter(|_| state != "Z")
}

#[cfg(test)]
mod tests {
    use super::Owner;
    use std::process::Command;

    #[test]
    fn an_owner_is_one_process_and_no_other_of_its_number() {
        let me = Owner::me().expect("there is a /proc");
        assert_eq!(Owner::parse(&me.to_string()), Some(me.clone()));
        assert!(me.may_live().expect("it can be asked"));
        let dead = |change: &dyn Fn(&mut Owner)| {
            let mut other = me.clone();
            change(&mut other);
            !other.may_live().expect("it can be asked")
        };
        assert!(dead(&|owner| owner.start += 1), "the number was given away again");
        assert!(dead(&|owner| owner.boot = "another".to_owned()));
        assert!(
            !dead(&|owner| {
                owner.namespace = "1".to_owned();
                owner.start += 1;
            }),
            "nothing is known of another namespace"
        );
        let mut child = Command::new("true").spawn().expect("it starts");
        let of_child = Owner::of(child.id());
        child.wait().expect("it ends");
        // It may have ended before it could be looked at: then it has no owner, which is as good.
        assert!(of_child.is_err() || !of_child.is_ok_and(|owner| owner.may_live().expect("it can be asked")));
        for bad in ["", "a:b:c", "a:b:1:2:3", "a:b:x:2"] {
            assert_eq!(Owner::parse(bad), None);
        }
    }
}
