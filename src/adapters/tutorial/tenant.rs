//! The port, by the client's calls.

use async_trait::async_trait;

use super::client::Client;
use super::reads::refused_read;
use crate::failure::Failure;
use crate::job::UserId;
use crate::machine::Call;
use crate::ports::{
    Account, AccountRead, Answered, Page, PageRequest, Queue, QueueId, QuotaClass, ReadFacts,
    ReadyDeletion, RefusedRead, RoutingProfile, Tenant, TenantRead, Write,
};

#[async_trait]
impl Tenant for Client {
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
        Ok(self.scim_user(user_id).await?.value)
    }

    async fn account(&self, user_id: UserId) -> Result<AccountRead, Failure> {
        Ok(self.read_account(user_id).await?)
    }

    async fn deactivate(
        &self,
        read: &Account,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, Failure> {
        Ok(self.put_inactive(read, if_match).await?)
    }

    async fn routing_profile(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<RoutingProfile>>, Failure> {
        Ok(self.read_profile(user_id).await?)
    }

    async fn clear_routing_profile(
        &self,
        user_id: UserId,
        read: &RoutingProfile,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, Failure> {
        let written = self.write_profile_without_queues(user_id, read, if_match);
        Ok(written.await?)
    }

    async fn queue(
        &self,
        queue_id: &QueueId,
        user_id: UserId,
    ) -> Result<Answered<Option<Queue>>, Failure> {
        Ok(self.read_queue(queue_id, user_id).await?)
    }

    async fn release_queue(
        &self,
        read: &Queue,
        user_id: UserId,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, Failure> {
        let written = self.write_queue_without_user(read, user_id, if_match);
        Ok(written.await?)
    }

    async fn page(&self, user_id: UserId, request: PageRequest<'_>) -> Result<Page, Failure> {
        Ok(self.read_page(user_id, request).await?)
    }

    fn access_waits(&self) -> bool {
        self.shared.transport.access_waits(QuotaClass::Routing)
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

    async fn scopes(&self) -> Result<Option<String>, Failure> {
        Ok(Client::scopes(self).await?)
    }
}
