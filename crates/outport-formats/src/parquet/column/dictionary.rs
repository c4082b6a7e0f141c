//! The distinct values of a column chunk.

use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};

use super::bounds::prefix;
use super::length;
use super::rows::Rows;

/// Values in the order of their first appearance, each with the number of that place as its key.
pub(super) struct Dictionary {
    table: HashTable<Entry>,
    hasher: DefaultHashBuilder,
    /// The values as the dictionary page has them: each behind its length.
    page: Vec<u8>,
    /// Where each value stands in the page, and its length.
    places: Vec<(u32, u32)>,
    limit: usize,
}

/// What most comparisons need lies in the table itself.
struct Entry {
    prefix: u64,
    length: u32,
    key: u32,
}

/// The keys of the rows that the dictionary had room for.
pub(super) struct Keys {
    /// The number of rows, with those that are NULL.
    pub(super) rows: usize,
    /// One for each that is not NULL.
    pub(super) keys: Vec<u32>,
}

impl Dictionary {
    /// A dictionary whose page has about `limit` bytes at most.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            table: HashTable::with_capacity(256),
            hasher: DefaultHashBuilder::default(),
            page: Vec::new(),
            places: Vec::new(),
            // Places in the page are 32-bit numbers.
            limit: limit.min(1 << 30),
        }
    }

    /// The keys of all rows, up to the first for which there is no room.
    pub(super) fn intern_all<R: Rows>(&mut self, arrays: &[R]) -> Keys {
        let mut keys = Vec::with_capacity(arrays.iter().map(Rows::len).sum());
        let mut rows = 0;
        for array in arrays {
            for row in 0..array.len() {
                if array.is_valid(row) {
                    match self.intern(array.value(row)) {
                        Some(key) => keys.push(key),
                        None => return Keys { rows, keys },
                    }
                }
                rows += 1;
            }
        }
        Keys { rows, keys }
    }

    #[inline]
    fn intern(&mut self, value: &[u8]) -> Option<u32> {
        let prefix = prefix(value);
        let size = value.len() as u32;
        let hash = self.hash(value, prefix);
        let (page, places) = (&self.page, &self.places);
        let known = self.table.find(hash, |entry| {
            entry.prefix == prefix
                && entry.length == size
                && (size <= 8 || value_at(page, places, entry.key)[8..] == value[8..])
        });
        match known {
            Some(entry) => Some(entry.key),
            None => self.add(value, prefix, hash),
        }
    }

    #[inline]
    fn hash(&self, value: &[u8], prefix: u64) -> u64 {
        // Short values are hashed as numbers.
        if value.len() <= 8 { self.hasher.hash_one(prefix ^ value.len() as u64) } else { self.hasher.hash_one(value) }
    }

    #[cold]
    fn add(&mut self, value: &[u8], prefix: u64, hash: u64) -> Option<u32> {
        if self.page.len() + 4 + value.len() > self.limit && !self.places.is_empty() || value.len() > self.limit {
            return None;
        }
        let key = self.places.len() as u32;
        self.page.extend_from_slice(&length(value.len()));
        self.places.push((self.page.len() as u32, value.len() as u32));
        self.page.extend_from_slice(value);
        let (hasher, page, places) = (&self.hasher, &self.page, &self.places);
        let rehash = |entry: &Entry| {
            if entry.length <= 8 {
                hasher.hash_one(entry.prefix ^ u64::from(entry.length))
            } else {
                hasher.hash_one(value_at(page, places, entry.key))
            }
        };
        self.table.insert_unique(hash, Entry { prefix, length: value.len() as u32, key }, rehash);
        Some(key)
    }

    /// The number of values.
    pub(super) fn len(&self) -> usize {
        self.places.len()
    }

    /// The dictionary page, plain.
    pub(super) fn page(&self) -> &[u8] {
        &self.page
    }

    /// The value of a key.
    pub(super) fn value(&self, key: u32) -> &[u8] {
        value_at(&self.page, &self.places, key)
    }

    /// The bytes that the values of some keys take together.
    pub(super) fn bytes_of(&self, keys: &[u32]) -> usize {
        keys.iter().map(|key| self.places[*key as usize].1 as usize).sum()
    }

    /// For telling the distinct keys of one page after the other.
    pub(super) fn seen(&self) -> Seen {
        Seen { pages: vec![0; self.len()], page: 0 }
    }
}

fn value_at<'a>(page: &'a [u8], places: &[(u32, u32)], key: u32) -> &'a [u8] {
    let (start, length) = places[key as usize];
    &page[start as usize..(start + length) as usize]
}

/// In which page each key was seen last.
pub(super) struct Seen {
    pages: Vec<u32>,
    page: u32,
}

impl Seen {
    /// The distinct keys of the next page.
    pub(super) fn distinct(&mut self, keys: &[u32]) -> Vec<u32> {
        self.page += 1;
        let mut distinct = Vec::new();
        for key in keys {
            let page = &mut self.pages[*key as usize];
            if *page != self.page {
                *page = self.page;
                distinct.push(*key);
            }
        }
        distinct
    }
}
