//! The form of a bundle: which lines it has, and how they are written. Whatever is not written so is no bundle.
//!
//! A part (a document, what is beside it, the definitions) is a JSON object in its canonical form. It stands in the bundle as it
//! is, each of its lines moved to the right, so that it comes out byte for byte without a number being read.

use sha2::{Digest, Sha256};

use crate::storage::ping::PingDigest;
use crate::time::timestamp::Timestamp;
use crate::time::week::IsoWeek;

/// It changes when a reader of the form before could misread the new one.
pub(super) const VERSION: u32 = 1;
pub(super) const FORMAT: &str = "headcount pings";

/// What stands in a bundle, each part in its canonical form.
#[derive(Debug)]
pub(super) struct Content {
    pub(super) made_at: Timestamp,
    pub(super) uuid: String,
    /// By week, each once.
    pub(super) pings: Vec<Entry>,
    pub(super) definitions: String,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) week: IsoWeek,
    pub(super) document: String,
    pub(super) beside: String,
}

/// What the manifest says of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    pub(super) part: String,
    pub(super) bytes: usize,
    pub(super) digest: PingDigest,
}

impl Content {
    /// Each part with the name that the manifest has for it.
    pub(super) fn parts(&self) -> impl Iterator<Item = (String, &str)> {
        let of_pings = self.pings.iter().flat_map(|Entry { week, document, beside }| {
            [(format!("{week} document"), document.as_str()), (format!("{week} beside"), beside.as_str())]
        });
        of_pings.chain([("definitions".to_owned(), self.definitions.as_str())])
    }

    pub(super) fn manifest(&self) -> Vec<Claim> {
        let claim = |(part, text): (String, &str)| Claim {
            part,
            bytes: text.len(),
            digest: PingDigest::of(text.as_bytes()),
        };
        self.parts().map(claim).collect()
    }

    /// Says the bundle, piece after piece, and returns the digest of the whole: of every line before the one that has it.
    pub(super) fn write(&self, manifest: &[Claim], put: &mut dyn FnMut(&str)) -> PingDigest {
        let mut whole = Sha256::new();
        let mut say = |text: &str| {
            whole.update(text);
            put(text);
        };
        say(&format!("{{\n  \"format\": \"{FORMAT}\",\n  \"version\": {VERSION},\n"));
        say(&format!(
            "  \"made_at\": \"{}\",\n  \"uuid\": \"{}\",\n  \"pings\": [\n",
            self.made_at, self.uuid
        ));
        let mut between = "";
        for Entry { week, document, beside } in &self.pings {
            say(between);
            say(&format!("    {{\n      \"week\": \"{week}\",\n      \"document\": "));
            say_part(document, "\n      ", &mut say);
            say(",\n      \"beside\": ");
            say_part(beside, "\n      ", &mut say);
            say("\n    }");
            between = ",\n";
        }
        say("\n  ],\n  \"definitions\": ");
        say_part(&self.definitions, "\n  ", &mut say);
        say(",\n  \"manifest\": {\n    \"parts\": [\n");
        between = "";
        for Claim { part, bytes, digest } in manifest {
            say(between);
            say(&format!("      {{\n        \"part\": \"{part}\",\n        \"bytes\": {bytes},\n"));
            say(&format!("        \"sha256\": \"{digest}\"\n      }}"));
            between = ",\n";
        }
        say("\n    ],\n");
        let digest = PingDigest(whole.finalize().into());
        put(&format!("    \"sha256\": \"{digest}\"\n  }}\n}}\n"));
        digest
    }
}

/// A part without the newline at its end, each line but the first moved to the right.
fn say_part(part: &str, line_break: &str, say: &mut impl FnMut(&str)) {
    for (number, line) in part.trim_end_matches('\n').split('\n').enumerate() {
        if number > 0 {
            say(line_break);
        }
        say(line);
    }
}
