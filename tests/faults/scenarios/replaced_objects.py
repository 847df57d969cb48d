"""Faults of objects that are replaced by others under the same key."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING

from cloudfront_ecs.demo.day import standard_file
from cloudfront_ecs.demo.render import STANDARD_HEADER
from cloudfront_ecs.sources.s3.objects import CHUNK
from faults.catalogue import fault
from faults.object_runs import Objects, flaky, numbered
from sources.s3_world import key

if TYPE_CHECKING:
    from faults.lab import Lab


@fault(
    "S7",
    "object replaced after it was read",
    made="a file is read, put again with more lines, read again, put again as it was",
    seen="each content has ids of its own; the same content put again has its old ids",
)
def replaced_after_reading(lab: Lab) -> str:
    objects = Objects(lab)
    objects.notify_queue()
    lines, _ = numbered(60, 81)
    first, second = standard_file(lines[:40]), standard_file(lines)
    seen: list[set[str]] = []
    for number, body in enumerate((first, second, first)):
        objects.store(key(0), body)
        objects.read()
        seen.append(set(objects.ids[key(0)]))
        total = (40, 100, 140)[number]
        assert len(objects.ids[key(0)]) == total, f"{len(objects.ids[key(0)])}, not {total}"
    assert len(seen[0]) == 40, f"{len(seen[0])} ids of 40 lines"
    assert len(seen[1]) == 100, f"{len(seen[1])} ids of 40 and 60 lines: the new were swallowed"
    assert seen[2] == seen[1], "the same bytes got new ids"
    return "40 + 60 lines under 100 ids; the first content put again adds none"


@fault(
    "S7",
    "object replaced while it is read",
    made="a server hangs up after 256 KiB of a body and has another content when asked again",
    seen="what was read keeps its ids; the new content is read whole, under ids of its own",
)
def replaced_while_reading(lab: Lab) -> str:
    lines, ids = numbered(1400, 82)
    former, latter = lines[:1000], lines[800:]
    header = STANDARD_HEADER.encode()
    bodies = [
        gzip.compress(header + b"".join(line + b"\n" for line in part), 0)
        for part in (former, latter)
    ]
    with flaky(lab, bodies[0], visibility_timeout=5) as (store, objects):
        store.cuts = [CHUNK + 5]
        store.overwrite_at = 2
        store.successor = ("second", bodies[1])
        objects.announce(key(0), eTag="first", size=len(bodies[0]), sequencer="01")
        objects.read()
        before = len(objects.ids[key(0)])
        objects.announce(key(0), eTag="second", size=len(bodies[1]), sequencer="02")
        objects.read()
    requests, found = objects.requests[key(0)], objects.ids[key(0)]
    old = before - len(latter)
    assert 0 < old < len(former), f"{old} lines of the former content"
    assert requests[:old] == ids[:old], "lines of the former content are wrong"
    assert requests[old:before] == ids[800:], "the new content is not whole"
    assert len(set(found)) == before, f"{len(set(found))} ids of {before} lines"
    assert not objects.letters, f"dead letters: {dict(objects.letters)}"
    again = len(found) - before
    return (
        f"{old} former lines and {len(latter)} new ones, ids apart; {again} more by the 2nd notice"
    )


@fault(
    "S7",
    "object replaced in a bucket with versions",
    made="two contents of one key, both announced with their versions before any is read",
    seen="both are read whole, under ids of their own",
)
def replaced_with_versions(lab: Lab) -> str:
    objects = Objects(lab)
    objects.s3.put_bucket_versioning(
        Bucket=objects.bucket, VersioningConfiguration={"Status": "Enabled"}
    )
    lines, ids = numbered(60, 83)
    for part in (lines[:40], lines):
        told = objects.store(key(0), standard_file(part))
        objects.announce(key(0), versionId=told["VersionId"], eTag=told["ETag"].strip('"'))

    objects.read()

    found = objects.requests[key(0)]
    assert sorted(found) == sorted(ids[:40] + ids), f"{len(found)} lines, not 40 and 60"
    assert len(set(objects.ids[key(0)])) == 100, f"{len(set(objects.ids[key(0)]))} ids, not 100"
    return "40 and 60 lines under 100 ids"
