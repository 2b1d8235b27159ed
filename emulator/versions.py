"""Documents of single versions, read from the document of their model.

So a version is the same in all operations, for a simulated and a given catalogue. Missing fields and fields of another
type are left out.
"""

import msgspec

_encode = msgspec.json.Encoder().encode


class _Nested(msgspec.Struct):
    modelVersions: list[msgspec.Raw]  # noqa: N815 -- the API's name


def decoded(document: bytes) -> object:
    """The value of a document; None if it is not JSON."""
    try:
        return msgspec.json.decode(document)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def object_of(value: object) -> dict[str, object]:
    return value if isinstance(value, dict) else {}


def list_of(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def find_version(model: bytes, version_id: int) -> tuple[dict[str, object], dict[str, object], int]:
    """The decoded model, the decoded version with that id, and its place; the version must be there."""
    document = object_of(decoded(model))
    versions = list_of(document.get("modelVersions"))
    place = next(n for n, version in enumerate(versions) if object_of(version).get("id") == version_id)
    return document, object_of(versions[place]), place


def version_document(model: bytes, version_id: int) -> bytes:
    """The version as in its model, byte for byte; with a `modelId` if the model left it out."""
    document, version, place = find_version(model, version_id)
    if "modelId" in version:
        return bytes(msgspec.json.decode(model, type=_Nested).modelVersions[place])
    return _encode(version | {"modelId": document["id"]} if "id" in document else version)


def mini_document(model: bytes, version_id: int) -> bytes:
    """The version in the specification's short form."""
    document, version, _ = find_version(model, version_id)
    rendered = {"id": version_id, "modelId": document.get("id")}
    rendered |= {name: version.get(name) for name in ("name", "baseModel", "air", "downloadUrl")}
    return _encode({name: value for name, value in rendered.items() if value is not None})
