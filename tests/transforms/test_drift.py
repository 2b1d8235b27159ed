"""An unknown name is found wherever it stands, and nothing else is: the quick look at a document hides none."""

import json
from typing import Any

import pytest

from transforms.staging.drift import unknown_paths
from transforms.staging.payloads import Metric, Model

OBJECTS = [
    "$",
    "$.creator",
    "$.tags[]",
    "$.modelVersions[]",
    "$.modelVersions[].files[]",
    "$.modelVersions[].files[].metadata",
    "$.modelVersions[].images[]",
]


def at(path: str, value: Any) -> Any:
    """The least document with a value at a path."""
    for name in reversed(path.removeprefix("$").split(".")[1:]):
        value = {name.removesuffix("[]"): [value] if name.endswith("[]") else value}
    return value


@pytest.mark.parametrize("beside", [{}, {"name": ["of another type"]}, {"mode": None}])
@pytest.mark.parametrize("path", OBJECTS)
def test_an_unknown_name_is_found_in_every_object(path: str, beside: dict[str, Any]) -> None:
    document = beside | at(path, {"unheardOf": [1]})
    assert unknown_paths(Model, [json.dumps(document)]) == {f"{path}.unheardOf": "[1]"}


def test_an_unknown_counter_is_found() -> None:
    owners = [{"owner": "model", "id": 1, "stats": {}}, {"owner": "model", "id": 1, "stats": {"unheardOf": 1}}]
    assert unknown_paths(list[Metric], [json.dumps(owners)]) == {"$[].stats.unheardOf": "1"}


@pytest.mark.parametrize("value", [None, 1, 1.5, "text", True, {}, [], ["text", None]])
@pytest.mark.parametrize("path", [path.removesuffix("[]") for path in OBJECTS])
def test_known_names_are_no_drift_whatever_they_hold(path: str, value: object) -> None:
    assert unknown_paths(Model, [json.dumps(at(path, value))]) == {}


def test_what_is_deliberately_not_decoded_may_hold_anything() -> None:
    assert unknown_paths(Model, [json.dumps({"cosmetic": {"unheardOf": [{"as": "well"}]}})]) == {}


@pytest.mark.parametrize("text", ["", "[", '{"id": NaN}', "[" * 100_000, '{"name": "\\ud800"}'])
def test_what_is_no_document_is_left_to_the_quarantine(text: str) -> None:
    assert unknown_paths(Model, [text]) == {}
