//! Folders named `column=value`, as Hive lays tables out.

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::catalog::Session;
use datafusion::common::DFSchema;
use datafusion::common::ScalarValue;
use datafusion::logical_expr::utils::conjunction;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown};
use object_store::path::Path;
use outport_core::{Error, ErrorKind, Result};
use std::sync::Arc;

use crate::error::from_datafusion;

/// How writers spell NULL in the name of a partition.
const NULL: &str = "__HIVE_DEFAULT_PARTITION__";

/// The partition columns of some files, and their values for each file.
#[derive(Clone, Debug)]
pub(crate) struct Partitions {
    pub(crate) fields: Vec<Arc<Field>>,
    pub(crate) values: Vec<Vec<ScalarValue>>,
}

impl Partitions {
    /// Reads the values from the paths. A column is a whole number or a date where every value is one, and text otherwise.
    ///
    /// # Errors
    /// [`ErrorKind::Contract`] where two files do not have the same partition columns.
    pub(crate) fn of(table: &Path, files: &[&Path]) -> Result<Self> {
        let named: Vec<Vec<(String, Option<String>)>> = files.iter().map(|file| values(table, file)).collect();
        let columns: Vec<&String> = named.first().into_iter().flatten().map(|(column, _)| column).collect();
        for (file, values) in files.iter().zip(&named) {
            if !values.iter().map(|(column, _)| column).eq(columns.iter().copied()) {
                return Err(Error::new(
                    ErrorKind::Contract,
                    format!(
                        "{file} has the partition columns ({}), {} has ({})",
                        values.iter().map(|(c, _)| c.as_str()).collect::<Vec<_>>().join(", "),
                        files[0],
                        columns.iter().map(|c| c.as_str()).collect::<Vec<_>>().join(", "),
                    ),
                )
                .hint("a table's files must all lie equally deep in folders column=value"));
            }
        }
        let types: Vec<DataType> =
            (0..columns.len()).map(|at| data_type(named.iter().filter_map(|values| values[at].1.as_deref()))).collect();
        let fields =
            columns.iter().zip(&types).map(|(c, t)| Arc::new(Field::new(c.as_str(), t.clone(), true))).collect();
        let values = named
            .iter()
            .map(|values| {
                values.iter().zip(&types).map(|((_, text), data_type)| scalar(text.as_deref(), data_type)).collect()
            })
            .collect::<Result<_>>()?;
        Ok(Self { fields, values })
    }

    /// What becomes of each filter: those that speak of partition columns only are settled by [`Self::select`].
    pub(crate) fn pushdown(&self, filters: &[&Expr]) -> Vec<TableProviderFilterPushDown> {
        let kind = |expr: &&Expr| match self.decides(expr) {
            true => TableProviderFilterPushDown::Exact,
            false => TableProviderFilterPushDown::Inexact,
        };
        filters.iter().map(kind).collect()
    }

    fn decides(&self, expr: &Expr) -> bool {
        let columns = expr.column_refs();
        !columns.is_empty() && columns.iter().all(|c| self.fields.iter().any(|field| field.name() == &c.name))
    }

    /// Which files may hold rows that `filters` let through: those of the filters that speak of partition columns only are
    /// evaluated on the files' values.
    pub(crate) fn select(&self, state: &dyn Session, filters: &[Expr]) -> Result<Vec<bool>> {
        let filters: Vec<Expr> = filters.iter().filter(|expr| self.decides(expr)).cloned().collect();
        let all = vec![true; self.values.len()];
        let Some(filter) = conjunction(filters) else { return Ok(all) };
        let schema: SchemaRef = Arc::new(Schema::new(self.fields.clone()));
        let columns: Vec<ArrayRef> = (0..self.fields.len())
            .map(|at| ScalarValue::iter_to_array(self.values.iter().map(|values| values[at].clone())))
            .collect::<datafusion::error::Result<_>>()
            .map_err(from_datafusion)?;
        let options = RecordBatchOptions::new().with_row_count(Some(self.values.len()));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), columns, &options)?;
        let evaluate = || {
            let expr = state.create_physical_expr(filter, &DFSchema::try_from(schema.as_ref().clone())?)?;
            expr.evaluate(&batch)?.into_array(batch.num_rows())
        };
        let kept = evaluate().map_err(from_datafusion)?;
        Ok(match kept.as_any().downcast_ref::<BooleanArray>() {
            Some(kept) => kept.iter().map(|keep| keep == Some(true)).collect(),
            None => all,
        })
    }
}

/// Columns and values in the folders between the table and a file.
fn values(table: &Path, file: &Path) -> Vec<(String, Option<String>)> {
    let mut parts: Vec<String> =
        file.prefix_match(table).into_iter().flatten().map(|p| p.as_ref().to_owned()).collect();
    parts.pop();
    parts
        .iter()
        .filter_map(|part| part.split_once('='))
        .map(|(column, value)| {
            let value = decoded(value);
            (decoded(column), (value != NULL).then_some(value))
        })
        .collect()
}

/// Hive escapes what a path cannot hold as `%3A`; a store may escape the percent sign once more.
fn decoded(text: &str) -> String {
    let text = decoded_once(text);
    if text.contains('%') { decoded_once(&text) } else { text }
}

/// Resolves the escapes that a store puts into names.
pub(crate) fn decoded_once(text: &str) -> String {
    url::form_urlencoded::parse(format!("x={}", text.replace('+', "%2B").replace('&', "%26")).as_bytes())
        .next()
        .map_or_else(|| text.to_owned(), |(_, value)| value.into_owned())
}

fn data_type<'a>(values: impl Iterator<Item = &'a str> + Clone) -> DataType {
    let any = values.clone().next().is_some();
    // 007 is not 7: a number that would be written differently stays text.
    let whole = |text: &str| text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    let date = |text: &str| text.len() == 10 && chrono::NaiveDate::parse_from_str(text, "%Y-%m-%d").is_ok();
    if any && values.clone().all(whole) {
        DataType::Int64
    } else if any && values.clone().all(date) {
        DataType::Date32
    } else {
        DataType::Utf8
    }
}

fn scalar(text: Option<&str>, data_type: &DataType) -> Result<ScalarValue> {
    match text {
        Some(text) => ScalarValue::try_from_string(text.to_owned(), data_type),
        None => ScalarValue::try_from(data_type),
    }
    .map_err(from_datafusion)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_come_from_paths() {
        let table = Path::parse("lake/t").unwrap();
        let files = [
            Path::parse("lake/t/year=2024/day=2024-01-02/name=a%2520b/f.parquet").unwrap(),
            Path::parse("lake/t/year=2025/day=2025-01-02/name=__HIVE_DEFAULT_PARTITION__/f.parquet").unwrap(),
        ];
        let partitions = Partitions::of(&table, &[&files[0], &files[1]]).unwrap();
        let types: Vec<_> = partitions.fields.iter().map(|f| f.data_type().clone()).collect();
        assert_eq!(types, [DataType::Int64, DataType::Date32, DataType::Utf8]);
        assert_eq!(partitions.values[0][2], ScalarValue::Utf8(Some("a b".into())));
        assert_eq!(partitions.values[1][2], ScalarValue::Utf8(None));
    }

    #[test]
    fn leading_zeros_stay() {
        assert_eq!(data_type(["01", "02"].into_iter()), DataType::Utf8);
    }

    #[test]
    fn uneven_depths_are_refused() {
        let table = Path::parse("t").unwrap();
        let error =
            Partitions::of(&table, &[&Path::parse("t/a=1/f").unwrap(), &Path::parse("t/f").unwrap()]).unwrap_err();
        assert!(error.to_string().contains("partition columns"), "{error}");
    }
}
