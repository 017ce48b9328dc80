//! Where Rust ends: no panic goes further, and every failure leaves its message.

use super::message;
use super::types::weft_status;
use crate::error::{Failure, Result, Status};
use crate::panics;

/// The body of every function that returns a status.
pub fn boundary(body: impl FnOnce() -> Result<()>) -> weft_status {
    match contained(body) {
        Ok(()) => Status::Ok as weft_status,
        Err(failure) => failure.status,
    }
}

/// The body of every function that returns something else: `neutral` stands for a failure.
pub fn boundary_value<R>(neutral: R, body: impl FnOnce() -> Result<R>) -> R {
    contained(body).unwrap_or(neutral)
}

fn contained<R>(body: impl FnOnce() -> Result<R>) -> Result<R> {
    let result = panics::catch(&"a function of Weft", body)
        .unwrap_or_else(|panic| Err(Failure::with(Status::Panic, format!("a defect in Weft: {panic}"))));
    if let Err(failure) = &result {
        message::set(&failure.message);
    }
    result
}

/// Calls a callback that returns a status. Its message is the one it left on this thread, if it left one.
pub fn call_back(callback: impl FnOnce() -> weft_status) -> Result<()> {
    let stamp = message::stamp();
    let status = callback();
    if status == Status::Ok as weft_status {
        return Ok(());
    }
    let message = message::since(stamp).unwrap_or_else(|| match Status::from_number(status) {
        Some(status) => status.name().to_string_lossy().into_owned(),
        None => format!("the callback returned {status}"),
    });
    Err(Failure { status, message: message.into() })
}
