"""What became of a request is told by its status and CloudFront's result types together."""

from __future__ import annotations

from typing import Any

import pytest

from cloudfront_ecs.normalize.values.outcomes import verdict, words
from normalize.converting import realtime, standard

CLOUDFRONT = "aws.cloudfront."


def of(status: str = "-", result: str = "-", answer: str = "-", detail: str = "-") -> Any:
    return verdict(f"{status}\t{result}\t{answer}\t{detail}")


@pytest.mark.parametrize(
    ("results", "status", "hit"),
    [
        pytest.param(("Hit", "Hit", "Hit"), "hit", 1, id="hit"),
        pytest.param(("RefreshHit", "RefreshHit", "RefreshHit"), "refresh_hit", 1, id="refreshed"),
        pytest.param(("Miss", "Miss", "OriginShieldHit"), "shield_hit", 1, id="shield"),
        pytest.param(("OriginShieldHit", "Miss", "-"), "shield_hit", 1, id="shield-of-2020"),
        pytest.param(("Error", "Hit", "ClientCommError"), "hit", 1, id="hit-then-left"),
        pytest.param(("Error", "Miss", "ClientHungUpRequest"), "miss", 0, id="miss-then-left"),
        pytest.param(("Miss", "Miss", "Miss"), "miss", 0, id="miss"),
        pytest.param(("Miss", "Miss", "MissGeneratedResponse"), "generated", 0, id="generated"),
        pytest.param(("FunctionGeneratedResponse", "-", "-"), "generated", 0, id="by-function"),
        pytest.param(("LambdaGeneratedResponse", "-", "-"), "generated", 0, id="by-lambda"),
        pytest.param(("Redirect", "Redirect", "Redirect"), "redirect", 0, id="redirect"),
        pytest.param(("Error", "Error", "OriginDnsError"), "error", 0, id="error"),
        pytest.param(("LimitExceeded", "LimitExceeded", "-"), "error", 0, id="limit"),
        pytest.param(("CapacityExceeded", "-", "-"), "error", 0, id="capacity"),
        pytest.param(("LambdaExecutionError", "-", "-"), "error", 0, id="lambda"),
        pytest.param(("Miss", "Hit", "Miss"), "miss", 0, id="the-last-word-counts"),
        pytest.param(("Hitch", "Hitch", "Hitch"), "hitch", 0, id="not-a-hit"),
        pytest.param(("-", "Hit", "-"), "hit", 1, id="only-the-answer"),
        pytest.param(("-", "-", "-"), None, None, id="not-logged"),
    ],
)
def test_a_hit_is_an_answer_out_of_any_cache_of_cloudfront(
    results: tuple[str, str, str], status: str | None, hit: int | None
) -> None:
    found = of("200", *results)

    assert (found.cache_status, found.cache_hit) == (status, hit)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("200", ("2xx", 0, 0, 0)),
        ("399", ("3xx", 0, 0, 0)),
        ("400", ("4xx", 1, 0, 1)),
        ("499", ("4xx", 1, 0, 1)),
        ("500", ("5xx", 0, 1, 1)),
        ("000", ("no answer", 0, 0, 0)),
        ("-", (None, None, None, None)),
    ],
)
def test_errors_are_counted_by_the_class_of_the_status(
    status: str, expected: tuple[str | None, ...]
) -> None:
    found = of(status, "Miss")

    assert (found.status_class, found.error_4xx, found.error_5xx, found.error) == expected


@pytest.mark.parametrize(
    ("status", "result", "detail", "types"),
    [
        pytest.param("200", "Hit", "Hit", [], id="answered"),
        pytest.param("304", "RefreshHit", "RefreshHit", [], id="same"),
        pytest.param("404", "Miss", "Miss", [], id="not-found"),
        pytest.param("404", "Error", "Error", ["error"], id="not-found-and-said-so"),
        pytest.param("500", "Miss", "Miss", ["error"], id="server-error"),
        pytest.param("499", "Miss", "Miss", [], id="just-below"),
        pytest.param("000", "Error", "ClientHungUpRequest", ["error"], id="no-answer"),
        pytest.param("403", "Error", "ClientGeoBlocked", ["error", "denied"], id="country"),
        pytest.param("200", "Error", "ClientGeoBlocked", ["error", "denied"], id="own-page"),
        pytest.param("403", "Error", "Error", ["error", "denied"], id="waf-or-origin"),
        pytest.param("403", "FunctionGeneratedResponse", "-", ["denied"], id="function"),
        pytest.param("400", "Error", "InvalidRequestBlocked", ["error", "denied"], id="blocked"),
        pytest.param("400", "Error", "InvalidRequest", ["error"], id="malformed"),
        pytest.param("400", "Error", "InvalidRequestHeader", ["error"], id="bad-header"),
        pytest.param("401", "Error", "Error", ["error"], id="who-are-you"),
        pytest.param("404", "Error", "ClientCommError", ["error"], id="connection-lost"),
        pytest.param("503", "LimitExceeded", "LimitExceeded", ["error", "denied"], id="quota"),
        pytest.param("503", "CapacityExceeded", "-", ["error"], id="no-capacity"),
        pytest.param("502", "Error", "LambdaLimitExceeded", ["error"], id="limit-of-a-function"),
    ],
)
def test_an_event_is_denied_where_somebody_refused_the_request(
    status: str, result: str, detail: str, types: list[str]
) -> None:
    assert of(status, result, result, detail).types == ["access", *types]


@pytest.mark.parametrize(
    ("status", "result", "detail", "side"),
    [
        pytest.param("200", "Hit", "Hit", None, id="no-error"),
        pytest.param("206", "Error", "ClientCommError", "client", id="viewer-lost"),
        pytest.param("000", "Error", "ClientHungUpRequest", "client", id="viewer-left"),
        pytest.param("400", "Error", "InvalidRequestMethod", "client", id="invalid"),
        pytest.param("500", "Error", "SlowReaderOriginError", "client", id="slow-viewer"),
        pytest.param("502", "Error", "OriginConnectError", "origin", id="origin"),
        pytest.param("502", "Error", "AbortedOrigin", "origin", id="aborted"),
        pytest.param("500", "Error", "InternalError", "edge", id="internal"),
        pytest.param("502", "LambdaExecutionError", "LambdaExecutionError", "edge", id="lambda"),
        pytest.param("503", "FunctionThrottledError", "-", "edge", id="function"),
        pytest.param("503", "CapacityExceeded", "CapacityExceeded", "edge", id="capacity"),
        pytest.param("503", "LimitExceeded", "-", "edge", id="quota"),
        pytest.param("404", "Error", "Error", "client", id="passed-on-404"),
        pytest.param("500", "Error", "Error", "origin", id="passed-on-500"),
        pytest.param("200", "Error", "Error", None, id="unspecific"),
        pytest.param("404", "Miss", "OriginShieldHit", "client", id="shield-is-no-origin"),
        pytest.param("500", "Miss", "Miss", "origin", id="miss-500"),
        pytest.param("500", "FunctionGeneratedResponse", "-", "edge", id="function-said-500"),
        pytest.param("-", "Error", "-", None, id="nothing-known"),
    ],
)
def test_an_error_has_one_who_is_to_blame(
    status: str, result: str, detail: str, side: str | None
) -> None:
    assert of(status, result, result, detail).error_side == side


@pytest.mark.parametrize(
    ("result", "detail", "code"),
    [
        ("Error", "OriginDnsError", "OriginDnsError"),
        ("LimitExceeded", "LimitExceeded", "LimitExceeded"),
        ("LambdaExecutionError", "LambdaExecutionError", "LambdaExecutionError"),
        ("Error", "-", None),
        ("Miss", "OriginShieldHit", None),
        ("Hit", "Hit", None),
    ],
)
def test_only_an_error_has_a_code(result: str, detail: str, code: str | None) -> None:
    assert of("502", result, result, detail).error_code == code


def test_the_action_is_the_result_type_in_words() -> None:
    assert words("FunctionGeneratedResponse") == "function_generated_response"
    assert of("200", "RefreshHit", "Hit").action == "refresh_hit"
    assert of("200", "-", "Hit").action == "hit"
    assert of("200").action is None


def test_a_tab_inside_a_value_of_json_shifts_no_status() -> None:
    assert of("500", "Mi\tss", "Miss", "Miss").error_5xx == 1


@pytest.mark.parametrize("log", ["standard", "realtime"])
def test_both_logs_tell_the_outcome(log: str) -> None:
    columns = ["sc-status", "x-edge-result-type", "x-edge-detailed-result-type"]
    clock = ["date", "time"] if log == "standard" else ["timestamp"]
    convert = standard if log == "standard" else realtime

    [body] = convert({"sc-status": "502"}, columns=[*clock, *columns]).bodies

    assert body["event.action"] == "error"
    assert body["event.reason"] == body["error.code"] == "OriginDnsError"
    assert {name: body[CLOUDFRONT + name] for name in ("cache_status", "error_side")} == {
        "cache_status": "error",
        "error_side": "origin",
    }
    assert (body["aws.cloudfront.cache_hit"], body["aws.cloudfront.error_5xx"]) == (0, 1)


def test_a_log_without_results_has_no_outcome() -> None:
    [body] = standard({}, columns=["date", "time", "c-ip"]).bodies

    assert body["event.type"] == ["access"]
    assert not [name for name in body if name.startswith(CLOUDFRONT)]
