"""YAML into pydantic models, with errors a technician can act on: the key, what was expected, what came, the nearest key."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any, TypeVar

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from edge.errors import ConfigError


class StrictModel(BaseModel):
    """Unknown keys fail, types are not guessed, values do not change."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


class _UniqueKeys(yaml.SafeLoader):
    """YAML lets a key appear twice and keeps the last; here that is a mistake."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key_node, _ in node.value:
            key = getattr(key_node, "value", None)
            if isinstance(key, str) and key in seen:
                raise yaml.constructor.ConstructorError(None, None, f"the key `{key}` appears twice", key_node.start_mark)
            if isinstance(key, str):
                seen.add(key)
        return super().construct_mapping(node, deep)


ModelT = TypeVar("ModelT", bound=BaseModel)


def load_yaml(path: Path) -> dict[str, Any]:
    """The mapping in ``path``; an empty file is an empty mapping. Raises ConfigError."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        raise ConfigError(f"{path}: cannot read it: {reason}; check the path") from error
    return load_yaml_text(text, str(path))


def load_yaml_text(text: str, origin: str) -> dict[str, Any]:
    """The mapping in ``text``, as ``load_yaml``; raises ConfigError naming ``origin``."""
    try:
        content = yaml.load(text, _UniqueKeys)
    except (yaml.YAMLError, ValueError, RecursionError) as error:  # a ValueError is a date or number that is none
        mark = getattr(error, "problem_mark", None)
        where = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).split(";")[0] or "cannot parse it"
        raise ConfigError(f"{origin}{where}: not valid YAML: {problem}; correct that line") from error
    if content is None:
        return {}
    if not isinstance(content, dict):
        raise ConfigError(f"{origin}: expected keys and values, got {type(content).__name__}; see the documented example")
    return content


def parse(model: type[ModelT], content: dict[str, Any], origin: str) -> ModelT:
    """Validate ``content`` against ``model``; raises ConfigError naming ``origin`` and the first fault."""
    try:
        return model.model_validate(content)
    except ValidationError as error:
        # An unknown key is often the cause of a missing one, so it is told first.
        details = sorted(error.errors(), key=lambda d: d["type"] != "extra_forbidden")
        more = f" (and {len(details) - 1} more)" if len(details) > 1 else ""
        raise ConfigError(f"{origin}: {_explain(model, details[0])}{more}") from error


def load_model(model: type[ModelT], path: Path) -> ModelT:
    """``parse`` of the YAML in ``path``."""
    return parse(model, load_yaml(path), str(path))


def _explain(model: type[BaseModel], detail: ErrorDetails) -> str:
    location = [str(part) for part in detail["loc"]]
    key = ".".join(location) or "the file"
    if detail["type"] == "extra_forbidden":
        known = _keys_beside(model, location)
        near = difflib.get_close_matches(location[-1], known, n=1, cutoff=0.5)
        hint = f"did you mean `{near[0]}`?" if near else f"valid keys: {', '.join(sorted(known))}"
        return f"unknown key `{key}`; {hint}"
    if detail["type"] == "missing":
        return f"key `{key}` is missing; add it"
    if detail["type"] == "value_error":  # a rule of ours, whose message says what came and what to do
        message = detail["msg"].removeprefix("Value error, ")
        return f"`{key}`: {message}" if location else message
    return f"`{key}`: {_lower_first(detail['msg'])}, got {detail['input']!r}; correct the value{_unit_hint(location)}"


def _keys_beside(model: type[BaseModel], location: list[str]) -> list[str]:
    current: Any = model
    for part in location[:-1]:
        field = current.model_fields.get(part) if _is_model(current) else None
        if field is None:
            return []
        candidates = [field.annotation, *getattr(field.annotation, "__args__", ())]
        current = next((c for c in candidates if _is_model(c)), None)
    return list(current.model_fields) if _is_model(current) else []


def _is_model(candidate: Any) -> bool:
    return isinstance(candidate, type) and issubclass(candidate, BaseModel)


def _unit_hint(location: list[str]) -> str:
    units = {"_ms": "milliseconds", "_us": "microseconds", "_s": "seconds", "_hz": "hertz"}
    for suffix, unit in units.items():
        if location and location[-1].endswith(suffix):
            return f" to a plain number of {unit}"
    return ""


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]
