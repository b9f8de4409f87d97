//! The prompt: line editing and commands, as `guest/guest.asm` has them.

use super::driver::{Driver, Received};
use super::interrupt::Stopped;
use crate::guest::SerialIo;

/// Bytes of a typed line that are kept.
const LINE_MAX: usize = 120;
/// Bytes that one THRE makes room for.
const FIFO: usize = 16;
const LARGEST_FLOOD: u32 = 999_999_999;

const HELP: &str = "flood N   N bytes in numbered lines of 64, by interrupt\r\n\
    poll N    the same by polling, 16 bytes for each look at LSR\r\n\
    burst N   the same by string I/O, 16 bytes an instruction\r\n\
    sum       the sum (as `sum -r`) of the lines typed since the last `sum`\r\n\
    # ...     nothing; only counts for `sum`\r\n\
    reset     reset the machine\r\n\
    halt      switch it off\r\n";

/// What ends a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Reset,
    Halt,
}

/// The 16-bit rotating sum of `sum -r`.
#[derive(Clone, Copy, Debug, Default)]
struct RotatingSum(u16);

impl RotatingSum {
    fn add(&mut self, byte: u8) {
        self.0 = self.0.rotate_right(1).wrapping_add(byte.into());
    }
}

/// The flood's bytes: lines of 64 numbered in hexadecimal, so that a byte lost or repeated shows,
/// and where.
#[derive(Default)]
struct FloodBytes {
    position: u32,
}

impl Iterator for FloodBytes {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        const AFTER_NUMBER: &[u8; 56] =
            b" ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.\r\n";
        let (line, column) = (self.position / 64, self.position % 64);
        let byte = match column {
            0..8 => {
                let digit = line >> (28 - 4 * column) & 0xf;
                char::from_digit(digit, 16).map_or(b'?', |c| c as u8)
            }
            _ => AFTER_NUMBER[column as usize - 8],
        };
        self.position += 1;
        Some(byte)
    }
}

pub(super) struct Prompt<P> {
    driver: Driver<P>,
    line: Vec<u8>,
    last: Option<u8>,
    typed: RotatingSum,
    typed_count: u32,
}

impl<P: SerialIo> Prompt<P> {
    pub(super) fn new(driver: Driver<P>) -> Self {
        Self {
            driver,
            line: Vec::with_capacity(LINE_MAX),
            last: None,
            typed: RotatingSum::default(),
            typed_count: 0,
        }
    }

    pub(super) fn serve(mut self) -> Result<Request, Stopped> {
        self.prompt()?;
        loop {
            match self.driver.next()? {
                Received::Break => {
                    self.line.clear();
                    self.say("\r\n[break]\r\n")?;
                    self.prompt()?;
                }
                Received::Byte(byte) => {
                    if let Some(request) = self.type_byte(byte)? {
                        return Ok(request);
                    }
                }
            }
            self.driver.kick();
        }
    }

    fn say(&mut self, text: &str) -> Result<(), Stopped> {
        text.bytes().try_for_each(|byte| self.driver.put(byte))
    }

    fn prompt(&mut self) -> Result<(), Stopped> {
        self.say("> ")?;
        self.driver.kick();
        Ok(())
    }

    fn type_byte(&mut self, byte: u8) -> Result<Option<Request>, Stopped> {
        const BEL: u8 = 7;
        let last = self.last.replace(byte);
        match byte {
            b'\n' if last == Some(b'\r') => {}
            b'\r' | b'\n' => return self.run_line(),
            8 | 127 => {
                if self.line.pop().is_some() {
                    self.say("\x08 \x08")?;
                }
            }
            3 | 21 => {
                self.line.clear();
                self.say("\r\n")?;
                self.prompt()?;
            }
            ..32 => {}
            _ if self.line.len() == LINE_MAX => self.driver.put(BEL)?,
            _ => {
                self.line.push(byte);
                self.driver.put(byte)?;
            }
        }
        Ok(None)
    }

    fn run_line(&mut self) -> Result<Option<Request>, Stopped> {
        self.say("\r\n")?;
        let line = std::mem::take(&mut self.line);
        let name = line.split(|&b| b == b' ').next().unwrap_or_default();
        let rest = &line[name.len()..];
        if name != b"sum" {
            self.add_to_sum(&line);
        }
        match name {
            b"help" => self.say(HELP)?,
            b"flood" => self.flood(rest, |driver, bytes| {
                bytes.iter().try_for_each(|&b| driver.put(b))
            })?,
            b"poll" => self.flood(rest, |driver, bytes| driver.send_polled(bytes))?,
            b"burst" => self.flood(rest, |driver, bytes| driver.send_burst(bytes))?,
            b"sum" => {
                let text = format!("sum {} of {} bytes\r\n", self.typed.0, self.typed_count);
                self.say(&text)?;
                self.typed = RotatingSum::default();
                self.typed_count = 0;
            }
            b"reset" => {
                self.say("reset\r\n")?;
                self.driver.flush()?;
                return Ok(Some(Request::Reset));
            }
            b"halt" => {
                self.say("power off\r\n")?;
                self.driver.flush()?;
                return Ok(Some(Request::Halt));
            }
            [] if line.is_empty() => {}
            [b'#', ..] => {}
            _ => self.say("unknown command, `help` lists them\r\n")?,
        }
        self.prompt()?;
        Ok(None)
    }

    fn add_to_sum(&mut self, line: &[u8]) {
        line.iter()
            .chain(b"\n")
            .for_each(|&byte| self.typed.add(byte));
        self.typed_count += line.len() as u32 + 1;
    }

    fn flood(
        &mut self,
        argument: &[u8],
        send: impl Fn(&mut Driver<P>, &[u8]) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let Some(count) = parse_number(argument) else {
            return self.say("a number of bytes is needed, at most 999999999\r\n");
        };
        self.driver.flush()?; // what is queued comes first
        let mut bytes = FloodBytes::default();
        let mut left = count as usize;
        while left > 0 {
            let mut chunk = [0; FIFO];
            let chunk = &mut chunk[..left.min(FIFO)];
            chunk
                .iter_mut()
                .zip(&mut bytes)
                .for_each(|(to, byte)| *to = byte);
            left -= chunk.len();
            send(&mut self.driver, chunk)?;
        }
        self.say(&format!("\r\nsent {count} bytes\r\n"))
    }
}

fn parse_number(text: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(text).ok()?.trim_start_matches(' ');
    let number = text.parse().ok().filter(|&n| n <= LARGEST_FLOOD)?;
    text.bytes().all(|b| b.is_ascii_digit()).then_some(number)
}
