"""A decoder: records of some real-time columns, apart by pipes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudfront_ecs import Layout, RecordBatch, RejectedLine, option

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cloudfront_ecs import AdapterContext, Payload


@dataclass(frozen=True, slots=True, kw_only=True)
class PipesOptions:
    """Options of the ``acme_pipes`` decoder."""

    fields: tuple[str, ...] = option(
        ("timestamp", "c-ip", "sc-status"), doc="Columns in the order of the records.", least=1
    )
    comment: str = option("//", doc="How lines begin that are no records.")


class Pipes:
    """Splits lines at pipes."""

    def __init__(self, options: PipesOptions) -> None:
        """Keep the layout."""
        self._layout = Layout("realtime", options.fields)
        self._comment = options.comment

    def decode(self, payload: Payload) -> Iterator[RecordBatch]:
        """Yield all records of the payload as one batch."""
        if payload.messages is not None:
            data = b"\n".join(message.data.removesuffix(b"\n") for message in payload.messages)
        else:
            data = b"".join(payload.chunks)
        text = data.decode("utf-8", "surrogateescape")
        rows: list[list[str]] = []
        lines: list[str] = []
        numbers: list[int] = []
        skipped = 0
        rejects: list[RejectedLine] = []
        for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
            row = line.split("|")
            if not line or line.startswith(self._comment):
                skipped += 1
            elif len(row) != len(self._layout.columns):
                detail = f"{len(self._layout.columns)} columns expected, {len(row)} found"
                raw = line.encode("utf-8", "surrogateescape")
                rejects.append(RejectedLine("columns", detail, raw, number))
            else:
                rows.append(row)
                lines.append(line)
                numbers.append(number)
        yield RecordBatch(
            self._layout,
            rows,
            lines,
            numbers,
            rejects=rejects,
            skipped=skipped,
            plain=text.isascii(),
        )


def open_pipes(options: PipesOptions, _: AdapterContext) -> Pipes:
    """Open the decoder."""
    return Pipes(options)
