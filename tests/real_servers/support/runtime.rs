//! One async runtime for the clients that trials use; the trials themselves are plain threads.

use std::sync::OnceLock;

use tokio::runtime::{Builder, Runtime};

/// The runtime that all trials share.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .expect("a runtime")
    })
}

/// Waits for a future on the thread of a trial.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    runtime().block_on(future)
}
