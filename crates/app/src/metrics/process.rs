//! Process metrics from the operating system.

use super::families::Metric;
use super::sheet::Sheet;

/// Adds the process metrics; none on systems other than Linux.
#[cfg(target_os = "linux")]
pub(super) fn put(sheet: &mut Sheet) {
    use procfs::process::{LimitValue, Process};
    use procfs::{WithCurrentSystemInfo, boot_time_secs, ticks_per_second};

    let Ok(me) = Process::myself() else { return };
    if let Ok(stat) = me.stat() {
        let ticks = ticks_per_second() as f64;
        sheet.number(Metric::ProcessCpu, &[], (stat.utime + stat.stime) as f64 / ticks);
        sheet.count(Metric::ProcessResident, &[], stat.rss_bytes().get());
        sheet.count(Metric::ProcessVirtual, &[], stat.vsize);
        sheet.number(Metric::ProcessThreads, &[], stat.num_threads as f64);
        if let Ok(boot) = boot_time_secs() {
            sheet.number(Metric::ProcessStart, &[], boot as f64 + stat.starttime as f64 / ticks);
        }
    }
    if let Ok(open) = me.fd_count() {
        sheet.count(Metric::ProcessOpenFds, &[], open as u64);
    }
    if let Ok(limits) = me.limits()
        && let LimitValue::Value(most) = limits.max_open_files.soft_limit
    {
        sheet.count(Metric::ProcessMaxFds, &[], most);
    }
}

/// Adds the process metrics; none on systems other than Linux.
#[cfg(not(target_os = "linux"))]
pub(super) fn put(_: &mut Sheet) {}
