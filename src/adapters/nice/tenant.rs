//! The port, by the client's calls.

use async_trait::async_trait;

use super::client::Client;
use super::facts::contact_facts;
use super::known_agents::AgentOf;
use super::routing::{GROUP, SKILL};
use crate::adapters::http::refused_read;
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
        TenantProfile::Cxone
    }

    async fn user_exists(&self, user_id: UserId) -> Result<Answered<bool>, Failure> {
        let read = self.read_user_once(user_id).await?;
        Ok(Answered {
            value: read.value.is_some(),
            call: read.call,
        })
    }

    async fn find_user(&self, user_id: UserId) -> Result<Answered<bool>, Failure> {
        Ok(self.find_anywhere(user_id).await?)
    }

    async fn confirm_missing(&self, user_id: UserId) -> Result<Call, Failure> {
        Ok(self.missing_in_acd(user_id).await?)
    }

    async fn peek_account(&self, user_id: UserId) -> Result<Option<Account>, Failure> {
        let read = self.read_user(user_id).await?;
        Ok(read.value.map(|user| user.account))
    }

    async fn account(&self, user_id: UserId) -> Result<AccountRead, Failure> {
        Ok(self.read_account(user_id).await?)
    }

    async fn deactivate(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Deactivation, Failure> {
        self.deactivate_account(user_id, calls).await
    }

    async fn agent_of(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<Option<u64>, Failure> {
        Ok(match self.known_agent(user_id, None, calls).await? {
            AgentOf::Number(number) => Some(number.get()),
            AgentOf::Nobody | AgentOf::UserGone => None,
        })
    }

    async fn end_access(
        &self,
        user_id: UserId,
        agent: Option<u64>,
        calls: &mut Vec<Call>,
    ) -> Result<(), Failure> {
        self.end_all_access(user_id, agent, calls).await
    }

    async fn clear_routing(
        &self,
        user_id: UserId,
        calls: &mut Vec<Call>,
    ) -> Result<RoutingWrites, Failure> {
        self.clear_agent(user_id, calls).await
    }

    /// The lists of the agent are whole, so nothing that was released has to be read one by one.
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

    async fn stream_page(
        &self,
        user_id: UserId,
        request: PageRequest<'_>,
        sink: &mut dyn ConversationSink,
    ) -> Result<Option<String>, Failure> {
        Ok(self.read_page(user_id, request, sink).await?)
    }

    fn facts_of(&self, conversation: &[u8]) -> ConversationFacts {
        contact_facts(conversation)
    }

    async fn own_account(&self) -> Result<Option<UserId>, Failure> {
        self.own_user().await
    }

    fn step_calls(&self, left: &[Residual]) -> StepCalls {
        let removals = left
            .iter()
            .filter(|left| left.kind == SKILL || left.kind == GROUP)
            .count() as u64;
        let calls = |routing| CallCounts {
            routing,
            ..CallCounts::default()
        };
        StepCalls {
            // The user, the agent and the teams; skills and groups before and after; each removal.
            clear_queues: calls(7 + removals),
            // The account before and after, and its write; the access keys, and the end of the session. Each active key
            // takes one more call and all of them one, which only a read of the keys would show.
            deactivate: calls(5),
            page: calls(1),
            delete: CallCounts::default(),
            account: calls(1),
        }
    }

    fn access_waits(&self) -> bool {
        self.api.transport.access_waits(QuotaClass::Routing)
    }

    async fn ready_deletion(&self, user_id: UserId) -> Result<Box<dyn ReadyDeletion>, Failure> {
        let why = format!("the vendor offers none, and one was asked for {user_id}");
        Err(Failure::internal("a deletion", why))
    }

    async fn probe(&self, read: TenantRead) -> Result<(), Failure> {
        Ok(self.probe_read(read).await?)
    }

    async fn examine(&self, read: TenantRead) -> Result<ReadFacts, RefusedRead> {
        self.examine_read(read).await.map_err(refused_read)
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
