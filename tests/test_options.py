from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from cloudfront_ecs.options import Expanded, OptionDoc, Secret, describe, option, parse

HIDDEN = "hunter2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    key: str | None = option(None, doc="A key.")
    password: Secret | None = option(None, doc="A password.")
    depth: int = option(1, doc="A depth.", least=1, most=3)

    def __post_init__(self) -> None:
        if self.key == "wrong":
            raise ValueError("'key' cannot work\n'key' cannot even be read")


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    name: str = option(doc="A name.", example='"x"')
    count: int = option(5, doc="A count.", least=1, most=10)
    ratio: float = option(0.5, doc="A ratio.", least=0.0, most=1.0)
    flag: bool = option(default=False, doc="A flag.")
    mode: Literal["fast", "safe"] = option("safe", doc="A mode.")
    hosts: tuple[str, ...] = option((), doc="Hosts.", least=1)
    counts: list[int] = field(default_factory=list, metadata={"doc": "Counts."})
    token: Secret | None = option(None, doc="A token.")
    tokens: tuple[Secret, ...] = option((), doc="Tokens.")
    either: int | str | None = option(None, doc="A number or a name.")
    secret_or_number: Secret | int | None = option(None, doc="Either.")
    inner: Inner = option(Inner(), doc="A table.")
    tables: tuple[Inner, ...] = option((), doc="Tables.")
    free: dict[str, Any] | None = option(None, doc="Anything.")


def parsed(**table: Any) -> tuple[Every | None, list[str]]:
    problems: list[str] = []
    return parse(Every, {"name": "n", **table}, "sinks.a", problems), problems


def problem(**table: Any) -> str:
    options, problems = parsed(**table)
    assert options is None
    assert len(problems) == 1
    return problems[0]


def test_defaults_stand_where_nothing_is_given() -> None:
    options, problems = parsed()

    assert problems == []
    assert options == Every(name="n")


@pytest.mark.parametrize(
    ("table", "name", "value"),
    [
        pytest.param({"count": 7}, "count", 7, id="int"),
        pytest.param({"ratio": 1}, "ratio", 1.0, id="an-int-is-a-number"),
        pytest.param({"flag": True}, "flag", True, id="bool"),
        pytest.param({"mode": "fast"}, "mode", "fast", id="choice"),
        pytest.param({"mode": Expanded("fast", "${M}")}, "mode", "fast", id="choice-expanded"),
        pytest.param({"hosts": ["a", "b"]}, "hosts", ("a", "b"), id="tuple"),
        pytest.param({"counts": [1, 2]}, "counts", [1, 2], id="list"),
        pytest.param({"token": HIDDEN}, "token", Secret(HIDDEN), id="secret"),
        pytest.param({"either": 3}, "either", 3, id="first-of-two-types"),
        pytest.param({"either": "x"}, "either", "x", id="second-of-two-types"),
        pytest.param({"inner": {"depth": 2}}, "inner", Inner(depth=2), id="table"),
        pytest.param({"inner": {}}, "inner", Inner(), id="empty-table"),
        pytest.param({"tables": [{"key": "k"}]}, "tables", (Inner(key="k"),), id="tables"),
        pytest.param({"free": {"a": [1, {"b": 2}]}}, "free", {"a": [1, {"b": 2}]}, id="free"),
    ],
)
def test_values_become_what_the_options_declare(
    table: dict[str, Any], name: str, value: object
) -> None:
    options, problems = parsed(**table)

    assert problems == []
    assert getattr(options, name) == value
    assert type(getattr(options, name)) is type(value)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        pytest.param(
            {"cuont": 1},
            "sinks.a: unknown option 'cuont' (did you mean 'count'?)",
            id="unknown-option",
        ),
        pytest.param(
            {"count": "9"}, "sinks.a.count: expected int, got text '9'", id="text-for-int"
        ),
        pytest.param(
            {"count": True}, "sinks.a.count: expected int, got bool True", id="bool-for-int"
        ),
        pytest.param(
            {"count": 1.0}, "sinks.a.count: expected int, got number 1.0", id="number-for-int"
        ),
        pytest.param({"flag": 1}, "sinks.a.flag: expected bool, got int 1", id="int-for-bool"),
        pytest.param({"name": 5}, "sinks.a.name: expected text, got int 5", id="int-for-text"),
        pytest.param(
            {"hosts": "h"}, "sinks.a.hosts: expected list of text, got text 'h'", id="text-for-list"
        ),
        pytest.param(
            {"hosts": ["h", 1]}, "sinks.a.hosts[1]: expected text, got int 1", id="wrong-item"
        ),
        pytest.param({"inner": 3}, "sinks.a.inner: expected table, got int", id="int-for-table"),
        pytest.param(
            {"name": {"x": 1}}, "sinks.a.name: expected text, got table", id="table-for-text"
        ),
        pytest.param(
            {"either": 1.5}, "sinks.a.either: expected int or text, got number 1.5", id="neither"
        ),
        pytest.param(
            {"mode": "fsat"},
            "sinks.a.mode: unknown value 'fsat' (did you mean 'fast'?)",
            id="unknown-choice",
        ),
        pytest.param(
            {"mode": 1}, "sinks.a.mode: unknown value 1 (known: fast, safe)", id="int-for-choice"
        ),
        pytest.param(
            {"count": 0}, "sinks.a.count: 0 is below the least allowed value 1", id="too-small"
        ),
        pytest.param(
            {"count": 11},
            "sinks.a.count: 11 is above the largest allowed value 10",
            id="too-large",
        ),
        pytest.param(
            {"ratio": float("nan")},
            "sinks.a.ratio: nan is below the least allowed value 0",
            id="not-a-number",
        ),
        pytest.param({"hosts": []}, "sinks.a.hosts: at least 1 needed, got 0", id="list-too-short"),
        pytest.param(
            {"inner": {"depht": 1}},
            "sinks.a.inner: unknown option 'depht' (did you mean 'depth'?)",
            id="unknown-option-of-table",
        ),
        pytest.param(
            {"inner": {"depth": 4}},
            "sinks.a.inner.depth: 4 is above the largest allowed value 3",
            id="range-of-table",
        ),
        pytest.param(
            {"tables": [{}, {"depth": "x"}]},
            "sinks.a.tables[1].depth: expected int, got text 'x'",
            id="one-of-several-tables",
        ),
        pytest.param(
            {"name": [1] * 60},
            f"sinks.a.name: expected text, got list {str([1] * 60)[:57]}…",
            id="long-values-are-cut",
        ),
    ],
)
def test_a_wrong_value_is_told_by_place_problem_and_hint(
    table: dict[str, Any], message: str
) -> None:
    assert problem(**table) == message


def test_a_required_option_that_is_missing_says_what_it_is() -> None:
    problems: list[str] = []

    parse(Every, {}, "sinks.a", problems)

    assert problems == ["sinks.a: option 'name' is missing (A name.)"]


def test_all_problems_are_told_at_once() -> None:
    _, problems = parsed(cuont=1, flag=1, count=0, ratio=2, inner={"depth": 9, "x": 1})

    assert [each.split(":")[0] for each in problems] == [
        "sinks.a", "sinks.a.flag", "sinks.a.count", "sinks.a.ratio", "sinks.a.inner.depth",
        "sinks.a.inner",
    ]  # fmt: skip


def test_what_the_options_refuse_themselves_has_a_place_on_each_line() -> None:
    _, problems = parsed(inner={"key": "wrong"})

    assert problems == [
        "sinks.a.inner: 'key' cannot work",
        "sinks.a.inner: 'key' cannot even be read",
    ]


@pytest.mark.parametrize(
    "table",
    [
        pytest.param({"token": [HIDDEN]}, id="list-for-secret"),
        pytest.param({"token": {"value": HIDDEN}}, id="table-for-secret"),
        pytest.param({"tokens": HIDDEN}, id="secret-for-list-of-secrets"),
        pytest.param({"tokens": [[HIDDEN]]}, id="list-in-list-of-secrets"),
        pytest.param({"secret_or_number": [HIDDEN]}, id="one-of-two-types"),
        pytest.param({"inner": HIDDEN}, id="text-for-table-with-a-secret"),
        pytest.param({"inner": [{"password": HIDDEN}]}, id="list-for-table-with-a-secret"),
        pytest.param({"tables": HIDDEN}, id="text-for-tables-with-secrets"),
        pytest.param({"inner": {"password": [HIDDEN]}}, id="inside-a-table"),
        pytest.param({"name": {"password": HIDDEN}}, id="table-for-text"),
        pytest.param({"count": Expanded(HIDDEN, "${KEY}")}, id="environment-for-int"),
        pytest.param({"mode": Expanded(HIDDEN, "${KEY}")}, id="environment-for-choice"),
        pytest.param({"hosts": Expanded(HIDDEN, "${KEY}")}, id="environment-for-list"),
        pytest.param({"either": [Expanded(HIDDEN, "${KEY}")]}, id="environment-in-list"),
        pytest.param({"tokne": HIDDEN}, id="secret-in-an-unknown-option"),
    ],
)
def test_no_problem_shows_a_secret(table: dict[str, Any]) -> None:
    assert HIDDEN not in problem(**table)


def test_a_wrong_secret_still_tells_place_and_types() -> None:
    assert problem(token=5) == "sinks.a.token: expected secret text, got int"


def test_values_from_the_environment_are_shown_as_they_were_written() -> None:
    value = Expanded("12", "${COUNT}")

    assert problem(count=value) == "sinks.a.count: expected int, got text '${COUNT}'"


def test_values_from_the_environment_are_plain_text_once_parsed() -> None:
    value = Expanded("x", "${X}")

    options, _ = parsed(name=value, hosts=[value], either=value, free={"a": [value]})

    assert options is not None
    assert options.free is not None
    kept = [options.name, options.hosts[0], options.either, options.free["a"][0]]
    assert [type(each) for each in kept] == [str] * 4
    assert kept == ["x"] * 4


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(repr, id="repr"),
        pytest.param(str, id="str"),
        pytest.param("{}".format, id="format"),
        pytest.param("{:>20}".format, id="padded"),
        pytest.param(lambda secret: f"{secret!r} {secret}", id="f-string"),
        pytest.param(lambda secret: "%s %r" % (secret, secret), id="percent"),  # noqa: UP031
        pytest.param(lambda secret: repr([secret, {"k": secret}]), id="in-containers"),
        pytest.param(lambda secret: repr(Every(name="n", token=secret)), id="in-options"),
    ],
)
def test_a_secret_is_never_shown(shown: Any) -> None:
    assert HIDDEN not in shown(Secret(HIDDEN))


def test_a_secret_is_read_by_asking_for_it() -> None:
    revealed = Secret(HIDDEN).reveal()

    assert revealed == HIDDEN
    assert type(revealed) is str
    assert Secret(HIDDEN).encode() == HIDDEN.encode()


def test_options_describe_themselves() -> None:
    described = {each.name: each for each in describe(Every)}

    assert described["name"] == OptionDoc("name", "text", "required", "A name.", '"x"')
    assert described["count"] == OptionDoc("count", "int", "5", "A count.")
    assert described["flag"].default == "false"
    assert described["mode"].type == "'fast' | 'safe'"
    assert described["hosts"].type == "list of text"
    assert described["token"].type == "secret text"
    assert described["token"].default == "none"
    assert described["either"].type == "int or text"
    assert described["inner.depth"].doc == "A depth."
    assert "inner" not in described
    assert described["tables"].type == "list of table"


def test_the_default_of_a_secret_is_not_described() -> None:
    @dataclass(frozen=True)
    class Careless:
        token: Secret = option(Secret(HIDDEN), doc="A token.")

    assert HIDDEN not in str(list(describe(Careless)))
