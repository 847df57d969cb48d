"""Documents of what functions write: ids, times, names."""

from __future__ import annotations

import json

import msgspec
import pytest

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.batches import Message, RecordBatch
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.functions import FunctionsDecoder, FunctionsOptions
from cloudfront_ecs.normalize.compiling.payload_constants import Constants, constants
from cloudfront_ecs.normalize.documents.ecs import EcsDocument
from cloudfront_ecs.normalize.function_log import LAYOUT, Written, function_documents
from cloudfront_ecs.plugins import load_plugins
from cloudfront_ecs.resources import field_table
from normalize.converting import collect, convert, flat

REQUEST = "U7b4hR_RaxMADupvKAvr8_m9gsGXvioUggLV5Oyq-vmAtH8HADpjhw=="
ORIGIN = Origin("logs/a.log", ("logs", "a.log"), distribution_id="EPLACE", file_path="/logs/a.log")


def read_at(created: str) -> Constants:
    return constants(ORIGIN, "cloudfront.function", created, ("edge",), {"team": "web"})


def document(written: Written, created: str = "2026-01-15T20:01:07.148Z") -> dict[str, object]:
    batch = RecordBatch(LAYOUT, [list(written)], [written.message], [1])
    [made] = function_documents(batch, ["k" * 22], read_at(created), original=True).documents
    assert isinstance(made.body, EcsDocument)
    assert made.id == made.body.event.id if made.body.event else False
    return {**flat(made), "time_ns": made.time_ns}


def test_without_a_time_the_id_is_the_same_whenever_the_line_is_read() -> None:
    early = document(Written("hello"), "2026-01-15T20:01:07.148Z")
    late = document(Written("hello"), "2026-01-16T20:01:07.148Z")

    assert early["event.id"] == late["event.id"]
    assert str(early["event.id"]).startswith("AAAAAAAA")
    assert early["@timestamp"] == late["@timestamp"] == "when it was read"
    assert early["time_ns"] == 1_768_507_267_148_000_000


def test_a_time_that_cannot_be_read_is_named() -> None:
    body = document(Written("hello", time="soon"))

    assert body["event.kind"] == "pipeline_error"
    assert (
        body["error.message"] == "timestamp: neither milliseconds since 1970 nor ISO 8601 ('soon')"
    )


@pytest.mark.parametrize(
    ("group", "function", "expected"),
    [
        pytest.param("/aws/cloudfront/function/a", "b", "a", id="log-group-first"),
        pytest.param("", "b", "b", id="as-configured"),
        pytest.param("/aws/lambda/us-east-1.a", "b", "b", id="another-log-group"),
        pytest.param("", "", None, id="unknown"),
    ],
)
def test_the_log_group_names_the_function(group: str, function: str, expected: str | None) -> None:
    body = document(Written("x", log_group=group, function=function))

    assert body.get("aws.cloudfront.function.name") == expected


def test_a_connection_function_runs_in_a_connection_not_in_a_request() -> None:
    group = "/aws/cloudfront/connection-function/a"
    body = document(Written("x", request_id=REQUEST, log_group=group))

    assert body["aws.cloudfront.connection_id"] == REQUEST
    assert "http.request.id" not in body


def test_the_start_line_knows_the_distribution_better_than_the_place() -> None:
    assert document(Written("x"))["aws.cloudfront.distribution_id"] == "EPLACE"
    named = document(Written("x", distribution_id="ELINE"))
    assert named["aws.cloudfront.distribution_id"] == "ELINE"


def test_bytes_that_are_not_utf8_stay_as_escapes_and_the_rest_as_it_is() -> None:
    body = document(Written("caf\udce9 é", log_stream="\udcff", log_group="half \ud800"))

    assert body["message"] == body["event.original"] == "caf\\xe9 é"
    assert body["aws.cloudwatch.log_stream"] == "\\xff"
    assert body["aws.cloudwatch.log_group"] == "half \\ud800"
    assert str(body["error.message"]).startswith("message: bytes that are not UTF-8")


def test_every_field_of_the_documents_is_declared() -> None:
    full = Written("x", "1768507267148", REQUEST, "E1", "/aws/cloudfront/function/a", "s", "", "1")
    broken = full._replace(time="soon", log_group="/aws/cloudfront/connection-function/a")
    declared = {name for row in field_table() if "function" in row.logs for name, _ in row.targets}

    found = {*document(full), *document(broken), "event.created"} - {"time_ns"}

    assert {name for name in found if not name.startswith("labels.")} <= declared


def test_an_empty_writing_has_no_message() -> None:
    assert "message" not in document(Written("", request_id=REQUEST))


def test_the_user_agent_transform_leaves_function_logs_alone() -> None:
    spec = load_plugins().transforms["user_agent"]
    transform = spec.open(spec.options(), AdapterContext("user_agent"))
    decoder = FunctionsDecoder(FunctionsOptions())
    payload = Payload(
        Receipt("shard", 0), ORIGIN, messages=[Message(f"{REQUEST} hello".encode(), "7")]
    )

    [body] = collect(Conversion(decoder, (transform,)), payload).bodies

    assert body["message"] == "hello"
    assert body["aws.kinesis.sequence_number"] == "7"


def test_the_document_is_json() -> None:
    [made] = convert(
        f"{REQUEST} a".encode(), decoder=FunctionsDecoder(FunctionsOptions())
    ).documents

    found = json.loads(msgspec.json.encode(made.body))

    assert list(found)[:2] == ["@timestamp", "message"]
