//! Reads an answer's body under a cap, and decides what an error of sending means for the call.

use bytes::{Bytes, BytesMut};
use reqwest::Response;
use reqwest::header::CONTENT_ENCODING;

use super::connection::through;
use super::error::ApiError;
use crate::adapters::tls;

/// ENFILE and EMFILE of Linux: no file descriptor is left to the machine, or to this process.
const NO_DESCRIPTOR: [i32; 2] = [23, 24];

/// Reads a body up to a cap.
pub(super) async fn read_capped(
    mut answer: Response,
    max_bytes: usize,
    what: &str,
) -> Result<Bytes, ApiError> {
    refuse_encoded(&answer, what)?;
    let too_large = || ApiError::TooLarge {
        what: what.to_owned(),
        max_bytes,
    };
    let announced = answer.content_length().unwrap_or(0);
    if announced > max_bytes as u64 {
        return Err(too_large());
    }

    let mut body = BytesMut::with_capacity(usize::try_from(announced).unwrap_or(0));
    while let Some(chunk) = next_chunk(&mut answer, what).await? {
        if body.len() + chunk.len() > max_bytes {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// We never ask for an encoding, so that no small body can unpack into a large one.
pub(super) fn refuse_encoded(answer: &Response, what: &str) -> Result<(), ApiError> {
    let is_encoded = answer
        .headers()
        .get(CONTENT_ENCODING)
        .is_some_and(|encoding| encoding != "identity");
    if is_encoded {
        return Err(unreadable(
            what,
            "it is compressed, which was not asked for",
        ));
    }
    Ok(())
}

/// The next piece of a body; `None` at its end.
pub(super) async fn next_chunk(
    answer: &mut Response,
    what: &str,
) -> Result<Option<Bytes>, ApiError> {
    match answer.chunk().await {
        Ok(chunk) => Ok(chunk),
        Err(error) if error.is_timeout() => Err(ApiError::Timeout {
            what: what.to_owned(),
        }),
        Err(_broken) => Err(unreadable(what, "it broke off")),
    }
}

fn unreadable(what: &str, why: &str) -> ApiError {
    ApiError::Unreadable {
        what: what.to_owned(),
        why: why.to_owned(),
    }
}

/// What an error of sending means. A write that may have arrived has an unknown outcome.
pub(super) fn send_error(error: &reqwest::Error, what: &str, writes: bool) -> ApiError {
    let what = what.to_owned();
    let mut why = String::from("no cause given");
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(cause) = source {
        why = cause.to_string();
        if is_no_descriptor(cause) {
            return ApiError::NoDescriptor { what, why };
        }
        source = cause.source();
    }

    if writes && !error.is_connect() && !error.is_builder() {
        if error.is_timeout() {
            "no answer in time".clone_into(&mut why);
        }
        return ApiError::AnswerLost { what, why };
    }
    let what = what + &through(error.url());
    if error.is_timeout() {
        return ApiError::Timeout { what };
    }
    let is_untrusted = tls::is_untrusted(&why);
    let why = tls::cause(&why).map_or(why, str::to_owned);
    if is_untrusted {
        ApiError::Untrusted { what, why }
    } else {
        ApiError::Unreachable { what, why }
    }
}

fn is_no_descriptor(cause: &(dyn std::error::Error + 'static)) -> bool {
    let number = cause
        .downcast_ref::<std::io::Error>()
        .and_then(std::io::Error::raw_os_error);
    number.is_some_and(|number| NO_DESCRIPTOR.contains(&number))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_missing_descriptor_is_one() {
        let is = |number| is_no_descriptor(&std::io::Error::from_raw_os_error(number));
        assert!(is(23) && is(24), "of the machine, and of this process");
        assert!(!is(111), "a connection that is refused");
        assert!(!is_no_descriptor(&std::fmt::Error));
    }
}
