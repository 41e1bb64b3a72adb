//! Finds out that a port speaks no TLS. A Redis without TLS waits for the end of what it takes for a command, so the
//! handshake ends with a time-out that says nothing.

use std::time::Duration;

use redis::{ErrorKind, RedisError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::address::{RedisKind, RedisUrl};

pub(super) const NO_TLS: &str = "this port speaks no TLS";
/// Redis answers a PING at once.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// The error of a connection with TLS that failed, or a better one if the port answers without TLS.
pub(super) async fn named(error: RedisError, url: &RedisUrl) -> RedisError {
    let asks_for_tls = matches!(url.kind, RedisKind::Tls);
    match url.servers.first() {
        Some((host, port)) if asks_for_tls => {
            let answered = tokio::time::timeout(ANSWER_WITHIN, answers_in_clear(host, *port)).await;
            if matches!(answered, Ok(true)) {
                RedisError::from((ErrorKind::InvalidClientConfig, NO_TLS))
            } else {
                error
            }
        }
        Some(_) | None => error,
    }
}

/// Sends a PING without TLS, and nothing else: no user and no password.
async fn answers_in_clear(host: &str, port: u16) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect((host, port)).await?;
        stream.write_all(b"PING\r\n").await?;
        stream.read_u8().await
    };
    // A status, an error (a password is missing), and nothing that begins a record of TLS.
    matches!(asked.await, Ok(b'+' | b'-'))
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
