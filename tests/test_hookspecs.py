from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from cloudfront_ecs import (
    DecoderSpec,
    NoOptions,
    RunSummary,
    Settlement,
    SinkSpec,
    SourceSpec,
    TransformSpec,
    hookimpl,
    hookspecs,
)
from cloudfront_ecs.plugins import Plugins
from pipeline_parts import ListSource, MemorySink, World, lines

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

HOOKS = sorted(
    name
    for name, value in vars(hookspecs).items()
    if inspect.isfunction(value) and hasattr(value, f"{hookspecs.GROUP}_spec")
)
SETTLEMENT = Settlement("edge", 1, 0.1, {})


def opened(*_: object) -> object:
    raise AssertionError("nothing is opened when plugins are loaded")


def test_there_are_seven_hooks() -> None:
    assert len(HOOKS) == 7


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_says_when_it_is_called_or_what_it_names(name: str) -> None:
    doc = inspect.getdoc(getattr(hookspecs, name))

    assert doc is not None
    assert doc.split()[0] in {"Name", "Observe"}
    assert doc.splitlines()[0].endswith(".")


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_test_named_after_it(name: str) -> None:
    tree = ast.parse(Path(__file__).read_text("utf-8"))
    tests = [node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    assert any(test.startswith(f"test_{name}") for test in tests), f"no test of {name}"


@pytest.mark.parametrize("name", HOOKS)
def test_every_hook_has_a_typed_method_and_no_arguments_by_keyword_only(name: str) -> None:
    parameters = inspect.signature(getattr(hookspecs, name)).parameters.values()

    assert all(each.kind is each.POSITIONAL_OR_KEYWORD for each in parameters)
    if not name.endswith("_specs"):
        assert list(inspect.signature(getattr(Plugins, name)).parameters)[1:] == [
            each.name for each in parameters
        ]


def test_source_specs_names_sources() -> None:
    class Plugin:
        @hookimpl
        def source_specs(self) -> Iterable[SourceSpec]:
            return [SourceSpec("queue", "A queue.", NoOptions, opened)]  # type: ignore[arg-type]

    plugins = Plugins([(Plugin(), "acme")])

    assert list(plugins.sources) == ["queue"]
    assert plugins.offered_by == {("source", "queue"): "acme"}


def test_decoder_specs_names_decoders() -> None:
    class Plugin:
        @hookimpl
        def decoder_specs(self) -> Iterable[DecoderSpec]:
            return [DecoderSpec("pipes", "Pipes.", NoOptions, opened)]  # type: ignore[arg-type]

    assert list(Plugins([(Plugin(), "acme")]).decoders) == ["pipes"]


def test_transform_specs_names_transforms() -> None:
    class Plugin:
        @hookimpl
        def transform_specs(self) -> Iterable[TransformSpec]:
            return [TransformSpec("tag", "Tags.", NoOptions, opened)]  # type: ignore[arg-type]

    assert list(Plugins([(Plugin(), "acme")]).transforms) == ["tag"]


def test_sink_specs_names_sinks() -> None:
    class Plugin:
        @hookimpl
        def sink_specs(self) -> Iterable[SinkSpec]:
            return [SinkSpec("jar", "A jar.", NoOptions, opened)]  # type: ignore[arg-type]

    assert list(Plugins([(Plugin(), "acme")]).sinks) == ["jar"]


def test_pipeline_started_comes_before_anything_is_read(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen: list[tuple[str, list[str]]] = []

    class Plugin:
        @hookimpl
        def pipeline_started(self, name: str) -> None:
            seen.append((name, list(world.events)))

    run(world, Plugin())

    assert seen == [("test", [])]


def test_batch_settled_tells_how_many_documents_ended_how(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen: list[Settlement] = []

    class Plugin:
        @hookimpl
        def batch_settled(self, settlement: Settlement) -> None:
            seen.append(settlement)

    run(world, Plugin())

    [settlement] = seen
    assert (settlement.pipeline, settlement.documents) == ("test", 4)
    assert settlement.outcomes == {
        "memory": {"stored": 4, "duplicate": 0, "acked": 0, "dead_lettered": 0}
    }
    assert settlement.newest_ns == 1_768_460_403_123_000_000


def test_pipeline_stopped_comes_after_everything_is_closed(tmp_path: Path) -> None:
    world = World(tmp_path)
    seen: list[tuple[RunSummary, list[str]]] = []

    class Plugin:
        @hookimpl
        def pipeline_stopped(self, summary: RunSummary) -> None:
            seen.append((summary, list(world.events)))

    run(world, Plugin())

    [(summary, events)] = seen
    assert summary.read == 4
    assert events[-2:] == ["close memory", "close source"]


def test_all_hooks_of_all_plugins_are_called_in_the_order_of_registration(tmp_path: Path) -> None:
    calls: list[str] = []

    class Every:
        def __init__(self, name: str) -> None:
            self.name = name

        def note(self, what: str) -> tuple[()]:
            calls.append(f"{what} {self.name}")
            return ()

        @hookimpl
        def source_specs(self) -> Iterable[SourceSpec]:
            return self.note("source_specs")

        @hookimpl
        def decoder_specs(self) -> Iterable[DecoderSpec]:
            return self.note("decoder_specs")

        @hookimpl
        def transform_specs(self) -> Iterable[TransformSpec]:
            return self.note("transform_specs")

        @hookimpl
        def sink_specs(self) -> Iterable[SinkSpec]:
            return self.note("sink_specs")

        @hookimpl
        def pipeline_started(self) -> None:
            self.note("pipeline_started")

        @hookimpl
        def batch_settled(self) -> None:
            self.note("batch_settled")

        @hookimpl
        def pipeline_stopped(self) -> None:
            self.note("pipeline_stopped")

    run(World(tmp_path), Every("one"), Every("two"))

    assert calls == [
        "source_specs one",
        "source_specs two",
        "decoder_specs one",
        "decoder_specs two",
        "transform_specs one",
        "transform_specs two",
        "sink_specs one",
        "sink_specs two",
        "pipeline_started one",
        "pipeline_started two",
        "batch_settled one",
        "batch_settled two",
        "pipeline_stopped one",
        "pipeline_stopped two",
    ]


OBSERVING: dict[str, Callable[[Plugins], None]] = {
    "pipeline_started": lambda plugins: plugins.pipeline_started("edge"),
    "batch_settled": lambda plugins: plugins.batch_settled(SETTLEMENT),
    "pipeline_stopped": lambda plugins: plugins.pipeline_stopped(RunSummary("edge")),
}


@pytest.mark.parametrize("hook", OBSERVING)
def test_a_failing_observer_is_logged_and_keeps_nobody_else_from_observing(
    hook: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []

    def failing() -> None:
        raise ValueError("metrics are down")

    def before() -> None:
        calls.append("before")

    def after() -> None:
        calls.append("after")

    registered = [(observer(hook, each), each.__name__) for each in (before, failing, after)]
    plugins = Plugins(registered)

    OBSERVING[hook](plugins)

    assert calls == ["before", "after"]
    assert f"observer failing failed in {hook}" in caplog.text
    assert "metrics are down" in caplog.text


def test_a_failing_observer_changes_nothing_about_a_run(tmp_path: Path) -> None:
    def fail() -> None:
        raise ValueError("metrics are down")

    world = World(tmp_path)

    run(world, *(observer(hook, fail) for hook in OBSERVING))

    assert "settle 0" in world.events


def observer(hook: str, action: Callable[[], None]) -> object:
    """Return a plugin that does *action* when *hook* is called."""

    class Plugin:
        pass

    def implementation(_self: object) -> None:
        action()

    implementation.__name__ = hook
    setattr(Plugin, hook, hookimpl(implementation))
    return Plugin()


def run(world: World, *registered: object) -> tuple[ListSource, MemorySink]:
    """Run four lines through a pipeline that *registered* observe."""
    source, sink = world.source([lines(4)]), world.sink()
    pipeline = world.pipeline(source, {"memory": sink})
    pipeline.parts.plugins = Plugins([(each, f"plugin{n}") for n, each in enumerate(registered)])
    pipeline.run()
    return source, sink
