"""The only module that talks to pluggy: loads plugins and answers who offers what."""

from __future__ import annotations

import importlib
import logging
import os
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, TypeVar

import pluggy

from cloudfront_ecs import hookspecs
from cloudfront_ecs.adapters import DecoderSpec, SinkSpec, SourceSpec, TransformSpec
from cloudfront_ecs.errors import ConfigError, PluginError, nearest
from cloudfront_ecs.options import describe

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from cloudfront_ecs.adapters import AdapterSpec
    from cloudfront_ecs.batches import RunSummary, Settlement

log = logging.getLogger(__name__)

BLOCK_VARIABLE = "CLOUDFRONT_ECS_BLOCK_PLUGINS"
"""Names of entry points, apart by commas, that are not to be loaded."""

BUILT_IN = (
    "cloudfront_ecs.sources.files",
    "cloudfront_ecs.sources.s3.adapter",
    "cloudfront_ecs.sources.kinesis.adapter",
    "cloudfront_ecs.decoders.auto",
    "cloudfront_ecs.decoders.standard",
    "cloudfront_ecs.decoders.realtime.decoder",
    "cloudfront_ecs.decoders.json_lines",
    "cloudfront_ecs.decoders.parquet",
    "cloudfront_ecs.decoders.connection",
    "cloudfront_ecs.decoders.functions",
    "cloudfront_ecs.decoders.cloudtrail",
    "cloudfront_ecs.transforms.user_agent",
    "cloudfront_ecs.transforms.geoip.transform",
    "cloudfront_ecs.transforms.privacy.transform",
    "cloudfront_ecs.transforms.filter",
    "cloudfront_ecs.transforms.sample",
    "cloudfront_ecs.transforms.trusted_proxies",
    "cloudfront_ecs.sinks.ndjson",
    "cloudfront_ecs.sinks.elastic",
    "cloudfront_ecs.sinks.fluentd",
)
"""The modules of this package that are plugins like any other."""

ROLES: dict[str, type[Any]] = {
    "source": SourceSpec,
    "decoder": DecoderSpec,
    "transform": TransformSpec,
    "sink": SinkSpec,
}

_Spec = TypeVar("_Spec", SourceSpec, DecoderSpec, TransformSpec, SinkSpec)


class Plugins:
    """All registered plugins, and the adapters they offer.

    Attributes:
        sources: Specs by kind; likewise *decoders*, *transforms* and *sinks*.
        offered_by: For each (role, kind), the name of the plugin that offers it.
    """

    def __init__(self, registered: Sequence[tuple[object, str]]) -> None:
        """Register plugins, ours like others', and collect what they offer.

        Args:
            registered: Plugin objects with their names.

        Raises:
            PluginError: A plugin misspells a hook, offers something that is no spec, or
                two offer the same kind.
        """
        self._pm = pluggy.PluginManager(hookspecs.GROUP)
        self._pm.add_hookspecs(hookspecs)
        for plugin, name in registered:
            try:
                self._pm.register(plugin, name)
            except (pluggy.PluginValidationError, ValueError) as error:
                raise PluginError(
                    f"plugin {name!r}: {_first_line(error)}; {_how_to_block(name)}"
                ) from error
        self._refuse_misspelt_hooks()
        self._refuse_wrappers()
        self.offered_by: dict[tuple[str, str], str] = {}
        self.sources = self._collect("source", SourceSpec)
        self.decoders = self._collect("decoder", DecoderSpec)
        self.transforms = self._collect("transform", TransformSpec)
        self.sinks = self._collect("sink", SinkSpec)

    def specs(self, role: str) -> Mapping[str, AdapterSpec]:
        """Return the specs of a role (``source``, ``decoder``, ``transform``, ``sink``)."""
        by_role: dict[str, Mapping[str, AdapterSpec]] = {
            "source": self.sources,
            "decoder": self.decoders,
            "transform": self.transforms,
            "sink": self.sinks,
        }
        return by_role[role]

    def spec(self, role: str, kind: str, place: str) -> AdapterSpec:
        """Return the spec of *kind*, or raise ConfigError with the nearest known name."""
        known = self.specs(role)
        if kind not in known:
            raise ConfigError(f"{place}: unknown kind {kind!r}{nearest(kind, known)}")
        return known[kind]

    def watch(self, observer: object, name: str) -> None:
        """Register something that only observes, beside the plugins."""
        self._pm.register(observer, name)

    def pipeline_started(self, name: str) -> None:
        """Tell every observer that pipeline *name* has started."""
        self._observe("pipeline_started", {"name": name})

    def batch_settled(self, settlement: Settlement) -> None:
        """Tell every observer that a batch has ended."""
        self._observe("batch_settled", {"settlement": settlement})

    def pipeline_stopped(self, summary: RunSummary) -> None:
        """Tell every observer that a pipeline has stopped."""
        self._observe("pipeline_stopped", {"summary": summary})

    def _observe(self, hook: str, offered: Mapping[str, Any]) -> None:
        # One failing observer would end pluggy's own call for all others.
        for impl in getattr(self._pm.hook, hook).get_hookimpls():
            try:
                impl.function(*(offered[name] for name in impl.argnames))
            except Exception:
                log.exception("observer %s failed in %s", impl.plugin_name, hook)

    def _refuse_misspelt_hooks(self) -> None:
        known = [name for name in vars(self._pm.hook) if not name.startswith("_")]
        specified = [name for name in known if getattr(self._pm.hook, name).has_spec()]
        for name in known:
            caller = getattr(self._pm.hook, name)
            if caller.has_spec():
                continue
            for impl in caller.get_hookimpls():
                if impl.optionalhook:  # the plugin knows that older versions lack it
                    continue
                raise PluginError(
                    f"plugin {impl.plugin_name!r}: unknown hook {name!r}{nearest(name, specified)}"
                    f"; {_how_to_block(impl.plugin_name)}"
                )

    def _refuse_wrappers(self) -> None:
        # Hooks are called one by one, so a wrapper would have nothing to wrap.
        for name, caller in vars(self._pm.hook).items():
            for impl in [] if name.startswith("_") else caller.get_hookimpls():
                if impl.wrapper or impl.hookwrapper:
                    raise PluginError(
                        f"plugin {impl.plugin_name!r}: hook {name!r} cannot be wrapped "
                        f"(offer or observe instead); {_how_to_block(impl.plugin_name)}"
                    )

    def _collect(self, role: str, spec_type: type[_Spec]) -> dict[str, _Spec]:
        found: dict[str, _Spec] = {}
        hook = getattr(self._pm.hook, f"{role}_specs")
        for impl in hook.get_hookimpls():  # pluggy lists them as they were registered
            for spec in self._offers(impl, role):
                if not isinstance(spec, spec_type):
                    raise PluginError(
                        f"plugin {impl.plugin_name!r}: {role}_specs returned "
                        f"{type(spec).__name__}, expected {spec_type.__name__}; "
                        f"{_how_to_block(impl.plugin_name)}"
                    )
                _require_options(impl.plugin_name, role, spec)
                if spec.kind in found:
                    other = self.offered_by[role, spec.kind]
                    raise PluginError(
                        f"plugin {impl.plugin_name!r}: {role} kind {spec.kind!r} is already "
                        f"offered by {other!r}; {_how_to_block(impl.plugin_name)}"
                    )
                found[spec.kind] = spec
                self.offered_by[role, spec.kind] = impl.plugin_name
        return found

    def _offers(self, impl: Any, role: str) -> Iterable[Any]:
        try:
            return tuple(impl.function() or ())
        except Exception as error:
            raise PluginError(
                f"plugin {impl.plugin_name!r}: {role}_specs failed: "
                f"{type(error).__name__}: {error}; {_how_to_block(impl.plugin_name)}"
            ) from error


def load_plugins() -> Plugins:
    """Load the built-in adapters and every installed foreign plugin.

    Raises:
        PluginError: A plugin cannot be imported or does not fit; the text names it and
            tells how to switch it off.
    """
    registered: list[tuple[object, str]] = [
        (importlib.import_module(name), name) for name in BUILT_IN
    ]
    blocked = blocked_plugins()
    for point in sorted(entry_points(group=hookspecs.GROUP), key=lambda point: point.name):
        if point.name in blocked:
            log.info("plugin %s is switched off by %s", point.name, BLOCK_VARIABLE)
            continue
        try:
            registered.append((point.load(), point.name))
        except Exception as error:
            package = point.dist.name if point.dist else point.value
            raise PluginError(
                f"plugin {point.name!r} of {package} cannot be loaded: "
                f"{type(error).__name__}: {error}; {_how_to_block(point.name)}"
            ) from error
    return Plugins(registered)


def blocked_plugins() -> frozenset[str]:
    """Return the names of entry points that the environment switches off."""
    names = os.environ.get(BLOCK_VARIABLE, "").split(",")
    return frozenset(name.strip() for name in names if name.strip())


def _require_options(plugin: str, role: str, spec: AdapterSpec) -> None:
    """Refuse options that could be neither parsed nor described.

    Raises:
        PluginError: The options are no dataclass, or a type in them has no meaning at run time.
    """
    try:
        tuple(describe(spec.options))
    except Exception as error:
        raise PluginError(
            f"plugin {plugin!r}: options of {role} {spec.kind!r} cannot be used: "
            f"{type(error).__name__}: {error} (a dataclass is expected, its types imported "
            f"outside TYPE_CHECKING); {_how_to_block(plugin)}"
        ) from error


def _how_to_block(name: str) -> str:
    return f"set {BLOCK_VARIABLE}={name} to run without it"


def _first_line(error: Exception) -> str:
    return " ".join(str(error).split())
