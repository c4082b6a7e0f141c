//! Who holds a lease, and whether that process still lives.

use std::fs;

/// A process, named so that another process on the same machine can tell whether it still lives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    /// The machine's name, for people.
    pub(super) host: String,
    /// The machine since its last start, and the space its process numbers belong to: a container has its own.
    pub(super) machine: String,
    /// The process number and, since numbers are used again, when the process started.
    pub(super) process: String,
}

impl Owner {
    /// This process.
    pub(super) fn this_process() -> Self {
        let read = |path: &str| fs::read_to_string(path).map(|text| text.trim().to_owned()).ok();
        let host = read("/proc/sys/kernel/hostname")
            .or_else(|| read("/etc/hostname"))
            .unwrap_or_else(|| "unknown host".to_owned());
        let boot = read("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let space = fs::read_link("/proc/self/ns/pid").map(|link| link.display().to_string()).unwrap_or_default();
        let pid = std::process::id();
        let process = match started(pid) {
            Some(start) => format!("{pid}@{start}"),
            None => pid.to_string(),
        };
        Self { machine: format!("{host} {boot} {space}"), host, process }
    }

    /// Whether `other` is a process of this machine that has certainly ended. What cannot be known counts as alive: its lease
    /// then ends by its time.
    pub(super) fn knows_dead(&self, other: &Owner) -> bool {
        if self.machine != other.machine || !self.process.contains('@') {
            return false;
        }
        let Some((pid, start)) = other.process.split_once('@') else {
            return false;
        };
        pid.parse().is_ok_and(|pid: u32| started(pid).as_deref() != Some(start))
    }

    /// `process 4711 on db1`.
    pub(super) fn describe(&self) -> String {
        let pid = self.process.split('@').next().unwrap_or_default();
        format!("process {pid} on {}", self.host)
    }
}

/// When a process started, in ticks since the machine did; `None` where there is no such process, or no way to know.
fn started(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The program's name is in parentheses and may hold anything; the state is the first field behind it, the start the 20th.
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace();
    if fields.next()? == "Z" {
        return None;
    }
    fields.nth(18).map(str::to_owned)
}
