"""The headers that a request of the demo carried, for the columns that list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cloudfront_ecs.demo.request import Request

_PAGE = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
_PICTURE = "image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"


def request_headers(request: Request, *, lower: bool = False) -> list[tuple[str, str]]:
    """Return names and values in the order in which they came.

    HTTP/1.1 viewers write names in capitals, later versions and *lower* do not; the
    ``CloudFront-`` headers, which CloudFront adds and counts, are always the same.
    """
    viewer = request.viewer
    sent = [("Host", request.resource.host)]
    if viewer.agent.text:
        sent.append(("User-Agent", viewer.agent.text))
    sent.append(("Accept", _accept(request)))
    if viewer.agent.device:
        packed = "gzip, deflate, br, zstd" if viewer.version != "HTTP/1.1" else "gzip, deflate"
        sent += [("Accept-Encoding", packed), ("Accept-Language", _language(viewer.country))]
    if request.referrer:
        sent.append(("Referer", request.referrer))
    if request.cookie:
        sent.append(("Cookie", request.cookie))
    if request.span:
        sent.append(("Range", f"bytes={request.span[0]}-{request.span[1]}"))
    if viewer.forwarded:
        sent.append(("X-Forwarded-For", viewer.forwarded))
    sent += request.cmcd_headers
    if lower or viewer.version != "HTTP/1.1":
        sent = [(name.lower(), value) for name, value in sent]
    mobile = "true" if viewer.agent.device == "mobile" else "false"
    sent.append(("CloudFront-Is-Mobile-Viewer", mobile))
    sent.append(("CloudFront-Viewer-Country", viewer.country))
    return sent


def _accept(request: Request) -> str:
    kind = request.resource.content_type
    if not request.viewer.agent.device:
        return "*/*"
    if kind.startswith("text/html"):
        return _PAGE
    return _PICTURE if kind.startswith("image/") else "*/*"


def _language(country: str) -> str:
    own = {"GB": "en-GB", "US": "en-US", "AT": "de-AT", "CH": "de-CH", "JP": "ja", "SE": "sv"}
    return f"{own.get(country, country.lower())},en;q=0.7"
