//! Process metrics from the operating system.

use super::families::Metric;
use super::sheet::Sheet;

/// Adds the process metrics; none on systems other than Linux.
#[cfg(target_os = "linux")]
pub(super) fn put(sheet: &mut Sheet) {
    use rustix::process::{Resource, getrlimit};

    /// Linux counts for programs in hundredths of a second, whatever the kernel itself uses.
    const TICKS: f64 = 100.0;

    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    if let Some(stat) = Stat::parse(&read("/proc/self/stat")) {
        sheet.number(Metric::ProcessCpu, &[], stat.processor_ticks as f64 / TICKS);
        sheet.count(Metric::ProcessVirtual, &[], stat.virtual_bytes);
        sheet.number(Metric::ProcessThreads, &[], stat.threads as f64);
        if let Some(boot) = boot_time(&read("/proc/stat")) {
            sheet.number(Metric::ProcessStart, &[], boot as f64 + stat.start_ticks as f64 / TICKS);
        }
    }
    if let Some(resident) = resident(&read("/proc/self/status")) {
        sheet.count(Metric::ProcessResident, &[], resident);
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // Reading the folder has opened one more.
        sheet.count(Metric::ProcessOpenFds, &[], (open.count() as u64).saturating_sub(1));
    }
    if let Some(most) = getrlimit(Resource::Nofile).current {
        sheet.count(Metric::ProcessMaxFds, &[], most);
    }
}

/// Adds the process metrics; none on systems other than Linux.
#[cfg(not(target_os = "linux"))]
pub(super) fn put(_: &mut Sheet) {}

/// The fields used of `/proc/self/stat` (proc_pid_stat(5)).
#[cfg(target_os = "linux")]
#[derive(PartialEq, Eq, Debug)]
struct Stat {
    /// In user and in system mode.
    processor_ticks: u64,
    threads: u64,
    /// Ticks from the boot of the machine to the start of the process.
    start_ticks: u64,
    virtual_bytes: u64,
}

#[cfg(target_os = "linux")]
impl Stat {
    fn parse(text: &str) -> Option<Stat> {
        // The name of the program, the second field, may contain spaces and parentheses. The third one follows it.
        let (_, fields) = text.rsplit_once(')')?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        Some(Stat {
            processor_ticks: field(14)? + field(15)?,
            threads: field(20)?,
            start_ticks: field(22)?,
            virtual_bytes: field(23)?,
        })
    }
}

/// Bytes in memory, from `/proc/self/status`.
#[cfg(target_os = "linux")]
fn resident(text: &str) -> Option<u64> {
    let kilobytes = text.lines().find_map(|line| line.strip_prefix("VmRSS:"))?.trim().strip_suffix("kB")?;
    kilobytes.trim().parse::<u64>().ok().map(|kilobytes| kilobytes * 1024)
}

/// Time of the machine's boot in Unix seconds, from `/proc/stat`.
#[cfg(target_os = "linux")]
fn boot_time(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix("btime "))?.trim().parse().ok()
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn fields_are_counted_behind_the_name_whatever_it_contains() {
        let text = "4242 (post) rider (1)) S 1 4242 4242 0 -1 4194304 2461 0 3 0 71 29 5 7 20 0 9 0 8712 150994944 \
                    4096 18446744073709551615 1 1 0 0 0 0 0 4096 17642 0 0 0 17 1 0 0 0 0 0\n";
        let stat = Stat { processor_ticks: 100, threads: 9, start_ticks: 8712, virtual_bytes: 150_994_944 };
        assert_eq!(Stat::parse(text), Some(stat));
        assert_eq!(Stat::parse("4242 (postrider) S 1 4242"), None);
    }

    #[test]
    fn resident_memory_is_in_kilobytes() {
        assert_eq!(resident("VmHWM:\t   91234 kB\nVmRSS:\t   81236 kB\nThreads:\t9\n"), Some(83_185_664));
        assert_eq!(resident("Threads:\t9\n"), None);
    }

    #[test]
    fn the_boot_time_is_a_line_of_its_own() {
        assert_eq!(boot_time("cpu  1 2 3\nctxt 12\nbtime 1790000000\nprocesses 7\n"), Some(1_790_000_000));
        assert_eq!(boot_time("cpu  1 2 3\n"), None);
    }
}
