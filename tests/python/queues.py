"""Looks at queues from outside, and makes one.

queues.py AMQP_URL depths QUEUE...   {"queue": messages ready, or null where there is no such queue}
queues.py AMQP_URL letters QUEUE     a list of all messages in it; they stay in the queue
queues.py AMQP_URL listen QUEUE      declares a quorum queue of its own, bound to all results
queues.py AMQP_URL declare QUEUE     makes a durable classic queue; {}
"""

import datetime
import json
import sys

import pika


def depth(connection, queue):
    channel = connection.channel()
    try:
        return channel.queue_declare(queue, passive=True).method.message_count
    except pika.exceptions.ChannelClosedByBroker as closed:
        if closed.reply_code != 404:
            raise
        return None


def plain(value):
    """A property or header value as JSON has it."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


def letters(connection, queue):
    """What is fetched and not acknowledged goes back when the channel closes."""
    channel = connection.channel()
    found = []
    while True:
        method, properties, body = channel.basic_get(queue)
        if method is None:
            return found
        known = {name: plain(value) for name, value in vars(properties).items() if value is not None}
        headers = known.pop("headers", {})
        found.append(
            {
                "body": body.decode(errors="replace"),
                "headers": headers,
                "properties": known,
                "exchange": method.exchange,
                "routingKey": method.routing_key,
            }
        )


def listen(connection, queue):
    channel = connection.channel()
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    channel.queue_bind(queue, "offboarding.events", "user.#")


def main():
    url, command, *queues = sys.argv[1:]
    connection = pika.BlockingConnection(pika.URLParameters(url))
    if command == "depths":
        answer = {queue: depth(connection, queue) for queue in queues}
    elif command == "listen":
        answer = listen(connection, queues[0])
    elif command == "declare":
        connection.channel().queue_declare(queues[0], durable=True)
        answer = {}
    else:
        answer = letters(connection, queues[0])
    connection.close()
    print(json.dumps(answer))


main()
