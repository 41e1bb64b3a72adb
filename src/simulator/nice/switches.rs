//! What no public source says of NICE's API. The first value of each is what the document makes likely.

use crate::simulator::unknowns::Switch;

/// The sentences of `x-unknown` are the document's, word for word: a test compares them.
pub(in crate::simulator) const SWITCHES: &[Switch] = &[
    Switch {
        name: "client",
        operation: "getToken",
        values: &["required", "optional", "refused"],
        sentence: "whether a confidential client that is registered for the tenant alone is let in by every issuer",
    },
    Switch {
        name: "key_of_deactivated_owner",
        operation: "getToken",
        values: &["400", "401"],
        sentence: "the error for a key whose owner is deactivated",
    },
    Switch {
        name: "claim_sub",
        operation: "getToken",
        values: &["uuid", "prefixed"],
        sentence: "the form of the claim sub: the owner's UUID, or that behind `user:`",
    },
    Switch {
        name: "claim_ic_agent_id",
        operation: "getToken",
        values: &["number", "text"],
        sentence: "the type of the claim icAgentId",
    },
    Switch {
        name: "apiversion_body",
        operation: "getApiVersion",
        values: &["object", "text", "empty"],
        sentence: "what the body looks like",
    },
    Switch {
        name: "version_not_served",
        operation: "getApiVersion",
        values: &["404", "400", "410"],
        sentence: "the status for a version that is not served: 404 is likely",
    },
    Switch {
        name: "unknown_user",
        operation: "getUser",
        values: &["404", "200_empty", "400"],
        sentence: "the answer for a userId that nobody has: 404, or 200 with no member user, or 400",
    },
    Switch {
        name: "deactivated_user",
        operation: "getUser",
        values: &["deleted", "404"],
        sentence: "the answer for a deactivated employee: 200 with status DELETED and deletedDate (the reading of includeDeleted of the list), or 404",
    },
    Switch {
        name: "no_agent",
        operation: "getAgent",
        values: &["404", "204", "200_empty"],
        sentence: "204 or 404 for a user that is no agent: both are taken for 'no agent'",
    },
    Switch {
        name: "agent_of_inactive",
        operation: "getAgent",
        values: &["shown", "404", "204", "200_empty", "404_and_no_acd_info"],
        sentence: "whether an inactive agent is still found",
    },
    Switch {
        name: "no_rows",
        operation: "listSkills, listGroups, listAccessKeys, listCompletedContacts",
        values: &["204", "200"],
        sentence: "204, or 200 with an empty list, where there is nothing",
    },
    Switch {
        name: "skill_page_size",
        operation: "listSkills",
        values: &["100", "2", "1"],
        sentence: "the default page size; the client follows _links.next and compares with totalRecords",
    },
    Switch {
        name: "remove_skill_success",
        operation: "removeSkill",
        values: &["200", "202", "204"],
        sentence: "status and body of success (any 2xx is taken, and the list is read again)",
    },
    Switch {
        name: "remove_skill_absent",
        operation: "removeSkill",
        values: &["404", "success"],
        sentence: "404 or 2xx where the skill was not assigned",
    },
    Switch {
        name: "remove_skill_inactive",
        operation: "removeSkill",
        values: &["success", "400"],
        sentence: "whether it is refused for an inactive agent",
    },
    Switch {
        name: "remove_from_group_absent",
        operation: "removeFromGroup",
        values: &["failure", "success"],
        sentence: "whether it is a failure within the 200 where the agent is not in the group",
    },
    Switch {
        name: "deactivate_ends",
        operation: "deactivateUsers",
        values: &["nothing", "sessions", "keys", "all"],
        sentence: "whether it ends sessions, revokes tokens and disables access keys (the profile does each by itself)",
    },
    Switch {
        name: "deactivate_idp",
        operation: "deactivateUsers",
        values: &["listed", "400", "403"],
        sentence: "whether an employee whose identity an IdP manages is refused by status or by notDeletedUserIds",
    },
    Switch {
        name: "deactivate_repeat",
        operation: "deactivateUsers",
        values: &["success", "listed", "400", "404"],
        sentence: "whether repeating it for a deactivated employee is a success",
    },
    Switch {
        name: "deactivate_done",
        operation: "deactivateUsers",
        values: &["at_once", "later"],
        sentence: "whether it is done when it answers (the profile reads until the status shows)",
    },
    Switch {
        name: "logout_no_session",
        operation: "logOutAgent",
        values: &["200", "202", "204", "404", "409"],
        sentence: "the status where the agent has no session; any of 200, 202, 204, 404, 409 is taken",
    },
    Switch {
        name: "longest_window",
        operation: "listCompletedContacts",
        values: &["none", "31d", "30d", "7d", "1d"],
        sentence: "how far back it reaches and how long a window may be (clients ask for 7 to 30 days; one sample for a year)",
    },
    Switch {
        name: "reach",
        operation: "listCompletedContacts",
        values: &["all", "90d", "90d_refused"],
        sentence: "how far back it reaches and how long a window may be (clients ask for 7 to 30 days; one sample for a year)",
    },
    Switch {
        name: "contacts_late",
        operation: "listCompletedContacts",
        values: &["none", "2s", "30m"],
        sentence: "how late a contact appears after its end; no watermark is published",
    },
    Switch {
        name: "inactive_rows",
        operation: "listCompletedContacts",
        values: &["given", "nothing", "404"],
        sentence: "whether an inactive agent's rows are still given",
    },
    Switch {
        name: "unseen_team",
        operation: "listCompletedContacts",
        values: &["403", "fewer_rows"],
        sentence: "what a token without the right to see the agent's team gets: 403, or fewer rows",
    },
    Switch {
        name: "contacts_of_nobody",
        operation: "listCompletedContacts",
        values: &["nothing", "404", "400"],
        sentence: "the answer for an agentId that nobody has",
    },
];
