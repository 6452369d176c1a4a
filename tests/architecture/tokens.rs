//! Rust sources as tokens: as much of the grammar as rules about names need.

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Token<'t> {
    pub(crate) kind: Kind<'t>,
    /// From 1.
    pub(crate) line: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind<'t> {
    Word(&'t str),
    /// A literal text, between its quotes.
    Text(&'t str),
    Mark(char),
}

/// Words, texts and marks; comments, characters and lifetimes are passed over.
pub(crate) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut rest = text;
    let mut line = 1;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment_length(rest)
        } else if let Some((body, length)) = literal(rest) {
            found.push(Token { kind: Kind::Text(body), line });
            length
        } else if let Some(length) = character_length(rest) {
            length
        } else if is_word(first) {
            let length = rest.find(|next| !is_word(next)).unwrap_or(rest.len());
            found.push(Token { kind: Kind::Word(&rest[..length]), line });
            length
        } else {
            if !first.is_whitespace() {
                found.push(Token { kind: Kind::Mark(first), line });
            }
            first.len_utf8()
        };
        line += rest[..length].matches('\n').count();
        rest = &rest[length..];
    }
    found
}

fn is_word(character: char) -> bool {
    character.is_alphanumeric() || character == '_'
}

fn comment_length(text: &str) -> usize {
    let mut depth = 0;
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().unwrap().len_utf8();
        }
    }
    text.len()
}

/// The body and the length of the text literal that begins here: plain or raw, of characters, bytes or for C.
fn literal(text: &str) -> Option<(&str, usize)> {
    let prefix = ["", "b", "c", "r", "br", "cr"].into_iter().rev().find(|prefix| {
        text.strip_prefix(prefix)
            .is_some_and(|rest| rest.starts_with('"') || prefix.ends_with('r') && rest.starts_with('#'))
    })?;
    let quoted = &text[prefix.len()..];
    let hashes = quoted.len() - quoted.trim_start_matches('#').len();
    let body = quoted[hashes..].strip_prefix('"')?;
    let length = if prefix.ends_with('r') {
        body.find(&format!("\"{}", "#".repeat(hashes)))?
    } else {
        let mut escaped = false;
        body.find(|next| {
            let ends = next == '"' && !escaped;
            escaped = next == '\\' && !escaped;
            ends
        })?
    };
    Some((&body[..length], prefix.len() + hashes + 1 + length + 1 + hashes))
}

/// The length of the character literal or the lifetime that begins here.
fn character_length(text: &str) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let mut characters = rest.char_indices();
    let (_, first) = characters.next()?;
    if first == '\\' {
        characters.next();
        return characters.find(|(_, next)| *next == '\'').map(|(at, _)| at + 2);
    }
    let (at, second) = characters.next()?;
    Some(if second == '\'' { at + 2 } else { 1 + at })
}
