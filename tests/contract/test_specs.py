"""What holds for every adapter of every role."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.adapters import AdapterContext
from cloudfront_ecs.errors import CloudFrontEcsError
from cloudfront_ecs.options import describe, parse
from cloudfront_ecs.plugins import ROLES
from contract.configured import closed_port, kinds, known, minimal, no_network

if TYPE_CHECKING:
    from pathlib import Path

ADAPTERS = [(role, kind) for role in ROLES for kind in kinds(role)]

every_adapter = pytest.mark.parametrize(
    ("role", "kind"), ADAPTERS, ids=[f"{role}-{kind}" for role, kind in ADAPTERS]
)


@every_adapter
def test_a_spec_has_a_plain_kind_and_a_summary(role: str, kind: str) -> None:
    spec = known().specs(role)[kind]

    assert isinstance(spec, ROLES[role])
    assert spec.kind == kind
    assert re.fullmatch(r"[a-z][a-z0-9_]*", kind)
    assert spec.summary.endswith(".")
    assert "\n" not in spec.summary


@every_adapter
def test_options_are_a_frozen_dataclass_with_a_sentence_for_each(role: str, kind: str) -> None:
    options = known().specs(role)[kind].options

    assert is_dataclass(options)
    assert vars(options)["__dataclass_params__"].frozen
    assert all(item.metadata.get("doc") for item in fields(options))
    for item in describe(options):
        assert item.doc.endswith((".", "!", "?")) or item.example, item.name


@every_adapter
def test_no_options_at_all_are_enough_or_the_missing_ones_are_named(role: str, kind: str) -> None:
    problems: list[str] = []

    options = parse(known().specs(role)[kind].options, {}, "here", problems)

    assert (options is None) == bool(problems)
    assert all(re.match(r"here(\.\w+)?: .*\w", each) for each in problems)


@every_adapter
def test_an_unknown_option_is_refused(role: str, kind: str) -> None:
    problems: list[str] = []

    parse(known().specs(role)[kind].options, {"no_such_option": 1}, "here", problems)

    assert any("unknown option 'no_such_option'" in each for each in problems)


@every_adapter
def test_opening_does_not_touch_the_network(role: str, kind: str, tmp_path: Path) -> None:
    spec = known().specs(role)[kind]
    options = minimal(role, kind, tmp_path, closed_port())
    adapter: Any = None

    with no_network() as used:
        with suppress(CloudFrontEcsError):
            adapter = spec.open(options, AdapterContext("contract", tmp_path / "state"))
        found = list(used)
        if hasattr(adapter, "close"):
            adapter.close()

    assert found == []
