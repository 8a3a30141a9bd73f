//! A running part: stopped when dropped, and by the kernel when the test program dies.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{self, Sender};

use anyhow::{Context, anyhow};
use rustix::process::{Pid, Signal, kill_process};

/// A running part.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

type Start = (Command, Sender<std::io::Result<Child>>);

/// The kernel kills a part when the *thread* that started it ends (`PR_SET_PDEATHSIG`). Tests have threads of their
/// own, so one thread that lives as long as the program starts all parts.
fn starter() -> &'static Sender<Start> {
    static STARTER: OnceLock<Sender<Start>> = OnceLock::new();
    STARTER.get_or_init(|| {
        let (sender, receiver) = mpsc::channel::<Start>();
        std::thread::spawn(move || {
            for (mut command, answer) in receiver {
                // The caller may be gone.
                _ = answer.send(command.spawn());
            }
        });
        sender
    })
}

impl Process {
    /// Starts `command`; its output goes to `log`.
    pub fn start(command: &Command, log: &Path) -> anyhow::Result<Process> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut guarded = Command::new("setpriv");
        guarded.args(["--pdeathsig", "KILL"]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => guarded.env(name, value),
                None => guarded.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            guarded.current_dir(folder);
        }
        guarded.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        let (answer, answered) = mpsc::channel();
        starter().send((guarded, answer)).map_err(|_| anyhow!("the thread that starts parts is gone"))?;
        let child = answered.recv()?.with_context(|| format!("cannot start {name} by setpriv (util-linux)"))?;
        Ok(Process { child, log: log.to_owned() })
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Its output so far.
    pub fn printed(&self) -> String {
        std::fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Asks it to stop (SIGTERM), and waits until it has.
    pub fn terminate(mut self) -> anyhow::Result<ExitStatus> {
        self.signal(Signal::TERM)?;
        Ok(self.child.wait()?)
    }

    /// Kills it (SIGKILL), and waits until it is gone.
    pub fn kill(mut self) -> anyhow::Result<ExitStatus> {
        self.child.kill()?;
        Ok(self.child.wait()?)
    }

    /// Suspends it until [`Process::thaw`].
    pub fn freeze(&self) -> anyhow::Result<()> {
        self.signal(Signal::STOP)?;
        // The signal takes effect with a delay.
        let status = format!("/proc/{}/stat", self.id());
        while !std::fs::read_to_string(&status)?.contains(") T ") {
            std::thread::yield_now();
        }
        Ok(())
    }

    /// Continues it.
    pub fn thaw(&self) -> anyhow::Result<()> {
        self.signal(Signal::CONT)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).context("it has no process id")?;
        Ok(kill_process(pid, signal)?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended by itself.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}
