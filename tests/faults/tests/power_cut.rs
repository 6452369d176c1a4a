//! A power cut at any moment of each workload: what was promised is there, and what is there is whole.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test stops where it is wrong")]

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Instant;

use headcount_faults::chance::Chance;
use headcount_faults::disk::Disk;
use headcount_faults::image::{Player, Style};
use headcount_faults::run::{
    Expected, copy_folder, each, is_endurance, scratch, seed, sees_own_syncs, session_after,
};
use headcount_faults::tape::{Entry, Tape};
use headcount_faults::workload::{ALL, Workload, chosen};

const IMAGES: usize = 5_000;
const IMAGES_FOR_ENDURANCE: usize = 100_000;
/// On every so manieth image a new process goes on and ends the work.
const GOES_ON_EVERY: usize = 8;

/// A place on a tape, and what to make of it.
struct Cut {
    at: usize,
    style: Style,
    number: u64,
}

/// What the images of a tape turn out to be.
#[derive(Debug, Default)]
struct Tally {
    images: usize,
    by_style: BTreeMap<Style, usize>,
    faults: Vec<String>,
}

#[test]
fn what_was_promised_survives_a_power_cut() {
    assert!(sees_own_syncs(), "syncs of the program's own do not come by, so that names could not be judged");
    let (seed, began) = (seed(), Instant::now());
    println!("HEADCOUNT_SEED={seed}");
    let images = if is_endurance() { IMAGES_FOR_ENDURANCE } else { IMAGES };
    let tapes: Vec<(&Workload, Tape)> =
        chosen().into_iter().map(|workload| (workload, record(workload, Disk::record))).collect();
    let entries: usize = tapes.iter().map(|(_, tape)| tape.entries.len()).sum();
    let jobs: Vec<(&Workload, &Tape, usize)> = tapes
        .iter()
        .map(|(workload, tape)| (*workload, tape, (images * tape.entries.len()).div_ceil(entries)))
        .collect();
    let tallies =
        each(&jobs, |(workload, tape, images)| judge(workload, &Player::new(tape), tape, *images, seed));
    for ((workload, tape, _), tally) in jobs.iter().zip(&tallies) {
        let syncs =
            tape.entries.iter().filter(|entry| matches!(entry, Entry::Synced(_) | Entry::FolderSynced));
        println!(
            "{:22} {:4} entries, {:3} syncs, {:6} images {:?}",
            workload.name,
            tape.entries.len(),
            syncs.count(),
            tally.images,
            tally.by_style
        );
    }
    let total: usize = tallies.iter().map(|tally| tally.images).sum();
    println!("{total} images in {:.1} s", began.elapsed().as_secs_f64());
    let faults: Vec<&String> = tallies.iter().flat_map(|tally| &tally.faults).collect();
    assert!(
        faults.is_empty(),
        "{} images are wrong, the first:\n{:#?}",
        faults.len(),
        &faults[..faults.len().min(8)]
    );
    assert!(total >= images, "only {total} images");
}

/// A sync that does nothing, as with `synchronous=OFF`, and one of the folder that nobody makes: each must be found out by the
/// images above, or they prove nothing.
#[test]
fn without_syncs_a_power_cut_loses_or_damages() {
    let seed = seed();
    let flush = ALL.iter().find(|workload| workload.name == "flush").unwrap();
    let tape = record(flush, |disk| {
        disk.drop_syncs();
        disk.record();
    });
    let tally = judge(flush, &Player::new(&tape), &tape, 400, seed);
    let lost = tally.faults.iter().filter(|fault| fault.contains("were acknowledged")).count();
    let others = tally.faults.len() - lost;
    println!(
        "HEADCOUNT_SEED={seed}, without syncs: of {} images {lost} lose and {others} are damaged",
        tally.images
    );
    assert!(lost > 0, "no image lost what was promised");
    assert!(others > 0, "no image was damaged");
}

#[test]
fn without_syncs_of_the_folder_a_power_cut_loses_the_store() {
    let seed = seed();
    let create = ALL.iter().find(|workload| workload.name == "create").unwrap();
    let tape = record(create, Disk::record);
    let tally = judge(create, &Player::new(&tape).without_folder_syncs(), &tape, 400, seed);
    let gone = tally.faults.iter().filter(|fault| fault.contains("gone")).count();
    println!(
        "HEADCOUNT_SEED={seed}, without syncs of the folder: of {} images {gone} lose the store",
        tally.images
    );
    assert!(gone > 0, "no image lost the store");
    assert!(tally.faults.iter().all(|fault| fault.contains("Strict")), "{:?}", tally.faults);
}

/// The tape must tell the truth: played to its end it is the folder, byte for byte.
#[test]
fn a_tape_played_to_its_end_is_the_folder() {
    for workload in ALL {
        let folder = scratch().unwrap();
        let path = folder.path().canonicalize().unwrap();
        (workload.prepare)(&path).unwrap();
        let disk = Disk::watch(&path);
        disk.record();
        session_after(workload, &path, Some(&disk), 0).run(workload).unwrap();
        let tape = disk.take_tape().unwrap();
        let mut player = Player::new(&tape);
        while player.step().is_some() {}
        let image = player.image(Style::Whole, &mut Chance::of(0, workload.name, 0));
        assert_eq!(image.acknowledged, workload.steps);
        let mut files = BTreeMap::new();
        for file in std::fs::read_dir(&path).unwrap() {
            let file = file.unwrap();
            files.insert(file.file_name().into_string().unwrap(), std::fs::read(file.path()).unwrap());
        }
        files.retain(|name, _| !name.ends_with("-shm"));
        assert!(files == image.files, "{}: the tape tells of another folder", workload.name);
    }
}

/// Does the workload on a disk that writes everything down.
fn record(workload: &Workload, begin: impl Fn(&Disk)) -> Tape {
    let folder = scratch().unwrap();
    let path = folder.path().canonicalize().unwrap();
    (workload.prepare)(&path).unwrap();
    let disk = Disk::watch(&path);
    begin(&disk);
    session_after(workload, &path, Some(&disk), 0).run(workload).unwrap();
    disk.take_tape().unwrap()
}

/// Cuts the power at each sync, removal and promise, and at a stride of everything else; looks at about so many images.
fn judge(workload: &Workload, player: &Player<'_>, tape: &Tape, images: usize, seed: u64) -> Tally {
    let expected = Expected::of(workload);
    let mut tally = Tally::default();
    let mut player = player.clone();
    for cut in cuts(tape, images) {
        while player.place() < cut.at && player.step().is_some() {}
        let name = format!(
            "{}, {:?} after {} of {}, image {}",
            workload.name,
            cut.style,
            cut.at,
            tape.entries.len(),
            cut.number
        );
        let mut chance = Chance::of(seed, workload.name, cut.number);
        let image = player.image(cut.style, &mut chance);
        let goes_on = tally.images % GOES_ON_EVERY == 0;
        let look = || look(workload, &expected, &image, goes_on);
        let found = catch_unwind(AssertUnwindSafe(look)).unwrap_or_else(|_| Err("panicked".to_owned()));
        if let Err(fault) = found {
            tally.faults.push(format!("HEADCOUNT_SEED={seed} {name}: {fault}"));
        }
        tally.images += 1;
        *tally.by_style.entry(cut.style).or_default() += 1;
    }
    tally
}

fn look(
    workload: &Workload,
    expected: &Expected<'_>,
    image: &headcount_faults::image::Image,
    goes_on: bool,
) -> Result<(), String> {
    let folder = scratch().map_err(|error| error.to_string())?;
    image.write_to(folder.path()).map_err(|error| error.to_string())?;
    let steps = expected.steps_of(folder.path(), image.acknowledged)?;
    if goes_on {
        let again = scratch().map_err(|error| error.to_string())?;
        copy_folder(folder.path(), again.path()).map_err(|error| error.to_string())?;
        session_after(workload, again.path(), None, steps)
            .run(workload)
            .map_err(|error| format!("going on: {error}"))?;
        expected.steps_of(again.path(), workload.steps)?;
    }
    Ok(())
}

/// Where to cut, in the order of the tape: round by round, every place that matters and then every place.
fn cuts(tape: &Tape, images: usize) -> Vec<Cut> {
    let matters = |entry: &Entry| !matches!(entry, Entry::Write { .. } | Entry::Truncate { .. });
    let mut places: Vec<usize> = (0..tape.entries.len())
        .filter(|at| matters(&tape.entries[*at]))
        .flat_map(|at| [at, at + 1])
        .collect();
    places.dedup();
    let all: Vec<usize> = (0..=tape.entries.len()).collect();
    let each_place = places.into_iter().chain(all.iter().copied().cycle());
    let styled = each_place.flat_map(|at| Style::ALL.map(|style| (at, style)));
    let mut cuts: Vec<Cut> =
        styled.take(images).zip(0..).map(|((at, style), number)| Cut { at, style, number }).collect();
    cuts.sort_by_key(|cut| cut.at);
    cuts
}
