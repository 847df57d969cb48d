"""Options of the ``realtime`` decoder: the layouts that records may have."""

from __future__ import annotations

from dataclasses import dataclass

from cloudfront_ecs import aws
from cloudfront_ecs.batches import Layout
from cloudfront_ecs.decoders.lines import MAX_LINE_BYTES
from cloudfront_ecs.decoders.realtime.config import ARN
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.normalize.layouts import realtime_layout
from cloudfront_ecs.options import option


@dataclass(frozen=True, slots=True, kw_only=True)
class LayoutOptions:
    """One more layout that may come."""

    fields: tuple[str, ...] = option(doc="Columns, in any order.", least=1)
    sampling_rate: int | None = option(
        None, doc="Percent of the requests that are logged.", least=1, most=100
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RealtimeOptions(aws.AwsOptions):
    """Options of the ``realtime`` decoder."""

    fields: tuple[str, ...] = option(
        (),
        doc="Columns of the real-time configuration, in any order: AWS's order holds.",
        example='["timestamp", "c-ip", "sc-status"]',
    )
    sampling_rate: int | None = option(
        None,
        doc="With fields: percent of the requests that the configuration logs.",
        least=1,
        most=100,
        example="100",
    )
    config_arn: str | None = option(
        None,
        doc="ARN of the real-time configuration, to read columns and rate from CloudFront.",
        example="arn:aws:cloudfront::123456789012:realtime-log-config/edge",
    )
    layouts: tuple[LayoutOptions, ...] = option(
        (),
        doc="More layouts that come in the same stream, each a table with fields and perhaps "
        "sampling_rate.",
        example='[{ fields = ["timestamp", "c-ip"], sampling_rate = 10 }]',
    )
    refresh_seconds: float = option(
        60.0, doc="With config_arn: how old its answer may become.", least=5, most=3600
    )
    overlap_hours: float = option(
        24.0,
        doc="For how long after a change records may still come in the layout before it.",
        least=0,
        most=8760,
    )
    max_line_bytes: int = option(MAX_LINE_BYTES, doc="Longest line that is read.", least=1024)

    def __post_init__(self) -> None:
        """Refuse unknown columns, and a decoder that knows no layout."""
        try:
            given = self.given()
        except ConfigError as error:
            raise ValueError(str(error)) from error
        if self.config_arn is not None and not ARN.fullmatch(self.config_arn):
            raise ValueError(
                f"config_arn: {self.config_arn!r} is no ARN of a real-time log configuration "
                "(such as arn:aws:cloudfront::123456789012:realtime-log-config/NAME)"
            )
        if self.config_arn is not None and self.fields:
            raise ValueError("fields: config_arn tells the columns (leave one of them out)")
        if self.sampling_rate is not None and not self.fields:
            raise ValueError("sampling_rate: there are no fields that it could be the rate of")
        if not given and self.config_arn is None:
            raise ValueError("fields: the columns are missing (or give config_arn)")

    def given(self) -> tuple[Layout, ...]:
        """Return the layouts that the options name.

        Raises:
            ConfigError: A column is unknown or named twice.
        """
        found: list[Layout] = []
        if self.fields:
            found.append(_layout(self.fields, self.sampling_rate, "fields"))
        for index, each in enumerate(self.layouts):
            place = f"layouts[{index}].fields"
            found.append(_layout(each.fields, each.sampling_rate, place))
        return tuple(dict.fromkeys(found))


def _layout(names: tuple[str, ...], rate: int | None, place: str) -> Layout:
    return Layout("realtime", realtime_layout(names, place).columns, rate)
