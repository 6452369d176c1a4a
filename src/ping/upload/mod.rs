//! Sending pings over HTTP: where to, with what, and how long it may take.

mod attempt;
mod fate;
mod line;
mod proxy;
mod sending;
mod trust;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::error::{Error, ErrorKind, plain};
use crate::ping::upload::proxy::ProxyChoice;

pub use crate::ping::upload::fate::{SendFailure, SendFault};
pub use crate::ping::upload::sending::{PingSending, SendingStopped, WeekSending};

const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const SEND_LIMIT: Duration = Duration::from_secs(60);
const RESPONSE_LIMIT: Duration = Duration::from_secs(60);
const WHOLE_LIMIT: Duration = Duration::from_secs(180);
/// No attempt may take longer, whatever is asked for, since other processes wait for it.
const MAX_WHOLE_LIMIT: Duration = Duration::from_secs(3_600);
/// The longest token.
const MAX_TOKEN_BYTES: usize = 8 * 1024;

/// How documents are sent: with an HTTP POST of the kept bytes, `content-type: application/json`.
///
/// Nothing is sent unless the operator has turned it on ([`Consent::send_to`](crate::Consent::send_to)) and the environment does not
/// forbid it. Redirects are never followed. Each document goes with an `Idempotency-Key`, its SHA-256,
/// the same at each attempt, so that a receiver can tell one that arrived twice.
///
/// Certificates are checked against those that the system trusts, or against a file.
///
/// ```
/// use headcount::{Acceptance, Uploader};
///
/// let uploader = Uploader::new()
///     .token_from_file("/run/secrets/ping-token")
///     .ca_file("/etc/acme/ca.pem")
///     .accept(Acceptance::Gitlab);
/// assert!(format!("{uploader:?}").contains("ping-token"));
/// ```
#[derive(Clone, Default)]
#[must_use]
pub struct Uploader {
    url: Option<String>,
    token: Option<TokenPlace>,
    ca_file: Option<PathBuf>,
    proxy: ProxyChoice,
    limits: UploadLimits,
    acceptance: Acceptance,
}

/// What makes a document accepted.
///
/// ```
/// assert_eq!(headcount::Acceptance::default(), headcount::Acceptance::Status);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum Acceptance {
    /// Any status from 200 to 299.
    #[default]
    Status,
    /// Such a status, and a response of JSON that has a whole number above 0 at `conv_index.usage_data_id` or
    /// `dev_ops_score.usage_data_id`, as GitLab's receiver answers.
    Gitlab,
}

/// How long the parts of an attempt may take.
///
/// ```
/// use std::time::Duration;
/// use headcount::UploadLimits;
///
/// let limits = UploadLimits { connect: Duration::from_secs(3), ..UploadLimits::default() };
/// assert_eq!(limits.whole, Duration::from_secs(180));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UploadLimits {
    /// The longest that finding the address may take, and then connecting, TLS and a proxy included; 10 seconds by default.
    pub connect: Duration,
    /// The longest that sending the request may take, 60 seconds by default.
    pub send: Duration,
    /// The longest that the head of the response may take, and then its body; 60 seconds by default.
    pub response: Duration,
    /// The longest that all of it may take, 180 seconds by default and an hour at most.
    pub whole: Duration,
}

impl Default for UploadLimits {
    fn default() -> Self {
        Self { connect: CONNECT_LIMIT, send: SEND_LIMIT, response: RESPONSE_LIMIT, whole: WHOLE_LIMIT }
    }
}

impl UploadLimits {
    /// How long an attempt takes at the most.
    fn longest(self) -> Duration {
        self.whole.min(MAX_WHOLE_LIMIT)
    }
}

/// A token is read where it stands at each attempt, so that it is in no argument and may be renewed.
#[derive(Clone)]
enum TokenPlace {
    File(PathBuf),
    Variable(String),
}

impl fmt::Display for TokenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "the token in {}", path.display()),
            Self::Variable(name) => write!(f, "the token in the environment's {name}"),
        }
    }
}

/// Has no `Debug`, so that no log can have it.
struct Token(String);

impl Uploader {
    /// Sends to the URL of the operator's consent, without a token, with the proxy of the environment.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sends to this URL instead of that of the operator's consent; without the consent it sends nothing all the same.
    pub fn to(mut self, url: impl Into<String>) -> Self {
        self.url = Some(url.into());
        self
    }

    /// Sends the first line of a file as `Authorization: Bearer`. It is read at each attempt.
    pub fn token_from_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.token = Some(TokenPlace::File(path.into()));
        self
    }

    /// Sends the value of a variable of the environment as `Authorization: Bearer`. It is read at each attempt.
    pub fn token_from_variable(mut self, name: impl Into<String>) -> Self {
        self.token = Some(TokenPlace::Variable(name.into()));
        self
    }

    /// Trusts the certificates in this PEM file, and no others.
    pub fn ca_file(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_file = Some(path.into());
        self
    }

    /// Goes through this proxy (`http://` or `https://`), whatever the environment says. By default it is the one that `HTTPS_PROXY`,
    /// `HTTP_PROXY` or `ALL_PROXY` name, in large or small letters, unless `NO_PROXY` has the host.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = ProxyChoice::Explicit(url.into());
        self
    }

    /// Goes through no proxy, whatever the environment says.
    pub fn without_proxy(mut self) -> Self {
        self.proxy = ProxyChoice::None;
        self
    }

    /// Sets how long the parts of an attempt may take.
    pub fn limits(mut self, limits: UploadLimits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets what makes a document accepted.
    pub fn accept(mut self, acceptance: Acceptance) -> Self {
        self.acceptance = acceptance;
        self
    }

    fn token(&self) -> Result<Option<Token>, Error> {
        let Some(place) = &self.token else { return Ok(None) };
        let text = match place {
            TokenPlace::File(path) => read_token(path)?,
            TokenPlace::Variable(name) => std::env::var(name)
                .map_err(|_| Error::new(ErrorKind::Usage, format!("{place} is not there; set it")))?,
        };
        let token = text.lines().next().unwrap_or_default().trim();
        let is_plain = token.bytes().all(|byte| byte.is_ascii_graphic());
        if token.is_empty() || token.len() > MAX_TOKEN_BYTES || !is_plain {
            let what =
                format!("{place} must be 1 to {MAX_TOKEN_BYTES} visible ASCII characters in the first line");
            return Err(Error::new(ErrorKind::Usage, what));
        }
        Ok(Some(Token(token.to_owned())))
    }
}

/// A proxy's URL may have a password in it.
impl fmt::Debug for Uploader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = self.token.as_ref().map(ToString::to_string);
        f.debug_struct("Uploader")
            .field("url", &self.url)
            .field("token", &token)
            .field("ca_file", &self.ca_file)
            .field("limits", &self.limits)
            .field("acceptance", &self.acceptance)
            .finish_non_exhaustive()
    }
}

fn read_token(path: &Path) -> Result<String, Error> {
    let bytes = read_file(path, u64::try_from(MAX_TOKEN_BYTES).unwrap_or(u64::MAX) * 2, "the token")?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// A file that belongs to the sending, up to a size; what is behind that is not read.
fn read_file(path: &Path, limit: u64, what: &str) -> Result<Vec<u8>, Error> {
    use std::io::Read;
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(limit).read_to_end(&mut bytes));
    read.map_err(|error| {
        let what = format!(
            "{}: {what} cannot be read: {}; check the path and permissions",
            path.display(),
            plain(&error)
        );
        Error::new(ErrorKind::Io, what)
    })?;
    Ok(bytes)
}
