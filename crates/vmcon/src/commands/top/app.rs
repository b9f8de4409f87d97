//! The program around the model: what comes in, what goes to the screen.

mod attaching;

use std::io;
use std::thread;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use crossterm::event::{self as keyboard, Event as Input};
use rustix::process::{Resource, getrlimit, setrlimit};
use signal_hook::consts::{SIGCONT, SIGTSTP};
use vm_console::instance::{Directory, InstanceId};
use vm_console::signals::{Signals, die_by};

use super::asks::{Asks, Job, Wants};
use super::draw::draw;
use super::event::{Asked, Event, Listing};
use super::keys::{Action, press};
use super::listing::Lister;
use super::looks::Looks;
use super::model::Model;
use super::palette::Palette;
use super::screen::Screen;
use crate::commands::Context;
use crate::job::{is_in_foreground, stop_until_in_foreground};
use crate::output::Stop;

/// Between two looks at all logs.
const LOOK: Duration = Duration::from_millis(200);
/// Between two bells.
const BELL: Duration = Duration::from_secs(1);
/// How long a drawing that does not end may keep a signal waiting.
const DEADLY_PATIENCE: Duration = Duration::from_secs(1);
/// News that wait while the screen takes nothing.
const EVENTS: usize = 1024;

/// The running program.
#[derive(Debug)]
pub(super) struct App {
    model: Model,
    looks: Looks,
    asks: Asks,
    events: Receiver<Event>,
    directory: Directory,
    screen: Screen,
    sockets: Vec<(InstanceId, std::path::PathBuf)>,
    rings: bool,
    rung: (u64, Instant),
    next_look: Instant,
}

/// What ends the loop.
enum End {
    Quit,
    Killed(i32),
}

impl App {
    pub(super) fn start(
        context: &Context,
        model: Model,
        mut lister: Lister,
        rings: bool,
    ) -> Result<Self, Stop> {
        allow_many_files();
        let listing = lister.list().map_err(Stop::failed)?;
        let signals = Signals::hold().map_err(Stop::failed)?;
        let screen = Screen::enter()?;
        let (sender, events) = bounded(EVENTS);
        forward(signals, sender.clone(), &screen).map_err(Stop::failed)?;
        let now = Instant::now();
        let mut app = Self {
            model,
            looks: Looks::default(),
            asks: Asks::start(&sender).map_err(Stop::failed)?,
            events,
            directory: context.directory.clone(),
            screen,
            sockets: Vec::new(),
            rings,
            rung: (0, now),
            next_look: now,
        };
        app.list(listing);
        lister.start(sender).map_err(Stop::failed)?;
        Ok(app)
    }

    /// Goes on until the user has enough, or a signal does.
    pub(super) fn run(mut self, palette: Palette) -> Result<(), Stop> {
        match self.turns(palette)? {
            End::Quit => Ok(()),
            End::Killed(signal) => {
                drop(self);
                die_by(signal)
            }
        }
    }

    fn turns(&mut self, palette: Palette) -> Result<End, Stop> {
        loop {
            while let Ok(event) = self.events.try_recv() {
                if let Event::Signal(signal) = event {
                    match signal {
                        SIGTSTP => self.screen.stop()?,
                        SIGCONT => self.go_on()?,
                        signal => return Ok(End::Killed(signal)),
                    }
                    self.model.change();
                } else {
                    self.take(event);
                }
            }
            self.look();
            if self.model.take_change() {
                let model = &mut self.model;
                self.screen.draw(|frame| draw(frame, model, palette))?;
                self.ring()?;
            }
            let left = self.next_look.saturating_duration_since(Instant::now());
            if !keyboard::poll(left)? {
                continue;
            }
            // All that is there, before anything is drawn.
            while keyboard::poll(Duration::ZERO)? {
                match self.input(&keyboard::read()?) {
                    None => {}
                    Some(Action::Quit) => return Ok(End::Quit),
                    Some(Action::Suspend) => self.screen.stop()?,
                    Some(Action::Redraw) => self.screen.resume()?,
                    Some(Action::Attach(id)) => {
                        if let Some(end) = self.attach(&id)? {
                            return Ok(end);
                        }
                    }
                }
            }
        }
    }

    fn input(&mut self, input: &Input) -> Option<Action> {
        if let Input::Key(key) = input {
            return press(&mut self.model, *key);
        }
        // The window has another size.
        self.model.change();
        None
    }

    /// The program goes on after a stop that it did not see.
    fn go_on(&mut self) -> Result<(), Stop> {
        if !is_in_foreground() {
            stop_until_in_foreground();
        }
        self.screen.resume()
    }

    /// Takes what a thread has found out.
    fn take(&mut self, event: Event) {
        match event {
            Event::Listed(listing) => self.list(listing),
            Event::NotListed(why) => {
                self.model.message = Some(why);
                self.model.change();
            }
            Event::Asked(asked) => self.answered(asked),
            Event::Signal(_) => {}
        }
    }

    fn list(&mut self, listing: Listing) {
        let mut entries = Vec::with_capacity(listing.entries.len());
        self.sockets.clear();
        self.looks.clear();
        for listed in listing.entries {
            if let Some(log) = listed.log {
                self.looks.insert(listed.id.clone(), log);
            }
            if listed.entry.is_live {
                self.sockets
                    .push((listed.id.clone(), listed.control_socket));
            }
            entries.push((listed.id, listed.entry));
        }
        self.model.list(entries, listing.damaged);
        let tiles = &self.model.tiles;
        self.asks.retain(|id| tiles.contains_key(id));
    }

    fn answered(&mut self, asked: Asked) {
        self.asks.answered(&asked);
        let (id, now) = (&asked.id, Instant::now());
        self.model.answered(id, asked.incarnation, asked.answer);
        let Some(output) = asked.output else {
            return;
        };
        let is_visible = self.model.visible().contains(id);
        match output.newest {
            Some(Err(why)) => self.model.cannot_look(id, why),
            Some(Ok(newest)) => {
                let head = newest.end;
                self.model.look(id, head, is_visible, now, || Some(newest));
            }
            None => self.model.look(id, output.head, is_visible, now, || None),
        }
    }

    /// Looks at all consoles, and has asked whose turn it is.
    fn look(&mut self) {
        let now = Instant::now();
        if now < self.next_look {
            return;
        }
        self.next_look = now + LOOK;
        self.looks.look(&mut self.model, now);
        self.model.settle(now);
        let model = &self.model;
        let visible = model.visible();
        let job = |(id, socket): &(InstanceId, std::path::PathBuf)| {
            let tile = model.tiles.get(id)?;
            let is_visible = visible.contains(id);
            let wants = match tile.output.head {
                _ if tile.is_in_file() => Wants::Nothing,
                Some(head) if !(is_visible && tile.output.is_stale()) => Wants::NewestUnless(head),
                _ => Wants::Newest,
            };
            let job = Job {
                id: id.clone(),
                incarnation: tile.entry.incarnation,
                socket: socket.clone(),
                wants,
            };
            Some((job, is_visible))
        };
        let jobs: Vec<_> = self.sockets.iter().filter_map(job).collect();
        let (visible, hidden): (Vec<_>, Vec<_>) =
            jobs.into_iter().partition(|(_, is_visible)| *is_visible);
        let job = |(job, _)| job;
        self.asks.ask(
            now,
            visible.into_iter().map(job),
            hidden.into_iter().map(job),
        );
    }

    fn ring(&mut self) -> Result<(), Stop> {
        let (heard, last) = self.rung;
        let now = Instant::now();
        if self.rings && self.model.alerts_ever() > heard && now.duration_since(last) >= BELL {
            self.rung = (self.model.alerts_ever(), now);
            Screen::ring()?;
        }
        Ok(())
    }
}

/// Each log that is open has a descriptor, and so has each connection.
fn allow_many_files() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    // With as few as before, some consoles are asked instead of read.
    let _ = setrlimit(Resource::Nofile, limit);
}

/// Has signals answered between two drawings; a deadly one after a while even if the terminal takes
/// no more of a drawing.
fn forward(signals: Signals, events: Sender<Event>, screen: &Screen) -> io::Result<()> {
    let restorer = screen.restorer();
    signals.forward(move |signal| {
        let is_taken = events.try_send(Event::Signal(signal)).is_ok();
        if signal == SIGTSTP || signal == SIGCONT {
            return;
        }
        if is_taken {
            thread::sleep(DEADLY_PATIENCE);
        }
        restorer.restore();
        die_by(signal)
    })
}
