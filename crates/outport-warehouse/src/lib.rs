//! SQL models that build a warehouse, export themselves, and are published.
//!
//! A project is a folder of SELECTs in layers, with a `schema.yml` beside them. [`build`] runs them in the order of their
//! references and writes the exports; [`catalog`] says what was written; [`publish`] brings it to where anyone can query it.
//! SQL goes through [`outport_core::engine::Engine`] alone, files through [`outport_core::destination::Destination`].

pub mod assertions;
pub mod build;
pub mod catalog;
pub mod config;
pub mod graph;
pub mod lineage;
pub mod model;
pub mod plan;
pub mod publish;
pub mod references;
pub mod remote;
pub mod site;
pub mod sql;
pub mod state;
pub mod template;

pub use config::{Deployment, Settings};
pub use model::{Export, Materialization, Model, Project};
