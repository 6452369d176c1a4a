//! Whether a text is a URL, as the fields of definitions that name merge requests and issues hold one.

/// Whether this is `http(s)://host[:port]` with a path, a query and a fragment of the characters that RFC 3986 allows.
pub(in crate::definition::read) fn is_url(text: &str) -> bool {
    let Some(rest) = ["https://", "http://"].iter().find_map(|scheme| text.strip_prefix(scheme)) else {
        return false;
    };
    let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
    let (host, port) = authority.split_once(':').unwrap_or((authority, "443"));
    let is_host = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    !host.is_empty() && is_host && is_port && is_path(path)
}

fn is_path(path: &str) -> bool {
    let hex = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_hexdigit);
    let bytes = path.as_bytes();
    let allowed = bytes.iter().enumerate().all(|(at, byte)| match byte {
        b'%' => hex(bytes.get(at + 1)) && hex(bytes.get(at + 2)),
        byte => byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,;=:@/?#".contains(byte),
    });
    allowed && path.matches('#').count() <= 1
}

#[cfg(test)]
mod tests {
    use super::is_url;

    #[test]
    fn urls_are_those_of_rfc_3986_with_a_host() {
        for url in [
            "https://gitlab.com/gitlab-org/gitlab/-/merge_requests/1",
            "http://localhost:8080",
            "https://example.com/a%20b?c=d&e=[]".trim_end_matches("[]"),
            "https://example.com#note_1",
        ] {
            assert!(is_url(url), "{url}");
        }
        for text in [
            "",
            "u",
            "https://",
            "https:///a",
            "example.com/1",
            "ftp://example.com",
            "https://example.com:99999",
            "https://example.com:",
            "https://example.com/a b",
            "https://example.com/%2",
            "https://example.com/#a#b",
            "https://example.com/ü",
        ] {
            assert!(!is_url(text), "{text}");
        }
    }
}
