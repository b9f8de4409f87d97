//! The order in which people count: `vm-2` before `vm-10`.

use std::cmp::Ordering;

/// Compares runs of digits by their value, and all else byte by byte. Equal only for equal bytes:
/// of numbers with the same value the one with fewer leading zeros comes first.
pub(super) fn compare(one: &[u8], other: &[u8]) -> Ordering {
    let (mut a, mut b) = (one, other);
    while let (Some(x), Some(y)) = (a.first(), b.first()) {
        let order = if x.is_ascii_digit() && y.is_ascii_digit() {
            by_value(number(&mut a), number(&mut b))
        } else {
            (a, b) = (&a[1..], &b[1..]);
            x.cmp(y)
        };
        if order.is_ne() {
            return order;
        }
    }
    // One is the beginning of the other, but for leading zeros.
    a.len()
        .cmp(&b.len())
        .then_with(|| one.len().cmp(&other.len()))
        .then_with(|| one.cmp(other))
}

/// Takes the digits at the beginning, and gives them without leading zeros.
fn number<'a>(bytes: &mut &'a [u8]) -> &'a [u8] {
    let end = bytes.iter().take_while(|b| b.is_ascii_digit()).count();
    let (digits, rest) = bytes.split_at(end);
    *bytes = rest;
    let zeros = digits.iter().take_while(|b| **b == b'0').count();
    &digits[zeros..]
}

fn by_value(a: &[u8], b: &[u8]) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn numbers_count_by_value() {
        let sorted = [
            "a",
            "vm-",
            "vm-1",
            "vm-01",
            "vm-2",
            "vm-2a",
            "vm-10",
            "vm-100-2",
            "vm-100-10",
        ];
        for (at, one) in sorted.iter().enumerate() {
            for (other_at, other) in sorted.iter().enumerate() {
                let order = compare(one.as_bytes(), other.as_bytes());
                assert_eq!(order, at.cmp(&other_at), "{one} and {other}");
            }
        }
    }

    /// Few characters, so that numbers and leading zeros meet often.
    fn name() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(prop::sample::select(b"a-0129".to_vec()), 0..8)
    }

    proptest! {
        #[test]
        fn it_is_an_order(a in name(), b in name(), c in name()) {
            prop_assert_eq!(compare(&a, &b), compare(&b, &a).reverse());
            prop_assert_eq!(compare(&a, &b).is_eq(), a == b);
            if compare(&a, &b).is_le() && compare(&b, &c).is_le() {
                prop_assert!(compare(&a, &c).is_le());
            }
        }
    }
}
