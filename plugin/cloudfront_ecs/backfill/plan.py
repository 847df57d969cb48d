"""A backfill as it was asked for: which pipeline, which bucket, which state.

Each range has a folder of its own in the state directory, so the same command goes on where it
was interrupted, and no other one is disturbed.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from hashlib import blake2b
from typing import IO, TYPE_CHECKING, Any
from urllib.parse import quote

from cloudfront_ecs.backfill.hour_range import told_hour
from cloudfront_ecs.backfill.share import Share
from cloudfront_ecs.delivery.appending import sync_folder
from cloudfront_ecs.delivery.state_files import lock
from cloudfront_ecs.errors import ConfigError, StateError, nearest
from cloudfront_ecs.sources.s3.adapter import listing_options

if TYPE_CHECKING:
    from pathlib import Path

    from cloudfront_ecs.backfill.hour_range import HourRange
    from cloudfront_ecs.config import Config
    from cloudfront_ecs.config import Pipeline as PipelineConfig
    from cloudfront_ecs.sources.s3.adapter import AwsS3Options

_MANIFEST = "range.json"


@dataclass(frozen=True, slots=True)
class Plan:
    """What a backfill does.

    Attributes:
        config: The configuration.
        pipeline: The pipeline that is fed.
        options: Those of its source, for listing the bucket.
        hours: What is read.
    """

    config: Config
    pipeline: PipelineConfig
    options: AwsS3Options
    hours: HourRange

    @property
    def place(self) -> str:
        """The bucket and prefix, for people."""
        return f"s3://{self.options.bucket}/{self.options.prefix}"

    @property
    def folder(self) -> Path:
        """Where this range keeps its state."""
        about = json.dumps(self._about(), sort_keys=True).encode()
        name = quote(self.pipeline.name, safe="")
        begin, end = told_hour(self.hours.begin), told_hour(self.hours.end)
        digest = blake2b(about, digest_size=4).hexdigest()
        return self.config.state / "backfill" / f"{name}-{begin}-{end}-{digest}"

    def begun_with(self) -> int | None:
        """Return with how many processes an earlier run began, or None where there was none.

        Raises:
            StateError: What that run left cannot be read.
        """
        path = self.folder / _MANIFEST
        try:
            return int(json.loads(path.read_text("utf-8"))["processes"])
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise StateError(
                f"{path}: is damaged: {error} (move its folder away to read the range again)"
            ) from error

    def claim(self) -> IO[str]:
        """Lock the range for this process; it lasts until the file is closed.

        Raises:
            StateError: Another process has it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            return lock(self.folder / _MANIFEST)
        except OSError as error:
            raise StateError(f"{self.folder}: cannot be used: {error.strerror}") from error

    def begin(self, processes: int) -> None:
        """Write down how many processes share the range, which then stays so."""
        path = self.folder / _MANIFEST
        partial = path.with_name(f"{_MANIFEST}.partial")
        with partial.open("w", encoding="utf-8") as file:
            json.dump({**self._about(), "processes": processes}, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        sync_folder(self.folder)

    def shares(self, processes: int, patience: float, drain: float) -> list[Share]:
        """Return what each process is to do."""
        assert self.options.bucket
        return [
            Share(
                config=self.config.path,
                pipeline=self.pipeline.name,
                bucket=self.options.bucket,
                prefix=self.options.prefix,
                hours=self.hours,
                state=self.folder / f"settled-{number + 1}-of-{processes}.sqlite3",
                number=number,
                shares=processes,
                patience=patience,
                drain=drain,
            )
            for number in range(processes)
        ]

    def _about(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline.name,
            "bucket": self.options.bucket,
            "prefix": self.options.prefix,
            "from": told_hour(self.hours.begin),
            "to": told_hour(self.hours.end),
            "distributions": sorted(self.hours.distributions),
        }


def chosen_pipeline(config: Config, name: str | None) -> PipelineConfig:
    """Return the pipeline that reads from S3, or the one of that *name*.

    Raises:
        ConfigError: There is none, or more than one.
    """
    fitting = [each for each in config.pipelines if each.source.spec.kind == "aws_s3"]
    known = [each.name for each in config.pipelines]
    if name is not None and name not in known:
        raise ConfigError(f"--pipeline: unknown pipeline {name!r}{nearest(name, known)}")
    found = [each for each in fitting if name in (None, each.name)]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(each.name for each in found)
        raise ConfigError(
            f"{config.path}: several pipelines read from S3 (add --pipeline: {names})"
        )
    which = "no pipeline" if name is None else f"pipeline {name!r} does not read"
    verb = " reads" if name is None else ""
    raise ConfigError(f"{config.path}: {which}{verb} from S3 (a source of kind 'aws_s3' is needed)")


def chosen_options(
    pipeline: PipelineConfig, bucket: str | None, prefix: str | None
) -> AwsS3Options:
    """Return the options of a pipeline's source, made for listing.

    Raises:
        ConfigError: Nothing says which bucket.
    """
    options: AwsS3Options = pipeline.source.options
    if bucket is None:
        candidates = [options.bucket] if options.bucket else list(options.buckets)
        if len(candidates) != 1:
            named = ", ".join(str(name) for name in candidates) or "the queue's notices name it"
            raise ConfigError(
                f"sources.{pipeline.source.name}: which bucket is to be listed? "
                f"(add --bucket: {named})"
            )
        [bucket] = candidates
    assert bucket is not None
    same = bucket == options.bucket
    chosen = prefix if prefix is not None else options.prefix if same else ""
    return listing_options(options, bucket, chosen)
