//! Child processes that never outlive their test.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::eventually;

/// Becomes its arguments on a terminal of its own.
pub(crate) const ON_A_TERMINAL: [&str; 3] = [
    "python3",
    "-c",
    "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))",
];

/// A command that the kernel ends with the thread that started it, even when that is killed.
/// `setpriv` becomes the program, so the pid is the program's.
pub(crate) fn command(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--"]).arg(program);
    command.stdin(Stdio::null());
    command
}

/// A running child; dropping it kills it.
pub(crate) struct Process {
    child: Child,
    output: PathBuf,
    errors: PathBuf,
}

impl Process {
    /// Starts it with its output going to files in `directory`.
    pub(crate) fn start(mut command: Command, directory: &Path, name: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let output = directory.join(format!("{name}-{number}.out"));
        let errors = directory.join(format!("{name}-{number}.err"));
        let child = command
            .stdout(File::create(&output).expect("a file"))
            .stderr(File::create(&errors).expect("a file"))
            .spawn()
            .expect("the program starts");
        Self {
            child,
            output,
            errors,
        }
    }

    /// Standard output so far.
    pub(crate) fn output(&self) -> String {
        read(&self.output)
    }

    /// Standard error so far.
    pub(crate) fn errors(&self) -> String {
        read(&self.errors)
    }

    /// The URL on the first line of standard output.
    pub(crate) fn url(&mut self) -> String {
        eventually(Duration::from_mins(1), || {
            let output = self.output();
            let Some((line, _)) = output.split_once('\n') else {
                assert!(self.ended().is_none(), "it ended: {}", self.errors());
                return Err(format!("no line yet; {}", self.errors()));
            };
            let start = line
                .find("http://")
                .unwrap_or_else(|| panic!("no URL in {line:?}"));
            let rest = &line[start..];
            let end = rest
                .char_indices()
                .skip("http://".len())
                .find(|(_, one)| !one.is_ascii_alphanumeric() && !".:[]-".contains(*one))
                .map_or(rest.len(), |(at, _)| at);
            Ok(rest[..end].to_owned())
        })
    }

    /// The origin of a worker's admin HTTP, out of its log.
    pub(crate) fn admin(&self) -> String {
        eventually(Duration::from_mins(1), || {
            let errors = self.errors();
            let line = errors.lines().find(|line| line.contains("\"admin HTTP\""));
            let listen = line.and_then(|line| line.split_once("\"listen\":\"")?.1.split_once('"'));
            listen
                .map(|(listen, _)| format!("http://{listen}"))
                .ok_or_else(|| tail(&errors))
        })
    }

    /// Waits until the log, or whatever else is on standard error, holds this text.
    pub(crate) fn await_log(&self, text: &str) {
        eventually(Duration::from_mins(4), || match self.errors() {
            errors if errors.contains(text) => Ok(()),
            errors => Err(format!("no {text:?} in: {}", tail(&errors))),
        });
    }

    /// Waits until `/readyz` of a worker has this status.
    pub(crate) fn await_readyz(&self, wanted: u16) {
        let admin = self.admin();
        eventually(Duration::from_secs(30), || {
            match super::http::status(&admin, "/readyz") {
                status if status == wanted => Ok(()),
                status => Err(format!("/readyz: {status}; {}", tail(&self.errors()))),
            }
        });
    }

    /// Waits until a worker takes no users and names this cause.
    pub(crate) fn await_not_ready(&self, cause: &str) {
        let admin = self.admin();
        eventually(
            Duration::from_mins(1),
            || match super::http::not_ready_because(&admin) {
                Some(causes) if causes.contains(cause) => Ok(()),
                causes => Err(format!(
                    "no {cause:?} in {causes:?}; {}",
                    tail(&self.errors())
                )),
            },
        );
    }

    /// Waits until a worker takes users.
    pub(crate) fn await_ready(&self) {
        let admin = self.admin();
        eventually(
            Duration::from_secs(45),
            || match super::http::not_ready_because(&admin) {
                None => Ok(()),
                Some(causes) => Err(format!("{causes}; {}", tail(&self.errors()))),
            },
        );
    }

    /// Sends a signal, e.g. `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("/bin/kill")
            .args(["-s", name, &self.child.id().to_string()])
            .status();
        assert!(
            sent.expect("kill runs").success(),
            "the process is there to take SIG{name}"
        );
    }

    /// Sets a limit, e.g. `--nofile=20:` for only the soft one.
    pub(crate) fn limit(&self, limit: &str) {
        let set = Command::new("prlimit")
            .args(["--pid", &self.child.id().to_string(), limit])
            .status();
        assert!(set.expect("prlimit runs").success(), "{limit} is set");
    }

    /// The most memory that it had resident, in MiB, as the kernel counts it.
    pub(crate) fn peak_mib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()));
        let status = status.expect("a process");
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = peak.and_then(|peak| peak.trim().strip_suffix(" kB"));
        kib.and_then(|kib| kib.parse::<u64>().ok()).expect("a size") / 1024
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// How many files and connections it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id()))
            .expect("a process")
            .count()
    }

    /// How it ended, if it did.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child")
    }

    /// Waits for its end.
    pub(crate) fn end(&mut self, deadline: Duration) -> ExitStatus {
        eventually(deadline, || {
            self.ended()
                .ok_or_else(|| format!("it still runs: {}", tail(&self.errors())))
        })
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait()
            && let Err(error) = self.child.kill().and_then(|()| self.child.wait())
        {
            eprintln!("a child could not be ended: {error}");
        }
    }
}

fn read(path: &Path) -> String {
    String::from_utf8_lossy(&fs::read(path).expect("a file")).into_owned()
}

/// The last lines, which say most.
pub(crate) fn tail(text: &str) -> String {
    last(text, 15)
}

/// The last `count` lines.
pub(crate) fn last(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].join("\n")
}
