"""Requests the off-boarding of users with Kombu, alone or in a Celery application.

    pip install kombu==5.7.0          # or celery==5.7.0, which brings it
    export OFFBOARDER_QUEUE_URL=amqps://hr:PASSWORD@mq-1:5671/%2f
    python publish_kombu.py [--celery] USER_ID...

Prints the IDs that the broker has stored. If it ends with 1, publish the others again.
"""

import json
import os
import sys

# Without this a publish returns before the broker has the message.
CONFIRM = {"confirm_publish": True}


def publish(producer, user_id):
    returned = []
    producer.publish(
        # A text, and not a dict: Kombu's own serializer writes a UUID or a datetime as an object.
        json.dumps({"userId": user_id, "requestedBy": "hr"}),
        exchange="offboarding",  # the name: an Exchange would be declared, which needs more rights
        routing_key="users",
        content_type="application/json",
        content_encoding="utf-8",
        delivery_mode="persistent",
        mandatory=True,
        on_return=lambda error, *_: returned.append(error),
    )
    if returned:
        raise RuntimeError(f"no queue takes this routing key; has `offboarder topology` run? {returned[0]}")


def producer(url, celery):
    if celery:
        from celery import Celery

        app = Celery("hr", broker=url)
        app.conf.broker_transport_options = CONFIRM
        # The producer of the application's own connection; not a task, whose body nobody here could read.
        return app.producer_pool.acquire(block=True)
    from kombu import Connection

    return Connection(url, transport_options=CONFIRM).Producer()


def main():
    user_ids = [argument for argument in sys.argv[1:] if argument != "--celery"]
    with producer(os.environ["OFFBOARDER_QUEUE_URL"], "--celery" in sys.argv) as one:
        for user_id in user_ids:
            publish(one, user_id)
            print(user_id, flush=True)


try:
    main()
except Exception as error:  # after a lost connection nobody knows whether the broker has the message
    sys.exit(f"{error!r}; publish again the IDs that were not printed")
