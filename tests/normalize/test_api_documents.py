"""The document of a CloudTrail event: ids, times, errors, what is kept and how."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudfront_ecs import Message, Origin, Payload, Receipt
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.cloudtrail import CloudTrailDecoder, CloudTrailOptions
from cloudfront_ecs.normalize.api.flattened import DEEPEST, LONGEST_VALUE, flattened
from cloudfront_ecs.normalize.api.sentences import LONGEST_SENTENCE
from normalize.api_events import ARN, DISTRIBUTION, SMITH, body, called, converted, event, nested
from normalize.converting import collect, convert

if TYPE_CHECKING:
    from normalize.converting import Outcome

ID = "5ab02562-0fc5-43d0-b7b6-902930000001"
HOST = "111122223333.cloudfront-kvs.global.api.aws"


def test_the_event_id_is_the_id_of_the_document() -> None:
    [document] = converted(event()).documents

    assert document.id == ID
    assert document.dataset == "cloudfront.api"
    assert body(event())["event.id"] == ID


def test_an_event_that_comes_twice_has_one_id_wherever_it_lies() -> None:
    first = converted(event(), origin=Origin("s3://trail/a", ("trail", "a")))
    again = converted(event("X"), event(), origin=Origin("s3://other/b", ("other", "b")))

    assert first.documents[0].id == again.documents[1].id


@pytest.mark.parametrize("given_id", [None, "", 'two words "', "x" * 129, "\u00e4", {"a": 1}])
def test_without_a_usable_event_id_the_place_makes_the_id(given_id: Any) -> None:
    first, second = converted(event(eventID=given_id), event(eventID=given_id)).documents

    assert len(first.id) == len(second.id) == 30
    assert first.id != second.id
    assert first.id[:8] == second.id[:8]


def test_an_odd_event_id_is_named() -> None:
    found = body(event(eventID="two words"))

    assert found["error.message"] == "eventID: no id of at most 128 plain characters"
    assert found["event.kind"] == "pipeline_error"


@pytest.mark.parametrize(
    ("given_time", "stamp"),
    [
        ("2026-01-15T20:01:07Z", "2026-01-15T20:01:07Z"),
        ("2026-01-15T20:01:07.123Z", "2026-01-15T20:01:07.123Z"),
        ("2026-01-15T21:01:07+01:00", "2026-01-15T20:01:07.000Z"),
    ],
)
def test_the_time_is_that_of_the_call(given_time: str, stamp: str) -> None:
    assert body(event(eventTime=given_time))["@timestamp"] == stamp


@pytest.mark.parametrize("given_time", [None, "", "yesterday", 17, "2026-02-30T00:00:00Z", []])
def test_an_event_without_a_time_is_refused_whole(given_time: Any) -> None:
    one = event(eventTime=given_time)

    outcome = converted(one, event())

    assert len(outcome.documents) == 1 + (given_time == 17)  # 17 ms since 1970 is a time
    if given_time != 17:
        [reject] = outcome.rejects
        assert (reject.reason, reject.line) == ("timestamp", 1)
        assert json.loads(reject.raw) == one
        assert "yesterday" not in reject.detail


@pytest.mark.parametrize(
    ("code", "message", "types", "outcome"),
    [
        (None, None, ["change"], "success"),
        ("", "", ["change"], "success"),
        ("AccessDenied", "User: smith is not authorized", ["change", "denied"], "failure"),
        ("Client.UnauthorizedOperation", None, ["change", "denied"], "failure"),
        ("PreconditionFailed", "no; not now", ["change"], "failure"),
        (None, "only words", ["change"], "failure"),
    ],
)
def test_the_error_code_decides_the_outcome(
    code: str | None, message: str | None, types: list[str], outcome: str
) -> None:
    found = body(event(errorCode=code, errorMessage=message))

    assert found["event.outcome"] == outcome
    assert found["event.type"] == types
    assert found.get("error.code") == (code or None)
    assert found.get("error.message") == (message or None)
    assert found.get("aws.cloudtrail.error_message") == (message or None)
    assert found["event.kind"] == "event"


def test_tls_and_the_host_that_was_asked_are_kept() -> None:
    found = body(event(tlsDetails={"tlsVersion": "TLSv1.3", "cipherSuite": "TLS_AES_128_GCM_SHA256",
                                   "clientProvidedHostHeader": HOST}))  # fmt: skip

    assert found["tls.version"] == "1.3"
    assert found["tls.version_protocol"] == "tls"
    assert found["tls.cipher"] == "TLS_AES_128_GCM_SHA256"
    assert found["tls.established"] is True
    assert found["tls.client.server_name"] == HOST
    assert found["destination.domain"] == HOST
    assert HOST in found["related.hosts"]


def test_hosts_of_the_distribution_are_related() -> None:
    config = {
        "aliases": {"quantity": 2, "items": ["www.example.com", "a.example.com"]},
        "origins": {"quantity": 1, "items": [{"domainName": "o.example.com"}]},
    }
    response = {"distribution": {"id": DISTRIBUTION, "domainName": "d1.cloudfront.net"}}

    found = body(called("CreateDistribution", {"distributionConfig": config}, response))

    assert found["related.hosts"] == [
        "d1.cloudfront.net", "www.example.com", "a.example.com", "o.example.com",
    ]  # fmt: skip
    assert found["aws.cloudfront.change.origins"] == ["o.example.com"]


def test_parameters_are_kept_as_texts_with_blanks_and_without_null() -> None:
    given_parameters = {"enabled": True, "count": 3, "rate": 0.5, "prefix": "", "none": None,
                        "items": [], "nested": {"list": [1, None, {"a": False}]}}  # fmt: skip

    kept = nested(
        called("UpdateDistribution", given_parameters), "aws", "cloudtrail", "flattened",
        "request_parameters",
    )  # fmt: skip

    assert kept == {"enabled": "true", "count": "3", "rate": "0.5", "prefix": "", "items": [],
                    "nested": {"list": ["1", {"a": "false"}]}}  # fmt: skip


@pytest.mark.parametrize("value", [None, {}])
def test_no_parameters_are_no_field(value: Any) -> None:
    found = body(called("ListDistributions", value, value))

    assert not [name for name in found if "flattened" in name]


def test_what_is_no_object_stands_under_value() -> None:
    assert flattened("text") == {"value": "text"}
    assert flattened([1, "a"]) == {"value": ["1", "a"]}


def test_long_values_deep_values_and_odd_names_fit_both_products() -> None:
    deep: Any = "end"
    for _ in range(40):
        deep = {"a": deep}

    kept = flattened({"long": "x" * 6000, "deep": deep, "": "blank", "a\0b": "nul", "n" * 300: "1"})

    assert kept is not None
    assert len(kept["long"]) == LONGEST_VALUE
    assert kept["long"].endswith("…")
    assert kept["_"] == "blank"
    assert kept["a\ufffdb"] == "nul"
    levels, inner = 1, kept["deep"]
    while isinstance(inner, dict):
        levels, inner = levels + 1, inner["a"]
    assert levels == DEEPEST
    assert msgspec.json.decode(inner)


def test_members_of_the_future_are_kept() -> None:
    found = body(event(brandNew={"a": 1}, addendum=None))

    assert found["aws.cloudtrail.flattened.other.brandNew.a"] == "1"
    assert not [name for name in found if "addendum" in name]


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"userAgent": {"a": 1}}, "userAgent: not a text"),
        ({"readOnly": "perhaps"}, "readOnly: neither true nor false"),
        ({"userIdentity": "smith"}, "userIdentity: not an object"),
        ({"tlsDetails": {"tlsVersion": "yes"}}, "tlsDetails.tlsVersion: not a TLS version"),
        ({"errorMessage": "no", "awsRegion": []}, "no; awsRegion: not a text"),
    ],
)
def test_a_member_that_cannot_be_read_costs_itself_and_is_named(
    members: dict[str, Any], message: str
) -> None:
    found = body(event(**members))

    assert found["error.message"] == message
    assert found["event.kind"] == "pipeline_error"
    assert found["event.action"] == "UpdateDistribution"


def test_bytes_that_are_not_utf_8_stand_as_escapes() -> None:
    line = json.dumps(event(userAgent="before?after")).encode().replace(b"?", b"\xff")
    decoder = CloudTrailDecoder(CloudTrailOptions())

    [found] = convert(line, decoder=decoder, original=True).bodies

    assert found["user_agent.original"] == "before\\xffafter"
    assert found["error.message"] == "event: bytes that are not UTF-8 stand as escapes"
    assert "before\\xffafter" in found["event.original"]


def test_the_original_is_the_event_without_its_wrapping() -> None:
    [found] = converted(
        {"detail-type": "AWS API Call via CloudTrail", "detail": event()}, original=True
    ).bodies

    assert json.loads(found["event.original"]) == event()


def test_tags_of_the_configuration_come_before_risks() -> None:
    payload = Payload(Receipt("p", 0), Origin("p", ("p",)), [json.dumps(
        called("DeleteDistribution", {"id": DISTRIBUTION})).encode()])  # fmt: skip
    decoder = CloudTrailDecoder(CloudTrailOptions())

    [found] = collect(Conversion(decoder, (), tags=["prod"]), payload).bodies

    assert found["tags"] == ["prod", "risk:distribution_deleted"]


def test_a_document_from_a_stream_names_its_record() -> None:
    data = json.dumps(event()).encode()
    payload = Payload(Receipt("s", 0), Origin("s", ("s",)), messages=[Message(data, "4967")])

    [found] = collect(Conversion(CloudTrailDecoder(CloudTrailOptions()), ()), payload).bodies

    assert found["aws.kinesis.sequence_number"] == "4967"


def test_the_touched_resources_are_lists() -> None:
    resources = [{"ARN": ARN, "accountId": "111122223333", "type": "AWS::CloudFront::Distribution"},
                 {"ARN": "arn:aws:x", "accountId": "111122223333"}]  # fmt: skip

    found = body(called("SomethingNew", resources=resources))

    assert found["aws.cloudtrail.resources.arn"] == [ARN, "arn:aws:x"]
    assert found["aws.cloudtrail.resources.account_id"] == ["111122223333"]
    assert found["aws.cloudfront.distribution_id"] == DISTRIBUTION


def test_a_sentence_stays_searchable() -> None:
    names = [f"{number}-{'x' * 500}.example.com" for number in range(4)]
    config = {"aliases": {"items": names}}

    found = body(called("UpdateDistribution", {"id": "E1", "distributionConfig": config}))

    assert len(found["event.reason"]) == LONGEST_SENTENCE


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8) | st.sampled_from(["", "true", ARN, DISTRIBUTION, "192.0.2.10", "/*"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=4) | st.sampled_from(
        ["id", "items", "name", "distributionConfig", "origins", "enabled", "paths", "type",
         "sessionContext", "sessionIssuer", "userName", "arn", "webACLId", "logging"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip
MEMBERS = [
    "userIdentity", "requestParameters", "responseElements", "tlsDetails", "resources",
    "sourceIPAddress", "errorCode", "errorMessage", "readOnly", "eventID", "eventTime",
    "eventVersion", "userAgent", "awsRegion", "additionalEventData", "invented",
]  # fmt: skip
NAMES = ["UpdateDistribution", "CreateInvalidation", "PutKey", "UpdateRealtimeLogConfig",
         "UpdateDistributionTenant", "CreateDelivery", "TagResource", "Strange", "CreateKeyGroup",
         "UpdateFunction", "UpdateDomainAssociation", "UpdateDeliveryConfiguration"]  # fmt: skip


def ended(outcome: Outcome) -> int:
    """Return how many records became a document or a reject."""
    return len(outcome.documents) + len(outcome.rejects)


@settings(max_examples=400)
@given(name=st.sampled_from(NAMES), members=st.dictionaries(st.sampled_from(MEMBERS), values))
def test_an_event_of_any_shape_becomes_a_document_or_a_reject(
    name: str, members: dict[str, Any]
) -> None:
    one = event(name, **members)

    outcome = converted(one)

    assert ended(outcome) == 1
    assert "conversion" not in outcome.reasons
    for found in outcome.bodies:
        assert None not in found.values()
        own = {k: v for k, v in found.items() if ".flattened." not in k}
        assert "" not in own.values()


@settings(max_examples=200)
@given(parameters=st.dictionaries(st.text(max_size=8), values, max_size=4), name=st.text())
def test_parameters_of_any_shape_become_texts(parameters: dict[str, Any], name: str) -> None:
    outcome = converted(event(f"Update{name}", requestParameters=parameters))

    assert ended(outcome) == 1
    for document in outcome.documents:
        whole = msgspec.json.decode(msgspec.json.encode(document.body))
        check_texts(whole["aws"]["cloudtrail"].get("flattened", {}).get("request_parameters", {}))


def check_texts(value: Any) -> None:
    """Check that there are only objects, lists and texts."""
    if isinstance(value, (dict, list)):
        for inner in value.values() if isinstance(value, dict) else value:
            check_texts(inner)
    else:
        assert isinstance(value, str)


def test_a_user_of_another_partition_is_read_alike() -> None:
    identity = {**SMITH, "arn": "arn:aws-cn:iam::111122223333:user/li", "userName": None}

    assert body(event(userIdentity=identity))["user.name"] == "li"
