//! One request and what comes back. ureq's door, with `trust.rs`.

use std::io::Read;

use ureq::http::{HeaderMap, Uri};
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::{Agent, Timeout};

use crate::error::{Error, ErrorKind, plain};
use crate::ping::has_port;
use crate::ping::upload::fate::{Reply, SendFailure, SendFault, Setup};
use crate::ping::upload::trust;
use crate::ping::upload::{Token, Uploader};

/// So much of a response is kept; what is behind it is not read.
pub(super) const MAX_RESPONSE_BYTES: u64 = 64 * 1024;
const MAX_HEAD_BYTES: usize = 32 * 1024;

const USER_AGENT: &str = concat!("headcount/", env!("CARGO_PKG_VERSION"));

/// Everything that one attempt needs. Making it opens no connection.
pub(super) struct Line {
    agent: Agent,
    url: String,
    token: Option<Token>,
    /// Scheme, host and port, as messages name it: a path or a query may be confidential.
    place: String,
    setup: Setup,
}

impl Uploader {
    pub(super) fn line(&self, consented: Option<&str>) -> Result<Line, Error> {
        let url = self.url.as_deref().or(consented);
        let url = url.ok_or_else(|| usage("no URL to send to is known; give one"))?;
        let Destination { host, place, is_tls, is_here } = destination(url)?;
        let token = self.token()?;
        let proxy = self.proxy.of(&host, is_tls);
        let goes_to = proxy.as_ref().map(|proxy| ureq::Proxy::new(&proxy.url).map_err(|_| proxy.refused()));
        let goes_to = goes_to.transpose()?;
        if token.is_some() && !is_tls && (!is_here || goes_to.is_some()) {
            return Err(usage(format!(
                "{place}: a token is not sent over http, where others can read it; use https"
            )));
        }
        let is_proxy_tls =
            goes_to.as_ref().is_some_and(|proxy| proxy.protocol() == ureq::ProxyProtocol::Https);
        let is_known = |proxy: &ureq::Proxy| {
            matches!(proxy.protocol(), ureq::ProxyProtocol::Http | ureq::ProxyProtocol::Https)
        };
        if let (Some(goes_to), Some(proxy)) = (&goes_to, &proxy)
            && !is_known(goes_to)
        {
            return Err(proxy.refused());
        }
        let mut tls = TlsConfig::builder().provider(TlsProvider::Rustls);
        if is_tls || is_proxy_tls {
            tls = tls.root_certs(trust::roots(self.ca_file.as_deref())?);
        } else if let Some(file) = &self.ca_file {
            return Err(usage(format!(
                "{}: nobody is asked for a certificate over http; use https, or name no CA file",
                file.display()
            )));
        }
        let setup = Setup {
            url: if self.url.is_some() {
                "the URL that this program sends to"
            } else {
                "the URL of the consent"
            },
            token: self.token.as_ref().map(ToString::to_string),
            proxy: proxy.map(|proxy| proxy.place),
        };
        let limits = self.limits;
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_idle_connections(0)
            .max_response_header_size(MAX_HEAD_BYTES)
            .user_agent(USER_AGENT)
            .accept("application/json")
            .proxy(goes_to)
            .tls_config(tls.build())
            .timeout_resolve(Some(limits.connect))
            .timeout_connect(Some(limits.connect))
            .timeout_send_request(Some(limits.send))
            .timeout_send_body(Some(limits.send))
            .timeout_recv_response(Some(limits.response))
            .timeout_recv_body(Some(limits.response))
            .timeout_global(Some(limits.longest()))
            .build();
        Ok(Line { agent: config.new_agent(), url: url.to_owned(), token, place, setup })
    }
}

impl Line {
    /// Sends a document, once.
    pub(super) fn post(&self, document: &str, key: &str) -> Result<Reply, SendFailure> {
        let mut request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        if let Some(Token(token)) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = request.send(document.as_bytes()).map_err(|error| self.failure(&error))?;
        let status = response.status().as_u16();
        let header = |name: &str| text_of(response.headers(), name);
        let (location, retry_after) = (header("location"), header("retry-after"));
        let mut body = Vec::new();
        // What has come counts, also of a body that is cut off.
        let read = response.into_body().into_reader().take(MAX_RESPONSE_BYTES).read_to_end(&mut body);
        Ok(Reply {
            place: self.place.clone(),
            setup: self.setup.clone(),
            status,
            location: location.map(|location| self.destination_of(&location)),
            retry_after,
            is_whole: read.is_ok(),
            body: self.without_token(String::from_utf8_lossy(&body).into_owned()),
        })
    }

    /// A receiver may send back what it was sent.
    fn without_token(&self, text: String) -> String {
        match &self.token {
            Some(Token(token)) if text.contains(token.as_str()) => {
                text.replace(token.as_str(), "(the token)")
            }
            _ => text,
        }
    }

    fn destination_of(&self, location: &str) -> String {
        let host = location.parse::<Uri>().ok().and_then(|uri| uri.host().map(str::to_owned));
        host.unwrap_or_else(|| self.place.clone())
    }

    #[cold]
    fn failure(&self, error: &ureq::Error) -> SendFailure {
        let (fault, what) = match error {
            ureq::Error::ConnectProxyFailed(reason) => {
                let proxy = self.setup.proxy.as_deref().unwrap_or("the proxy");
                let what = format!("the proxy did not let it through: {reason}; check {proxy}");
                (SendFault::Unreachable, what)
            }
            error => words(error),
        };
        SendFailure::new(fault, format!("{}: {what}", self.place))
    }
}

fn words(error: &ureq::Error) -> (SendFault, String) {
    use ureq::Error as Failed;
    let unreachable = |what: String| (SendFault::Unreachable, what);
    match error {
        Failed::Timeout(limit) => (SendFault::Timeout, format!("{} took too long", stage(*limit))),
        Failed::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            (SendFault::Timeout, "the connection took too long".to_owned())
        }
        Failed::HostNotFound => {
            unreachable("the name of the host is not known; check it, and the network".to_owned())
        }
        Failed::ConnectionFailed => {
            unreachable("no connection could be made; check the network and the proxy".to_owned())
        }
        Failed::Tls(reason) => (SendFault::Tls, (*reason).to_owned()),
        Failed::Rustls(error) => (SendFault::Tls, untrusted(&error.to_string())),
        // rustls wraps its own errors so; those of the system have no inner one.
        Failed::Io(error) if error.kind() == std::io::ErrorKind::InvalidData && error.get_ref().is_some() => {
            (SendFault::Tls, untrusted(&error.to_string()))
        }
        Failed::Io(error) => unreachable(format!("the connection failed: {}", plain(error))),
        other => unreachable(format!("what came back is no answer of HTTP: {other}")),
    }
}

fn untrusted(reason: &str) -> String {
    format!(
        "the connection is not trusted: {reason}; check the clock and the certificates, or name a CA file"
    )
}

fn stage(limit: Timeout) -> &'static str {
    match limit {
        Timeout::Resolve => "finding the address",
        Timeout::Connect => "connecting",
        Timeout::SendRequest | Timeout::SendBody | Timeout::PerWrite => "sending",
        Timeout::RecvResponse | Timeout::RecvBody | Timeout::PerRead => "the response",
        _ => "all of it",
    }
}

struct Destination {
    host: String,
    place: String,
    is_tls: bool,
    /// Whether it is this machine, so that nobody listens on the way.
    is_here: bool,
}

fn destination(url: &str) -> Result<Destination, Error> {
    let no_url = || usage("the URL to send to is none; write it as https://host/path");
    let uri: Uri = url.parse().map_err(|_| no_url())?;
    let authority = uri.authority().ok_or_else(no_url)?;
    if authority.as_str().contains('@') {
        return Err(usage(format!(
            "{}: a name or password in a URL shows in logs; use a token",
            authority.host()
        )));
    }
    if !has_port(authority.as_str()) {
        return Err(usage(format!("{authority}: its port is none; ports are 1 to 65535")));
    }
    let is_tls = match uri.scheme_str() {
        Some("https") => true,
        Some("http") => false,
        _ => return Err(no_url()),
    };
    let host = authority.host().to_owned();
    let bare = host.trim_matches(['[', ']']);
    let is_loopback = bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback());
    let is_here = is_loopback || host.eq_ignore_ascii_case("localhost");
    let place = format!("{}://{authority}", if is_tls { "https" } else { "http" });
    Ok(Destination { host, place, is_tls, is_here })
}

#[cold]
fn usage(what: impl Into<String>) -> Error {
    Error::new(ErrorKind::Usage, what)
}

fn text_of(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned)
}
