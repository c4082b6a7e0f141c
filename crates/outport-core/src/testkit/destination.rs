//! What every destination must do.
