"""The user_agent transform completes what the log says about the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs.batches import Document
from cloudfront_ecs.normalize.documents.ecs import EcsDocument, Url, UserAgent
from cloudfront_ecs.transforms.user_agent import UserAgentTransform
from normalize.converting import flat, standard

if TYPE_CHECKING:
    from collections.abc import Callable

FIREFOX = "Mozilla/5.0%20(X11;%20Linux%20x86_64;%20rv:144.0)%20Gecko/20100101%20Firefox/144.0"
IPHONE = (
    "Mozilla/5.0%20(iPhone;%20CPU%20iPhone%20OS%2018_1%20like%20Mac%20OS%20X)"
    "%20AppleWebKit/605.1.15%20(KHTML,%20like%20Gecko)%20Version/18.1%20Mobile/15E148%20Safari/604.1"
)


@pytest.fixture(name="parsed", scope="module")
def _parsed() -> Callable[[str], dict[str, Any]]:
    transform = UserAgentTransform()

    def parsed(agent: str) -> dict[str, Any]:
        documents = standard({"cs(User-Agent)": agent}).documents
        [document] = transform.apply(documents)
        found = flat(document)
        return {
            name.removeprefix("user_agent."): value
            for name, value in found.items()
            if name.startswith("user_agent.")
        }

    return parsed


def test_a_browser_has_a_name_a_version_and_a_system(
    parsed: Callable[[str], dict[str, Any]],
) -> None:
    assert parsed(IPHONE) == {
        "original": IPHONE.replace("%20", " "),
        "name": "Mobile Safari",
        "version": "18.1",
        "device.name": "iPhone",
        "os.name": "iOS",
        "os.version": "18.1",
        "os.full": "iOS 18.1",
    }


def test_a_system_without_a_version_is_its_name(parsed: Callable[[str], dict[str, Any]]) -> None:
    found = parsed(FIREFOX)

    assert (found["name"], found["version"]) == ("Firefox", "144.0")
    assert (found["os.name"], found["os.full"]) == ("Linux", "Linux")
    assert "os.version" not in found


def test_what_nobody_knows_is_called_other(parsed: Callable[[str], dict[str, Any]]) -> None:
    assert parsed("no%20such%20thing") == {
        "original": "no such thing",
        "name": "Other",
        "device.name": "Other",
    }


def test_no_user_agent_stays_none(parsed: Callable[[str], dict[str, Any]]) -> None:
    assert parsed("-") == {}


def test_the_answer_is_the_same_when_the_agent_comes_again(
    parsed: Callable[[str], dict[str, Any]],
) -> None:
    assert parsed(FIREFOX) == parsed(FIREFOX)


def test_documents_of_other_kinds_pass_untouched() -> None:
    documents = [
        Document("a", "cloudfront.api", 0, {"user_agent": {"original": "curl/8.5.0"}}),
        Document("b", "cloudfront.standard", 0, EcsDocument("t", url=Url(path="/"))),
        Document("c", "cloudfront.standard", 0, EcsDocument("t", user_agent=UserAgent())),
    ]
    before = [str(document) for document in documents]

    after = UserAgentTransform().apply(list(documents))

    assert [str(document) for document in after] == before
