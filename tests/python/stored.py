"""What a prefix of a bucket holds, beside what is in the objects.

stored.py s3://bucket/prefix/   {"uploads": [key of an open multipart upload, …], "written": {key: time of its oldest version}}

Keys are without the prefix; times are RFC 3339 in UTC with nine digits after the second.
"""

import json
import sys
import urllib.parse

import boto3
from botocore.config import Config


def main():
    url = urllib.parse.urlsplit(sys.argv[1])
    place = {"Bucket": url.netloc, "Prefix": url.path.lstrip("/")}
    client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))

    def all_of(operation, member):
        return [one for page in client.get_paginator(operation).paginate(**place) for one in page.get(member, [])]

    written = {}
    for one in all_of("list_object_versions", "Versions"):
        key = one["Key"].removeprefix(place["Prefix"])
        time = one["LastModified"].strftime("%Y-%m-%dT%H:%M:%S.%f000")
        written[key] = min(time, written.get(key, time))
    uploads = [one["Key"].removeprefix(place["Prefix"]) for one in all_of("list_multipart_uploads", "Uploads")]
    print(json.dumps({"uploads": uploads, "written": written}))


main()
