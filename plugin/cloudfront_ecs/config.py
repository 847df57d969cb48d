"""The configuration: one TOML file becomes checked, typed values."""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudfront_ecs.errors import ConfigError, nearest
from cloudfront_ecs.monitoring.options import MetricsOptions
from cloudfront_ecs.options import Expanded, option, parse, toml_type

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cloudfront_ecs.adapters import AdapterSpec
    from cloudfront_ecs.plugins import Plugins


@dataclass(frozen=True, slots=True)
class StateOptions:
    """Where a run keeps what must survive a restart."""

    directory: str = option(
        "/var/lib/cloudfront-ecs", doc="Folder for checkpoints and dead letters."
    )


@dataclass(frozen=True, slots=True)
class BatchOptions:
    """When a batch is handed to the sinks: at the first bound that is reached."""

    documents: int = option(1000, doc="Documents in a batch.", least=1, most=50_000)
    bytes: int = option(4_194_304, doc="Bytes of log lines in a batch.", least=1024)
    seconds: float = option(1.0, doc="Longest wait for a batch to fill.", least=0.01, most=60)


@dataclass(frozen=True, slots=True)
class PipelineOptions:
    """One way from a source to its sinks."""

    source: str = option(doc="Name of the source.")
    sinks: tuple[str, ...] = option(doc="Names of the sinks; each gets every document.", least=1)
    decoder: Any = option("auto", doc="Kind or name of the decoder, or a table with its options.")
    transforms: tuple[Any, ...] = option((), doc="Kinds, names or tables, applied in this order.")
    original: bool = option(False, doc="Keep the line as read in event.original.")  # noqa: FBT003
    tags: tuple[str, ...] = option((), doc="Put into tags of every document.")
    labels: dict[str, Any] | None = option(None, doc="Texts put into labels of every document.")
    batch: BatchOptions = option(BatchOptions(), doc="Size of the batches.")

    def __post_init__(self) -> None:
        """Check labels and tags.

        Raises:
            ValueError: With a line for each that cannot stand in a document.
        """
        problems = [
            f"labels.{name}: expected text, got {toml_type(value)}"
            for name, value in (self.labels or {}).items()
            if not isinstance(value, str)
        ]
        problems += [
            f"labels.{name}: empty" for name, value in (self.labels or {}).items() if value == ""
        ]
        problems += [f"tags[{index}]: empty" for index, tag in enumerate(self.tags) if not tag]
        if problems:
            raise ValueError("\n".join(problems))


@dataclass(frozen=True, slots=True)
class Adapter:
    """One configured adapter: its name, its spec and its checked options."""

    name: str
    spec: Any
    options: Any


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One configured pipeline, every name resolved."""

    name: str
    source: Adapter
    decoder: Adapter
    transforms: tuple[Adapter, ...]
    sinks: tuple[Adapter, ...]
    original: bool
    batch: BatchOptions
    tags: tuple[str, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole configuration file, checked."""

    path: Path
    state: Path
    sources: Mapping[str, Adapter]
    sinks: Mapping[str, Adapter]
    pipelines: tuple[Pipeline, ...]
    metrics: MetricsOptions = field(default_factory=MetricsOptions)


def load(path: Path, plugins: Plugins, environ: Mapping[str, str] = os.environ) -> Config:
    """Read and check a configuration file.

    Raises:
        ConfigError: With a line for every problem: place, value, nearest right name.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: is not UTF-8 text (byte {error.start})") from error
    try:
        tables = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path}: is not TOML: {error}") from error
    problems: list[str] = []
    tables = _expand(tables, "", environ, problems)
    config = _Reader(plugins, problems).read(path, tables)
    if problems:
        raise ConfigError("\n".join(f"{path}: {problem}" for problem in problems))
    return config


_SECTIONS = ("state", "metrics", "sources", "sinks", "decoders", "transforms", "pipelines")
_VARIABLE = re.compile(r"\$\{(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:-[^}]*)?\}")


def _expand(value: Any, place: str, environ: Mapping[str, str], problems: list[str]) -> Any:
    """Put environment variables into every string of a TOML value."""
    if isinstance(value, dict):
        return {
            key: _expand(item, f"{place}.{key}".lstrip("."), environ, problems)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_expand(item, f"{place}[{i}]", environ, problems) for i, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def substitute(match: re.Match[str]) -> str:
        name, default = match["name"], match["default"]
        if name in environ and (environ[name] or default is None):
            return environ[name]
        if default is not None:
            return str(default[2:])
        problems.append(
            f"{place}: environment variable {name!r} is not set "
            f"(set it, or write ${{{name}:-default}})"
        )
        return ""

    expanded = _VARIABLE.sub(substitute, value)
    return Expanded(expanded, value) if expanded != value else value


@dataclass(slots=True)
class _Reader:
    """Resolves names and parses options, collecting every problem on the way."""

    plugins: Plugins
    problems: list[str]
    named: dict[str, dict[str, Adapter | None]] = field(default_factory=dict)

    def read(self, path: Path, tables: dict[str, Any]) -> Config:
        for name in tables:
            if name not in _SECTIONS:
                self.problems.append(f"unknown section {name!r}{nearest(name, _SECTIONS)}")
        state = parse(StateOptions, self._table(tables, "state"), "state", self.problems)
        metrics = parse(MetricsOptions, self._table(tables, "metrics"), "metrics", self.problems)
        for role in ("source", "sink", "decoder", "transform"):
            section = self._table(tables, f"{role}s")
            self.named[role] = {
                name: self._adapter(role, name, table, f"{role}s.{name}")
                for name, table in section.items()
            }
        pipelines = [
            self._pipeline(name, table) for name, table in self._table(tables, "pipelines").items()
        ]
        if tables.get("pipelines", {}) == {}:
            self.problems.append("pipelines: none configured (add a table [pipelines.NAME])")
        self._refuse_shared_sources(pipelines)
        return Config(
            path=path,
            state=Path(state.directory) if state else Path(),
            sources={k: v for k, v in self.named["source"].items() if v},
            sinks={k: v for k, v in self.named["sink"].items() if v},
            pipelines=tuple(pipeline for pipeline in pipelines if pipeline),
            metrics=metrics or MetricsOptions(),
        )

    def _table(self, tables: Mapping[str, Any], name: str) -> dict[str, Any]:
        table = tables.get(name, {})
        if isinstance(table, dict):
            return table
        self.problems.append(f"{name}: expected a table, got {toml_type(table)}")
        return {}

    def _adapter(self, role: str, name: str, table: Any, place: str) -> Adapter | None:
        if not isinstance(table, dict):
            self.problems.append(f"{place}: expected a table, got {toml_type(table)}")
            return None
        kind = table.get("kind")
        if kind is not None and not isinstance(kind, str):
            self.problems.append(f"{place}.kind: expected text, got {toml_type(kind)}")
            return None
        if kind is None:
            kinds = ", ".join(sorted(self.plugins.specs(role)))
            self.problems.append(f"{place}: option 'kind' is missing (known: {kinds})")
            return None
        try:
            spec = self.plugins.spec(role, kind, place)
        except ConfigError as error:
            self.problems.append(str(error))
            return None
        rest = {key: value for key, value in table.items() if key != "kind"}
        return self._parsed(name, spec, rest, place)

    def _parsed(
        self, name: str, spec: AdapterSpec, table: dict[str, Any], place: str
    ) -> Adapter | None:
        options = parse(spec.options, table, place, self.problems)
        return None if options is None else Adapter(name, spec, options)

    def _named_or_kind(self, role: str, value: Any, place: str) -> Adapter | None:
        """Resolve what a pipeline says of a decoder or transform: name, kind or table."""
        if isinstance(value, dict):
            return self._adapter(role, str(value.get("kind", role)), value, place)
        if not isinstance(value, str):
            self.problems.append(f"{place}: expected a name or a table, got {toml_type(value)}")
            return None
        if value in self.named[role]:
            return self.named[role][value]
        known = self.plugins.specs(role)
        if value not in known:
            hint = nearest(value, [*known, *self.named[role]])
            self.problems.append(f"{place}: unknown {role} {value!r}{hint}")
            return None
        return self._parsed(value, known[value], {}, place)

    def _end(self, role: str, name: str, place: str) -> Adapter | None:
        if name not in self.named[role]:
            hint = nearest(name, self.named[role])
            self.problems.append(f"{place}: unknown {role} {name!r}{hint}")
            return None
        return self.named[role][name]

    def _refuse_shared_sources(self, pipelines: list[Pipeline | None]) -> None:
        """Refuse a source that feeds two pipelines: each would see a part of its payloads."""
        users: dict[str, str] = {}
        for pipeline in pipelines:
            if pipeline is None:
                continue
            other = users.setdefault(pipeline.source.name, pipeline.name)
            if other != pipeline.name:
                self.problems.append(
                    f"pipelines.{pipeline.name}.source: {pipeline.source.name!r} feeds pipeline "
                    f"{other!r} already (give that one more sinks, or add a source of its own)"
                )

    def _pipeline(self, name: str, table: Any) -> Pipeline | None:
        place = f"pipelines.{name}"
        if not isinstance(table, dict):
            self.problems.append(f"{place}: expected a table, got {toml_type(table)}")
            return None
        options = parse(PipelineOptions, table, place, self.problems)
        if options is None:
            return None
        source = self._end("source", options.source, f"{place}.source")
        decoder = self._named_or_kind("decoder", options.decoder, f"{place}.decoder")
        transforms = [
            self._named_or_kind("transform", value, f"{place}.transforms[{i}]")
            for i, value in enumerate(options.transforms)
        ]
        sinks = [
            self._end("sink", value, f"{place}.sinks[{i}]") for i, value in enumerate(options.sinks)
        ]
        if len(set(options.sinks)) < len(options.sinks):
            self.problems.append(f"{place}.sinks: a sink is named twice")
        if source is None or decoder is None or None in transforms or None in sinks:
            return None
        return Pipeline(
            name,
            source,
            decoder,
            tuple(adapter for adapter in transforms if adapter),
            tuple(adapter for adapter in sinks if adapter),
            options.original,
            options.batch,
            tuple(dict.fromkeys(options.tags)),
            options.labels or {},
        )
