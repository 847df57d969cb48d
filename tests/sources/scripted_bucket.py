"""A bucket in memory that answers as S3's client does, with small pages and no waiting."""

from __future__ import annotations

from bisect import bisect_right
from hashlib import md5
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from botocore.response import StreamingBody

if TYPE_CHECKING:
    from collections.abc import Callable

import io


class ScriptedBucket:
    """The few calls of a boto3 client for S3 that listing mode makes.

    Attributes:
        requests: What was asked of ``list_objects_v2``.
        before_list: Called before each listing; may wait or raise.
    """

    meta = SimpleNamespace(partition="aws")

    def __init__(self, page: int = 1000) -> None:
        self.page = page
        self.held: dict[str, bytes] = {}
        self.requests: list[dict[str, Any]] = []
        self.before_list: Callable[[], None] = lambda: None

    def put(self, key: str, body: bytes) -> str:
        """Store *body* and return its ETag."""
        self.held[key] = body
        return self.etag(key)

    def etag(self, key: str) -> str:
        return md5(self.held[key], usedforsecurity=False).hexdigest()

    def list_objects_v2(self, **request: Any) -> dict[str, Any]:
        self.requests.append(request)
        self.before_list()
        keys = sorted(
            (key for key in self.held if key.startswith(request["Prefix"])), key=str.encode
        )
        first = bisect_right([key.encode() for key in keys], request.get("StartAfter", "").encode())
        listed = keys[first : first + self.page]
        return {
            "Contents": [
                {"Key": key, "ETag": f'"{self.etag(key)}"', "Size": len(self.held[key])}
                for key in listed
            ],
            "IsTruncated": first + self.page < len(keys),
        }

    def head_object(self, Bucket: str, Key: str) -> dict[str, Any]:  # noqa: N803, ARG002 - AWS's
        body = self.held[Key]
        return {"ETag": f'"{self.etag(Key)}"', "ContentLength": len(body)}

    def get_object(self, Bucket: str, Key: str, **_: Any) -> dict[str, Any]:  # noqa: N803, ARG002
        body = self.held[Key]
        return {
            "ETag": f'"{self.etag(Key)}"',
            "ContentLength": len(body),
            "Body": StreamingBody(io.BytesIO(body), len(body)),
        }

    def close(self) -> None:
        """Do nothing."""
