//! The smallest and the largest value, by their bytes, as statistics have them.

use parquet::basic::BoundaryOrder;

/// The bounds of the values seen.
#[derive(Default)]
pub(super) struct Bounds {
    bounds: Option<(Bound, Bound)>,
}

struct Bound {
    /// The first eight bytes as a number of the same order, by which nearly all comparisons are decided.
    prefix: u64,
    value: Vec<u8>,
}

/// The first eight bytes of a value, in their order as a number; a shorter value is filled up with zeros.
#[inline]
pub(super) fn prefix(value: &[u8]) -> u64 {
    match value.first_chunk::<8>() {
        Some(first) => u64::from_be_bytes(*first),
        None => {
            let mut first = [0; 8];
            first[..value.len()].copy_from_slice(value);
            u64::from_be_bytes(first)
        }
    }
}

impl Bounds {
    /// Takes one more value in.
    #[inline]
    pub(super) fn widen(&mut self, value: &[u8]) {
        let prefix = prefix(value);
        match &mut self.bounds {
            Some((min, max)) => {
                if prefix <= min.prefix && (prefix < min.prefix || value < &min.value[..]) {
                    min.set(prefix, value);
                }
                if prefix >= max.prefix && (prefix > max.prefix || value > &max.value[..]) {
                    max.set(prefix, value);
                }
            }
            None => {
                let bound = || Bound { prefix, value: value.to_vec() };
                self.bounds = Some((bound(), bound()));
            }
        }
    }

    /// Takes the values of others in.
    pub(super) fn merge(&mut self, other: &Self) {
        if let Some((min, max)) = other.get() {
            self.widen(min);
            self.widen(max);
        }
    }

    /// The smallest and the largest, if there was any.
    pub(super) fn get(&self) -> Option<(&[u8], &[u8])> {
        self.bounds.as_ref().map(|(min, max)| (&min.value[..], &max.value[..]))
    }
}

impl Bound {
    fn set(&mut self, prefix: u64, value: &[u8]) {
        self.prefix = prefix;
        self.value.clear();
        self.value.extend_from_slice(value);
    }
}

/// Whether the bounds of pages rise or fall from page to page.
#[derive(Default)]
pub(super) struct Order {
    last: Option<(Vec<u8>, Vec<u8>)>,
    fell: bool,
    rose: bool,
}

impl Order {
    /// Takes the bounds of the next page with values.
    pub(super) fn follow(&mut self, min: &[u8], max: &[u8]) {
        if let Some((last_min, last_max)) = &self.last {
            self.fell |= &last_min[..] > min || &last_max[..] > max;
            self.rose |= &last_min[..] < min || &last_max[..] < max;
        }
        self.last = Some((min.to_vec(), max.to_vec()));
    }

    pub(super) fn get(&self) -> BoundaryOrder {
        match (self.fell, self.rose) {
            (false, _) => BoundaryOrder::ASCENDING,
            (true, false) => BoundaryOrder::DESCENDING,
            (true, true) => BoundaryOrder::UNORDERED,
        }
    }
}

/// At most `limit` bytes that are not above `value`, whole characters where it is text; and whether they are all of it.
pub(super) fn lower(value: &[u8], limit: Option<usize>, text: bool) -> (Vec<u8>, bool) {
    match cut(value, limit, text) {
        Some(cut) => (cut.to_vec(), false),
        None => (value.to_vec(), true),
    }
}

/// At most `limit` bytes that are not below `value`, whole characters where it is text; and whether they are all of it. A value
/// that has nothing above it stays whole.
pub(super) fn upper(value: &[u8], limit: Option<usize>, text: bool) -> (Vec<u8>, bool) {
    let above = cut(value, limit, text).and_then(|cut| match std::str::from_utf8(cut) {
        Ok(chars) if text => next_text(chars),
        _ => next_bytes(cut),
    });
    match above {
        Some(above) => (above, false),
        None => (value.to_vec(), true),
    }
}

/// The first bytes of a value that is longer than `limit`.
fn cut(value: &[u8], limit: Option<usize>, text: bool) -> Option<&[u8]> {
    let limit = limit.filter(|limit| value.len() > *limit)?;
    let end = match std::str::from_utf8(value) {
        Ok(chars) if text => (1..=limit).rfind(|at| chars.is_char_boundary(*at))?,
        _ => limit,
    };
    Some(&value[..end])
}

/// The text with its last character that has a next one of the same length replaced by that, and nothing behind it.
fn next_text(text: &str) -> Option<Vec<u8>> {
    text.char_indices().rev().find_map(|(at, last)| {
        let next = char::from_u32(last as u32 + 1).filter(|next| next.len_utf8() == last.len_utf8())?;
        let mut above = text[..at].to_owned();
        above.push(next);
        Some(above.into_bytes())
    })
}

fn next_bytes(bytes: &[u8]) -> Option<Vec<u8>> {
    let at = bytes.iter().rposition(|byte| *byte < u8::MAX)?;
    let mut above = bytes[..=at].to_vec();
    above[at] += 1;
    Some(above)
}
