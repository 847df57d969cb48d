from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudfront_ecs.sources.s3.keys import dated, distribution_in

HOUR = int(datetime(2026, 1, 15, 7, tzinfo=UTC).timestamp()) // 3600
DAY = HOUR - 7
LEGACY = "E2EXAMPLE12345.2026-01-15-07.0a1b2c3d.gz"


@pytest.mark.parametrize(
    ("key", "text", "shape", "hour", "distribution"),
    [
        pytest.param(
            f"cdn/{LEGACY}", "cdn/E2EXAMPLE12345.", "%Y-%m-%d-%H", HOUR, "E2EXAMPLE12345", id="flat"
        ),
        pytest.param(
            LEGACY, "E2EXAMPLE12345.", "%Y-%m-%d-%H", HOUR, "E2EXAMPLE12345", id="no-prefix"
        ),
        pytest.param(
            f"AWSLogs/123456789012/CloudFront/{LEGACY}",
            "AWSLogs/123456789012/CloudFront/E2EXAMPLE12345.",
            "%Y-%m-%d-%H",
            HOUR,
            "E2EXAMPLE12345",
            id="v2",
        ),
        pytest.param(
            f"AWSLogs/123456789012/CloudFront/E2EXAMPLE12345/2026/01/15/07/{LEGACY}",
            "AWSLogs/123456789012/CloudFront/E2EXAMPLE12345/",
            "%Y/%m/%d/%H",
            HOUR,
            "E2EXAMPLE12345",
            id="v2-folders",
        ),
        pytest.param(
            f"logs/DistributionId=E2EXAMPLE12345/year=2026/month=01/day=15/hour=07/{LEGACY}",
            "logs/DistributionId=E2EXAMPLE12345/",
            "year=%Y/month=%m/day=%d/hour=%H",
            HOUR,
            "E2EXAMPLE12345",
            id="hive",
        ),
        pytest.param(
            "logs/year=2026/month=01/day=15/x.parquet",
            "logs/",
            "year=%Y/month=%m/day=%d",
            DAY,
            None,
            id="hive-day",
        ),
        pytest.param(
            "firehose2026/01/15/07/edge-1-2026-01-15-07-01-02-0000.gz",
            "firehose",
            "%Y/%m/%d/%H",
            HOUR,
            None,
            id="firehose",
        ),
        pytest.param(
            "AWSLogs/123456789012/CloudTrail/us-east-1/2026/01/15/123456789012_CloudTrail_x.json.gz",
            "AWSLogs/123456789012/CloudTrail/us-east-1/",
            "%Y/%m/%d",
            DAY,
            None,
            id="cloudtrail",
        ),
        pytest.param(
            f"logs/2026/01/E2EXAMPLE12345/15/{LEGACY}",
            "logs/2026/01/E2EXAMPLE12345/15/E2EXAMPLE12345.",
            "%Y-%m-%d-%H",
            HOUR,
            "E2EXAMPLE12345",
            id="folders-apart",
        ),
    ],
)
def test_a_key_tells_its_stem_and_hour(
    key: str, text: str, shape: str, hour: int, distribution: str | None
) -> None:
    place = dated(key)

    assert place is not None
    assert (place.stem.text, place.stem.shape, place.hour) == (text, shape, hour)
    assert distribution_in(key) == distribution
    assert place.stem.at(hour) < key < place.stem.at(hour + 24) < place.stem.end


@pytest.mark.parametrize(
    "key",
    [
        "",
        "cdn/a.gz",
        "cdn/E2EXAMPLE12345.2026-13-15-07.x.gz",
        "cdn/E2EXAMPLE12345.2026-02-30-07.x.gz",
        "cdn/12026-01-15-07.gz",
        "AWSLogs/202601150712/x",
    ],
)
def test_a_key_without_a_true_date_has_no_stem(key: str) -> None:
    assert dated(key) is None


HOURS = st.integers(HOUR - 20_000, HOUR + 20_000)


@given(
    HOURS,
    HOURS,
    st.sampled_from(["%Y-%m-%d-%H", "%Y/%m/%d/%H", "%Y/%m/%d", "year=%Y/month=%m/day=%d"]),
)
def test_keys_of_a_stem_are_listed_in_the_order_of_their_hours(
    one: int, other: int, shape: str
) -> None:
    def key(hour: int) -> str:
        return "cdn/E1." + datetime.fromtimestamp(hour * 3600, UTC).strftime(shape) + "/x"

    first, second = dated(key(one)), dated(key(other))

    assert first is not None
    assert second is not None
    assert first.stem == second.stem
    if first.hour < second.hour:
        assert key(one) < first.stem.at(second.hour) < key(other)
