from __future__ import annotations

from dataclasses import make_dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import cloudfront_ecs
from cloudfront_ecs import NoOptions, SinkSpec, hookimpl, option
from cloudfront_ecs.errors import ConfigError, PluginError
from cloudfront_ecs.plugins import BLOCK_VARIABLE, BUILT_IN, Plugins, blocked_plugins, load_plugins

if TYPE_CHECKING:
    from collections.abc import Iterable


def sinks(*kinds: str, options: Any = NoOptions) -> object:
    """Return a plugin that offers sinks."""

    class Plugin:
        @hookimpl
        def sink_specs(self) -> Iterable[SinkSpec]:
            return [SinkSpec(kind, "For tests.", options, _never) for kind in kinds]

    return Plugin()


def _never(*_: object) -> Any:
    raise AssertionError("nothing is opened when plugins are loaded")


def test_every_built_in_module_offers_something() -> None:
    plugins = load_plugins()

    assert set(BUILT_IN) <= set(plugins.offered_by.values())


def test_two_plugins_may_offer_different_kinds_of_one_role() -> None:
    plugins = Plugins([(sinks("jar"), "one"), (sinks("bin", "box"), "two")])

    assert plugins.offered_by == {
        ("sink", "jar"): "one",
        ("sink", "bin"): "two",
        ("sink", "box"): "two",
    }


def test_a_kind_that_is_taken_is_refused_and_the_later_plugin_named() -> None:
    with pytest.raises(PluginError) as caught:
        Plugins([(sinks("jar"), "cloudfront_ecs.sinks.jar"), (sinks("jar"), "acme")])

    assert str(caught.value) == (
        "plugin 'acme': sink kind 'jar' is already offered by 'cloudfront_ecs.sinks.jar'; "
        "set CLOUDFRONT_ECS_BLOCK_PLUGINS=acme to run without it"
    )


def test_a_misspelt_hook_is_refused_with_the_nearest_name() -> None:
    class Plugin:
        @hookimpl
        def sinks_specs(self) -> Iterable[SinkSpec]:
            return ()

    with pytest.raises(PluginError) as caught:
        Plugins([(Plugin(), "acme")])

    assert str(caught.value) == (
        "plugin 'acme': unknown hook 'sinks_specs' (did you mean 'sink_specs'?); "
        "set CLOUDFRONT_ECS_BLOCK_PLUGINS=acme to run without it"
    )


def test_a_hook_marked_optional_may_be_unknown() -> None:
    class Plugin:
        @hookimpl(optionalhook=True)
        def of_a_later_version(self) -> None:
            raise AssertionError

    Plugins([(Plugin(), "acme")])


def test_an_unknown_argument_is_refused_by_name() -> None:
    class Plugin:
        @hookimpl
        def batch_settled(self, settlment: object) -> None:  # noqa: ARG002 - the misspelt name
            raise AssertionError

    with pytest.raises(PluginError, match=r"plugin 'acme': .*settlment.*BLOCK_PLUGINS=acme"):
        Plugins([(Plugin(), "acme")])


def test_a_wrapper_is_refused_since_nothing_would_be_wrapped() -> None:
    class Plugin:
        @hookimpl(wrapper=True)
        def batch_settled(self) -> Iterable[None]:
            yield

    with pytest.raises(PluginError, match="plugin 'acme': hook 'batch_settled' cannot be wrapped"):
        Plugins([(Plugin(), "acme")])


def test_two_plugins_of_one_name_are_refused() -> None:
    with pytest.raises(PluginError, match=r"plugin 'acme': .*already registered"):
        Plugins([(sinks("jar"), "acme"), (sinks("box"), "acme")])


def test_an_offer_that_is_no_spec_is_refused() -> None:
    class Plugin:
        @hookimpl
        def sink_specs(self) -> Any:
            return ["jar"]

    with pytest.raises(
        PluginError, match="plugin 'acme': sink_specs returned str, expected SinkSpec"
    ):
        Plugins([(Plugin(), "acme")])


def test_an_offer_that_fails_names_plugin_hook_and_error() -> None:
    class Plugin:
        @hookimpl
        def sink_specs(self) -> Any:
            raise KeyError("jar")

    with pytest.raises(PluginError, match="plugin 'acme': sink_specs failed: KeyError: 'jar'"):
        Plugins([(Plugin(), "acme")])


def test_a_plugin_may_offer_nothing() -> None:
    class Plugin:
        @hookimpl
        def sink_specs(self) -> Any:
            return None

    assert Plugins([(Plugin(), "acme")]).sinks == {}


def test_options_that_are_no_dataclass_are_refused() -> None:
    with pytest.raises(PluginError, match="plugin 'acme': options of sink 'jar' cannot be used"):
        Plugins([(sinks("jar", options=dict), "acme")])


def test_options_with_types_that_do_not_exist_at_run_time_are_refused() -> None:
    options = make_dataclass("Options", [("path", "NoSuchType", option("", doc="Nothing."))])

    with pytest.raises(PluginError, match=r"sink 'jar' cannot be used: NameError: .*NoSuchType"):
        Plugins([(sinks("jar", options=options), "acme")])


def test_an_unknown_kind_comes_with_the_nearest_known_one() -> None:
    with pytest.raises(ConfigError) as caught:
        load_plugins().spec("sink", "elastik", "sinks.search")

    assert str(caught.value) == "sinks.search: unknown kind 'elastik' (did you mean 'elastic'?)"


@pytest.mark.parametrize(
    ("value", "names"),
    [
        pytest.param("", set(), id="empty"),
        pytest.param("acme", {"acme"}, id="one"),
        pytest.param(" acme, other ,", {"acme", "other"}, id="several"),
    ],
)
def test_names_of_blocked_plugins_stand_apart_by_commas(
    monkeypatch: pytest.MonkeyPatch, value: str, names: set[str]
) -> None:
    monkeypatch.setenv(BLOCK_VARIABLE, value)

    assert blocked_plugins() == names


def test_only_one_module_talks_to_pluggy_but_for_the_markers() -> None:
    package = Path(cloudfront_ecs.__file__).parent
    importing = {p.name for p in package.rglob("*.py") if "import pluggy" in p.read_text("utf-8")}

    assert importing == {"hookspecs.py", "plugins.py"}
