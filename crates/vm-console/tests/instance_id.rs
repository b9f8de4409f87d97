//! What the id of an instance may be.

use proptest::prelude::*;
use vm_console::instance::{IdError, InstanceId};

fn parse(text: &str) -> Result<InstanceId, IdError> {
    text.parse()
}

/// The rule again, in other words.
fn is_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    (1..=63).contains(&bytes.len())
        && bytes
            .iter()
            .all(|b| b"-_".contains(b) || b.is_ascii_alphanumeric())
        && !b"-_".contains(&bytes[0])
}

#[test]
fn errors_say_what_is_wrong() {
    let long = "a".repeat(10 << 10);
    for (text, wanted) in [
        ("", IdError::Empty),
        (&*long, IdError::TooLong { len: 10 << 10 }),
        ("-rf", IdError::Beginning { character: '-' }),
        ("_a", IdError::Beginning { character: '_' }),
        (
            "..",
            IdError::Character {
                character: '.',
                at: 0,
            },
        ),
        (
            "vm-7.force",
            IdError::Character {
                character: '.',
                at: 4,
            },
        ),
        (
            "a/b",
            IdError::Character {
                character: '/',
                at: 1,
            },
        ),
        (
            "a\0",
            IdError::Character {
                character: '\0',
                at: 1,
            },
        ),
        (
            "aé",
            IdError::Character {
                character: 'é',
                at: 1,
            },
        ),
    ] {
        assert_eq!(parse(text), Err(wanted), "{}", text.escape_debug());
    }
    assert!(parse(&"a".repeat(63)).is_ok());
    assert_eq!(
        InstanceId::try_from(&b"vm\xff"[..]),
        Err(IdError::Byte { byte: 0xff, at: 2 })
    );
}

/// It is read from JSON by the same rule.
#[test]
fn json_holds_no_other_ids() {
    let id = |json: &str| serde_json::from_str::<InstanceId>(json);
    assert_eq!(id(r#""vm-7""#).unwrap(), parse("vm-7").unwrap());
    assert!(id(r#""../vm-7""#).is_err());
    let json = serde_json::to_string(&parse("vm-7").unwrap()).unwrap();
    assert_eq!(json, r#""vm-7""#);
}

proptest! {
    #[test]
    fn exactly_the_rule_is_accepted(text in prop_oneof![
        any::<String>(),
        "[-_.a-zA-Z0-9]{0,70}",
        "[a-z0-9][-_a-z0-9]{0,62}",
    ]) {
        prop_assert_eq!(parse(&text).is_ok(), is_id(&text));
        prop_assert_eq!(InstanceId::try_from(text.as_bytes()).is_ok(), is_id(&text));
        if let Ok(id) = parse(&text) {
            prop_assert_eq!(id.to_string(), text);
        }
    }

    /// Whatever the bytes are, the error gives no orders to a terminal and stays short.
    #[test]
    fn errors_can_be_printed(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
        if let Err(error) = InstanceId::try_from(&bytes[..]) {
            let text = error.to_string();
            prop_assert!(text.bytes().all(|b| (b' '..=b'~').contains(&b)), "{:?}", text);
            prop_assert!(text.len() < 200);
        }
    }
}
