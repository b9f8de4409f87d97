//! Showing all of a part of a log.

use super::line_times::ShownTimes;
use super::screen::Screen;
use super::timed::TimedText;
use super::walk::{Event, Walk};
use crate::output::Stop;

/// Bytes read at a time.
const ROOM: usize = 256 << 10;

/// Shows all that comes on a way through a log.
pub(super) fn copy(
    walk: &mut Walk<'_>,
    times: Option<ShownTimes>,
    screen: &mut Screen,
) -> Result<(), Stop> {
    let mut room = vec![0; ROOM];
    let mut text = times.map(|times| TimedText::new(times, walk.at()));
    loop {
        let event = walk.next(&mut room)?;
        match (event, &mut text) {
            (Event::Bytes(count), None) => screen.write(&room[..count])?,
            (Event::Bytes(count), Some(text)) => text.write(&room[..count], screen)?,
            (Event::Idle, text) => {
                if let Some(text) = text {
                    text.refresh(walk.source())?;
                    text.show_held(screen)?;
                }
                screen.flush()?;
                screen.check_reader()?;
            }
            (Event::Over, text) => {
                return text.as_mut().map_or(Ok(()), |text| text.show_held(screen));
            }
            (event, text) => {
                if let Some(text) = text {
                    text.break_line(walk.at(), screen)?;
                }
                super::tell(event, screen)?;
            }
        }
    }
}
