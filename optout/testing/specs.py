"""A server that nobody here wrote: it answers as a vendor's own specification says.

For each request the operation is looked up, the request is held against it, and an answer is made
from the response's schema: any value that the schema allows, drawn from a seed. It knows nothing of
what was asked before; whoever reads it must survive whatever a legal answer can be.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from random import Random
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from requests import PreparedRequest, Response
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from optout.testing.contract import answer

Json = Any
_DEEPEST = 12
_NO_NEXT_PAGE = frozenset({"next", "paging", "next_page", "hasMore", "has_more"})
"""What would send the reader on: a list made of chance has no end of its own."""
_TOTALS = frozenset({"total", "total_items", "total_count"})
"""What tells how long the list beside it is."""


class Specification:
    """The operations of one vendor's OpenAPI (or Swagger 2) files."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._operations: list[tuple[re.Pattern[str], str, str, Json, Json]] = []
        for file in files:
            document = json.loads(file.read_text(encoding="utf-8"))
            base = document.get("basePath", "")
            for path, item in document["paths"].items():
                shape = re.compile(re.sub(r"\\{[^/]+?\\}", "[^/]+", re.escape(base + path)))
                for method, operation in item.items():
                    if isinstance(operation, dict):
                        shared = item.get("parameters", [])
                        told = {**operation, "parameters": [
                            *shared, *operation.get("parameters", [])
                        ]}  # fmt: skip
                        self._operations.append(
                            (shape, method.upper(), base + path, document, told)
                        )

    def find(self, method: str, path: str) -> tuple[str, Json, Json] | None:
        """Template, document and operation; a literal path goes before one with a placeholder."""
        found = [each for each in self._operations if each[1] == method and each[0].fullmatch(path)]
        if not found:
            return None
        _, _, template, document, operation = min(found, key=lambda each: each[2].count("{"))
        return template, document, operation


def complaints(document: Json, operation: Json, query: Mapping[str, str]) -> list[str]:
    """What is wrong with a request's parameters, by the vendor's own words."""
    told = [_resolved(document, each) for each in operation.get("parameters", [])]
    known = {each["name"]: each for each in told if each.get("in") == "query"}
    wrong = [f"unknown parameter {name}" for name in query if not _is_known(name, known)]
    for name, parameter in known.items():
        schema = _resolved(document, parameter.get("schema", parameter))
        if name not in query:
            if parameter.get("required"):
                wrong.append(f"{name} is missing")
        elif schema.get("type") in ("integer", "number"):
            number = float(query[name])
            if number > schema.get("maximum", number) or number < schema.get("minimum", number):
                wrong.append(f"{name} is out of its bounds")
        elif not _words(schema, query[name]) <= _documented(schema, query[name]):
            wrong.append(f"{name} has a word that is not documented")
    return wrong


def _words(schema: Json, value: str) -> set[str]:
    return set(value.split(",")) if schema.get("type") == "array" else {value}


def _documented(schema: Json, value: str) -> set[str]:
    """The words that a parameter may have; its own, where it may have any. Mailchimp writes those
    of a list as lists of one."""
    words = schema.get("enum") or schema.get("items", {}).get("enum")
    if not words:
        return _words(schema, value)
    return {str(each[0]) if isinstance(each, list) else str(each) for each in words}


def _is_known(name: str, known: Mapping[str, Json]) -> bool:
    """Whether a parameter is documented, be it as a list (`name[]`)."""
    return name in known or f"{name}[]" in known or name.removesuffix("[]") in known


def _resolved(document: Json, schema: Json) -> Json:
    while isinstance(schema, dict) and "$ref" in schema:
        place: Json = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            place = place[part.replace("~1", "/").replace("~0", "~")]
        schema = place
    return schema


class Maker:
    """Values that a schema allows. Half of the lists of things with an `id` hold those that the
    configuration names (`known`). Every documented property is there: the vendors mark hardly any
    as required, and what happens without the one that matters is tested with faults."""

    def __init__(self, document: Json, rng: Random, known: Sequence[str] = ()) -> None:
        self._document = document
        self._rng = rng
        self._known = known

    def make(self, schema: Json, name: str = "", depth: int = 0) -> Json:
        """Any value of the schema; `name` is that of the property."""
        schema = _resolved(self._document, schema)
        if not isinstance(schema, dict) or depth > _DEEPEST:
            return None
        if "const" in schema:
            return schema["const"]
        if schema.get("enum"):
            return self._rng.choice(schema["enum"])
        for either in ("oneOf", "anyOf", "x-oneOf"):
            if schema.get(either):
                return self.make(self._rng.choice(schema[either]), name, depth + 1)
        if schema.get("nullable") and self._rng.random() < 0.2:
            return None
        kind = schema.get("type")
        if isinstance(kind, list):
            kind = self._rng.choice(kind)
        if kind == "object" or "properties" in schema or "allOf" in schema:
            return self._object(schema, depth)
        if kind == "array":
            return self._array(schema, name, depth)
        return self._plain(kind, schema, name)

    def _array(self, schema: Json, name: str, depth: int) -> Json:
        many = self._rng.randint(schema.get("minItems", 0), 3)
        ids = list(self._known) if self._rng.random() < 0.5 else []
        first = self.make(schema.get("items", {}), name, depth + 1)
        if not isinstance(first, dict) or "id" not in first or not ids:
            return [self.make(schema.get("items", {}), name, depth + 1) for _ in range(many)]
        made = [self.make(schema["items"], name, depth + 1) for _ in ids]
        is_number = isinstance(first["id"], int)
        return [
            {**each, "id": int(number) if is_number else number}
            for each, number in zip(made, ids, strict=True)
            if not is_number or number.isdigit()
        ]

    def _object(self, schema: Json, depth: int) -> Json:
        made: dict[str, Json] = {}
        for part in [*schema.get("allOf", []), schema]:
            part = _resolved(self._document, part)
            if part is not schema:
                inner = self.make(part, depth=depth + 1)
                made |= inner if isinstance(inner, dict) else {}
            required = set(part.get("required", []))
            for name, each in part.get("properties", {}).items():
                if name in _NO_NEXT_PAGE and name not in required:
                    continue
                made[name] = self.make(each, name, depth + 1)
                if name in _NO_NEXT_PAGE:
                    made[name] = False if made.get(name) in (True, False) else None
        most = max((len(each) for each in made.values() if isinstance(each, list)), default=None)
        return made if most is None else made | dict.fromkeys(_TOTALS & made.keys(), most)

    def _plain(self, kind: Json, schema: Json, name: str) -> Json:
        rng = self._rng
        if kind == "boolean":
            return rng.random() < 0.5
        if name == "businessUnitId":
            return 0
        if kind in ("integer", "number"):
            low, high = schema.get("minimum", 0), schema.get("maximum", 2_000_000_000)
            return rng.randint(int(low), max(int(low), int(high)))
        if kind == "null" or kind is None:
            return schema.get("example")
        form = schema.get("format", "")
        texts = {
            "date-time": f"2026-0{rng.randint(1, 8)}-1{rng.randint(0, 9)}T08:30:00+00:00",
            "date": "2026-08-12",
            "email": f"p{rng.randint(1, 40)}@example.org",
            "uuid": f"{rng.getrandbits(128):032x}",
            "uri": "https://vendor.example.com/x",
        }
        return texts.get(form) or schema.get("example") or f"{rng.getrandbits(40):x}"


class SpecServer(BaseAdapter):
    """The network behind which the specification answers; `prefix` stands before its paths."""

    def __init__(
        self, specification: Specification, prefix: str, rng: Random, known: Sequence[str] = ()
    ) -> None:
        super().__init__()
        self._specification = specification
        self._prefix = prefix
        self._rng = rng
        self._known = known
        self._lock = Lock()
        self.illegal: set[str] = set()
        """What was asked against the vendor's own words."""
        self.asked: set[str] = set()
        """Operations that were answered."""
        self.unknown: set[str] = set()
        """Paths that no specification tells of: answered with 404."""

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> Response:
        """An answer to a legal request."""
        url = urlsplit(str(request.url))
        path = url.path.removeprefix(self._prefix)
        with self._lock:
            found = self._specification.find(str(request.method), path)
            if found is None:
                self.unknown.add(f"{request.method} {re.sub(r'[0-9A-Fa-f]{6,}', '{id}', path)}")
                return answer(404, CaseInsensitiveDict({"Content-Type": "application/json"}), b"{}")
            template, document, operation = found
            place = f"{request.method} {template}"
            self.asked.add(place)
            for wrong in complaints(document, operation, dict(parse_qsl(url.query))):
                self.illegal.add(f"{place}: {wrong}")
            return self._made(document, operation)

    def _made(self, document: Json, operation: Json) -> Response:
        status, response = min(
            (code, _resolved(document, each))
            for code, each in operation["responses"].items()
            if code.startswith("2")
        )
        schema = response.get("schema")
        kind = "application/json"
        for kind, content in (response.get("content") or {}).items():
            schema = content.get("schema")
            if "json" in kind:
                break
        data = Maker(document, self._rng, self._known).make(schema) if schema else {}
        headers: CaseInsensitiveDict[str] = CaseInsensitiveDict({"Content-Type": kind})
        return answer(int(status), headers, orjson.dumps(data))

    def close(self) -> None:
        """Nothing is open."""
