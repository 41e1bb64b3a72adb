//! The port, by the client's calls. All of them share one quota, that of routing.

use async_trait::async_trait;

use super::clearing::{GROUP_QUEUE_MEMBER, QUEUE_MEMBER, SKILL};
use super::client::GenesysClient;
use super::users::UserRead;
use crate::adapters::http::{conversation_facts, refused_read};
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::{Call, Residual};
use crate::manifest::Possession;
use crate::ports::{
    Account, AccountRead, Answered, CallCounts, ConversationFacts, ConversationSink, Deactivation,
    GivenBack, Observation, PageRequest, QuotaClass, ReadFacts, ReadyDeletion, RefusedRead,
    RoutingWrites, StepCalls, Tenant, TenantRead,
};
use crate::profile::TenantProfile;

#[async_trait]
impl Tenant for GenesysClient {
    fn profile(&self) -> TenantProfile {
        TenantProfile::Genesys
    }

    async fn user_exists(&self, user_id: UserId) -> Result<Answered<bool>, Failure> {
        Ok(self.exists(user_id).await?)
    }

    async fn shows_deletion(&self, user_id: UserId) -> Result<Answered<bool>, Failure> {
        Ok(self.is_shown_as_deleted(user_id).await?)
    }

    async fn find_user(&self, user_id: UserId) -> Result<Answered<bool>, Failure> {
        Ok(self.exists(user_id).await?)
    }

    async fn confirm_missing(&self, user_id: UserId) -> Result<Call, Failure> {
        Ok(self.prove_missing(user_id).await?)
    }

    async fn peek_account(&self, user_id: UserId) -> Result<Option<Account>, Failure> {
        Ok(match self.read_user(user_id).await? {
            UserRead::Found { user, .. } => Some(user.account()),
            UserRead::Missing { .. } => None,
        })
    }

    async fn account(&self, user_id: UserId) -> Result<AccountRead, Failure> {
        Ok(self.read_account(user_id).await?)
    }

    async fn deactivate(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Deactivation, Failure> {
        self.deactivate_user(user_id, calls).await
    }

    async fn end_access(
        &self,
        user_id: UserId,
        _: Option<u64>,
        calls: &mut Vec<Call>,
    ) -> Result<(), Failure> {
        calls.push(self.revoke_tokens(user_id).await?);
        Ok(())
    }

    async fn clear_routing(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<RoutingWrites, Failure> {
        self.clear_user(user_id, calls).await
    }

    /// Queues have neither owner nor supervisors, so nothing is released that only one run knows.
    async fn left_over(
        &self,
        user_id: UserId,
        _released: &[String],
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Residual>, Failure> {
        self.still_routing(user_id, calls).await
    }

    async fn possessions(&self, user_id: UserId) -> Result<Option<Vec<Possession>>, Failure> {
        self.read_possessions(user_id).await
    }

    async fn give_back(
        &self,
        user_id: UserId,
        possession: &Possession,
        calls: &mut Vec<Call>,
    ) -> Result<GivenBack, Failure> {
        self.give_one_back(user_id, possession, calls).await
    }

    fn lost_for_good(&self) -> &'static [(&'static str, &'static str)] {
        &[(
            "roles",
            "Genesys Cloud removes the roles with the deactivation, and no call gives them back: an administrator assigns \
             them again",
        )]
    }

    async fn stream_page(
        &self,
        user_id: UserId,
        request: PageRequest<'_>,
        sink: &mut dyn ConversationSink,
    ) -> Result<Option<String>, Failure> {
        Ok(self.read_page(&user_id.to_string(), request, sink).await?)
    }

    fn facts_of(&self, conversation: &[u8]) -> ConversationFacts {
        conversation_facts(conversation)
    }

    /// An OAuth client is no user.
    async fn own_account(&self) -> Result<Option<UserId>, Failure> {
        Ok(None)
    }

    /// That a group refuses to be left shows only a run.
    fn would_stay(&self, left: &Residual) -> bool {
        left.kind == GROUP_QUEUE_MEMBER && !self.leave_groups
    }

    fn step_calls(&self, left: &[Residual]) -> StepCalls {
        let of = |kind: &str| left.iter().filter(|left| left.kind == kind).count() as u64;
        let routing = |routing| CallCounts {
            routing,
            ..CallCounts::default()
        };

        let plain = of(QUEUE_MEMBER);
        let grouped = of(GROUP_QUEUE_MEMBER);
        let skills = u64::from(of(SKILL) > 0);
        // Both lists of queues again, and one group left for each queue; a queue may come from more of them, or from none.
        let groups = match (grouped, self.leave_groups) {
            (0, _) => 0,
            (_, true) => 2 + grouped,
            (_, false) => 2,
        };
        StepCalls {
            // The user; two lists of queues and one of skills, before and after; the writes.
            clear_queues: routing(1 + 3 + plain + grouped + groups + skills + 3),
            // The user before and after, the write, and the tokens.
            deactivate: routing(4),
            page: routing(1),
            // The user, the DELETE, and the two reads that prove it.
            delete: routing(4),
            account: routing(1),
        }
    }

    fn access_waits(&self) -> bool {
        self.api.transport.access_waits(QuotaClass::Routing)
    }

    async fn ready_deletion(&self, user_id: UserId) -> Result<Box<dyn ReadyDeletion>, Failure> {
        Ok(Box::new(self.prepare_deletion(user_id).await?))
    }

    async fn probe(&self, read: TenantRead) -> Result<(), Failure> {
        Ok(self.probe_read(read).await?)
    }

    async fn examine(&self, read: TenantRead) -> Result<ReadFacts, RefusedRead> {
        self.facts(read).await.map_err(refused_read)
    }

    async fn survey(&self, user_id: Option<UserId>) -> Vec<Observation> {
        match user_id {
            None => self.survey_tenant().await,
            Some(user_id) => self.survey_user(user_id).await,
        }
    }

    async fn repeat_writes(&self, user_id: UserId, calls: &[Call]) -> Vec<Observation> {
        self.repeat_accepted(user_id, calls).await
    }

    async fn scopes(&self) -> Result<Option<String>, Failure> {
        Ok(self.api.scopes().await?)
    }
}
