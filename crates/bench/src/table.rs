//! Result of a measurement: figure, ceiling, ratio, target, and whether it is reached.

#![expect(clippy::print_stdout, reason = "the output of a program for a person's eyes")]

use crate::plan::Plan;

/// Target of a figure.
#[derive(Clone, Copy)]
pub(crate) enum Aim {
    /// Minimum ratio.
    RatioAtLeast(f64),
    /// The ratio at most so much.
    RatioAtMost(f64),
    /// Minimum figure.
    AtLeast(f64),
    /// Maximum figure.
    AtMost(f64),
    /// None: for information only.
    None,
}

/// A row.
pub(crate) struct Row {
    pub(crate) name: String,
    pub(crate) figure: f64,
    pub(crate) unit: &'static str,
    /// The machine's ceiling without the platform, in the same unit.
    pub(crate) ceiling: Option<f64>,
    /// Median of the rounds' ratios, which is more meaningful than the ratio of the medians on a machine under other
    /// load.
    pub(crate) ratio: Option<f64>,
    pub(crate) aim: Aim,
}

/// The table, printed row by row.
pub(crate) struct Table {
    aims: usize,
    reached: usize,
}

impl Table {
    pub(crate) fn start(plan: &Plan) -> Table {
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        println!(
            "{cores} cores, producers and receivers included; events of {} bytes; {} rounds of {:.1} s, medians; in {}",
            crate::sample::EVENT_BYTES,
            plan.rounds,
            plan.round.as_secs_f64(),
            plan.folder.display()
        );
        println!("{:<46} {:>18} {:>18} {:>7} {:>10}  reached", "", "figure", "ceiling", "ratio", "aim");
        Table { aims: 0, reached: 0 }
    }

    pub(crate) fn row(&mut self, row: &Row) {
        let of = |number: f64| match number {
            large if large >= 1000.0 => format!("{large:.0} {}", row.unit),
            small => format!("{small:.2} {}", row.unit),
        };
        let (aim, reached) = match row.aim {
            Aim::None => (String::new(), None),
            Aim::RatioAtLeast(ratio) => (format!("≥ {ratio}"), Some(row.ratio.is_some_and(|is| is >= ratio))),
            Aim::RatioAtMost(ratio) => (format!("≤ {ratio}"), Some(row.ratio.is_some_and(|is| is <= ratio))),
            Aim::AtLeast(least) => (format!("≥ {least:.0}"), Some(row.figure >= least)),
            Aim::AtMost(most) => (format!("≤ {most:.2}"), Some(row.figure <= most)),
        };
        if let Some(reached) = reached {
            self.aims += 1;
            self.reached += usize::from(reached);
        }
        println!(
            "{:<46} {:>18} {:>18} {:>7} {:>10}  {}",
            row.name,
            of(row.figure),
            row.ceiling.map(of).unwrap_or_default(),
            row.ratio.map(|ratio| format!("{ratio:.3}")).unwrap_or_default(),
            aim,
            match reached {
                None => "",
                Some(true) => "yes",
                Some(false) => "NO",
            }
        );
    }

    /// Prints the number of targets reached; whether these are all.
    pub(crate) fn end(&self) -> bool {
        println!("{} of {} targets reached", self.reached, self.aims);
        self.reached == self.aims
    }
}

/// Median of the figures.
pub(crate) fn median(figures: &[f64]) -> f64 {
    share(figures, 0.5)
}

/// Quantile of the figures.
pub(crate) fn share(figures: &[f64], share: f64) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    sorted.get((sorted.len() as f64 * share) as usize).or(sorted.last()).copied().unwrap_or(f64::NAN)
}
