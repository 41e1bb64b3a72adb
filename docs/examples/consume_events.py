"""Consumes the results of off-boardings, and does its own work once for each event.

    pip install pika==1.4.4
    export OFFBOARDER_QUEUE_URL=amqps://hr:PASSWORD@mq-1:5671/%2f
    python consume_events.py --queue hr.offboarding-results --database results.db

Events come at least once: again after a crash of this program, of the broker, or of a worker. So the work
and the event's id go into one transaction, and the acknowledgement follows it. This program may be killed at
any moment; let your supervisor start it again, also after a lost connection.

Prints each new event as a line of JSON.
"""

import argparse
import json
import os
import sqlite3
import sys

import pika
from pika.exceptions import AMQPError


def declare(channel, queue):
    """A durable queue of our own: it collects events while this program is down. Declaring it again changes nothing."""
    dead = f"{queue}.dead"
    channel.queue_declare(dead, durable=True, arguments={"x-queue-type": "quorum"})
    arguments = {
        "x-queue-type": "quorum",
        # Events that we reject, or that crash us repeatedly, go to the dead queue and do not block the rest.
        "x-delivery-limit": 20,
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": dead,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    channel.queue_declare(queue, durable=True, arguments=arguments)
    channel.queue_bind(queue, "offboarding.events", "user.#")


def read(body):
    """The event, or a ValueError."""
    event = json.loads(body)
    if isinstance(event, dict) and all(isinstance(event.get(name), str) for name in ("id", "type", "time")):
        return event
    raise ValueError("no CloudEvent")


def work(database, event):
    """Your own work goes here. False if this event was processed before."""
    with database:  # one transaction: the row and the id, or neither
        new = database.execute("INSERT OR IGNORE INTO seen (id) VALUES (?)", [event["id"]]).rowcount == 1
        if new:
            # New types may come; an unknown one is not an error.
            database.execute(
                "INSERT INTO results (user_id, type, time, data) VALUES (?, ?, ?, ?)",
                [event.get("subject"), event["type"], event["time"], json.dumps(event.get("data"))],
            )
    return new


def consume(channel, queue, database, count):
    for method, _, body in channel.consume(queue):
        try:
            event = read(body)
        except ValueError as error:
            print(f"moved to the dead queue: {error}", file=sys.stderr)
            channel.basic_reject(method.delivery_tag, requeue=False)
            continue
        new = work(database, event)
        # Only after the work is stored: an event that is not acknowledged comes again.
        channel.basic_ack(method.delivery_tag)
        if new:
            print(json.dumps(event), flush=True)
            count = None if count is None else count - 1
        else:
            print(f"seen before: {event['id']}", file=sys.stderr)
        if count == 0:
            return
    sys.exit("the broker ended the subscription: was the queue deleted?")


def main():
    parser = argparse.ArgumentParser(description="Consumes the results of off-boardings.")
    parser.add_argument("--queue", default="hr.offboarding-results")
    parser.add_argument("--database", default="results.db", help="an SQLite file")
    parser.add_argument("--count", type=int, help="stop after this number of new events; 0 only declares the queue")
    arguments = parser.parse_args()
    url = os.environ.get("OFFBOARDER_QUEUE_URL") or parser.error("OFFBOARDER_QUEUE_URL is not set")
    database = sqlite3.connect(arguments.database)
    database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
    database.execute("CREATE TABLE IF NOT EXISTS results (user_id TEXT, type TEXT, time TEXT, data TEXT)")
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        channel = connection.channel()
        declare(channel, arguments.queue)
        channel.basic_qos(prefetch_count=1)  # so that a crash counts a delivery only for the event that caused it
        if arguments.count != 0:
            consume(channel, arguments.queue, database, arguments.count)
        connection.close()
    except (AMQPError, OSError) as error:
        sys.exit(f"{error!r}; nothing is lost; start the program again")


main()
