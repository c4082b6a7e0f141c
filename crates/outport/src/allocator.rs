//! The allocator, and how long it keeps what is free.
//!
//! The one place with `unsafe` in it: options of mimalloc can only be set through its C interface.
#![allow(unsafe_code, reason = "mimalloc has no safe way to set an option")]

/// Batches are allocated and freed on different threads all the time, which the system's allocator pays for.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// `mi_option_purge_delay` of mimalloc's `mi_option_e`.
const PURGE_DELAY: i32 = 15;
/// Milliseconds. The usual second keeps a quarter of the peak for nothing; at 50 every tenth of the time goes into page faults.
const DELAY: std::ffi::c_long = 120;

/// Has free memory given back soon. To be called before there is a second thread.
pub fn give_back_early() {
    // SAFETY: the option exists in every version of the interface that is linked, takes any number, and no other thread runs yet.
    unsafe { libmimalloc_sys::mi_option_set(PURGE_DELAY, DELAY) }
}
