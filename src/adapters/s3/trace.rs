//! Trace spans of the calls of S3.

use aws_sdk_s3::config::interceptors::{
    BeforeSerializationInterceptorContextRef, BeforeTransmitInterceptorContextRef,
    FinalizerInterceptorContextRef,
};
use aws_sdk_s3::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_s3::error::BoxError;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_types::config_bag::{Storable, StoreReplace};
use tracing::Span;

use crate::telemetry::span;

/// Opens a span for each call of S3, below the span that is current when it begins.
#[derive(Debug)]
pub(super) struct Spans;

/// The span of a call in progress. The span of a call that is given up ends when the SDK drops it.
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

    // Not earlier: only here the configuration says which operation it is.
    fn read_before_serialization(
        &self,
        _context: &BeforeSerializationInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let operation = config.load::<Metadata>().map_or("call", Metadata::name);
        let span = span::s3_call(operation);
        config.interceptor_state().store_put(Call(span));
        Ok(())
    }

    fn read_before_transmit(
        &self,
        context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(Call(span)) = config.load::<Call>() {
            // The object's key; a query is in no span.
            span.record(
                "url.path",
                context.request().uri().split(['?', '#']).next().map(path),
            );
        }
        Ok(())
    }

    fn read_after_execution(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let Some(Call(span)) = config.load::<Call>() else {
            return Ok(());
        };
        match context.response() {
            Some(response) => {
                let status = response.status();
                span.record("aws.request_id", response.headers().get("x-amz-request-id"));
                span::answered(span, status.as_u16());
            }
            None => span::failed_with(span, "no_answer"),
        }
        config.interceptor_state().store_put(Call(Span::none()));

        Ok(())
    }
}

/// A URI without its origin.
fn path(uri: &str) -> &str {
    let Some((_scheme, rest)) = uri.split_once("://") else {
        return uri;
    };
    rest.find('/')
        .map_or("/", |at| rest.get(at..).unwrap_or("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_uri_has_no_origin() {
        assert_eq!(
            path("http://127.0.0.1:8333/bucket/a/b.json"),
            "/bucket/a/b.json"
        );
        assert_eq!(path("/bucket/a"), "/bucket/a");
        assert_eq!(path("https://bucket.s3.example"), "/");
    }
}
