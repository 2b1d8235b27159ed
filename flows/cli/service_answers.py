"""Asks the service for files that the published tables do not know.

Requests by SHA256 ask for many files at once. The other hashes that decide need one request each. Raw keeps the answers
like every look-up. Licence and updates come from the document of the model, which is not kept, because a model belongs
to a snapshot.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Generic

import msgspec

from flows.cli.file_index import DECISIVE, Key, Licence, Match, NamedVersion
from pipelines.api.client import Client
from pipelines.api.errors import NotFoundError, ServiceError
from pipelines.api.moments import with_zone
from pipelines.crawl.lookups import look_up
from pipelines.local_file_hashes import Fingerprints
from pipelines.progress import Progress
from pipelines.raw.documents import UnreadableItemError, split
from pipelines.settings import Settings
from pipelines.storage.lock import writer_lock
from transforms.staging.payloads import Model, Version


@dataclass(frozen=True)
class ServiceAnswers(Generic[Key]):
    """By key of the request: the matches, and why there was no answer. The service does not know the other keys."""

    matches: dict[Key, Match]
    unanswered: dict[Key, str]


def ask(settings: Settings, wanted: Mapping[Key, Fingerprints], progress: Progress) -> ServiceAnswers[Key]:
    """Ask the service for each file by its hashes until it knows one.

    Args:
        settings: the service, and the data directory for the answers.
        wanted: the hashes of each file, by any key.
        progress: receives the look-ups.

    Raises:
        LockedError: another process writes to the data directory.
    """
    client = Client(settings, patience_seconds=settings.brief_retry_seconds, progress=progress)
    found: dict[Key, tuple[str, list[Version]]] = {}
    unanswered: dict[Key, str] = {}
    with writer_lock(settings.data_dir):
        for algorithm in DECISIVE:
            keys: dict[str, list[Key]] = defaultdict(list)
            for key, fingerprints in wanted.items():
                if key not in found and algorithm in fingerprints.hashes:
                    keys[fingerprints.hashes[algorithm]].append(key)
            name = "hashes" if algorithm == "SHA256" else "hash"
            report = look_up(settings, {name: keys}, progress, client=client)
            for text, items in report.found[name].items():
                try:
                    versions = sorted(map(_version, items), key=_by_age)
                except (UnreadableItemError, msgspec.ValidationError) as error:
                    unanswered |= dict.fromkeys(keys[text], f"the service's version cannot be read: {error}")
                else:
                    found |= dict.fromkeys(keys[text], (algorithm, versions))
            for text, why in report.unanswered[name].items():
                unanswered |= dict.fromkeys(keys[text], report.problem or why)
            if report.problem:
                break
        models = _models(client, {versions[0].modelId for _, versions in found.values()}, progress)
    matches = {
        key: _match(algorithm, versions, models.get(versions[0].modelId))
        for key, (algorithm, versions) in found.items()
    }
    return ServiceAnswers(matches, {key: why for key, why in unanswered.items() if key not in matches})


def _version(item: bytes) -> Version:
    return msgspec.json.decode(split("version", item).payload, type=Version)


def _by_age(version: Version) -> tuple[bool, datetime, int]:
    """Oldest publication first, as in the service (docs/api-notes.md, 4)."""
    published = _utc(version.publishedAt)
    return published is None, published or datetime.max.replace(tzinfo=UTC), version.id


def _utc(moment: datetime | None) -> datetime | None:
    return moment and with_zone(moment)


def _models(client: Client, model_ids: set[int | None], progress: Progress) -> dict[int | None, Model]:
    """The models that the service has; a note says why a model has no answer."""
    models: dict[int | None, Model] = {}
    asked = sorted(model_id for model_id in model_ids if model_id is not None)
    for done, model_id in enumerate(asked, 1):
        try:
            (item,) = client.document(f"/models/{model_id}", ()).items
            models[model_id] = msgspec.json.decode(split("model", bytes(item)).payload, type=Model)
        except NotFoundError:
            pass  # the version exists but its model does not: licence and updates are not known
        except (ServiceError, UnreadableItemError, msgspec.ValidationError) as error:
            progress.note(f"licence and updates of model {model_id} are not known: {error}")
        progress.update("licences", done, len(asked), "models")
    return models


def _match(algorithm: str, versions: list[Version], model: Model | None) -> Match:
    version, *others = versions
    uses = model.allowCommercialUse if model else None
    named = _named(version)
    newer = [
        other
        for other in map(_named, (model.modelVersions if model else None) or [])
        if other.published_at and named.published_at and other.published_at > named.published_at
    ]
    return Match(
        algorithm=algorithm,
        model_id=version.modelId,
        model=model.name if model else None,
        named=named,
        licence=Licence(
            allow_commercial_use=uses if isinstance(uses, list) else None,
            allow_no_credit=model.allowNoCredit if model else None,
            allow_derivatives=model.allowDerivatives if model else None,
            allow_different_license=model.allowDifferentLicense if model else None,
        ),
        update=max(newer, key=lambda other: (other.published_at, other.version_id), default=None),
        update_is_known=model is not None and named.published_at is not None,
        other_version_ids=[other.id for other in others],
    )


def _named(version: Version) -> NamedVersion:
    return NamedVersion(version.id, version.name, version.baseModel, _utc(version.publishedAt))
