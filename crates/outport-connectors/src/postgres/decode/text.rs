//! Text, JSON, bytes and UUIDs: copied as they are.

use std::io::Write;
use std::net::IpAddr;
use std::sync::Arc;

use arrow::array::{ArrayRef, BinaryArray, FixedSizeBinaryArray, NullBufferBuilder, StringArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use outport_core::{Error, ErrorKind, Result};

use super::{Column, malformed};

/// What the bytes of a field are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Text,
    /// Text behind a byte that says which version of the type's format it is, 1 so far.
    Versioned,
    /// An IP address with its netmask, which becomes text.
    Network,
    Bytes,
}

/// A column of texts or of byte strings.
pub(super) struct Texts {
    form: Form,
    offsets: Vec<i32>,
    values: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Texts {
    pub(super) fn new(form: Form) -> Self {
        Self { form, offsets: vec![0], values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }

    #[inline]
    fn end(&mut self) -> Result<()> {
        // A batch ends at a few megabytes and a row has at most one gigabyte, so only a list of many gigabytes gets here.
        let Ok(end) = i32::try_from(self.values.len()) else {
            return Err(Error::new(
                ErrorKind::Data,
                "a value is larger than the 2 GiB that an Arrow array of text holds",
            ));
        };
        self.offsets.push(end);
        Ok(())
    }
}

impl Column for Texts {
    #[inline]
    fn append(&mut self, field: &[u8]) -> Result<()> {
        let field = match (self.form, field) {
            (Form::Text | Form::Bytes, field) => field,
            (Form::Versioned, [1, json @ ..]) => json,
            (Form::Network, field) => {
                write_network(field, &mut self.values)?;
                self.nulls.append_non_null();
                return self.end();
            }
            (Form::Versioned, _) => return Err(malformed("a jsonb that is not of version 1")),
        };
        self.values.extend_from_slice(field);
        self.nulls.append_non_null();
        self.end()
    }

    fn append_null(&mut self) {
        let end = self.offsets.last().copied().unwrap_or_default();
        self.offsets.push(end);
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let mut next = Vec::with_capacity(self.offsets.len());
        next.push(0);
        let offsets = OffsetBuffer::new(ScalarBuffer::from(std::mem::replace(&mut self.offsets, next)));
        let room = Vec::with_capacity(self.values.len().min(2 * super::BATCH_BYTES));
        let values = std::mem::replace(&mut self.values, room).into();
        let nulls = self.nulls.finish();
        if self.form == Form::Bytes {
            return Ok(Arc::new(BinaryArray::try_new(offsets, values, nulls)?));
        }
        let array = StringArray::try_new(offsets, values, nulls).map_err(|e| {
            Error::new(ErrorKind::Data, format!("the server sent text that is not UTF-8: {e}"))
                .hint("the database has the encoding SQL_ASCII, which PostgreSQL passes on unchecked; read the column as bytes, with convert_to(column, 'SQL_ASCII') in a source_query")
        })?;
        Ok(Arc::new(array))
    }
}

/// Writes an address as PostgreSQL does: without the netmask where it is that of a single host, unless it is a `cidr`.
fn write_network(field: &[u8], out: &mut Vec<u8>) -> Result<()> {
    // Family, bits of the netmask, whether it is a cidr, and the length of the address behind them.
    let (address, bits, is_cidr): (IpAddr, u8, bool) = match field {
        [_, bits, is_cidr, 4, address @ ..] => match <[u8; 4]>::try_from(address) {
            Ok(address) => (address.into(), *bits, *is_cidr != 0),
            Err(_) => return Err(malformed("an address that ends early")),
        },
        [_, bits, is_cidr, 16, address @ ..] => match <[u8; 16]>::try_from(address) {
            Ok(address) => (address.into(), *bits, *is_cidr != 0),
            Err(_) => return Err(malformed("an address that ends early")),
        },
        _ => return Err(malformed("an address of an unknown family")),
    };
    let all = if address.is_ipv4() { 32 } else { 128 };
    let written = if is_cidr || bits != all { write!(out, "{address}/{bits}") } else { write!(out, "{address}") };
    written.map_err(|e| Error::new(ErrorKind::Internal, format!("an address could not be written: {e}")))
}

/// A column of UUIDs.
pub(super) struct Uuids {
    values: Vec<u8>,
    nulls: NullBufferBuilder,
}

impl Default for Uuids {
    fn default() -> Self {
        Self { values: Vec::new(), nulls: NullBufferBuilder::new(0) }
    }
}

impl Column for Uuids {
    #[inline]
    fn append(&mut self, field: &[u8]) -> Result<()> {
        let Some((uuid, [])) = field.split_first_chunk::<16>() else {
            return Err(malformed(format_args!("{} bytes for a uuid", field.len())));
        };
        self.values.extend_from_slice(uuid);
        self.nulls.append_non_null();
        Ok(())
    }

    fn append_null(&mut self) {
        self.values.extend_from_slice(&[0; 16]);
        self.nulls.append_null();
    }

    fn finish(&mut self) -> Result<ArrayRef> {
        let next = Vec::with_capacity(self.values.len());
        let values = std::mem::replace(&mut self.values, next);
        Ok(Arc::new(FixedSizeBinaryArray::try_new(16, values.into(), self.nulls.finish())?))
    }
}
