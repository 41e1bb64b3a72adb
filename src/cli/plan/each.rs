//! Plans user by user.

use std::sync::Arc;

use futures_util::stream::{self, StreamExt as _};

use crate::cli::bar::bar;
use crate::cli::compose;
use crate::cli::exit::CliError;
use crate::cli::output::unless_closed;
use crate::config::TenantSettings;
use crate::failure::Failure;
use crate::guards::End;
use crate::guards::approval::PlannedUser;
use crate::job::{Action, Job, Request};
use crate::operations::plan::{Plan, plan};
use crate::operations::plans::planned;
use crate::steps::Services;

/// Plans user by user, in the order of the input, until the end or the first failure. The caller decides what is kept, so
/// that memory use does not grow with the input.
pub(super) async fn plan_all(
    pages: u64,
    settings: &TenantSettings,
    services: &Arc<Services>,
    jobs: impl Iterator<Item = Result<Job, CliError>>,
    keep: bool,
    mut made: impl FnMut(&Plan, Option<PlannedUser>) -> std::io::Result<()>,
) -> Result<Option<Failure>, CliError> {
    let plans = jobs.map(|job| {
        let services = Arc::clone(services);
        async move {
            let job = job?;
            Ok::<_, CliError>(kept(&services, &job, pages, keep).await)
        }
    });
    let plans = stream::iter(plans).buffered(settings.base.worker.concurrency.max(1));
    let mut plans = std::pin::pin!(plans);
    while let Some(plan) = plans.next().await {
        match plan? {
            Ok((plan, kept)) => unless_closed(made(&plan, kept))?,
            Err(failure) => return Ok(Some(failure)),
        }
    }
    Ok(None)
}

/// A plan, and what a stored plan keeps of it.
async fn kept(
    services: &Services,
    job: &Job,
    pages: u64,
    keep: bool,
) -> Result<(Plan, Option<PlannedUser>), Failure> {
    let plan = plan(services, job, pages).await?;
    let kept = if keep {
        Some(planned(services, &plan).await?)
    } else {
        None
    };
    Ok((plan, kept))
}

/// What is so now of these users.
pub(super) async fn plan_again(
    settings: &TenantSettings,
    before: &[PlannedUser],
) -> Result<Vec<PlannedUser>, CliError> {
    let services =
        Arc::new(compose::unproven_services(&settings.base, &settings.cxone, "plan").await?);
    let bar = bar(before.len() as u64, "users");
    let mut found = Vec::new();
    // One that was to be deactivated only is asked for so again.
    let jobs = before.iter().map(|user| {
        let action = match user.end {
            End::DeactivateOnly => Action::Deactivate,
            End::Delete | End::Held | End::Protected | End::Done | End::NotFound => Action::Delete,
        };
        let request = Request {
            action,
            ..Request::default()
        };
        Ok(Job::named(user.user_id, request))
    });
    let failure = plan_all(1, settings, &services, jobs, true, |_plan, kept| {
        found.extend(kept);
        bar.inc(1);
        Ok(())
    })
    .await?;
    bar.finish_and_clear();
    match failure {
        Some(failure) => Err(failure.into()),
        None => Ok(found),
    }
}
