//! Tables for people, as text and as Markdown.

use crate::figure::Figure;

/// The rows of a table, the first being the heads of the columns.
pub(crate) type Rows = Vec<Vec<String>>;

/// A row for each case and a column for each figure; of the first figure also the smallest and largest of several rounds, and the
/// ratios.
pub(crate) fn rows(figures: &[Figure]) -> Rows {
    let names = distinct(figures.iter().map(|figure| (figure.name.as_str(), figure.unit)));
    let cases = distinct(figures.iter().map(|figure| figure.case.as_str()));
    let ratios = distinct(
        figures
            .iter()
            .flat_map(|figure| figure.ratios.iter().map(|ratio| (figure.name.as_str(), ratio.to.as_str()))),
    );
    let Some((first, _)) = names.first() else { return Vec::new() };
    let repeated = figures.iter().any(|figure| figure.rounds.len() > 1);

    let mut heads = vec![String::new()];
    for (name, unit) in &names {
        heads.push(if unit.is_empty() { (*name).to_owned() } else { format!("{name}, {unit}") });
        if name == first && repeated {
            heads.extend(["min".to_owned(), "max".to_owned()]);
        }
    }
    heads.extend(ratios.iter().map(
        |(name, to)| {
            if name == first { format!("x {to}") } else { format!("{name} x {to}") }
        },
    ));

    let mut rows = vec![heads];
    for case in cases {
        let find = |name: &str| figures.iter().find(|figure| figure.case == case && figure.name == name);
        let mut row = vec![case.to_owned()];
        for (name, _) in &names {
            let figure = find(name);
            let mut cell = |value: fn(&Figure) -> f64| {
                row.push(figure.map_or_else(String::new, |figure| number(value(figure))));
            };
            cell(Figure::median);
            if name == first && repeated {
                cell(Figure::min);
                cell(Figure::max);
            }
        }
        row.extend(ratios.iter().map(|(name, to)| {
            let ratio = find(name).and_then(|figure| figure.ratios.iter().find(|ratio| ratio.to == *to));
            ratio.map_or_else(String::new, |ratio| number(ratio.times))
        }));
        rows.push(row);
    }
    rows
}

/// Columns side by side, the first to the left, all others to the right.
pub(crate) fn text(rows: &Rows) -> String {
    let widths = widths(rows);
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| match column {
            0 => format!("{cell:<width$}"),
            _ => format!("{cell:>width$}"),
        });
        text.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// A table of Markdown.
pub(crate) fn markdown(rows: &Rows) -> String {
    let mut text = String::new();
    for (position, row) in rows.iter().enumerate() {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
        if position == 0 {
            text.push_str(&format!("|---|{}\n", "---:|".repeat(row.len() - 1)));
        }
    }
    text
}

/// Three digits that count, and commas between thousands.
pub(crate) fn number(value: f64) -> String {
    let magnitude = value.abs();
    if magnitude < 0.1 && magnitude > 0.0 {
        return format!("{value:.4}");
    }
    if magnitude < 10.0 && magnitude.fract() != 0.0 {
        return format!("{value:.2}");
    }
    if magnitude < 100.0 && magnitude.fract() != 0.0 {
        return format!("{value:.1}");
    }
    let digits = format!("{magnitude:.0}");
    let mut grouped = if value < 0.0 { "-".to_owned() } else { String::new() };
    for (position, digit) in digits.chars().enumerate() {
        if position > 0 && (digits.len() - position) % 3 == 0 {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

fn widths(rows: &Rows) -> Vec<usize> {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width =
        |column: usize| rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max();
    (0..columns).map(|column| width(column).unwrap_or(0)).collect()
}

fn distinct<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    all.fold(Vec::new(), |mut distinct, item| {
        if !distinct.contains(&item) {
            distinct.push(item);
        }
        distinct
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figure::{Better, Report};

    fn report() -> Report {
        let mut report = Report::default();
        for (case, values) in [("ours", [20e6, 22e6, 21e6]), ("theirs", [2e5, 2e5, 2.5e5])] {
            values.iter().for_each(|value| report.add(case, "rate", "events/s", Better::More, *value));
        }
        report.add("ours", "CPU", "ns/event", Better::Less, 41.26);
        report.compare("rate", "ours", "theirs");
        report
    }

    #[test]
    fn numbers_show_three_digits_and_commas() {
        let shown =
            [0.0, 0.001_23, 0.456, 7.0, 12.34, 99.95, 123.4, 1_234.5, 1_234_567.0, -4_200.0].map(number);
        assert_eq!(
            shown,
            ["0", "0.0012", "0.46", "7", "12.3", "100.0", "123", "1,234", "1,234,567", "-4,200"]
        );
    }

    #[test]
    fn text_is_aligned() {
        let expected = "
        rate, events/s         min         max  CPU, ns/event  x theirs
ours        21,000,000  20,000,000  22,000,000           41.3       100
theirs         200,000     200,000     250,000
";
        assert_eq!(text(&rows(&report().figures)), expected[1..]);
    }

    #[test]
    fn markdown_has_a_line_below_its_heads() {
        let rows = vec![vec!["".into(), "a".into(), "b".into()], vec!["x".into(), "1".into(), "2".into()]];
        assert_eq!(markdown(&rows), "|  | a | b |\n|---|---:|---:|\n| x | 1 | 2 |\n");
    }
}
