//! Replays one trace and judges each answer.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use crate::device::Device;
use crate::rules::{Departed, Rule, RuleSet};
use crate::script::{self, Answer, Chip, Malformed, Op};

/// How many lines before an unexplained answer are shown.
const CONTEXT: usize = 12;

/// How the answers to a trace compare with the recorded ones.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// Answers equal to the recorded ones.
    pub(crate) same: u64,
    /// Answers that differ, counted by the set of rules that together explain them.
    pub(crate) explained: BTreeMap<Vec<Rule>, u64>,
    /// The rules without which some difference would stay unexplained.
    pub(crate) needed: BTreeSet<Rule>,
    /// Answers that differ and that no rules explain.
    pub(crate) unexplained: u64,
    /// The first of those, in context.
    pub(crate) first_unexplained: Option<String>,
    /// All bytes that left the transmitter.
    pub(crate) sent: Vec<u8>,
    /// How that compares with the captured output, if there is one.
    pub(crate) output: Option<Output>,
}

/// The bytes sent, compared with the captured ones.
#[derive(Debug)]
pub(crate) struct Output {
    pub(crate) captured: usize,
    /// The first byte in which the two differ, if they do.
    pub(crate) differs_from: Option<usize>,
}

/// Why a trace cannot be replayed.
#[derive(Debug)]
pub(crate) enum Unusable {
    Unreadable(std::io::Error),
    Malformed { line: usize, cause: Malformed },
    Empty,
}

impl std::fmt::Display for Unusable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "cannot be read: {error}"),
            Self::Malformed { line, cause } => write!(f, "line {line}: {cause}"),
            Self::Empty => f.write_str("holds no operation"),
        }
    }
}

impl std::error::Error for Unusable {}

/// Replays the trace in a file, plain or gzip, and compares what was sent with `NAME.out.gz` if
/// that lies beside `NAME.replay.gz`.
pub(crate) fn judge_file(file: &Path) -> Result<Verdict, Unusable> {
    let mut verdict = judge(open(file).map_err(Unusable::Unreadable)?)?;
    let Some(beside) = captured_beside(file) else {
        return Ok(verdict);
    };
    let mut captured = Vec::new();
    open(&beside)
        .and_then(|mut reader| reader.read_to_end(&mut captured))
        .map_err(|error| {
            let text = format!("{}: {error}", beside.display());
            Unusable::Unreadable(io::Error::new(error.kind(), text))
        })?;
    let sent = &verdict.sent;
    let common = sent
        .iter()
        .zip(&captured)
        .take_while(|(ours, theirs)| ours == theirs)
        .count();
    let differs_from = (*sent != captured).then_some(common);
    verdict.unexplained += u64::from(differs_from.is_some());
    verdict.output = Some(Output {
        captured: captured.len(),
        differs_from,
    });
    Ok(verdict)
}

/// Opens a file, unpacking it if it begins as gzip does.
fn open(path: &Path) -> io::Result<Box<dyn BufRead>> {
    let mut plain = BufReader::new(File::open(path)?);
    Ok(if plain.fill_buf()?.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::new(MultiGzDecoder::new(plain)))
    } else {
        Box::new(plain)
    })
}

fn captured_beside(trace: &Path) -> Option<PathBuf> {
    let guest = trace.file_name()?.to_str()?.strip_suffix(".replay.gz")?;
    let captured = trace.with_file_name(format!("{guest}.out.gz"));
    captured.exists().then_some(captured)
}

/// Replays a trace from power-on.
pub(crate) fn judge(mut trace: impl BufRead) -> Result<Verdict, Unusable> {
    let mut replay = Replay::new();
    let mut verdict = Verdict::default();
    let mut before = VecDeque::new();
    let mut line = Vec::new();
    let mut number = 0;
    while script::next_line(&mut trace, &mut line).map_err(Unusable::Unreadable)? {
        number += 1;
        let (op, recorded) = script::parse(&line).map_err(|cause| Unusable::Malformed {
            line: number,
            cause,
        })?;
        if op.asks() && recorded.is_none() {
            let cause = Malformed::Missing("the recorded answer");
            return Err(Unusable::Malformed {
                line: number,
                cause,
            });
        }
        let shown = format!("{number:>8}  {}", String::from_utf8_lossy(&line).trim_end());
        match replay.step(&op, recorded.as_ref()) {
            Judgement::Silent => {}
            Judgement::Same => verdict.same += 1,
            Judgement::Explained(rules) => {
                *verdict.explained.entry(rules).or_default() += 1;
            }
            Judgement::Unexplained(why) => {
                verdict.unexplained += 1;
                verdict.first_unexplained.get_or_insert_with(|| {
                    let mut context = String::new();
                    for line in &before {
                        let _ = writeln!(context, "{line}");
                    }
                    format!("{context}{shown}   <-- {why}")
                });
            }
        }
        before.push_back(shown);
        if before.len() > CONTEXT {
            before.pop_front();
        }
    }
    if replay.script.iter().all(|op| *op == Op::Nothing) {
        return Err(Unusable::Empty);
    }
    replay.step(&Op::Sent, None);
    verdict.sent = replay.sent;
    verdict.needed = replay.needed;
    Ok(verdict)
}

enum Judgement {
    /// The line has no answer.
    Silent,
    Same,
    Explained(Vec<Rule>),
    Unexplained(String),
}

/// Our device, the independent model of the chip, and models of the recorded emulator made by the
/// rules, all driven by one script.
struct Replay {
    device: Device,
    chip: Departed,
    recorded: Departed,
    /// Chip models with one rule each.
    with_one: Vec<Departed>,
    /// Chip models with all rules but one each.
    without_one: Vec<Departed>,
    /// Chip models with the combinations of rules that have explained an answer before.
    with_several: Vec<(RuleSet, Departed)>,
    needed: BTreeSet<Rule>,
    script: Vec<Op>,
    sent: Vec<u8>,
}

impl Replay {
    fn new() -> Self {
        let (none, all) = (RuleSet::NONE, RuleSet::all());
        Self {
            device: Device::new(),
            chip: Departed::new(none),
            recorded: Departed::new(all),
            with_one: Rule::ALL
                .iter()
                .map(|&rule| Departed::new(none.with(rule)))
                .collect(),
            without_one: Rule::ALL
                .iter()
                .map(|&rule| Departed::new(all.without(rule)))
                .collect(),
            with_several: Vec::new(),
            needed: BTreeSet::new(),
            script: Vec::new(),
            sent: Vec::new(),
        }
    }

    fn step(&mut self, op: &Op, recorded: Option<&Answer>) -> Judgement {
        self.script.push(op.clone());
        let ours = self.device.apply(op);
        let chip = self.chip.apply(op);
        let predicted = self.recorded.apply(op);
        let ask = |chips: &mut Vec<Departed>| -> Vec<_> {
            chips.iter_mut().map(|chip| chip.apply(op)).collect()
        };
        let with_one = ask(&mut self.with_one);
        let without_one = ask(&mut self.without_one);
        let several = self.with_several.iter_mut();
        let with_several: Vec<_> = several
            .map(|(rules, chip)| (*rules, chip.apply(op)))
            .collect();
        if let Some(Answer::Sent(bytes)) = &ours {
            self.sent.extend_from_slice(bytes);
        }
        let (Some(ours), Some(chip), Some(predicted), Some(recorded)) =
            (ours, chip, predicted, recorded)
        else {
            return Judgement::Silent;
        };
        if ours != chip {
            return Judgement::Unexplained(format!("we answer {ours}, the chip {chip}"));
        }
        if ours == *recorded {
            return Judgement::Same;
        }
        if predicted != *recorded {
            return Judgement::Unexplained(format!(
                "we answer {ours}, as the chip; no rule says {recorded}"
            ));
        }
        let says = |answer: &Option<Answer>| answer.as_ref() == Some(recorded);
        let needed = |rule: &Rule| !says(&without_one[*rule as usize]);
        self.needed
            .extend(Rule::ALL.iter().copied().filter(|rule| needed(rule)));
        let alone = |rule: &&Rule| says(&with_one[**rule as usize]);
        let mut one = Rule::ALL.iter().filter(alone);
        if let Some(rule) = one.clone().find(|rule| needed(rule)).or_else(|| one.next()) {
            return Judgement::Explained(vec![*rule]);
        }
        let known = with_several
            .iter()
            .filter(|(_, answer)| says(answer))
            .map(|(rules, _)| *rules);
        let rules = known.min_by_key(|rules| rules.iter().count());
        let rules = rules.unwrap_or_else(|| self.fewest(recorded));
        Judgement::Explained(rules.iter().collect())
    }

    /// Finds several rules that together explain the last answer: starts with all, and leaves out
    /// one after the other as long as the rest still explains it.
    fn fewest(&mut self, recorded: &Answer) -> RuleSet {
        let mut rules = RuleSet::all();
        let mut emulator = self.recorded.clone();
        for &rule in Rule::ALL {
            let mut fewer = Departed::new(rules.without(rule));
            let last = self
                .script
                .iter()
                .map(|op| fewer.apply(op))
                .last()
                .flatten();
            if last.as_ref() == Some(recorded) {
                rules = rules.without(rule);
                emulator = fewer;
            }
        }
        self.with_several.push((rules, emulator));
        rules
    }
}
