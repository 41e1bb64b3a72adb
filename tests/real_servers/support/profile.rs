//! The API that the simulator of a trial serves: what is called differently from one to another, and what the program
//! needs to be set for it.

use super::population::Outcome;

/// The employee who owns the simulator's access key at [`Profile::Cxone`].
pub(crate) const SERVICE_EMPLOYEE: &str = "5e71ce00-5eed-4000-8000-000000000001";
const ACCESS_KEY_ID: &str = "key-of-the-tests";
const ACCESS_KEY_SECRET: &str = "secret-of-the-key";

/// Whose API it is, in the words of `OFFBOARDER_CXONE_PROFILE`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Profile {
    Tutorial,
    Cxone,
    Genesys,
}

impl Profile {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Tutorial => "tutorial",
            Self::Cxone => "cxone",
            Self::Genesys => "genesys",
        }
    }

    /// The document of the API, as a path in the repository.
    pub(crate) const fn contract(self) -> &'static str {
        match self {
            Self::Tutorial => "docs/contract/cxone-openapi.yaml",
            Self::Cxone => "docs/contract/cxone-published-openapi.yaml",
            Self::Genesys => "docs/contract/genesys-openapi.yaml",
        }
    }

    /// Where tokens come from, if that does not follow from the base URI.
    pub(crate) const fn token_path(self) -> Option<&'static str> {
        match self {
            Self::Tutorial | Self::Genesys => None,
            Self::Cxone => Some("/auth/token"),
        }
    }

    /// Settings besides those that all profiles need. Archives begin at once, and users are deleted where the vendor has
    /// a deletion.
    pub(crate) fn settings(self) -> Vec<(&'static str, &'static str)> {
        let mut settings = vec![("OFFBOARDER_CXONE_PROFILE", self.word())];
        match self {
            // As every deployment has it that was there before there were profiles.
            Self::Tutorial => settings.clear(),
            Self::Cxone => settings.extend([
                ("OFFBOARDER_CXONE_ACCESS_KEY_ID", ACCESS_KEY_ID),
                ("OFFBOARDER_CXONE_ACCESS_KEY_SECRET", ACCESS_KEY_SECRET),
                ("OFFBOARDER_CXONE_SETTLE", "0s"),
            ]),
            Self::Genesys => settings.extend([
                ("OFFBOARDER_CXONE_SETTLE", "0s"),
                ("OFFBOARDER_GUARD_DELETE", "attempt"),
            ]),
        }
        settings
    }

    /// Flags of the simulator.
    pub(crate) const fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Tutorial => &[],
            Self::Cxone => &[
                "--profile",
                "cxone",
                "--access-key-id",
                ACCESS_KEY_ID,
                "--access-key-secret",
                ACCESS_KEY_SECRET,
            ],
            Self::Genesys => &["--profile", "genesys"],
        }
    }

    /// How a user ends with whom nothing goes wrong.
    pub(crate) const fn usual_end(self) -> Outcome {
        match self {
            Self::Cxone => Outcome::NeverOffered,
            Self::Tutorial | Self::Genesys => Outcome::Deleted,
        }
    }

    /// The operation that gives a page of conversations, the first one too.
    pub(crate) const fn page(self) -> &'static str {
        match self {
            Self::Tutorial | Self::Genesys => "query_conversations",
            Self::Cxone => "list_completed_contacts",
        }
    }

    /// The first operation of a run: it shows whether the user exists.
    pub(crate) const fn existence(self) -> &'static str {
        match self {
            Self::Tutorial => "get_routing_profile",
            Self::Cxone | Self::Genesys => "get_user",
        }
    }

    /// The operation that deactivates.
    pub(crate) const fn deactivation(self) -> &'static str {
        match self {
            Self::Tutorial => "put_scim_user",
            Self::Cxone => "deactivate_users",
            Self::Genesys => "set_user_state",
        }
    }

    /// The operations that take a user out of routing.
    pub(crate) const fn routing_writes(self) -> &'static [&'static str] {
        match self {
            Self::Tutorial => &["patch_routing_profile", "patch_queue"],
            Self::Cxone => &["remove_skill", "remove_from_group"],
            Self::Genesys => &[
                "remove_from_queue",
                "leave_group",
                "leave_team",
                "replace_skills",
            ],
        }
    }

    /// The operations that end sessions and keys.
    pub(crate) const fn access_writes(self) -> &'static [&'static str] {
        match self {
            Self::Tutorial => &[],
            Self::Cxone => &["log_out_agent", "disable_access_key"],
            Self::Genesys => &["revoke_tokens"],
        }
    }

    /// The reads of a run in which nothing goes wrong.
    pub(crate) const fn reads(self) -> &'static [&'static str] {
        match self {
            Self::Tutorial => &["get_user", "get_routing_profile", "get_scim_user"],
            Self::Cxone => &[
                "get_user",
                "get_agent",
                "list_skills",
                "list_groups",
                "search_teams",
                "list_access_keys",
                "list_completed_contacts",
            ],
            Self::Genesys => &[
                "get_user",
                "list_queues",
                "list_skills",
                "query_conversations",
            ],
        }
    }

    /// All operations of a run that write.
    pub(crate) fn writes(self) -> Vec<&'static str> {
        let delete = matches!(self, Self::Tutorial | Self::Genesys).then_some("delete_user");
        let deactivate = std::iter::once(self.deactivation());
        let routing = self.routing_writes().iter().copied();
        let access = self.access_writes().iter().copied();
        routing
            .chain(deactivate)
            .chain(access)
            .chain(delete)
            .collect()
    }
}
