//! The log against a model that keeps every byte in a `Vec`.

use std::ops::Range;

use proptest::prelude::*;
use vm_console::{BootLog, Cursor, Fit, LogConfig, LogWriter, MarkKind, Read, Start, UnixTime};

#[derive(Clone, Debug)]
enum Step {
    Append(usize),
    Bytes(usize),
    Boot,
    Read { cursor: usize, room: usize },
    NewCursor(Start),
    Locate { start: Start, budget: u64 },
    ReadAt { start: i64, max: usize },
    Reopen,
}

fn start() -> impl Strategy<Value = Start> {
    prop_oneof![
        Just(Start::Oldest),
        Just(Start::Now),
        Just(Start::ThisBoot),
        (0_u64..40_000).prop_map(Start::Newest),
        (0_u64..200_000).prop_map(Start::Offset),
        (0_u64..300).prop_map(Start::Lines),
        (0_u64..12).prop_map(Start::Boot),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_usize..300).prop_map(Step::Append),
        2 => (0_usize..20_000).prop_map(Step::Append),
        2 => (0_usize..40).prop_map(Step::Bytes),
        1 => Just(Step::Boot),
        4 => (0_usize..4, 1_usize..30_000).prop_map(|(cursor, room)| Step::Read { cursor, room }),
        2 => start().prop_map(Step::NewCursor),
        2 => (start(), 0_u64..30_000).prop_map(|(start, budget)| Step::Locate { start, budget }),
        2 => (-50_000_i64..200_000, 0_usize..40_000).prop_map(|(start, max)| Step::ReadAt { start, max }),
        1 => Just(Step::Reopen),
    ]
}

/// The byte at an offset. About one in 50 ends a line.
fn byte(offset: u64) -> u8 {
    let mixed = offset.wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    if mixed.is_multiple_of(50) {
        b'\n'
    } else {
        (mixed >> 8) as u8
    }
}

#[derive(Default)]
struct Model {
    tail: usize,
    head: usize,
    boots: usize,
    bytes: Vec<u8>,
    /// Boot count and first offset of the boots whose heads are kept.
    table: Vec<(u64, usize)>,
    epoch: u64,
}

impl Model {
    fn new(config: LogConfig) -> Self {
        let (tail, head, boots) = (
            config.tail as usize,
            config.head as usize,
            config.boots as usize,
        );
        Self {
            tail,
            head,
            boots,
            table: vec![(0, 0)],
            ..Self::default()
        }
    }

    fn begin_boot(&mut self) {
        if self
            .table
            .last()
            .is_some_and(|&(_, start)| start == self.bytes.len())
        {
            self.table.pop();
        } else if self.table.len() == self.boots {
            self.table.remove(0);
        }
        self.epoch += 1;
        self.table.push((self.epoch, self.bytes.len()));
    }

    /// The ranges that are kept, heads and tail, in order and without overlap.
    fn kept(&self) -> Vec<Range<usize>> {
        let len = self.bytes.len();
        let ends = self.table.iter().skip(1).map(|next| next.1).chain([len]);
        let heads = self
            .table
            .iter()
            .zip(ends)
            .map(|(boot, end)| boot.1..end.min(boot.1 + self.head));
        let mut apart: Vec<Range<usize>> = Vec::new();
        for range in heads
            .chain(std::iter::once(len.saturating_sub(self.tail)..len))
            .filter(|range| !range.is_empty())
        {
            while apart.last().is_some_and(|last| last.start >= range.start) {
                apart.pop();
            }
            match apart.last_mut() {
                Some(last) if last.end >= range.start => last.end = range.end,
                _ => apart.push(range),
            }
        }
        apart
    }

    fn is_kept(&self, offset: usize) -> bool {
        self.kept().iter().any(|range| range.contains(&offset))
    }

    fn kept_from(&self, offset: usize) -> usize {
        let kept = self.kept();
        kept.iter()
            .find(|range| offset < range.end)
            .map_or(self.bytes.len(), |range| range.start.max(offset))
    }

    fn kept_until(&self, offset: usize) -> usize {
        self.kept()
            .iter()
            .find(|range| range.contains(&offset))
            .map_or(offset, |range| range.end)
    }

    fn newest_run(&self) -> usize {
        self.kept()
            .last()
            .map_or(self.bytes.len(), |range| range.start)
    }

    fn resolve(&self, start: Start) -> usize {
        let len = self.bytes.len();
        match start {
            Start::Oldest => self.kept_from(0),
            Start::Newest(count) => len.saturating_sub(count as usize).max(self.newest_run()),
            Start::Offset(offset) => len.min(offset as usize),
            Start::ThisBoot => self.resolve(Start::Boot(self.epoch)),
            Start::Boot(epoch) => self
                .table
                .iter()
                .find(|boot| boot.0 >= epoch)
                .map_or(len, |boot| boot.1),
            Start::Now | Start::Lines(0) => len,
            Start::Lines(count) => {
                let run = self.newest_run();
                let ends = (run..len.saturating_sub(1))
                    .rev()
                    .filter(|&at| self.bytes[at] == b'\n');
                ends.take(count as usize)
                    .enumerate()
                    .find(|(index, _)| index + 1 == count as usize)
                    .map_or(run, |(_, at)| at + 1)
            }
        }
    }

    /// Whether reading at `resolve(start)` gives what was asked for.
    fn fit(&self, start: Start) -> Fit {
        let len = self.bytes.len();
        let at = |wanted: usize| {
            if wanted == len || self.is_kept(wanted) {
                Fit::Exact
            } else {
                Fit::Gone
            }
        };
        let no_later_than = |wanted: usize| {
            if self.newest_run() <= wanted {
                Fit::Exact
            } else {
                Fit::Gone
            }
        };
        match start {
            Start::Oldest | Start::Now => Fit::Exact,
            Start::Offset(offset) if offset as usize > len => Fit::NotYet,
            Start::Offset(offset) => at(offset as usize),
            Start::Newest(count) => no_later_than(len.saturating_sub(count as usize)),
            Start::Lines(count) => {
                let ends = self.bytes[..len.saturating_sub(1)]
                    .iter()
                    .enumerate()
                    .rev()
                    .filter(|&(_, &byte)| byte == b'\n');
                match count.checked_sub(1) {
                    None => Fit::Exact,
                    Some(before) => {
                        no_later_than(ends.map(|(at, _)| at + 1).nth(before as usize).unwrap_or(0))
                    }
                }
            }
            Start::ThisBoot => self.fit(Start::Boot(self.epoch)),
            Start::Boot(epoch) => match self.table.iter().find(|boot| boot.0 >= epoch) {
                Some(&(found, begin)) if found == epoch => at(begin),
                Some(_) => Fit::Gone,
                None => Fit::NotYet,
            },
        }
    }

    fn check_locate(&self, log: &BootLog, start: Start, budget: u64) {
        // Each call but the last counts at least one block that was not counted before.
        let most = self.bytes.len() / (16 << 10) + 1;
        let located = (0..=most)
            .find_map(|_| log.locate_within(start, budget))
            .expect("a search that is asked for again comes to its end");
        assert_eq!(located.offset as usize, self.resolve(start), "{start:?}");
        assert_eq!(located.fit, self.fit(start), "{start:?}");
        assert_eq!(located, log.locate(start));
    }

    fn check_read(&self, cursor: &mut Cursor, room: usize) {
        let before = (cursor.offset() as usize, cursor.delivered(), cursor.lost());
        let mut buf = vec![0; room];
        match cursor.read(&mut buf) {
            Read::Bytes(count) => {
                assert!(count > 0 && self.is_kept(before.0));
                assert_eq!(buf[..count], self.bytes[before.0..before.0 + count]);
                assert_eq!(cursor.delivered(), before.1 + count as u64);
            }
            Read::Gap { from, to } => {
                assert_eq!(from as usize, before.0);
                assert!(to > from);
                assert_eq!(to as usize, self.kept_from(before.0));
                assert_eq!(cursor.lost(), before.2 + to - from);
            }
            Read::UpToDate => assert_eq!(before.0, self.bytes.len()),
            Read::Ended(end) => panic!("ended: {end:?}"),
        }
        assert_eq!(
            cursor.delivered() + cursor.lost(),
            cursor.offset() - cursor.started_at()
        );
        assert_eq!(cursor.behind() + cursor.offset(), self.bytes.len() as u64);
    }

    fn check_log(&self, log: &BootLog) {
        let kept: usize = self.kept().iter().map(Range::len).sum();
        let now = log.accounting();
        assert_eq!(
            (now.written, now.kept),
            (self.bytes.len() as u64, kept as u64)
        );
        assert_eq!(now.kept + now.overwritten, now.written);
        assert_eq!(log.oldest() as usize, self.kept_from(0));
        assert_eq!(log.epoch(), self.epoch);
    }

    fn check_read_at(&self, log: &BootLog, start: i64, max: usize) {
        let answer = log.read_at(start, max);
        let len = self.bytes.len();
        let wanted = if start < 0 {
            len.saturating_sub(start.unsigned_abs() as usize)
        } else {
            len.min(start.unsigned_abs() as usize)
        };
        let first = if max == 0 {
            wanted
        } else {
            self.kept_from(wanted)
        };
        let gone = self.kept_until(first);
        let next = if max == 0 {
            first
        } else {
            gone.min(first + max)
        };
        assert_eq!((answer.start as usize, answer.next as usize), (first, next));
        assert_eq!(answer.lost as usize, first - wanted);
        assert_eq!(answer.bytes, self.bytes[first..next]);
        assert_eq!(answer.oldest as usize, self.kept_from(0));
    }
}

struct Run {
    model: Model,
    writer: Option<LogWriter>,
    log: BootLog,
    cursors: Vec<Cursor>,
    file: Option<tempfile::TempPath>,
}

impl Run {
    fn writer(&mut self) -> &mut LogWriter {
        self.writer.as_mut().expect("there is one between steps")
    }

    fn apply(&mut self, step: &Step) {
        match *step {
            Step::Append(count) => {
                let from = self.model.bytes.len() as u64;
                let bytes: Vec<u8> = (from..from + count as u64).map(byte).collect();
                self.model.bytes.extend(&bytes);
                self.writer().append(&bytes);
            }
            Step::Bytes(count) => {
                for _ in 0..count {
                    let next = byte(self.model.bytes.len() as u64);
                    self.model.bytes.push(next);
                    self.writer().append_byte(next);
                }
            }
            Step::Boot => {
                self.model.begin_boot();
                let epoch = self
                    .writer()
                    .begin_boot(MarkKind::Reset, UnixTime::default());
                assert_eq!(epoch, self.model.epoch);
            }
            Step::Read { cursor, room } => {
                if let Some(cursor) = self.cursors.get_mut(cursor) {
                    self.model.check_read(cursor, room);
                }
            }
            Step::NewCursor(start) => {
                let cursor = self.log.cursor(start);
                assert_eq!(
                    cursor.offset() as usize,
                    self.model.resolve(start),
                    "{start:?}"
                );
                self.cursors.insert(0, cursor);
                self.cursors.truncate(4);
            }
            Step::Locate { start, budget } => self.model.check_locate(&self.log, start, budget),
            Step::ReadAt { start, max } => self.model.check_read_at(&self.log, start, max),
            Step::Reopen => {
                if let Some(path) = &self.file {
                    self.writer = None;
                    let (writer, log) = BootLog::open_file(path).expect("the file is whole");
                    // Cursors of the old handle go on, since the memory is the same.
                    self.writer = Some(writer);
                    self.log = log;
                }
            }
        }
        self.model.check_log(&self.log);
    }
}

fn config() -> impl Strategy<Value = LogConfig> {
    let tail = prop_oneof![1_u64..100, 1000_u64..5000, Just(4096), 8000_u64..40_000];
    let head = prop_oneof![Just(0_u64), 1_u64..100, Just(4096), 1000_u64..20_000];
    (tail, head, 1_u64..5).prop_map(|(tail, head, boots)| LogConfig { tail, head, boots })
}

fn run(config: LogConfig, steps: &[Step], in_file: bool) {
    let path = in_file.then(|| tempfile::NamedTempFile::new().unwrap().into_temp_path());
    let (writer, log) = match &path {
        Some(path) => BootLog::open_or_create_file(path, config).unwrap(),
        None => BootLog::in_memory(config).unwrap(),
    };
    let cursors = vec![log.cursor(Start::Oldest)];
    let mut run = Run {
        model: Model::new(config),
        writer: Some(writer),
        log,
        cursors,
        file: path,
    };
    for step in steps {
        run.apply(step);
    }
    // Each cursor is read to the end: the bytes that it got and those reported as gone are all
    // bytes.
    for cursor in &mut run.cursors {
        while cursor.behind() > 0 {
            run.model.check_read(cursor, 5000);
        }
        assert_eq!(
            cursor.started_at() + cursor.delivered() + cursor.lost(),
            run.model.bytes.len() as u64
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn log_in_memory_answers_as_the_model(config in config(), steps in prop::collection::vec(step(), 1..60)) {
        run(config, &steps, false);
    }

    #[test]
    fn log_in_a_file_answers_as_the_model(config in config(), steps in prop::collection::vec(step(), 1..60)) {
        run(config, &steps, true);
    }
}
