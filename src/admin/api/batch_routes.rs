//! The routes of batches.

use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Api, batch_history, batch_pause, batch_report, batch_users, batches, cancel};

pub(super) fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new()
        .routes(routes!(batches::list))
        .routes(routes!(batches::show))
        .routes(routes!(batch_users::list))
        .routes(routes!(batch_users::minutes))
        .routes(routes!(batch_history::show))
        .routes(routes!(batch_report::report))
        .routes(routes!(cancel::batch))
        .routes(routes!(batch_pause::pause))
        .routes(routes!(batch_pause::resume))
}
