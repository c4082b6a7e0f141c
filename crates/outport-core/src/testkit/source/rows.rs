//! Which rows and columns come, and what is in them.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, TimestampMicrosecondType};

use super::sample::{batch, collect, ids, normal, read};
use super::{SourceFixture, context, people, within};
use crate::extract::{Bound, Extract, Range, Relation};
use crate::value::Value;

/// `schema` says what `read` yields, before any row and without computing one.
pub async fn schema_is_what_read_yields(fixture: &dyn SourceFixture) {
    let source = fixture.source();
    let extract = Extract::of(fixture.create("suite_schema", &people()).await);
    let schema = source.schema(&extract, &context()).await.expect("a schema");
    let batches = source.read(&extract, &context()).await.expect("a read");
    assert_eq!(batches.schema, schema, "schema() and read() disagree");
    collect(batches).await.expect("rows");
    for extract in [fixture.endless(), fixture.silent()].into_iter().flatten() {
        within(Duration::from_secs(10), "schema()", source.schema(&extract, &context())).await.expect("a schema");
    }
}

/// Every value comes back as it went in.
pub async fn values_survive(fixture: &dyn SourceFixture) {
    let rows = people();
    let extract = Extract::of(fixture.create("suite_values", &rows).await);
    let found = read(fixture.source(), &extract).await;
    assert_eq!(normal(&found, &rows.schema()), rows);
}

/// A list of columns is honoured, in its order.
pub async fn columns_come_in_the_order_asked(fixture: &dyn SourceFixture) {
    let mut extract = Extract::of(fixture.create("suite_columns", &people()).await);
    extract.columns = Some(vec!["score".into(), "id".into(), "name".into()]);
    let found = read(fixture.source(), &extract).await;
    let names: Vec<String> = found.schema().fields().iter().map(|f| f.name().clone()).collect();
    assert_eq!(names, ["score", "id", "name"]);
    assert_eq!(ids(&found), (1..=8).collect::<Vec<_>>());
}

/// A filter selects, also on a column that is not read, with an OR in it and a comment behind it.
pub async fn filters_select_rows(fixture: &dyn SourceFixture) {
    let mut extract = Extract::of(fixture.create("suite_filter", &people()).await);
    extract.columns = Some(vec!["id".into()]);
    extract.filter = Some("name = 'plain' OR score < 0 -- and no more".into());
    assert_eq!(ids(&read(fixture.source(), &extract).await), [1, 2, 8]);
    extract.range = Some(range("id", Some((Value::Int(1), false)), None, false));
    assert_eq!(ids(&read(fixture.source(), &extract).await), [2, 8], "filter and range must both hold");
}

/// Ranges are exclusive or inclusive at either end as asked, and hold NULLs only when asked.
pub async fn ranges_honour_bounds_and_nulls(fixture: &dyn SourceFixture) {
    let rows = people();
    let relation = fixture.create("suite_range", &rows).await;
    let changed = rows.column(2);
    let at = |id: usize| Value::from_array(changed, id - 1).expect("a timestamp").expect("a value");
    let null = |id: i64| changed.as_primitive::<TimestampMicrosecondType>().is_null(id as usize - 1);

    for (column, low, high) in [("id", Value::Int(2), Value::Int(7)), ("changed", at(2), at(7))] {
        for lower in [None, Some(false), Some(true)] {
            for upper in [None, Some(false), Some(true)] {
                for nulls in [false, true] {
                    let mut extract = Extract::of(relation.clone());
                    extract.range = Some(range(
                        column,
                        lower.map(|inclusive| (low.clone(), inclusive)),
                        upper.map(|inclusive| (high.clone(), inclusive)),
                        nulls,
                    ));
                    let expected: Vec<i64> = (1..=8)
                        .filter(|&id| {
                            if column == "changed" && null(id) {
                                return nulls;
                            }
                            lower.is_none_or(|inclusive| id > 2 || (inclusive && id == 2))
                                && upper.is_none_or(|inclusive| id < 7 || (inclusive && id == 7))
                        })
                        .collect();
                    assert_eq!(ids(&read(fixture.source(), &extract).await), expected, "{:?}", extract.range);
                }
            }
        }
    }
}

/// A limit is the most that comes; zero gives none, with the schema.
pub async fn limits_hold(fixture: &dyn SourceFixture) {
    let mut extract = Extract::of(fixture.create("suite_limit", &people()).await);
    for (limit, expected) in [(0, 0), (3, 3), (8, 8), (100, 8)] {
        extract.limit = Some(limit);
        let found = read(fixture.source(), &extract).await;
        assert_eq!(found.num_rows(), expected, "limit {limit}");
        assert_eq!(found.num_columns(), 6, "limit {limit}");
    }
}

/// No rows still have columns.
pub async fn empty_results_keep_their_schema(fixture: &dyn SourceFixture) {
    let source = fixture.source();
    let full = Extract::of(fixture.create("suite_full", &people()).await);
    let empty = Extract::of(fixture.create("suite_empty", &people().slice(0, 0)).await);
    let mut none = full.clone();
    none.range = Some(range("id", Some((Value::Int(1000), false)), None, false));
    let expected = source.schema(&full, &context()).await.expect("a schema");
    for extract in [empty, none] {
        let found = read(source, &extract).await;
        assert_eq!(found.num_rows(), 0);
        let types = |s: &arrow::datatypes::Schema| {
            s.fields().iter().map(|f| (f.name().clone(), f.data_type().clone())).collect::<Vec<_>>()
        };
        assert_eq!(types(&found.schema()), types(&expected), "{extract:?}");
    }
}

/// Tables and columns may be called anything that the system lets them be called.
pub async fn names_may_hold_quotes_and_unicode(fixture: &dyn SourceFixture) {
    for (table, column) in [
        ("suite odd \"table\" it's", "a \"b\" c'd"),
        ("suite_Größe_表", "spaltenüberschrift 表"),
        ("suite_Case", "CamelCase"),
    ] {
        let ids_column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
        let text: ArrayRef = Arc::new(StringArray::from(vec!["x", "y", "z"]));
        let rows = batch(vec![("id", ids_column), (column, text)]);
        let mut extract = Extract::of(fixture.create(table, &rows).await);
        assert_eq!(normal(&read(fixture.source(), &extract).await, &rows.schema()), rows, "{table}");
        extract.columns = Some(vec!["id".into(), column.into()]);
        extract.range = Some(range(column, Some((Value::Text("x".into()), false)), None, false));
        assert_eq!(ids(&read(fixture.source(), &extract).await), [2, 3], "{table}");
    }
}

/// A query comes as its author wrote it, and can be narrowed like a table; semicolon and comment at its end do no harm.
pub async fn queries_are_read_as_written(fixture: &dyn SourceFixture) {
    let source = fixture.source();
    if !source.caps().sql {
        return;
    }
    let Relation::Table { schema, name } = fixture.create("suite_query", &people()).await else {
        panic!("create() gives a table");
    };
    let dialect = source.engine().expect("a source with SQL has an engine").dialect();
    let table = Relation::Table { schema, name }.to_sql(dialect);
    let ordered =
        format!("SELECT id, name AS \"the Name\" FROM {table} WHERE id <> 4\nORDER BY id DESC -- newest first\n;");
    let found = read(source, &Extract::query(&ordered)).await;
    assert_eq!(found.schema().field(1).name(), "the Name");
    let order = arrow::compute::cast(found.column(0), &DataType::Int64).expect("integers");
    assert_eq!(order.as_primitive::<arrow::datatypes::Int64Type>().values(), &[8, 7, 6, 5, 3, 2, 1]);

    let mut narrowed = Extract::query(&ordered);
    narrowed.columns = Some(vec!["id".into()]);
    narrowed.filter = Some("\"the Name\" IS NOT NULL".into());
    narrowed.range = Some(range("id", None, Some((Value::Int(6), true)), false));
    let found: RecordBatch = read(source, &narrowed).await;
    assert_eq!((found.num_columns(), ids(&found)), (1, vec![1, 2, 5, 6]));
}

/// A table that was made is listed, under the name that an extract gives it.
pub async fn relations_list_what_can_be_read(fixture: &dyn SourceFixture) {
    let relation = fixture.create("suite_listed", &people()).await;
    let Relation::Table { schema, name } = relation else { panic!("create() gives a table") };
    let listed = fixture.source().relations(&context()).await.expect("relations");
    let found = listed.iter().any(|r| match &schema {
        Some(schema) => *r == format!("{schema}.{name}"),
        None => *r == name || r.ends_with(&format!(".{name}")),
    });
    assert!(found, "{name} is not in {listed:?}");
    assert!(listed.is_sorted(), "{listed:?}");
}

fn range(column: &str, lower: Option<(Value, bool)>, upper: Option<(Value, bool)>, nulls: bool) -> Range {
    let bound = |(value, inclusive)| Bound { value, inclusive };
    Range { column: column.to_owned(), lower: lower.map(bound), upper: upper.map(bound), nulls }
}
