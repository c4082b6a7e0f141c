//! Names in SQL: exact in quotes, and without quotes whatever their case, as users of Spark and SQL Server write them.
//!
//! DataFusion either folds unquoted names to lower case, which loses `ModifiedDate`, or takes them literally, which loses
//! `modifieddate`. It runs here in the literal mode, and unquoted names that match no column, alias or table of the query
//! exactly are replaced by the one name that they match without regard to case. Where several match, the name stays as it is
//! and the engine reports it.

use std::collections::BTreeSet;
use std::ops::ControlFlow;

use arrow::datatypes::{DataType, Fields, SchemaRef};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, ObjectNamePart, Query, SelectItem, SelectItemQualifiedWildcardKind, SetExpr, Statement, TableFactor,
    Visit, VisitMut, Visitor, VisitorMut,
};

/// Gives the unquoted names of `statement` the spelling of the tables' columns, of aliases and of relations.
pub(crate) fn resolve(statement: &mut Statement, schemas: &[SchemaRef]) {
    let mut known = Known::default();
    for schema in schemas {
        known.columns(schema.fields());
    }
    let _ = Visit::visit(statement, &mut known);
    let _ = VisitMut::visit(statement, &mut Rewrite(&known));
}

/// Every name that an unquoted one can mean.
#[derive(Default)]
struct Known {
    /// Columns, aliases and relations.
    names: BTreeSet<String>,
    /// Fields of structs, which stand only behind another name.
    fields: BTreeSet<String>,
}

impl Known {
    fn columns(&mut self, fields: &Fields) {
        for field in fields {
            self.names.insert(field.name().clone());
            self.nested(field.data_type());
        }
    }

    fn nested(&mut self, data_type: &DataType) {
        match data_type {
            DataType::Struct(fields) => {
                for field in fields {
                    self.fields.insert(field.name().clone());
                    self.nested(field.data_type());
                }
            }
            DataType::List(field)
            | DataType::LargeList(field)
            | DataType::FixedSizeList(field, _)
            | DataType::Map(field, _) => {
                self.nested(field.data_type());
            }
            _ => {}
        }
    }

    fn aliases(&mut self, body: &SetExpr) {
        match body {
            SetExpr::Select(select) => {
                for item in &select.projection {
                    if let SelectItem::ExprWithAlias { alias, .. } = item {
                        self.names.insert(alias.value.clone());
                    }
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.aliases(left);
                self.aliases(right);
            }
            // A query in parentheses is visited on its own; the rest names nothing.
            _ => {}
        }
    }

    fn correct(&self, ident: &mut Ident, behind: bool) {
        if ident.quote_style.is_some() || self.names.contains(&ident.value) {
            return;
        }
        if behind && self.fields.contains(&ident.value) {
            return;
        }
        let fields = if behind { Some(&self.fields) } else { None };
        let candidates: BTreeSet<&String> = self
            .names
            .iter()
            .chain(fields.into_iter().flatten())
            .filter(|n| n.eq_ignore_ascii_case(&ident.value))
            .collect();
        if let (1, Some(name)) = (candidates.len(), candidates.first()) {
            ident.value = (*name).clone();
        }
    }
}

impl Visitor for Known {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        for cte in query.with.iter().flat_map(|with| &with.cte_tables) {
            self.names.insert(cte.alias.name.value.clone());
            self.names.extend(cte.alias.columns.iter().map(|column| column.name.value.clone()));
        }
        self.aliases(&query.body);
        ControlFlow::Continue(())
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<()> {
        let alias = match factor {
            TableFactor::Table { name, alias, .. } => {
                if let Some(ObjectNamePart::Identifier(ident)) = name.0.last() {
                    self.names.insert(ident.value.clone());
                }
                alias
            }
            TableFactor::Derived { alias, .. } | TableFactor::NestedJoin { alias, .. } => alias,
            _ => &None,
        };
        if let Some(alias) = alias {
            self.names.insert(alias.name.value.clone());
            self.names.extend(alias.columns.iter().map(|column| column.name.value.clone()));
        }
        ControlFlow::Continue(())
    }
}

struct Rewrite<'a>(&'a Known);

impl VisitorMut for Rewrite<'_> {
    type Break = ();

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<()> {
        match expr {
            Expr::Identifier(ident) => self.0.correct(ident, false),
            Expr::CompoundIdentifier(idents) => {
                for (at, ident) in idents.iter_mut().enumerate() {
                    self.0.correct(ident, at > 0);
                }
            }
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &mut Query) -> ControlFlow<()> {
        self.wildcards(&mut query.body);
        ControlFlow::Continue(())
    }
}

impl Rewrite<'_> {
    /// `O.*` where the relation is called `o`.
    fn wildcards(&self, body: &mut SetExpr) {
        match body {
            SetExpr::Select(select) => {
                for item in &mut select.projection {
                    if let SelectItem::QualifiedWildcard(SelectItemQualifiedWildcardKind::ObjectName(name), _) = item {
                        for part in &mut name.0 {
                            if let ObjectNamePart::Identifier(ident) = part {
                                self.0.correct(ident, false);
                            }
                        }
                    }
                }
            }
            SetExpr::SetOperation { left, right, .. } => {
                self.wildcards(left);
                self.wildcards(right);
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests;
