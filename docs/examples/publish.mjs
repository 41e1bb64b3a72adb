// Requests the off-boarding of users: one confirmed, mandatory message for each.
//
//   npm install amqplib@2.3.1
//   export OFFBOARDER_QUEUE_URL=amqps://hr:PASSWORD@mq-1:5671/%2f
//   node publish.mjs --batch-id 2026-11 --requested-by hr USER_ID...
//
// Prints the IDs that the broker has stored. If it ends with 1, publish the others again. A duplicate does
// no harm: a user is off-boarded once.

import { randomUUID } from "node:crypto";
import { parseArgs } from "node:util";
import amqplib from "amqplib";

const { values, positionals: userIds } = parseArgs({
  allowPositionals: true,
  options: {
    urgent: { type: "boolean", default: false },
    "batch-id": { type: "string" },
    "requested-by": { type: "string" },
    "correlation-id": { type: "string" },
  },
});
const url = process.env.OFFBOARDER_QUEUE_URL;
const uuid = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;
if (!url || userIds.length === 0 || !userIds.every((userId) => uuid.test(userId))) {
  console.error("usage: OFFBOARDER_QUEUE_URL=… node publish.mjs [--urgent] [--batch-id B] [--requested-by WHO] [--correlation-id C] USER_ID...");
  process.exit(2);
}

// JSON.stringify leaves out undefined members.
const message = (userId) =>
  JSON.stringify({
    userId,
    batchId: values["batch-id"],
    requestedBy: values["requested-by"],
    requestedAt: new Date().toISOString(),
  });

// Resolves once the message is in a quorum queue, on a majority of its nodes.
async function publish(channel, userId) {
  const messageId = randomUUID();
  const options = {
    mandatory: true,
    persistent: true,
    contentType: "application/json",
    messageId,
    // Comes back in the event about this user, for example a case number.
    correlationId: values["correlation-id"],
  };
  // The broker also confirms a message that it could not route, but returns it before that.
  let returned = false;
  const onReturn = (back) => {
    returned ||= back.properties.messageId === messageId;
  };
  channel.on("return", onReturn);
  try {
    await new Promise((resolve, reject) => {
      channel.publish("offboarding", values.urgent ? "users.urgent" : "users", Buffer.from(message(userId)), options, (error) =>
        error ? reject(error) : resolve(),
      );
    });
  } finally {
    channel.off("return", onReturn);
  }
  // No queue is bound to the key, and trying again does not fix that: call an operator.
  if (returned) throw new Error("returned: no queue takes this routing key; has `offboarder topology` run on this virtual host?");
}

let fault; // why the current publish fails
try {
  const connection = await amqplib.connect(url);
  connection.on("error", (error) => (fault = error));
  const channel = await connection.createConfirmChannel();
  channel.on("error", (error) => (fault = error));
  for (const userId of userIds) {
    await publish(channel, userId);
    console.log(userId);
  }
  await connection.close();
} catch (error) {
  // After a lost connection we cannot know whether the broker has the message: publish it again.
  const cause = fault ?? error;
  console.error(`${cause.message || cause.code}; publish again the IDs that were not printed`);
  process.exit(1);
}
