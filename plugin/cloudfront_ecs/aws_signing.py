"""Requests refused for their credentials or their time are signed anew and sent once more.

botocore refreshes credentials by the time they end at, and never because AWS says that they
have ended; keys from a file or the environment it reads once.  It signs by this machine's
clock, and has no answer to a clock that is wrong.  Both are mended here, on botocore's own
events, for every client alike:

- ``needs-retry`` sees each refusal, and reads the credentials again or compares clocks;
- ``choose-signer`` puts a signer in place that counts from the server's time;
- ``before-sign`` notes which credentials a request was signed with.

Each is tried once a request, whatever the client's own retries; what is still refused is the
adapter's to report and to try again.

Source: Amazon S3 and STS API references (error codes), botocore 1.44 ``endpoint.py``,
``signers.py``, ``auth.py``, ``credentials.py``.
"""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from botocore.auth import AUTH_TYPE_MAPS, SIGV4_TIMESTAMP, S3SigV4Auth, SigV4Auth
from botocore.credentials import Credentials
from botocore.exceptions import CredentialRetrievalError, NoCredentialsError

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger(__name__)

_SPENT = frozenset(
    {
        "ExpiredToken",  # S3, STS
        "ExpiredTokenException",  # Kinesis, DynamoDB, SQS
        "TokenRefreshRequired",
        "RequestExpired",
        # Keys that were rotated: the old ones are not known any more.
        "InvalidAccessKeyId",
        "InvalidToken",
        "InvalidClientTokenId",
        "UnrecognizedClientException",
        # HEAD has no body that could name the error.
        "400",
        "403",
    }
)
_SKEWED = frozenset({"RequestTimeTooSkewed", "RequestInTheFuture"})
_PERHAPS_SKEWED = frozenset(
    {
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
        "RequestExpired",
        "AuthFailure",
        "AccessDenied",
        "403",
    }
)
_CLEARLY_OFF = timedelta(minutes=4)
"""A difference that explains a refusal; services allow 5 minutes or 15."""

_OFFSET = "cloudfront_ecs_clock_offset"
_GENERATION = "cloudfront_ecs_credentials"
_RENEWED = "cloudfront_ecs_renewed"
_CORRECTED = "cloudfront_ecs_corrected"


class ServerClock:
    """The time by AWS's clock, as far as it is known; else by this machine's.

    Attributes:
        offset: What this machine's clock must be put forward by.
    """

    def __init__(self) -> None:
        """Trust this machine's clock until a server objects."""
        self.offset = timedelta(0)

    def now(self) -> datetime:
        """Return the time, in UTC."""
        return datetime.now(UTC) + self.offset

    def heed(self, date: str | None, at_least: timedelta) -> bool:
        """Take over the server's time if it is off by *at_least*; tell whether it was.

        Args:
            date: The ``Date`` header of an answer that has just come.
            at_least: The smallest difference worth a correction.
        """
        try:
            told = parsedate_to_datetime(date or "")
        except ValueError:
            return False
        if told.tzinfo is None:  # "-0000" in place of "GMT"
            told = told.replace(tzinfo=UTC)
        if abs(told - self.now()) < at_least:
            return False
        self.offset = told - datetime.now(UTC)
        log.warning(
            "this machine's clock differs from AWS's by %+.0f s; requests are signed by AWS's",
            -self.offset.total_seconds(),
        )
        return True


class RenewedCredentials(Credentials):  # type: ignore[misc]  # botocore has no types
    """Credentials that are looked for again when AWS refuses them.

    Attributes:
        generation: How often they have been replaced.
    """

    def __init__(self, load: Callable[[], Any]) -> None:
        """Ask *load* for botocore credentials, or None, at first use and at each renewal."""
        self._load = load
        self._lock = threading.RLock()
        self._current: Any = None
        self._used: Any = None
        self.generation = 0

    def get_frozen_credentials(self) -> Any:
        """Return the keys to sign with now.

        Raises:
            NoCredentialsError: None are found.
            CredentialRetrievalError: They have ended, and there are no newer ones.
        """
        with self._lock:
            if self._current is None:
                self._current = self._load()
            self._used = _frozen(self._current)
            return self._used

    def renew(self, generation: int) -> bool:
        """Look for others than those of *generation*; tell whether there are any."""
        with self._lock:
            if generation != self.generation:
                return True  # another thread was quicker
            found = self._load()
            frozen = _frozen(found)
            if frozen == self._used:
                return False
            self._current = found
            self._used = frozen
            self.generation += 1
            log.info("AWS refused the credentials; they were renewed (%s)", found.method)
            return True

    @property
    def access_key(self) -> Any:
        """The id of the access key."""
        return self.get_frozen_credentials().access_key

    @property
    def secret_key(self) -> Any:
        """The secret access key."""
        return self.get_frozen_credentials().secret_key

    @property
    def token(self) -> Any:
        """The session token, or None."""
        return self.get_frozen_credentials().token

    @property
    def account_id(self) -> Any:
        """The account of the keys where it is known, or None."""
        return self.get_frozen_credentials().account_id

    @property
    def method(self) -> str:
        """Where they come from, in botocore's words."""
        return "cloudfront-ecs"


def _frozen(credentials: Any) -> Any:
    if credentials is None:
        raise NoCredentialsError
    try:
        return credentials.get_frozen_credentials()
    except RuntimeError as error:  # what botocore says of refreshed ones that have ended, too
        raise CredentialRetrievalError(provider=credentials.method, error_msg=error) from error


class _ByServerClock:
    """Signs by the time that the request's context tells in place of this machine's."""

    def _modify_request_before_signing(self, request: Any) -> None:
        # Everything that is signed takes the time from here; the headers are set by the line
        # after it.
        now = datetime.now(UTC) + request.context[_OFFSET]
        request.context["timestamp"] = now.strftime(SIGV4_TIMESTAMP)
        super()._modify_request_before_signing(request)  # type: ignore[misc]


class _SigV4ByServerClock(_ByServerClock, SigV4Auth):  # type: ignore[misc]
    """Signature version 4 of every service but S3."""


class _S3SigV4ByServerClock(_ByServerClock, S3SigV4Auth):  # type: ignore[misc]
    """Signature version 4 of S3."""


_SIGNERS = {
    "v4-by-server-clock": _SigV4ByServerClock,
    "s3v4-by-server-clock": _S3SigV4ByServerClock,
}
AUTH_TYPE_MAPS.update(_SIGNERS)


def sign(request: Any, credentials: Any, clock: ServerClock, service: str, region: str) -> None:
    """Sign an ``AWSRequest`` that no boto3 client sends, by the server's time.

    Raises:
        BotoCoreError: There are no credentials, or they have ended.
    """
    request.context[_OFFSET] = clock.offset
    _SigV4ByServerClock(credentials.get_frozen_credentials(), service, region).add_auth(request)


class Signing:
    """What a client is signed with: credentials and a clock, both mended when AWS objects."""

    def __init__(self, credentials: RenewedCredentials, clock: ServerClock) -> None:
        """Mend *credentials* and *clock*."""
        self.credentials = credentials
        self.clock = clock

    def attach(self, client: Any) -> None:
        """Watch a boto3 *client* that was made with these credentials."""
        service = client.meta.service_model.service_id.hyphenize()
        events = client.meta.events
        events.register_first(f"choose-signer.{service}", self._choose_signer)
        events.register_first(f"before-sign.{service}", self._note_credentials)
        events.register_first(f"needs-retry.{service}", self._needs_retry)

    def _choose_signer(
        self, signature_version: str, signing_name: str, context: Any, **_: object
    ) -> str | None:
        """Answer botocore: which signer, or None for its own choice."""
        if not self.clock.offset or signature_version not in {"v4", "s3v4"}:
            return None
        context[_OFFSET] = self.clock.offset
        return "s3v4-by-server-clock" if signing_name == "s3" else "v4-by-server-clock"

    def _note_credentials(self, request: Any, **_: object) -> None:
        request.context[_GENERATION] = self.credentials.generation

    def _needs_retry(self, response: Any, request_dict: Any, **_: object) -> float | None:
        """Answer botocore: seconds after which to send again, or None for "no opinion"."""
        if response is None:
            return None
        answer, parsed = response
        code = str(parsed.get("Error", {}).get("Code", ""))
        context = request_dict["context"]
        if code in _SKEWED | _PERHAPS_SKEWED and not context.get(_CORRECTED):
            least = timedelta(seconds=1) if code in _SKEWED else _CLEARLY_OFF
            if self.clock.heed(answer.headers.get("Date"), least):
                context[_CORRECTED] = True
                return 0
        if code in _SPENT and not context.get(_RENEWED):
            context[_RENEWED] = True
            if self.credentials.renew(context.get(_GENERATION, self.credentials.generation)):
                return 0
        return None
