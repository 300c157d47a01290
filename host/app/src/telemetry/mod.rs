//! What the process says of itself: log lines and metrics.

mod controller;
mod decision;
mod logs;
mod metrics;
mod writer;

pub use controller::{CONTROLLER_METRICS, exposition as controller_exposition};
pub use decision::log_decision;
pub use logs::{Logs, for_commands, start};
pub use metrics::{ConnectionResult, METRICS, Metrics, Reload, RequestResult};
