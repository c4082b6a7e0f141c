//! Data pages: levels and values put together, compressed, indexed and written.

use std::ops::Range;

use bytes::Bytes;
use outport_core::Result;
use parquet::basic::{Encoding, PageType};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::file::metadata::PageEncodingStats;
use parquet::file::properties::{EnabledStatistics, WriterVersion};
use parquet::file::writer::SerializedPageWriter;

use super::bounds::{self, Bounds};
use super::rows::Rows;
use super::{Writer, hybrid, length, wrong};

/// A data page in the making.
#[derive(Default)]
pub(super) struct DataPage {
    pub(super) rows: usize,
    pub(super) nulls: usize,
    /// Definition levels; empty as long as there is no NULL.
    levels: Vec<u32>,
    /// The encoded values of a dictionary page.
    pub(super) keys: Vec<u32>,
    /// The values of any other page: with their lengths between them where plain, else one after the other.
    pub(super) values: Vec<u8>,
    pub(super) lengths: Vec<i64>,
    /// The bytes of the values alone.
    pub(super) unencoded: usize,
    pub(super) bounds: Bounds,
}

impl DataPage {
    fn clear(&mut self) {
        self.rows = 0;
        self.nulls = 0;
        self.levels.clear();
        self.keys.clear();
        self.values.clear();
        self.lengths.clear();
        self.unencoded = 0;
        self.bounds = Bounds::default();
    }

    /// Notes which of some rows are NULL.
    pub(super) fn add_levels(&mut self, rows: &impl Rows, range: Range<usize>) {
        let count = range.len();
        match rows.nulls_in(range.clone()) {
            0 if self.levels.is_empty() => {}
            nulls => {
                // Until now all were valid.
                self.levels.resize(self.rows, 1);
                self.levels.extend(range.map(|row| u32::from(rows.is_valid(row))));
                self.nulls += nulls;
            }
        }
        self.rows += count;
    }
}

impl Writer<'_> {
    /// Levels and the encoded values, which are `first` and `rest`, as a compressed page; the page is empty afterwards.
    pub(super) fn end_page(
        &mut self,
        page: &mut DataPage,
        first: &[u8],
        rest: &[u8],
        encoding: Encoding,
    ) -> Result<()> {
        self.index(page);
        let old = self.properties.writer_version() == WriterVersion::PARQUET_1_0;
        let levels = self.levels(page);
        self.body.clear();
        if old && self.column.max_def_level() > 0 {
            self.body.extend_from_slice(&length(levels.len()));
        }
        self.body.extend_from_slice(&levels);
        self.body.extend_from_slice(first);
        self.body.extend_from_slice(rest);
        let count = u32::try_from(page.rows).unwrap_or(u32::MAX);
        let (page_type, data_page) = if old {
            let compressed = self.compressor.compress(&self.body)?;
            let data_page = Page::DataPage {
                buf: compressed.map_or_else(|| Bytes::copy_from_slice(&self.body), Bytes::from),
                num_values: count,
                encoding,
                def_level_encoding: Encoding::RLE,
                rep_level_encoding: Encoding::RLE,
                statistics: None,
            };
            (PageType::DATA_PAGE, data_page)
        } else {
            // Values that the codec does not make smaller stay as they are.
            let encoded = &self.body[levels.len()..];
            let compressed = self.compressor.compress(encoded)?.filter(|bytes| bytes.len() < encoded.len());
            let buf = match &compressed {
                Some(compressed) => [&levels[..], compressed].concat().into(),
                None => Bytes::copy_from_slice(&self.body),
            };
            let data_page = Page::DataPageV2 {
                buf,
                num_values: count,
                encoding,
                num_nulls: u32::try_from(page.nulls).unwrap_or(u32::MAX),
                num_rows: count,
                def_levels_byte_len: u32::try_from(levels.len()).unwrap_or(u32::MAX),
                rep_levels_byte_len: 0,
                is_compressed: compressed.is_some(),
                statistics: None,
            };
            (PageType::DATA_PAGE_V2, data_page)
        };
        let place = self.append(CompressedPage::new(data_page, self.body.len()), page_type, encoding)?;
        self.data_offset.get_or_insert(place.start);
        if let Some(index) = &mut self.offset_index {
            index.append_row_count(page.rows as i64);
            index.append_unencoded_byte_array_data_bytes(Some(page.unencoded as i64));
            index.append_offset_and_size(place.start, i32::try_from(place.end - place.start).unwrap_or(i32::MAX));
        }
        self.rows += page.rows;
        self.nulls += page.nulls;
        self.unencoded += page.unencoded;
        page.clear();
        Ok(())
    }

    /// The encoded definition levels of a page; nothing where the column has none.
    fn levels(&self, page: &DataPage) -> Vec<u8> {
        let mut levels = Vec::new();
        if self.column.max_def_level() == 0 {
            // A required column.
        } else if page.levels.is_empty() {
            hybrid::run(1, page.rows, 1, &mut levels);
        } else {
            hybrid::encode(&page.levels, 1, &mut levels);
        }
        levels
    }

    /// The page's entry in the column index.
    fn index(&mut self, page: &DataPage) {
        if self.statistics != EnabledStatistics::Page {
            self.column_index.to_invalid();
        } else if let Some((min, max)) = page.bounds.get() {
            self.order.follow(min, max);
            let text = self.column.converted_type() == parquet::basic::ConvertedType::UTF8;
            let limit = self.properties.column_index_truncate_length();
            let (min, max) = (bounds::lower(min, limit, text).0, bounds::upper(max, limit, text).0);
            self.column_index.append(false, min, max, page.nulls as i64);
        } else {
            self.column_index.append(true, Vec::new(), Vec::new(), page.nulls as i64);
        }
        self.column_index.append_histograms(&None, &self.histogram(page.rows, page.nulls));
        self.bounds.merge(&page.bounds);
    }

    /// Adds a page; where it stands in the chunk.
    pub(super) fn append(
        &mut self,
        page: CompressedPage,
        page_type: PageType,
        encoding: Encoding,
    ) -> Result<Range<i64>> {
        match self.encodings.last_mut() {
            Some(last) if last.page_type == page_type && last.encoding == encoding => last.count += 1,
            _ => self.encodings.push(PageEncodingStats { page_type, encoding, count: 1 }),
        }
        let spec = SerializedPageWriter::new(&mut self.sink).write_page(page).map_err(wrong)?;
        self.uncompressed += spec.uncompressed_size;
        let start = spec.offset as i64;
        Ok(start..start + spec.compressed_size as i64)
    }
}
