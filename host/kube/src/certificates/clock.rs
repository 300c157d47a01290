//! The time by the API server's clock: it is the API servers who judge whether a
//! certificate counts, so a controller whose own clock is wrong makes good ones.
//!
//! Between two looks the time runs by the machine's monotonic clock, which
//! nobody sets.

use std::time::{Duration, Instant};

use k8s_openapi::jiff::Timestamp;
use k8s_openapi::jiff::fmt::rfc2822;
use kube::Client;
use kube::client::Body;
use kube::core::Request;
use kube::core::params::GetParams;

/// Between two looks; oscillators drift by less than a second a day.
const LOOK: Duration = Duration::from_secs(300);
/// A difference worth a line in the log.
const SKEW: i64 = 60;

/// The API server's time.
#[derive(Debug, Default)]
pub(super) struct Clock {
    looked: Option<(i64, Instant)>,
    told: bool,
}

impl Clock {
    /// Seconds since the epoch.
    ///
    /// # Errors
    /// The API server doesn't answer.
    pub(super) async fn now(&mut self, client: &Client) -> kube::Result<i64> {
        if self.looked.is_none_or(|(_, at)| at.elapsed() > LOOK) {
            let own = Timestamp::now().as_second();
            let time = match server_time(client).await? {
                Some(time) => time,
                // A proxy that takes the header out: its own clock is all there is.
                None => own,
            };
            if (time - own).abs() > SKEW && !self.told {
                let seconds = own - time;
                tracing::warn!(
                    seconds,
                    "this machine's clock differs from the API server's; certificates follow that one"
                );
            }
            self.told = (time - own).abs() > SKEW;
            self.looked = Some((time, Instant::now()));
        }
        let (time, at) = self.looked.unwrap_or((0, Instant::now()));
        Ok(time.saturating_add(i64::try_from(at.elapsed().as_secs()).unwrap_or(i64::MAX)))
    }
}

/// The `Date` of an answer (RFC 9110, section 6.6.1).
async fn server_time(client: &Client) -> kube::Result<Option<i64>> {
    let request = Request::new("").get("version", &GetParams::default()).map_err(kube::Error::BuildRequest)?;
    let answer = client.send(request.map(Body::from)).await?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok());
    Ok(date.and_then(|date| rfc2822::parse(date).ok()).map(|date| date.timestamp().as_second()))
}
