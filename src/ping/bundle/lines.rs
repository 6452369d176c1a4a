//! Reading a bundle line by line. It takes only what it must to know the parts; whether the rest is as it must be shows when all
//! of it is written again.

use crate::ping::bundle::form::{Claim, Content, Entry, FORMAT, VERSION};
use crate::storage::ping::PingDigest;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// No line is moved further to the right than objects nested so deep ask for.
const MAX_DEPTH: usize = 64;
const SPACES_A_LEVEL: usize = 2;

/// What a text says that may be a bundle, and what its manifest claims of it.
///
/// # Errors
///
/// What is wrong, in words, with the line.
pub(super) fn read(text: &str) -> Result<(Content, Vec<Claim>), String> {
    let mut lines = Lines { rest: text, number: 0 };
    lines.expect("{")?;
    lines.expect(&format!("  \"format\": \"{FORMAT}\","))?;
    let version = lines.between("  \"version\": ", ",")?;
    if version != VERSION.to_string() {
        return Err(format!(
            "it is of form {version}, and this version of headcount reads form {VERSION}: read it with a newer one"
        ));
    }
    let made_at = lines.between("  \"made_at\": \"", "\",")?;
    let made_at = Timestamp::parse(made_at).map_err(|error| lines.fault(error))?;
    let uuid = lines.between("  \"uuid\": \"", "\",")?;
    if !is_uuid(uuid) {
        return Err(lines.fault("this is no uuid"));
    }
    let uuid = uuid.to_owned();
    lines.expect("  \"pings\": [")?;
    let mut pings: Vec<Entry> = Vec::new();
    loop {
        let ping = lines.entry()?;
        if pings.last().is_some_and(|before| before.week >= ping.week) {
            return Err(lines.fault(format_args!("{} is not in the order of weeks", ping.week)));
        }
        pings.push(ping);
        match lines.next()? {
            "    }," => {}
            "    }" => break,
            _ => return Err(lines.fault("this is not the end of a ping")),
        }
    }
    lines.expect("  ],")?;
    let definitions = lines.part("  ", "definitions")?;
    lines.expect("  \"manifest\": {")?;
    lines.expect("    \"parts\": [")?;
    let mut manifest = Vec::new();
    loop {
        manifest.push(lines.claim()?);
        match lines.next()? {
            "      }," => {}
            "      }" => break,
            _ => return Err(lines.fault("this is not the end of a part in the manifest")),
        }
    }
    Ok((Content { made_at, uuid, pings, definitions }, manifest))
}

struct Lines<'t> {
    rest: &'t str,
    number: usize,
}

impl<'t> Lines<'t> {
    fn next(&mut self) -> Result<&'t str, String> {
        self.number += 1;
        let Some((line, rest)) = self.rest.split_once('\n') else {
            return Err(self.fault("it ends here, in the middle"));
        };
        self.rest = rest;
        let spaces = line.bytes().take_while(|byte| *byte == b' ').count();
        if spaces > MAX_DEPTH * SPACES_A_LEVEL {
            return Err(self.fault(format_args!("it is nested deeper than {MAX_DEPTH}")));
        }
        Ok(line)
    }

    fn fault(&self, what: impl std::fmt::Display) -> String {
        format!("line {}: {what}", self.number)
    }

    fn expect(&mut self, line: &str) -> Result<(), String> {
        if self.next()? == line {
            return Ok(());
        }
        Err(self.fault(format_args!("this must be `{}`", line.trim())))
    }

    fn between(&mut self, before: &str, after: &str) -> Result<&'t str, String> {
        let line = self.next()?;
        let value = line.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
        value.ok_or_else(|| self.fault(format_args!("this must be `{}..{after}`", before.trim())))
    }

    fn entry(&mut self) -> Result<Entry, String> {
        self.expect("    {")?;
        let week = self.between("      \"week\": \"", "\",")?;
        let week = IsoWeek::parse(week).map_err(|error| self.fault(error))?;
        let named = |error| format!("the ping of {week}: {error}");
        let document = self.part("      ", "document").map_err(named)?;
        let beside = self.part("      ", "beside").map_err(named)?;
        Ok(Entry { week, document, beside })
    }

    /// The object below a key, moved back to the left. Whether a comma is behind it is not looked at here.
    fn part(&mut self, indent: &str, key: &str) -> Result<String, String> {
        let first = self.next()?;
        let begun = first.strip_prefix(indent).and_then(|rest| rest.strip_prefix(&format!("\"{key}\": ")));
        match begun {
            Some("{") => {}
            Some("{}" | "{},") => return Ok("{}\n".to_owned()),
            _ => return Err(self.fault(format_args!("this must be `\"{key}\": {{`"))),
        }
        let mut part = "{\n".to_owned();
        loop {
            let Some(line) = self.next()?.strip_prefix(indent) else {
                return Err(self.fault(format_args!("this does not belong to `{key}`")));
            };
            if matches!(line, "}" | "},") {
                part.push_str("}\n");
                return Ok(part);
            }
            part.push_str(line);
            part.push('\n');
        }
    }

    fn claim(&mut self) -> Result<Claim, String> {
        self.expect("      {")?;
        let part = self.between("        \"part\": \"", "\",")?.to_owned();
        let bytes = self.between("        \"bytes\": ", ",")?;
        let bytes = bytes.parse().map_err(|_| self.fault(format_args!("`{bytes}` is no size")))?;
        let digest = self.between("        \"sha256\": \"", "\"")?;
        let digest = PingDigest::parse(digest).ok_or_else(|| self.fault("this is no SHA-256"))?;
        Ok(Claim { part, bytes, digest })
    }
}

fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}
