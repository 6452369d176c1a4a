//! Figures: what each round measured, medians, and how contestants compare.

use std::fmt;

use serde_json::{Value, json};

use crate::table;

/// Which of two figures is the better one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

/// One figure of one case, measured in each round.
#[derive(Debug, Clone)]
pub(crate) struct Figure {
    pub(crate) case: String,
    pub(crate) name: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
    pub(crate) rounds: Vec<f64>,
    pub(crate) ratios: Vec<Ratio>,
}

/// How many times better a figure is than that of another case.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ratio {
    pub(crate) to: String,
    pub(crate) times: f64,
}

impl Figure {
    pub(crate) fn median(&self) -> f64 {
        median(&self.rounds)
    }

    pub(crate) fn min(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::INFINITY, f64::min)
    }

    pub(crate) fn max(&self) -> f64 {
        self.rounds.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    /// The median of the ratios in each round, in which both had the same machine.
    fn times_better_than(&self, other: &Self) -> f64 {
        let ratio = |(mine, theirs): (&f64, &f64)| match self.better {
            Better::More => mine / theirs,
            Better::Less => theirs / mine,
        };
        median(&self.rounds.iter().zip(&other.rounds).map(ratio).collect::<Vec<_>>())
    }
}

/// The figures of a subcommand, in the order in which they were first measured.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// What the figures are about, where a subcommand has several tables.
    pub(crate) title: String,
    pub(crate) figures: Vec<Figure>,
    /// What a reader must know to judge the figures.
    pub(crate) notes: Vec<String>,
}

impl Report {
    /// Adds what a round measured.
    pub(crate) fn add(&mut self, case: &str, name: &str, unit: &'static str, better: Better, value: f64) {
        let known = self.figures.iter_mut().find(|figure| figure.case == case && figure.name == name);
        match known {
            Some(figure) => figure.rounds.push(value),
            None => self.figures.push(Figure {
                case: case.to_owned(),
                name: name.to_owned(),
                unit,
                better,
                rounds: vec![value],
                ratios: Vec::new(),
            }),
        }
    }

    pub(crate) fn find(&self, case: &str, name: &str) -> Option<&Figure> {
        self.figures.iter().find(|figure| figure.case == case && figure.name == name)
    }

    /// Compares the figure of one case with that of another.
    pub(crate) fn compare(&mut self, name: &str, case: &str, to: &str) {
        let Some(other) = self.find(to, name).cloned() else { return };
        let figure = self.figures.iter_mut().find(|figure| figure.case == case && figure.name == name);
        if let Some(figure) = figure {
            figure.ratios.push(Ratio { to: to.to_owned(), times: figure.times_better_than(&other) });
        }
    }

    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// The same as a section of Markdown.
    pub(crate) fn markdown(&self) -> String {
        format!("**{}**\n\n{}", self.title, table::markdown(&table::rows(&self.figures)))
    }

    /// One object a figure; one for each of its ratios where it has several.
    pub(crate) fn json_lines(&self) -> impl Iterator<Item = Value> {
        self.figures.iter().flat_map(|figure| {
            let line = json!({
                "table": self.title,
                "case": figure.case,
                "figure": figure.name,
                "unit": figure.unit,
                "rounds": figure.rounds.len(),
                "median": figure.median(),
                "min": figure.min(),
                "max": figure.max(),
            });
            if figure.ratios.is_empty() {
                return vec![line];
            }
            let with_ratio = |ratio: &Ratio| {
                let mut line = line.clone();
                line["ratio_to"] = json!(ratio.to);
                line["ratio"] = json!(ratio.times);
                line
            };
            figure.ratios.iter().map(with_ratio).collect()
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.title.is_empty() {
            writeln!(f, "{}\n", self.title)?;
        }
        writeln!(f, "{}", table::text(&table::rows(&self.figures)))?;
        self.notes.iter().try_for_each(|note| writeln!(f, "{note}"))
    }
}

/// The middle value; of an even number the upper one.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(f64::NAN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(ours: &[f64], theirs: &[f64], better: Better) -> Report {
        let mut report = Report::default();
        ours.iter().for_each(|value| report.add("ours", "speed", "u", better, *value));
        theirs.iter().for_each(|value| report.add("theirs", "speed", "u", better, *value));
        report.compare("speed", "ours", "theirs");
        report
    }

    #[test]
    fn ratios_are_taken_within_each_round() {
        // Every round has a machine of another speed; ours is always ten times as fast.
        let report = report(&[10.0, 1_000.0, 100.0], &[1.0, 100.0, 10.0], Better::More);
        assert_eq!(report.figures[0].ratios, [Ratio { to: "theirs".into(), times: 10.0 }]);
    }

    #[test]
    fn less_is_better_where_time_is_measured() {
        let report = report(&[2.0], &[8.0], Better::Less);
        assert_eq!(report.figures[0].ratios[0].times, 4.0);
    }

    #[test]
    fn json_has_a_line_for_each_figure() {
        let lines: Vec<_> = report(&[3.0, 1.0, 2.0], &[1.0], Better::More).json_lines().collect();
        assert_eq!(lines.len(), 2);
        assert_eq!((&lines[0]["median"], &lines[0]["ratio_to"]), (&json!(2.0), &json!("theirs")));
        assert_eq!(
            (&lines[0]["min"], &lines[0]["max"], &lines[0]["rounds"]),
            (&json!(1.0), &json!(3.0), &json!(3))
        );
        assert!(lines[1].get("ratio").is_none());
    }
}
