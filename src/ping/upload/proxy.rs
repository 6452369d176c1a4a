//! Which proxy a document goes through.

use crate::error::{Error, ErrorKind};

const FOR_HTTPS: &[&str] = &["HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy"];
const FOR_HTTP: &[&str] = &["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
const EXCEPT: &[&str] = &["NO_PROXY", "no_proxy"];

#[derive(Clone, Default)]
pub(super) enum ProxyChoice {
    #[default]
    Environment,
    Explicit(String),
    None,
}

/// A proxy, and where its URL stands; the URL may have a password in it, so that messages name the place.
pub(super) struct Proxy {
    pub(super) url: String,
    pub(super) place: String,
}

impl Proxy {
    /// # Errors
    ///
    /// [`ErrorKind::Usage`]: what the place has is no URL of a proxy.
    pub(super) fn refused(&self) -> Error {
        let what = format!(
            "{} is no URL of a proxy that is known here; write it as http://host:port or https://host:port",
            self.place
        );
        Error::new(ErrorKind::Usage, what)
    }
}

impl ProxyChoice {
    pub(super) fn of(&self, host: &str, is_tls: bool) -> Option<Proxy> {
        self.among(host, is_tls, |name| std::env::var(name).ok())
    }

    fn among(&self, host: &str, is_tls: bool, variable: impl Fn(&str) -> Option<String>) -> Option<Proxy> {
        let set = |names: &[&'static str]| {
            let value = |name: &&str| variable(name).map(|value| value.trim().to_owned());
            names
                .iter()
                .find_map(|name| value(name).filter(|value| !value.is_empty()).map(|value| (*name, value)))
        };
        match self {
            Self::None => None,
            Self::Explicit(url) => Some(Proxy { url: url.clone(), place: "the proxy".to_owned() }),
            Self::Environment => {
                let (name, url) = set(if is_tls { FOR_HTTPS } else { FOR_HTTP })?;
                let is_excepted = set(EXCEPT).is_some_and(|(_, list)| is_on(&list, host));
                (!is_excepted).then(|| Proxy { url, place: format!("the environment's {name}") })
            }
        }
    }
}

/// Whether a list of `host`, `.domain` and `*` has a host; a domain has all below it, as curl and Go read it.
fn is_on(list: &str, host: &str) -> bool {
    let host = host.trim_matches(['[', ']']).to_ascii_lowercase();
    list.split(',').map(str::trim).filter(|entry| !entry.is_empty()).any(|entry| {
        let domain = entry.trim_start_matches('*').trim_start_matches('.').to_ascii_lowercase();
        let domain = domain.trim_matches(['[', ']']);
        entry == "*" || host == domain || host.strip_suffix(domain).is_some_and(|sub| sub.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(host: &str, is_tls: bool, set: &[(&str, &str)]) -> Option<String> {
        let variable =
            |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        ProxyChoice::Environment.among(host, is_tls, variable).map(|proxy| proxy.url)
    }

    #[test]
    fn each_scheme_has_its_variable_and_exceptions_win() {
        let set = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "http://p:2")];
        assert_eq!(chosen("a.example", true, &set).as_deref(), Some("http://s:1"));
        assert_eq!(chosen("a.example", false, &set).as_deref(), Some("http://p:2"));
        assert_eq!(chosen("a.example", false, &[("all_proxy", "http://a")]).as_deref(), Some("http://a"));
        assert_eq!(chosen("a.example", true, &[("http_proxy", "http://p"), ("HTTPS_PROXY", " ")]), None);
        for (list, is_direct) in [
            ("a.example", true),
            ("A.Example", true),
            ("example", true),
            (".example", true),
            ("*.example", true),
            ("*", true),
            ("x, a.example", true),
            ("b.example,,", false),
            ("ample", false),
            ("a.example.org", false),
        ] {
            let set = [("HTTPS_PROXY", "http://s:1"), ("NO_PROXY", list)];
            assert_eq!(chosen("a.example", true, &set).is_none(), is_direct, "{list}");
        }
        assert_eq!(chosen("[::1]", true, &[("HTTPS_PROXY", "http://s"), ("no_proxy", "::1")]), None);
    }
}
