"""Requests the off-boarding of users: one confirmed, mandatory message for each.

    pip install pika==1.4.4
    export OFFBOARDER_QUEUE_URL=amqps://hr:PASSWORD@mq-1:5671/%2f
    python publish.py --batch-id 2026-11 --requested-by hr USER_ID...

Prints the IDs that the broker has stored. If it ends with 1, publish the others again. A duplicate does no
harm: a user is off-boarded once.
"""

import argparse
import datetime
import json
import os
import sys
import uuid

import pika
from pika.exceptions import AMQPError, NackError, UnroutableError


def message(user_id, arguments):
    body = {
        "userId": str(user_id),
        "batchId": arguments.batch_id,
        "requestedBy": arguments.requested_by,
        "requestedAt": datetime.datetime.now(datetime.timezone.utc).isoformat(),
    }
    # Leave out members without a value.
    return json.dumps({name: value for name, value in body.items() if value is not None})


def publish(channel, user_id, arguments):
    properties = pika.BasicProperties(
        content_type="application/json",
        delivery_mode=pika.DeliveryMode.Persistent,
        message_id=str(uuid.uuid4()),
        # Comes back in the event about this user, for example a case number.
        correlation_id=arguments.correlation_id,
    )
    # Returns once the message is in a quorum queue, on a majority of its nodes.
    channel.basic_publish(
        "offboarding",
        "users.urgent" if arguments.urgent else "users",
        message(user_id, arguments).encode(),
        properties,
        mandatory=True,
    )


def main():
    parser = argparse.ArgumentParser(description="Requests the off-boarding of users.")
    parser.add_argument("user_id", nargs="+", type=uuid.UUID, metavar="USER_ID")
    parser.add_argument("--urgent", action="store_true", help="overtake all users who are not urgent")
    parser.add_argument("--batch-id")
    parser.add_argument("--requested-by")
    parser.add_argument("--correlation-id")
    arguments = parser.parse_args()
    url = os.environ.get("OFFBOARDER_QUEUE_URL") or parser.error("OFFBOARDER_QUEUE_URL is not set")
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        channel = connection.channel()
        channel.confirm_delivery()
        for user_id in arguments.user_id:
            publish(channel, user_id, arguments)
            print(user_id, flush=True)
        connection.close()
    except UnroutableError:
        # No queue is bound to the key, and trying again does not fix that: call an operator.
        fail("returned: no queue takes this routing key; has `offboarder topology` run on this virtual host?")
    except NackError:
        fail("refused: the queue could not store the message")
    except (AMQPError, OSError) as error:
        # After a lost connection we cannot know whether the broker has the message: publish it again.
        fail(repr(error))


def fail(why):
    sys.exit(f"{why}; publish again the IDs that were not printed")


main()
