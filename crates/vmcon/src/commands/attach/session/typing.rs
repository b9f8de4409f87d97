//! What is typed: for the guest, for this program, or as an answer.

use vm_console::escape::Typed;

use super::{Flow, HURRY, Phase, Session};
use crate::commands::attach::keyboard::Key;
use crate::commands::attach::messages;
use crate::commands::attach::questions::{Answer, Asking, Question, Reaction};
use crate::failure::Code;
use crate::output::Stop;

const CONTROL_C: u8 = 3;

impl Session {
    pub(super) fn read_keyboard(&mut self) -> Result<Flow, Stop> {
        let bytes = self.keyboard.read();
        if !self.keyboard.is_open() {
            return self.keyboard_ended();
        }
        if matches!(self.phase, Phase::Asking(_)) {
            return self.answer(&bytes);
        }
        for key in self.keyboard.keys(&bytes) {
            let flow = match key {
                Key::Bytes(bytes) => self.type_bytes(&bytes),
                Key::Escape(escape) => self.escape(escape),
            };
            if flow == Flow::Over {
                return Ok(flow);
            }
        }
        Ok(Flow::GoesOn)
    }

    /// A person who is gone has left. After the end of a script its effects are awaited.
    fn keyboard_ended(&mut self) -> Result<Flow, Stop> {
        if !self.keyboard.is_terminal() {
            return Ok(Flow::GoesOn);
        }
        match &mut self.phase {
            Phase::Attached(link) => link.leave(HURRY),
            Phase::Contacting(_) => return Ok(Flow::Over),
            Phase::Asking(_) => return self.answered(Answer::Leave),
        }
        Ok(Flow::GoesOn)
    }

    fn type_bytes(&mut self, bytes: &[u8]) -> Flow {
        match &mut self.phase {
            Phase::Attached(link) if !link.is_read_only() => link.type_bytes(bytes),
            // There was no guest yet that it would be for; or it is the only way out.
            Phase::Contacting(_)
                if (self.escape.0.is_none() || !self.greeted) && bytes.contains(&CONTROL_C) =>
            {
                return Flow::Over;
            }
            _ if self.keyboard.is_terminal() && !self.told_dropped => {
                self.told_dropped = true;
                self.tell_dropped();
            }
            _ => {}
        }
        Flow::GoesOn
    }

    fn escape(&mut self, escape: Typed) -> Flow {
        let can_type = matches!(&self.phase, Phase::Attached(link) if !link.is_read_only());
        match (escape, &mut self.phase) {
            (Typed::Leave, Phase::Attached(link)) => link.leave(HURRY),
            (Typed::Leave, _) => return Flow::Over,
            (Typed::Help, _) => self.screen.tell(&messages::help(self.escape)),
            (Typed::Break, Phase::Attached(link)) if can_type => {
                link.send_break();
                self.screen.tell("[BREAK]");
            }
            (Typed::Reset, Phase::Attached(link)) if can_type => {
                link.reset();
                self.screen.tell("[reset]");
            }
            (Typed::Break | Typed::Reset, _) => self.tell_dropped(),
            (Typed::Byte(_), _) => {}
        }
        Flow::GoesOn
    }

    fn tell_dropped(&mut self) {
        let text = match &self.phase {
            Phase::Attached(_) => messages::ONLY_WATCHING,
            Phase::Contacting(_) | Phase::Asking(_) => messages::DROPPED,
        };
        self.screen.tell(text);
    }

    /// Asks at the terminal.
    pub(super) fn ask(&mut self, question: Question) {
        let asking = Asking::new(question);
        self.screen.ask(&asking.question().prompt(&self.console));
        self.phase = Phase::Asking(asking);
    }

    fn answer(&mut self, keys: &[u8]) -> Result<Flow, Stop> {
        for &key in keys {
            let Phase::Asking(asking) = &mut self.phase else {
                break;
            };
            match asking.key(key) {
                Reaction::Show(text) => self.screen.echo(text),
                Reaction::Echo(key) => self.screen.echo(char::from(key).encode_utf8(&mut [0; 4])),
                Reaction::AskAgain => {
                    let prompt = asking.question().prompt(&self.console);
                    self.screen.ask(&prompt);
                }
                Reaction::Answered(answer) => {
                    self.screen.echo("\n");
                    return self.answered(answer);
                }
            }
        }
        Ok(Flow::GoesOn)
    }

    fn answered(&mut self, answer: Answer) -> Result<Flow, Stop> {
        let Phase::Asking(asking) = &self.phase else {
            return Ok(Flow::GoesOn);
        };
        let code = match asking.question() {
            Question::InUse(_) => Code::InUse,
            Question::TakenOver { .. } => Code::TakenOver,
        };
        match answer {
            Answer::Leave => return Err(Stop::Told(code)),
            Answer::Take => {
                self.plan.request.force = true;
                self.plan.request.read_only = false;
            }
            Answer::Watch => self.plan.request.read_only = true,
        }
        self.contact()?;
        Ok(Flow::GoesOn)
    }
}
