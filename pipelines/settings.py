"""Every setting of civitai-etl, declared once: read from the environment or `.env`, listed by `civitai-etl doctor`.

All variables begin with `CIVITAI_ETL_`, except the API key: `CIVITAI_API_KEY`, as in the service's other clients.
The network settings of the environment are in `pipelines.network`.
"""

from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import SplitResult, unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from pipelines.errors import CivitaiEtlError
from pipelines.network import is_loopback
from pipelines.storage.data_directory import DataDirectory

ENVIRONMENT_PREFIX = "CIVITAI_ETL_"
ENV_FILE = ".env"
REAL_HOSTS = frozenset({"civitai.com", "www.civitai.com", "civitai.red", "www.civitai.red", "api.civitai.com"})

#: How long an interactive command waits for a service that does not answer.
_BRIEF_RETRY_SECONDS = 15.0

#: Settings whose value no error shows.
_SECRET = frozenset({"api_key", "api_url", "notify_url", "heartbeat_url"})

#: With less memory not even a small catalogue can be built.
LEAST_MEMORY_MIB = 512

DialectName = Literal["live", "spec"]
#: The service's ids are positive 32-bit integers.
WatchedId = Annotated[int, Field(ge=1, lt=2**31)]


class SettingsError(CivitaiEtlError):
    """A setting is not valid; the message names its variable, never the value of the API key."""


class Service(BaseModel):
    """How to talk to the service: all settings of its client."""

    model_config = ConfigDict(frozen=True)

    api_url: str = Field("https://civitai.com/api/v1", description="Base address of the Site API, with its path.")
    requests_per_second: float = Field(
        2, ge=0, le=1_000_000, allow_inf_nan=False, description="Request budget of the whole process; 0 is no budget."
    )
    retry_minutes: float = Field(
        30,
        ge=0,
        allow_inf_nan=False,
        description="How long to retry a service that does not answer, since its last good answer.",
    )
    max_attempts: int = Field(
        6, ge=1, description="How often a page with broken answers is tried before it is requested in parts."
    )
    timeout_seconds: float = Field(
        60,
        gt=0,
        le=86_400,
        allow_inf_nan=False,
        description="How long an answer may keep silent; all of it may take five times as long.",
    )
    api_key: SecretStr | None = Field(
        None, validation_alias="CIVITAI_API_KEY", description="Personal API key; sent in the Authorization header only."
    )

    @field_validator("api_key")
    @classmethod
    def _fits_a_header(cls, key: SecretStr | None) -> SecretStr | None:
        # A mounted secret ends with a new line. In a header it would cause an error that shows the key.
        text = key.get_secret_value().strip() if key else ""
        if not (text.isascii() and text.isprintable()) or " " in text:
            raise ValueError("the key has characters that no key has; copy it again")
        return SecretStr(text) if text else None

    @field_validator("api_url")
    @classmethod
    def _http_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not _is_host(parts) or any(map(str.isspace, url)):
            raise ValueError("give the address of the API with its path, for example https://civitai.com/api/v1")
        if parts.username or parts.query or parts.fragment:
            raise ValueError("give the plain address of the API; the key belongs into CIVITAI_API_KEY")
        return url.rstrip("/")

    @property
    def retry_seconds(self) -> float:
        """How long a crawl retries a service that does not answer."""
        return 60 * self.retry_minutes

    @property
    def brief_retry_seconds(self) -> float:
        """How long an interactive command retries it."""
        return min(_BRIEF_RETRY_SECONDS, self.retry_seconds)

    @property
    def is_loopback(self) -> bool:
        """Whether the API is on this machine: an emulator, whose clock may show any date."""
        return is_loopback(urlsplit(self.api_url).hostname or "")


class Limits(BaseModel):
    """How much may be unusual on a day: all settings of the transforms' data-quality checks."""

    model_config = ConfigDict(frozen=True)

    max_quarantine_share: float = Field(
        default=0.01,
        ge=0,
        le=1,
        description="Share of a date's records that may be quarantined before a run fails; ten are never too many.",
    )
    max_change_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of the known documents that may change in a day before a run warns of it.",
    )
    max_row_fall_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of its models or versions that a complete crawl may lack against the one before it.",
    )
    max_counter_fall_share: float = Field(
        default=0.05,
        ge=0,
        le=1,
        description="Share of the entities whose counter may fall in a day before a run warns of it.",
    )
    max_counter_collapse_share: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Share of the entities whose counter may fall to less than half in a day before that day's values "
        "of the counter are withheld.",
    )
    max_null_rise: float = Field(
        default=0.1,
        ge=0,
        le=1,
        description="By how much a column's share of nulls may rise in a day before a run warns of it.",
    )


class Settings(BaseSettings, Limits, Service):
    """One consistent set of settings. Arguments have priority over the environment, the environment over `.env`.

    Raises:
        SettingsError: a value is not valid; one line that names the variable.
    """

    model_config = SettingsConfigDict(
        env_prefix=ENVIRONMENT_PREFIX,
        env_file=ENV_FILE,
        env_file_encoding="utf-8-sig",  # some editors begin a UTF-8 file with a byte order mark
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        populate_by_name=True,
    )

    data_dir: Path = Field(Path("data"), description="The directory of everything that a run writes.")
    lake_url: str | None = Field(
        None, description="Root of the star-schema Parquet files; default: `lake` in the data directory."
    )
    dialect: DialectName | None = Field(
        None,
        description="`live` (the service as it answers) or `spec`; default: live for Civitai's own hosts, else spec.",
    )
    memory_mib: int | None = Field(
        None,
        ge=LEAST_MEMORY_MIB,
        description="Memory in MiB that a run may use; default: half of what machine and cgroup have, 512 to 2,048.",
    )
    window_pages: int = Field(100, ge=1, description="Pages per load package; a killed crawl repeats at most these.")
    image_pages: int = Field(20, ge=0, description="Pages that the first crawl of the gallery reads.")
    max_burial_share: float = Field(
        0.01, ge=0, le=1, description="Share of the known models that may answer 404 before none is marked as deleted."
    )
    watch_models: Annotated[tuple[WatchedId, ...], NoDecode] = Field(
        (), description="Ids of models to observe every day whether a list shows them or not, separated by commas."
    )
    watch_versions: Annotated[tuple[WatchedId, ...], NoDecode] = Field(
        (), description="Ids of model versions whose details are looked up every day, separated by commas."
    )
    watch_users: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Names of users who are looked up every day, separated by commas."
    )
    daily_cron: str = Field("0 3 * * *", description="When `serve` takes the snapshot: a cron expression, in UTC.")
    refresh_cron: str = Field(
        "30 * * * *", description="When `serve` looks for new models and images: a cron expression, in UTC."
    )
    notify_url: SecretStr | None = Field(
        None,
        description="Where messages about bad days go: addresses of apprise (mail, Slack, ntfy, webhooks), separated "
        "by commas or spaces.",
    )
    notify_hour: Annotated[int, Field(ge=0, le=23)] | Literal["off"] = Field(
        12, description="Hour, in UTC, by which the snapshot of a day should be complete; later a message says so."
    )
    heartbeat_url: SecretStr | None = Field(
        None, description="An http address that is requested after every complete snapshot."
    )

    def __init__(self, **values: Any) -> None:
        _refuse_unreadable_file()
        try:
            super().__init__(**values)
        except ValidationError as error:
            raise SettingsError("; ".join(_in_words(problem) for problem in error.errors(include_url=False))) from None

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, path: Path) -> Path:
        return _absolute(path)

    @field_validator("watch_models", "watch_versions", "watch_users", mode="before")
    @classmethod
    def _separated_by_commas(cls, value: object) -> object:
        return [text.strip() for text in value.split(",") if text.strip()] if isinstance(value, str) else value

    @field_validator("watch_users")
    @classmethod
    def _names(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not all(name.isprintable() for name in names):
            raise ValueError("give names in UTF-8, without control characters")
        return names

    @field_validator("lake_url")
    @classmethod
    def _local_lake(cls, url: str | None) -> str | None:
        if url is not None and "://" in url and not url.startswith("file://"):
            raise ValueError("give a directory; shared storage is not supported yet")
        if url is not None:
            _lake_path(url)
        return url

    @field_validator("heartbeat_url")
    @classmethod
    def _heartbeat_address(cls, url: SecretStr | None) -> SecretStr | None:
        parts = urlsplit(url.get_secret_value().strip()) if url else None
        if parts and (parts.scheme not in ("http", "https") or not _is_host(parts)):
            raise ValueError("give an address that begins with http:// or https://")
        return SecretStr(parts.geturl()) if parts else None

    @field_validator("daily_cron", "refresh_cron")
    @classmethod
    def _cron_expression(cls, text: str) -> str:
        from croniter import CroniterBadDateError, croniter

        fields = text.split()
        # Of croniter's syntax: no seconds, no years, and no letter that means a random time.
        if len(fields) != 5 or any(field[0] in "RrHh" for field in fields) or not croniter.is_valid(text):
            raise ValueError("give a cron expression of five fields, minute to day of the week, such as 0 3 * * *")
        try:
            croniter(text).get_next()
        except CroniterBadDateError:
            raise ValueError("no date fits this cron expression") from None
        return " ".join(fields)

    @property
    def directory(self) -> DataDirectory:
        """The paths of the data directory."""
        return DataDirectory.at(self.data_dir, lake=None if self.lake_url is None else _lake_path(self.lake_url))

    @property
    def dialect_name(self) -> DialectName:
        """The dialect to speak: the one from the settings, else the one that fits the host."""
        if self.dialect is not None:
            return self.dialect
        return "live" if urlsplit(self.api_url).hostname in REAL_HOSTS else "spec"


def _is_host(parts: SplitResult) -> bool:
    """Whether an address has a valid host and, if any, a valid port."""
    try:
        return bool(parts.hostname and parts.hostname.encode("idna")) and parts.port != 0
    except ValueError:
        return False


def _lake_path(url: str) -> Path:
    if not url.startswith("file://"):
        return _absolute(Path(url))
    parts = urlsplit(url)
    if parts.netloc not in ("", "localhost"):
        raise ValueError("give a directory of this machine: file:// and its whole path, with three slashes")
    return _absolute(Path(unquote(parts.path)))


def _absolute(path: Path) -> Path:
    """The absolute path; it may begin with a home directory.

    Raises:
        ValueError: there is no such home, or no working directory.
    """
    try:
        return path.expanduser().absolute()
    except RuntimeError:
        raise ValueError(f"{path.parts[0]} is nobody's home here; give a whole path") from None
    except FileNotFoundError:
        raise ValueError("the working directory is gone; change to another one, or give a whole path") from None


def _refuse_unreadable_file() -> None:
    """Refuse an `.env` that can only be read in part.

    Raises:
        SettingsError: it is not UTF-8 text, or cannot be read.
    """
    file = Path(ENV_FILE)
    try:
        text = file.read_bytes().decode() if file.is_file() else ""
    except UnicodeDecodeError:
        text = "\0"
    except OSError as error:
        raise SettingsError(f"{ENV_FILE} cannot be read: {error.strerror}.") from None
    if "\0" in text:
        raise SettingsError(f"{ENV_FILE} is no UTF-8 text: save it in UTF-8, or its settings are not read.")


def variable(field: str) -> str:
    """The environment variable of a settings field."""
    return "CIVITAI_API_KEY" if field == "api_key" else f"{ENVIRONMENT_PREFIX}{field.upper()}"


def _in_words(problem: Any) -> str:
    name = str(problem["loc"][0]) if problem["loc"] else "settings"
    field = "api_key" if name == "CIVITAI_API_KEY" else name
    # An address may carry a token.
    given = problem["input"]
    found = "" if field in _SECRET else f" (found {str(given) if isinstance(given, Path) else given!r})"
    reason = problem["msg"].removeprefix("Value error, ")
    return f"{variable(field)}: {reason[:1].lower()}{reason[1:]}{found}"
