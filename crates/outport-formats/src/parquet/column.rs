//! Column chunks of text and bytes, written without the stock column writer.
//!
//! The stock writer takes these columns value by value: it collects the indices of the valid ones, copies each on its own,
//! hashes each for the dictionary and compares each with the minimum and maximum. Here whole slices are copied, the dictionary
//! knows short values without touching its memory, and the bounds of a dictionary page are those of its entries.
//!
//! Pages, statistics and indexes are those of the stock writer; the file's other columns and its footer remain with it.

mod bounds;
mod compress;
mod delta;
mod dictionary;
mod hybrid;
mod page;
mod rows;

use std::ops::Range;

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{ByteArrayType, ByteViewType, DataType};
use bytes::Bytes;
use outport_core::{Error, ErrorKind, Result};
use parquet::basic::{Compression as PageCodec, Encoding, PageType, Type};
use parquet::column::page::{CompressedPage, Page};
use parquet::column::writer::ColumnCloseResult;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ColumnIndexBuilder, LevelHistogram, OffsetIndexBuilder, PageEncodingStats,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::TrackedWrite;
use parquet::schema::types::{ColumnDescPtr, ColumnDescriptor};

use self::bounds::{Bounds, Order};
use self::compress::Compressor;
use self::dictionary::Dictionary;
use self::page::DataPage;
use self::rows::Rows;
use super::encodings::Choice;
use super::options::Options;

/// Rows are looked at in pieces of so many, between which a page may end.
const PIECE: usize = 1024;

/// A column chunk, encoded and compressed.
pub(super) struct ColumnChunk {
    /// The pages.
    pub(super) bytes: Bytes,
    /// What the footer says of them.
    pub(super) close: ColumnCloseResult,
}

/// Whether a column's chunks can be written here: text or bytes at the top level, compressed with what this room has.
pub(super) fn writes(column: &ColumnDescriptor, data_type: &DataType, properties: &WriterProperties) -> bool {
    let bytes = matches!(
        data_type,
        DataType::Utf8
            | DataType::LargeUtf8
            | DataType::Utf8View
            | DataType::Binary
            | DataType::LargeBinary
            | DataType::BinaryView
    );
    bytes
        && column.physical_type() == Type::BYTE_ARRAY
        && column.path().parts().len() == 1
        && column.max_rep_level() == 0
        && column.max_def_level() <= 1
        && properties.bloom_filter_properties(column.path()).is_none()
        && Compressor::knows(properties.compression(column.path()))
}

/// Encodes the arrays of one column, which all have one type that [`writes`] agrees to.
pub(super) fn encode(
    column: &ColumnDescPtr,
    arrays: &[ArrayRef],
    choice: Choice,
    properties: &WriterProperties,
    options: &Options,
) -> Result<ColumnChunk> {
    use arrow::datatypes as dt;
    let data_type = arrays.first().map_or(&DataType::Utf8, |array| array.data_type());
    let writer = Writer::new(column.clone(), properties, options, choice)?;
    match data_type {
        DataType::Utf8 => bytes::<dt::Utf8Type>(arrays, writer),
        DataType::LargeUtf8 => bytes::<dt::LargeUtf8Type>(arrays, writer),
        DataType::Binary => bytes::<dt::BinaryType>(arrays, writer),
        DataType::LargeBinary => bytes::<dt::LargeBinaryType>(arrays, writer),
        DataType::Utf8View => views::<dt::StringViewType>(arrays, writer),
        DataType::BinaryView => views::<dt::BinaryViewType>(arrays, writer),
        other => Err(Error::new(ErrorKind::Internal, format!("{other} is neither text nor bytes"))),
    }
}

fn bytes<T: ByteArrayType>(arrays: &[ArrayRef], writer: Writer<'_>) -> Result<ColumnChunk> {
    writer.write(&arrays.iter().map(|array| array.as_bytes::<T>()).collect::<Vec<_>>())
}

fn views<T: ByteViewType>(arrays: &[ArrayRef], writer: Writer<'_>) -> Result<ColumnChunk> {
    writer.write(&arrays.iter().map(|array| array.as_byte_view::<T>()).collect::<Vec<_>>())
}

/// Writes one chunk.
struct Writer<'a> {
    column: ColumnDescPtr,
    properties: &'a WriterProperties,
    options: &'a Options,
    dictionary: bool,
    direct: Encoding,
    sink: TrackedWrite<Vec<u8>>,
    compressor: Compressor,
    /// A page before compression; kept for its memory.
    body: Vec<u8>,
    statistics: EnabledStatistics,
    bounds: Bounds,
    order: Order,
    column_index: ColumnIndexBuilder,
    offset_index: Option<OffsetIndexBuilder>,
    encodings: Vec<PageEncodingStats>,
    dictionary_offset: Option<i64>,
    data_offset: Option<i64>,
    uncompressed: usize,
    rows: usize,
    nulls: usize,
    unencoded: usize,
}

impl<'a> Writer<'a> {
    fn new(
        column: ColumnDescPtr,
        properties: &'a WriterProperties,
        options: &'a Options,
        choice: Choice,
    ) -> Result<Self> {
        let path = column.path();
        let direct = match choice {
            Choice::Dictionary if options.delta => Encoding::DELTA_LENGTH_BYTE_ARRAY,
            Choice::Dictionary => Encoding::PLAIN,
            Choice::Direct(encoding) => encoding,
        };
        Ok(Self {
            dictionary: choice == Choice::Dictionary,
            direct,
            sink: TrackedWrite::new(Vec::new()),
            body: Vec::new(),
            compressor: Compressor::new(properties.compression(path))?,
            statistics: properties.statistics_enabled(path),
            bounds: Bounds::default(),
            order: Order::default(),
            column_index: ColumnIndexBuilder::new(Type::BYTE_ARRAY),
            offset_index: (!properties.offset_index_disabled()).then(OffsetIndexBuilder::new),
            encodings: Vec::new(),
            dictionary_offset: None,
            data_offset: None,
            uncompressed: 0,
            rows: 0,
            nulls: 0,
            unencoded: 0,
            column,
            properties,
            options,
        })
    }

    fn write<R: Rows>(mut self, arrays: &[R]) -> Result<ColumnChunk> {
        let total: usize = arrays.iter().map(Rows::len).sum();
        let mut done = 0;
        if self.dictionary {
            let mut dictionary = Dictionary::new(self.options.dictionary_bytes);
            let keys = dictionary.intern_all(arrays);
            self.write_dictionary(&dictionary)?;
            done = keys.rows;
            self.write_keys(arrays, &keys.keys, done, &dictionary)?;
        }
        if done < total {
            self.write_values(arrays, done)?;
        }
        self.close()
    }

    fn write_dictionary(&mut self, dictionary: &Dictionary) -> Result<()> {
        let page = dictionary.page();
        let compressed = self.compressor.compress(page)?;
        let encoding = self.properties.dictionary_page_encoding();
        let page_count = u32::try_from(dictionary.len()).unwrap_or(u32::MAX);
        let size = page.len();
        let page = Page::DictionaryPage {
            buf: compressed.map_or_else(|| Bytes::copy_from_slice(page), Bytes::from),
            num_values: page_count,
            encoding,
            is_sorted: false,
        };
        let offset = self.append(CompressedPage::new(page, size), PageType::DICTIONARY_PAGE, encoding)?;
        self.dictionary_offset = Some(offset.start);
        Ok(())
    }

    /// The first `rows` rows as keys of the dictionary, one for each that is not NULL.
    fn write_keys<R: Rows>(
        &mut self,
        arrays: &[R],
        mut keys: &[u32],
        rows: usize,
        dictionary: &Dictionary,
    ) -> Result<()> {
        let width = hybrid::width(dictionary.len());
        let limit = self.options.page_rows.min(self.options.page_bytes.saturating_mul(8) / usize::from(width)).max(1);
        let mut seen = dictionary.seen();
        let mut page = DataPage::default();
        for (array, range) in pieces(arrays, 0..rows) {
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min(start + limit - page.rows);
                let valid = end - start - array.nulls_in(start..end);
                page.add_levels(array, start..end);
                let (these, rest) = keys.split_at(valid.min(keys.len()));
                page.keys.extend_from_slice(these);
                keys = rest;
                start = end;
                if page.rows == limit {
                    self.end_key_page(&mut page, width, dictionary, &mut seen)?;
                }
            }
        }
        if page.rows > 0 {
            self.end_key_page(&mut page, width, dictionary, &mut seen)?;
        }
        Ok(())
    }

    fn end_key_page(
        &mut self,
        page: &mut DataPage,
        width: u8,
        dictionary: &Dictionary,
        seen: &mut dictionary::Seen,
    ) -> Result<()> {
        page.unencoded = dictionary.bytes_of(&page.keys);
        if self.statistics != EnabledStatistics::None {
            for key in seen.distinct(&page.keys) {
                page.bounds.widen(dictionary.value(key));
            }
        }
        let mut encoded = Vec::with_capacity(page.keys.len() * usize::from(width) / 8 + 16);
        encoded.push(width);
        hybrid::encode(&page.keys, width, &mut encoded);
        self.end_page(page, &encoded, &[], self.properties.dictionary_data_page_encoding())
    }

    /// The rows from `from` on value by value.
    fn write_values<R: Rows>(&mut self, arrays: &[R], from: usize) -> Result<()> {
        let total: usize = arrays.iter().map(Rows::len).sum();
        let bounded = self.statistics != EnabledStatistics::None;
        let plain = self.direct == Encoding::PLAIN;
        let mut page = DataPage::default();
        for (array, range) in pieces(arrays, from..total) {
            let mut start = range.start;
            while start < range.end {
                let end = range.end.min(start + PIECE).min(start + self.options.page_rows.max(1) - page.rows);
                page.add_levels(array, start..end);
                let before = page.values.len();
                if plain {
                    array.copy_plain(start..end, &mut page.values);
                    page.unencoded += page.values.len() - before;
                    page.unencoded -= 4 * (end - start - array.nulls_in(start..end));
                } else {
                    array.copy(start..end, &mut page.values);
                    array.lengths(start..end, &mut page.lengths);
                    page.unencoded += page.values.len() - before;
                }
                if bounded {
                    array.each(start..end, |value| page.bounds.widen(value));
                }
                start = end;
                if page.rows >= self.options.page_rows || page.values.len() >= self.options.page_bytes {
                    self.end_value_page(&mut page)?;
                }
            }
        }
        if page.rows > 0 {
            self.end_value_page(&mut page)?;
        }
        Ok(())
    }

    fn end_value_page(&mut self, page: &mut DataPage) -> Result<()> {
        let values = std::mem::take(&mut page.values);
        let mut lengths = Vec::new();
        if self.direct != Encoding::PLAIN {
            delta::encode(&page.lengths, &mut lengths);
        }
        self.end_page(page, &lengths, &values, self.direct)?;
        page.values = values;
        page.values.clear();
        Ok(())
    }

    fn histogram(&self, rows: usize, nulls: usize) -> Option<LevelHistogram> {
        (self.column.max_def_level() > 0).then(|| vec![nulls as i64, (rows - nulls) as i64].into())
    }

    fn close(mut self) -> Result<ColumnChunk> {
        let mut encodings: Vec<Encoding> = self.encodings.iter().map(|stats| stats.encoding).collect();
        encodings.push(Encoding::RLE);
        let written = self.sink.bytes_written();
        let mut metadata = ColumnChunkMetaData::builder(self.column.clone())
            .set_compression(self.properties.compression(self.column.path()))
            .set_encodings(encodings)
            .set_page_encoding_stats(std::mem::take(&mut self.encodings))
            .set_total_compressed_size(written as i64)
            .set_total_uncompressed_size(self.uncompressed as i64)
            .set_num_values(self.rows as i64)
            .set_data_page_offset(self.data_offset.unwrap_or(0))
            .set_dictionary_page_offset(self.dictionary_offset);
        if self.statistics != EnabledStatistics::None {
            metadata = metadata
                .set_statistics(self.chunk_statistics())
                .set_unencoded_byte_array_data_bytes(Some(self.unencoded as i64))
                .set_definition_level_histogram(self.histogram(self.rows, self.nulls));
        }
        let metadata = metadata.build().map_err(wrong)?;
        self.column_index.set_boundary_order(self.order.get());
        let column_index =
            if self.column_index.valid() { Some(self.column_index.build().map_err(wrong)?) } else { None };
        let close = ColumnCloseResult {
            bytes_written: written as u64,
            rows_written: self.rows as u64,
            metadata,
            bloom_filter: None,
            column_index,
            offset_index: self.offset_index.map(OffsetIndexBuilder::build),
        };
        Ok(ColumnChunk { bytes: self.sink.into_inner().map_err(wrong)?.into(), close })
    }

    fn chunk_statistics(&self) -> Statistics {
        let text = self.column.converted_type() == parquet::basic::ConvertedType::UTF8;
        let limit = self.properties.statistics_truncate_length();
        let nulls = Some(self.nulls as u64);
        let statistics = match self.bounds.get() {
            None => ValueStatistics::<ByteArray>::new(None, None, None, nulls, false),
            Some((min, max)) => {
                let (min, min_is_exact) = bounds::lower(min, limit, text);
                let (max, max_is_exact) = bounds::upper(max, limit, text);
                ValueStatistics::new(Some(min.into()), Some(max.into()), None, nulls, false)
                    .with_min_is_exact(min_is_exact)
                    .with_max_is_exact(max_is_exact)
            }
        };
        statistics.into()
    }
}

/// The arrays that hold the rows of a range counted through all of them, with their part of it.
fn pieces<R: Rows>(arrays: &[R], range: Range<usize>) -> impl Iterator<Item = (&R, Range<usize>)> {
    let mut first = 0;
    arrays.iter().filter_map(move |array| {
        let here = first..first + array.len();
        first = here.end;
        let (start, end) = (range.start.max(here.start), range.end.min(here.end));
        (start < end).then(|| (array, start - here.start..end - here.start))
    })
}

/// A length as Parquet writes it before bytes.
fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes).unwrap_or(u32::MAX).to_le_bytes()
}

fn wrong(error: ParquetError) -> Error {
    Error::new(ErrorKind::Internal, format!("parquet could not be written: {error}")).with_source(error)
}

#[cfg(test)]
mod tests;
