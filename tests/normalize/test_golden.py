"""Golden pairs: a log and the documents it becomes, reviewed by eye when they change."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from normalize.golden import DATA, LOGS, documents_of, name_of, outcome_of

if TYPE_CHECKING:
    from pathlib import Path

    from normalize.converting import Outcome

CONSTANT = {
    "ecs.version": "9.4.0",
    "event.module": "cloudfront",
    "event.provider": "cloudfront.amazonaws.com",
    "event.category": ["web"],
    "data_stream.type": "logs",
    "data_stream.namespace": "default",
    "cloud.provider": "aws",
    "cloud.service.name": "cloudfront",
    "observer.vendor": "Amazon",
    "observer.product": "CloudFront",
    "observer.type": "cdn",
}
"""What every document of an access log has; left out of the golden files where it is so."""

FEWEST_PAIRS = 150

RESULTS = """
    Hit RefreshHit Miss LimitExceeded CapacityExceeded Error Redirect LambdaExecutionError
    LambdaGeneratedResponse FunctionGeneratedResponse FunctionExecutionError FunctionThrottledError
    LambdaValidationError FunctionValidationError OriginShieldHit
"""
DETAILED_RESULTS = """
    Hit RefreshHit Miss LimitExceeded CapacityExceeded Error Redirect LambdaExecutionError
    OriginShieldHit MissGeneratedResponse AbortedOrigin ClientCommError ClientGeoBlocked
    ClientHungUpRequest InternalError InvalidRequest InvalidRequestBlocked
    InvalidRequestCertificate InvalidRequestHeader InvalidRequestMethod LambdaLimitExceeded
    OriginCommError OriginConnectError OriginContentRangeLengthError OriginDnsError OriginError
    OriginHeaderTooBigError OriginInvalidResponseError OriginReadError OriginWriteError
    OriginZeroSizeObjectError SlowReaderOriginError
"""
FLE_STATUSES = """
    Processed ForwardedByContentType ForwardedByQueryArgs ForwardedDueToNoProfile
    MalformedContentTypeClientError MalformedInputClientError MalformedQueryArgsClientError
    RejectedByContentType RejectedByQueryArgs ServerError FieldLengthLimitClientError
    FieldNumberLimitClientError RequestLengthLimitClientError
"""
ENUMERATED = {
    "aws.cloudfront.edge_result_type": RESULTS,
    "aws.cloudfront.edge_response_result_type": RESULTS,
    "aws.cloudfront.edge_detailed_result_type": DETAILED_RESULTS,
    "aws.cloudfront.fle_status": FLE_STATUSES,
    "aws.cloudfront.origin_response_reason": "Failover:403 Failover:502 MediaQuality",
    "aws.cloudfront.cmcd.object_type": "m a v av i c tt k o",
    "aws.cloudfront.cmcd.streaming_format": "d h s o",
    "aws.cloudfront.cmcd.stream_type": "v l",
    "http.request.method": "GET HEAD POST PUT PATCH DELETE OPTIONS CONNECT TRACE",
    "http.version": "0.9 1.0 1.1 2.0 3.0",
    "network.type": "ipv4 ipv6",
    "tls.version": "3 1 1.1 1.2 1.3",
    "url.scheme": "http https ws wss grpcs",
}
"""Values that AWS lists, or that were seen in logs, by the field that holds them."""

WIDTHS = {"standard": {18, 19, 24, 26, 33, 34, 35}, "realtime": {40, 41, 45, 46, 64, 69, 71}}
"""How many columns the layouts of a log had over the years."""


@pytest.mark.parametrize("log", [pytest.param(log, id=name_of(log)) for log in LOGS])
def test_a_log_becomes_the_documents_that_were_reviewed(log: Path, *, update_golden: bool) -> None:
    outcome = outcome_of(log)

    assert "conversion" not in outcome.reasons, "the conversion itself failed"
    found = shown(outcome)
    golden = log.with_suffix(".json")
    is_new = not golden.exists() or json.loads(golden.read_text("utf-8")) != found
    if update_golden and is_new:  # the order of fields says nothing
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        golden.write_text(text, encoding="utf-8")
    expected = json.loads(golden.read_text("utf-8"))
    assert found["rejects"] == expected["rejects"]
    assert found["skipped"] == expected["skipped"]
    assert found.get("filtered") == expected.get("filtered")
    assert len(found["documents"]) == len(expected["documents"])
    for document, wanted in zip(found["documents"], expected["documents"], strict=True):
        assert document == wanted


@pytest.mark.parametrize("name", ["standard", "realtime"])
def test_every_document_says_what_it_is(name: str) -> None:
    log = DATA / name / ("columns_71.log" if name == "realtime" else "columns_33.log")

    bodies = documents_of(log)

    dataset = f"cloudfront.{name}"
    expected = CONSTANT | {"event.dataset": dataset, "data_stream.dataset": dataset}
    assert bodies
    for body in bodies:
        assert body.items() >= expected.items()


def test_every_golden_file_belongs_to_a_log() -> None:
    beside = {path for path in DATA.glob("*/*") if path.suffix in (".json", ".fields", ".toml")}

    assert {path.with_suffix(".log") for path in beside} == set(LOGS)
    assert {path for path in beside if path.suffix == ".json"} == {
        log.with_suffix(".json") for log in LOGS
    }


def test_there_are_enough_golden_pairs() -> None:
    assert len(LOGS) >= FEWEST_PAIRS


@pytest.mark.parametrize("field", ENUMERATED)
def test_every_known_value_stands_in_the_golden_set(field: str) -> None:
    known = set(ENUMERATED[field].split())

    found = {body[field] for log in LOGS for body in documents_of(log) if field in body}

    assert known - found == set()


def test_every_layout_there_was_stands_in_the_golden_set() -> None:
    found: dict[str, set[int]] = {"standard": set(), "realtime": set()}
    for log in DATA.glob("realtime/*.fields"):
        found["realtime"].add(len(log.read_text("utf-8").split()))
    for log in DATA.glob("standard/*.log"):
        headers = re.findall(rb"^#Fields:(.*)$", log.read_bytes(), re.MULTILINE)
        found["standard"] |= {len(header.split()) for header in headers}

    assert {log: widths - found[log] for log, widths in WIDTHS.items()} == {
        "standard": set(),
        "realtime": set(),
    }


def shown(outcome: Outcome) -> dict[str, Any]:
    rejects = [
        {
            "line": reject.line,
            "reason": reject.reason,
            "detail": reject.detail,
            "raw": reject.raw.decode("utf-8", "backslashreplace"),
        }
        for reject in outcome.rejects
    ]
    documents = []
    for document, body in zip(outcome.documents, outcome.bodies, strict=True):
        datasets = dict.fromkeys(("event.dataset", "data_stream.dataset"), document.dataset)
        usual = CONSTANT | datasets
        documents.append({key: value for key, value in body.items() if usual.get(key) != value})
    found = {"documents": documents, "rejects": rejects, "skipped": outcome.skipped}
    return found | ({"filtered": outcome.filtered} if outcome.filtered else {})
