"""Golden pairs: a log and the documents it becomes, reviewed by eye when they change."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from normalize.converting import convert

if TYPE_CHECKING:
    from normalize.converting import Outcome

DATA = Path(__file__).parent.parent / "data"
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
"""What every document has; left out of the golden files."""
LOGS = sorted([*DATA.glob("standard/*.log"), *DATA.glob("realtime/*.log")])


@pytest.mark.parametrize(
    "log", [pytest.param(log, id=f"{log.parent.name}-{log.stem}") for log in LOGS]
)
def test_a_log_becomes_the_documents_that_were_reviewed(log: Path, *, update_golden: bool) -> None:
    fields = log.with_suffix(".fields")
    columns = fields.read_text().split() if fields.exists() else ()

    outcome = convert(log.read_bytes(), columns)

    found = shown(outcome)
    golden = log.with_suffix(".json")
    if update_golden:
        text = json.dumps(found, indent=1, ensure_ascii=False) + "\n"
        golden.write_text(text, encoding="utf-8")
    expected = json.loads(golden.read_text("utf-8"))
    assert found["rejects"] == expected["rejects"]
    assert found["skipped"] == expected["skipped"]
    assert len(found["documents"]) == len(expected["documents"])
    for document, wanted in zip(found["documents"], expected["documents"], strict=True):
        assert document == wanted


@pytest.mark.parametrize("name", ["standard", "realtime"])
def test_every_document_says_what_it_is(name: str) -> None:
    columns = (DATA / "realtime" / "columns_71.fields").read_text().split()
    fields = columns if name == "realtime" else ()
    log = DATA / name / ("columns_71.log" if name == "realtime" else "columns_33.log")

    bodies = convert(log.read_bytes(), fields).bodies

    dataset = f"cloudfront.{name}"
    expected = CONSTANT | {"event.dataset": dataset, "data_stream.dataset": dataset}
    assert bodies
    for body in bodies:
        assert body.items() >= expected.items()


def test_every_golden_file_belongs_to_a_log() -> None:
    golden = {*DATA.glob("standard/*.json"), *DATA.glob("realtime/*.json")}

    assert golden == {log.with_suffix(".json") for log in LOGS}


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
    left_out = {*CONSTANT, "event.dataset", "data_stream.dataset"}
    documents = [
        {name: value for name, value in body.items() if name not in left_out}
        for body in outcome.bodies
    ]
    return {"documents": documents, "rejects": rejects, "skipped": outcome.skipped}
