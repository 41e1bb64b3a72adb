"""Checks messages against an AsyncAPI document, with jsonschema as the validator.

check_asyncapi.py FILE < JSON list of messages: {"body", "headers", "properties", "exchange", "routingKey"}

Exchange and routing key lead to a channel; the message has to be one of that channel's: content type,
persistence, headers and payload. The document's own examples are checked too. Prints
{"examples": n, "checked": {"message": n}, "violations": [text, …]}.
"""

import json
import os
import sys

import yaml
from jsonschema import Draft202012Validator
from jsonschema.exceptions import best_match


def load(path):
    """The document with each reference replaced by what it leads to; there are no cycles in it."""
    with open(path, encoding="utf-8") as file:
        root = yaml.safe_load(file)

    def resolved(node):
        if isinstance(node, list):
            return [resolved(one) for one in node]
        if not isinstance(node, dict):
            return node
        if "$ref" not in node:
            return {name: resolved(one) for name, one in node.items()}
        file, _, pointer = node["$ref"].partition("#")
        if file:
            with open(os.path.join(os.path.dirname(path), file), encoding="utf-8") as other:
                return json.load(other)
        target = root
        for name in pointer.strip("/").split("/"):
            target = target[name]
        return resolved(target)

    return resolved(root)


def faults(schema, value, what):
    validator = Draft202012Validator(schema, format_checker=Draft202012Validator.FORMAT_CHECKER)
    worst = best_match(validator.iter_errors(value))
    return [] if worst is None else [f"{what}{worst.json_path.removeprefix('$')}: {worst.message}"]


def faults_of_example(message, example):
    return faults(message["payload"], example["payload"], "payload") + faults(
        message["headers"], example.get("headers", {}), "headers"
    )


def faults_of_message(message, delivery_modes, delivered):
    """What is wrong with a delivered message, if it is to be this one of the document."""
    body, properties = delivered["body"], delivered["properties"]
    if properties.get("content_type") != message["contentType"]:
        return [f"content type {properties.get('content_type')} instead of {message['contentType']}"]
    if message["contentType"].endswith("json"):
        try:
            body = json.loads(body)
        except ValueError as error:
            return [f"payload: {error}"]
    found = faults(message["payload"], body, "payload") + faults(message["headers"], delivered["headers"], "headers")
    if properties.get("delivery_mode") not in delivery_modes:
        found.append(f"delivery mode {properties.get('delivery_mode')}")
    if "cloudevents" in message["contentType"] and not found and properties.get("message_id") != body["id"]:
        found.append(f"message_id {properties.get('message_id')} instead of the event's id {body['id']}")
    return found


def main():
    document = load(sys.argv[1])
    examples, checked, violations = 0, {}, []
    for name, message in document["components"]["messages"].items():
        if not message.get("examples"):
            violations.append(f"{name}: no example")
        for example in message.get("examples", []):
            examples += 1
            violations += [f"example of {name}: {one}" for one in faults_of_example(message, example)]
    channels = {
        (channel["bindings"]["amqp"]["exchange"]["name"], channel["address"]): channel
        for channel in document["channels"].values()
    }
    for delivered in json.load(sys.stdin):
        place = (delivered["exchange"], delivered["routingKey"])
        channel = channels.get(place)
        if channel is None:
            violations.append(f"{place}: no such channel")
            continue
        operations = [one for one in document["operations"].values() if one["channel"] == channel]
        modes = [one["bindings"]["amqp"]["deliveryMode"] for one in operations]
        attempts = {name: faults_of_message(message, modes, delivered) for name, message in channel["messages"].items()}
        name = min(attempts, key=lambda name: len(attempts[name]))
        checked[name] = checked.get(name, 0) + 1
        violations += [f"{name} at {place}: {one}" for one in attempts[name]]
    print(json.dumps({"examples": examples, "checked": checked, "violations": violations}))


main()
