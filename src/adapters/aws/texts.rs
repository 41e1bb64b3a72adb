//! Texts that come from outside, for a line of an error.

/// At most `chars` characters; control characters are escaped.
pub(in crate::adapters) fn cut(text: &str, chars: usize) -> String {
    let escaped = |c: char| match c {
        '"' | '\'' => c.to_string(),
        other => other.escape_debug().to_string(),
    };
    text.chars().take(chars).map(escaped).collect()
}

/// The last cause in the chain says most in the fewest words.
pub(in crate::adapters) fn innermost(error: &(dyn std::error::Error + 'static)) -> String {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Whether it is about credentials: there are none, or what gives them failed. `chain` is an error with its sources.
#[cfg(feature = "kms")]
pub(in crate::adapters) fn is_of_credentials(chain: &str) -> bool {
    let lower = chain.to_ascii_lowercase();
    let words = [
        "credentialsnotloaded",
        "no providers in chain",
        "loading credentials",
        "credentials provider",
        "providererror",
    ];
    words.iter().any(|word| lower.contains(word))
}
