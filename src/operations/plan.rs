//! What a worker would do for a user. It makes the same reads and asks the same guards, and writes nothing.

use jiff::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use crate::failure::{Code, Failure};
pub(crate) use crate::guards::End;
use crate::guards::Verdict;
use crate::job::{Action, Job, UserId};
use crate::limits::DeletePolicy;
use crate::machine::{ArchiveInProgress, Cursor, Event, Pause, Residual, State, StateName};
use crate::ports::{CallCounts, Each, StepCalls, UNKNOWN_ROUTING};
use crate::steps::{Interrupt, Services, Stopped, begin_archive, look_back, on_deletion, page};

/// What would be done to one user
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Plan {
    pub user_id: UserId,
    /// How far an off-boarding got, as the checkpoint or the archive store says; `None` if there was none.
    pub state: Option<StateName>,
    /// SCIM `active`; `None` when the API does not know the user.
    pub active: Option<bool>,
    /// The revision that a request made now would be.
    #[serde(skip)]
    pub incarnation: u32,
    /// What routes work to the user: queues, skills, groups.
    pub queues: Vec<String>,
    /// How the off-boarding would end.
    pub end: End,
    /// Why a guard stops or delays the deletion, for people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guard: Option<String>,
    /// The deletion waits until this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = DateTime)]
    pub delete_not_before: Option<Timestamp>,
    /// How much there is to archive.
    pub conversations: Conversations,
    /// The approximate number of calls that are left.
    pub calls: CallCounts,
}

/// How much an archive would hold
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conversations {
    pub count: u64,
    pub pages: u64,
    /// There are more than were counted.
    pub at_least: bool,
}

/// Counts at most `max_pages` pages of conversations.
pub(crate) async fn plan(services: &Services, job: &Job, max_pages: u64) -> Result<Plan, Failure> {
    Box::pin(make(services, job, max_pages))
        .await
        .map_err(|stopped| match stopped {
            Stopped::Failed(failure) | Stopped::Interrupted(Interrupt::Systemic(failure)) => {
                failure
            }
            // A plan has no lease and no time slice.
            Stopped::Interrupted(interrupt) => {
                Failure::internal("a plan was interrupted", interrupt)
            }
        })
}

async fn make(services: &Services, job: &Job, max_pages: u64) -> Result<Plan, Stopped> {
    let user_id = job.user_id;
    let known = known(services, job).await?;
    let account = services.tenant.peek_account(user_id).await?;
    let active = account.as_ref().and_then(|account| account.active);
    let exists = account.is_some() || services.tenant.user_exists(user_id).await?.value;

    let mut plan = Plan {
        user_id,
        state: known.as_ref().map(|known| known.state.name()),
        active,
        incarnation: known.as_ref().map_or(1, |known| known.incarnation(active)),
        queues: Vec::new(),
        end: End::Done,
        guard: None,
        delete_not_before: None,
        conversations: Conversations::default(),
        calls: CallCounts::default(),
    };

    // A user who returned is off-boarded again.
    let known = known
        .map(|known| known.state)
        .filter(|state| !(state.is_finished() && active == Some(true)));
    if !exists && matches!(known, None | Some(State::Received)) {
        plan.end = End::NotFound;
        return Ok(plan);
    }

    let deletes_only = matches!(known, Some(State::DeactivatedOnly { .. }))
        && job.request.action_named
        && job.request.action == Action::Delete;
    if known.as_ref().is_some_and(State::is_finished) && !deletes_only {
        return Ok(plan);
    }

    ask_guards(services, job, known.as_ref(), &mut plan).await?;
    if plan.end == End::Protected {
        return Ok(plan);
    }

    let left = if exists {
        services
            .tenant
            .left_over(user_id, &[], &mut Vec::new())
            .await?
    } else {
        Vec::new()
    };
    let stays = |left: &Residual| left.kind == UNKNOWN_ROUTING || services.tenant.would_stay(left);
    if plan.end == End::Delete && left.iter().any(stays) {
        plan.end = End::Held;
        plan.guard = Some(
            "some of what routes work to the user stays, for a person to look into".to_owned(),
        );
        plan.delete_not_before = None;
    }
    plan.queues = left
        .iter()
        .filter(|left| left.kind != UNKNOWN_ROUTING)
        .map(|left| left.reference.clone())
        .collect();
    plan.conversations = conversations(services, user_id, known.as_ref(), max_pages).await?;
    plan.calls = calls_left(services, known.as_ref(), &plan, &left).await?;
    Ok(plan)
}

/// How far an off-boarding got.
struct Known {
    state: State,
    revision: u32,
    /// It was cancelled after objects of it were stored, so that the next one has a revision of its own.
    cancelled: bool,
}

impl Known {
    /// As `Checkpoint::revise` and `Checkpoint::order_again` count.
    fn incarnation(&self, active: Option<bool>) -> u32 {
        let is_over = self.state.is_finished() && active == Some(true);
        self.revision + u32::from(is_over || self.cancelled)
    }
}

/// How far an off-boarding got, as the checkpoint says, or else the archive store.
async fn known(services: &Services, job: &Job) -> Result<Option<Known>, Stopped> {
    if let Some(checkpoint) = services.checkpoints.read(job.user_id).await? {
        let has_objects = checkpoint.state.archive().is_some() || checkpoint.before_image;
        return Ok(Some(Known {
            cancelled: checkpoint.cancelled.is_some()
                && has_objects
                && checkpoint.evidence_revision == checkpoint.revision,
            revision: checkpoint.revision,
            state: checkpoint.state,
        }));
    }
    Ok(match look_back(services, job, 1).await? {
        Event::PriorEvidenceFound(evidence) => Some(Known {
            state: evidence.state,
            revision: evidence.revision,
            cancelled: false,
        }),
        _ => None,
    })
}

/// Asks the guards with the code that a worker runs before the first write and before the DELETE.
async fn ask_guards(
    services: &Services,
    job: &Job,
    known: Option<&State>,
    plan: &mut Plan,
) -> Result<(), Stopped> {
    let since = known
        .and_then(State::deactivated_at)
        .unwrap_or_else(|| services.clock.now());

    plan.end = if services.delete == DeletePolicy::Never || job.request.action == Action::Deactivate
    {
        End::DeactivateOnly
    } else {
        End::Delete
    };

    match on_deletion(services, job.user_id, &job.request, since, None).await {
        Ok(Verdict::Proceed) => {
            if plan.end == End::Delete && services.would_wait_for_approval().await? {
                plan.guard = Some(Pause::NotApproved.to_string());
            }
        }
        Ok(Verdict::Held(_hold)) => {
            plan.end = End::Held;
            plan.guard = Some("on legal hold (offboarder hold list)".to_owned());
        }
        Ok(Verdict::Postpone { until, why }) => {
            if plan.end == End::Delete {
                plan.delete_not_before = Some(until);
                plan.guard = Some(why.to_string());
            }
        }
        Err(Stopped::Failed(failure)) if failure.code == Code::ProtectedUser => {
            plan.end = End::Protected;
            plan.guard = Some(failure.text);
        }
        Err(stopped) => return Err(stopped),
    }
    Ok(())
}

/// How much there is to archive, or was archived.
async fn conversations(
    services: &Services,
    user_id: UserId,
    known: Option<&State>,
    max_pages: u64,
) -> Result<Conversations, Stopped> {
    match known.and_then(State::archive) {
        Some(archive) => Ok(Conversations {
            count: archive.conversations,
            pages: 0,
            at_least: false,
        }),
        None => count(services, user_id, max_pages).await,
    }
}

/// Counts the conversations that the archive would hold, page by page, and keeps none of them. A conversation that
/// crosses the bound of a window may be counted twice.
async fn count(
    services: &Services,
    user_id: UserId,
    max_pages: u64,
) -> Result<Conversations, Stopped> {
    let progress: ArchiveInProgress = begin_archive(services, services.clock.now());
    let mut counted = Conversations::default();
    let mut cursor = Cursor::Window {
        from: progress.date_from,
    };

    while cursor != Cursor::End {
        if counted.pages == max_pages {
            counted.at_least = true;
            break;
        }
        let mut add = Each(|_: &[u8]| counted.count += 1);
        let tenant = &*services.tenant;
        cursor = page(tenant, user_id, None, &progress, &cursor, &mut add).await?;
        counted.pages += 1;
    }
    Ok(counted)
}

/// The calls that are left, without conflicts and retries, as the adapter counts them.
async fn calls_left(
    services: &Services,
    known: Option<&State>,
    plan: &Plan,
    left: &[Residual],
) -> Result<CallCounts, Stopped> {
    let StepCalls {
        clear_queues,
        deactivate,
        page,
        delete,
        account,
    } = services.tenant.step_calls(left);
    let guard = account.times(u64::from(services.protected.load().await?.has_patterns()));

    let clear_queues = clear_queues.plus(guard);
    let archive = page.times(plan.conversations.pages);
    let delete = match plan.end {
        // The guards are asked before the seal and before the DELETE.
        End::Delete => delete.plus(guard.times(2)),
        End::DeactivateOnly | End::Held | End::Protected | End::Done | End::NotFound => {
            CallCounts::default()
        }
    };
    let steps: &[CallCounts] = match known.map(State::name) {
        None | Some(StateName::Received) => &[clear_queues, deactivate, archive, delete],
        Some(StateName::QueuesCleared) => &[deactivate, archive, delete],
        Some(StateName::Deactivated) => &[archive, delete],
        Some(StateName::Archived | StateName::Deleted | StateName::DeactivatedOnly) => &[delete],
    };

    Ok(steps
        .iter()
        .fold(CallCounts::default(), |sum, one| sum.plus(*one)))
}
