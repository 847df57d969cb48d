"""Faults of objects: gone, cut short, of another kind, replaced."""

from __future__ import annotations

import gzip
import zlib
from typing import TYPE_CHECKING

from cloudfront_ecs.demo.columns import STANDARD_COLUMNS
from cloudfront_ecs.demo.day import standard_file
from cloudfront_ecs.demo.render import STANDARD_HEADER
from cloudfront_ecs.sources.s3.objects import ATTEMPTS, CHUNK
from faults.catalogue import fault
from faults.object_runs import Objects, assert_once, flaky, numbered, whole_lines, zstd
from normalize.parquet_files import parquet_of
from sources.s3_world import key

if TYPE_CHECKING:
    from faults.lab import Lab

HEADER = STANDARD_HEADER.encode()
GARBAGE = b"<html>not a member</html>"


def _text(lines: list[bytes]) -> bytes:
    return HEADER + b"".join(line + b"\n" for line in lines)


@fault(
    "S1",
    "object deleted before it is read",
    made="three of six objects are deleted after their notices: the key, a version, the bucket",
    seen="after two receives three dead letters 'missing' with the notices; the others delivered",
)
def object_deleted(lab: Lab) -> str:
    objects = Objects(lab, max_receives=2)
    lines, ids = numbered(60, 71)
    parts = [lines[start : start + 20] for start in (0, 20, 40)]
    gone = lab.unique("gone")
    objects.s3.create_bucket(Bucket=gone)
    for number, part in enumerate(parts):
        etag = objects.store(key(number), standard_file(part))["ETag"].strip('"')
        objects.announce(key(number), eTag=etag)
    objects.store(key(10), standard_file(parts[0]))
    objects.announce(key(10), eTag="e1")
    objects.s3.delete_object(Bucket=objects.bucket, Key=key(10))
    objects.announce(key(0), versionId="deleted-for-good", eTag="e2")
    notice = objects.bucket
    objects.bucket = gone
    objects.announce(key(11), eTag="e3")
    objects.bucket = notice
    objects.s3.delete_bucket(Bucket=gone)

    objects.read()

    for number in range(3):
        wanted = ids[number * 20 : number * 20 + 20]
        assert_once(objects.requests[key(number)], wanted, key(number))
    letters = [letter for found in objects.letters.values() for letter in found]
    reasons = [letter.reason for letter in letters]
    assert reasons == ["missing"] * 3, f"dead letters: {reasons}"
    unnamed = [letter.detail for letter in letters if b"Records" not in letter.raw]
    assert not unnamed, f"letters without their notice: {unnamed}"
    return "60 lines of the others once; 3 letters: " + ", ".join(
        sorted(letter.detail.rpartition(" ")[2] for letter in letters)
    )


@fault(
    "S2",
    "gzip and zstd stored short",
    made="a file cut at twelve places: in its header, in the content, in the checksum",
    seen="each line before the cut once, a letter 'truncated' with the rest; the queue is empty",
)
def stored_short(lab: Lab) -> str:
    objects = Objects(lab)
    objects.notify_queue()
    lines, ids = numbered(1200 if lab.thorough else 300, 72)
    files = {"gz": gzip.compress(_text(lines), 6), "zst": zstd.compress(_text(lines))}
    cuts: dict[str, tuple[bytes, int]] = {}
    for kind, data in files.items():
        for number, end in enumerate((5, 11, len(data) // 3, len(data) // 2, -9, -1)):
            name = f"cdn/{kind}-{number}.log"
            reader = zlib.decompressobj(31) if kind == "gz" else zstd.ZstdDecompressor()
            cuts[name] = data[:end], whole_lines(reader.decompress(data[:end]))
            objects.store(name, data[:end])

    objects.read()

    delivered = 0
    for name, (_, least) in cuts.items():
        found = objects.requests[name]
        assert len(found) >= least - 1, f"{name}: {len(found)} lines, {least} could be read"
        assert_once(found, ids[: len(found)], name)
        assert objects.reasons(name) == ["truncated"], f"{name}: {objects.reasons(name)}"
        raw = objects.letters[name][0].raw
        rest = lines[len(found)] if len(found) < len(lines) else b""
        assert not found or rest.startswith(raw), f"{name}: the letter holds {raw[:40]!r}"
        delivered += len(found)
    return f"{delivered} lines before 12 cuts once, 12 letters 'truncated'"


@fault(
    "S3",
    "body cut in transit",
    made="a server that hangs up three times within a body of some 800 KB",
    seen="the rest is fetched with Range and If-Match; no line twice, none missing",
)
def body_cut(lab: Lab) -> str:
    lines, ids = numbered(12_000 if lab.thorough else 2000, 73)
    body = gzip.compress(_text(lines), 0)
    cuts = [CHUNK + 77, CHUNK, 1]
    with flaky(lab, body) as (store, objects):
        store.cuts = list(cuts)
        objects.announce(key(0), eTag=store.etag, size=len(body))
        objects.read()
    assert_once(objects.requests[key(0)], ids, "the object")
    reached = [f"bytes={sum(cuts[: number + 1])}-" for number in range(3)]
    ranges = [request.get("Range") for request in store.requests]
    assert ranges == [None, *reached], f"asked for {ranges}"
    matches = {request.get("If-Match") for request in store.requests}
    assert matches == {'"first"'}, f"asked for content {matches}"
    assert not objects.letters, f"dead letters: {dict(objects.letters)}"
    return f"{len(store.requests)} requests, {len(ids)} lines, none twice"


@fault(
    "S3",
    "body cut in transit, again and again",
    made=f"a server that hangs up in the midst and then {ATTEMPTS - 1} times at once",
    seen="the object goes back and is read anew; what comes twice has the same ids",
    brief=False,
)
def body_cut_for_long(lab: Lab) -> str:
    lines, ids = numbered(4000, 74)
    body = gzip.compress(_text(lines), 0)
    with flaky(lab, body, visibility_timeout=5) as (store, objects):
        store.cuts = [CHUNK + 77] + [0] * (ATTEMPTS - 1)
        objects.announce(key(0), eTag=store.etag, size=len(body))
        objects.read()
    found = objects.requests[key(0)]
    again = len(found) - len(set(objects.ids[key(0)]))
    assert set(found) == set(ids), f"{len(set(ids) - set(found))} lines are missing"
    assert len(set(objects.ids[key(0)])) == len(ids), "a line came under two ids"
    assert again, "nothing came twice: the object did not go back"
    assert not objects.letters, f"dead letters: {dict(objects.letters)}"
    return f"{len(ids)} lines; {again} came again under their ids; no letter"


@fault(
    "S4",
    "objects of other kinds than their names say",
    made="gzip, zstd and Parquet under wrong names, text as .gz, BOM and CRLF, empty ones, an "
    "image, a digest, a folder",
    seen="the content decides; empty ones settle; what is no log is a letter or skipped by rule",
)
def other_kinds(lab: Lab) -> str:
    objects = Objects(lab)
    objects.notify_queue()
    lines, ids = numbered(20, 75)
    text = _text(lines)
    row = lines[0].decode().split("\t")
    names = [name.lower().replace("(", "_").replace(")", "") for name in STANDARD_COLUMNS]
    readable = {
        "gzip.txt": gzip.compress(text),
        "text.gz": text,
        "zstd.gz": zstd.compress(text),
        "crlf.log": b"\xef\xbb\xbf" + text.replace(b"\n", b"\r\n"),
        "bom.gz": gzip.compress(b"\xef\xbb\xbf" + text),
        "no-end.log": text[:-1],
    }
    table = "\t".join(names) + "\n" + "\t".join(r"\N" if v == "-" else v for v in row)
    nothing = {
        "empty.gz": b"",
        "headers.gz": gzip.compress(HEADER),
        "empty-member.gz": gzip.compress(b""),
    }
    image = {"image.gz": b"\x89PNG\r\n\x1a\n" + bytes(range(128, 256)) * 40}
    skipped = {
        "AWSLogs/123456789012/CloudTrail-Digest/us-east-1/x.json.gz": gzip.compress(b"{}"),
        "AWSLogs/123456789012/elasticloadbalancing/us-east-1/x.log.gz": gzip.compress(b"h2 x"),
        "cdn/folder/": b"",
    }
    for name, body in {**readable, "table.log": parquet_of(table), **nothing, **image}.items():
        objects.store(name, body)
    for name, body in skipped.items():
        objects.store(name, body)

    objects.read()

    for name in readable:
        assert_once(objects.requests[name], ids, name)
        assert not objects.reasons(name), f"{name}: {objects.reasons(name)}"
    assert_once(objects.requests["table.log"], ids[:1], "table.log")
    for name in (*nothing, *skipped):
        ends = len(objects.requests[name]), objects.reasons(name)
        assert ends == (0, []), f"{name}: {ends[0]} documents, letters {ends[1]}"
    assert set(objects.reasons("image.gz")) == {"foreign"}, objects.reasons("image.gz")
    counted = objects.summary.passed_over["no_log"]
    assert counted == len(skipped), f"{counted} objects counted as skipped, not {len(skipped)}"
    return f"{len(readable) + 1} kinds read, 3 empty ones settled, 1 foreign, {counted} skipped"


@fault(
    "S5",
    "several members, and something behind the last",
    made="gzip of 1, 2 and 50 members, padded and with an empty one; frames of zstd; garbage",
    seen="all members are read; garbage costs no line and is a letter of its own",
)
def several_members(lab: Lab) -> str:
    objects = Objects(lab)
    objects.notify_queue()
    lines, ids = numbered(200, 76)
    text = _text(lines)
    step = len(text) // 50 + 1
    parts = [text[start : start + step] for start in range(0, len(text), step)]
    halves = text[:3333], text[3333:]
    good = {
        "one": gzip.compress(text),
        "two": gzip.compress(halves[0]) + gzip.compress(halves[1]),
        "fifty": b"".join(map(gzip.compress, parts)),
        "padded": gzip.compress(halves[0]) + bytes(512) + gzip.compress(halves[1]) + bytes(99),
        "empty": gzip.compress(halves[0]) + gzip.compress(b"") + gzip.compress(halves[1]),
        "frames": b"".join(map(zstd.compress, parts)),
        "skippable": b"\x50\x2a\x4d\x18\x03\x00\x00\x00abc" + zstd.compress(text),
    }
    garbage = {
        "gzip": ("not_gzip", gzip.compress(text) + GARBAGE),
        "members": ("not_gzip", gzip.compress(halves[0]) + gzip.compress(halves[1]) + GARBAGE),
        "unfinished": ("not_gzip", gzip.compress(text[:-1]) + GARBAGE),
        "zstd": ("not_zstd", zstd.compress(text) + GARBAGE),
    }
    for name, body in good.items():
        objects.store(name, body)
    for name, (_, body) in garbage.items():
        objects.store(f"garbage/{name}", body)

    objects.read()

    for name in (*good, *(f"garbage/{name}" for name in garbage)):
        assert_once(objects.requests[name], ids, name)
    assert not any(objects.reasons(name) for name in good), dict(objects.letters)
    for name, (reason, _) in garbage.items():
        letters = objects.letters[f"garbage/{name}"]
        found = [(letter.reason, letter.raw) for letter in letters]
        assert found == [(reason, GARBAGE)], f"{name}: {found}"
    return f"{len(good) + len(garbage)} files of 200 lines whole; 4 letters with the garbage"
