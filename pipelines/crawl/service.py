"""Which service a data directory holds: that of its newest crawl. Ids of two services must not mix."""

from collections.abc import Sequence
from urllib.parse import urlsplit

from pipelines.errors import CivitaiEtlError
from pipelines.raw.crawls import CrawlRow
from pipelines.settings import Settings

_PORTS = {"http": 80, "https": 443}


class OtherServiceError(CivitaiEtlError):
    """The settings name another service than the one whose snapshots the data directory holds."""


def refuse_other_service(settings: Settings, crawls: Sequence[CrawlRow]) -> None:
    """Checks by its address that the service of the settings is the one of the newest crawl.

    Args:
        settings: where to read from and write to.
        crawls: the rows of `raw.snapshots`, oldest first.

    Raises:
        OtherServiceError: it is another one.
    """
    if crawls and _address(crawls[-1].api_url) != _address(settings.api_url):
        raise OtherServiceError(
            f"{settings.data_dir} holds snapshots of {crawls[-1].api_url}, and CIVITAI_ETL_API_URL is "
            f"{settings.api_url}: what two services have does not mix. Set CIVITAI_ETL_DATA_DIR to another directory "
            "or, if it is the same service at a new address, run `civitai-etl snapshot --service-moved` once. Nothing "
            "was changed."
        )


def _address(api_url: str) -> tuple[str, str | None, int | None, str]:
    parts = urlsplit(api_url)
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme), parts.path.rstrip("/")
