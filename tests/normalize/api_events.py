"""CloudTrail events for tests, and what becomes of them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from cloudfront_ecs.decoders.cloudtrail import CloudTrailDecoder, CloudTrailOptions
from normalize.converting import convert

if TYPE_CHECKING:
    from cloudfront_ecs import Origin
    from normalize.converting import Outcome

DISTRIBUTION = "EDFDVBD6EXAMPLE"
TENANT = "dt_2wjDZi3hD1ivOXf6rpZJO1AB"
ARN = f"arn:aws:cloudfront::111122223333:distribution/{DISTRIBUTION}"
STORE = "arn:aws:cloudfront::111122223333:key-value-store/0a1b2c3d-0000-4000-8000-00000000000a"
ACL = "arn:aws:wafv2:us-east-1:111122223333:global/webacl/edge-acl/0a1b2c3d-0000-4000-8000-0001"
SMITH = {
    "type": "IAMUser",
    "principalId": "AIDAEXAMPLE0000000001",
    "arn": "arn:aws:iam::111122223333:user/smith",
    "accountId": "111122223333",
    "accessKeyId": "AKIAIOSFODNN7EXAMPLE",
    "userName": "smith",
}


def event(name: str = "UpdateDistribution", /, **members: Any) -> dict[str, Any]:
    """Return an event of an IAM user's call; a member given as None is left out."""
    whole = {
        "eventVersion": "1.11",
        "userIdentity": SMITH,
        "eventTime": "2026-01-15T20:01:07Z",
        "eventSource": "cloudfront.amazonaws.com",
        "eventName": name,
        "awsRegion": "us-east-1",
        "sourceIPAddress": "192.0.2.10",
        "userAgent": "aws-cli/2.30.0",
        "requestParameters": {},
        "eventID": "5ab02562-0fc5-43d0-b7b6-902930000001",
        **members,
    }
    return {member: value for member, value in whole.items() if value is not None}


def called(name: str, /, request: Any = None, response: Any = None, **members: Any) -> Any:
    """Return an event with its parameters."""
    return event(name, requestParameters=request, responseElements=response, **members)


def converted(*events: object, origin: Origin | None = None, original: bool = False) -> Outcome:
    """Convert events, one a line."""
    data = "".join(f"{json.dumps(one, separators=(',', ':'))}\n" for one in events).encode()
    decoder = CloudTrailDecoder(CloudTrailOptions())
    return convert(data, decoder=decoder, origin=origin, original=original)


def body(one: object) -> dict[str, Any]:
    """Return the one document of an event, flat."""
    outcome = converted(one)
    assert outcome.rejects == []
    [found] = outcome.bodies
    return found


def nested(one: object, *path: str) -> Any:
    """Return what stands at *path* in the one document of an event, as JSON has it."""
    [document] = converted(one).documents
    found = msgspec.json.decode(msgspec.json.encode(document.body))
    for name in path:
        found = found[name]
    return found
