"""Publishes the messages of standard input, as a foreign system would.

publish.py AMQP_URL < JSON lines of {"body": text, "key": routing key, "headers": {…}, "properties": {…},
                                     "exchange": `offboarding` unless given, "size": bytes of the body, padded by spaces,
                                     "nested": arrays within each other in a header, "header": bytes of a header,
                                     "notUtf8": a correlation ID of other bytes}

Every message is mandatory and confirmed. Prints {"published": n, "unroutable": [line, …]}.
"""

import json
import struct
import sys

import pika


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


def main():
    connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
    channel = connection.channel()
    channel.confirm_delivery()
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
            channel.basic_publish(
                message.get("exchange", "offboarding"),
                message.get("key", "users"),
                message["body"].encode().ljust(message.get("size", 0)),
                properties,
                mandatory=True,
            )
            published += 1
        except pika.exceptions.UnroutableError:
            unroutable.append(number)
    connection.close()
    print(json.dumps({"published": published, "unroutable": unroutable}))


main()
