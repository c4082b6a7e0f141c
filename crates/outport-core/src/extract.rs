//! What to read.

use crate::engine::Dialect;
use crate::value::Value;
use crate::version::Changes;

/// What an extract reads from.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Relation {
    /// A table, view, file or folder by name.
    Table {
        /// The schema, where the system has schemas and one is named.
        schema: Option<String>,
        /// The name as the system knows it.
        name: String,
    },
    /// A query in the system's own SQL.
    Query(String),
}

impl Relation {
    /// A table of the default schema.
    pub fn table(name: impl Into<String>) -> Self {
        Self::Table { schema: None, name: name.into() }
    }

    /// What stands behind FROM.
    pub fn to_sql(&self, dialect: Dialect) -> String {
        match self {
            Self::Table { schema: Some(schema), name } => format!("{}.{}", dialect.ident(schema), dialect.ident(name)),
            Self::Table { schema: None, name } => dialect.ident(name),
            Self::Query(sql) => format!("({}\n) AS \"extract\"", trim_query(sql)),
        }
    }
}

/// A query without the semicolon and the white space behind it, so that it can stand in parentheses.
pub fn trim_query(sql: &str) -> &str {
    sql.trim_end_matches(|c: char| c.is_whitespace() || c == ';')
}

/// One end of a [`Range`].
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Bound {
    /// The value at the end.
    pub value: Value,
    /// Whether rows with exactly this value belong to the range.
    pub inclusive: bool,
}

/// Rows whose `column` lies between two bounds.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Range {
    /// The column that is compared.
    pub column: String,
    /// The lower end; open where there is none.
    pub lower: Option<Bound>,
    /// The upper end; open where there is none.
    pub upper: Option<Bound>,
    /// Whether rows whose column is NULL belong to it.
    pub nulls: bool,
}

impl Range {
    /// The predicate that selects the rows.
    pub fn to_sql(&self, dialect: Dialect) -> String {
        let column = dialect.ident(&self.column);
        let mut ends = Vec::new();
        if let Some(Bound { value, inclusive }) = &self.lower {
            ends.push(format!("{column} {} {}", if *inclusive { ">=" } else { ">" }, value.to_sql(dialect)));
        }
        if let Some(Bound { value, inclusive }) = &self.upper {
            ends.push(format!("{column} {} {}", if *inclusive { "<=" } else { "<" }, value.to_sql(dialect)));
        }
        match (ends.is_empty(), self.nulls) {
            (true, true) => "TRUE".to_owned(),
            (true, false) => format!("{column} IS NOT NULL"),
            (false, true) => format!("({column} IS NULL OR ({}))", ends.join(" AND ")),
            (false, false) => ends.join(" AND "),
        }
    }
}

/// What to read: a relation, its columns, and the rows of it.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Extract {
    /// What is read.
    pub relation: Relation,
    /// The versions of the table whose rows are read, where it is not the table as it stands.
    pub changes: Option<Changes>,
    /// The columns in the order wanted; all of them where there is no list.
    pub columns: Option<Vec<String>>,
    /// A predicate in the system's SQL.
    pub filter: Option<String>,
    /// The window of an incremental or period extract.
    pub range: Option<Range>,
    /// At most so many rows.
    pub limit: Option<u64>,
}

impl Extract {
    /// All of a table of the default schema.
    pub fn table(name: impl Into<String>) -> Self {
        Self::of(Relation::table(name))
    }

    /// All rows of a query.
    pub fn query(sql: impl Into<String>) -> Self {
        Self::of(Relation::Query(sql.into()))
    }

    /// All of a relation.
    pub fn of(relation: Relation) -> Self {
        Self { relation, changes: None, columns: None, filter: None, range: None, limit: None }
    }

    /// Whether the extract is its relation as it stands: every row, every column.
    pub fn is_whole(&self) -> bool {
        self.changes.is_none()
            && self.columns.is_none()
            && self.filter.is_none()
            && self.range.is_none()
            && self.limit.is_none()
    }

    /// The SELECT that reads this extract. A query with nothing around it stays exactly as its author wrote it.
    pub fn to_sql(&self, dialect: Dialect) -> String {
        if let (Relation::Query(sql), true) = (&self.relation, self.is_whole()) {
            return trim_query(sql).to_owned();
        }
        self.select(dialect, &self.from(dialect))
    }

    /// What stands behind FROM; for versions of a table as Spark writes them.
    fn from(&self, dialect: Dialect) -> String {
        let table = self.relation.to_sql(dialect);
        match &self.changes {
            None => table,
            Some(Changes { after: None, to, .. }) => format!("{table} VERSION AS OF {}", to.number),
            Some(Changes { after: Some(after), to, .. }) => {
                let (first, last) = (after.number.saturating_add(1), to.number);
                format!("table_changes({}, {first}, {last})", dialect.text(&table.replace('"', "")))
            }
        }
    }

    /// The SELECT that reads the columns and rows of this extract from something else that has them.
    pub fn select(&self, dialect: Dialect, from: &str) -> String {
        let columns = match &self.columns {
            None => "*".to_owned(),
            Some(columns) => columns.iter().map(|c| dialect.ident(c)).collect::<Vec<_>>().join(", "),
        };
        let mut sql = format!("SELECT {columns} FROM {from}");
        let predicates: Vec<String> =
            [self.filter.as_ref().map(|f| format!("({f}\n)")), self.range.as_ref().map(|r| r.to_sql(dialect))]
                .into_iter()
                .flatten()
                .collect();
        if !predicates.is_empty() {
            sql.push_str(" WHERE ");
            sql.push_str(&predicates.join(" AND "));
        }
        if let Some(limit) = self.limit {
            sql.push_str(&format!(" LIMIT {limit}"));
        }
        sql
    }
}
