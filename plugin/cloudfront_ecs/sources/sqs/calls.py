"""What SQS is asked: one queue's messages are received, deleted, hidden, counted.

A request that changes messages is for ten of them at most and may fail in part, so each
message gets an answer of its own: None, or the code of the error that SQS (or the way to it)
had for it.

Source: Amazon SQS API reference, DeleteMessageBatch and ChangeMessageVisibilityBatch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from botocore.exceptions import BotoCoreError, ClientError

from cloudfront_ecs.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

AT_ONCE: Final = 10
"""Messages in a request; SQS refuses more."""

NOT_OURS: Final = frozenset(
    {"ReceiptHandleIsInvalid", "InvalidParameterValue", "MessageNotInflight"}
)
"""Codes that say: this receive of the message is over, somebody else may have it."""


class SqsCalls:
    """The calls for one queue."""

    def __init__(self, client: Any, queue_url: str) -> None:
        """Use *client*, a boto3 client for SQS."""
        self._client = client
        self.queue_url = queue_url

    def receive(self, wait: int, most: int, visibility: int) -> list[dict[str, Any]]:
        """Return up to *most* messages as SQS tells them, waiting up to *wait* seconds.

        Raises:
            SourceError: SQS could not be asked.
        """
        try:
            answer = self._client.receive_message(
                QueueUrl=self.queue_url,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=wait,
                VisibilityTimeout=visibility,
                AttributeNames=["ApproximateReceiveCount", "SentTimestamp"],
            )
        except (ClientError, BotoCoreError) as error:
            raise self._error(error) from error
        received: list[dict[str, Any]] = answer.get("Messages", [])
        return received

    def delete(self, handles: Sequence[str]) -> dict[str, str | None]:
        """Delete messages; return an answer for each handle."""
        return self._change(self._client.delete_message_batch, {handle: {} for handle in handles})

    def hide(self, seconds: Mapping[str, int]) -> dict[str, str | None]:
        """Hide messages for so many seconds from now; return an answer for each handle."""
        return self._change(
            self._client.change_message_visibility_batch,
            {handle: {"VisibilityTimeout": time} for handle, time in seconds.items()},
        )

    def attributes(self, *names: str) -> Mapping[str, str]:
        """Return attributes of the queue.

        Raises:
            SourceError: SQS could not be asked.
        """
        try:
            answer = self._client.get_queue_attributes(
                QueueUrl=self.queue_url, AttributeNames=list(names)
            )
        except (ClientError, BotoCoreError) as error:
            raise self._error(error) from error
        told: dict[str, str] = answer.get("Attributes", {})
        return told

    def close(self) -> None:
        """Close the connections.  Safe to call twice."""
        self._client.close()

    def _change(self, call: Any, asked: Mapping[str, dict[str, int]]) -> dict[str, str | None]:
        answers: dict[str, str | None] = {}
        handles = list(asked)
        for start in range(0, len(handles), AT_ONCE):
            some = handles[start : start + AT_ONCE]
            entries = [
                {"Id": str(number), "ReceiptHandle": handle, **asked[handle]}
                for number, handle in enumerate(some)
            ]
            answers |= self._answers(call, entries)
        return answers

    def _answers(self, call: Any, entries: list[dict[str, Any]]) -> dict[str, str | None]:
        """Make one request; where SQS blames all for one of them, ask for each alone."""
        try:
            answer = call(QueueUrl=self.queue_url, Entries=entries)
        except (ClientError, BotoCoreError) as error:
            code = _code(error) or type(error).__name__
            if code in NOT_OURS and len(entries) > 1:
                answers: dict[str, str | None] = {}
                for entry in entries:
                    answers |= self._answers(call, [entry])
                return answers
            return {entry["ReceiptHandle"]: code for entry in entries}
        done = {entry["Id"] for entry in answer.get("Successful", ())}
        failed = {entry["Id"]: _last(entry.get("Code", "")) for entry in answer.get("Failed", ())}
        return {
            entry["ReceiptHandle"]: None
            if entry["Id"] in done
            else failed.get(entry["Id"], "no answer")
            for entry in entries
        }

    def _error(self, error: Exception) -> SourceError:
        if not isinstance(error, ClientError):
            return SourceError(f"{self.queue_url}: {type(error).__name__}: {error}")
        message = error.response.get("Error", {}).get("Message", "")
        return SourceError(f"{self.queue_url}: {_code(error)}: {message}")


def _code(error: Exception) -> str:
    """Return the error code as both of SQS's protocols spell it."""
    if not isinstance(error, ClientError):
        return ""
    return _last(error.response.get("Error", {}).get("Code", ""))


def _last(code: object) -> str:
    return str(code).rpartition(".")[2]
