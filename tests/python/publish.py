"""Publishes what stands on standard input, as a foreign system would.

publish.py AMQP_URL < JSON lines of {"body": text, "key": routing key, "headers": {…}, "properties": {…},
                                     "exchange": `offboarding` unless said}

Every message is mandatory and confirmed. Prints {"published": n, "unroutable": [line, …]}.
"""

import json
import sys

import pika


def main():
    connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
    channel = connection.channel()
    channel.confirm_delivery()
    published, unroutable = 0, []
    for number, line in enumerate(sys.stdin):
        message = json.loads(line)
        properties = pika.BasicProperties(
            delivery_mode=2, headers=message.get("headers"), **message.get("properties", {})
        )
        try:
            channel.basic_publish(
                message.get("exchange", "offboarding"),
                message.get("key", "users"),
                message["body"].encode(),
                properties,
                mandatory=True,
            )
            published += 1
        except pika.exceptions.UnroutableError:
            unroutable.append(number)
    connection.close()
    print(json.dumps({"published": published, "unroutable": unroutable}))


main()
