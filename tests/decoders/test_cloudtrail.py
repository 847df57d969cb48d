"""CloudTrail in all its wrappings: each event once, the others' counted, nothing lost."""

from __future__ import annotations

import gzip
import json
import tracemalloc
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudfront_ecs import Message, Origin, Payload, Receipt
from cloudfront_ecs.decoders.cloudtrail import CloudTrailDecoder, CloudTrailOptions, recognised
from cloudfront_ecs.errors import PayloadError
from normalize.api_events import ARN, DISTRIBUTION, called, event

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cloudfront_ecs.batches import RecordBatch, RejectedLine

ORIGIN = Origin("s3://trail/a.json.gz", ("trail", "a.json.gz"))
FOREIGN = event("PutObject", eventSource="s3.amazonaws.com")
LOGS = "logs.amazonaws.com"


def compact(value: object) -> bytes:
    """Return JSON on one line, as CloudTrail writes it."""
    return json.dumps(value, separators=(",", ":")).encode()


class Decoded:
    """What a decoder made of some bytes."""

    def __init__(self, batches: Sequence[RecordBatch]) -> None:
        self.events: list[Any] = [json.loads(line) for one in batches for line in one.lines]
        self.lines = [line for one in batches for line in one.lines]
        self.numbers = [number for one in batches for number in one.numbers]
        self.rejects: list[RejectedLine] = [reject for one in batches for reject in one.rejects]
        self.filtered = sum(one.filtered for one in batches)
        self.skipped = sum(one.skipped for one in batches)
        assert all(
            [line] == row for b in batches for line, row in zip(b.lines, b.rows, strict=True)
        )

    @property
    def reasons(self) -> list[str]:
        """Why records were refused."""
        return [reject.reason for reject in self.rejects]


def decoded(data: bytes, size: int = 0, *, origin: Origin = ORIGIN, **options: Any) -> Decoded:
    """Decode bytes that come in pieces of *size*, or whole."""
    pieces = [data[at : at + size] for at in range(0, len(data), size)] if size else [data]
    decoder = CloudTrailDecoder(CloudTrailOptions(**options))
    return Decoded(list(decoder.decode(Payload(Receipt("p", 0), origin, pieces))))


def trail(*events: object) -> bytes:
    """Return a file of a trail."""
    return compact({"Records": events})


def bridged(inner: object, kind: str = "AWS API Call via CloudTrail") -> dict[str, Any]:
    """Return an event as EventBridge wraps it."""
    return {"version": "0", "id": "1", "detail-type": kind, "source": "aws.cloudfront",
            "account": "111122223333", "region": "us-east-1", "detail": inner}  # fmt: skip


def subscribed(*messages: str) -> dict[str, Any]:
    """Return a record of a CloudWatch Logs subscription."""
    return {
        "messageType": "DATA_MESSAGE",
        "owner": "111122223333",
        "logGroup": "trail",
        "logStream": "s",
        "subscriptionFilters": ["all"],
        "logEvents": [
            {"id": str(number), "timestamp": 1768507267148, "message": message}
            for number, message in enumerate(messages)
        ],
    }


CONTROL = {
    "messageType": "CONTROL_MESSAGE",
    "owner": "CloudwatchLogs",
    "logGroup": "",
    "logEvents": [{"id": "", "message": "CWL CONTROL MESSAGE: Checking health of destination."}],
}
DIGEST = {
    "awsAccountId": "111122223333",
    "digestStartTime": "2026-01-15T19:00:00Z",
    "digestS3Object": "AWSLogs/…",
    "logFiles": [{"s3Object": "AWSLogs/a.json.gz", "hashValue": "00"}],
}
ONE, TWO = event(eventID="1"), event("ListDistributions", eventID="2", note='"}]{[\\')

WRAPPINGS = [
    pytest.param(trail(ONE, TWO), id="file"),
    pytest.param(json.dumps({"Records": [ONE, TWO]}, indent=2).encode(), id="pretty-file"),
    pytest.param(b"\xef\xbb\xbf" + trail(ONE, TWO) + b"\n", id="file-with-mark"),
    pytest.param(compact(ONE) + b"\n" + compact(TWO) + b"\n", id="lines"),
    pytest.param(compact(ONE) + b"\r\n\r\n" + compact(TWO), id="lines-crlf-and-blank"),
    pytest.param(compact(ONE) + compact(TWO), id="end-to-end"),
    pytest.param(json.dumps(ONE, indent=1).encode() + b"\n" + compact(TWO), id="pretty-event"),
    pytest.param(compact([ONE, TWO]), id="array"),
    pytest.param(trail(ONE) + b"\n" + trail(TWO), id="two-files"),
    pytest.param(compact(bridged(ONE)) + b"\n" + compact(bridged(TWO)), id="event-bridge"),
    pytest.param(compact(subscribed(json.dumps(ONE), json.dumps(TWO))), id="subscription"),
    pytest.param(
        compact(CONTROL) + compact(subscribed(json.dumps(ONE))) + compact(subscribed(
            json.dumps(TWO))), id="subscriptions-end-to-end"),
    pytest.param(
        compact({"Events": [{"EventId": "1", "CloudTrailEvent": json.dumps(one)}
                            for one in (ONE, TWO)]}), id="lookup-events"),
]  # fmt: skip


@pytest.mark.parametrize("data", WRAPPINGS)
@pytest.mark.parametrize("size", [0, 1, 7, 64])
def test_the_same_events_come_out_of_every_wrapping(data: bytes, size: int) -> None:
    found = decoded(data, size)

    assert found.events == [ONE, TWO]
    assert found.rejects == []
    assert found.filtered == 0


@pytest.mark.parametrize("data", WRAPPINGS)
def test_every_wrapping_comes_through_a_stream(data: bytes) -> None:
    messages = [Message(data, "17"), Message(b"", "18"), Message(data, "19")]
    payload = Payload(Receipt("shard", 0), ORIGIN, messages=messages)

    batches = list(CloudTrailDecoder(CloudTrailOptions()).decode(payload))

    assert Decoded(batches).events == [ONE, TWO, ONE, TWO]
    assert [place for one in batches for place in one.positions or ()] == ["17"] * 2 + ["19"] * 2
    assert Decoded(batches).rejects == []


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(FOREIGN, id="another-service"),
        pytest.param(event("X", eventSource="cloudfront.amazonaws.com.example.com"), id="look-alike"),
        pytest.param(event("ListBuckets", eventSource=None), id="2014-of-another-service"),
        pytest.param(event(eventCategory="Insight", eventType="AwsCloudTrailInsight"), id="insight"),
        pytest.param(event(eventCategory="NetworkActivity"), id="network-activity"),
        pytest.param({"eventVersion": "1.0", "eventCategory": "Aggregated", "summary": {}},
                     id="aggregated"),
        pytest.param({"eventVersion": "2.1", "eventSource": "aws:s3", "eventName":
                      "ObjectCreated:Put", "s3": {}}, id="notice-of-s3"),
        pytest.param(bridged(ONE, "EC2 Instance State-change Notification"), id="event-bridge"),
        pytest.param(bridged(FOREIGN), id="another-service-bridged"),
        pytest.param(event("PutLogEvents", eventSource=LOGS), id="logs-but-no-delivery"),
        pytest.param(called("CreateDelivery", {"deliverySourceName": "waf"}, eventSource=LOGS),
                     id="delivery-of-another-service"),
        pytest.param(called("DeleteDelivery", {"id": "8pqqrr"}, eventSource=LOGS),
                     id="delivery-that-names-nothing"),
    ],
)  # fmt: skip
def test_what_is_not_of_cloudfront_counts_as_filtered(one: Any) -> None:
    found = decoded(compact(one) + b"\n" + compact(ONE))

    assert found.events == [ONE]
    assert found.filtered == 1
    assert found.rejects == []


@pytest.mark.parametrize(
    "one",
    [
        pytest.param(event(eventSource="edgekeyvaluestore.amazonaws.com"), id="key-value-store"),
        pytest.param(event("UpdateDistribution2014_01_31", eventSource=None), id="2014"),
        pytest.param(event(eventCategory="Data", managementEvent=False), id="data-event"),
        pytest.param(called("PutDeliverySource", {"name": "a", "resourceArn": ARN},
                            eventSource=LOGS), id="delivery-source"),
        pytest.param(called("CreateDelivery", {"deliverySourceName": "CloudFront-logs"},
                            eventSource=LOGS), id="delivery-by-name"),
        pytest.param(called("DeleteDeliverySource", {"name": f"edge-{DISTRIBUTION}"},
                            eventSource=LOGS), id="delivery-by-id-in-the-name"),
        pytest.param(called("UpdateDeliveryConfiguration", {"id": "8pqqrr", "recordFields":
                            ["date", "x-edge-location"]}, eventSource=LOGS), id="by-fields"),
        pytest.param(called("UpdateDeliveryConfiguration", {"id": "8pqqrr",
                            "s3DeliveryConfiguration": {"suffixPath": "{DistributionId}/{yyyy}"}},
                            eventSource=LOGS), id="by-path"),
        pytest.param(called("DeleteDelivery", {"id": "8pqqrr"}, eventSource=LOGS, userIdentity={
            "type": "AWSService", "invokedBy": "cloudfront.amazonaws.com"}), id="by-caller"),
    ],
)  # fmt: skip
def test_what_is_of_cloudfront_goes_on(one: Any) -> None:
    assert decoded(compact(one)).events == [one]


def test_a_delivery_whose_names_are_no_text_is_not_taken_for_another_services() -> None:
    one = called("CreateDelivery", {"deliverySourceName": "edge?"}, eventSource=LOGS)

    found = decoded(compact(one).replace(b"edge?", b"edge\xc3"))

    assert found.filtered == 0
    assert len(found.events) + len(found.rejects) == 1


def test_deliveries_that_name_nothing_can_be_kept() -> None:
    unnamed = called("DeleteDelivery", {"id": "8pqqrr"}, eventSource=LOGS)
    waf = called("CreateDelivery", {"deliverySourceName": "waf"}, eventSource=LOGS)

    found = decoded(trail(unnamed, waf), all_deliveries=True)

    assert found.events == [unnamed]
    assert found.filtered == 1


@pytest.mark.parametrize("one", [DIGEST, CONTROL])
def test_digests_and_control_messages_are_no_records(one: Any) -> None:
    found = decoded(compact(one))

    assert (found.events, found.rejects, found.filtered, found.skipped) == ([], [], 0, 1)


@pytest.mark.parametrize(
    "kind", ["CloudTrail-Digest", "CloudTrail-Insight", "CloudTrail-NetworkActivity",
             "CloudTrail-Aggregated"]
)  # fmt: skip
def test_other_files_of_a_trail_are_skipped_unread(kind: str) -> None:
    def never() -> Iterator[bytes]:
        raise AssertionError("read")
        yield b""

    origin = Origin(
        f"s3://trail/AWSLogs/111122223333/{kind}/us-east-1/2026/01/15/a.json.gz", ("a",)
    )

    [batch] = CloudTrailDecoder(CloudTrailOptions()).decode(
        Payload(Receipt("p", 0), origin, never())
    )

    assert (batch.skipped, len(batch.rows), batch.filtered) == (1, 0, 0)


@pytest.mark.parametrize("size", [0, 5])
def test_a_truncated_file_gives_its_whole_events_and_one_reject(size: int) -> None:
    whole = trail(ONE, FOREIGN, TWO)

    found = decoded(whole[:-60], size)

    assert found.events == [ONE]
    assert found.filtered == 1
    [reject] = found.rejects
    assert (reject.reason, reject.line) == ("truncated", 3)
    assert compact(TWO).startswith(reject.raw[:-1])
    assert len(reject.raw) > 100


def test_a_gzip_that_ends_early_keeps_what_was_read_of_an_event() -> None:
    def chunks() -> Iterator[bytes]:
        yield trail(ONE, TWO)[:-40]
        raise PayloadError("truncated", "gzip ends in mid-stream")

    decoder = CloudTrailDecoder(CloudTrailOptions())
    batches = []

    with pytest.raises(PayloadError) as caught:
        batches.extend(decoder.decode(Payload(Receipt("p", 0), ORIGIN, chunks())))

    assert Decoded(batches).events == [ONE]
    assert compact(TWO).startswith(caught.value.raw)
    assert caught.value.raw


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b'{"eventVersion":"1.08","a":tru}', id="a-word"),
        pytest.param(b'{"eventVersion":"1.08","a":{"b":1]}', id="the-wrong-bracket"),
        pytest.param(b'{"eventVersion":"1.08","a":"\x01"}', id="a-control-character"),
        pytest.param(b'{"eventVersion":"1.08","eventName":"\xff"}', id="not-utf-8"),
        pytest.param(b'{"a":"b"}', id="no-event"),
        pytest.param(b"17", id="a-number"),
        pytest.param(b"{}", id="empty"),
        pytest.param(
            b'{"eventVersion":"1.08","a":' + b"[" * 9000 + b"]" * 9000 + b"}", id="too-deep"
        ),
    ],
)
@pytest.mark.parametrize("size", [0, 11])
def test_bad_json_costs_its_own_event_only(bad: bytes, size: int) -> None:
    listed = b'{"Records":[' + b",".join([compact(ONE), bad, compact(TWO)]) + b"]}"
    lines = b"\n".join([compact(ONE), bad, compact(TWO)])

    for data in (listed, lines):
        found = decoded(data, size)

        assert found.events == [ONE, TWO]
        assert found.reasons == ["json"]
        assert found.rejects[0].raw == bad
        assert found.rejects[0].line == 2


def test_a_list_among_events_is_refused() -> None:
    found = decoded(b'{"Records":[' + compact(ONE) + b",[1]," + compact(TWO) + b"]}")

    assert found.events == [ONE, TWO]
    assert [(one.reason, one.raw) for one in found.rejects] == [("json", b"[1]")]


@pytest.mark.parametrize(
    "bad",
    [
        pytest.param(b'{"eventVersion":"1.08","a":"never closed', id="text"),
        pytest.param(b'{"eventVersion":"1.08","a":{"b":1}', id="object"),
        pytest.param(b'{"eventVersion":"1.08","a":[{"b":1}', id="list"),
        pytest.param(b"no JSON at all", id="words"),
        pytest.param(b'{"a":1}}', id="too-many-brackets"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_a_line_that_was_cut_off_costs_itself_only(
    bad: bytes,
    first: bool,  # noqa: FBT001 - a case of the table
) -> None:
    before = [] if first else [compact(ONE)]

    found = decoded(b"\n".join([*before, bad, compact(TWO), compact(ONE)]))

    assert found.events == ([TWO, ONE] if first else [ONE, TWO, ONE])
    assert {*found.reasons} == {"json"}
    assert b"".join(reject.raw for reject in found.rejects) == bad


def test_an_event_that_is_too_long_is_refused_with_its_length() -> None:
    long = event(note="x" * 5000)
    data = trail(ONE, long, TWO)

    found = decoded(data, 100, max_event_bytes=2048)

    assert found.events == [ONE, TWO]
    [reject] = found.rejects
    assert (reject.reason, reject.length) == ("too_long", len(compact(long)))
    assert reject.raw == compact(long)
    assert "2048" in reject.detail


def test_a_long_file_takes_little_memory() -> None:
    record = compact(event(note="x" * 2000))

    def chunks() -> Iterator[bytes]:
        yield b'{"Records":[' + record
        for _ in range(10_000):
            yield b"," + record
        yield b"]}"

    decoder = CloudTrailDecoder(CloudTrailOptions())
    tracemalloc.start()
    count = 0
    for batch in decoder.decode(Payload(Receipt("p", 0), ORIGIN, chunks())):
        count += len(batch.rows)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert count == 10_001
    assert peak < 2_000_000


def test_an_endless_text_takes_little_memory() -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"Records":[{"eventVersion":"1.08","note":"'
        for _ in range(2_000):
            yield b"\\\\" * 8_192
        yield b'"},' + compact(ONE) + b"]}"

    decoder = CloudTrailDecoder(CloudTrailOptions())
    tracemalloc.start()
    batches = list(decoder.decode(Payload(Receipt("p", 0), ORIGIN, chunks())))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert Decoded(batches).events == [ONE]
    assert Decoded(batches).reasons == ["too_long"]
    assert peak < 8_000_000


def test_subscriptions_are_compressed_messages() -> None:
    whole = gzip.compress(compact(subscribed(json.dumps(ONE), json.dumps(TWO))))
    messages = [Message(whole, "5"), Message(whole[:-20], "6")]
    payload = Payload(Receipt("s", 0), ORIGIN, messages=messages)

    found = Decoded(list(CloudTrailDecoder(CloudTrailOptions()).decode(payload)))

    assert found.events == [ONE, TWO]
    assert [(one.reason, one.position) for one in found.rejects] == [("truncated", "6")]


def test_records_are_numbered_from_one_and_filtered_ones_count() -> None:
    assert decoded(trail(FOREIGN, ONE, FOREIGN, TWO), 50).numbers == [2, 4]


def test_messages_number_their_records_from_zero() -> None:
    payload = Payload(Receipt("s", 0), ORIGIN, messages=[Message(trail(FOREIGN, ONE), "5")])

    [batch] = CloudTrailDecoder(CloudTrailOptions()).decode(payload)

    assert (batch.numbers, batch.positions, batch.filtered) == ([1], ["5"], 1)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=10,
)
records = st.lists(
    st.sampled_from([ONE, TWO, FOREIGN, DIGEST, CONTROL, bridged(ONE), {}]) | json_values,
    max_size=6,
)


@settings(max_examples=150)
@given(given_records=records, size=st.integers(0, 60))
def test_every_record_of_a_list_finds_its_end(given_records: list[Any], size: int) -> None:
    wanted = [one for one in given_records if isinstance(one, (dict, list))]

    found = decoded(trail(*given_records), size)

    loose = [one for one in found.rejects if one.detail == "no JSON object"]
    ended = len(found.events) + len(found.rejects) - len(loose) + found.filtered + found.skipped
    assert ended == len(wanted)
    assert bool(loose) == (len(wanted) < len(given_records))


@settings(max_examples=300)
@given(
    parts=st.lists(
        st.sampled_from([b"{", b"}", b"[", b"]", b'"', b"\\", b",", b"\n", b" ", b"a",
                         b'{"Records":[', compact(ONE), b'{"eventVersion":1}']), max_size=25),
    size=st.integers(1, 40),
)  # fmt: skip
def test_where_pieces_end_changes_nothing(parts: list[bytes], size: int) -> None:
    data = b"".join(parts)

    whole, split = decoded(data), decoded(data, size)

    assert split.lines == whole.lines
    assert split.rejects == whole.rejects
    assert (split.filtered, split.skipped) == (whole.filtered, whole.skipped)


@settings(max_examples=300)
@given(data=st.binary(max_size=80))
def test_any_bytes_end_somewhere(data: bytes) -> None:
    found = decoded(data)

    blank = data.removeprefix(b"\xef\xbb\xbf").strip(b" \t\r\n")
    something = found.events or found.rejects or found.filtered or found.skipped
    assert not something if not blank else something or blank.startswith(b"[")


@pytest.mark.parametrize("data", WRAPPINGS)
def test_cloudtrail_is_recognised_by_its_beginning(data: bytes) -> None:
    assert recognised(data.decode("utf-8")[:65_536])


@pytest.mark.parametrize(
    "first",
    [
        '{"Records":[',
        compact(DIGEST).decode(),
        compact(event("X2014_01_31", eventSource=None, eventVersion=None)).decode(),
    ],
)
def test_other_beginnings_of_cloudtrail_are_recognised(first: str) -> None:
    assert recognised(first)


@pytest.mark.parametrize(
    "first",
    [
        "",
        "#Version: 1.0",
        "2026-01-15\t07:00:00",
        "{",
        "[]",
        '{"date":"2026-01-15","time":"07:00:00","x-edge-location":"FRA56-P4"}',
        '{"connectionId":"c","eventTimestamp":"1768507267148"}',
        compact(subscribed("START DistributionID: E1", "END")).decode(),
    ],
)
def test_other_logs_are_not_taken_for_cloudtrail(first: str) -> None:
    assert not recognised(first)
