//! `send`: types a text or a file at the guest's own pace.

use std::fs::File;
use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use vm_console::Start;
use vm_console::client::ControlClient;
use vm_console::protocol::{AttachRequest, ClientFrame};

use super::Context;
use crate::failure::{Code, Failure};
use crate::output::Stop;
use crate::target::{Console, Target};

/// Bytes in one request. The answer comes when the console has taken them, so this is the step of
/// the progress bar.
const CHUNK: usize = 1024;
/// How often to look whether the guest has taken the rest.
const LOOK: Duration = Duration::from_millis(20);
/// A shorter transfer needs no bar.
const BAR_AFTER: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Whose guest
    console: Target,
    /// What to type; without it and without --file, standard input up to its end
    #[arg(conflicts_with = "file")]
    text: Option<String>,
    /// Type what is in this file, byte for byte
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Press Enter after TEXT
    #[arg(short, long, requires = "text")]
    enter: bool,
    /// Take the console from whoever holds it
    #[arg(short, long)]
    force: bool,
    /// No progress bar
    #[arg(short, long)]
    quiet: bool,
}

pub(crate) fn run(context: &Context, arguments: &Arguments) -> Result<(), Stop> {
    let console = context.find(&arguments.console)?;
    let mut source = Source::open(arguments)?;
    let mut client = console.connect()?;
    client
        .attach(&AttachRequest {
            force: arguments.force,
            replay: Start::Now,
            name: super::user(),
            ..AttachRequest::default()
        })
        .map_err(|error| console.refused(error, "--force takes it"))?;
    // A guest that does not read may take any time.
    client.set_answer_limit(None);
    let is_wanted = !arguments.quiet && io::stderr().is_terminal();
    let progress = Progress::of(source.length, is_wanted);
    let typed = type_all(&mut client, &console, &mut source, &progress);
    progress.bar.finish_and_clear();
    Ok(typed?)
}

/// What is to be typed, and how much that is if it is known.
struct Source {
    reader: Box<dyn Read>,
    name: String,
    length: Option<u64>,
}

impl Source {
    fn open(arguments: &Arguments) -> Result<Self, Failure> {
        if let Some(text) = &arguments.text {
            let mut bytes = text.clone().into_bytes();
            if arguments.enter {
                bytes.push(b'\r');
            }
            let length = Some(bytes.len() as u64);
            let reader = Box::new(io::Cursor::new(bytes));
            return Ok(Self {
                reader,
                name: "text".to_owned(),
                length,
            });
        }
        let Some(path) = &arguments.file else {
            let reader = Box::new(io::stdin());
            return Ok(Self {
                reader,
                name: "standard input".to_owned(),
                length: None,
            });
        };
        let name = path.display().to_string();
        let failed = |error| Failure::new(Code::Failed, format_args!("{name}: {error}"));
        let file = File::open(path).map_err(failed)?;
        let meta = file.metadata().map_err(failed)?;
        let length = meta.is_file().then_some(meta.len());
        Ok(Self {
            reader: Box::new(file),
            name,
            length,
        })
    }

    fn next(&mut self) -> Result<Vec<u8>, Failure> {
        let mut chunk = Vec::with_capacity(CHUNK);
        (&mut self.reader)
            .take(CHUNK as u64)
            .read_to_end(&mut chunk)
            .map_err(|error| Failure::new(Code::Failed, format_args!("{}: {error}", self.name)))?;
        Ok(chunk)
    }
}

fn type_all(
    client: &mut ControlClient,
    console: &Console,
    source: &mut Source,
    progress: &Progress,
) -> Result<(), Failure> {
    let mut taken = 0;
    let failed = |error, taken: u64| {
        let mut failure = console.failed(error);
        failure.message = format!("{}; {taken} bytes had been taken", failure.message);
        failure
    };
    loop {
        let chunk = source.next()?;
        if chunk.is_empty() {
            break;
        }
        let count = chunk.len() as u64;
        client
            .ask(&ClientFrame::Data(chunk))
            .map_err(|error| failed(error, taken))?;
        taken += count;
        progress.at(taken);
    }
    // What the console still holds would be lost if the machine stopped now.
    while waiting(client, console)? > 0 {
        thread::sleep(LOOK);
    }
    client.detach().map_err(|error| failed(error, taken))?;
    Ok(())
}

/// How much input the console holds for its guest.
fn waiting(client: &mut ControlClient, console: &Console) -> Result<u32, Failure> {
    let status = client.status().map_err(|error| console.failed(error))?;
    Ok(status.details.map_or(0, |details| details.input_waiting))
}

/// How far it has come. It is shown once it takes longer than [`BAR_AFTER`].
struct Progress {
    bar: ProgressBar,
    begun: Instant,
    is_wanted: bool,
}

impl Progress {
    fn of(length: Option<u64>, is_wanted: bool) -> Self {
        let bar = ProgressBar::with_draw_target(length, ProgressDrawTarget::hidden());
        let style = match length {
            Some(_) => "{bar:30} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left",
            None => "{bytes}, {binary_bytes_per_sec}",
        };
        // The templates are constant and sound, so the default never takes their place.
        let style = ProgressStyle::with_template(style);
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        Self {
            bar,
            begun: Instant::now(),
            is_wanted,
        }
    }

    fn at(&self, bytes: u64) {
        if self.is_wanted && self.bar.is_hidden() && self.begun.elapsed() > BAR_AFTER {
            self.bar
                .set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        }
        self.bar.set_position(bytes);
    }
}
