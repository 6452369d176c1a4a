//! What the environment says about leaving the machine; it wins over everything else.

/// Any value but `0` and `false` forbids: <https://consoledonottrack.com>.
const DO_NOT_TRACK: &str = "DO_NOT_TRACK";
/// Any value but `on`, `1`, `true` and `yes` forbids.
const TELEMETRY: &str = "HEADCOUNT_TELEMETRY";

/// The variable that forbids sending, with its value, if one does. It is read anew each time.
///
/// ```
/// if let Some(variable) = headcount::sending_forbidden_by() {
///     println!("nothing leaves this machine: {variable}");
/// }
/// ```
#[must_use]
pub fn sending_forbidden_by() -> Option<String> {
    forbidden_by(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
}

fn forbidden_by(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let set = |name: &str| Some((name.to_owned(), variable(name)?.trim().to_ascii_lowercase()));
    let forbids = |(name, value): &(String, String)| match name.as_str() {
        DO_NOT_TRACK => !matches!(value.as_str(), "" | "0" | "false"),
        _ => !matches!(value.as_str(), "on" | "1" | "true" | "yes"),
    };
    let forbidding = [DO_NOT_TRACK, TELEMETRY].into_iter().filter_map(set).find(forbids);
    forbidding.map(|(name, value)| format!("{name}={value}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn either_variable_forbids_and_neither_permits() {
        let by = |set: &[(&str, &str)]| {
            forbidden_by(|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            })
        };
        for (set, forbidden) in [
            (&[][..], None),
            (&[("DO_NOT_TRACK", "1")], Some("DO_NOT_TRACK=1")),
            (&[("DO_NOT_TRACK", "true")], Some("DO_NOT_TRACK=true")),
            (&[("DO_NOT_TRACK", "0")], None),
            (&[("DO_NOT_TRACK", "")], None),
            (&[("HEADCOUNT_TELEMETRY", "OFF")], Some("HEADCOUNT_TELEMETRY=off")),
            (&[("HEADCOUNT_TELEMETRY", "disabled")], Some("HEADCOUNT_TELEMETRY=disabled")),
            (&[("HEADCOUNT_TELEMETRY", "none")], Some("HEADCOUNT_TELEMETRY=none")),
            (&[("HEADCOUNT_TELEMETRY", " No ")], Some("HEADCOUNT_TELEMETRY=no")),
            (&[("HEADCOUNT_TELEMETRY", "")], Some("HEADCOUNT_TELEMETRY=")),
            (&[("HEADCOUNT_TELEMETRY", "on")], None),
            (&[("HEADCOUNT_TELEMETRY", "YES")], None),
            (&[("HEADCOUNT_TELEMETRY", "1")], None),
            (&[("HEADCOUNT_TELEMETRY", "true")], None),
            (&[("HEADCOUNT_TELEMETRY", "on"), ("DO_NOT_TRACK", "1")], Some("DO_NOT_TRACK=1")),
            (&[("DO_NOT_TRACK", "0"), ("HEADCOUNT_TELEMETRY", "off")], Some("HEADCOUNT_TELEMETRY=off")),
        ] {
            assert_eq!(by(set).as_deref(), forbidden, "{set:?}");
        }
    }
}
