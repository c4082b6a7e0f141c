//! The text formats of our own for lakehouses, whose engine would guess dialect and types from the first lines.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::datatypes::SchemaRef;
use async_trait::async_trait;
use outport_core::format::{DecodeSettings, Format};
use outport_core::text::{TextTable, TextTables};
use outport_core::{Batches, Context, Error, ErrorKind, Result};

use super::source::{decode, open};
use super::store::{Found, Store};

/// Detects and decodes the text tables of a lakehouse.
pub struct TextReader {
    store: Store,
    formats: Vec<Arc<dyn Format>>,
    temporary: PathBuf,
    /// What the files of a table were found to hold, so that the files of one table are detected once.
    schemas: Mutex<HashMap<String, SchemaRef>>,
}

impl TextReader {
    /// A reader of `store`, whose root is that of the bucket or file system; compressed files are unpacked into `temporary`.
    pub fn new(store: Store, formats: Vec<Arc<dyn Format>>, temporary: impl Into<PathBuf>) -> Self {
        Self { store, formats, temporary: temporary.into(), schemas: Mutex::default() }
    }

    fn opener(&self, table: &TextTable) -> Result<open::Opener> {
        Ok(open::Opener {
            store: self.store.clone(),
            formats: self.formats.clone(),
            format: Some(open::format_named(&self.formats, &table.format)?),
            settings: DecodeSettings { options: table.options.clone(), ..DecodeSettings::default() },
            temporary: self.temporary.clone(),
        })
    }

    async fn found(&self, path: &str) -> Result<Found> {
        self.store
            .head(path)
            .await?
            .ok_or_else(|| Error::new(ErrorKind::NotFound, format!("there is no file {}", self.store.url(path))))
    }
}

#[async_trait]
impl TextTables for TextReader {
    async fn schema(&self, table: &TextTable, _: &Context) -> Result<SchemaRef> {
        let first = table.files.first().ok_or_else(|| Error::new(ErrorKind::Internal, "a text table without files"))?;
        let key = format!("{} {:?} {:?}", table.format, table.options, table.files);
        let known = || self.schemas.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(schema) = known().get(&key) {
            return Ok(schema.clone());
        }
        let (_, schema) = self.opener(table)?.agree(&[self.found(&first.path).await?], None).await?;
        known().insert(key, schema.clone());
        Ok(schema)
    }

    async fn read(
        &self,
        table: &TextTable,
        file: usize,
        schema: SchemaRef,
        limit: Option<u64>,
        context: &Context,
    ) -> Result<Batches> {
        let full = self.schema(table, context).await?;
        let path = table.files.get(file).map(|file| file.path.as_str()).unwrap_or_default();
        let mut opener = self.opener(table)?;
        opener.settings.schema = Some(full);
        opener.settings.columns = Some(schema.fields().iter().map(|field| field.name().clone()).collect());
        let files = vec![self.found(path).await?];
        Ok(Batches::new(schema.clone(), decode::stream(files, opener, schema, limit, context)))
    }
}
