use std::sync::Arc;

use arrow::datatypes::{Field, Schema};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

use super::*;

fn resolved(sql: &str, columns: &[&str]) -> String {
    let fields: Vec<Field> = columns.iter().map(|name| Field::new(*name, DataType::Int32, true)).collect();
    let mut statement = Parser::parse_sql(&GenericDialect {}, sql).expect("valid SQL").remove(0);
    resolve(&mut statement, &[Arc::new(Schema::new(fields))]);
    statement.to_string()
}

#[test]
fn unquoted_names_take_the_case_of_the_data() {
    assert_eq!(
        resolved("SELECT ORDERID, o.modifieddate FROM Orders O WHERE orderId > 3", &["OrderId", "ModifiedDate"]),
        "SELECT OrderId, O.ModifiedDate FROM Orders O WHERE OrderId > 3"
    );
}

#[test]
fn quoted_and_exact_names_stay() {
    let sql = "SELECT \"ORDERID\", OrderId FROM orders";
    assert_eq!(resolved(sql, &["OrderId"]), sql);
}

#[test]
fn names_that_differ_in_case_only_stay_apart() {
    let sql = "SELECT id, ID, Id FROM t";
    assert_eq!(resolved(sql, &["id", "ID"]), sql);
}

#[test]
fn aliases_and_ctes_count() {
    assert_eq!(
        resolved(
            "WITH Recent AS (SELECT a AS Total FROM t) SELECT TOTAL, R.total FROM Recent r ORDER BY total",
            &["a"]
        ),
        "WITH Recent AS (SELECT a AS Total FROM t) SELECT Total, r.Total FROM Recent r ORDER BY Total"
    );
}
