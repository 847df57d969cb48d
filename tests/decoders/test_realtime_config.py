"""The configuration is read from CloudFront: when needed, no more often, and never guessed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.realtime.config import RealtimeConfig
from cloudfront_ecs.decoders.realtime.decoder import RealtimeDecoder, RealtimeOptions
from cloudfront_ecs.decoders.realtime.history import LayoutHistory
from cloudfront_ecs.errors import SourceError, StateError
from cloudfront_ecs.options import parse
from cloudfront_ecs.plugins import load_plugins
from contract.configured import closed_port
from normalize.converting import Outcome, collect, line
from servers.cloudfront import ARN, CloudFront, cloudfront

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SOME = ("timestamp", "c-ip", "sc-status", "cs-uri-stem")


@pytest.fixture(name="played")
def _played() -> Iterator[CloudFront]:
    with cloudfront() as server:
        server.fields = SOME
        yield server


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = 1_768_507_300.0

    def __call__(self) -> float:
        return self.now


def options(played: CloudFront, **more: Any) -> RealtimeOptions:
    return RealtimeOptions(config_arn=ARN, endpoint_url=played.endpoint, **more)


def decode(decoder: RealtimeDecoder, *lines: bytes) -> Outcome:
    origin = Origin("edge.log", ("edge.log",))
    payload = Payload(Receipt("edge", 0), origin, chunks=[b"".join(lines)])
    return collect(Conversion(decoder, ()), payload)


def test_columns_and_rate_come_from_cloudfront(played: CloudFront) -> None:
    played.rate = 25
    decoder = RealtimeDecoder(options(played))

    [body] = decode(decoder, line(SOME)).bodies

    assert body["url.path"] == "/index.html"
    assert body["aws.cloudfront.sampling_rate"] == 25
    assert body["aws.cloudfront.sampling_weight"] == 4.0
    assert len(played.asked) == 1
    assert ARN in played.asked[0]


def test_it_is_asked_again_when_the_answer_is_old(played: CloudFront) -> None:
    clock = Clock()
    decoder = RealtimeDecoder(options(played, refresh_seconds=30), clock=clock)
    for seconds in (0, 10, 19, 2, 29, 1):
        clock.now += seconds
        decode(decoder, line(SOME))

    assert len(played.asked) == 3


def test_a_record_that_does_not_fit_asks_at_once_but_not_each_time(played: CloudFront) -> None:
    clock = Clock()
    decoder = RealtimeDecoder(options(played, refresh_seconds=3600), clock=clock)
    decode(decoder, line(SOME))
    wider = (*SOME[:3], "sc-bytes", "cs-uri-stem")
    for _ in range(5):
        assert decode(decoder, line(wider)).reasons == ["columns"]
    assert len(played.asked) == 1
    clock.now += 6
    played.fields = wider

    assert len(decode(decoder, line(wider), line(SOME)).documents) == 2
    assert len(played.asked) == 2


def test_values_that_do_not_fit_ask_too(played: CloudFront) -> None:
    clock = Clock()
    wide = ("timestamp", "c-ip", "sc-status", "sc-bytes", "cs-method", "cs-uri-stem")
    played.fields = wide
    decoder = RealtimeDecoder(options(played, refresh_seconds=3600), clock=clock)
    decode(decoder, line(wide))
    clock.now += 6
    swapped = ("timestamp", "c-ip", "sc-bytes", "cs-method", "cs-protocol", "cs-uri-stem")
    played.fields = swapped

    outcome = decode(decoder, line(swapped))

    [body] = outcome.bodies
    assert (body["http.response.bytes"], body["url.scheme"]) == (2390, "https")
    assert "error.message" not in body


def test_while_cloudfront_is_silent_the_last_answer_counts(
    played: CloudFront, caplog: pytest.LogCaptureFixture
) -> None:
    clock = Clock()
    decoder = RealtimeDecoder(options(played), clock=clock)
    decode(decoder, line(SOME))
    played.error = (503, "ServiceUnavailable")
    clock.now += 100

    assert len(decode(decoder, line(SOME)).documents) == 1
    assert "ServiceUnavailable; the layout read before still counts" in caplog.text


@pytest.mark.parametrize(
    ("error", "problem"),
    [
        pytest.param((403, "AccessDenied"), "allow cloudfront:GetRealtimeLogConfig", id="denied"),
        pytest.param((404, "NoSuchRealtimeLogConfig"), "NoSuchRealtimeLogConfig", id="gone"),
    ],
)
def test_what_was_never_read_is_waited_for(
    played: CloudFront, error: tuple[int, str], problem: str
) -> None:
    played.error = error
    decoder = RealtimeDecoder(options(played))

    with pytest.raises(SourceError, match=problem):
        decode(decoder, line(SOME))
    played.error = None
    assert len(decode(decoder, line(SOME)).documents) == 1


def test_an_endpoint_that_nobody_listens_at_is_told() -> None:
    nobody = RealtimeOptions(config_arn=ARN, endpoint_url=f"http://127.0.0.1:{closed_port()}")

    with pytest.raises(SourceError, match="cannot be read"):
        RealtimeConfig(ARN, nobody).read()


def test_a_column_newer_than_this_version_keeps_its_place(played: CloudFront) -> None:
    played.fields = (*SOME[:2], "x-brand-new", *SOME[2:])
    decoder = RealtimeDecoder(options(played))
    record = line(SOME).replace(b"192.0.2.10\t", b"192.0.2.10\tsurprise\t")

    [body] = decode(decoder, record).bodies

    assert body["aws.cloudfront.other"] == {"x-brand-new": "surprise"}
    assert body["http.response.status_code"] == 200


def test_a_new_column_whose_place_is_not_told_is_refused(played: CloudFront) -> None:
    played.fields = ("c-ip", "x-brand-new", "timestamp")

    with pytest.raises(SourceError, match="the place of 'x-brand-new' is not known"):
        RealtimeConfig(ARN, options(played)).read()


def test_check_reads_the_configuration_and_writes_nothing(
    played: CloudFront, tmp_path: Path
) -> None:
    spec = load_plugins().decoders["realtime"]
    assert spec.check is not None

    context = AdapterContext("edge", tmp_path)
    assert spec.check(options(played), context) == "4 columns, sampled at 100 %"
    assert spec.check(RealtimeOptions(fields=SOME), context) == "4 columns"
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_history_ends_the_start(tmp_path: Path) -> None:
    (tmp_path / "layouts.json").write_text("{")

    with pytest.raises(StateError, match=r"layouts\.json: is damaged"):
        RealtimeDecoder(RealtimeOptions(fields=SOME), AdapterContext("edge", tmp_path))


def test_the_history_lies_in_the_state_directory(played: CloudFront, tmp_path: Path) -> None:
    decoder = RealtimeDecoder(options(played), AdapterContext("edge", tmp_path))
    decode(decoder, line(SOME))

    [known] = LayoutHistory(tmp_path).known("decoder edge")
    assert known.layout.columns == SOME
    assert known.layout.sampling_rate == 100


@pytest.mark.parametrize(
    ("table", "problem"),
    [
        pytest.param({}, "the columns are missing", id="nothing"),
        pytest.param({"config_arn": "edge"}, "is no ARN of a real-time", id="no-arn"),
        pytest.param({"config_arn": ARN, "fields": ["c-ip"]}, "leave one of them out", id="both"),
        pytest.param({"config_arn": ARN, "sampling_rate": 5}, "there are no fields", id="rate"),
        pytest.param({"fields": ["c-ip"], "sampling_rate": 0}, "below the least", id="zero"),
        pytest.param({"fields": ["c-ip"], "sampling_rate": 101}, "above the largest", id="much"),
        pytest.param(
            {"layouts": [{"fields": ["c-ip"]}, {"fields": ["c-ipp"]}]},
            r"layouts\[1\]\.fields: unknown column 'c-ipp' \(did you mean 'c-ip'\?\)",
            id="another",
        ),
    ],
)
def test_options_that_make_no_sense_are_refused(table: dict[str, Any], problem: str) -> None:
    problems: list[str] = []

    assert parse(RealtimeOptions, table, "decoders.edge", problems) is None
    with pytest.raises(AssertionError, match=problem):
        raise AssertionError("\n".join(problems))
