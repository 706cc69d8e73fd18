"""From a configuration node to the object it names: `_target_` is a `build`, the other keys are its arguments.

Every value is checked against the annotation of the parameter it goes to, so each variant's signature is the
one place that says what it allows. Errors read as one line and name the key.
"""

from __future__ import annotations

import difflib
import importlib
import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, get_type_hints

from rag_lab.errors import ConfigError

TARGET = "_target_"


def target(node: Mapping[str, Any], where: str) -> Callable[..., Any]:
    """The `build` that a node names; only modules of rag_lab are allowed."""
    name = str(node.get(TARGET, ""))
    module, _, function = name.rpartition(".")
    if not name.startswith("rag_lab."):
        raise ConfigError(f"{where}.{TARGET}: given '{name}'; allowed is a build function of rag_lab")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ImportError, AttributeError) as error:
        raise ConfigError(f"{where}.{TARGET}: given '{name}', which cannot be imported: {error}") from error
    if function != "build" or not callable(found):
        raise ConfigError(f"{where}.{TARGET}: given '{name}'; allowed is a build function of rag_lab")
    return found


def build(node: Mapping[str, Any], where: str) -> Any:
    """Call the node's `build` with its values. `where` is the node's place in the configuration."""
    return call(target(node, where), {str(key): value for key, value in node.items() if key != TARGET}, where)


def call(function: Callable[..., Any], given: Mapping[str, Any], where: str) -> Any:
    """Call a function of keyword-only parameters with just these values, each checked against its annotation."""
    hints = get_type_hints(function, include_extras=True)
    allowed = [name for name, one in inspect.signature(function).parameters.items() if one.kind is one.KEYWORD_ONLY]
    for key in given:
        if key not in allowed:
            raise ConfigError(unknown(f"{where}.{key}", key, allowed))
    for key in allowed:
        if key not in given:
            raise ConfigError(f"{where}.{key} is missing; give {where}.{key}=<value>")
    return function(**{key: check(value, hints[key], f"{where}.{key}") for key, value in given.items()})


def check(value: Any, hint: Any, place: str) -> Any:
    """The value as its annotation wants it; ConfigError where it cannot be."""
    import pydantic

    try:
        return pydantic.TypeAdapter(hint).validate_python(value)
    except pydantic.ValidationError as error:
        first = error.errors(include_url=False)[0]
        inside = ".".join([place, *map(str, first["loc"])])
        raise ConfigError(f"{inside}: given {first['input']!r}; {_lower(first['msg'])}") from error


def unknown(place: str, given: str, allowed: Iterable[str]) -> str:
    """The message for a name that is not among those allowed, with the nearest one."""
    names = list(allowed)
    near = difflib.get_close_matches(given, names, n=1)
    hint = f"did you mean '{near[0]}'? " if near else ""
    return f"{place}: no such name; {hint}allowed: {', '.join(names) or 'none'}"


def _lower(message: str) -> str:
    return message[:1].lower() + message[1:]
