//! The table of all that makes a terminal answer, or send by itself from then on.
//!
//! The guard looks sequences up here and the tests go through the same rows, so a sequence that is
//! added here is filtered and tested. Sources are named by program or manual and the heading or
//! file to look in.

use super::form::{Body, Form, Intermediates, Number, Parameters, Private};
use Intermediates::Are;

/// One row: a kind of sequence that a replay must not bring to a terminal.
#[derive(Clone, Copy, Debug)]
pub struct Sequence {
    /// The field's name for it, and what the terminal sends.
    pub name: &'static str,
    /// One complete sequence of the kind.
    pub example: &'static [u8],
    /// The document or program that says so.
    pub source: &'static str,
    pub(super) form: Form,
}

const XTERM: &str = "xterm, ctlseqs";
const XTERM_MOUSE: &str = "xterm, ctlseqs, Mouse Tracking";
const XTERM_READLINE: &str = "xterm, ctlseqs, Readline Modes";
const VT340: &str = "DEC VT330/VT340 Programmer Reference Manual";
const VT420: &str = "DEC VT420 Programmer Reference Manual";
const VT510: &str = "DEC VT510 Programmer Information";
const KITTY: &str = "kitty, docs/keyboard-protocol.rst";
const KITTY_CLIPBOARD: &str = "kitty, docs/clipboard.rst";
const KITTY_MODES: &str = "kitty, kitty/modes.h";
const MINTTY: &str = "mintty, wiki/CtrlSeqs.md";
const ITERM2: &str = "iTerm2, Proprietary Escape Codes";
const COLOURS: &str = "Contour, docs/vt-extensions: color palette update notifications";
const RESIZES: &str = "In-band resize notifications (kitty, foot, Ghostty, iTerm2)";

/// Every kind of sequence by which a terminal answers or begins to send.
#[rustfmt::skip]
pub const SEQUENCES: &[Sequence] = &[
    // What are you, how are you, where is the cursor.
    row("ENQ: answerback", b"\x05", XTERM, Form::Control),
    row("DECID: identification", b"\x1bZ", XTERM, Form::Escape(b"Z")),
    row("DECID: identification, 8-bit", b"\x9a", XTERM, Form::Control),
    row("DA: device attributes, primary to tertiary", b"\x1b[c", XTERM,
        Form::Csi(Private::Any, Parameters::Any, Intermediates::Any, b'c')),
    row("DSR: status, cursor position, colours", b"\x1b[6n", XTERM,
        Form::Csi(Private::Any, Parameters::Any, Intermediates::Any, b'n')),
    any("DECREQTPARM: terminal parameters", b"\x1b[x", XTERM, b"", b'x'),
    marked("XTVERSION: name and version", b"\x1b[>0q", XTERM, b'>', b"", b'q'),

    // How are you set.
    any("DECRQM: mode", b"\x1b[?2026$p", XTERM, b"$", b'p'),
    any("DECRQPSR: cursor or tab stops", b"\x1b[1$w", XTERM, b"$", b'w'),
    any("DECRQTSR: terminal state or colours", b"\x1b[1$u", VT420, b"$", b'u'),
    any("DECRQUPSS: supplemental character set", b"\x1b[&u", XTERM, b"&", b'u'),
    any("DECRQDE: displayed extent", b"\x1b[\"v", XTERM, b"\"", b'v'),
    any("DECRQCRA: checksum of the screen", b"\x1b[1;1;1;1;1;1*y", XTERM, b"*", b'y'),
    any("DECRQKT: type of a key", b"\x1b[1,u", VT510, b",", b'u'),
    any("DECRQPKFM: free memory for keys", b"\x1b[+x", VT510, b"+", b'x'),
    any("DECSR: secure reset, confirmed", b"\x1b[1+p", VT420, b"+", b'p'),
    any("DECINVM: macro, which may ask", b"\x1b[1*z", VT420, b"*", b'z'),
    marked("XTQMODKEYS: modified keys", b"\x1b[?4m", XTERM, b'?', b"", b'm'),
    marked("XTQFMTKEYS: format of keys", b"\x1b[?4g", XTERM, b'?', b"", b'g'),
    marked("XTSMGRAPHICS: graphics", b"\x1b[?1;1;0S", XTERM, b'?', b"", b'S'),
    any("XTREPORTCOLORS: stack of colours", b"\x1b[#R", XTERM, b"#", b'R'),
    any("XTTITLEPOS: stack of titles", b"\x1b[#S", XTERM, b"#", b'S'),
    any("XTREPORTSGR: rendition of an area", b"\x1b[1;1;1;1#|", XTERM, b"#", b'|'),
    marked("keyboard flags", b"\x1b[?u", KITTY, b'?', b"", b'u'),
    marked("multiple cursors: support, cursors, colours", b"\x1b[>100 q",
        "kitty, docs/multiple-cursors-protocol.rst", b'>', b" ", b'q'),

    // Windows, printer, screen contents.
    row("XTWINOPS: window reports, 11 to 21", b"\x1b[14;2t", XTERM,
        Form::Csi(Private::Any, Parameters::FirstWithin(11, 21), Are(b""), b't')),
    marked("capture of the screen", b"\x1b[>1;10t",
        "Contour, docs/vt-extensions/buffer-capture.md", b'>', b"", b't'),
    any("MC: media copy, to the printer or the host", b"\x1b[?2i", VT340, b"", b'i'),

    // Pointer.
    mode("mouse: X10", b"\x1b[?9h", XTERM_MOUSE, 9),
    mode("mouse: press and release", b"\x1b[?1000h", XTERM_MOUSE, 1000),
    mode("mouse: highlight", b"\x1b[?1001h", XTERM_MOUSE, 1001),
    mode("mouse: drag", b"\x1b[?1002h", XTERM_MOUSE, 1002),
    mode("mouse: all motion", b"\x1b[?1003h", XTERM_MOUSE, 1003),
    mode("focus in and out", b"\x1b[?1004h", XTERM_MOUSE, 1004),
    mode("mouse: UTF-8 coordinates", b"\x1b[?1005h", XTERM_MOUSE, 1005),
    mode("mouse: SGR coordinates", b"\x1b[?1006h", XTERM_MOUSE, 1006),
    mode("wheel types arrow keys", b"\x1b[?1007h", XTERM, 1007),
    mode("mouse: urxvt coordinates", b"\x1b[?1015h", XTERM_MOUSE, 1015),
    mode("mouse: pixel coordinates", b"\x1b[?1016h", XTERM_MOUSE, 1016),
    mode("mouse: passive tracking", b"\x1b[?2029h",
        "Contour, docs/vt-extensions: passive mouse tracking", 2029),
    mode("wheel with Alt", b"\x1b[?7765h", MINTTY, 7765),
    mode("wheel types arrow keys", b"\x1b[?7786h", MINTTY, 7786),
    mode("wheel has codes of its own", b"\x1b[?7787h", MINTTY, 7787),
    row("mouse: highlight, first and last row", b"\x1b[1;1;1;1;5T", XTERM_MOUSE,
        Form::Csi(Private::None, Parameters::AtLeast(5), Are(b""), b'T')),
    any("DECELR: locator reports", b"\x1b[1'z", XTERM, b"'", b'z'),
    any("DECSLE: locator events", b"\x1b[1'{", XTERM, b"'", b'{'),
    any("DECRQLP: locator position", b"\x1b['|", XTERM, b"'", b'|'),
    any("DECEFR: locator leaves a rectangle", b"\x1b[1;1;2;2'w", XTERM, b"'", b'w'),
    any("scrollbar of the application", b"\x1b[1;10#t", MINTTY, b"#", b't'),
    osc("prompt: a click types arrow keys", b"\x1b]133;A;cl=m\x1b\\",
        "Semantic prompts proposal (Per Bothner), OSC 133", 133, Body::Contains(b"cl=")),
    osc("prompt: a click is reported", b"\x1b]133;A;click_events=1\x1b\\",
        "kitty, docs/shell-integration.rst", 133, Body::Contains(b"click_events")),

    // Paste.
    mode("click moves the cursor", b"\x1b[?2001h", XTERM_READLINE, 2001),
    mode("paste moves the cursor", b"\x1b[?2002h", XTERM_READLINE, 2002),
    mode("double click deletes", b"\x1b[?2003h", XTERM_READLINE, 2003),
    mode("bracketed paste", b"\x1b[?2004h", XTERM_READLINE, 2004),
    mode("paste quotes each character", b"\x1b[?2005h", XTERM_READLINE, 2005),
    mode("paste keeps newlines", b"\x1b[?2006h", XTERM_READLINE, 2006),
    mode("paste events", b"\x1b[?5522h", KITTY_CLIPBOARD, 5522),

    // Keys in other codes than a serial console expects.
    row("XTMODKEYS: modified keys", b"\x1b[>4;2m", XTERM,
        Form::Csi(Private::Is(b'>'), Parameters::NotZero(1), Are(b""), b'm')),
    row("XTFMTKEYS: format of keys", b"\x1b[>4;1f", XTERM,
        Form::Csi(Private::Is(b'>'), Parameters::NotZero(1), Are(b""), b'f')),
    row("keyboard protocol, pushed", b"\x1b[>1u", KITTY,
        Form::Csi(Private::Is(b'>'), Parameters::NotZero(0), Are(b""), b'u')),
    row("keyboard protocol, set", b"\x1b[=5;1u", KITTY,
        Form::Csi(Private::Is(b'='), Parameters::NotZero(0), Are(b""), b'u')),
    mode("release of keys", b"\x1b[?1337h", ITERM2, 1337),
    mode("escape key has a code of its own", b"\x1b[?7727h", MINTTY, 7727),
    mode("win32-input-mode: keys as records", b"\x1b[?9001h",
        "Windows Terminal, doc/specs/#4999", 9001),
    mode("Ctrl-C and Ctrl-Z as signals", b"\x1b[?19997h", KITTY_MODES, 19997),
    row("control characters as codes of their own", b"\x1b[?77009h", MINTTY,
        Form::Csi(Private::Is(b'?'), Parameters::IncludeWithin(77000, 77031), Are(b""), b'h')),

    // Notices.
    mode("light or dark colours", b"\x1b[?2031h", COLOURS, 2031),
    mode("visible or hidden", b"\x1b[?2033h", KITTY_MODES, 2033),
    mode("new size", b"\x1b[?2048h", RESIZES, 2048),
    mode("width of ambiguous characters", b"\x1b[?7700h", MINTTY, 7700),
    mode("new font", b"\x1b[?7767h", MINTTY, 7767),
    marked("XTRESTORE: modes that were set before", b"\x1b[?1000r", XTERM, b'?', b"", b'r'),

    // Other ways to read what follows, in which text may ask: the guard knows ANSI and UTF-8 only.
    row("DECANM: VT52 mode", b"\x1b[?2l", XTERM,
        Form::Csi(Private::Is(b'?'), Parameters::Include(2), Are(b""), b'l')),
    mode("DECTEK: Tektronix 4014 mode", b"\x1b[?38h", XTERM, 38),
    row("DOCS: leave UTF-8", b"\x1b%@", XTERM, Form::Escape(b"%@")),
    row("DOCS: other coding system", b"\x1b%/G", "ISO/IEC 2022, 15.4", Form::Escape(b"%/")),

    // Operating system commands.
    row("colour, clipboard, font and the like: ?", b"\x1b]11;?\x1b\\", XTERM,
        Form::Osc(Number::Any, Body::Asks)),
    osc("XTQALLOWED: allowed features", b"\x1b]60\x1b\\", XTERM, 60, Body::Any),
    osc("XTQDISALLOWED: refused features", b"\x1b]61;allowWindowOps\x1b\\", XTERM, 61, Body::Any),
    osc("XTQALLOWABLE: features", b"\x1b]62;allowWindowOps\x1b\\", XTERM, 62, Body::Any),
    osc("drag and drop", b"\x1b]72;t=a\x1b\\", "kitty, docs/dnd-protocol.rst", 72, Body::Any),
    osc("notification: support, click, close", b"\x1b]99;i=1:a=report;hi\x1b\\",
        "kitty, docs/desktop-notifications.rst", 99, Body::Any),
    osc("clipboard of all types", b"\x1b]5522;type=read;Lg==\x1b\\", KITTY_CLIPBOARD, 5522,
        Body::Any),
    osc("file transfer", b"\x1b]5113;ac=send;id=x\x1b\\",
        "kitty, docs/file-transfer-protocol.rst", 5113, Body::Any),
    osc("terminal property", b"\x1b]666;vte.cwd?\x1b\\", "VTE, src/vteseq.cc", 666,
        Body::Contains(b"?")),
    osc("macro, which may type", b"\x1b]9;6;Keys(\"a\")\x1b\\",
        "ConEmu, ANSI X3.64 and Xterm-256 codes", 9, Body::Contains(b"9;6;")),
    osc("cell size, variable", b"\x1b]1337;ReportCellSize\x07", ITERM2, 1337,
        Body::Contains(b"report")),
    osc("upload, attention", b"\x1b]1337;RequestUpload=format=tgz\x07", ITERM2, 1337,
        Body::Contains(b"request")),
    osc("features", b"\x1b]1337;Capabilities\x07", ITERM2, 1337, Body::Contains(b"capabilities")),
    osc("button that types", b"\x1b]1337;Button=type=custom;code=1\x07", ITERM2, 1337,
        Body::Contains(b"button")),

    // Command strings: all are taken out, so these rows are but the known askers.
    row("DECRQSS: setting", b"\x1bP$qm\x1b\\", XTERM, Form::Command),
    row("XTGETTCAP: capability", b"\x1bP+q544e\x1b\\", XTERM, Form::Command),
    row("XTGETXRES: resource", b"\x1bP+Q6c\x1b\\", XTERM, Form::Command),
    row("DECUDK: what a key types", b"\x1bP0;1|17/41\x1b\\", VT420, Form::Command),
    row("DECDMAC: macro", b"\x1bP1;0;0!zhi\x1b\\", VT420, Form::Command),
    row("remote control", b"\x1bP@kitty-cmd{\"cmd\":\"ls\"}\x1b\\", "kitty, docs/rc_protocol.rst",
        Form::Command),
    row("graphics", b"\x1b_Gi=31,a=q;AAAA\x1b\\", "kitty, docs/graphics-protocol.rst",
        Form::Command),
    row("privacy message", b"\x1b^x\x1b\\", "ECMA-48, 8.3.94", Form::Command),
    row("start of string", b"\x1bXx\x1b\\", "ECMA-48, 8.3.128", Form::Command),
];

const fn row(
    name: &'static str,
    example: &'static [u8],
    source: &'static str,
    form: Form,
) -> Sequence {
    Sequence {
        name,
        example,
        source,
        form,
    }
}

/// A control sequence with any private marker and any parameters.
const fn any(
    name: &'static str,
    example: &'static [u8],
    source: &'static str,
    intermediates: &'static [u8],
    last: u8,
) -> Sequence {
    let form = Form::Csi(Private::Any, Parameters::Any, Are(intermediates), last);
    row(name, example, source, form)
}

/// A control sequence with this private marker and any parameters.
const fn marked(
    name: &'static str,
    example: &'static [u8],
    source: &'static str,
    marker: u8,
    intermediates: &'static [u8],
    last: u8,
) -> Sequence {
    let form = Form::Csi(
        Private::Is(marker),
        Parameters::Any,
        Are(intermediates),
        last,
    );
    row(name, example, source, form)
}

/// Setting a DEC private mode. Resetting it is let through: it can only end what was begun.
const fn mode(
    name: &'static str,
    example: &'static [u8],
    source: &'static str,
    number: u32,
) -> Sequence {
    let form = Form::Csi(
        Private::Is(b'?'),
        Parameters::Include(number),
        Are(b""),
        b'h',
    );
    row(name, example, source, form)
}

const fn osc(
    name: &'static str,
    example: &'static [u8],
    source: &'static str,
    number: u32,
    body: Body,
) -> Sequence {
    row(name, example, source, Form::Osc(Number::Is(number), body))
}
