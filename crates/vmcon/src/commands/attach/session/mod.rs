//! One session, or several one after another: everything that happens at this end of it.
//!
//! One thread waits for the keyboard, the connection and the screen at once, and for none of them
//! alone. So the user can always leave, and a stopped reader stops nothing but the output.

mod receiving;
mod typing;

use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::event::PollFlags;

use super::contact::{Contact, Plan};
use super::dialogue::{Action, Dialogue};
use super::keyboard::Keyboard;
use super::keys::EscapeKey;
use super::link::Link;
use super::messages;
use super::questions::Asking;
use super::readiness::Readiness;
use super::screen::Screen;
use super::silence::Silence;
use super::terminal::Terminal;
use super::window;
use crate::failure::{Code, Failure};
use crate::output::Stop;

/// How long leaving may wait for a guest that takes no input, and for a screen that takes no
/// output.
const HURRY: Duration = Duration::from_secs(1);
/// How long the guest may take for the last input of a script.
const SCRIPT_TAIL: Duration = Duration::from_secs(30);
/// Most bytes of a person's input that wait for the guest. Beyond them the keyboard is not read,
/// and escapes are not seen.
const TYPED_LIMIT: usize = 1 << 20;
/// The same for a script, which has no escapes.
const SCRIPT_LIMIT: usize = 64 << 10;

/// What the session is to be.
#[derive(Debug)]
pub(super) struct Settings {
    /// What people call the console.
    pub(super) console: String,
    pub(super) plan: Plan,
    /// Nothing but output is shown.
    pub(super) quiet: bool,
    pub(super) escape: EscapeKey,
    pub(super) dialogue: Dialogue,
    /// How long it may take until the last pattern is seen.
    pub(super) timeout: Option<Duration>,
    /// After so much time without output a script is over.
    pub(super) quiet_time: Option<Duration>,
    pub(super) stdin_is_terminal: bool,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct Session {
    console: String,
    plan: Plan,
    /// The title of the window, unless only output is wanted.
    title: Option<String>,
    escape: EscapeKey,
    dialogue: Dialogue,
    /// Something is waited for, and when it was seen the session is over.
    expects: bool,
    timeout: Option<(Instant, Duration)>,
    silence: Silence,
    keyboard: Keyboard,
    screen: Screen,
    terminal: Option<Terminal>,
    phase: Phase,
    /// The user was told that what they type goes nowhere for now.
    told_dropped: bool,
    greeted: bool,
}

/// What is going on.
#[derive(Debug)]
enum Phase {
    Contacting(Contact),
    Attached(Link),
    Asking(Asking),
}

/// Whether there is more to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    GoesOn,
    /// It ended as the user wanted.
    Over,
}

/// Whoever may become ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Keyboard,
    Peer,
    Window,
    /// The reader of standard output.
    Reader,
    /// Whoever has to take something before more can be shown.
    Screen,
}

impl Session {
    pub(super) fn new(settings: Settings) -> Result<Self, Stop> {
        let Settings {
            console,
            plan,
            quiet,
            escape,
            dialogue,
            timeout,
            quiet_time,
            stdin_is_terminal,
        } = settings;
        let expects = dialogue.missing().is_some();
        let now = Instant::now();
        Ok(Self {
            screen: Screen::new(quiet)?,
            phase: Phase::Contacting(Contact::begin(plan.clone()).map_err(Stop::failed)?),
            title: (!quiet).then(|| messages::title(&console)),
            console,
            plan,
            escape,
            dialogue,
            expects,
            timeout: timeout.and_then(|limit| Some((now.checked_add(limit)?, limit))),
            silence: Silence::new(quiet_time.filter(|_| !expects)),
            keyboard: Keyboard::new(stdin_is_terminal, escape),
            terminal: None,
            told_dropped: false,
            greeted: false,
        })
    }

    /// Runs it to its end. Then the terminal is as it was.
    pub(super) fn run(mut self) -> Result<(), Stop> {
        let end = loop {
            match self.turn() {
                Ok(Flow::GoesOn) => {}
                Ok(Flow::Over) => break Ok(()),
                Err(stop) => break Err(stop),
            }
        };
        if self.terminal.is_some() {
            self.screen.end_line();
        }
        // Who leaves does not wait for a stopped reader. Otherwise all that came is shown.
        let limit = end.is_ok().then_some(HURRY);
        let shown = match &end {
            Err(Stop::OutputGone) => Ok(()),
            _ => self.screen.finish(limit),
        };
        drop(self.terminal);
        end.and(shown)
    }

    fn turn(&mut self) -> Result<Flow, Stop> {
        let ready = self.wait()?;
        // Nothing is wanted of it, so this is its end.
        if ready.contains(&Who::Reader) {
            return Err(Stop::OutputGone);
        }
        if ready.contains(&Who::Window) {
            self.window_changed();
        }
        let mut flow = self.receive(ready.contains(&Who::Peer))?;
        if flow == Flow::GoesOn && ready.contains(&Who::Keyboard) {
            flow = self.read_keyboard()?;
        }
        // First, since the clock depends on whether all was sent.
        self.send();
        if flow == Flow::GoesOn {
            flow = self.look_at_clock(Instant::now())?;
        }
        self.send();
        self.screen.flush()?;
        Ok(flow)
    }

    fn send(&mut self) {
        if let Phase::Attached(link) = &mut self.phase {
            link.flush();
        }
    }

    /// Waits until there is something to do.
    fn wait(&self) -> Result<Vec<Who>, Stop> {
        let mut ready = Readiness::new();
        let mut deadline = self.next_alarm();
        ready.of(Who::Reader, self.screen.out(), PollFlags::empty());
        if let Some(blocked) = self.screen.waits_for() {
            ready.of(Who::Screen, blocked, PollFlags::OUT);
        }
        if self.listens() {
            ready.of(Who::Keyboard, rustix::stdio::stdin(), PollFlags::IN);
        }
        if let Some(terminal) = &self.terminal {
            ready.of(Who::Window, terminal.window().as_fd(), PollFlags::IN);
        }
        match &self.phase {
            Phase::Contacting(contact) => ready.of(Who::Peer, contact.as_fd(), PollFlags::IN),
            Phase::Attached(link) => {
                let mut wanted = PollFlags::empty();
                wanted.set(PollFlags::IN, self.screen.has_room());
                wanted.set(PollFlags::OUT, link.wants_to_send());
                // Its end would be seen again and again as long as it cannot be received.
                if !wanted.is_empty() {
                    ready.of(Who::Peer, link.as_fd(), wanted);
                }
                if link.has_frame() && self.screen.has_room() {
                    deadline = Some(Instant::now());
                }
            }
            Phase::Asking(_) => {}
        }
        ready.wait(deadline).map_err(Stop::failed)
    }

    /// Whether the keyboard is read now.
    fn listens(&self) -> bool {
        self.keyboard.is_open()
            && match &self.phase {
                Phase::Attached(link) => {
                    let limit = if self.keyboard.is_terminal() {
                        TYPED_LIMIT
                    } else {
                        SCRIPT_LIMIT
                    };
                    link.leaving().is_none() && link.unsent() < limit
                }
                // A person may want to leave. A script waits until somebody takes it.
                Phase::Contacting(_) | Phase::Asking(_) => self.terminal.is_some(),
            }
    }

    fn next_alarm(&self) -> Option<Instant> {
        let timeout = self.timeout.map(|(at, _)| at);
        let leaving = match &self.phase {
            Phase::Attached(link) => link.leaving(),
            _ => None,
        };
        [timeout, leaving, self.silence.ends()]
            .into_iter()
            .flatten()
            .min()
    }

    fn look_at_clock(&mut self, now: Instant) -> Result<Flow, Stop> {
        if let (Some((at, limit)), Some(missing)) = (self.timeout, self.dialogue.missing())
            && now >= at
        {
            let limit = humantime::format_duration(limit);
            let text = format!("{missing:?} was not seen within {limit}");
            return Err(Failure::new(Code::NotSeen, text).of(&self.console).into());
        }
        let Phase::Attached(link) = &mut self.phase else {
            self.silence.note(false, now);
            return Ok(Flow::GoesOn);
        };
        if link.leaving().is_some_and(|at| now >= at) {
            let text = "left; the guest may not have taken all that was typed";
            if self.keyboard.is_terminal() {
                self.screen.tell(&format!("[{text}]"));
                return Ok(Flow::Over);
            }
            return Err(Failure::new(Code::Failed, text).of(&self.console).into());
        }
        let has_typed_all = !self.keyboard.is_open() && link.unsent() == 0;
        self.silence
            .note(has_typed_all && link.leaving().is_none(), now);
        if self.silence.ends().is_some_and(|at| now >= at) {
            link.leave(SCRIPT_TAIL);
        }
        Ok(Flow::GoesOn)
    }

    /// Does what the dialogue asks for.
    fn act(&mut self, actions: Vec<Action>) {
        let Phase::Attached(link) = &mut self.phase else {
            return;
        };
        for action in actions {
            match action {
                Action::Type(bytes) => link.type_bytes(&bytes),
                Action::Tell(pattern) => self.screen.tell(&messages::seen(&pattern)),
            }
        }
        if self.expects && self.dialogue.missing().is_none() && link.leaving().is_none() {
            link.leave(SCRIPT_TAIL);
        }
    }

    fn window_changed(&mut self) {
        let Some(terminal) = &self.terminal else {
            return;
        };
        terminal.window().clear();
        if let (Phase::Attached(link), Some((columns, rows))) = (&mut self.phase, window::size()) {
            link.resize(columns, rows);
        }
    }
}
