//! Bars of block characters, one column wide each.

/// Eighths of a character, from one to eight.
const ACROSS: [char; 8] = ['▏', '▎', '▍', '▌', '▋', '▊', '▉', '█'];
const UPWARD: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
const STEPS: u32 = 8;

/// A horizontal bar: `width` characters for `max`, something for everything that is not zero.
pub(super) fn bar(number: f64, max: f64, width: u32) -> String {
    cells(eighths(number, max, width), width, ACROSS).collect::<String>().trim_end().to_owned()
}

/// Columns side by side, `height` lines for `max`, the top line first. Each takes one character and a space.
pub(super) fn columns(numbers: &[f64], max: f64, height: u32) -> Vec<String> {
    let columns: Vec<Vec<char>> =
        numbers.iter().map(|number| cells(eighths(*number, max, height), height, UPWARD).collect()).collect();
    (0..height)
        .rev()
        .map(|line| {
            let cell = |column: &Vec<char>| {
                usize::try_from(line).ok().and_then(|line| column.get(line)).copied().unwrap_or(' ')
            };
            columns.iter().flat_map(|column| [cell(column), ' ']).collect::<String>().trim_end().to_owned()
        })
        .collect()
}

/// One character a number, side by side.
pub(super) fn sparkline(numbers: impl Iterator<Item = f64>, max: f64) -> String {
    numbers.map(|number| cells(eighths(number, max, 1), 1, UPWARD).next().unwrap_or(' ')).collect()
}

/// `length` characters of which so many eighths are filled.
fn cells(filled: u32, length: u32, blocks: [char; 8]) -> impl Iterator<Item = char> {
    (0..length).map(move |cell| {
        let here = filled.saturating_sub(cell * STEPS).min(STEPS);
        let block = here.checked_sub(1).and_then(|index| usize::try_from(index).ok());
        block.and_then(|index| blocks.get(index)).copied().unwrap_or(' ')
    })
}

/// How many eighths of `length` characters stand for a number.
fn eighths(number: f64, max: f64, length: u32) -> u32 {
    if !(number > 0.0 && max > 0.0) {
        return 0;
    }
    let all = length * STEPS;
    let share = number / max * f64::from(all);
    (1..=all).rev().find(|step| f64::from(*step) <= share + 0.5).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_as_long_as_their_number() {
        assert_eq!(bar(10.0, 10.0, 4), "████");
        assert_eq!(bar(5.0, 10.0, 4), "██");
        assert_eq!(bar(1.0, 32.0, 4), "▏");
        assert_eq!(bar(0.001, 32.0, 4), "▏");
        assert_eq!(bar(20.0, 10.0, 4), "████");
        assert_eq!(bar(0.0, 10.0, 4), "");
        assert_eq!(bar(-1.0, 10.0, 4), "");
        assert_eq!(bar(0.0, 0.0, 4), "");
        assert_eq!(bar(f64::NAN, 1.0, 4), "");
    }

    #[test]
    fn a_sparkline_has_a_place_for_every_number() {
        assert_eq!(sparkline([1.0, 4.0, 0.0, 8.0].into_iter(), 8.0), "▁▄ █");
    }

    #[test]
    fn columns_stand_on_one_line() {
        assert_eq!(columns(&[4.0, 1.0, 0.0, 3.0], 4.0, 2), ["█     ▄", "█ ▄   █"]);
    }
}
