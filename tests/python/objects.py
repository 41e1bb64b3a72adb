"""What somebody else does to the objects under a prefix, behind the worker's back.

objects.py s3://bucket/prefix/ abort          ends every open multipart upload; {"aborted": count}
objects.py s3://bucket/prefix/ parts          {"parts": how many parts the open uploads have}
objects.py s3://bucket/prefix/ delete KEY     a delete marker; {}
objects.py s3://bucket/prefix/ put KEY TEXT   a new version; {}
objects.py s3://bucket/prefix/ text KEY       {"text": of the latest version}
objects.py s3://bucket/prefix/ sha256 KEY     {"sha256": of the latest version, or null}
objects.py s3://bucket/prefix/ flip KEY       a new version with one bit of its middle byte flipped; {}
objects.py s3://bucket/prefix/ copy FROM KEY  a new version with the bytes of another object; {}
objects.py s3://bucket/prefix/ destroy KEY    removes every version and delete marker; {}
objects.py s3://bucket/prefix/ unlock KEY     shortens the retention of the latest version to a minute; {}
objects.py s3://bucket/prefix/ bucket         makes the bucket, without Object Lock; {}
objects.py s3://bucket/prefix/ download DIR   the latest version of everything; {"files": count}

Keys are without the prefix.
"""

import datetime
import hashlib
import json
import os
import sys
import urllib.parse

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError


def main():
    url = urllib.parse.urlsplit(sys.argv[1])
    bucket, prefix = url.netloc, url.path.lstrip("/")
    client = boto3.client("s3", config=Config(s3={"addressing_style": "path"}))
    verb, *rest = sys.argv[2:]

    def uploads():
        listed = client.list_multipart_uploads(Bucket=bucket, Prefix=prefix).get("Uploads", [])
        return [{"Bucket": bucket, "Key": one["Key"], "UploadId": one["UploadId"]} for one in listed]

    if verb == "abort":
        open_ones = uploads()
        for one in open_ones:
            client.abort_multipart_upload(**one)
        return {"aborted": len(open_ones)}
    if verb == "parts":
        return {"parts": sum(len(client.list_parts(**one).get("Parts", [])) for one in uploads())}
    if verb == "bucket":
        client.create_bucket(Bucket=bucket)
        return {}
    if verb == "download":
        listed = client.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        for one in listed:
            path = os.path.join(rest[0], one["Key"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            client.download_file(bucket, one["Key"], path)
        return {"files": len(listed)}
    place = {"Bucket": bucket, "Key": prefix + rest[0]}
    if verb == "delete":
        client.delete_object(**place)
        return {}
    if verb == "put":
        client.put_object(**place, Body=rest[1].encode(), ChecksumAlgorithm="SHA256")
        return {}
    if verb in ("flip", "copy"):
        place = {"Bucket": bucket, "Key": prefix + rest[-1]}
        body = bytearray(client.get_object(Bucket=bucket, Key=prefix + rest[0])["Body"].read())
        if verb == "flip":
            body[len(body) // 2] ^= 1
        client.put_object(**place, Body=bytes(body), ChecksumAlgorithm="SHA256")
        return {}
    if verb == "destroy":
        page = client.list_object_versions(Bucket=bucket, Prefix=prefix + rest[0])
        for one in page.get("Versions", []) + page.get("DeleteMarkers", []):
            client.delete_object(**place, VersionId=one["VersionId"], BypassGovernanceRetention=True)
        return {}
    if verb == "unlock":
        soon = datetime.datetime.now(datetime.UTC) + datetime.timedelta(minutes=1)
        lock = {"Mode": "GOVERNANCE", "RetainUntilDate": soon}
        client.put_object_retention(**place, Retention=lock, BypassGovernanceRetention=True)
        return {}
    if verb == "text":
        return {"text": client.get_object(**place)["Body"].read().decode()}
    assert verb == "sha256", verb
    try:
        return {"sha256": hashlib.sha256(client.get_object(**place)["Body"].read()).hexdigest()}
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchKey":
            raise
        return {"sha256": None}


print(json.dumps(main()))
