/// The members of a message besides the user (see the message schema), and what each must be.
pub(super) const MEMBERS: [(&str, &str); 6] = [
    (
        "batchId",
        "1 to 128 ASCII letters, digits, '.', '_', ':' or '-'",
    ),
    ("action", "delete or deactivate"),
    ("deleteAfter", "a time, e.g. 2026-12-31T00:00:00Z"),
    ("requestedBy", "text of at most 256 characters"),
    ("reason", "text of at most 1024 characters"),
    ("requestedAt", "a time, e.g. 2026-12-31T00:00:00Z"),
];
