//! A log's identity is random. It is the same wherever and however often the log is opened, and a
//! reader never sees half of it.

use std::fs;
use std::path::{Path, PathBuf};

use vm_console::{BootLog, LogConfig, LogError, LogId, LogImage, MarkKind, UnixTime};

const CONFIG: LogConfig = LogConfig {
    tail: 5000,
    head: 300,
    boots: 3,
};
/// The place of the identity and its check sum in the header.
const ID: std::ops::Range<usize> = 112..136;

fn sample(dir: &Path) -> (PathBuf, LogId) {
    let path = dir.join("sample");
    let (mut writer, log) = BootLog::create_file(&path, CONFIG).unwrap();
    writer.begin_boot(MarkKind::PowerOn, UnixTime::default());
    writer.append(b"some output");
    (path, log.id().unwrap())
}

/// The identity that a reader of this file sees, before and after a writer has opened it.
fn before_and_after_a_writer(path: &Path) -> (Option<LogId>, Option<LogId>) {
    let log = BootLog::open_read_only(path).unwrap();
    let before = log.id();
    let (writer, _) = BootLog::open_file(path).unwrap();
    assert_eq!(writer.log().id(), log.id(), "an older handle sees it too");
    drop(writer);
    (before, BootLog::open_read_only(path).unwrap().id())
}

#[test]
fn each_log_has_an_identity_of_its_own_and_keeps_it() {
    let dir = tempfile::tempdir().unwrap();
    let (path, id) = sample(dir.path());
    assert_eq!(before_and_after_a_writer(&path), (Some(id), Some(id)));
    let (_, other) = BootLog::create_file(dir.path().join("other"), CONFIG).unwrap();
    let (_, third) = BootLog::in_memory(CONFIG).unwrap();
    let (other, third) = (other.id().unwrap(), third.id().unwrap());
    assert!(id != other && other != third && third != id);
}

#[test]
fn a_file_of_an_older_version_gets_an_identity_from_its_next_writer() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = sample(dir.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[ID].fill(0);
    fs::write(&path, &bytes).unwrap();
    let (before, after) = before_and_after_a_writer(&path);
    assert_eq!(before, None);
    assert!(after.is_some());
    assert_eq!(before_and_after_a_writer(&path), (after, after));
    assert_eq!(
        BootLog::open_read_only(&path).unwrap().read_at(0, 99).bytes,
        b"some output"
    );
}

/// The writer stores the low half, the high half and the check sum, in this order.
#[test]
fn a_writer_killed_at_any_store_leaves_no_half_of_an_identity() {
    let dir = tempfile::tempdir().unwrap();
    let (path, id) = sample(dir.path());
    let whole = fs::read(&path).unwrap();
    for stored in [0, 8, 16, 24] {
        let mut bytes = whole.clone();
        bytes[ID][stored..].fill(0);
        fs::write(&path, &bytes).unwrap();
        let (before, after) = before_and_after_a_writer(&path);
        assert_eq!(before, (stored == 24).then_some(id));
        assert!(after.is_some());
        assert_eq!(after == Some(id), stored == 24, "half of it is not reused");
        assert_eq!(before_and_after_a_writer(&path), (after, after));
    }
}

#[test]
fn a_damaged_identity_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (path, _) = sample(dir.path());
    let whole = fs::read(&path).unwrap();
    for at in ID {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        for error in [
            BootLog::open_read_only(&path).map(drop).unwrap_err(),
            BootLog::open_file(&path).map(drop).unwrap_err(),
        ] {
            assert!(
                matches!(error.cause(), LogError::Inconsistent { .. })
                    && error.to_string().contains("identity"),
                "byte {at}: {error}"
            );
        }
        assert_eq!(fs::read(&path).unwrap(), bytes, "it is left as it is");
    }
}

#[test]
fn a_log_that_moves_is_the_same_log_and_a_copy_of_it_is_not() {
    let (mut writer, log) = BootLog::in_memory(CONFIG).unwrap();
    writer.append(b"before the move");
    let image = LogImage::from_bytes(&writer.export().to_bytes()).unwrap();
    assert_eq!(image.id(), log.id());

    let (mut writer, moved) = BootLog::in_memory(CONFIG).unwrap();
    writer.restore(&image).unwrap();
    assert_eq!(moved.id(), log.id());

    let (mut writer, copy) = BootLog::in_memory(CONFIG).unwrap();
    let own = copy.id();
    writer.restore(&image.clone().without_id()).unwrap();
    assert_eq!(copy.id(), own);
    assert_ne!(own, log.id());
    assert_eq!(copy.read_at(0, 99).bytes, b"before the move");
}

/// FNV-1a, as the format has it.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |sum, &byte| {
        (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[test]
fn an_image_of_the_version_without_identities_is_still_read() {
    let (mut writer, _) = BootLog::in_memory(CONFIG).unwrap();
    writer.begin_boot(MarkKind::PowerOn, UnixTime::from_nanos(7));
    writer.append(b"from long ago");
    let image = writer.export();
    // An image of version 1 lacks two words, and differs in nothing else.
    let mut old = image.to_bytes();
    old.truncate(old.len() - 8);
    old.drain(72..88);
    old[8..16].copy_from_slice(&1_u64.to_le_bytes());
    let check = fnv(&old);
    old.extend(check.to_le_bytes());

    let read = LogImage::from_bytes(&old).unwrap();
    assert_eq!(read, image.without_id());
    assert_eq!((read.id(), read.epoch(), read.head()), (None, 1, 13));
    assert_eq!(
        LogImage::from_bytes(&read.to_bytes()).unwrap(),
        read,
        "written again, it is of the new version and still has no identity"
    );
    let (mut writer, log) = BootLog::in_memory(CONFIG).unwrap();
    let own = log.id();
    writer.restore(&read).unwrap();
    assert_eq!(log.id(), own);
    assert_eq!(log.read_at(0, 99).bytes, b"from long ago");
    for cut in 0..old.len() {
        assert!(LogImage::from_bytes(&old[..cut]).is_err(), "length {cut}");
    }
}
