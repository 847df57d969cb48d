"""Connection logs: what each column becomes, and what a status means."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs import Origin, Payload, Receipt
from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.conversion import Conversion
from cloudfront_ecs.decoders.connection import ConnectionDecoder, ConnectionOptions
from cloudfront_ecs.normalize.layouts import rows_by_column
from cloudfront_ecs.normalize.values import convert as conversions
from cloudfront_ecs.plugins import load_plugins
from normalize.converting import Outcome, collect, convert, header, line

COLUMNS = tuple(rows_by_column("connection"))
TARGETS = [
    pytest.param(column, name, id=f"{column}-{name}")
    for column, row in rows_by_column("connection").items()
    for name, _ in row.targets
]
CODES = (
    "ClientCertMaxChainDepthExceeded", "ClientCertMaxSizeExceeded", "ClientCertUntrusted",
    "ClientCertNotYetValid", "ClientCertExpired", "ClientCertTypeUnsupported",
    "ClientCertInvalid", "ClientCertIntentInvalid", "ClientCertRejected", "ClientCertMissing",
    "ClientCertOcspProcessingError", "ClientCertOcspDenied", "TcpError", "TcpTimeout",
    "ConnectionFunctionError", "ConnectionFunctionDenied", "Internal", "UnmappedConnectionError",
)  # fmt: skip
ERRORS = {
    "ClientCertOcspProcessingError", "TcpError", "TcpTimeout", "ConnectionFunctionError",
    "Internal", "UnmappedConnectionError",
}  # fmt: skip


def read(*values: dict[str, str], columns: tuple[str, ...] = COLUMNS) -> Outcome:
    data = header(columns) + b"".join(line(columns, one) for one in values)
    return convert(data, decoder=ConnectionDecoder(ConnectionOptions()))


@pytest.mark.parametrize(("column", "name"), TARGETS)
def test_a_column_reaches_each_of_its_fields(column: str, name: str) -> None:
    [body] = read({}).bodies
    absent = read({column: "-"}).bodies

    assert name in body, column
    assert not absent or absent[0].get(name) != body[name]


@pytest.mark.parametrize("column", [column for column in COLUMNS if column != "eventTimestamp"])
def test_a_column_alone_reaches_its_fields(column: str) -> None:
    [body] = read({}, columns=("eventTimestamp", column)).bodies

    expected = {name for name, _ in rows_by_column("connection")[column].targets}
    assert expected & body.keys()


@pytest.mark.parametrize("code", CODES)
def test_a_failure_names_its_code_and_whether_somebody_or_something_failed(code: str) -> None:
    [body] = read({"connectionStatus": f"Failed:{code}"}).bodies

    assert body["error.code"] == code
    assert body["event.outcome"] == "failure"
    assert body["tls.established"] is False
    assert body["event.type"] == ["connection", "error" if code in ERRORS else "denied"]
    authentication = code.startswith("ClientCert")
    assert body["event.category"] == ["network", "authentication"][: 1 + authentication]


def test_without_a_status_nothing_is_said_about_the_end() -> None:
    [body] = read({"connectionStatus": "-"}).bodies

    assert body["event.type"] == ["connection"]
    assert body.keys().isdisjoint(("event.outcome", "tls.established", "error.code"))


@given(numbers=st.lists(st.integers(0, 255), min_size=1, max_size=20))
def test_a_serial_number_can_be_written_as_logged_again(numbers: list[int]) -> None:
    logged = ":".join(f"{number:02x}" for number in numbers)

    plain, unusual = conversions.serial_number(logged)

    assert unusual is None
    assert plain is not None
    assert ":".join(plain[at : at + 2] for at in range(0, len(plain), 2)).lower() == logged


@given(text=st.text(max_size=40))
def test_a_text_is_read_or_refused_with_a_reason(text: str) -> None:
    for column in COLUMNS:
        conversion = getattr(conversions, rows_by_column("connection")[column].conversion)
        with suppress(ValueError):
            conversion(text)


moments = st.integers(86_400_000, 253_402_214_400_000)
offsets = st.integers(-18 * 60, 18 * 60)


@given(milliseconds=moments, offset=offsets)
def test_both_spellings_of_a_moment_are_the_same_moment(milliseconds: int, offset: int) -> None:
    zone = timezone(timedelta(minutes=offset))
    there = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)
    text = there.astimezone(zone).isoformat(timespec="milliseconds")

    assert conversions.event_time(text) == conversions.event_time(str(milliseconds))


def test_the_user_agent_transform_leaves_connections_alone() -> None:
    spec = load_plugins().transforms["user_agent"]
    transform = spec.open(spec.options(), AdapterContext("user_agent"))
    decoder = ConnectionDecoder(ConnectionOptions())
    data = header(COLUMNS) + line(COLUMNS)
    payload = Payload(Receipt("example", 0), Origin("example", ("example",)), chunks=[data])

    plain = collect(Conversion(decoder, ()), payload).bodies
    transformed = collect(Conversion(decoder, (transform,)), payload).bodies

    assert transformed == plain
    assert plain
