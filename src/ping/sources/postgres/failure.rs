//! What an error of PostgreSQL means for a metric.

use postgres::Error;
use postgres::error::SqlState;

use crate::ping::source::{SourceError, SourceFault};
use crate::ping::sources::engine::Halt;

/// What an error of a statement means.
pub(super) fn halt(error: &Error) -> Halt {
    let Some(told) = error.as_db_error() else {
        // Without an answer of the server it is the connection that failed.
        return Halt::Broken(unreachable(error));
    };
    let code = told.code();
    let fault = match code {
        code if *code == SqlState::QUERY_CANCELED => return Halt::TimedOut,
        code if *code == SqlState::LOCK_NOT_AVAILABLE || *code == SqlState::T_R_DEADLOCK_DETECTED => {
            SourceFault::Locked
        }
        code if *code == SqlState::UNDEFINED_TABLE || *code == SqlState::UNDEFINED_COLUMN => {
            SourceFault::Missing
        }
        code if is_of_connection(code) => return Halt::Broken(unreachable(error)),
        // Data exceptions and what makes no sense for the types: the server says which value of which type.
        code if code.code().starts_with("22")
            || code.code().starts_with("42") && *code != SqlState::INSUFFICIENT_PRIVILEGE =>
        {
            SourceFault::Invalid
        }
        _ => SourceFault::Failed,
    };
    Halt::Fault(SourceError::new(fault, format!("PostgreSQL says: {} ({})", told.message(), code.code())))
}

/// Why no connection could be made, or why it broke.
pub(super) fn unreachable(error: &Error) -> SourceError {
    let cause = match error.as_db_error() {
        Some(told) => format!("it says: {} ({})", told.message(), told.code().code()),
        None => match std::error::Error::source(error) {
            Some(cause) => format!("{error}: {cause}"),
            None => error.to_string(),
        },
    };
    SourceError::new(SourceFault::Unreachable, format!("PostgreSQL cannot be reached: {cause}"))
}

/// Class 08 is of connections, 57P of a server that stops, or of an idle session that it has ended.
fn is_of_connection(code: &SqlState) -> bool {
    code.code().starts_with("08") || code.code().starts_with("57P")
}
