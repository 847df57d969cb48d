"""``event.original`` follows: the line loses what its document has lost.

Columns are found by what they hold, since a document does not know its layout.  A line
that cannot be taken apart, or in which a removed value cannot be found, goes altogether.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.normalize.rebuilding.rebuild_texts import ABSENT, encoded
from cloudfront_ecs.normalize.values.escapes import headers, unquote_once
from cloudfront_ecs.normalize.values.plain import PartlyReadError
from cloudfront_ecs.transforms.privacy.text import decoded, holds, in_encoded
from cloudfront_ecs.transforms.privacy.work import (
    changed_texts,
    cookie_texts,
    headers_key,
    headers_of,
    url_texts,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.transforms.privacy.work import Work


def cleaned_line(line: str, body: Any, work: Work) -> str | None:
    """Return *line* without what was removed from its document, or None.

    Args:
        line: As it was read.
        body: The document, cleaned but for the line.
        work: What was removed from it.
    """
    cleaning = _Cleaning(body, work)
    if line.startswith("{"):
        cleaned = cleaning.json(line)
    elif "\t" in line:
        cleaned = "\t".join(map(cleaning.cell, line.split("\t")))
    else:
        cleaned = cleaning.cell(line)
        if cleaned != line or cleaning.missing():
            return None  # other delimiters: nobody can tell where a column ends
    if cleaned is None or cleaning.missing():
        return None
    leaking = any(holds(cleaned, secret) for secret, new in work.secrets.items() if new != secret)
    return None if leaking else cleaned


def _headers_in(cell: str) -> Mapping[str, Any] | None:
    """Return the headers of a column, as far as they can be read."""
    try:
        return headers(cell)
    except PartlyReadError as error:
        return headers(error.readable)


class _Cleaning:
    """Cleans the columns of one line and notes which were found."""

    def __init__(self, body: Any, work: Work) -> None:
        self._body, self._work = body, work
        self._changed: Mapping[str, str | None] = changed_texts(work.before, body)
        self._cookies = cookie_texts(work.before)
        self._urls = url_texts(work.before)
        self._headers, self._new_headers = headers_of(work.before), headers_of(body)
        self._found: set[str] = set()

    def missing(self) -> bool:
        """Say whether something was removed from the document that is not in the line."""
        return any(not group & self._found for group in self._work.located)

    def json(self, line: str) -> str | None:
        """Return a line that is JSON, or None where it is not."""
        try:
            record = json.loads(line)
        except ValueError:
            return None
        cleaned = self._value(record)
        if cleaned == record:
            return line
        return json.dumps(cleaned, ensure_ascii=False, separators=(",", ":"))

    def _value(self, value: Any, column: str = "") -> Any:
        if isinstance(value, dict):
            return {key: self._value(item, key) for key, item in value.items()}
        if isinstance(value, list):
            return [self._value(item) for item in value]
        if column in self._work.columns and isinstance(value, (int, float)):
            self._found.add(str(value))
            return ABSENT
        return self.cell(value) if isinstance(value, str) else value

    def cell(self, cell: str) -> str:
        """Return the text of one column."""
        if cell == ABSENT:
            return cell
        plain = unquote_once(cell) if "%" in cell else cell
        self._found |= {cell, plain}
        is_headers = self._headers and ":" in cell and _headers_in(cell) == self._headers
        if is_headers:
            self._found.add(headers_key(self._headers or {}))
        if cell in self._work.cells or plain in self._work.cells:
            return ABSENT
        if is_headers:
            return self._header_cell(cell)
        edits = self._work.query_edits if self._is_url(cell, plain) else []
        if self._cookies.intersection((plain, cell)):
            edits = self._work.cookie_edits
        candidate = cell
        for edit in edits:
            candidate = in_encoded(candidate, edit, encoded)
        for old, was_decoded in ((cell, False), (plain, True)):
            if old in self._changed:
                new = self._changed[old]
                if new is None:
                    return ABSENT
                same = new in (candidate, unquote_once(candidate))
                return candidate if same else encoded(new) if was_decoded else new
        return self._work.cleaned(candidate)

    def _is_url(self, cell: str, plain: str) -> bool:
        """Say whether a column has, or could have, parameters of a URL."""
        if cell in self._urls or plain in self._urls:
            return True
        text = decoded(plain) if "%" in plain else plain
        return "=" in text and ("?" in text or "&" in text)

    def _header_cell(self, cell: str) -> str:
        """Return request headers with the values that the document has now."""
        left = {
            name: [value] if isinstance(value, str) else list(value)
            for name, value in (self._new_headers or {}).items()
        }
        parts = []
        for part in re.split("(%0A)", cell, flags=re.IGNORECASE):
            name, colon, value = part.partition(":")
            key, old = unquote_once(name).lower(), unquote_once(value)
            if not colon or not key or not old:
                parts.append(part)
            elif left.get(key):
                new = left[key].pop(0)
                parts.append(part if new == old else f"{name}:{encoded(new)}")
            else:
                parts.append("")
        text = "".join(parts)
        return re.sub("(?:%0A){2,}", "%0A", text.removeprefix("%0A"), flags=re.IGNORECASE) or ABSENT
