//! `sysrq`: BREAK and a key, which a Linux guest takes for the Magic SysRq.

use std::time::Duration;

use super::Context;
use crate::output::Stop;
use crate::target::Target;

/// Between two keys of a sequence, unless the user says otherwise: the guest needs some time to
/// end its processes (E, I) and to write its disks (S, U).
const PAUSE: &str = "2s";

#[derive(Debug, clap::Args)]
#[command(after_help = KEYS)]
pub(crate) struct Arguments {
    /// Whose guest
    console: Target,
    /// A key, or several in a row: h, or REISUB for an orderly reboot
    #[arg(value_parser = keys)]
    keys: Keys,
    /// Between two keys
    #[arg(long, value_name = "TIME", default_value = PAUSE, value_parser = humantime::parse_duration)]
    pause: Duration,
    /// Even if somebody else holds the console; nobody is disconnected
    #[arg(short, long)]
    force: bool,
}

const KEYS: &str = "\
Keys of Linux (Documentation/admin-guide/sysrq.rst); those in capitals are typed in small letters:
  h  help                     b  reboot at once           c  crash, for a dump
  e  SIGTERM to all           i  SIGKILL to all           f  call the OOM killer
  l  backtraces of all CPUs   m  memory                   t  tasks
  w  blocked tasks            s  write the disks          u  remount read-only
  o  power off                r  keyboard out of raw mode 0-9  console log level
The guest answers if kernel.sysrq allows it, and its console is this serial port.";

/// Keys that are sent one after another.
#[derive(Clone, Debug)]
struct Keys(String);

fn keys(text: &str) -> Result<Keys, String> {
    let is_key = |key: char| key.is_ascii_alphanumeric() || key == '?';
    match text.chars().find(|key| !is_key(*key)) {
        Some(other) => Err(format!("{other:?} is no SysRq key: a letter or a digit")),
        None if text.is_empty() => Err("at least one key".to_owned()),
        // What people write in capitals are the same keys: Linux knows small ones.
        None => Ok(Keys(text.to_ascii_lowercase())),
    }
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let console = context.find(&arguments.console)?;
    let mut client = console.connect()?;
    let mut buffer = [0; 4];
    for (index, key) in arguments.keys.0.chars().enumerate() {
        if index > 0 {
            std::thread::sleep(arguments.pause);
        }
        let done = client.sysrq(key.encode_utf8(&mut buffer), arguments.force);
        done.map_err(|error| console.refused(error, "--force sends it all the same"))?;
    }
    Ok(())
}
