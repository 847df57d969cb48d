"""The real-time log configuration as CloudFront has it: which columns, at which rate.

The only call is ``cloudfront:GetRealtimeLogConfig``.  Its answer lists the columns in the
order of delivery (CloudFront API reference, ``RealtimeLogConfig``).
"""

from __future__ import annotations

import logging
import re
import time
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs import aws
from cloudfront_ecs.batches import Layout
from cloudfront_ecs.errors import SourceError
from cloudfront_ecs.normalize.layouts import realtime_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

log = logging.getLogger(__name__)

ARN = re.compile(r"arn:[a-z-]+:cloudfront::\d{12}:realtime-log-config/[A-Za-z0-9_-]{1,128}")
_DENIED = frozenset({"AccessDenied", "AccessDeniedException"})


class RealtimeConfig:
    """One real-time log configuration, read when it is needed and no more often."""

    def __init__(
        self, arn: str, options: aws.AwsOptions, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Ask nothing yet."""
        self.arn = arn
        self._options = options
        self._clock = clock
        self._client: Any = None
        self._layout: Layout | None = None
        self._asked: float | None = None

    def layout(self, max_age: float) -> Layout:
        """Return the layout, read at most *max_age* seconds ago.

        Where CloudFront cannot be asked, what was read before still counts: nobody can
        change a configuration that cannot be reached.

        Raises:
            SourceError: It could not be read, and never was.
        """
        now = self._clock()
        fresh = self._asked is not None and 0 <= now - self._asked < max_age  # clocks are set back
        if fresh and self._layout is not None:
            return self._layout
        self._asked = now
        try:
            self._layout = self.read()
        except SourceError as error:
            if self._layout is None:
                raise
            log.warning("%s; the layout read before still counts", error)
        return self._layout

    def read(self) -> Layout:
        """Ask CloudFront.

        Raises:
            SourceError: It does not answer, refuses, or names columns that cannot be placed.
        """
        try:
            if self._client is None:
                retries = {"mode": "standard", "total_max_attempts": 2}
                self._client = aws.client(
                    "cloudfront", self._options, retries=retries, read_timeout=10
                )
            answer = self._client.get_realtime_log_config(ARN=self.arn)["RealtimeLogConfig"]
        except ClientError as error:
            code = error.response.get("Error", {}).get("Code", "")
            hint = " (allow cloudfront:GetRealtimeLogConfig)" if code in _DENIED else ""
            raise SourceError(f"{self.arn}: {code or 'no answer'}{hint}") from error
        except BotoCoreError as error:
            raise SourceError(f"{self.arn}: cannot be read: {error}") from error
        columns = _in_order(answer.get("Fields") or (), self.arn)
        rate = answer.get("SamplingRate")
        return Layout("realtime", columns, int(rate) if rate else None)


def _in_order(names: Sequence[str], arn: str) -> tuple[str, ...]:
    """Return the columns in the order of delivery.

    A column newer than this version keeps the place that the answer gives it, which is
    right only if the others stand in AWS's order there.
    """
    known = realtime_columns()
    ordered = tuple(name for name in known if name in names)
    new = [name for name in names if name not in known]
    if not names or len(set(names)) != len(names):
        raise SourceError(f"{arn}: names no columns, or one twice")
    if not new:
        return ordered
    if tuple(name for name in names if name in known) != ordered:
        told = ", ".join(map(repr, new))
        raise SourceError(f"{arn}: the place of {told} is not known (a newer version may know)")
    return tuple(names)
