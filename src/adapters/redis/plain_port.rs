//! Finds out that a port speaks no TLS where TLS was asked for, and the reverse. A Redis without TLS waits for the end of what it
//! takes for a command, and one with TLS ends a connection in clear without a word: neither error says why.

use std::time::Duration;

use futures_util::future::join_all;
use redis::{ErrorKind, RedisError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::adapters::tls;
use crate::address::RedisUrl;

pub(super) use crate::adapters::tls::NO_TLS;
pub(super) const ONLY_TLS: &str = "this port wants TLS";
/// Redis answers a PING at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The error of a connection that failed, or a better one if a port speaks the other protocol.
pub(super) async fn named(error: RedisError, url: &RedisUrl) -> RedisError {
    // A port with TLS ends a connection in clear, and does not let it wait.
    if !may_be_the_port(&error) || !url.tls && error.is_timeout() {
        return error;
    }
    let asking = url.servers.iter().map(|(host, port)| async move {
        let mistaken = async {
            if url.tls {
                answers_in_clear(host, *port).await
            } else {
                tls::is_spoken_at(host, *port).await
            }
        };
        matches!(timeout(ANSWER_WITHIN, mistaken).await, Ok(true))
    });
    if join_all(asking).await.contains(&true) {
        let what = if url.tls { NO_TLS } else { ONLY_TLS };
        return RedisError::from((ErrorKind::InvalidClientConfig, what));
    }
    error
}

/// Not an answer of Redis.
fn may_be_the_port(error: &RedisError) -> bool {
    !matches!(
        error.kind(),
        ErrorKind::AuthenticationFailed
            | ErrorKind::Server(_)
            | ErrorKind::Extension
            | ErrorKind::InvalidClientConfig
            | ErrorKind::MasterNameNotFoundBySentinel
    ) && !error.is_connection_refusal()
}

/// Sends a PING without TLS, and nothing else: no user and no password.
async fn answers_in_clear(host: &str, port: u16) -> bool {
    // A status, an error (a password is missing), and nothing that begins a record of TLS.
    matches!(answer(host, port, b"PING\r\n").await, Ok(b'+' | b'-'))
}

/// The first byte of the answer.
async fn answer(host: &str, port: u16, said: &[u8]) -> std::io::Result<u8> {
    let mut stream = TcpStream::connect((host, port)).await?;
    stream.write_all(said).await?;
    stream.read_u8().await
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;
    use crate::adapters::redis::RedisConnection;
    use crate::failure::Code;

    #[tokio::test]
    async fn tls_at_a_plain_port_is_named() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut sent = [0; 4];
                stream.read_exact(&mut sent).await.unwrap();
                // As Redis does: an answer to a command, and the end of the connection to anything else.
                if &sent == b"PING" {
                    stream.write_all(b"-NOAUTH\r\n").await.unwrap();
                }
            }
        });
        let url = RedisUrl::parse(&format!("rediss://u:secret@127.0.0.1:{port}/0")).unwrap();
        let failure = RedisConnection::new(&url)
            .ask::<String>(&redis::cmd("PING"))
            .await
            .unwrap_err();

        let text = failure.to_string();
        assert_eq!(failure.code, Code::CheckpointsUnreachable);
        assert!(text.contains(NO_TLS) && text.contains("redis://"), "{text}");
        assert!(!text.contains("secret") && !text.contains("10 s"), "{text}");
    }
}
