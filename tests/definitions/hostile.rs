//! No input breaks the reader or keeps it long.

use std::time::{Duration, Instant};

use crate::{METRIC, gitlab, load, yaml_files};

#[test]
fn hostile_yaml_is_refused_quickly() {
    let mut bomb = String::from("action: a\nx-0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n");
    for level in 1..20 {
        let below = vec![format!("*a{}", level - 1); 10].join(", ");
        bomb.push_str(&format!("x-{level}: &a{level} [{below}]\n"));
    }
    let long_text =
        format!("action: a\nx-a: &a {}\nx-b: [{}*a]\n", "x".repeat(500_000), "*a, ".repeat(1_000));
    let nested = "[".repeat(20);
    let (open, close) = (&nested, "]".repeat(20));
    let deep_alias = format!("action: a\nx-a: &a {open}{close}\nx-b: {open}*a{close}\n");
    let cases = [
        (deep_alias, "nested deeper than 32"),
        (bomb, "more than 100000 values"),
        (long_text, "bytes of text, repeated text included"),
        (format!("action: {}a{}\n", "[".repeat(100_000), "]".repeat(100_000)), "nested deeper than 32"),
        (format!("action:\n  {}a\n", "- ".repeat(100_000)), "nested deeper than 32"),
        (format!("action: {}a{}\n", "{a: ".repeat(100), "}".repeat(100)), "nested deeper than 32"),
        (format!("action: a\nx-a: [{}]\n", "a, ".repeat(200_000)), "more than 100000 values"),
        (format!("action: a\n{}", "b: c\n".repeat(40_000)), "already in this mapping"),
        ((0..40_000).map(|n| format!("b{n}: c\n")).collect::<String>() + "action: a\n", "more errors"),
        (format!("action: a\n#{}", "x".repeat((1 << 20) - 10)), "more than 1048576 bytes"),
    ];
    for (yaml, fragment) in cases {
        let begun = Instant::now();
        let error = load(&yaml).expect_err(fragment);
        assert!(error.to_string().contains(fragment), "{fragment}: {:.300}", error.to_string());
        assert!(error.problems().len() <= 200);
        assert!(begun.elapsed() < Duration::from_secs(5), "{fragment} took {:?}", begun.elapsed());
    }
    let largest = format!("action: a\n#{}", "x".repeat((1 << 20) - 11));
    assert_eq!(largest.len(), 1 << 20);
    assert!(load(&largest).is_ok());
}

#[test]
fn no_mutation_of_a_definition_breaks_the_reader() {
    let mut texts: Vec<Vec<u8>> = vec![
        format!("{METRIC}options: {{a: [1, .5, 'x']}}\nevents:\n- name: a\n  unique: user.id\n  filter: {{label: x}}\n").into_bytes(),
        b"---\naction: &a push\nidentifiers:\n- user\nadditional_properties:\n  label: {description: *a}\n".to_vec(),
    ];
    if let Some(folder) = gitlab() {
        let mut files = Vec::new();
        yaml_files(&folder, &mut files);
        texts.extend(files.iter().map(|file| std::fs::read(file).unwrap()));
    }
    let seed: u64 =
        std::env::var("HEADCOUNT_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or_else(|| {
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
        });
    let mut state = seed | 1;
    let mut below = move |limit: usize| {
        // xorshift64*; any generator does.
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        usize::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap() % limit.max(1)
    };
    let bits: [&[u8]; 24] = [
        b"\n",
        b" ",
        b"  ",
        b"- ",
        b": ",
        b"[",
        b"]",
        b"{",
        b"}",
        b"'",
        b"\"",
        b"&a ",
        b"*a",
        b"!!str ",
        b"#",
        b"|\n",
        b">\n",
        b"---\n",
        b"\t",
        b"? ",
        b"\xff",
        b"\xef\xbb\xbf",
        b"\r",
        b"%YAML 1.2\n",
    ];
    for round in 0..6_000 {
        let mut text = texts[below(texts.len())].clone();
        for _ in 0..=below(4) {
            let at = below(text.len() + 1);
            match below(4) {
                0 => drop(text.splice(at..at, bits[below(bits.len())].iter().copied())),
                1 => drop(text.drain(at..(at + below(20)).min(text.len()))),
                2 => text.truncate(at),
                _ => {
                    let from = below(text.len() + 1);
                    let piece = text[from..(from + below(40)).min(text.len())].to_vec();
                    drop(text.splice(at..at, piece));
                }
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        let outcome = std::panic::catch_unwind(|| load(&text).map(|definitions| definitions.events().len()));
        assert!(outcome.is_ok(), "HEADCOUNT_SEED={seed} round {round}\n{text}");
        if let Ok(Err(error)) = outcome {
            assert!(!error.problems().is_empty());
        }
    }
}
