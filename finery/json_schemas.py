"""JSON Schemas of the user's, in files."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.errors import UserError


class SchemaFileError(UserError):
    """A file is no JSON Schema."""


def validator(file: Path) -> Any:
    """What says whether a value is allowed, by the draft that the schema names, or the newest.

    References go within the file: nothing is fetched. Raises `SchemaFileError`.
    """
    from jsonschema import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry, Resource
    from referencing.jsonschema import DRAFT202012

    schema = _read(file)
    kind = validator_for(schema, default=Draft202012Validator)
    try:
        kind.check_schema(schema)
        resource = Resource.from_contents(schema, default_specification=DRAFT202012)
        missing = next(_leading_nowhere(Registry().resolver_with_root(resource), resource), None)
    except SchemaError as error:
        place = "/".join(map(str, error.absolute_path)) or "the schema"
        raise SchemaFileError(f"{file}: {place}: {error.message}; correct the schema") from None
    if missing:
        raise SchemaFileError(
            f"{file}: $ref {missing} leads nowhere in the file, and nothing is fetched; put what"
            " it names under $defs"
        )
    return kind(schema, registry=Registry())


def _read(file: Path) -> Any:
    try:
        schema = json.loads(file.read_text(encoding="utf-8-sig"))
    except OSError:
        raise SchemaFileError(f"no such file {file}") from None
    except ValueError as error:
        raise SchemaFileError(f"{file}: not JSON ({error}); correct it") from None
    if not isinstance(schema, dict | bool):
        raise SchemaFileError(f"{file}: no JSON Schema, which is an object; correct it")
    return schema


def _leading_nowhere(resolver: Any, resource: Any) -> Iterator[str]:
    from referencing.exceptions import Unresolvable

    contents = resource.contents
    if isinstance(contents, dict) and isinstance(contents.get("$ref"), str):
        try:
            resolver.lookup(contents["$ref"])
        except Unresolvable:
            yield contents["$ref"]
    for part in resource.subresources():
        yield from _leading_nowhere(resolver.in_subresource(part), part)
