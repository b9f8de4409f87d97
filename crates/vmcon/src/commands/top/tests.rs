//! Screens, drawn for what is found and for keys.

mod stage;

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use proptest::prelude::*;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::style::{Color, Modifier};

use super::keys::{Action, press};
use super::palette::Palette;
use super::tile::{Entry, Seen};
use stage::{Stage, id, live, running};

#[test]
fn a_tile_tells_how_its_console_stands_and_what_it_has_printed() {
    let mut stage = Stage::of(80, 10, 2);
    stage.look(1, "one\r\n\x1b[31mtwo\x1b[0m\r\n田中さん login: ");
    stage.answer(
        1,
        Seen {
            holder: Some("ada (uid 1000)".to_owned()),
            epoch: 3,
            ..running()
        },
    );
    stage.answer(
        2,
        Seen {
            powered: false,
            ..running()
        },
    );
    stage.look(2, "");
    let wanted = "\
2 consoles  1 running  1 stopped                                                \n\
┏ vm-1 ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━┓┌ vm-2 ────────────────────────────────┐\n\
┃one                                   ┃│no output yet                         │\n\
┃two                                   ┃│                                      │\n\
┃田 中 さ ん  login:                       ┃│                                      │\n\
┃                                      ┃│                                      │\n\
┃                                      ┃│                                      │\n\
┃                                      ┃│                                      │\n\
┗ ada (uid 1000) ━━━━━━━━━━━━━━ boot 3 ┛└ stopped ─────────────────────────────┘\n\
Enter attach  / filter  n next alert  o order  ? help  q quit                   \n";
    let shown = stage.draw();
    assert_eq!(shown, wanted, "\n{shown}");
}

#[test]
fn new_output_with_the_pattern_marks_a_tile_until_it_was_looked_at() {
    let mut stage = Stage::of(80, 24, 6);
    let before = "an old Kernel panic\r\n";
    stage.look(5, before);
    assert_eq!(stage.model.waiting(), 0, "what was there before is not new");
    stage.look(5, &format!("{before}BUG: x\r\nmore\r\n"));
    stage.look(3, "");
    stage.look(3, "Oops: 0002");
    assert_eq!(stage.model.waiting(), 2);
    let shown = stage.draw();
    assert!(shown.starts_with(" 2 alerts   6 consoles"), "{shown}");
    assert!(
        shown.contains("! vm-5") && shown.contains(" BUG: x ─"),
        "{shown}"
    );
    assert_eq!(stage.selected(), "vm-1");
    stage.press("n");
    assert_eq!(stage.selected(), "vm-3");
    stage.press("n");
    assert_eq!(
        (stage.selected().as_str(), stage.model.waiting()),
        ("vm-5", 1)
    );
    stage.press("n");
    assert!(stage.draw().contains("no other alert"));
    // Output that had it before does not mark it again.
    stage.press("c");
    stage.look(5, &format!("{before}BUG: x\r\nmore\r\nand more\r\n"));
    assert_eq!(stage.model.waiting(), 0);
}

#[test]
fn a_match_that_comes_in_two_looks_is_one() {
    let mut stage = Stage::of(80, 24, 1);
    stage.look(1, "");
    stage.look(1, "Kernel pan");
    assert_eq!(stage.model.waiting(), 0);
    stage.look(1, "Kernel panic");
    assert_eq!(stage.model.waiting(), 1);
    assert_eq!(stage.model.alerts_ever(), 1);
}

#[test]
fn all_that_a_new_console_prints_is_new() {
    let mut stage = Stage::of(80, 24, 1);
    stage.list(2);
    stage.look(2, "Out of memory: Killed process 1");
    assert_eq!(stage.model.waiting(), 1);
    // Its machine is made anew, with a log of its own.
    stage.press("C");
    let entry = Entry {
        incarnation: 2,
        log: vm_console::LogId::new(1),
        ..live()
    };
    stage.model.list(vec![(id(2), entry)], 0);
    stage.look(2, "Kernel panic");
    assert_eq!(stage.model.waiting(), 1);
}

#[test]
fn a_filter_shows_as_it_is_typed_and_goes_with_escape() {
    let mut stage = Stage::of(80, 24, 30);
    stage.press("/vm-2");
    let alt = KeyEvent::new(KeyCode::Char('/'), KeyModifiers::ALT);
    press(&mut stage.model, alt);
    assert_eq!(
        stage.model.filter, "",
        "Escape and the next key may come as one"
    );
    stage.press("vm-2");
    let shown = stage.draw();
    assert!(
        shown.contains("11 match vm-2") && shown.contains("/vm-2 "),
        "{shown}"
    );
    stage.press("\x7f9\r");
    assert_eq!(stage.selected(), "vm-9");
    assert_eq!(stage.press("\r"), Some(Action::Attach(id(9))));
    stage.press("/x");
    assert!(stage.draw().contains("No console matches"));
    assert_eq!(stage.press("\r"), None);
    assert_eq!(stage.press("\r"), None, "there is nothing to attach to");
    stage.press("\x1b");
    assert_eq!(stage.model.shown.len(), 30);
    assert_eq!(stage.press("q"), Some(Action::Quit));
    assert_eq!(stage.press("?q"), None, "it closes the help");
}

#[test]
fn the_selected_tile_is_always_on_the_screen() {
    let mut stage = Stage::of(80, 24, 100);
    for keys in ["j", "l", "jjjjjj", "G", "k", "g", "h", "l"] {
        stage.press(keys);
        let shown = stage.draw();
        let selected = stage.selected();
        assert!(
            shown.contains(&format!("┏ {selected} ")),
            "{selected} {shown}"
        );
    }
    // The console beside one that is removed takes its place.
    stage.press("G");
    stage.list(99);
    assert_eq!(stage.selected(), "vm-99");
}

#[test]
fn an_order_by_rate_or_alert_brings_tiles_to_the_top() {
    let mut stage = Stage::of(80, 24, 100);
    let long = "x".repeat(100_000);
    stage.look(70, "");
    stage.look(70, &long);
    stage.look(80, "");
    stage.look(80, "panic");
    stage.press("o");
    assert_eq!(stage.model.shown[0], id(70));
    stage.press("o");
    assert_eq!(stage.model.shown[..2], [id(80), id(1)]);
    stage.press("o");
    assert_eq!(stage.model.shown[0], id(1));
}

#[test]
fn without_colours_nothing_is_coloured_and_alerts_still_stand_out() {
    let mut stage = Stage::of(80, 24, 2);
    stage.palette = Palette { is_coloured: false };
    stage.look(2, "");
    stage.look(2, "panic\r\n");
    stage.draw();
    let buffer = stage.terminal.backend().buffer();
    let is_plain = |colour| colour == Color::Reset;
    assert!(
        buffer
            .content
            .iter()
            .all(|cell| is_plain(cell.fg) && is_plain(cell.bg))
    );
    assert!(buffer[(0, 0)].modifier.contains(Modifier::REVERSED));
}

#[test]
fn what_is_gone_is_dim_with_its_last_lines() {
    let mut stage = Stage::of(80, 24, 2);
    stage.look(2, "last words");
    let gone = Entry {
        is_live: false,
        ..live()
    };
    stage.model.list(vec![(id(1), live()), (id(2), gone)], 1);
    let shown = stage.draw();
    assert!(
        shown.contains("last words") && shown.contains("└ gone ─"),
        "{shown}"
    );
    assert!(shown.contains("1 gone  1 damaged"), "{shown}");
    let buffer = stage.terminal.backend().buffer();
    let cell = buffer.content.iter().find(|cell| cell.symbol() == "w");
    assert!(cell.unwrap().modifier.contains(Modifier::DIM));
}

fn any_key() -> impl Strategy<Value = KeyCode> {
    prop_oneof![
        prop::sample::select("hjklgGncCo/?1v-* 田".chars().collect::<Vec<_>>())
            .prop_map(KeyCode::Char),
        prop::sample::select(vec![
            KeyCode::Esc,
            KeyCode::Backspace,
            KeyCode::PageDown,
            KeyCode::PageUp,
            KeyCode::End,
            KeyCode::Enter,
        ]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is pressed, found and resized: it draws, and what is selected is visible.
    #[test]
    fn no_size_and_no_key_is_too_much(
        steps in prop::collection::vec((any_key(), 1_u16..120, 1_u16..40, 0_usize..60), 1..30),
        output in any::<String>(),
    ) {
        let mut stage = Stage::new(80, 24);
        for (key, width, height, count) in steps {
            stage.list(count);
            stage.look(1, &output);
            stage.look(count, "BUG: 田中");
            press(&mut stage.model, KeyEvent::new(key, KeyModifiers::NONE));
            stage.terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
            stage.draw();
            let visible = stage.model.visible();
            match &stage.model.selected {
                Some(selected) => prop_assert!(visible.contains(selected)),
                None => prop_assert!(stage.model.shown.is_empty()),
            }
        }
    }
}
