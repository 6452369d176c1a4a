//! Five weeks of a product's events, the same every time: a release on Monday 9 November 2026 brings more readers.

use std::fmt::Write;

/// The Linear congruential generator of Knuth's MMIX.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % end
    }

    /// Small numbers are more frequent.
    fn skewed(&mut self, end: u64) -> u64 {
        self.below(end).min(self.below(end)).min(self.below(end))
    }

    fn client(&mut self) -> &'static str {
        match self.below(4) {
            0 | 1 => "web",
            2 => "ios",
            _ => "android",
        }
    }
}

/// Lines of an import, in the order of time.
pub(crate) fn events() -> String {
    let mut random = Random(20_261_122);
    let mut lines = String::new();
    for day in 0..35_u64 {
        // From Monday 19 October to Sunday 22 November, of which ten hours have passed.
        let date =
            if day < 13 { format!("2026-10-{}", 19 + day) } else { format!("2026-11-{:02}", day - 12) };
        let hours = if day == 34 { 10 } else { 24 };
        let is_weekend = day % 7 >= 5;
        let base = if is_weekend { 1 } else { 3 };
        for hour in 0..hours {
            let is_night = hour < 6;
            let views =
                base * if is_night { 1 } else { 2 } + random.below(3) + if day >= 21 { base } else { 0 };
            for _ in 0..views {
                let (user, client) = (random.skewed(400), random.client());
                let (minute, milliseconds) = (random.below(60), 80 + random.skewed(900));
                writeln!(
                    lines,
                    r#"{{"event":"page_viewed","time":"{date}T{hour:02}:{minute:02}:00Z","user":{user},"label":"{client}","value":{milliseconds}}}"#
                )
                .unwrap();
            }
            if random.below(3) == 0 {
                let (user, project, client) = (random.skewed(120), random.skewed(9), random.client());
                let (minutes, priority) = (1 + random.skewed(40), 1 + random.below(3));
                writeln!(
                    lines,
                    r#"{{"event":"issue_created","time":"{date}T{hour:02}:30:00Z","user":{user},"project":{project},"label":"{client}","value":{minutes},"additional_properties":{{"priority":{priority}}}}}"#
                )
                .unwrap();
            }
            if day >= 28 {
                // A program of somebody's ran wild on Friday.
                let (calls, keys) = if day == 32 { (600, 40_000) } else { (20, 9_000) };
                for _ in 0..calls {
                    writeln!(
                        lines,
                        r#"{{"event":"api_called","time":"{date}T{hour:02}:15:00Z","user":"key-{}"}}"#,
                        random.below(keys)
                    )
                    .unwrap();
                }
            }
        }
    }
    lines
}
