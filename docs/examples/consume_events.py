"""Hears how off-boardings ended, and does its own work once for each event.

    pip install pika==1.4.4
    export OFFBOARDER_QUEUE_URL=amqps://hr:PASSWORD@mq-1:5671/%2f
    python consume_events.py --queue hr.offboarding-results --database results.db

Events come at least once: again after a crash of ours, of the broker's, or of a worker's. So the work and
the event's id go into one transaction, and only then the broker may forget the event. This program may be
killed at any moment; let your supervisor start it again, after a lost connection too.

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
    """A queue of our own, durable: it collects while we are away. Doing it again changes nothing."""
    dead = f"{queue}.dead"
    channel.queue_declare(dead, durable=True, arguments={"x-queue-type": "quorum"})
    arguments = {
        "x-queue-type": "quorum",
        # What we reject, and what kills us time and again, goes aside instead of blocking the rest.
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
    """Yours goes here. False if this event was here before."""
    with database:  # one transaction: the row and the id, or neither
        new = database.execute("INSERT OR IGNORE INTO seen (id) VALUES (?)", [event["id"]]).rowcount == 1
        if new:
            # Further types may come; one that you do not know is no error.
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
            print(f"put aside: {error}", file=sys.stderr)
            channel.basic_reject(method.delivery_tag, requeue=False)
            continue
        new = work(database, event)
        # Not before the work is stored: what is not acknowledged comes again.
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
    parser = argparse.ArgumentParser(description="Hears how off-boardings ended.")
    parser.add_argument("--queue", default="hr.offboarding-results")
    parser.add_argument("--database", default="results.db", help="an SQLite file")
    parser.add_argument("--count", type=int, help="stop after so many new events; 0 declares the queue alone")
    arguments = parser.parse_args()
    url = os.environ.get("OFFBOARDER_QUEUE_URL") or parser.error("OFFBOARDER_QUEUE_URL is not set")
    database = sqlite3.connect(arguments.database)
    database.execute("CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY)")
    database.execute("CREATE TABLE IF NOT EXISTS results (user_id TEXT, type TEXT, time TEXT, data TEXT)")
    try:
        connection = pika.BlockingConnection(pika.URLParameters(url))
        channel = connection.channel()
        declare(channel, arguments.queue)
        channel.basic_qos(prefetch_count=1)  # an event that kills us counts no delivery for others
        if arguments.count != 0:
            consume(channel, arguments.queue, database, arguments.count)
        connection.close()
    except (AMQPError, OSError) as error:
        sys.exit(f"{error!r}; nothing is lost, start again")


main()
