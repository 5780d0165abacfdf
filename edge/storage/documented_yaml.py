"""A configuration as YAML that can be edited: every key with its value, its meaning and what it may be."""

from __future__ import annotations

import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import annotated_types
import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text", Path: "a path"}
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}


def documented_yaml(config: BaseModel) -> str:
    """``config``, which loads from the text again. What it leaves out stands in comments, with its keys where they first occur."""
    return "\n".join(_lines(type(config), config, "", {})) + "\n"


def _lines(model: type[BaseModel], config: BaseModel | None, mark: str, told: dict[type[BaseModel], str]) -> Iterator[str]:
    """Of ``model``, each after ``mark``. config: None where it is left out, and all is a comment already."""
    for name, field in model.model_fields.items():
        value = getattr(config, name) if config is not None else _default(field)
        inner = _model(field.annotation)
        left_out = value is None or (isinstance(value, BaseModel) and _hollow(value))
        begin = f"{mark}# " if config is not None and left_out else mark
        if inner is None:
            meaning = "; ".join(part for part in (field.description, _values(field)) if part)
            yield f"{begin}{name}: {_scalar(value)}" + (f"  # {meaning}" if meaning else "")
        elif config is not None and not left_out:
            yield f"{begin}{name}:  # {_meaning(field, inner)}"
            yield from _lines(type(value), value, f"{begin}  ", told)
        elif inner in told:
            yield f"{begin}{name}:  # {_meaning(field, inner)}; keys as of `{told[inner]}`"
        else:
            told[inner] = name
            yield f"{begin}{name}:  # {_meaning(field, inner)}"
            yield from _lines(inner, None, f"{begin}  ", told)


def _meaning(field: FieldInfo, inner: type[BaseModel]) -> str:
    return field.description or " ".join((inner.__doc__ or "").split("\n\n", maxsplit=1)[0].replace("``", "`").split())


def _hollow(config: BaseModel) -> bool:
    """Whether all it could hold is left out: a key without anything below it would be no mapping."""
    return all(getattr(config, name) is None for name in type(config).model_fields)


def _default(field: FieldInfo) -> Any:
    return None if field.is_required() else field.get_default(call_default_factory=True)


def _scalar(value: Any) -> str:
    plain = str(value) if isinstance(value, Path) else value
    return str(yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True).splitlines()[0])


def _options(annotation: Any) -> list[Any]:
    """What may stand there, unions and annotations taken apart."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [one for part in get_args(annotation) for one in _options(part)]
    return [annotation]


def _model(annotation: Any) -> type[BaseModel] | None:
    found = [one for one in _options(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    return found[0] if found else None


def _values(field: FieldInfo) -> str:
    words: list[str] = []
    for option in _options(field.annotation):
        if get_origin(option) is Literal:
            words.append(" | ".join(str(value) for value in get_args(option)))
        elif option in WORDS:
            words.append(WORDS[option])
    bounds = [
        f"{sign} {getattr(rule, kind):g}"
        for rule in field.metadata
        if isinstance(rule, annotated_types.BaseMetadata)
        for kind, sign in BOUNDS.items()
        if hasattr(rule, kind)
    ]
    return " or ".join(words) + (f" {' and '.join(bounds)}" if bounds else "")
