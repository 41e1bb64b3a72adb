//! Calls about routing profiles and queues.

use reqwest::Method;

use super::client::Client;
use super::documents::{
    has_no_queues, parse_profile, parse_queue, profile_without_queues, queue_without_user,
};
use super::types::{Queue, QueueId, RoutingProfile};
use crate::adapters::http::{ApiError, Reply, Request, Write, unwritable};
use crate::job::UserId;
use crate::ports::{Answered, QuotaClass};

const PATCH_PROFILE: &str = "patch_routing_profile";
const PATCH_QUEUE: &str = "patch_queue";

impl Client {
    pub(super) async fn read_profile(
        &self,
        user_id: UserId,
    ) -> Result<Answered<Option<RoutingProfile>>, ApiError> {
        let url = self.paths().routing_profile(user_id)?;
        let request = Request {
            removes_access: true,
            ..Request::read(Method::GET, url, QuotaClass::Routing, "routing:read")
        };
        self.api
            .read(request, |reply| parse_profile(&reply.body, reply.etag()))
            .await
    }

    pub(super) async fn write_profile_without_queues(
        &self,
        user_id: UserId,
        read: &RoutingProfile,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, ApiError> {
        let body = profile_without_queues(read).map_err(|why| unwritable(PATCH_PROFILE, why))?;
        self.write_profile(user_id, body, if_match, |reply| has_no_queues(&reply.body))
            .await
    }

    pub(super) async fn write_profile(
        &self,
        user_id: UserId,
        body: Vec<u8>,
        if_match: Option<&str>,
        shows: impl FnOnce(&Reply) -> bool,
    ) -> Result<Answered<Write>, ApiError> {
        let url = self.paths().routing_profile(user_id)?;
        let request = Request {
            removes_access: true,
            if_match,
            body: Some(body),
            ..Request::write(Method::PATCH, url, QuotaClass::Routing, "routing:write")
        };
        self.write(PATCH_PROFILE, request, shows).await
    }

    pub(super) async fn read_queue(
        &self,
        queue_id: &QueueId,
        user_id: UserId,
    ) -> Result<Answered<Option<Queue>>, ApiError> {
        let url = self.paths().queue(queue_id)?;
        let request = Request {
            removes_access: true,
            ..Request::read(Method::GET, url, QuotaClass::Routing, "routing:read")
        };
        self.api
            .read(request, |reply| {
                parse_queue(queue_id, user_id, &reply.body, reply.etag())
            })
            .await
    }

    pub(super) async fn write_queue_without_user(
        &self,
        read: &Queue,
        user_id: UserId,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, ApiError> {
        let body = queue_without_user(read, user_id).map_err(|why| unwritable(PATCH_QUEUE, why))?;
        self.write_queue(&read.id, body, if_match).await
    }

    pub(super) async fn write_queue(
        &self,
        queue_id: &QueueId,
        body: Vec<u8>,
        if_match: Option<&str>,
    ) -> Result<Answered<Write>, ApiError> {
        let url = self.paths().queue(queue_id)?;
        let request = Request {
            removes_access: true,
            if_match,
            body: Some(body),
            ..Request::write(Method::PATCH, url, QuotaClass::Routing, "routing:write")
        };
        // The document does not say what the answer holds.
        self.write(PATCH_QUEUE, request, |_reply| false).await
    }
}
