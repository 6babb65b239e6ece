"""The description of the provider's API, as something to hold requests, answers and callbacks against."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import yaml

DESCRIPTION: Final = Path(__file__).parent.parent / "docs" / "provider.openapi.yaml"
VERSION_PATH: Final = "/v1"


class Undescribed(AssertionError):
    """What was sent is not what the description says."""


@cache
def description() -> dict[str, Any]:
    """The whole document."""
    document: dict[str, Any] = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
    return document


def check_request(method: str, path: str, headers: Mapping[str, str], body: bytes | str | None) -> str:
    """Raises ``Undescribed`` unless the description has this request; returns its operation's id.

    ``path`` may begin with the address and with ``/v1``. No field beyond the described ones may be in it, though the
    provider ignores others, and none that is deprecated.
    """
    found = _operation(method, path)
    _check_path(found)
    if "requestBody" not in found.operation:
        if body:
            raise Undescribed(f"{method} {found.form} has no body")
        return found.name
    kinds = found.operation["requestBody"]["content"]
    kind = {name.lower(): value for name, value in headers.items()}.get("content-type", "").partition(";")[0]
    if kind not in kinds:
        raise Undescribed(f"{method} {found.form} is {' or '.join(kinds)}, not {kind or 'nothing'}")
    data = _loaded(body or b"")
    _check(data, kinds[kind]["schema"], f"{method} {found.form}")
    _check_fields(data, _resolved(kinds[kind]["schema"]))
    return found.name


def check_answer(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes | str) -> None:
    """Raises ``Undescribed`` unless the description has this answer to such a request."""
    found = _operation(method, path)
    answers = found.operation["responses"]
    answer = _resolved(answers.get(str(status)) or answers.get(f"{status // 100}XX") or {})
    if not answer:
        raise Undescribed(f"{method} {found.form} is never answered with {status}")
    if "content" in answer:
        kind = headers.get("Content-Type", "")
        if kind not in answer["content"]:
            raise Undescribed(f"{status} of {method} {found.form} is {' or '.join(answer['content'])}, not {kind}")
        _check(_loaded(body), answer["content"][kind]["schema"], f"{status} of {method} {found.form}")
    for name, header in answer.get("headers", {}).items():
        if name in headers:
            _check(int(headers[name]), _resolved(header)["schema"], name)


def check_voice_callback(body: bytes | str) -> None:
    """Raises ``Undescribed`` unless this is what is POSTed about one number of a voice SMS."""
    _check(_loaded(body), {"$ref": "#/components/schemas/VoiceCallback"}, "the callback")


def check_voicemail_callback(fields: Mapping[str, str]) -> None:
    """Raises ``Undescribed`` unless this is the query of the GET about a voicemail campaign."""
    (callback,) = description()["paths"]["/campaign/send"]["post"]["callbacks"]["ofTheCampaign"].values()
    wanted = {parameter["name"]: parameter["schema"] for parameter in callback["get"]["parameters"]}
    if set(fields) != set(wanted):
        raise Undescribed(f"the callback has {sorted(fields)}, not {sorted(wanted)}")
    for name, schema in wanted.items():
        _check(int(fields[name]) if schema.get("type") == "integer" else fields[name], schema, name)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    form: str
    operation: Mapping[str, Any]
    parameters: Mapping[str, str]

    @property
    def name(self) -> str:
        return str(self.operation["operationId"])


def _operation(method: str, path: str) -> _Found:
    bare = re.sub(r"^https?://[^/]+", "", path).removeprefix(VERSION_PATH)
    for form, operations in description()["paths"].items():
        named = re.sub(r"\\\{(\w+)\\\}", r"(?P<\1>[^/?]+)", re.escape(form))
        if (match := re.fullmatch(named, bare)) and method.lower() in operations:
            return _Found(form=form, operation=operations[method.lower()], parameters=match.groupdict())
    raise Undescribed(f"there is no {method} of such a path")  # which may hold a key


def _check_path(found: _Found) -> None:
    wanted = [_resolved(parameter) for parameter in found.operation.get("parameters", [])]
    for parameter in wanted:
        _check(found.parameters[parameter["name"]], parameter["schema"], parameter["name"])


def _check_fields(data: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    fields = schema["properties"]
    if others := sorted(name for name in data if name not in fields or _resolved(fields[name]).get("deprecated")):
        raise Undescribed(f"nobody documents {', '.join(others)}")


def _check(data: object, schema: Mapping[str, Any], what: str) -> None:
    whole = {**schema, "components": description()["components"]}
    validator = jsonschema_rs.Draft202012Validator(whole, validate_formats=True)
    if faults := list(_faults(validator, data)):
        raise Undescribed(f"{what}: {'; '.join(faults)}")


def _faults(validator: jsonschema_rs.Draft202012Validator, data: Any) -> Iterator[str]:
    for error in validator.iter_errors(data):
        yield f"{'/'.join(map(str, error.instance_path)) or 'all of it'}: {error.message}"


def _loaded(body: bytes | str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        raise Undescribed("the body is not JSON") from None


def _resolved(part: Mapping[str, Any]) -> Mapping[str, Any]:
    if "$ref" not in part:
        return part
    found: Any = description()
    for name in part["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    return {**found, **{name: value for name, value in part.items() if name != "$ref"}}
