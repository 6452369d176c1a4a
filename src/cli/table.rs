//! Rows of texts in aligned columns, as narrow as the terminal.

use super::look::{Look, Paint};
use super::text;

/// Between columns.
const GAP: &str = "  ";
/// A column is not cut below this, however narrow the terminal is.
const NARROWEST: usize = 12;

/// Where the text of a column stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Rows of texts in aligned columns.
#[derive(Debug)]
pub(super) struct Table {
    aligns: Vec<Align>,
    rows: Vec<Vec<String>>,
    has_head: bool,
    /// The column that gives way on a narrow terminal, and whether its texts go on in further lines instead of being cut.
    elastic: Option<usize>,
    is_wrapping: bool,
    /// The columns that are left out, one after the other, where cutting that one is not enough.
    dispensable: Vec<usize>,
    paints: Vec<(usize, Paint)>,
}

impl Table {
    pub(super) fn new(aligns: &[Align]) -> Self {
        Self {
            aligns: aligns.to_vec(),
            rows: Vec::new(),
            has_head: false,
            elastic: None,
            is_wrapping: false,
            dispensable: Vec::new(),
            paints: Vec::new(),
        }
    }

    /// The first row names the columns.
    pub(super) fn with_head(mut self) -> Self {
        self.has_head = true;
        self
    }

    /// Cuts the texts of this column where the terminal is too narrow for all.
    pub(super) fn cutting(mut self, column: usize) -> Self {
        self.elastic = Some(column);
        self
    }

    /// Lets the texts of this column go on in further lines where the terminal is too narrow for all.
    pub(super) fn wrapping(mut self, column: usize) -> Self {
        self.elastic = Some(column);
        self.is_wrapping = true;
        self
    }

    /// Leaves these columns out, the first one first, where the terminal is too narrow even so.
    pub(super) fn sparing(mut self, columns: &[usize]) -> Self {
        self.dispensable = columns.to_vec();
        self
    }

    pub(super) fn painting(mut self, column: usize, paint: Paint) -> Self {
        self.paints.push((column, paint));
        self
    }

    pub(super) fn row<T: Into<String>>(&mut self, cells: impl IntoIterator<Item = T>) {
        self.rows.push(cells.into_iter().map(|cell| text::safe(&cell.into())).collect());
    }

    /// The rows, one a line, each behind `indent`.
    pub(super) fn render(&self, indent: &str, look: Look) -> String {
        let widths = self.widths(indent, look);
        let mut text = String::new();
        for (number, row) in self.rows.iter().enumerate() {
            let paint_of = |column: usize| match self.paints.iter().find(|(painted, _)| *painted == column) {
                _ if number == 0 && self.has_head => Some(Paint::Head),
                paint => paint.map(|(_, paint)| *paint),
            };
            for line in self.lines(row, &widths) {
                let painted = render_row(&line, &widths, &self.aligns, indent, |column, cell| {
                    paint_of(column).map_or_else(|| cell.to_owned(), |paint| look.paint(paint, cell))
                });
                text.push_str(painted.trim_end());
                text.push('\n');
            }
        }
        text
    }

    /// A row as lines: one, unless a text of the column that wraps is too long for it.
    fn lines(&self, row: &[String], widths: &[Option<usize>]) -> Vec<Vec<String>> {
        let long = self.elastic.filter(|_| self.is_wrapping).and_then(|column| {
            let (cell, width) = (row.get(column)?, widths.get(column).copied().flatten()?);
            (text::columns(cell) > width).then(|| (column, text::wrap(cell, width)))
        });
        let Some((column, pieces)) = long else { return vec![row.to_vec()] };
        let line = |(number, piece): (usize, String)| {
            let cell = |(at, cell): (usize, &String)| match at {
                at if at == column => piece.clone(),
                _ if number == 0 => cell.clone(),
                _ => String::new(),
            };
            row.iter().enumerate().map(cell).collect()
        };
        pieces.into_iter().enumerate().map(line).collect()
    }

    /// The width of each column; `None` for those that are left out.
    fn widths(&self, indent: &str, look: Look) -> Vec<Option<usize>> {
        let mut widths = vec![Some(0); self.aligns.len()];
        for row in &self.rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = Some(text::columns(cell).max(width.unwrap_or_default()));
            }
        }
        let Some(room) = look.width else { return widths };
        let surplus = |widths: &[Option<usize>]| {
            let kept = widths.iter().flatten();
            let all: usize = kept.map(|width| width + GAP.len()).sum();
            (text::columns(indent) + all).saturating_sub(room + GAP.len())
        };
        let elastic =
            self.elastic.and_then(|column| widths.get(column).copied().flatten()).unwrap_or_default();
        let can_give = elastic.saturating_sub(NARROWEST);
        for &column in &self.dispensable {
            if surplus(&widths) > can_give
                && let Some(width) = widths.get_mut(column)
            {
                *width = None;
            }
        }
        let gives = surplus(&widths).min(can_give);
        if let Some(width) = self.elastic.and_then(|column| widths.get_mut(column)) {
            *width = Some(elastic - gives);
        }
        widths
    }
}

/// Padding stands outside of what is painted, so that codes of colours take no columns.
fn render_row(
    row: &[String],
    widths: &[Option<usize>],
    aligns: &[Align],
    indent: &str,
    paint: impl Fn(usize, &str) -> String,
) -> String {
    let mut line = indent.to_owned();
    for (column, ((cell, width), align)) in row.iter().zip(widths).zip(aligns).enumerate() {
        let Some(width) = *width else { continue };
        let cell = text::cut(cell, width);
        let padding = " ".repeat(width.saturating_sub(text::columns(&cell)));
        let is_empty = cell.is_empty();
        let painted = if is_empty { cell } else { paint(column, &cell) };
        match align {
            Align::Left => line.extend([painted, padding]),
            Align::Right => line.extend([padding, painted]),
        }
        line.push_str(GAP);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&[Align::Left, Align::Right, Align::Left]).cutting(0);
        table.row(["é", "1", "x"]);
        table.row(["統計", "1,000", ""]);
        table.row(["a name that is long", "12", "y"]);
        table
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let wide = "  é                        1  x\n  統計                 1,000\n  a name that is long     12  y\n";
        assert_eq!(table().render("  ", Look::PLAIN), wide);
    }

    #[test]
    fn one_column_gives_way_on_a_narrow_terminal() {
        let narrow = Look { width: Some(26), ..Look::PLAIN };
        let rendered = table().render("", narrow);
        assert_eq!(
            rendered,
            "é                     1  x\n統計              1,000\na name that is …     12  y\n"
        );
        assert!(rendered.lines().all(|line| text::columns(line) <= 26));
        let rendered = table().render("", Look { width: Some(3), ..Look::PLAIN });
        assert!(rendered.contains("a name that…"), "{rendered}");
    }

    #[test]
    fn a_text_that_wraps_loses_nothing() {
        let mut table = Table::new(&[Align::Right, Align::Left, Align::Left]).wrapping(1);
        table.row(["1,000", "Mon 16 - Sun 22 Nov, partial: not over", "x"]);
        table.row(["1", "short", "y"]);
        let narrow = Look { width: Some(30), ..Look::PLAIN };
        let wrapped =
            "1,000  Mon 16 - Sun 22 Nov,  x\n       partial: not over\n    1  short                 y\n";
        assert_eq!(table.render("", narrow), wrapped);
    }

    #[test]
    fn columns_that_can_be_spared_go_first_where_cutting_is_not_enough() {
        let narrow = Look { width: Some(18), ..Look::PLAIN };
        assert_eq!(
            table().sparing(&[1]).render("", narrow),
            "é                x\n統計\na name that is…  y\n"
        );
        assert_eq!(
            table().sparing(&[1]).render("", Look { width: Some(26), ..narrow }),
            table().render("", Look { width: Some(26), ..narrow })
        );
    }

    #[test]
    fn colours_change_no_alignment() {
        let colourful = Look { has_colour: true, ..Look::PLAIN };
        let rendered = table().with_head().painting(1, Paint::Number).render("", colourful);
        let plain: String = anstream::adapter::strip_str(&rendered).to_string();
        assert_ne!(plain, rendered);
        assert_eq!(plain, table().render("", Look::PLAIN));
    }
}
