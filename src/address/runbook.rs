//! Where people read the runbook.

use std::fmt;

use url::Url;

/// The address of the deployment's copy of the runbook. Only people follow it; nothing is read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RunbookUrl(Url);

impl RunbookUrl {
    /// The error is for a person: it continues where the quoted value ends.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        const EXAMPLE: &str = "give one such as https://wiki.example.com/offboarder/runbook";

        let url = Url::parse(text).map_err(|why| format!("is not a URL ({why}); {EXAMPLE}"))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(format!("is not an http or https URL; {EXAMPLE}"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err("holds credentials, and everyone sees the link; remove them".to_owned());
        }
        if url.fragment().is_some() {
            return Err("has a fragment; the section is added to it: remove it".to_owned());
        }
        Ok(Self(url))
    }

    /// The section of a code, a reason or an alert.
    pub(crate) fn section(&self, word: &str) -> String {
        format!("{}#{}", self.0, word.to_ascii_lowercase())
    }
}

impl fmt::Display for RunbookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_a_fragment_of_the_address() {
        let url = RunbookUrl::parse("https://wiki.example.com/runbook?v=2").unwrap();
        assert_eq!(
            url.section("cxone_timeout"),
            "https://wiki.example.com/runbook?v=2#cxone_timeout"
        );
        assert!(RunbookUrl::parse("http://wiki/runbook.md").is_ok());
        for wrong in [
            "runbook.md",
            "file:///runbook.md",
            "https://ada:secret@wiki/x",
            "https://wiki/x#y",
        ] {
            let refused = RunbookUrl::parse(wrong).unwrap_err();
            assert!(!refused.contains("secret"), "{refused}");
        }
    }
}
