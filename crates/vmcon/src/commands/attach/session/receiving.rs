//! What comes from the console, and what becomes of the session.

use vm_console::printable;
use vm_console::protocol::{EndCode, Output, ServerFrame, SessionEnd};

use super::{Flow, Phase, Session};
use crate::commands::attach::contact::{Arrival, Contact, News};
use crate::commands::attach::link::{Link, Received};
use crate::commands::attach::messages::{self, WayOut};
use crate::commands::attach::questions::Question;
use crate::commands::attach::terminal::Terminal;
use crate::failure::{Code, Failure, of_end};
use crate::output::Stop;

/// Most frames that are received in a row.
const FRAMES: usize = 64;

impl Session {
    /// Begins a session anew, at the place up to which the output has come.
    pub(super) fn contact(&mut self) -> Result<(), Stop> {
        self.told_dropped = false;
        self.phase = Phase::Contacting(Contact::begin(self.plan.clone()).map_err(Stop::failed)?);
        Ok(())
    }

    pub(super) fn receive(&mut self, mut is_ready: bool) -> Result<Flow, Stop> {
        for _ in 0..FRAMES {
            let flow = match &mut self.phase {
                Phase::Contacting(contact) if is_ready => {
                    is_ready = false;
                    match contact.news() {
                        Some(news) => self.heard(news)?,
                        None => return Ok(Flow::GoesOn),
                    }
                }
                Phase::Attached(link) if is_ready || link.has_frame() => {
                    is_ready = false;
                    if !self.screen.has_room() {
                        return Ok(Flow::GoesOn);
                    }
                    match link.receive() {
                        Received::Frame(frame) => self.received(*frame)?,
                        Received::Nothing => return Ok(Flow::GoesOn),
                        Received::Lost => self.lost()?,
                    }
                }
                _ => return Ok(Flow::GoesOn),
            };
            if flow == Flow::Over {
                return Ok(flow);
            }
        }
        Ok(Flow::GoesOn)
    }

    fn heard(&mut self, news: News) -> Result<Flow, Stop> {
        match news {
            News::Waiting(why) => {
                // So that the keys that leave do so before the first session, too.
                self.take_terminal()?;
                let text = messages::waiting(&self.console, &why, self.way_out());
                self.screen.tell(&text);
            }
            News::InUse(held) => {
                self.take_terminal()?;
                self.ask(Question::InUse(held));
            }
            News::Failed(failure) => return Err(failure.into()),
            News::Attached(arrival) => self.arrived(*arrival)?,
        }
        Ok(Flow::GoesOn)
    }

    fn arrived(&mut self, arrival: Arrival) -> Result<(), Stop> {
        self.take_terminal()?;
        // Whoever comes in the meantime is not thrown out by a reconnection.
        self.plan.request.force = false;
        self.plan.resume = arrival.resume;
        self.told_dropped = false;
        let keys = (self.keyboard.is_terminal() && !self.greeted).then_some(self.escape);
        self.screen
            .tell(&messages::attached(&self.console, &arrival, keys));
        self.greeted = true;
        if arrival.another_log {
            self.screen.tell(&messages::another_log(&self.console));
        }
        self.tell_lost(arrival.lost);
        self.phase = Phase::Attached(Link::new(arrival.client, arrival.attached.read_only));
        self.window_changed();
        let due = self.dialogue.due();
        self.act(due);
        Ok(())
    }

    /// The keys that leave, for whoever waits and was not told of them yet.
    fn way_out(&self) -> WayOut {
        match (self.greeted, self.terminal.is_some()) {
            (true, _) => WayOut::Known,
            (false, true) => WayOut::Keys(self.escape),
            (false, false) => WayOut::None,
        }
    }

    fn take_terminal(&mut self) -> Result<(), Stop> {
        if self.terminal.is_none() && self.keyboard.is_terminal() {
            self.terminal = Terminal::take(self.title.as_deref()).map_err(Stop::failed)?;
            self.screen.set_raw();
        }
        Ok(())
    }

    fn received(&mut self, frame: ServerFrame) -> Result<Flow, Stop> {
        match frame {
            ServerFrame::Output(output) => self.show(output),
            ServerFrame::Gap { from, to } => {
                let lost = self.plan.resume.gap(from, to);
                self.tell_lost(lost);
            }
            ServerFrame::Warning(warning) => {
                self.screen.tell(&messages::ends_in(warning.remaining));
            }
            ServerFrame::Boot { epoch, .. } => self.screen.tell(&messages::boot(epoch)),
            ServerFrame::Error { text, .. } => self.screen.tell(&messages::said(&text)),
            ServerFrame::Ended(end) => return self.ended(&end),
            _ => {}
        }
        Ok(Flow::GoesOn)
    }

    fn show(&mut self, output: Output) {
        let lost = self.plan.resume.output(output.offset, output.next);
        self.tell_lost(lost);
        self.silence.note(false, std::time::Instant::now());
        let actions = self.dialogue.feed(&output.bytes);
        self.screen.output(output.bytes);
        self.act(actions);
    }

    fn tell_lost(&mut self, bytes: u64) {
        if bytes > 0 {
            self.screen.tell(&messages::lost(bytes));
        }
    }

    fn ended(&mut self, end: &SessionEnd) -> Result<Flow, Stop> {
        if self.has_left() || end.reason == EndCode::ClientClosed {
            return Ok(Flow::Over);
        }
        self.tell_unsent();
        let code = of_end(end.reason).unwrap_or(Code::Failed);
        if code == Code::TakenOver && self.plan.ask {
            self.ask(Question::TakenOver { by: end.by.clone() });
            return Ok(Flow::GoesOn);
        }
        let may_return = matches!(
            code,
            Code::TakenOver | Code::PoweredOff | Code::ShuttingDown
        );
        let failure = Failure::new(code, printable(&end.text, 512)).of(&self.console);
        self.again_or(may_return, failure)
    }

    fn lost(&mut self) -> Result<Flow, Stop> {
        if self.has_left() {
            return Ok(Flow::Over);
        }
        self.tell_unsent();
        let text = "the connection is lost: its VMM has ended, or closed it";
        self.again_or(true, Failure::new(Code::Gone, text).of(&self.console))
    }

    /// Waits for the next session if that is wanted and `may_return`.
    fn again_or(&mut self, may_return: bool, failure: Failure) -> Result<Flow, Stop> {
        if !(self.plan.wait && may_return) {
            return Err(failure.into());
        }
        self.screen
            .tell(&messages::waiting(&self.console, &failure, self.way_out()));
        self.contact()?;
        Ok(Flow::GoesOn)
    }

    fn has_left(&self) -> bool {
        matches!(&self.phase, Phase::Attached(link) if link.leaving().is_some())
    }

    fn tell_unsent(&mut self) {
        if matches!(&self.phase, Phase::Attached(link) if link.unsent() > 0) {
            self.screen.tell(messages::UNSENT);
        }
    }
}
