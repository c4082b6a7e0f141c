//! The bytes are those that DuckDB 1.5 exports; `tests/types.rs` compares whole columns with DuckDB's own values.

use super::*;

#[test]
fn times_with_a_zone_keep_their_offset() {
    assert_eq!(time_tz(b"\xdf\xc4\x00\x00P\xd2\x89\x08"), "10:11:12+02:00");
    let packed = |micros: u64, offset: i64| (micros << 24 | (57599 - offset) as u64).to_le_bytes();
    assert_eq!(time_tz(&packed(1_500_000, 0)), "00:00:01.5+00:00");
    assert_eq!(time_tz(&packed(0, -(5 * 3600 + 1800 + 7))), "00:00:00-05:30:07");
}

#[test]
fn bits_lose_their_padding() {
    assert_eq!(bits(b"\x04\xf5"), "0101");
    assert_eq!(bits(b"\x00\x01\x80"), "0000000110000000");
}

#[test]
fn big_numbers_are_written_out() {
    assert_eq!(big_num(b"\x80\x00\x08\xabT\xa9\x8c\xeb\x1f\n\xd2"), "12345678901234567890");
    assert_eq!(big_num(&[0x7f, 0xff, 0xfe, !5]), "-5");
}

#[test]
fn a_name_that_occurs_twice_is_refused() {
    let field = || Field::new("a", DataType::Int32, true);
    let error = Conversion::new(&Schema::new(vec![field(), field()])).err().unwrap();
    assert_eq!(error.message(), "the query has two columns named \"a\"");
}
