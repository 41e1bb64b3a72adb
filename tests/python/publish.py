"""Publishes the messages of standard input, as a foreign system would.

publish.py AMQP_URL < JSON lines of {"body": text, "key": routing key, "headers": {…}, "properties": {…},
                                     "exchange": `offboarding` unless given, "size": bytes of the body, padded by spaces,
                                     "nested": arrays within each other in a header, "header": bytes of a header,
                                     "notUtf8": a correlation ID of other bytes}

Every message is mandatory and confirmed, and sent again over a new connection where the broker closed the one that it was sent
over, for as long as a minute. Prints {"published": n, "unroutable": [line, …]}.
"""

import json
import struct
import sys
import time

import pika

PATIENCE_SECONDS = 60


class Raw(pika.BasicProperties):
    """Properties that pika would not encode."""

    def __init__(self, message):
        super().__init__()
        self.table = b""
        levels = message.get("nested", 0)
        if levels:
            self.table += b"\x01n" + b"".join(
                b"A" + struct.pack(">I", 5 * (levels - level - 1)) for level in range(levels)
            )
        if message.get("header"):
            self.table += b"\x01h" + b"S" + struct.pack(">I", message["header"]) + b"x" * message["header"]
        self.correlation = b"\xff\xfe" if message.get("notUtf8") else b"c-1"

    def encode(self):
        table = struct.pack(">I", len(self.table)) + self.table
        correlation = bytes([len(self.correlation)]) + self.correlation
        return [struct.pack(">H", 0x3400), table, b"\x02", correlation]


class Publisher:
    """A channel with confirms, opened again when its connection breaks."""

    def __init__(self, url):
        self.url = url
        self.open()

    def open(self):
        self.connection = pika.BlockingConnection(pika.URLParameters(self.url))
        self.channel = self.connection.channel()
        self.channel.confirm_delivery()

    def publish(self, *message):
        given_up_at = time.monotonic() + PATIENCE_SECONDS
        while True:
            try:
                if self.connection.is_closed:
                    self.open()
                return self.channel.basic_publish(*message, mandatory=True)
            except pika.exceptions.AMQPConnectionError:
                if time.monotonic() > given_up_at:
                    raise
                time.sleep(0.2)


def main():
    publisher = Publisher(sys.argv[1])
    published, unroutable = 0, []
    for number, line in enumerate(sys.stdin):
        message = json.loads(line)
        if message.keys() & {"nested", "header", "notUtf8"}:
            properties = Raw(message)
        else:
            properties = pika.BasicProperties(
                delivery_mode=2, headers=message.get("headers"), **message.get("properties", {})
            )
        try:
            publisher.publish(
                message.get("exchange", "offboarding"),
                message.get("key", "users"),
                message["body"].encode().ljust(message.get("size", 0)),
                properties,
            )
            published += 1
        except pika.exceptions.UnroutableError:
            unroutable.append(number)
    publisher.connection.close()
    print(json.dumps({"published": published, "unroutable": unroutable}))


main()
