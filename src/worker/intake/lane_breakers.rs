use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::AbortOnDropHandle;

use super::circuit_breaker::CircuitBreaker;
use crate::job::Lane;
use crate::steps::Services;

/// How soon a worker follows `offboarder surge lift`. It asks only while a lane is stopped.
const READ_EVERY: Duration = Duration::from_secs(2);

/// A circuit breaker for each lane, which opens when this release fails for one user after the other in that lane.
pub(crate) struct LaneBreakers {
    access: Arc<CircuitBreaker>,
    archive: Arc<CircuitBreaker>,
}

impl Default for LaneBreakers {
    fn default() -> Self {
        let of = |lane| Arc::new(CircuitBreaker::of_lane(lane));
        Self {
            access: of(Lane::Access),
            archive: of(Lane::Archive),
        }
    }
}

impl LaneBreakers {
    pub(crate) const fn of(&self, lane: Lane) -> &Arc<CircuitBreaker> {
        match lane {
            Lane::Access | Lane::Whole => &self.access,
            Lane::Archive => &self.archive,
        }
    }

    fn both(&self) -> [&Arc<CircuitBreaker>; 2] {
        [&self.access, &self.archive]
    }

    /// Why each stopped lane takes no users.
    pub(crate) fn causes(&self) -> impl Iterator<Item = String> {
        self.both()
            .into_iter()
            .filter_map(|breaker| breaker.cause())
    }

    /// Lets one user through each minute, and follows an operator who lifts the surge, as long as the handles live.
    pub(crate) fn probe(self: &Arc<Self>, services: &Arc<Services>) -> Vec<AbortOnDropHandle<()>> {
        let probing = self
            .both()
            .map(|breaker| breaker.probe(Arc::clone(services)));
        let lifting = self.follow_lifts(Arc::clone(services));
        probing.into_iter().chain([lifting]).collect()
    }

    fn follow_lifts(self: &Arc<Self>, services: Arc<Services>) -> AbortOnDropHandle<()> {
        let lanes = Arc::clone(self);
        AbortOnDropHandle::new(tokio::spawn(async move {
            loop {
                tokio::select! {
                    () = lanes.access.not_closed() => {}
                    () = lanes.archive.not_closed() => {}
                }
                tokio::time::sleep(READ_EVERY).await;
                lanes.follow_lift(&services).await;
            }
        }))
    }

    async fn follow_lift(&self, services: &Services) {
        let Some(surges) = &services.surges else {
            return;
        };
        match surges.was_lifted().await {
            Ok(true) => {
                for breaker in self.both() {
                    breaker.lift();
                }
            }
            Ok(false) => {}
            Err(failure) => {
                tracing::debug!(%failure, "whether the surge is lifted cannot be read");
            }
        }
    }
}
