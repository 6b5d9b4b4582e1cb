"""The bucket of packages and templates: each under its hash, and kept as long as a stack may need it."""

import hashlib
from collections.abc import Collection
from typing import Any

#: Packages of so many deployments are kept. A deployment renews the time of the packages that it uses, so that of the
#: version before is among them, also after a year without a deployment.
KEPT = 10


def upload(s3: Any, bucket: str, content: bytes, suffix: str) -> str:
    """Store *content* under its hash and return the key, so that unchanged content causes no update."""
    key = f"{hashlib.sha256(content).hexdigest()}.{suffix}"
    s3.put_object(Bucket=bucket, Key=key, Body=content)
    return key


def prune(s3: Any, bucket: str, used: Collection[str]) -> None:
    """Delete all but the newest `KEPT` objects of each suffix, and none of the keys *used*. Safe to repeat.

    Call after the stack has settled: until then the stack may return to the version before.
    """
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket)
    found = [item for page in pages for item in page.get("Contents", [])]
    found.sort(key=lambda item: item["LastModified"], reverse=True)
    for suffix in sorted({item["Key"].rpartition(".")[2] for item in found}):
        for item in [item for item in found if item["Key"].endswith(f".{suffix}")][KEPT:]:
            if item["Key"] not in used:
                s3.delete_object(Bucket=bucket, Key=item["Key"])
