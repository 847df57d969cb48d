# ruff: noqa: RUF009 - option() declares a field, as dataclasses.field() does

from __future__ import annotations

from dataclasses import dataclass
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest

from cloudfront_ecs import (
    DecoderSpec,
    NoOptions,
    Secret,
    SinkSpec,
    SourceSpec,
    TransformSpec,
    hookimpl,
    option,
)
from cloudfront_ecs.config import BatchOptions, Config, load
from cloudfront_ecs.errors import ConfigError
from cloudfront_ecs.plugins import Plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

HIDDEN = "hunter2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    verify: bool = option(default=True, doc="Check certificates.")
    passphrase: Secret | None = option(None, doc="Of the key.")


@dataclass(frozen=True, slots=True, kw_only=True)
class JarOptions:
    path: str = option(doc="Where the jar stands.")
    size: int = option(5, doc="How much goes in.", least=1, most=10)
    password: Secret | None = option(None, doc="What opens it.")
    labels: tuple[str, ...] = option((), doc="What is on it.")
    tls: Tls = option(Tls(), doc="Certificates.")


@dataclass(frozen=True, slots=True, kw_only=True)
class PipesOptions:
    fields: tuple[str, ...] = option(("time",), doc="Columns.")


class Acme:
    """Offers adapters that only configurations see."""

    @hookimpl
    def source_specs(self) -> Iterable[SourceSpec]:
        return [SourceSpec("queue", "A queue.", NoOptions, _never)]

    @hookimpl
    def decoder_specs(self) -> Iterable[DecoderSpec]:
        return [
            DecoderSpec("auto", "Anything.", NoOptions, _never),
            DecoderSpec("pipes", "Pipes.", PipesOptions, _never),
        ]

    @hookimpl
    def transform_specs(self) -> Iterable[TransformSpec]:
        return [
            TransformSpec("tag", "Tags.", NoOptions, _never),
            TransformSpec("privacy", "Hides.", JarOptions, _never),
        ]

    @hookimpl
    def sink_specs(self) -> Iterable[SinkSpec]:
        return [SinkSpec("jar", "A jar.", JarOptions, _never)]


def _never(*_: object) -> Any:
    raise AssertionError("a configuration opens nothing")


GOOD = """
[state]
directory = "/tmp/state"

[sources.edge]
kind = "queue"

[sinks.shelf]
kind = "jar"
path = "a.jar"

[pipelines.main]
source = "edge"
sinks = ["shelf"]
"""


@pytest.fixture(name="path")
def _path(tmp_path: Path) -> Path:
    return tmp_path / "config.toml"


@pytest.fixture(name="loaded")
def _loaded(path: Path) -> Callable[..., Config]:
    """Return a function that loads a configuration text."""

    def loaded(text: str, **environ: str) -> Config:
        path.write_text(dedent(text), "utf-8")
        return load(path, Plugins([(Acme(), "acme")]), environ)

    return loaded


@pytest.fixture(name="problems")
def _problems(path: Path, loaded: Callable[..., Config]) -> Callable[..., list[str]]:
    """Return a function that loads a wrong configuration and returns its problems."""

    def problems(text: str, **environ: str) -> list[str]:
        with pytest.raises(ConfigError) as caught:
            loaded(text, **environ)
        told = str(caught.value).splitlines()
        assert all(each.startswith(f"{path}: ") for each in told)
        return [each.removeprefix(f"{path}: ") for each in told]

    return problems


def test_a_configuration_becomes_resolved_pipelines(loaded: Callable[..., Config]) -> None:
    config = loaded(GOOD)

    [pipeline] = config.pipelines
    assert str(config.state) == "/tmp/state"
    assert (pipeline.name, pipeline.source.name, pipeline.source.spec.kind) == (
        "main", "edge", "queue",
    )  # fmt: skip
    assert pipeline.decoder.spec.kind == "auto"
    assert pipeline.transforms == ()
    assert [sink.options for sink in pipeline.sinks] == [JarOptions(path="a.jar")]
    assert pipeline.batch == BatchOptions()
    assert set(config.sources) == {"edge"}
    assert set(config.sinks) == {"shelf"}


def test_decoders_and_transforms_are_given_by_kind_by_name_or_as_a_table(
    loaded: Callable[..., Config],
) -> None:
    config = loaded(
        GOOD
        + """
        decoder = { kind = "pipes", fields = ["time", "status"] }
        transforms = ["tag", "mask", { kind = "privacy", path = "b", size = 2 }]
        original = true
        batch = { documents = 5, seconds = 2 }

        [transforms.mask]
        kind = "privacy"
        path = "c"
        """.replace("        ", "")
    )

    [pipeline] = config.pipelines
    assert pipeline.decoder.options == PipesOptions(fields=("time", "status"))
    assert [each.name for each in pipeline.transforms] == ["tag", "mask", "privacy"]
    assert [each.options for each in pipeline.transforms] == [
        NoOptions(), JarOptions(path="c"), JarOptions(path="b", size=2),
    ]  # fmt: skip
    assert pipeline.original
    assert pipeline.batch == BatchOptions(documents=5, seconds=2.0)


def test_a_name_goes_before_a_kind_of_the_same_name(loaded: Callable[..., Config]) -> None:
    config = loaded(
        GOOD + 'decoder = "pipes"\n[decoders.pipes]\nkind = "pipes"\nfields = ["status"]\n'
    )

    assert config.pipelines[0].decoder.options == PipesOptions(fields=("status",))


def test_nested_tables_become_their_own_options(loaded: Callable[..., Config]) -> None:
    config = loaded(GOOD + '[sinks.shelf.tls]\nverify = false\npassphrase = "x"\n')

    assert config.sinks["shelf"].options.tls == Tls(verify=False, passphrase=Secret("x"))


def test_two_pipelines_may_share_a_sink(loaded: Callable[..., Config]) -> None:
    config = loaded(
        GOOD
        + '[sources.other]\nkind = "queue"\n'
        + '[pipelines.second]\nsource = "other"\nsinks = ["shelf"]\n'
    )

    assert [each.name for each in config.pipelines] == ["main", "second"]


def test_a_source_feeds_one_pipeline_only(problems: Callable[..., list[str]]) -> None:
    told = problems(GOOD + '[pipelines.second]\nsource = "edge"\nsinks = ["shelf"]\n')

    assert told == [
        (
            "pipelines.second.source: 'edge' feeds pipeline 'main' already "
            "(give that one more sinks, or add a source of its own)"
        )
    ]


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        pytest.param(
            "[state]", "[stat]",
            "unknown section 'stat' (did you mean 'state'?)",
            id="section",
        ),
        pytest.param(
            'path = "a.jar"', 'paht = "x"\npath = "a.jar"',
            "sinks.shelf: unknown option 'paht' (did you mean 'path'?)",
            id="option",
        ),
        pytest.param(
            "directory", "direktory",
            "state: unknown option 'direktory' (did you mean 'directory'?)",
            id="option-of-state",
        ),
        pytest.param(
            'kind = "jar"', 'kind = "jra"',
            "sinks.shelf: unknown kind 'jra' (did you mean 'jar'?)",
            id="kind",
        ),
        pytest.param(
            'kind = "queue"', 'kind = "zzz"',
            "sources.edge: unknown kind 'zzz' (known: queue)",
            id="kind-like-no-other",
        ),
        pytest.param(
            'kind = "jar"', "",
            "sinks.shelf: option 'kind' is missing (known: jar)",
            id="no-kind",
        ),
        pytest.param(
            'kind = "jar"', "kind = 5",
            "sinks.shelf.kind: expected text, got int",
            id="kind-of-wrong-type",
        ),
        pytest.param(
            'source = "edge"', 'source = "egde"',
            "pipelines.main.source: unknown source 'egde' (did you mean 'edge'?)",
            id="source",
        ),
        pytest.param(
            'sinks = ["shelf"]', 'sinks = ["shelf", "shefl"]',
            "pipelines.main.sinks[1]: unknown sink 'shefl' (did you mean 'shelf'?)",
            id="sink",
        ),
        pytest.param(
            'source = "edge"', 'source = "edge"\ntransforms = ["tga"]',
            "pipelines.main.transforms[0]: unknown transform 'tga' (did you mean 'tag'?)",
            id="transform",
        ),
        pytest.param(
            'source = "edge"', 'source = "edge"\ntransforms = [{ kind = "tga" }]',
            "pipelines.main.transforms[0]: unknown kind 'tga' (did you mean 'tag'?)",
            id="kind-of-a-table",
        ),
        pytest.param(
            'source = "edge"', 'source = "edge"\ndecoder = "pips"',
            "pipelines.main.decoder: unknown decoder 'pips' (did you mean 'pipes'?)",
            id="decoder",
        ),
        pytest.param(
            'source = "edge"', 'source = "edge"\ndecoder = 5',
            "pipelines.main.decoder: expected a name or a table, got int",
            id="decoder-of-wrong-type",
        ),
        pytest.param(
            'source = "edge"', 'source = "edge"\ndecoder = { kind = "pipes", fields = 1 }',
            "pipelines.main.decoder.fields: expected list of text, got int 1",
            id="option-of-a-table",
        ),
        pytest.param(
            'source = "edge"', 'source = "edge"\ntransforms = ["privacy"]',
            "pipelines.main.transforms[0]: option 'path' is missing (Where the jar stands.)",
            id="kind-that-needs-options",
        ),
        pytest.param(
            'sinks = ["shelf"]', 'sinks = ["shelf", "shelf"]',
            "pipelines.main.sinks: a sink is named twice",
            id="sink-twice",
        ),
        pytest.param(
            'sinks = ["shelf"]', "sinks = []",
            "pipelines.main.sinks: at least 1 needed, got 0",
            id="no-sinks",
        ),
        pytest.param(
            'source = "edge"', "",
            "pipelines.main: option 'source' is missing (Name of the source.)",
            id="missing-source",
        ),
        pytest.param(
            'path = "a.jar"', "",
            "sinks.shelf: option 'path' is missing (Where the jar stands.)",
            id="missing-option",
        ),
        pytest.param(
            'path = "a.jar"', "path = 7",
            "sinks.shelf.path: expected text, got int 7",
            id="type",
        ),
        pytest.param(
            'path = "a.jar"', 'path = "a.jar"\nsize = 11',
            "sinks.shelf.size: 11 is above the largest allowed value 10",
            id="range",
        ),
        pytest.param(
            'path = "a.jar"', 'path = "a.jar"\ntls = { verfy = true }',
            "sinks.shelf.tls: unknown option 'verfy' (did you mean 'verify'?)",
            id="option-of-nested-table",
        ),
        pytest.param(
            'path = "a.jar"', 'path = "a.jar"\ntls = { verify = "no" }',
            "sinks.shelf.tls.verify: expected bool, got text 'no'",
            id="type-in-nested-table",
        ),
        pytest.param(
            'source = "edge"', 'source = "edge"\nbatch = { documents = 0 }',
            "pipelines.main.batch.documents: 0 is below the least allowed value 1",
            id="range-of-batch",
        ),
        pytest.param(
            '[sources.edge]\nkind = "queue"', '[sources]\nedge = "queue"',
            "sources.edge: expected a table, got text",
            id="adapter-that-is-no-table",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_by_place_problem_and_hint(
    problems: Callable[..., list[str]], old: str, new: str, problem: str
) -> None:
    assert GOOD.count(old) == 1

    told = problems(GOOD.replace(old, new))

    assert told == [problem]


@pytest.mark.parametrize("text", ["", "[pipelines]", "[state]"], ids=["empty", "table", "other"])
def test_a_configuration_without_pipelines_is_refused(
    problems: Callable[..., list[str]], text: str
) -> None:
    assert problems(text) == ["pipelines: none configured (add a table [pipelines.NAME])"]


@pytest.mark.parametrize("section", ["state", "sources", "sinks", "decoders", "pipelines"])
def test_a_section_that_is_no_table_is_refused(
    problems: Callable[..., list[str]], section: str
) -> None:
    assert f"{section}: expected a table, got int" in problems(f"{section} = 5\n")


def test_several_problems_are_told_at_once(problems: Callable[..., list[str]]) -> None:
    told = problems(
        """
        [sauces.edge]

        [sources.edge]
        kind = "queu"

        [sinks.shelf]
        kind = "jar"
        path = "${NO_PATH}"
        size = 0
        label = "x"

        [pipelines.main]
        source = "edge"
        sinks = ["shelf", "other"]
        """
    )

    assert told == [
        (
            "sinks.shelf.path: environment variable 'NO_PATH' is not set "
            "(set it, or write ${NO_PATH:-default})"
        ),
        "unknown section 'sauces' (did you mean 'sources'?)",
        "sources.edge: unknown kind 'queu' (did you mean 'queue'?)",
        "sinks.shelf.size: 0 is below the least allowed value 1",
        "sinks.shelf: unknown option 'label' (did you mean 'labels'?)",
        "pipelines.main.sinks[1]: unknown sink 'other' (known: shelf)",
    ]


@pytest.mark.parametrize(
    ("written", "environ", "value"),
    [
        pytest.param("${JAR}", {"JAR": "x"}, "x", id="set"),
        pytest.param("/srv/${JAR}/${SUB}.jar", {"JAR": "x", "SUB": "y"}, "/srv/x/y.jar", id="two"),
        pytest.param("${JAR:-d}", {}, "d", id="default"),
        pytest.param("${JAR:-d}", {"JAR": ""}, "d", id="default-for-empty"),
        pytest.param("${JAR:-}", {}, "", id="empty-default"),
        pytest.param("${JAR:-a:-b}", {}, "a:-b", id="odd-default"),
        pytest.param("${JAR}", {"JAR": ""}, "", id="set-and-empty"),
        pytest.param("${JAR}", {"JAR": "${SUB}"}, "${SUB}", id="not-twice"),
        pytest.param("$JAR {JAR} $", {"JAR": "x"}, "$JAR {JAR} $", id="other-dollars"),
    ],
)
def test_environment_variables_are_put_into_text(
    loaded: Callable[..., Config], written: str, environ: dict[str, str], value: str
) -> None:
    config = loaded(GOOD.replace("a.jar", written), **environ)

    assert config.sinks["shelf"].options.path == value


def test_environment_variables_reach_lists_and_tables(loaded: Callable[..., Config]) -> None:
    text = GOOD.replace(
        'path = "a.jar"',
        'path = "a.jar"\nlabels = ["x", "${LABEL}"]\ntls = { passphrase = "${PASS}" }',
    )

    options = loaded(text, LABEL="y", PASS=HIDDEN).sinks["shelf"].options

    assert options.labels == ("x", "y")
    assert options.tls.passphrase.reveal() == HIDDEN


def test_an_unset_variable_is_named_with_its_place(problems: Callable[..., list[str]]) -> None:
    told = problems(GOOD.replace('"a.jar"', '"a.jar"\nlabels = ["x", "${LABEL}"]'))

    assert told == [
        (
            "sinks.shelf.labels[1]: environment variable 'LABEL' is not set "
            "(set it, or write ${LABEL:-default})"
        )
    ]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param('password = ["hunter2"]', id="wrong-type"),
        pytest.param('password = { value = "hunter2" }', id="table"),
        pytest.param('pasword = "hunter2"', id="misspelt"),
        pytest.param('size = "${KEY}"', id="variable-for-a-number"),
        pytest.param('labels = "${KEY}"', id="variable-for-a-list"),
        pytest.param('tls = "${KEY}"', id="variable-for-a-table"),
        pytest.param('tls = { passphrase = ["hunter2"] }', id="in-a-table"),
        pytest.param('tls = ["hunter2"]', id="for-a-table"),
        pytest.param('password = "hunter2', id="no-closing-quote"),
        pytest.param("password = hunter2", id="no-quotes"),
    ],
)
def test_secrets_are_never_printed(problems: Callable[..., list[str]], line: str) -> None:
    told = problems(GOOD.replace('path = "a.jar"', f'path = "a.jar"\n{line}'), KEY=HIDDEN)

    assert HIDDEN not in "\n".join(told)


def test_secrets_do_not_show_in_a_loaded_configuration(loaded: Callable[..., Config]) -> None:
    text = GOOD.replace('path = "a.jar"', 'path = "a.jar"\npassword = "${KEY}"')

    config = loaded(text, KEY=HIDDEN)

    assert config.sinks["shelf"].options.password.reveal() == HIDDEN
    assert HIDDEN not in repr(config)
    assert HIDDEN not in str(config.pipelines)


def test_a_syntax_error_is_told_with_its_line(problems: Callable[..., list[str]]) -> None:
    [told] = problems("[state]\ndirectory = \n")

    assert told.startswith("is not TOML: ")
    assert "line 2" in told


def test_a_file_that_does_not_exist_is_told(path: Path) -> None:
    with pytest.raises(ConfigError, match=r"config.toml: cannot be read: No such file"):
        load(path, Plugins([]))


def test_a_file_that_is_no_text_is_told(path: Path) -> None:
    path.write_bytes(b"[state]\n\xff")

    with pytest.raises(ConfigError, match=r"config.toml: is not UTF-8 text \(byte 8\)"):
        load(path, Plugins([]))
