//! Every type, compared with what `psql` prints for the same values.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Decimal128Type, Decimal256Type, Float32Type, Float64Type, IntervalUnit, TimeUnit};
use outport_core::ErrorKind;
use outport_core::extract::Extract;
use serde_json::json;

use crate::server::PostgresServer;
use crate::{context, query, read, shown, source};

/// Reads `values` as one column of type `sql_type`, both ways, and compares the texts; gives the Arrow type.
async fn compare(server: &PostgresServer, sql_type: &str, values: &[&str]) -> DataType {
    let rows: Vec<String> = values.iter().enumerate().map(|(n, v)| format!("({n}, {v})")).collect();
    let sql = format!("SELECT v::{sql_type} AS v FROM (VALUES {}) AS t(n, v) ORDER BY n", rows.join(", "));
    let found = query(&source(server, json!({})), &sql).await;
    // Arrow prints booleans and bytes in another way than psql.
    let expected = server.psql(&match sql_type {
        "boolean" => format!("SELECT v::text FROM ({sql}) AS q"),
        "bytea" => format!("SELECT encode(v, 'hex') FROM ({sql}) AS q"),
        _ => sql,
    });
    assert_eq!(shown(&found), expected, "{sql_type}");
    found.schema().field(0).data_type().clone()
}

#[tokio::test]
async fn scalars_are_what_psql_prints() {
    let Some(server) = PostgresServer::shared() else { return };
    let cases: &[(&str, DataType, &[&str])] = &[
        ("boolean", DataType::Boolean, &["true", "NULL", "false"]),
        ("smallint", DataType::Int16, &["-32768", "32767", "NULL"]),
        ("integer", DataType::Int32, &["-2147483648", "2147483647", "NULL"]),
        ("bigint", DataType::Int64, &["-9223372036854775808", "9223372036854775807", "NULL"]),
        ("oid", DataType::UInt32, &["0", "4294967295", "NULL"]),
        ("text", DataType::Utf8, &["'it''s'", "''", "NULL", "'🦀 表 é'", "'line\nbreak'"]),
        ("varchar(3)", DataType::Utf8, &["'abc'", "NULL"]),
        ("char(4)", DataType::Utf8, &["'ab  '", "'表'"]),
        ("name", DataType::Utf8, &["'pg_class'"]),
        ("json", DataType::Utf8, &["'{\"a\":  [1, null]}'", "NULL"]),
        ("jsonb", DataType::Utf8, &["'{\"b\": 1, \"a\": 2.50}'", "'null'", "NULL"]),
        ("bytea", DataType::Binary, &["'\\x00ff10'", "''", "NULL"]),
        ("date", DataType::Date32, &["'0001-01-01'", "'1999-12-31'", "'2000-01-01'", "'9999-12-31'", "NULL"]),
        ("time", DataType::Time64(TimeUnit::Microsecond), &["'00:00'", "'23:59:59.999999'", "NULL"]),
        (
            "timestamp",
            DataType::Timestamp(TimeUnit::Microsecond, None),
            &["'0001-01-01 00:00:00'", "'1999-12-31 23:59:59.999999'", "'9999-12-31 23:59:59.123'", "NULL"],
        ),
        (
            "timestamptz",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            &["'2024-03-31 01:59:59.123456+02'", "'1900-01-01 00:00+00'", "NULL"],
        ),
        ("inet", DataType::Utf8, &["'10.0.0.1/8'", "'10.0.0.1'", "'::1'", "'2001:db8::ff00:42:8329/64'", "NULL"]),
        ("cidr", DataType::Utf8, &["'10.0.0.0/8'", "'10.0.0.1/32'", "'2001:db8::/32'"]),
        ("macaddr", DataType::Utf8, &["'08:00:2b:01:02:03'"]),
        ("money", DataType::Utf8, &["'12.34'", "NULL"]),
        ("xml", DataType::Utf8, &["'<a b=\"c\">d</a>'"]),
        ("tsvector", DataType::Utf8, &["'a fat cat'"]),
        ("tsquery", DataType::Utf8, &["'fat & cat'"]),
        ("point", DataType::Utf8, &["'(1.5,-2)'"]),
        ("polygon", DataType::Utf8, &["'((0,0),(1,1),(1,0))'"]),
        ("bit(4)", DataType::Utf8, &["'1010'", "NULL"]),
        ("varbit", DataType::Utf8, &["'101'"]),
        ("timetz", DataType::Utf8, &["'12:00:00.5+02'"]),
        ("pg_lsn", DataType::Utf8, &["'16/B374D848'"]),
        ("\"char\"", DataType::Utf8, &["'x'"]),
        ("int4range", DataType::Utf8, &["'[1,5)'", "'empty'", "NULL"]),
        ("tstzrange", DataType::Utf8, &["'[2024-01-01,)'"]),
        ("int4multirange", DataType::Utf8, &["'{[1,3),[7,9)}'"]),
        ("jsonpath", DataType::Utf8, &["'$.a'"]),
        ("regclass", DataType::Utf8, &["'pg_class'"]),
    ];
    for (sql_type, expected, values) in cases {
        assert_eq!(compare(&server, sql_type, values).await, *expected, "{sql_type}");
    }
}

#[tokio::test]
async fn floats_keep_every_bit() {
    let Some(server) = PostgresServer::shared() else { return };
    let found = query(
        &source(&server, json!({})),
        "SELECT v::float8, v::float4 AS w FROM (VALUES (1, '0.1'), (2, 'NaN'), (3, '-Infinity'), (4, '1e-30'), (5, '-0')) AS t(n, v) ORDER BY n",
    )
    .await;
    let doubles: Vec<u64> =
        found.column(0).as_primitive::<Float64Type>().values().iter().map(|v| v.to_bits()).collect();
    assert_eq!(doubles, [0.1, f64::NAN, f64::NEG_INFINITY, 1e-30, -0.0].map(f64::to_bits));
    let singles: Vec<u32> =
        found.column(1).as_primitive::<Float32Type>().values().iter().map(|v| v.to_bits()).collect();
    assert_eq!(singles, [0.1, f32::NAN, f32::NEG_INFINITY, 1e-30, -0.0].map(f32::to_bits));
}

#[tokio::test]
async fn json_and_uuid_carry_their_extension() {
    let Some(server) = PostgresServer::shared() else { return };
    let sql = "SELECT 'a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11'::uuid AS u, '{}'::json AS j, '[]'::jsonb AS b, 't' AS t";
    let found = query(&source(&server, json!({})), sql).await;
    assert_eq!(
        found.column(0).as_fixed_size_binary().value(0),
        uuid::uuid!("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11").as_bytes()
    );
    let schema = found.schema();
    let extensions: Vec<Option<&str>> = schema.fields().iter().map(|f| f.extension_type_name()).collect();
    assert_eq!(extensions, [Some("arrow.uuid"), Some("arrow.json"), Some("arrow.json"), None]);
}

#[tokio::test]
async fn numerics_lose_nothing() {
    let Some(server) = PostgresServer::shared() else { return };
    let values = [
        "0",
        "0.01",
        "-0.01",
        "1",
        "10000",
        "9999.99",
        "-12345678.90",
        "123456789012345678901234567890123456.78",
        "NULL",
        "100000000",
        "0.10",
    ];
    for (sql_type, expected) in [
        ("numeric(38,2)", DataType::Decimal128(38, 2)),
        ("numeric(60,7)", DataType::Decimal256(60, 7)),
        ("numeric(76,38)", DataType::Decimal256(76, 38)),
    ] {
        assert_eq!(compare(&server, sql_type, &values).await, expected);
    }
    assert_eq!(compare(&server, "numeric(3,-2)", &["12345", "NULL"]).await, DataType::Decimal128(5, 0));
    assert_eq!(compare(&server, "numeric(2,5)", &["0.00012", "-0.00099"]).await, DataType::Decimal128(5, 5));
    assert_eq!(compare(&server, "numeric(100,2)", &["1.25"]).await, DataType::Utf8);

    // Without a precision the values decide.
    let sql = "SELECT v::numeric AS v FROM (VALUES ('1.5'), ('-1234567890.000000123'), (NULL), ('7')) AS t(v)";
    let found = query(&source(&server, json!({})), sql).await;
    assert_eq!(found.schema().field(0).data_type(), &DataType::Decimal128(38, 9));
    assert_eq!(found.column(0).as_primitive::<Decimal128Type>().value_as_string(1), "-1234567890.000000123");
    let sql = "SELECT 1.5::numeric / 3 AS third, (10::numeric ^ 40 + 0.5)::numeric AS big, (10::numeric ^ 90) AS huge, sum(i) AS sum FROM generate_series(1, 10) AS i";
    let found = query(&source(&server, json!({})), sql).await;
    let types: Vec<DataType> = found.schema().fields().iter().map(|f| f.data_type().clone()).collect();
    assert!(matches!(types[0], DataType::Decimal128(38, 17..)), "{types:?}");
    assert!(matches!(types[1], DataType::Decimal256(76, _)), "{types:?}");
    assert_eq!((&types[2], &types[3]), (&DataType::Utf8, &DataType::Int64));
    assert!(
        found
            .column(1)
            .as_primitive::<Decimal256Type>()
            .value_as_string(0)
            .starts_with("10000000000000000000000000000000000000000.5")
    );
    assert!(found.column(2).as_string::<i32>().value(0).starts_with("1000000"));

    // Or the connection does.
    let sql = "SELECT 12.5::numeric AS v";
    let fixed = query(&source(&server, json!({"numeric": "decimal(10, 4)"})), sql).await;
    assert_eq!(fixed.schema().field(0).data_type(), &DataType::Decimal128(10, 4));
    assert_eq!(shown(&fixed), "12.5000");
    assert_eq!(shown(&query(&source(&server, json!({"numeric": "text"})), sql).await), "12.5");
    for wrong in ["1234567.5", "0.00001"] {
        let error = read(
            &source(&server, json!({"numeric": "decimal(10, 4)"})),
            &Extract::query(format!("SELECT {wrong}::numeric AS v")),
            &context(),
        )
        .await;
        let error = error.expect_err("a number that does not fit");
        assert_eq!(error.kind(), ErrorKind::Data);
        assert_eq!(error.to_string(), format!("column \"v\", row 1: {wrong} does not fit decimal(10, 4)"));
    }
}

#[tokio::test]
async fn arrays_are_lists() {
    let Some(server) = PostgresServer::shared() else { return };
    let source = source(&server, json!({}));
    let sql = "SELECT ARRAY[1,NULL,3] AS i, '{}'::int[] AS e, NULL::int[] AS n, ARRAY['a','it''s',NULL,''] AS t, \
               ARRAY[1.50,2]::numeric(5,2)[] AS d, ARRAY['10.0.0.1'::inet] AS a, '[5:6]={7,8}'::int[] AS lower_bound, \
               ARRAY[true,false] AS b, ARRAY['2024-01-01'::date] AS dates, ARRAY['{\"a\": 1}'::jsonb] AS j, '1 2'::int2vector AS v, ARRAY[1.5]::numeric[] AS unbounded";
    let found = query(&source, sql).await;
    assert_eq!(
        shown(&found),
        "[1, ∅, 3]|[]|∅|[a, it's, ∅, ]|[1.50, 2.00]|[10.0.0.1]|[7, 8]|[true, false]|[2024-01-01]|[{\"a\": 1}]|[1, 2]|[1.5]"
    );
    let error = read(&source, &Extract::query("SELECT ARRAY[[1,2],[3,4]] AS grid"), &context())
        .await
        .expect_err("two dimensions");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "column \"grid\", row 1: an array of 2 dimensions was found, expected one");
    let text = crate::source(&server, json!({"arrays": "text"}));
    assert_eq!(shown(&query(&text, "SELECT ARRAY[[1,2],[3,4]] AS grid, ARRAY[1] AS one").await), "{{1,2},{3,4}}|{1}");
}

#[tokio::test]
async fn types_of_users_become_what_they_are_made_of() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql(
        "CREATE TYPE mood AS ENUM ('sad', 'it''s fine'); CREATE DOMAIN price AS numeric(8,2) CHECK (value >= 0); CREATE DOMAIN prices AS price[]; \
         CREATE TYPE spot AS (x int, \"the y\" text, at timestamptz); CREATE TYPE host AS (name text, place point); \
         CREATE TABLE made (m mood, ms mood[], p price, ps prices, s spot, ss spot[], h host, n spot); \
         INSERT INTO made VALUES ('it''s fine', '{sad,NULL}', 1.5, '{2,3.25}', (1, 'two', '2024-01-01 00:00+00'), \
           ARRAY[(3, NULL, NULL)::spot, NULL], ('a', '(1,2)'), NULL)",
    );
    let found = query(&source(&server, json!({})), "SELECT * FROM made").await;
    let types: Vec<DataType> = found.schema().fields().iter().map(|f| f.data_type().clone()).collect();
    assert_eq!(types[2], DataType::Decimal128(8, 2));
    assert!(matches!(&types[4], DataType::Struct(fields) if fields[1].name() == "the y"), "{types:?}");
    assert_eq!(
        shown(&found),
        "it's fine|[sad, ∅]|1.50|[2.00, 3.25]|{x: 1, the y: two, at: 2024-01-01 00:00:00+00}|[{x: 3, the y: ∅, at: ∅}, ∅]|(a,\"(1,2)\")|∅"
    );
    assert!(found.column(7).is_null(0));
}

#[tokio::test]
async fn intervals_are_native_or_text() {
    let Some(server) = PostgresServer::shared() else { return };
    let sql = "SELECT interval '1 year 2 months -3 days 04:05:06.789' AS i";
    let found = query(&source(&server, json!({})), sql).await;
    assert_eq!(found.schema().field(0).data_type(), &DataType::Interval(IntervalUnit::MonthDayNano));
    let value = found.column(0).as_primitive::<arrow::datatypes::IntervalMonthDayNanoType>().value(0);
    assert_eq!((value.months, value.days, value.nanoseconds), (14, -3, 14_706_789_000_000));
    assert_eq!(shown(&query(&source(&server, json!({"interval": "text"})), sql).await), "P1Y2M-3DT4H5M6.789S");
}

#[tokio::test]
async fn unknown_types_are_refused_or_text() {
    let Some(server) = PostgresServer::shared() else { return };
    server.psql("CREATE EXTENSION hstore; CREATE EXTENSION citext");
    let sql = "SELECT 'a=>1'::hstore AS h, 'Case'::citext AS c";
    let error = read(&source(&server, json!({})), &Extract::query(sql), &context()).await.expect_err("an unknown type");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "column \"h\" has type hstore, which Outport does not know");
    assert!(error.hint_text().is_some_and(|h| h.contains("unknown_types: text") && h.contains("\"h\"::text")));
    assert_eq!(shown(&query(&source(&server, json!({"unknown_types": "text"})), sql).await), "\"a\"=>\"1\"|Case");
}

#[tokio::test]
async fn what_is_out_of_range_goes_by_policy() {
    let Some(server) = PostgresServer::shared() else { return };
    let sql = "SELECT * FROM (VALUES (1, '2024-01-01'::timestamp, '2024-01-01'::date, 1.5::numeric(5,2), '12:00'::time), \
               (2, 'infinity', '-infinity', 'NaN', '24:00')) AS t(n, ts, d, p, t) ORDER BY n";
    let error = read(&source(&server, json!({})), &Extract::query(sql), &context()).await.expect_err("infinity");
    assert_eq!(error.kind(), ErrorKind::Data);
    assert_eq!(error.to_string(), "column \"ts\", row 2: infinity is outside the range of Timestamp(µs)");
    assert!(error.hint_text().is_some_and(|h| h.contains("out_of_range")));

    let policy = |name: &str| source(&server, json!({"out_of_range": name}));
    for (name, expected, code) in [
        ("clamp", "2|9999-12-31 23:59:59.999999|0001-01-01|∅|23:59:59.999999", "out_of_range_clamped"),
        ("null", "2|∅|∅|∅|∅", "out_of_range_null"),
    ] {
        let context = context();
        let found = read(&policy(name), &Extract::query(sql), &context).await.expect("rows");
        assert_eq!(shown(&found).lines().last(), Some(expected));
        let warnings = context.warnings.list();
        assert_eq!(warnings.len(), 4, "{warnings:?}");
        assert!(warnings.iter().all(|(w, n)| w.code == code && *n == 1), "{warnings:?}");
    }
    assert_eq!(shown(&query(&policy("text"), sql).await), server.psql(sql));

    // The last years of PostgreSQL's calendar are beyond Arrow's, those before the year 1 are not.
    let found = query(
        &policy("null"),
        "SELECT '294276-12-31'::timestamp AS a, '4713-01-01 BC'::timestamptz AS b, '5874897-12-31'::date AS c",
    )
    .await;
    assert!(found.column(0).is_null(0) && found.column(1).is_valid(0) && found.column(2).is_valid(0));
    let found = query(
        &policy("clamp"),
        "SELECT '294276-12-31'::timestamp AS a, '4713-01-01 BC'::timestamptz AS b, 'infinity'::numeric AS c",
    )
    .await;
    assert_eq!(
        shown(&found),
        "9999-12-31 23:59:59.999999|0001-01-01 00:00:00+00|99999999999999999999999999999999999999"
    );
}
