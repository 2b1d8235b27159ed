"""The JSON of simulated models, nested images and files, in the shape of the specification.

A document is made once as a frame: its bytes with a hole for each `stats` object. Then each day's counters are put into
the holes. So a model needs hashing and encoding only once, and a join on every other day.
"""

from bisect import bisect_right
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter

import msgspec
from msgspec import UNSET, UnsetType

from emulator.simulation import vocabulary
from emulator.simulation.columns import EPOCH, MANY_MODELS, Simulation, day_of
from emulator.simulation.counters import ModelCounters, VersionCounters
from emulator.simulation.dice import digest, draws
from emulator.spec.shapes import Creator, File, Image, Model, Version

#: The placeholder of a stats object. No text can contain it, because JSON escapes quotation marks in a text.
HOLE = "@stats"
_HOLE_BYTES = b'"@stats"'
#: In the place of any `meta` for a reader who only wants to know whether there is one.
SOME_META: dict[str, object] = {}
#: The memory limit of the frames: those of about 25,000 models.
_CACHE_BYTES = 256 * 2**20
_EPOCH_DAY = (EPOCH.toordinal() - 719_163) * 86_400

DESCRIPTION_LENGTH = (
    (0, 20), (0.1, 75), (0.25, 252), (0.5, 637), (0.75, 1244), (0.9, 2160), (0.95, 3114), (0.99, 6264), (1, 20_000),
)  # fmt: skip
_FILE_KB = {
    "LORA": ((0, 9_000), (0.25, 18_500), (0.5, 147_000), (0.75, 223_000), (1, 900_000)),
    "LoCon": ((0, 9_000), (0.5, 60_000), (1, 700_000)),
    "Checkpoint": ((0, 1_900_000), (0.4, 2_083_000), (0.7, 4_165_000), (0.9, 6_776_000), (1, 24_000_000)),
    "TextualInversion": ((0, 4), (0.5, 25), (1, 250)),
    "Controlnet": ((0, 136_000), (0.5, 705_000), (1, 2_500_000)),
    "Hypernetwork": ((0, 25_000), (0.5, 85_000), (1, 330_000)),
}
_OTHER_KB = ((0, 2), (0.5, 400), (1, 90_000))
_FILE_SUFFIX = {"SafeTensor": "safetensors", "PickleTensor": "ckpt", "Other": "zip"}
_SIZES = ((512, 768), (768, 512), (512, 512), (832, 1216), (1216, 832), (1024, 1024), (1024, 1536), (768, 1152))
_LEVEL_OF_IMAGE = {1: (1,), 3: (1, 1, 1, 2), 12: (4, 8), 28: (4, 8, 16)}
#: From any byte to a digit of a BlurHash.
_BASE83 = (b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz#$%*+,-.:;=?@[]^_{|}~" * 4)[:256]
_encode = msgspec.json.Encoder().encode


@lru_cache(maxsize=4096)
def _day_text(day: int) -> str:
    return day_of(day).isoformat()


@lru_cache(maxsize=64)  # a version, its files and its images have mostly the same second
def _second_text(second: int) -> str:
    day, second = divmod(second - _EPOCH_DAY, 86_400)
    minute, second = divmod(second, 60)
    return f"{_day_text(day)}T{minute // 60:02}:{minute % 60:02}:{second:02}"


def timestamp(second: int, milliseconds: int = 0) -> str:
    """`2023-04-12T07:52:24.203Z` from seconds since 1970."""
    return f"{_second_text(second)}.{milliseconds % 1000:03}Z"


def image_fields(image_id: int, level: int, second: int, seed: int, *, with_meta: bool = True) -> Image:
    """The common part of a showcase image and a gallery image.

    Args:
        with_meta: whether its `meta`, if it has any, is the whole of it or just `SOME_META`.
    """
    random = digest(64, seed, "image", image_id)
    width, height = _SIZES[random[0] % len(_SIZES)]
    name = random[1:17].hex()
    fields = Image(
        id=image_id,
        url=f"https://image.civitai.com/{name[:8]}-{name[8:12]}-{name[12:16]}-{name[16:20]}-{name[20:]}/width=450/{image_id}.jpeg",
        hash="U" + random[17:44].translate(_BASE83).decode(),
        width=width,
        height=height,
        nsfwLevel=level,
        nsfw=level > 2,
        createdAt=timestamp(second, random[44] * 3),
        stats=HOLE,
    )
    if random[45] >= 60:
        fields.meta = _meta(random, f"{width}x{height}") if with_meta else SOME_META
    return fields


def _meta(random: bytes, size: str) -> dict[str, object]:
    """The generation data of an image."""
    sentences = vocabulary.SENTENCES
    prompt = " ".join(
        [sentences[(random[46 + i] << 8 | random[47 + i]) % len(sentences)] for i in range(1 + random[46] % 4)]
    )
    meta: dict[str, object] = {
        "Size": size,
        "seed": int.from_bytes(random[50:54], "little"),
        "steps": 20 + random[54] % 30,
        "prompt": prompt,
        "sampler": vocabulary.SAMPLERS[random[55] % len(vocabulary.SAMPLERS)],
        "cfgScale": 4 + random[56] % 17 / 2,
    }
    if random[57] < 150:
        meta["negativePrompt"] = "blurry, low contrast, cropped, jpeg artifacts"
    # Free-form keys: the service passes on all keys of the image file.
    if random[58] < 128:
        meta[vocabulary.META_KEYS[random[59] % len(vocabulary.META_KEYS)]] = str(random[60])
    if random[58] < 12:
        meta[f"Custom field {random[61]}"] = {"value": random[62], "note": "not part of any standard"}
    return meta


@dataclass(frozen=True, slots=True)
class Frame:
    """A document without its counters.

    `events` is its state (`Simulation.events_so_far`); `pieces` are the bytes between the stats objects; `versions`
    are the shown versions, as indices into the simulation, and `images` are their numbers of images with counters.
    """

    events: int
    pieces: list[bytes]
    versions: list[int]
    images: list[int]

    @property
    def size(self) -> int:
        """Its approximate memory in bytes."""
        return sum(map(len, self.pieces)) + 64 * len(self.pieces) + 200

    def filled(self, stats: list[bytes]) -> bytes:
        """The document with a stats object in each hole, in order."""
        parts = [b""] * (2 * len(self.pieces) - 1)
        parts[::2], parts[1::2] = self.pieces, stats
        return b"".join(parts)


def cut(fields: object) -> list[bytes]:
    """The pieces of a document: its JSON, cut at the holes."""
    return _encode(fields).split(_HOLE_BYTES)


class FrameCache:
    """The latest frames by a key that identifies them.

    Args:
        models: the size of the catalogue. A large one is read in order from end to end, and would find none of its
            frames again before they are dropped; so they are not kept.
    """

    def __init__(self, models: int) -> None:
        self._most = _CACHE_BYTES if models < MANY_MODELS else 0
        self._frames: dict[Hashable, Frame] = {}
        self._bytes = 0

    def frame(self, key: Hashable, events: int, make: Callable[[], Frame]) -> Frame:
        """The frame of that key and state, from the cache or new."""
        frame = self._frames.get(key)
        if frame is None or frame.events != events:
            old = self._frames.pop(key, None)
            frame = self._frames[key] = make()
            self._bytes += frame.size - (old.size if old else 0)
            while self._bytes > self._most:
                self._bytes -= self._frames.pop(next(iter(self._frames))).size
        return frame


class ModelDocuments:
    """Makes the documents of the models of a simulation."""

    def __init__(self, world: Simulation) -> None:
        self._world = world
        self._frames = FrameCache(world.models)

    def document(self, model: int, day: int, events: int, versions: VersionCounters, models: ModelCounters) -> bytes:
        """The document of a model (by its index) on a day: its frame, with that day's counters."""
        frame = self._frames.frame(model, events, lambda: self._make_frame(model, day, events))
        stats = [
            b'{"downloadCount":%d,"favoriteCount":%d,"commentCount":%d,"ratingCount":%d,"rating":%s,'
            b'"thumbsUpCount":%d,"thumbsDownCount":%d}'
            % (
                models.downloads[model],
                models.favorites[model],
                models.comments[model],
                models.ratings[model],
                _number(models.rating[model]),
                models.thumbs_up[model],
                models.thumbs_down[model],
            )
        ]
        for version, images in zip(frame.versions, frame.images, strict=True):
            downloads = int(versions.downloads[version])
            for number in range(images):
                likes = downloads * (7 * (version + 3 * number) % 41) // 2000
                stats.append(
                    b'{"favoriteCount":%d,"commentCount":%d,"thumbsUpCount":%d}' % (likes // 3, likes // 9, likes)
                )
            stats.append(
                b'{"downloadCount":%d,"ratingCount":%d,"rating":%s,"thumbsUpCount":%d,"thumbsDownCount":%d}'
                % (
                    downloads,
                    versions.ratings[version],
                    _number(versions.rating[version]),
                    versions.thumbs_up[version],
                    versions.thumbs_down[version],
                )
            )
        return frame.filled(stats)

    def _make_frame(self, model: int, day: int, events: int) -> Frame:
        fields, shown = self.fields(model, day)
        return Frame(events, cut(fields), shown, [len(version.images) for version in fields.modelVersions])

    def fields(self, model: int, day: int, *, with_meta: bool = True) -> tuple[Model, list[int]]:
        """A document with holes, and its versions as indices into the simulation.

        Args:
            with_meta: as in `image_fields`.
        """
        world, seed = self._world, self._world.seed
        model_id = int(world.model_id[model])
        kind = vocabulary.MODEL_TYPES[world.model_type[model]][0]
        random = draws(8, seed, "model", model)
        description: str | UnsetType = UNSET
        if world.has_description[model]:
            born = int(world.model_born[model])
            description = _description(seed, model, (day - born) // int(world.model_edit_period[model]))
        licence = random[0] % 13 % len(vocabulary.LICENCES)
        if world.model_relicensed[model] <= day:
            licence = (licence + 1) % len(vocabulary.LICENCES)
        creator, level = int(world.model_creator[model]), int(world.model_nsfw_level[model])
        versions = range(int(world.version_start[model]), int(world.version_start[model + 1]))
        published, removed = world.version_published, world.version_removed
        shown = [version for version in reversed(versions) if published[version] <= day < removed[version]]
        fields = Model(
            id=model_id,
            name=world.model_name(model, day),
            description=description,
            type=kind,
            nsfw=bool(world.model_nsfw[model]),
            nsfwLevel=level,
            allowNoCredit=random[1] % 10 < 7,
            allowCommercialUse=vocabulary.LICENCES[licence],
            allowDerivatives=random[2] % 10 < 8,
            allowDifferentLicense=random[3] % 10 < 6,
            stats=HOLE,
            creator=creator_fields(world, creator, day) if day < world.creator_deleted[creator] else UNSET,
            tags=[vocabulary.tag_name(tag) for tag in world.tags.of(model, day)],
            modelVersions=[self._version(version, model_id, kind, level, day, with_meta) for version in shown],
        )
        return fields, shown

    def _version(self, version: int, model_id: int, kind: str, model_level: int, day: int, with_meta: bool) -> Version:
        world, seed = self._world, self._world.seed
        version_id, rank = int(world.version_id[version]), int(world.version_rank[version])
        second, number = int(world.version_second[version]), int(world.version_ordinal[version]) + 1
        key = int(world.version_key[version])
        random = draws(16, seed, "version", key)
        corrected = int(world.version_corrected[version])
        base = world.version_corrected_base[version] if corrected <= day else world.version_base[version]
        base_model, ecosystem = vocabulary.BASE_MODELS[base][:2]
        updated = second
        if corrected <= day:
            updated += 86_400 * (corrected - int(world.version_published[version]))
        word_count = max(0, random[1] % 13 - 6) if random[1] % 100 < 70 else 1
        adjectives = vocabulary.ADJECTIVES
        words = [
            f"{adjectives[random[2 + i] % len(adjectives)].lower()}{version_id % 97}{'abcdef'[i]}"
            for i in range(word_count)
        ]
        if words and random[8] % 20 == 0:
            words[0] += ", 水彩"
        name = f"v{number}.0" if random[9] % 3 else f"v{number} {base_model}"
        files = [self._file(rank, place, version_id, kind, second, name) for place in range(_file_count(random))]
        levels = _LEVEL_OF_IMAGE[model_level]
        share = random[13] / 65_536
        images = [
            image_fields(
                20_000_001 + 2 * (16 * rank + place),
                levels[(random[14] + place) % len(levels)],
                second,
                seed,
                with_meta=with_meta,
            )
            for place in range(min(10, int(1 + 11 * (0.6 * share + 0.4 * (2 - share) * share))))
        ]
        for image in images:
            image.postId = 50_000 + 3 * rank
        return Version(
            id=version_id,
            modelId=model_id,
            name=name,
            baseModel=base_model,
            baseModelType=vocabulary.BASE_MODEL_TYPES[0 if random[10] % 50 else 1],
            createdAt=timestamp(second - 60 - random[11] % 3000, random[3]),
            updatedAt=timestamp(updated, random[4]),
            publishedAt=timestamp(second, random[5]),
            trainedWords=words,
            air=f"urn:air:{ecosystem}:{vocabulary.AIR_TYPES.get(kind, 'unknown')}:civitai:{model_id}@{version_id}",
            downloadUrl=f"https://civitai.com/api/download/models/{version_id}",
            # A version that drew a well-known VAE twice has it once.
            files=list({file.id: file for file in reversed(files)}.values())[::-1],
            images=images,
            stats=HOLE,
        )

    def _file(self, rank: int, place: int, version_id: int, kind: str, second: int, name: str) -> File:
        file = file_identity(self._world.seed, rank, place, kind)
        quantiles = _OTHER_KB if place > 0 and file.type != "Model" else _FILE_KB.get(kind, _OTHER_KB)
        random = file.random
        size = _quantile(random[3], quantiles)
        return File(
            id=file.id,
            name=f"{kind.lower()}_{version_id}_{name.replace(' ', '')}.{_FILE_SUFFIX[file.format]}",
            sizeKB=int(size) if random[5] % 4 == 0 else int(size * 1024) / 1024,
            type=file.type,
            format=file.format,
            pickleScanResult=("Success", "Success", "Danger", "Error", "Pending")[max(0, random[6] % 250 - 245)],
            virusScanResult="Success" if random[7] % 300 else "Pending",
            scannedAt=timestamp(second - random[7] % 60, random[6]),
            downloadUrl=f"https://civitai.com/api/download/models/{version_id}"
            + (f"?type={file.type.replace(' ', '%20')}" if place else ""),
            hashes=file_hashes(self._world.seed, file),
        )


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """The identity of a file in all versions: its id and its random numbers."""

    id: int
    type: str
    format: str
    random: tuple[int, ...]


def file_count(seed: int, version_key: int) -> int:
    """How many files a version lists, before a duplicate is dropped."""
    return _file_count(draws(16, seed, "version", version_key))


def _file_count(random: tuple[int, ...]) -> int:
    chance = random[12]
    return 0 if chance % 700 == 0 else 1 + (chance % 100 < 8) + (chance % 100 < 2)


def file_identity(seed: int, rank: int, place: int, kind: str) -> FileIdentity:
    """The file at a place of a version (by its rank), for a model type."""
    random = draws(8, seed, "file", rank, place)
    file_type, file_format, file_id = "Model", "SafeTensor", 3_000 + 5 * rank + place
    if kind in ("Workflows", "Wildcards", "Poses"):
        file_type, file_format = "Archive", "Other"
    elif kind == "Other":
        file_type, file_format = "Other", "Other"
    elif random[0] % 100 < 7 or kind in ("Hypernetwork", "AestheticGradient"):
        file_format = "PickleTensor"
    if place > 0:
        file_type = ("VAE", "Training Data", "Negative", "Config", "Model")[random[1] % 5]
        file_format = "SafeTensor" if file_type in ("VAE", "Negative", "Model") else "Other"
        if file_type == "VAE" and kind == "Checkpoint":
            # One of a few well-known VAE files that many versions share, with id and hashes.
            file_id = 1 + random[2] % 5
            random = draws(8, seed, "shared file", file_id)
    return FileIdentity(file_id, file_type, file_format, random)


def file_hashes(seed: int, file: FileIdentity) -> dict[str, str]:
    """The hashes of a file by algorithm, upper case; some have no AutoV1, a few were never hashed."""
    if file.random[4] % 1000 == 999:
        return {}
    digits = digest(40, seed, "hashes", file.id).hex().upper()
    sha, auto_v1, crc = digits[:64], digits[64:72], digits[72:]
    known = {} if file.random[4] % 100 < 15 else {"AutoV1": auto_v1}
    blake = digest(32, seed, "blake3", file.id).hex().upper()
    return known | {"AutoV2": sha[:10], "SHA256": sha, "CRC32": crc, "Blake3": blake}


def auto_v3(seed: int, file_id: int) -> str:
    """The AutoV3 hash of a SafeTensor file, which the specification does not have."""
    return digest(6, seed, "autov3", file_id).hex().upper()


def user_id(creator: int) -> int:
    """The id of the user behind a creator of the simulation."""
    return 20_000 + 3 * creator


def creator_fields(world: Simulation, creator: int, day: int) -> Creator:
    """Name and image of a creator. Many have no image until they upload one."""
    fields: Creator = {"username": world.usernames[creator]}
    renewed = bool(world.creator_new_image[creator] <= day)
    name = digest(17, world.seed, "avatar", creator, renewed)
    if renewed or name[16] >= 70:
        fields["image"] = f"https://image.civitai.com/avatars/{name[:16].hex()}/width=96/{creator}.jpeg"
    return fields


def _description(seed: int, model: int, revision: int) -> str:
    """HTML of realistic length. Its last note has the number of the revision, so no two revisions are equal."""
    (share,) = draws(1, seed, "description.length", model)
    sentences = vocabulary.SENTENCES
    count = 1 + int(_quantile(share, DESCRIPTION_LENGTH)) // 72
    chosen = [sentences[number % len(sentences)] for number in draws(count, seed, "description", model)]
    paragraphs = ["<p>" + " ".join(chosen[i : i + 3]) + "</p>" for i in range(0, len(chosen), 3)]
    if model % 9 == 0:
        paragraphs.append(
            '<ul><li><p>Guide: <a target="_blank" rel="ugc" href="https://example.com/guide">here</a> 👇</p></li></ul>'
        )
    if revision > 0:
        number = draws(1, seed, "description.update", model, revision)[0]
        paragraphs.append(f"<p><strong>Update {revision}:</strong> {sentences[number % len(sentences)]}</p>")
    return "".join(paragraphs)


def _quantile(number: int, quantiles: Sequence[tuple[float, float]]) -> float:
    """The value at a share of 65,536ths."""
    share = number / 65_536
    place = bisect_right(quantiles, share, key=itemgetter(0)) - 1
    (first, low), (last, high) = quantiles[place : place + 2]
    return (high - low) / (last - first) * (share - first) + low


def _number(value: float) -> bytes:
    """A rating as the service writes it in JSON: 4.5, but 5 and not 5.0."""
    return b"%d" % value if value == int(value) else repr(float(value)).encode()
