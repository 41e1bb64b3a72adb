//! What no public source says of Genesys Cloud, and where its document allows several answers.

use super::super::unknowns::Switch;

pub(in super::super) const SWITCHES: &[Switch] = &[
    Switch {
        name: "own_grants",
        operation: "getOwnGrants",
        values: &["answers", "forbidden", "not_found", "bad_request"],
        sentence: "whether it answers for a client-credentials token (it speaks of the authenticated user); if not, the 403 of each read tells",
    },
    Switch {
        name: "limit_namespaces",
        operation: "getLimits",
        values: &["as_in_the_examples", "others"],
        sentence: "the names of the namespaces; `GET /api/v2/organizations/limits/namespaces` lists them",
    },
    Switch {
        name: "delete_answer",
        operation: "deleteUser",
        values: &["ok", "no_content", "accepted"],
        sentence: "200 with an empty object (SDK) or 204 (one forum): both are taken",
    },
    Switch {
        name: "repeated_delete",
        operation: "deleteUser",
        values: &["not_found", "ok", "conflict"],
        sentence: "a repeated DELETE: 404 is likely",
    },
    Switch {
        name: "unseen_divisions",
        operation: "listQueues",
        values: &["left_out", "listed"],
        sentence: "whether queues of divisions that the client does not see are left out (likely: the grant is per division)",
    },
    Switch {
        name: "group_queues",
        operation: "listQueues",
        values: &["listed", "left_out"],
        sentence: "whether a membership that comes from a group is listed here (likely)",
    },
    Switch {
        name: "remove_group_member",
        operation: "removeFromQueue",
        values: &["bad_request", "not_found", "conflict", "stays"],
        sentence: "the answer for a membership that comes from a group: a 4xx, or a success after which it is listed still",
    },
    Switch {
        name: "leave_rule_group",
        operation: "leaveGroup",
        values: &["bad_request", "forbidden", "conflict", "stays"],
        sentence: "the answer for a group whose members a rule selects: a 4xx is taken for 'derived', which stays as a residual",
    },
    Switch {
        name: "revoke_without_tokens",
        operation: "revokeTokens",
        values: &["done", "not_found"],
        sentence: "404 for a user without tokens: taken for done",
    },
    Switch {
        name: "longest_interval",
        operation: "queryConversations",
        values: &["7_days", "31_days"],
        sentence: "the longest interval: 7 days (splunk CHANGELOG.md:31 quotes the 400; Estuary's connector) or 31 days (conversations_details_helper.py:118-120); doctor asks with the configured window for a user that nobody is",
    },
    Switch {
        name: "matching_roles",
        operation: "queryConversations",
        values: &["every", "participants", "agent"],
        sentence: "whether userId matches every role of the user: agent, monitor, coach (each is a participant), and assigner (which is a member of a session)",
    },
    Switch {
        name: "deleted_users_conversations",
        operation: "queryConversations",
        values: &["found", "left_out"],
        sentence: "whether a deleted user's conversations are still found by userId",
    },
    // What the document and the facts leave open beside those.
    Switch {
        name: "grant_divisions",
        operation: "getOwnGrants",
        values: &["all", "one"],
        sentence: "the divisions for which the roles are granted",
    },
    Switch {
        name: "token_refusal",
        operation: "getToken",
        values: &["400", "401"],
        sentence: "the status for a wrong client or secret",
    },
    Switch {
        name: "expand",
        operation: "getUser",
        values: &["given", "missing"],
        sentence: "what is expanded is best effort",
    },
    Switch {
        name: "version_conflict",
        operation: "setUserState",
        values: &["409", "400"],
        sentence: "the status for another version than the current one",
    },
    Switch {
        name: "remove_from_queue_answer",
        operation: "removeFromQueue",
        values: &["no_content", "ok", "accepted"],
        sentence: "taken, or will be taken",
    },
    Switch {
        name: "leave_group_answer",
        operation: "leaveGroup",
        values: &["accepted", "ok", "no_content"],
        sentence: "done, or will be done",
    },
    Switch {
        name: "leave_foreign_group",
        operation: "leaveGroup",
        values: &["done", "not_found", "bad_request"],
        sentence: "the answer for a group that the user is not in",
    },
    Switch {
        name: "leave_team_answer",
        operation: "leaveTeam",
        values: &["no_content", "ok"],
        sentence: "done, with or without a body",
    },
    Switch {
        name: "revoke_answer",
        operation: "revokeTokens",
        values: &["ok", "no_content", "accepted"],
        sentence: "revoked, or will be revoked",
    },
    Switch {
        name: "no_conversations",
        operation: "queryConversations",
        values: &["missing", "null", "empty"],
        sentence: "the member `conversations` where there are none",
    },
    Switch {
        name: "conversations_late",
        operation: "queryConversations",
        values: &["no", "2s", "10m"],
        sentence: "how long after the deactivation the newest conversation appears",
    },
    Switch {
        name: "interval_matching",
        operation: "queryConversations",
        values: &["touched_days", "last_day_too", "active_within"],
        sentence: "conversations that started on a day that the interval touches: all of them; a day at whose midnight it ends, too; or only those that were active within it",
    },
];
