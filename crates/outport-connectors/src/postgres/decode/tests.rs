use std::sync::Arc;

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Decimal128Type, Int32Type, Schema};

use super::super::describe;
use super::*;

fn decoder(kinds: Vec<Kind>) -> Decoder {
    let columns: Vec<describe::Column> =
        kinds.into_iter().enumerate().map(|(n, kind)| describe::Column { name: format!("c{n}"), kind }).collect();
    let schema = Arc::new(Schema::new(columns.iter().map(|c| c.kind.field(&c.name)).collect::<Vec<_>>()));
    Decoder::new(&Description { columns, schema }, OutOfRange::Error)
}

fn head() -> Vec<u8> {
    [SIGNATURE, &[0; 8]].concat()
}

fn row(fields: &[Option<&[u8]>]) -> Vec<u8> {
    let mut row = (fields.len() as i16).to_be_bytes().to_vec();
    for field in fields {
        match field {
            Some(bytes) => {
                row.extend((bytes.len() as i32).to_be_bytes());
                row.extend(*bytes);
            }
            None => row.extend((-1_i32).to_be_bytes()),
        }
    }
    row
}

#[test]
fn the_header_may_come_alone_or_with_the_first_row() {
    for together in [true, false] {
        let mut decoder = decoder(vec![Kind::Int32, Kind::Text]);
        let first = row(&[Some(&7_i32.to_be_bytes()), None]);
        if together {
            decoder.message(&[head(), first].concat()).expect("header and row");
        } else {
            decoder.message(&head()).expect("a header");
            decoder.message(&first).expect("a row");
        }
        decoder.message(&row(&[None, Some("é".as_bytes())])).expect("a row");
        decoder.message(&(-1_i16).to_be_bytes()).expect("the trailer");
        let batch = decoder.finish(&Warnings::default()).expect("a batch").expect("rows");
        assert_eq!(batch.column(0).as_primitive::<Int32Type>().value(0), 7);
        assert!(batch.column(0).is_null(1) && batch.column(1).is_null(0));
        assert_eq!(batch.column(1).as_string::<i32>().value(1), "é");
        assert!(decoder.finish(&Warnings::default()).expect("no batch").is_none());
        // The next COPY has a header of its own.
        decoder.message(&head()).expect("another header");
    }
}

#[test]
fn a_batch_ends_at_its_bytes_and_at_its_rows() {
    let mut heavy = decoder(vec![Kind::Text]);
    heavy.message(&[head(), row(&[Some(&vec![b'x'; BATCH_BYTES])])].concat()).expect("a row");
    assert!(heavy.is_full());
    let mut light = decoder(vec![]);
    light.message(&head()).expect("a header");
    for _ in 0..BATCH_ROWS {
        assert!(!light.is_full());
        light.message(&row(&[])).expect("a row");
    }
    assert!(light.is_full());
}

#[test]
fn broken_messages_are_errors() {
    let good = row(&[Some(&7_i32.to_be_bytes())]);
    for broken in [&b"PGCOPY"[..], b"", b"row without a header"] {
        assert!(decoder(vec![Kind::Int32]).message(broken).is_err());
    }
    for broken in [
        &good[..good.len() - 1],
        &good[..3],
        &good[..1],
        &row(&[]),
        &row(&[None, None]),
        &row(&[Some(&[0; 3])]),
        &[&[0, 1][..], &i32::MAX.to_be_bytes()].concat(),
    ] {
        let mut decoder = decoder(vec![Kind::Int32]);
        decoder.message(&head()).expect("a header");
        let error = decoder.message(broken).expect_err("a broken row");
        assert_eq!(error.kind(), ErrorKind::Connection, "{error}");
    }
}

#[test]
fn no_bytes_make_a_column_panic() {
    let point = Kind::Struct(vec![("x".into(), Kind::Int32), ("y".into(), Kind::List(Box::new(Kind::Date)))]);
    let kinds = [
        Kind::Bool,
        Kind::Int16,
        Kind::Decimal(10, 2),
        Kind::Decimal(60, 7),
        Kind::Jsonb,
        Kind::Uuid,
        Kind::Date,
        Kind::Time,
        Kind::Timestamp,
        Kind::TimestampTz,
        Kind::Interval,
        Kind::Network,
        Kind::List(Box::new(Kind::Text)),
        point,
    ];
    // A fixed sequence of bytes that look like anything, in every length that a header or value could have.
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = move || {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        // Many zeros and ones, so that counts and lengths are small now and then.
        if seed & 0x700 < 0x500 { (seed & 1) as u8 } else { seed as u8 }
    };
    for kind in kinds {
        for round in 0..4000 {
            let bytes: Vec<u8> = (0..round % 48).map(|_| next()).collect();
            let mut column = column(&kind, OutOfRange::Null);
            if column.append(&bytes).is_ok() {
                assert_eq!(column.finish().map(|a| a.len()).unwrap_or(1), 1, "{kind:?} {bytes:?}");
            }
        }
    }
}

#[test]
fn decimals_take_what_fits_and_name_what_does_not() {
    let numeric = |weight: i16, sign: u16, groups: &[u16]| {
        let mut field = (groups.len() as i16).to_be_bytes().to_vec();
        field.extend(weight.to_be_bytes());
        field.extend(sign.to_be_bytes());
        field.extend([0, 2]);
        field.extend(groups.iter().flat_map(|g| g.to_be_bytes()));
        field
    };
    let mut column = column(&Kind::Decimal(7, 2), OutOfRange::Error);
    for (field, expected) in [
        (numeric(0, 0, &[]), 0),
        (numeric(0, 0, &[12, 3400]), 1234),
        (numeric(1, 0x4000, &[9, 9999, 9900]), -9_999_999),
        (numeric(1, 0, &[9]), 9_000_000),
        (numeric(-1, 0, &[100]), 1),
    ] {
        column.append(&field).expect("a number that fits");
        assert_eq!(column.finish().expect("an array").as_primitive::<Decimal128Type>().value(0), expected);
    }
    for (field, shown) in [
        (numeric(1, 0, &[10]), "100000"),
        (numeric(-1, 0x4000, &[10]), "-0.001"),
        (numeric(-2, 0, &[1000]), "0.00001"),
        (numeric(0, 0, &[1, 1234]), "1.1234"),
    ] {
        let error = column.append(&field).expect_err("a number that does not fit");
        assert_eq!(error.message(), format!("{shown} does not fit decimal(7, 2)"));
    }
}
