//! The table of marks: which are kept, and which one a new mark replaces.

use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::layout::{MARK_RECORDS, at};
use super::marks::{Mark, MarkKind};
use super::protocol::Cells;

/// Marks are of two sorts: about the machine, and about its console. This many of the newest marks
/// of each sort are replaced only by marks of the same sort. So attaches cannot push out the marks
/// of boots, and a guest that resets in a loop cannot push out those of attaches.
const SHARE: usize = 64;

/// How many marks there ever were. For an instant while a mark is added, the answer may be too
/// small by the indices that are being left out.
pub(super) fn written<C: Cells>(cells: &C) -> u64 {
    let indices = cells.load(MARK_RECORDS.count, Acquire);
    indices.saturating_sub(cells.load(at::MARKS_SKIPPED, Relaxed))
}

/// The words of the kept marks, oldest first.
pub(super) fn kept<C: Cells>(cells: &C) -> Vec<[u64; 3]> {
    let count = cells.load(MARK_RECORDS.count, Acquire);
    let mut found: Vec<_> = (0..MARK_RECORDS.capacity)
        .filter_map(|entry| {
            let held = MARK_RECORDS.held(cells, entry)?;
            // A mark added since is left to the next call.
            (held.0 < count).then_some(held)
        })
        .collect();
    found.sort_unstable_by_key(|&(index, _)| index);
    found.into_iter().map(|(_, fields)| fields).collect()
}

/// Adds marks. There is one for each log.
#[derive(Debug, Default)]
pub(super) struct MarkWriter {
    /// For each sort, marks below this index are not among the newest [`SHARE`]. It is remembered
    /// so that the table is rarely searched; a number that is too small only causes a search.
    replaceable_below: [u64; 2],
}

impl MarkWriter {
    /// Adds a mark.
    ///
    /// A mark that must stay is not moved. Instead the index that would replace it is left out, and
    /// the next one is used. Versions that do not know this rule overlook the mark and find all
    /// others.
    pub(super) fn push<C: Cells>(&mut self, cells: &C, mark: Mark) {
        let count = cells.load(MARK_RECORDS.count, Relaxed);
        let skip = self.marks_that_stay(cells, count);
        if skip > 0 {
            let skipped = cells.load(at::MARKS_SKIPPED, Relaxed);
            cells.store(at::MARKS_SKIPPED, skipped.wrapping_add(skip), Relaxed);
            cells.store(MARK_RECORDS.count, count.wrapping_add(skip), Release);
        }
        MARK_RECORDS.push(cells, mark.to_words());
    }

    /// How many entries in a row, beginning with that of the index `count`, hold a mark that must
    /// stay.
    fn marks_that_stay<C: Cells>(&mut self, cells: &C, count: u64) -> u64 {
        let mut is_exact = [false; 2];
        let mut stays = |skip: &u64| {
            let Some((index, sort)) =
                held(cells, count.wrapping_add(*skip) % MARK_RECORDS.capacity)
            else {
                return false;
            };
            if index >= self.replaceable_below[sort] && !is_exact[sort] {
                self.replaceable_below[sort] = oldest_that_stays(cells, sort);
                is_exact[sort] = true;
            }
            index >= self.replaceable_below[sort]
        };
        // Both shares together are smaller than the table, so some mark may go.
        (0..MARK_RECORDS.capacity)
            .take_while(|skip| stays(skip))
            .count() as u64
    }
}

/// The smallest index among the newest [`SHARE`] marks of a sort.
fn oldest_that_stays<C: Cells>(cells: &C, sort: usize) -> u64 {
    let mut indices = [0; MARK_RECORDS.capacity as usize];
    let mut len = 0;
    for entry in 0..MARK_RECORDS.capacity {
        if let Some((index, _)) = held(cells, entry).filter(|held| held.1 == sort) {
            indices[len] = index;
            len += 1;
        }
    }
    match len.checked_sub(SHARE) {
        Some(older) if older > 0 => *indices[..len].select_nth_unstable(older).1,
        _ => 0,
    }
}

/// The index of the mark in this entry, and its sort: 1 if it is about the machine.
fn held<C: Cells>(cells: &C, entry: u64) -> Option<(u64, usize)> {
    let (index, [.., what]) = MARK_RECORDS.held(cells, entry)?;
    let about_machine = MarkKind::of_word(what).is_some_and(MarkKind::is_about_machine);
    Some((index, usize::from(about_machine)))
}
