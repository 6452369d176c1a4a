//! Metrics of a host program's PostgreSQL.

mod dialect;
mod failure;
mod link;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use postgres::Config;
use postgres::config::SslMode;

use crate::error::{Error, ErrorKind};
use crate::ping::source::{Asked, MetricSource, SourceError};
use crate::ping::sources::database::DatabaseMetric;
use crate::ping::sources::postgres::dialect::Postgres;
use crate::ping::sources::postgres::link::Link;
use crate::ping::sources::walk;
use crate::ping::value::PingValue;

/// A server that took long to be found unreachable is not looked for again so soon: a ping of many metrics would wait for each.
const UNREACHABLE_FOR: Duration = Duration::from_secs(30);
/// What is long here.
const LONG_TO_CONNECT: Duration = Duration::from_secs(1);

/// The metrics of a PostgreSQL database: each that declares a `relation` in its `options`, or is given here. Feature `postgres`.
///
/// One connection, made when the first metric of a ping is asked and on the thread that asks, is kept for all its metrics, and closed with
/// it. It only reads, as `headcount` unless the parameters have another `application_name`. Each relation is walked by its primary key in
/// batches of 50,000 or 100,000 rows, each of which is a statement in a transaction of its own; rows that change meanwhile are counted
/// before or after. A batch that passes its limit is halved; a lock is waited for one second; a connection that breaks is made anew, once
/// for each metric.
///
/// The server is of version 11 or later. The connection is not encrypted: parameters that require TLS are refused. Use a socket, or a tunnel, or ask through the program's own
/// connections.
///
/// A pooler may stand between, in whichever mode: what a statement runs under (read-only, limits in time) is set in its transaction, and
/// ends with it. Waiting for the pooler to have a connection free is limited by the metric's limit alone.
///
/// ```no_run
/// # fn main() -> Result<(), headcount::Error> {
/// use headcount::{DataSource, DatabaseMetric, PostgresSource, Sources};
///
/// let database = PostgresSource::new("host=/run/postgresql user=tracker dbname=tracker")?;
/// let opened = DatabaseMetric::count("issues").filter("state", "opened").timestamp("created_at");
/// let sources = Sources::new()
///     .key_path("counts.issues_opened_weekly", database.metric(opened))
///     .data_source_from(DataSource::Database, database);
/// # let _ = sources;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PostgresSource {
    shared: Arc<Shared>,
    query_limit: Duration,
}

struct Shared {
    config: Config,
    unreachable: Mutex<Option<(Instant, SourceError)>>,
}

/// A connection that is kept for the next metric.
struct Idle {
    link: Link,
    to: Arc<Shared>,
}

impl PostgresSource {
    /// The database behind these parameters, a URL (`postgresql://..`) or pairs (`host=.. user=..`); no connection is made yet.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Usage`] for parameters that do not read, or that require TLS. The parameters are in no message.
    pub fn new(parameters: &str) -> Result<Self, Error> {
        let mut config: Config = parameters.parse().map_err(|error: postgres::Error| {
            // Only this one is sure to have nothing of a password in it.
            let cause = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
            match cause.strip_prefix("invalid value for option ") {
                Some("`sslmode`") => without_tls(),
                Some(option) => usage(format!("the parameters of PostgreSQL have a bad value for {option}")),
                None => {
                    usage("the parameters of PostgreSQL are neither a URL nor pairs of key=value".to_owned())
                }
            }
        })?;
        if config.get_ssl_mode() == SslMode::Require {
            return Err(without_tls());
        }
        if config.get_application_name().is_none() {
            config.application_name("headcount");
        }
        let shared = Shared { config, unreachable: Mutex::default() };
        Ok(Self { shared: Arc::new(shared), query_limit: walk::QUERY_LIMIT })
    }

    /// Sets how long one statement may take, 5 seconds by default, and never more than half of what its metric has left.
    #[must_use]
    pub fn query_limit(mut self, limit: Duration) -> Self {
        self.query_limit = limit;
        self
    }

    /// A source of one metric.
    pub fn metric(
        &self,
        metric: DatabaseMetric,
    ) -> impl Fn(&Asked) -> Result<PingValue, SourceError> + Send + Sync + use<> {
        let source = self.clone();
        move |asked: &Asked| source.ask(&metric, asked)
    }

    fn ask(&self, metric: &DatabaseMetric, asked: &Asked) -> Result<PingValue, SourceError> {
        let link = match self.kept(asked) {
            Some(link) => link,
            None => self.shared.connect(asked.remaining() / 2)?,
        };
        let connect = |limit| self.shared.connect(limit);
        let mut engine = Postgres { link, connect: &connect };
        let value = walk::ask(&mut engine, metric, asked, self.query_limit);
        asked.kept.lock().push(Box::new(Idle { link: engine.link, to: Arc::clone(&self.shared) }));
        value
    }

    /// The connection that the metric before has left, if it still is one.
    fn kept(&self, asked: &Asked) -> Option<Link> {
        let mut kept = asked.kept.lock();
        let is_ours = |idle: &Idle| Arc::ptr_eq(&idle.to, &self.shared);
        let at = kept.iter().position(|any| any.downcast_ref().is_some_and(is_ours))?;
        let idle = kept.swap_remove(at).downcast::<Idle>().ok()?;
        Some(idle.link).filter(Link::is_open)
    }
}

impl MetricSource for PostgresSource {
    fn value(&self, asked: &Asked) -> Result<PingValue, SourceError> {
        self.ask(&DatabaseMetric::of_asked(asked)?, asked)
    }
}

impl Shared {
    fn connect(&self, limit: Duration) -> Result<Link, SourceError> {
        if let Some((at, error)) = &*self.unreachable.lock()
            && at.elapsed() < UNREACHABLE_FOR
        {
            return Err(error.clone());
        }
        let began = Instant::now();
        Link::open(&self.config, limit).inspect_err(|error| {
            let took_long = began.elapsed() >= LONG_TO_CONNECT.min(limit);
            *self.unreachable.lock() = took_long.then(|| (Instant::now(), error.clone()));
        })
    }
}

impl fmt::Debug for PostgresSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSource").finish_non_exhaustive()
    }
}

fn usage(what: String) -> Error {
    Error::new(ErrorKind::Usage, what)
}

fn without_tls() -> Error {
    usage(
        "PostgreSQL is connected to without TLS here, and the parameters require it; connect through a socket or a tunnel with \
         `sslmode=disable`, or let the program ask through its own connections (`Ping::questions`)"
            .to_owned(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_that_cannot_be_used_are_refused_without_being_told() {
        for parameters in [
            "postgresql://me:s3cret@example.org/app?sslmode=require",
            "postgresql://me:s3cret@example.org/app?sslmode=verify-full",
            "host=example.org password=s3cret port=x",
            "host=example.org password=a s3cret=b",
            "password='s3cret",
            "s3cret",
        ] {
            let error = PostgresSource::new(parameters).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage);
            assert!(!format!("{error} {error:?}").contains("s3cret"), "{error}");
            assert_eq!(error.to_string().contains("TLS"), parameters.contains("sslmode"), "{error}");
        }
        let source = PostgresSource::new("postgresql://me:s3cret@example.org/app").unwrap();
        assert_eq!(format!("{source:?}"), "PostgresSource { .. }");
    }
}
