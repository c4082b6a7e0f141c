//! What the system catalog knows: types, tables and names.

use std::collections::{BTreeSet, HashMap};

use outport_core::engine::Dialect;
use outport_core::error::suggestion;
use outport_core::extract::Relation;
use outport_core::{Error, Result};

use super::error::ServerError;
use super::session::Session;

/// What `pg_type` says of a type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TypeInfo {
    /// Its name without the schema: `_int4`.
    pub(super) name: String,
    /// Its name as SQL writes it: `integer[]`.
    pub(super) sql_name: String,
    /// Whether it is part of PostgreSQL itself.
    pub(super) built_in: bool,
    /// What sort of type it is.
    pub(super) class: TypeClass,
    /// The function that writes its binary form.
    pub(super) send: String,
}

/// The sort of a type, with what it is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum TypeClass {
    Base,
    Array { element: u32 },
    Domain { base: u32, modifier: i32 },
    Composite { attributes: Vec<Attribute> },
    Enum,
    Range,
}

/// A field of a composite type.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Attribute {
    pub(super) name: String,
    pub(super) type_oid: u32,
    pub(super) modifier: i32,
}

/// The types with these oids and all that they are made of.
pub(super) fn types(session: &mut Session, oids: impl IntoIterator<Item = u32>) -> Result<HashMap<u32, TypeInfo>> {
    let mut known = HashMap::new();
    let mut wanted: BTreeSet<u32> = oids.into_iter().collect();
    while !wanted.is_empty() {
        let list = wanted.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let rows = session.rows(&format!(
            "SELECT t.oid, t.typname, format_type(t.oid, NULL), n.nspname = 'pg_catalog', t.typtype, \
                    CASE WHEN t.typcategory = 'A' AND t.typlen = -1 THEN t.typelem ELSE 0 END, \
                    t.typbasetype, t.typtypmod, t.typsend \
             FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE t.oid IN ({list})"
        ))?;
        let mut attributes = attributes(session, &list)?;
        let mut next = BTreeSet::new();
        for row in rows {
            let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
            let oid: u32 = text(0).parse().unwrap_or_default();
            let element: u32 = text(5).parse().unwrap_or_default();
            let class = match text(4).as_str() {
                "d" => TypeClass::Domain {
                    base: text(6).parse().unwrap_or_default(),
                    modifier: text(7).parse().unwrap_or(-1),
                },
                "c" => TypeClass::Composite { attributes: attributes.remove(&oid).unwrap_or_default() },
                "e" => TypeClass::Enum,
                "r" | "m" => TypeClass::Range,
                _ if element != 0 => TypeClass::Array { element },
                _ => TypeClass::Base,
            };
            match &class {
                TypeClass::Array { element } => next.extend([*element]),
                TypeClass::Domain { base, .. } => next.extend([*base]),
                TypeClass::Composite { attributes } => next.extend(attributes.iter().map(|a| a.type_oid)),
                TypeClass::Base | TypeClass::Enum | TypeClass::Range => {}
            }
            let built_in = text(3) == "t";
            known.insert(oid, TypeInfo { name: text(1), sql_name: text(2), built_in, class, send: text(8) });
        }
        next.retain(|oid| !known.contains_key(oid) && !wanted.contains(oid));
        wanted = next;
    }
    Ok(known)
}

fn attributes(session: &mut Session, type_oids: &str) -> Result<HashMap<u32, Vec<Attribute>>> {
    let rows = session.rows(&format!(
        "SELECT t.oid, a.attname, a.atttypid, a.atttypmod \
         FROM pg_catalog.pg_type t JOIN pg_catalog.pg_attribute a ON a.attrelid = t.typrelid \
         WHERE t.typtype = 'c' AND t.oid IN ({type_oids}) AND a.attnum > 0 AND NOT a.attisdropped ORDER BY t.oid, a.attnum"
    ))?;
    let mut all: HashMap<u32, Vec<Attribute>> = HashMap::new();
    for row in rows {
        let text = |at: usize| row.get(at).cloned().flatten().unwrap_or_default();
        all.entry(text(0).parse().unwrap_or_default()).or_default().push(Attribute {
            name: text(1),
            type_oid: text(2).parse().unwrap_or_default(),
            modifier: text(3).parse().unwrap_or(-1),
        });
    }
    Ok(all)
}

/// What decides how a table is best read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableFacts {
    /// Whether it is one heap: no view, no partitions, no children.
    pub(super) plain: bool,
    /// Whether `COPY table` gives what `COPY (SELECT …)` gives: no generated columns, no row security.
    pub(super) copies_whole: bool,
    /// Its pages; 0 for what is not a table.
    pub(super) pages: u64,
}

/// What decides how a table is best read; the default where it cannot be told.
pub(super) fn table_facts(session: &mut Session, relation: &Relation) -> Result<TableFacts> {
    let name = Dialect::Postgres.text(&relation.to_sql(Dialect::Postgres));
    let rows = session.rows(&format!(
        "SELECT c.relkind = 'r' AND NOT c.relhassubclass AND m.amname = 'heap', \
                NOT c.relrowsecurity AND NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
                AND NOT a.attisdropped AND a.attgenerated <> ''), \
                CASE WHEN c.relkind = 'r' THEN pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int8 ELSE 0 END \
         FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_am m ON m.oid = c.relam WHERE c.oid = pg_catalog.to_regclass({name})"
    ))?;
    let Some(row) = rows.into_iter().next() else { return Ok(TableFacts::default()) };
    let is = |at: usize| row.get(at).and_then(Option::as_deref) == Some("t");
    let pages = row.get(2).and_then(Option::as_deref).and_then(|n| n.parse().ok()).unwrap_or(0);
    Ok(TableFacts { plain: is(0), copies_whole: is(1), pages })
}

/// A relation that can be read: schema, name, and whether the search path finds it without the schema.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) schema: String,
    pub(super) name: String,
    pub(super) visible: bool,
}

/// The tables and views that the role may read.
pub(super) fn relations(session: &mut Session) -> Result<Vec<Listed>> {
    let rows = session.rows(
        "SELECT n.nspname, c.relname, pg_catalog.pg_table_is_visible(c.oid) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         AND pg_catalog.has_schema_privilege(n.oid, 'USAGE') AND pg_catalog.has_any_column_privilege(c.oid, 'SELECT')",
    )?;
    Ok(rows
        .into_iter()
        .map(|row| {
            let mut row = row.into_iter().map(Option::unwrap_or_default);
            let mut next = || row.next().unwrap_or_default();
            Listed { schema: next(), name: next(), visible: next() == "t" }
        })
        .collect())
}

/// Adds the nearest table or column to an error that says that one does not exist.
pub(super) fn suggest(session: &mut Session, server: ServerError, relation: &Relation, sql: &str) -> Error {
    let missing = server.missing_name();
    // The catalog cannot be asked in a transaction that has failed.
    let _ = session.execute("ROLLBACK");
    let is_table = server.code == "42P01";
    let error = server.into_error(sql);
    let Some(missing) = missing else { return error };
    let bare = missing.rsplit('.').next().unwrap_or(&missing).trim_matches('"');
    let hint = if is_table {
        relations(session).map(|listed| {
            let schema = match relation {
                Relation::Table { schema, .. } => schema.as_deref(),
                Relation::Query(_) => missing.split_once('.').map(|(schema, _)| schema),
            };
            let near = listed.iter().filter(|l| schema.map_or(l.visible, |s| l.schema == s)).map(|l| l.name.as_str());
            suggestion(bare, near)
        })
    } else {
        let all = format!("SELECT * FROM {}", relation.to_sql(Dialect::Postgres));
        session
            .describe(&all)
            .map(|columns| suggestion(bare, columns.iter().map(|c| c.name.as_str())))
            .map_err(|failure| failure.into_error(&all))
    };
    // The error at hand matters more than one about its hint.
    match hint {
        Ok(hint) => error.hint(hint),
        Err(_) => error,
    }
}
