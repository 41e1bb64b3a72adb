use aws_sdk_s3::config::interceptors::{
    BeforeSerializationInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tracing::Span;

use crate::telemetry::span;

/// A span for each call of S3, whoever makes it: below whatever span is current when it begins.
#[derive(Debug)]
pub(super) struct Spans;

/// The span of a call under way. One that is given up ends with the SDK's record of it.
#[derive(Debug)]
struct Call(Span);

impl Storable for Call {
    type Storer = StoreReplace<Self>;
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Spans {
    fn name(&self) -> &'static str {
        "Spans"
    }

    fn read_before_execution(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map_or("call", Metadata::name);
        let span = span::s3_call(operation);
        config.interceptor_state().store_put(Call(span));
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Call(span)) = config.load::<Call>() else { return Ok(()) };
        if let Some(request) = context.request() {
            // The object's key; a query is in no span.
            span.record("url.path", request.uri().split(['?', '#']).next().map(path));
        }
        match context.response() {
            Some(response) => {
                let status = response.status();
                span.record("http.response.status_code", status.as_u16());
                span.record("aws.request_id", response.headers().get("x-amz-request-id"));
                if status.is_client_error() || status.is_server_error() {
                    span::failed_with(span, &status.as_u16().to_string());
                }
            }
            None => span::failed_with(span, "no_answer"),
        }
        config.interceptor_state().store_put(Call(Span::none()));
        Ok(())
    }
}

/// A URI without its origin.
fn path(uri: &str) -> &str {
    let Some((_scheme, rest)) = uri.split_once("://") else { return uri };
    rest.find('/').map_or("/", |at| rest.get(at..).unwrap_or("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_uri_has_no_origin() {
        assert_eq!(path("http://127.0.0.1:8333/bucket/a/b.json"), "/bucket/a/b.json");
        assert_eq!(path("/bucket/a"), "/bucket/a");
        assert_eq!(path("https://bucket.s3.example"), "/");
    }
}
