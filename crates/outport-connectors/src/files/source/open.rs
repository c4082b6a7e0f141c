//! Opening files: detecting, unpacking, and seeing to it that all of them have one schema.

use std::fs::File;
use std::io::{Read, Write};
use std::path::PathBuf;
use std::sync::Arc;

use arrow::datatypes::SchemaRef;
use outport_core::error::{from_io, suggestion};
use outport_core::format::{DecodeSettings, Decoder, Format, Input};
use outport_core::layout::Codec;
use outport_core::{Error, ErrorKind, Result};
use outport_formats::detect::detect;
use outport_formats::packaging::decompress;

use crate::files::store::{Found, LocalInput, Store, blocking};

/// What is looked at to tell a format.
const SAMPLE: u64 = 4096;

/// Opens files, all of them the same way.
#[derive(Clone)]
pub(in crate::files) struct Opener {
    pub(in crate::files) store: Store,
    pub(in crate::files) formats: Vec<Arc<dyn Format>>,
    pub(in crate::files) format: Option<Arc<dyn Format>>,
    pub(in crate::files) settings: DecodeSettings,
    pub(in crate::files) temporary: PathBuf,
}

impl Opener {
    /// Takes format and schema from the first file, for all of them; `columns` must be in it.
    pub(in crate::files) async fn agree(
        mut self,
        files: &[Found],
        columns: Option<&[String]>,
    ) -> Result<(Self, SchemaRef)> {
        let first = files.first().ok_or_else(|| Error::new(ErrorKind::Internal, "an extract without files"))?;
        let input = self.store.input_of(first).await?;
        let whole = self.clone();
        let (format, full) = blocking(move || {
            let (input, format) = whole.recognise(input)?;
            let schema = format.decoder(input, &whole.settings)?.schema();
            Ok((format, schema))
        })
        .await?;
        self.format = Some(format);
        // Text has no schema of its own: what the first file was found to be, the others are read as.
        self.settings.schema = Some(full.clone());
        let Some(columns) = columns else { return Ok((self, full)) };
        let mut places = Vec::new();
        for column in columns {
            let Ok(place) = full.index_of(column) else {
                let names = full.fields().iter().map(|field| field.name().as_str());
                return Err(Error::new(
                    ErrorKind::NotFound,
                    format!("{} has no column \"{column}\"", self.store.url(&first.path)),
                )
                .hint(suggestion(column, names)));
            };
            places.push(place);
        }
        self.settings.columns = Some(columns.to_vec());
        let schema = full.project(&places)?;
        Ok((self, Arc::new(schema)))
    }

    /// A decoder for one file.
    pub(in crate::files) async fn decoder(&self, file: &Found) -> Result<Box<dyn Decoder>> {
        let input = self.store.input_of(file).await?;
        let opener = self.clone();
        blocking(move || {
            let (input, format) = opener.recognise(input)?;
            format.decoder(input, &opener.settings)
        })
        .await
    }

    /// The format of a file, and the bytes inside of what is compressed.
    fn recognise(&self, input: Arc<dyn Input>) -> Result<(Arc<dyn Input>, Arc<dyn Format>)> {
        unpack_and_detect(input, &self.formats, self.format.as_ref(), &self.temporary)
    }
}

/// Unpacks what is compressed from outside and tells the format of what is inside; `given` goes before what is found.
pub(crate) fn unpack_and_detect(
    input: Arc<dyn Input>,
    formats: &[Arc<dyn Format>],
    given: Option<&Arc<dyn Format>>,
    temporary: &std::path::Path,
) -> Result<(Arc<dyn Input>, Arc<dyn Format>)> {
    let (head, _) = ends(&input)?;
    let codec = decompress::detect(input.name(), &head);
    let name = input.name().to_owned();
    let input = if codec == Codec::None { input } else { unpack(input, codec, temporary)? };
    if let Some(format) = given {
        return Ok((input, format.clone()));
    }
    let (head, tail) = ends(&input)?;
    // `orders.csv.gz` is called `orders.csv` inside.
    let inner = if codec == Codec::None {
        name.as_str()
    } else {
        name.rsplit_once('.').map_or(name.as_str(), |(stem, _)| stem)
    };
    let found = detect(inner, &head, &tail).ok_or_else(|| {
        Error::new(ErrorKind::Data, format!("{name}: cannot tell the format of this file"))
            .hint("set file_format, or give the file an extension")
    })?;
    Ok((input, format_named(formats, found)?))
}

/// The format with this name.
pub(in crate::files) fn format_named(formats: &[Arc<dyn Format>], name: &str) -> Result<Arc<dyn Format>> {
    formats.iter().find(|format| format.name() == name).cloned().ok_or_else(|| {
        Error::new(ErrorKind::Unsupported, format!("files of format \"{name}\" cannot be read"))
            .hint(suggestion(name, formats.iter().map(|format| format.name())))
    })
}

fn ends(input: &Arc<dyn Input>) -> Result<(Vec<u8>, Vec<u8>)> {
    let len = input.len().min(SAMPLE);
    let size = usize::try_from(len).map_err(|e| Error::new(ErrorKind::Internal, e.to_string()))?;
    let (mut head, mut tail) = (vec![0; size], vec![0; size]);
    input.read_at(0, &mut head)?;
    input.read_at(input.len() - len, &mut tail)?;
    Ok((head, tail))
}

/// Unpacks into a file without a name, for decoders read at many places at once.
fn unpack(input: Arc<dyn Input>, codec: Codec, temporary: &std::path::Path) -> Result<Arc<dyn Input>> {
    let name = input.name().to_owned();
    let failed = |e| from_io(ErrorKind::Write, e).context(format!("unpacking {name} into {}", temporary.display()));
    let mut file: File = tempfile::tempfile_in(temporary).map_err(failed)?;
    let mut reader = decompress::open(input, codec)?;
    let mut buffer = vec![0; 1 << 20];
    let mut len = 0;
    loop {
        let count = reader
            .read(&mut buffer)
            .map_err(|e| Error::new(ErrorKind::Compression, format!("{name}: {e}")).with_source(e))?;
        if count == 0 {
            break;
        }
        file.write_all(&buffer[..count]).map_err(failed)?;
        len += count as u64;
    }
    Ok(Arc::new(LocalInput::new(file, name, len)))
}
