//! What was read from a damaged store, and what was lost.

/// What was read of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct SalvagedTable {
    /// Its name in the file.
    pub name: &'static str,
    /// Rows that were read.
    pub rows: u64,
    /// Rows that follow from others, and were made again.
    pub rebuilt: u64,
}

/// One thing that is not in the new store.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// The table that had it.
    pub table: &'static str,
    /// The key of its series, where it is known.
    pub series: Option<String>,
    /// The hour, the day, or all time; or the first and the last of several.
    pub when: Option<String>,
    /// What it was, and what follows.
    pub message: String,
}

/// All that was read and lost.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Salvage {
    pub(crate) tables: Vec<SalvagedTable>,
    pub(crate) losses: Vec<Loss>,
    /// How many losses more there are than are listed.
    pub(crate) more: u64,
}

/// So many losses are listed.
const MAX_LOSSES: usize = 1_000;

impl Salvage {
    pub(crate) fn lose(
        &mut self,
        table: &'static str,
        series: Option<String>,
        when: Option<String>,
        message: impl Into<String>,
    ) {
        if self.losses.len() < MAX_LOSSES {
            self.losses.push(Loss { table, series, when, message: message.into() });
        } else {
            self.more += 1;
        }
    }

    fn table(&mut self, name: &'static str) -> Option<&mut SalvagedTable> {
        if !self.tables.iter().any(|table| table.name == name) {
            self.tables.push(SalvagedTable { name, rows: 0, rebuilt: 0 });
        }
        self.tables.iter_mut().find(|table| table.name == name)
    }

    pub(crate) fn count_read(&mut self, name: &'static str, rows: u64) {
        if let Some(table) = self.table(name) {
            table.rows += rows;
        }
    }

    pub(crate) fn count_rebuilt(&mut self, name: &'static str, rows: u64) {
        if let Some(table) = self.table(name) {
            table.rebuilt += rows;
        }
    }
}
