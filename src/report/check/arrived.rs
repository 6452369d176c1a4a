//! The check of what arrived as whole weeks and as all time.

use crate::definition::rule::RuleKind;
use crate::error::Error;
use crate::report::check::days::Checking;
use crate::storage::arrival::{Amount, Frame};

impl Checking<'_> {
    /// Each row is what its series asks for, and each sketch has its checksum.
    pub(super) fn check_arrived(&mut self) -> Result<(), Error> {
        let snapshot = self.snapshot;
        let extent = self.reads(snapshot.extent())?;
        if extent.is_none_or(|extent| extent.arrived.is_none()) {
            return Ok(());
        }
        let mut series: Vec<_> = self.series.keys().copied().collect();
        series.sort_unstable();
        for series in series {
            let shown = snapshot.arrived(series, &mut |frame, amount| {
                let when = match frame {
                    Frame::AllTime => "what arrived".to_owned(),
                    Frame::Week(week) => format!("what arrived of {week}"),
                };
                match amount {
                    Amount::Count(_) => self.met(series, RuleKind::Count, &when),
                    Amount::Sum(_) => self.met(series, RuleKind::Sum, &when),
                    Amount::PerValue(..) => self.met(series, RuleKind::PerValue, &when),
                    Amount::Unique(blob) => drop(self.decode(series, blob, &when)),
                }
                Ok(())
            });
            self.reads(shown)?;
        }
        Ok(())
    }
}
