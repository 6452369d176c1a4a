//! Which certificates are trusted: those of the system, or those of a file.

use std::path::{Path, PathBuf};

use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::error::{Error, ErrorKind};
use crate::ping::upload::read_file;

/// Names the system's file, for OpenSSL and others.
const VARIABLE: &str = "SSL_CERT_FILE";
/// Where systems keep the certificates that they trust, in one PEM file: Debian, Alpine and Arch; Fedora and RHEL; SUSE; macOS and the
/// BSDs.
const PLACES: &[&str] = &[
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];
/// What a file of certificates may have; those of systems have a quarter of a million bytes.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// The roots that a certificate must lead to.
pub(super) fn roots(ca_file: Option<&Path>) -> Result<RootCerts, Error> {
    let path = match ca_file {
        Some(path) => path.to_owned(),
        None => system_file().ok_or_else(|| {
            let what = format!(
                "this system has no file of trusted certificates where one is looked for; name a CA file, or set {VARIABLE}"
            );
            Error::new(ErrorKind::Usage, what)
        })?,
    };
    let bytes = read_file(&path, MAX_BYTES, "the file of trusted certificates")?;
    let certificate = |item| match item {
        Ok(PemItem::Certificate(certificate)) => Some(certificate),
        _ => None,
    };
    let certificates: Vec<Certificate<'static>> = parse_pem(&bytes).filter_map(certificate).collect();
    if certificates.is_empty() {
        let what = format!("{}: it has no certificate in the PEM form; name another CA file", path.display());
        return Err(Error::new(ErrorKind::Usage, what));
    }
    Ok(RootCerts::from(certificates))
}

fn system_file() -> Option<PathBuf> {
    let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
    named.or_else(|| PLACES.iter().map(PathBuf::from).find(|path| path.is_file()))
}
