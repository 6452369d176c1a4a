//! What this crate knows without being told: who the store is, where it runs, and how large it is.

use crate::definition::words::DataCategory;
use crate::error::Error;
use crate::ping::value::PingValue;
use crate::report::reader::Reader;
use crate::storage::sqlite;
use crate::time::timestamp::Timestamp;

/// What every ping says, unless a definition has its place or its category is not permitted.
pub(crate) struct Fact {
    pub(crate) key_path: &'static str,
    /// The `instrumentation_class` whose metrics have the same value.
    pub(crate) class: &'static str,
    pub(crate) category: DataCategory,
    pub(crate) value: PingValue,
}

/// What a program says about itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Program {
    pub(crate) version: Option<String>,
    pub(crate) installation_type: Option<String>,
}

/// The facts that are known; what nobody said is not among them.
pub(crate) fn facts(reader: &Reader, program: &Program, recorded_at: Timestamp) -> Result<Vec<Fact>, Error> {
    use DataCategory::{Operational, Standard};
    let contents = reader.contents()?;
    let uuid = reader.read(|snapshot| snapshot.identity())?.uuid;
    let known = |text: &Option<String>| text.as_deref().map(PingValue::from);
    let facts = [
        ("uuid", "UuidMetric", Standard, Some(uuid_text(uuid).into())),
        ("hostname", "HostnameMetric", Standard, hostname().map(PingValue::from)),
        ("version", "VersionMetric", Standard, known(&program.version)),
        ("installation_type", "InstallationTypeMetric", Standard, known(&program.installation_type)),
        ("recorded_at", "RecordedAtMetric", Standard, Some(recorded_at.to_string().into())),
        ("headcount.version", "HeadcountVersionMetric", Operational, Some(env!("CARGO_PKG_VERSION").into())),
        (
            "headcount.sqlite_version",
            "SqliteVersionMetric",
            Operational,
            Some(sqlite::library_version().into()),
        ),
        (
            "headcount.store_bytes",
            "StoreBytesMetric",
            Operational,
            Some((contents.bytes + contents.log_bytes).into()),
        ),
        ("headcount.operating_system", "OperatingSystemMetric", Operational, Some(operating_system().into())),
    ];
    let fact = |(key_path, class, category, value): (_, _, _, Option<PingValue>)| {
        Some(Fact { key_path, class, category, value: value? })
    };
    Ok(facts.into_iter().filter_map(fact).collect())
}

/// The 128 random bits as a UUID of version 4: its six fixed bits are set.
pub(crate) fn uuid_text(uuid: [u8; 16]) -> String {
    const VERSION: u128 = 0xf << 76;
    const VARIANT: u128 = 0x3 << 62;
    let bits = u128::from_be_bytes(uuid) & !VERSION & !VARIANT | 0x4 << 76 | 0x2 << 62;
    let hex = format!("{bits:032x}");
    let part = |from: usize, to: usize| hex.get(from..to).unwrap_or_default();
    [part(0, 8), part(8, 12), part(12, 16), part(16, 20), part(20, 32)].join("-")
}

fn hostname() -> Option<String> {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    (!name.is_empty()).then_some(name)
}

fn operating_system() -> String {
    format!("{} {}", std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uuid_has_the_bits_of_version_4_and_keeps_all_others() {
        assert_eq!(uuid_text([0; 16]), "00000000-0000-4000-8000-000000000000");
        assert_eq!(uuid_text([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
        let bytes = std::array::from_fn(|index| u8::try_from(index * 17).unwrap());
        assert_eq!(uuid_text(bytes), "00112233-4455-4677-8899-aabbccddeeff");
    }
}
