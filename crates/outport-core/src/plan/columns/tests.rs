use arrow::datatypes::{Fields, TimeUnit};

use super::*;

fn column(name: &str, data_type: &DataType) -> Column {
    Column::of(&Field::new(name, data_type.clone(), true))
}

fn columns(names: &[&str]) -> Vec<Column> {
    names.iter().map(|name| column(name, &DataType::Int64)).collect()
}

fn text(changes: &[SchemaChange]) -> Vec<String> {
    changes.iter().map(ToString::to_string).collect()
}

#[test]
fn every_kind_of_change_is_told() {
    let old = [columns(&["a", "b", "c"]), vec![column("d", &DataType::Int32)]].concat();
    let new = [columns(&["b", "a", "x"]), vec![column("d", &DataType::Int64)]].concat();
    assert_eq!(
        text(&changes(&old, &new, true)),
        ["+ x Int64", "~ d Int32 -> Int64", "- c Int64", "order a, b, d -> b, a, d"]
    );
    assert_eq!(changes(&old, &new, false).len(), 3, "who reads by name does not mind the order");
    assert_eq!(changes(&old, &old, true), []);
    let json = serde_json::to_value(changes(&old, &new, true)).unwrap();
    assert_eq!(json[1], serde_json::json!({"change": "type_changed", "column": "d", "from": "Int32", "to": "Int64"}));
}

#[test]
fn columns_of_one_name_are_told_apart() {
    assert_eq!(changes(&columns(&["a", "a"]), &columns(&["a", "a"]), true), []);
    assert_eq!(text(&changes(&columns(&["a"]), &columns(&["a", "a"]), true)), ["+ a Int64"]);
}

#[test]
fn a_type_is_what_it_holds_and_what_an_extension_makes_of_it() {
    let same = |a: &DataType, b: &DataType| column("x", a).same_type(&column("x", b));
    assert!(same(&DataType::Utf8, &DataType::Utf8View) && same(&DataType::Utf8, &DataType::LargeUtf8));
    assert!(!same(&DataType::Int32, &DataType::Int64));
    assert!(!same(&DataType::Decimal128(10, 2), &DataType::Decimal128(12, 2)));
    let micros = |zone: Option<&str>| DataType::Timestamp(TimeUnit::Microsecond, zone.map(Into::into));
    assert!(!same(&micros(None), &micros(Some("UTC"))));
    let fields = |data_type| DataType::Struct(Fields::from(vec![Field::new("a b", data_type, true)]));
    assert!(same(&fields(DataType::Int8), &fields(DataType::Int8)));
    assert!(!same(&fields(DataType::Int8), &fields(DataType::Int16)));
    let laid_out = Column { data_type: "Utf8View".to_owned(), ..column("x", &DataType::Utf8) };
    assert!(laid_out.same_type(&column("x", &DataType::Utf8)));
    // As an earlier version of Arrow spelled it.
    let earlier = Column { data_type: "Timestamp(Microsecond, None)".to_owned(), ..column("x", &micros(None)) };
    assert!(earlier.same_type(&column("x", &micros(None))));
    let json = Column { extension: Some("arrow.json".to_owned()), ..column("x", &DataType::Utf8) };
    assert_eq!(text(&changes(&[column("x", &DataType::Utf8)], &[json], false)), ["~ x Utf8 -> Utf8 (arrow.json)"]);
}

#[test]
fn columns_that_earlier_versions_kept_are_read() {
    let read = |text: &str, now: &[Column]| KeptColumn::Text(text.to_owned()).read(now);
    let zoned = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    for data_type in [zoned, DataType::Int64, DataType::Decimal128(10, 2), DataType::new_list(DataType::Utf8, true)] {
        let kept = column("order date", &data_type);
        assert_eq!(read(&format!("order date {data_type}"), &[]), kept, "without knowing what is there now");
        assert_eq!(read(&format!("order date {data_type}"), std::slice::from_ref(&kept)), kept);
    }
    let json = Column { extension: Some("arrow.json".to_owned()), ..column("x", &DataType::Utf8) };
    assert_eq!(read("x Utf8", std::slice::from_ref(&json)), json);
    // A name alone says nothing of a type: it is that of the column now.
    assert_eq!(read("id", &columns(&["id"])), columns(&["id"])[0]);
    let kept: Vec<KeptColumn> = serde_json::from_str(r#"["id Int64", {"name": "x", "data_type": "Utf8"}]"#).unwrap();
    assert_eq!(kept[1], KeptColumn::Typed(column("x", &DataType::Utf8)));
}
