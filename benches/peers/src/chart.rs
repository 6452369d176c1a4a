//! A ladder of rates on a logarithmic scale, as SVG that reads on light and dark pages.

use std::fmt::Write;

const WIDTH: f64 = 890.0;
const TOP: f64 = 44.0;
const ROW: f64 = 26.0;
const BAR: f64 = 16.0;
const BOTTOM: f64 = 34.0;
/// Labels end, and bars begin, here.
const LEFT: f64 = 320.0;
/// The bar of the scale's end reaches here; its number has room behind it.
const RIGHT: f64 = 790.0;
/// Greys and a blue of middle lightness have contrast with white and with black.
const STYLE: &str = "text{font:13px system-ui,-apple-system,'Segoe UI',sans-serif;fill:#747c86}\
.title{font-weight:600;font-size:14px}.ours{font-weight:600;fill:#2f81d7}\
.grid{stroke:#747c86;stroke-opacity:.25}.bar{fill:#8b939c}.bar.ours{fill:#2f81d7}";

/// A rung of the ladder.
#[derive(Debug, Clone)]
pub(crate) struct Bar {
    pub(crate) label: String,
    pub(crate) rate: f64,
    pub(crate) is_ours: bool,
}

/// The bars, the highest rate first, from the decade below the lowest to the one above the highest.
pub(crate) fn ladder(title: &str, bars: &[Bar]) -> String {
    let mut bars = bars.to_vec();
    bars.sort_by(|a, b| b.rate.total_cmp(&a.rate));
    let rates = || bars.iter().map(|bar| bar.rate.max(1.0).log10());
    let first = rates().fold(f64::INFINITY, f64::min).floor();
    let last = rates().fold(0.0, f64::max).ceil().max(first + 1.0);
    let x = |decade: f64| LEFT + (decade - first) / (last - first) * (RIGHT - LEFT);
    let end = TOP + bars.len() as f64 * ROW;
    let height = end + BOTTOM;

    let mut svg = String::new();
    let mut line = |text: String| {
        svg.push_str(&text);
        svg.push('\n');
    };
    line(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" role=\"img\">"
    ));
    line(format!("<title>{}</title>", escaped(title)));
    line(format!("<style>{STYLE}</style>"));
    line(format!("<text class=\"title\" x=\"8\" y=\"22\">{}</text>", escaped(title)));
    let mut decade = first;
    while decade <= last {
        let x = x(decade);
        line(format!(
            "<line class=\"grid\" x1=\"{x:.1}\" y1=\"{:.1}\" x2=\"{x:.1}\" y2=\"{end:.1}\"/>",
            TOP - 8.0
        ));
        let label = short(10_f64.powf(decade));
        line(format!("<text x=\"{x:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{label}</text>", end + 20.0));
        decade += 1.0;
    }
    for (place, bar) in bars.iter().enumerate() {
        let top = TOP + place as f64 * ROW;
        let (middle, to) = (top + BAR - 3.0, x(bar.rate.max(1.0).log10()));
        let ours = if bar.is_ours { " ours" } else { "" };
        let label = escaped(&bar.label);
        line(format!(
            "<text class=\"label{ours}\" x=\"{:.1}\" y=\"{middle:.1}\" text-anchor=\"end\">{label}</text>",
            LEFT - 10.0
        ));
        line(format!(
            "<rect class=\"bar{ours}\" x=\"{LEFT:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{BAR:.1}\" rx=\"2\"/>",
            to - LEFT
        ));
        let rate = short(bar.rate);
        line(format!("<text class=\"rate{ours}\" x=\"{:.1}\" y=\"{middle:.1}\">{rate}</text>", to + 6.0));
    }
    svg.push_str("</svg>\n");
    svg
}

/// Two or three digits and a unit: `1.2 k`, `34 M`.
fn short(rate: f64) -> String {
    let (scaled, unit) = match rate {
        rate if rate >= 1e6 => (rate / 1e6, " M"),
        rate if rate >= 1e3 => (rate / 1e3, " k"),
        rate => (rate, ""),
    };
    let mut text = String::new();
    let _ = match scaled {
        scaled if scaled >= 10.0 || scaled.fract() == 0.0 => write!(text, "{scaled:.0}{unit}"),
        scaled => write!(text, "{scaled:.1}{unit}"),
    };
    text
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bars() -> Vec<Bar> {
        let bar = |label: &str, rate, is_ours| Bar { label: label.into(), rate, is_ours };
        vec![
            bar("rival <1>", 1_000.0, false),
            bar("ours", 10_000_000.0, true),
            bar("rival 2", 100_000.0, false),
        ]
    }

    #[test]
    fn equal_figures_give_equal_pictures() {
        assert_eq!(ladder("rates", &bars()), ladder("rates", &bars()));
    }

    #[test]
    fn each_decade_is_as_wide() {
        let svg = ladder("rates", &bars());
        let widths: Vec<f64> = svg
            .lines()
            .filter(|line| line.starts_with("<rect"))
            .map(|line| line.split("width=\"").nth(1).unwrap().split('"').next().unwrap().parse().unwrap())
            .collect();
        // Of four decades, from 1 k to 10 M: all, two, none.
        assert_eq!(widths, [470.0, 235.0, 0.0]);
    }

    #[test]
    fn the_highest_is_first_and_texts_are_escaped() {
        let svg = ladder("a & b", &bars());
        let ours = svg.find(">ours<").unwrap();
        assert!(
            ours < svg.find("rival 2").unwrap()
                && svg.contains("rival &lt;1&gt;")
                && svg.contains("a &amp; b")
        );
    }

    #[test]
    fn rates_are_short() {
        assert_eq!(
            [304.0, 1_240.0, 34_400.0, 1e6, 25.6e6].map(short),
            ["304", "1.2 k", "34 k", "1 M", "26 M"]
        );
    }
}
