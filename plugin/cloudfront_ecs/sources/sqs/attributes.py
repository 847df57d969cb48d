"""What a queue says of itself: how much it holds, and what its redrive policy does.

Source: Amazon SQS API reference, GetQueueAttributes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from cloudfront_ecs.errors import SourceError

if TYPE_CHECKING:
    from cloudfront_ecs.sources.sqs.calls import SqsCalls
    from cloudfront_ecs.sources.sqs.claims import Rules

_COUNTS = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)


class _RedrivePolicy(msgspec.Struct):
    maxReceiveCount: int | str  # noqa: N815 - as SQS spells it


def count_messages(calls: SqsCalls) -> int:
    """Return about how many messages the queue holds, hidden and delayed ones included.

    Raises:
        SourceError: SQS could not be asked.
    """
    told = calls.attributes(*_COUNTS)
    return sum(int(told.get(name, 0)) for name in _COUNTS)


def check_queue(calls: SqsCalls, rules: Rules) -> str:
    """Say in a sentence that the queue can be used by *rules*; nothing is received.

    Raises:
        SourceError: It cannot be reached, or not be used in this way.
    """
    told = calls.attributes(*_COUNTS, "RedrivePolicy")
    count = sum(int(told.get(name, 0)) for name in _COUNTS)
    sentence = f"{calls.queue_url}: reachable, holds about {count} messages"
    if "RedrivePolicy" not in told:
        if rules.redrive:
            raise SourceError(
                f"{calls.queue_url}: has no redrive policy, so poison = 'redrive' would read "
                "bad messages for ever (give it one, or choose 'dead_letter')"
            )
        return sentence
    most = int(msgspec.json.decode(told["RedrivePolicy"], type=_RedrivePolicy).maxReceiveCount)
    if not rules.redrive and most < rules.max_receives:
        raise SourceError(
            f"{calls.queue_url}: its redrive policy takes messages away after {most} receives, "
            f"before they become dead letters after {rules.max_receives} (raise its "
            "maxReceiveCount, lower 'max_receives', or choose poison = 'redrive')"
        )
    return sentence
