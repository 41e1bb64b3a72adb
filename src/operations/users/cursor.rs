use jiff::Timestamp;

use crate::job::UserId;
use crate::ports::users::Asked;

/// Where a list continues. The text is for the next call only; other programs must not read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cursor {
    /// Behind this user of the index.
    Access(Asked),
    /// At this position of the batch, behind this user, who may have another position by now.
    Batch(usize, Option<UserId>),
    /// In this page of a scan, behind this user.
    Scan(Option<String>, Option<UserId>),
}

impl Cursor {
    pub(super) fn text(&self) -> String {
        match self {
            Self::Access(asked) => {
                format!("a_{}_{}", asked.at.as_millisecond(), asked.user_id)
            }
            Self::Batch(from, None) => format!("b_{from}"),
            Self::Batch(from, Some(behind)) => format!("b_{from}_{behind}"),
            Self::Scan(page, behind) => {
                let behind = behind.map(|user_id| user_id.to_string());
                let behind = behind.unwrap_or_default();
                format!("s_{}_{behind}", page.as_deref().unwrap_or_default())
            }
        }
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('_').collect();
        match parts.as_slice() {
            ["a", ms, user_id] => Some(Self::Access(Asked {
                at: Timestamp::from_millisecond(ms.parse().ok()?).ok()?,
                user_id: user_id.parse().ok()?,
            })),
            ["b", from] => Some(Self::Batch(from.parse().ok()?, None)),
            ["b", from, behind] => {
                let behind = behind.parse().ok()?;
                Some(Self::Batch(from.parse().ok()?, Some(behind)))
            }
            ["s", page, behind] => {
                let behind = if behind.is_empty() {
                    None
                } else {
                    Some(behind.parse().ok()?)
                };
                let page = (!page.is_empty()).then(|| (*page).to_owned());
                Some(Self::Scan(page, behind))
            }
            _ => None,
        }
    }
}
