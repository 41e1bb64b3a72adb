"""Publishes what Kombu and Celery publish by default, about the user of standard input.

kombu_defaults.py AMQP_URL < USER_ID

Prints {"published": n}.
"""

import datetime
import json
import sys
import uuid

from celery import Celery
from kombu import Connection


def main():
    url, user_id = sys.argv[1], sys.stdin.read().strip()
    app = Celery("hr", broker=url)
    app.send_task("hr.leave", [user_id], exchange="offboarding", routing_key="users", ignore_result=True)
    now = datetime.datetime.now(datetime.timezone.utc)
    with Connection(url, transport_options={"confirm_publish": True}) as connection:
        producer = connection.Producer()
        for body in ({"userId": uuid.UUID(user_id)}, {"userId": user_id, "requestedAt": now}):
            producer.publish(body, exchange="offboarding", routing_key="users", mandatory=True)
    print(json.dumps({"published": 3}))


main()
