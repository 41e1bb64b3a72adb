//! The queues that jobs come from.

use super::Lane;

/// A queue that workers take jobs from; `ALL` has them in order of priority.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Source {
    /// `offboarding.users.urgent`.
    UsersUrgent,
    /// `offboarding.users`.
    Users,
    /// `offboarding.archive.urgent`.
    ArchiveUrgent,
    /// `offboarding.archive`.
    Archive,
}

impl Source {
    pub(crate) const ALL: [Self; 4] = [
        Self::UsersUrgent,
        Self::Users,
        Self::ArchiveUrgent,
        Self::Archive,
    ];

    pub(crate) const fn queue(self) -> &'static str {
        match self {
            Self::UsersUrgent => "offboarding.users.urgent",
            Self::Users => "offboarding.users",
            Self::ArchiveUrgent => "offboarding.archive.urgent",
            Self::Archive => "offboarding.archive",
        }
    }

    /// The routing key that leads to it.
    pub(crate) const fn routing_key(self) -> &'static str {
        match self {
            Self::UsersUrgent => "users.urgent",
            Self::Users => "users",
            Self::ArchiveUrgent => "archive.urgent",
            Self::Archive => "archive",
        }
    }

    /// Which part of the work its deliveries ask for.
    pub(crate) const fn lane(self) -> Lane {
        match self {
            Self::UsersUrgent | Self::Users => Lane::Access,
            Self::ArchiveUrgent | Self::Archive => Lane::Archive,
        }
    }

    /// The queue that takes the job once the access is removed.
    #[must_use]
    pub(crate) const fn after_access(self) -> Self {
        match self {
            Self::UsersUrgent | Self::ArchiveUrgent => Self::ArchiveUrgent,
            Self::Users | Self::Archive => Self::Archive,
        }
    }
}
