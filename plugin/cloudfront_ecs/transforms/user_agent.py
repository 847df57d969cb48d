"""The ``user_agent`` transform: name, version, device and system of each user agent.

The regular expressions are uap-core's, matched by ua-parser's Rust core.  Its pure Python
resolver gives the same answers forty times slower, so it is never fallen back to: without
the Rust core this module cannot be imported.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ua_parser import Parser
from ua_parser.loaders import load_builtins
from ua_parser.regex import Resolver

from cloudfront_ecs.adapters import NoOptions, TransformSpec
from cloudfront_ecs.hookspecs import hookimpl
from cloudfront_ecs.normalize.compiling.plan import Completion
from cloudfront_ecs.normalize.documents.ecs import Device, EcsDocument, OperatingSystem, UserAgent
from cloudfront_ecs.normalize.memo import Memo

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cloudfront_ecs.adapters import AdapterContext
    from cloudfront_ecs.batches import Document

OTHER = "Other"
"""What uap-core calls what it does not know."""


class UserAgentTransform:
    """Completes ``user_agent.*`` from ``user_agent.original``.

    Attributes:
        completion: Does the same for the agent alone, see ``Transform``.
    """

    def __init__(self) -> None:
        """Compile the expressions, which takes a fifth of a second."""
        self._parser = Parser(Resolver(load_builtins()))
        self._parsed = Memo(self._parse)
        self.completion = Completion("user_agent", self._complete)

    def apply(self, documents: list[Document]) -> list[Document]:
        """Put the parsed agent into every document that names one."""
        parsed = self._parsed
        for document in documents:
            body = document.body
            if isinstance(body, EcsDocument) and (agent := body.user_agent) is not None:
                original = agent.original
                if original is not None:
                    body.user_agent = parsed[original]
        return documents

    def _complete(self, agent: UserAgent) -> UserAgent:
        return agent if agent.original is None else self._parse(agent.original)

    def _parse(self, original: str) -> UserAgent:
        result = self._parser.parse(original)
        agent, system, device = result.user_agent, result.os, result.device
        return UserAgent(
            original=original,
            name=agent.family if agent else OTHER,
            version=_version(agent.major, agent.minor, agent.patch) if agent else None,
            device=Device(device.family if device else OTHER),
            os=_system(system.family, _version(system.major, system.minor, system.patch))
            if system
            else None,
        )


def _version(*parts: str | None) -> str | None:
    given = [part for part in parts if part]
    return ".".join(given) or None


def _system(name: str, version: str | None) -> OperatingSystem:
    return OperatingSystem(name, version, f"{name} {version}" if version else name)


def _open(_: NoOptions, __: AdapterContext) -> UserAgentTransform:
    return UserAgentTransform()


@hookimpl
def transform_specs() -> Iterable[TransformSpec]:
    """Offer the ``user_agent`` transform."""
    summary = "Parse the user agent: name, version, device, operating system."
    return [TransformSpec("user_agent", summary, NoOptions, _open)]
