//! `outport plan`: what a run would do.

use outport_core::context::{Context, Warning};
use outport_core::manifest::TypeLoss;
use outport_core::plan::{Moment, Plan, PlanOptions, check_collisions};
use outport_core::{Error, Result};
use outport_runtime::prepare::prepare;
use uuid::Uuid;

use super::App;
use crate::args::{self, Output};
use crate::printer::{Printer, thousands};

/// The end of `--detailed-exitcode` where there is something to export.
const CHANGES: u8 = 6;

/// How plans are made.
pub fn options(timing: &args::Timing) -> PlanOptions {
    PlanOptions { accept_change: timing.accept_change, limit: timing.limit }
}

/// Plans the selected exports and prints what it found; those that cannot be planned are errors, all of them.
pub async fn run(args: &args::Plan, app: &App) -> Result<u8> {
    // A wrong date or zone is one mistake, not one of each export.
    Moment::new(args.timing.run_date.as_deref(), &args.timing.timezone, jiff::Timestamp::now(), Uuid::nil())?;
    let (project, systems, exports) = app.selected_with(&args.selection, &args.vars).await?;
    let state = project.open_state().await?;
    let mut plans = Vec::new();
    let mut errors: Vec<Error> = Vec::new();
    for export in exports.iter().filter(|export| export.active) {
        let mut context = Context::new(Uuid::new_v4());
        context.cancel = app.cancel.clone();
        let timezone = export.timezone.as_deref().unwrap_or(&args.timing.timezone);
        let planned = async {
            app.cancel.check()?;
            let moment =
                Moment::new(args.timing.run_date.as_deref(), timezone, jiff::Timestamp::now(), context.run_id)?;
            let last = state.last(&export.key).await?;
            prepare(export, &last, &moment, options(&args.timing), &systems, &context).await
        };
        match planned.await {
            Ok(prepared) => plans.push(prepared.plan),
            Err(error) => errors.push(error.context(format!("export {}", export.key))),
        }
    }
    if let Err(error) = check_collisions(&plans) {
        errors.push(error);
    }
    print(&plans, &app.printer)?;
    if !errors.is_empty() {
        let summary = format!("{} exports cannot run as they stand", errors.len());
        return Err(Error::many(errors, summary));
    }
    let changes = plans.iter().any(|plan| !plan.nothing_new);
    Ok(if args.detailed_exitcode && changes { CHANGES } else { 0 })
}

fn print(plans: &[Plan], printer: &Printer) -> Result<()> {
    if printer.output() == Output::Json {
        return printer.json(&plans);
    }
    let style = printer.style();
    for plan in plans {
        printer.line(&format!("{}  {}", style.bold(&plan.export.to_string()), style.dim(plan.extract_type)))?;
        let field = |name: &str, value: &str| printer.line(&format!("  {} {value}", style.dim(&format!("{name:<10}"))));
        field("from", &plan.source)?;
        for (index, line) in plan.sql.lines().enumerate() {
            field(if index == 0 { "sql" } else { "" }, line)?;
        }
        for (index, path) in plan.paths.iter().enumerate() {
            let note = match index {
                0 if plan.paths.len() > 1 => "  (if all rows fit in one file)",
                1 => "  (otherwise)",
                _ => "",
            };
            field(if index == 0 { "to" } else { "" }, &format!("{}: {path}{}", plan.target, style.dim(note)))?;
        }
        if let Some(trigger) = &plan.layout.trigger_name {
            field("trigger", &plan.layout.path(trigger))?;
        }
        let bounds = &plan.bounds;
        if let Some(new) = &bounds.watermark_new {
            let old = bounds.watermark_old.as_deref().unwrap_or("the beginning");
            let what = if plan.nothing_new {
                format!("{old}, nothing new")
            } else {
                format!("{old} < {} <= {new}", bounds.column.as_deref().unwrap_or_default())
            };
            field("watermark", &what)?;
        }
        if let (Some(start), Some(end)) = (&bounds.period_start, &bounds.period_end) {
            field("period", &format!("{start} to {end}"))?;
        }
        if let Some(rows) = plan.estimated_rows {
            field("rows", &format!("~{}", thousands(rows)))?;
        }
        for (index, (loss, columns)) in by_loss(&plan.type_losses).iter().enumerate() {
            field(if index == 0 { "changes" } else { "" }, &format!("{}: {loss}", columns.join(", ")))?;
        }
        for (index, change) in plan.schema_changes.iter().enumerate() {
            field(if index == 0 { "schema" } else { "" }, &change.to_string())?;
        }
        for (name, value) in &plan.vars {
            field("var", &format!("{name} = {value}"))?;
        }
        for warning in &plan.warnings {
            field("warning", &style.yellow(&warning_text(warning)))?;
        }
        for note in &plan.notes {
            field("note", &style.yellow(note))?;
        }
        printer.line("")?;
    }
    Ok(())
}

fn warning_text(warning: &Warning) -> String {
    match &warning.column {
        Some(column) => format!("column \"{column}\": {}", warning.message),
        None => warning.message.clone(),
    }
}

/// The columns that have a loss in common, in the order in which the losses first occur.
fn by_loss(losses: &[TypeLoss]) -> Vec<(&str, Vec<&str>)> {
    let mut grouped: Vec<(&str, Vec<&str>)> = Vec::new();
    for loss in losses {
        match grouped.iter_mut().find(|(text, _)| *text == loss.loss) {
            Some((_, columns)) => columns.push(&loss.column),
            None => grouped.push((&loss.loss, vec![&loss.column])),
        }
    }
    grouped
}
