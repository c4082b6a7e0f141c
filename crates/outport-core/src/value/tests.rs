use std::sync::Arc;

use arrow::array::{
    ArrayRef, Decimal128Array, Int64Array, TimestampMicrosecondArray, TimestampSecondArray, UInt64Array,
};
use proptest::prelude::*;

use super::*;

#[test]
fn numbers_are_not_compared_as_text() {
    assert!(Value::Int(9) < Value::Int(10));
    assert!(Value::Decimal("9.5".to_owned()) < Value::Decimal("10".to_owned()));
    assert!(Value::Decimal("-10".to_owned()) < Value::Decimal("-9.99".to_owned()));
    assert_eq!(
        Value::Decimal("1.50".to_owned()).partial_cmp(&Value::Decimal("01.5".to_owned())),
        Some(Ordering::Equal)
    );
    assert_eq!(Value::Decimal("-0".to_owned()).partial_cmp(&Value::Decimal("0.00".to_owned())), Some(Ordering::Equal));
    assert_eq!(Value::Int(1).partial_cmp(&Value::Text("1".to_owned())), None);
}

#[test]
fn arrays_give_typed_values() {
    let value = |array: ArrayRef| Value::from_array(&array, 0).unwrap().unwrap();
    assert_eq!(value(Arc::new(UInt64Array::from(vec![u64::MAX]))), Value::Int(u64::MAX.into()));
    let decimal = Decimal128Array::from(vec![-12_345]).with_precision_and_scale(12, 2).unwrap();
    assert_eq!(value(Arc::new(decimal)), Value::Decimal("-123.45".to_owned()));
    let zoned = TimestampMicrosecondArray::from(vec![-1]).with_timezone("Asia/Tokyo");
    assert_eq!(value(Arc::new(zoned)).to_string(), "1969-12-31T23:59:59.999999Z");
    assert_eq!(value(Arc::new(TimestampMicrosecondArray::from(vec![-1]))).to_string(), "1969-12-31T23:59:59.999999");
    let null: ArrayRef = Arc::new(Int64Array::from(vec![None]));
    assert_eq!(Value::from_array(&null, 0).unwrap(), None);
    let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![i64::MAX]));
    assert_eq!(Value::from_array(&far, 0).unwrap_err().kind(), ErrorKind::Data);
}

#[test]
fn text_is_read_as_what_the_column_is() {
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let civil = DataType::Timestamp(TimeUnit::Microsecond, None);
    assert_eq!(Value::parse("2024-01-01", &civil).unwrap().to_string(), "2024-01-01T00:00:00");
    assert_eq!(Value::parse("2024-01-01 10:00:00+02:00", &zoned).unwrap().to_string(), "2024-01-01T08:00:00Z");
    assert_eq!(Value::parse("2024-01-01T10:00:00", &zoned).unwrap().to_string(), "2024-01-01T10:00:00Z");
    assert_eq!(Value::parse("2024-01-01T10:00:00Z", &civil).unwrap().to_string(), "2024-01-01T10:00:00");
    assert_eq!(Value::parse("007", &DataType::Int32).unwrap(), Value::Int(7));
    assert!(Value::parse("1e5", &DataType::Decimal128(10, 2)).is_err());
}

#[test]
fn literals_are_spelled_as_each_engine_reads_them() {
    let zoned =
        Value::parse("2024-01-01T10:00:00Z", &DataType::Timestamp(TimeUnit::Second, Some("UTC".into()))).unwrap();
    assert_eq!(zoned.to_sql(Dialect::Postgres), "TIMESTAMPTZ '2024-01-01 10:00:00+00'");
    assert!(zoned.to_sql(Dialect::DataFusion).starts_with("arrow_cast('2024-01-01T10:00:00Z'"));
    assert_eq!(Value::Float(0.1).to_sql(Dialect::DuckDb), "0.1");
    assert_eq!(Value::Float(f64::NAN).to_sql(Dialect::DuckDb), "CAST('NaN' AS DOUBLE PRECISION)");
    assert_eq!(Value::Text("o'k".to_owned()).to_sql(Dialect::DuckDb), "'o''k'");
}

proptest! {
    #[test]
    fn timestamps_survive_text_and_json(micros in -62_000_000_000_000_000_i64..250_000_000_000_000_000) {
        for zone in [None, Some("UTC")] {
            let mut array = TimestampMicrosecondArray::from(vec![micros]);
            if let Some(zone) = zone {
                array = array.with_timezone(zone);
            }
            let array: ArrayRef = Arc::new(array);
            let value = Value::from_array(&array, 0).unwrap().unwrap();
            prop_assert_eq!(Value::parse(&value.to_string(), array.data_type()).unwrap(), value.clone());
            let json = serde_json::to_string(&value).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&json).unwrap(), value);
        }
    }

    #[test]
    fn decimals_compare_as_numbers(a in -1_000_000_i64..1_000_000, b in -1_000_000_i64..1_000_000) {
        let text = |n: i64| format!("{}{}.{:03}", if n < 0 { "-" } else { "" }, n.abs() / 1000, n.abs() % 1000);
        let order = Value::Decimal(text(a)).partial_cmp(&Value::Decimal(text(b)));
        prop_assert_eq!(order, Some(a.cmp(&b)));
    }
}
