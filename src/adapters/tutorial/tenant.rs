//! The port, by the client's calls.

use async_trait::async_trait;

use super::client::Client;
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
impl Tenant for Client {
    fn profile(&self) -> TenantProfile {
        TenantProfile::Tutorial
    }

    async fn user_exists(&self, user_id: UserId) -> Result<Answered<bool>, Failure> {
        Ok(self.exists_in_iam(user_id).await?)
    }

    async fn find_user(&self, user_id: UserId) -> Result<Answered<bool>, Failure> {
        Ok(self.find_in_iam(user_id).await?)
    }

    async fn confirm_missing(&self, user_id: UserId) -> Result<Call, Failure> {
        Ok(self.missing_in_scim(user_id).await?)
    }

    async fn peek_account(&self, user_id: UserId) -> Result<Option<Account>, Failure> {
        let read = self.scim_user(user_id).await?;
        Ok(read.value.map(|user| user.account))
    }

    async fn account(&self, user_id: UserId) -> Result<AccountRead, Failure> {
        Ok(self.read_account(user_id).await?.into())
    }

    async fn deactivate(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Deactivation, Failure> {
        self.deactivate_account(user_id, calls).await
    }

    /// The document knows nothing of sessions and keys.
    async fn end_access(
        &self,
        _: UserId,
        _: Option<u64>,
        _: &mut Vec<Call>,
    ) -> Result<(), Failure> {
        Ok(())
    }

    async fn clear_routing(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<RoutingWrites, Failure> {
        self.clear_profile(user_id, calls).await
    }

    async fn left_over(
        &self,
        user_id: UserId,
        released: &[String],
        calls: &mut Vec<Call>,
    ) -> Result<Vec<Residual>, Failure> {
        self.still_routing(user_id, released, calls).await
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

    async fn stream_page(
        &self,
        user_id: UserId,
        request: PageRequest<'_>,
        sink: &mut dyn ConversationSink,
    ) -> Result<Option<String>, Failure> {
        Ok(self.read_page(user_id, request, sink).await?)
    }

    fn facts_of(&self, conversation: &[u8]) -> ConversationFacts {
        conversation_facts(conversation)
    }

    /// An OAuth client is no user.
    async fn own_account(&self) -> Result<Option<UserId>, Failure> {
        Ok(None)
    }

    fn step_calls(&self, left: &[Residual]) -> StepCalls {
        let queues = left.len() as u64;
        let routing = |routing| CallCounts {
            routing,
            ..CallCounts::default()
        };
        let scim = |scim| CallCounts {
            scim,
            ..CallCounts::default()
        };
        StepCalls {
            // The profile; each queue; the profile's write, whose answer is the profile after it. A queue that
            // names the user as owner or supervisor takes two more calls, which only a read of the queue would show, and
            // one of the profile.
            clear_queues: routing(1 + if queues == 0 { 0 } else { queues + 1 }),
            deactivate: scim(2),
            page: CallCounts {
                analytics: 1,
                ..CallCounts::default()
            },
            // The DELETE, and the read after it.
            delete: routing(2),
            account: scim(1),
        }
    }

    fn access_waits(&self) -> bool {
        self.api.transport.access_waits(QuotaClass::Routing)
    }

    /// A user whose routing profile is read exists; where it is not found, the user is read.
    fn clearing_shows_missing(&self) -> bool {
        true
    }

    /// 404 is documented as "already gone".
    fn deletion_shows_missing(&self) -> bool {
        true
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

    /// The document leaves no question open that a survey could answer.
    async fn survey(&self, _: Option<UserId>) -> Vec<Observation> {
        Vec::new()
    }

    async fn repeat_writes(&self, _: UserId, _: &[Call]) -> Vec<Observation> {
        Vec::new()
    }

    async fn scopes(&self) -> Result<Option<String>, Failure> {
        Ok(self.api.scopes().await?)
    }
}
