"""Sends what `flows.reporting.messages` has to say, and the heartbeat. Nothing here fails a run or delays it for long.

What was said is kept in the data directory (`messages.json`), under a lock of its own, so that the runs, `serve` and
`status --notify` say everything once. If no address takes a message, it is not said, and the next occasion tries again.
The addresses are secrets: a line about one has its scheme and its place in the list.
"""

import logging
import os
import socket
import time
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial
from http.client import HTTPException
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, TypeVar
from urllib.error import HTTPError, URLError

import msgspec

from pipelines.errors import CivitaiEtlError
from pipelines.network import trusted_authorities, with_direct_loopback
from pipelines.run_record import RunRecord
from pipelines.settings import Settings, variable
from pipelines.storage.directory import storage_errors
from pipelines.storage.lock import has_locked
from pipelines.storage.replacement import replace_text

if TYPE_CHECKING:
    from apprise import Apprise

    from flows.reporting.condition import Condition
    from flows.reporting.messages import Message, Said

NAME, LOCK = "messages.json", "messages.lock"
#: Seconds that all addresses together, and the heartbeat, may take.
PATIENCE = 20.0
_LATE = "no answer in time"

T = TypeVar("T")
Note = Callable[[str], None]


@dataclass(frozen=True)
class Address:
    """Where messages go. Its name has no secret."""

    name: str
    place: "Apprise"


class NotifierError(CivitaiEtlError):
    """A message cannot be sent; the line shows no address."""


def notify(settings: Settings, note: Note, last_run: RunRecord | None = None) -> bool:
    """Send the message that is due, if any; returns False if one is due and nobody took it. Never raises.

    Args:
        settings: with the addresses; without any, nothing is done.
        note: takes a line about what went wrong.
        last_run: the run that has just ended, if its record could not be kept.
    """
    if settings.notify_url is None:
        return True
    try:
        with _turn(settings.data_dir):
            return _send_what_is_due(settings, note, last_run)
    except Exception as error:  # noqa: BLE001 (whatever it is, the run has another outcome)
        note(f"No message could be sent: {_in_words(error)}")
        return False


def heartbeat(settings: Settings, note: Note) -> None:
    """Request the heartbeat's address after a success. Never raises."""
    if settings.heartbeat_url is None:
        return
    (problem,) = within(PATIENCE, [partial(_request, settings.heartbeat_url.get_secret_value())])
    if problem != "":
        note(f"The heartbeat ({variable('heartbeat_url')}) failed: {problem or _LATE}.")


def addresses(settings: Settings) -> list[Address]:
    """The addresses of messages.

    Raises:
        NotifierError: apprise does not know one of them.
    """
    from apprise import Apprise, NotifyFormat
    from apprise.utils.parse import parse_urls

    # Its lines would show addresses, with their secrets.
    logging.getLogger("apprise").setLevel(logging.CRITICAL + 1)
    text = settings.notify_url.get_secret_value() if settings.notify_url else ""
    given: list[str] = parse_urls(text)  # type: ignore[no-untyped-call]
    found = []
    for number, url in enumerate(given, start=1):
        server = Apprise.instantiate(url)
        if server is None:
            raise NotifierError(
                f"{variable('notify_url')}: address {number} of {len(given)} is none that apprise knows. Addresses "
                "look like mailtos://user:password@host?to=me@example.org or ntfys://host/topic."
            )
        # Text of the service could be taken for markup.
        server.notify_format = NotifyFormat.TEXT
        place = Apprise()
        place.add(server)
        found.append(Address(f"address {number} ({url.partition('://')[0]})", place))
    return found


def within(seconds: float, works: Sequence[Callable[[], T]]) -> list[T | None]:
    """The results of pieces of work that run at the same time; None for one that failed or is not done in time."""
    results: list[T | None] = [None] * len(works)

    def run(number: int) -> None:
        with suppress(Exception):
            results[number] = works[number]()

    # Daemons: what hangs does not keep the process.
    threads = [Thread(target=run, args=(number,), daemon=True) for number in range(len(works))]
    for thread in threads:
        thread.start()
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return [*results]


# ------------------------------------------------------------------------------------------------------------- sending


def _send_what_is_due(settings: Settings, note: Note, last_run: RunRecord | None) -> bool:
    from flows.reporting.condition import LastRun
    from flows.reporting.messages import Deadline, due

    condition = _condition(settings)
    if last_run is not None:
        condition = replace(condition, last_run=LastRun.of(last_run))
    hour = settings.notify_hour
    deadline = None if hour == "off" else Deadline(hour, settings.daily_cron)
    where = f"Data directory: {settings.data_dir} on {socket.gethostname()}"
    message, said = due(condition, _read(settings.data_dir), deadline, where)
    if message is None:
        return True
    if not _deliver(settings, message, note):
        return False
    with storage_errors(settings.data_dir):
        replace_text(settings.data_dir / NAME, msgspec.json.encode(said).decode())
    return True


def _condition(settings: Settings) -> "Condition":
    """The condition, or what is known of it while the tables cannot be read."""
    from flows.reporting.condition import condition_of, without_tables

    try:
        return condition_of(settings)
    except CivitaiEtlError:
        return without_tables(settings)


def _read(data_dir: Path) -> "Said":
    from flows.reporting.messages import Said

    try:
        return msgspec.json.decode((data_dir / NAME).read_bytes(), type=Said)
    except (FileNotFoundError, msgspec.DecodeError):  # missing, or of another version
        return Said()


def _deliver(settings: Settings, message: "Message", note: Note) -> bool:
    """Send a message to every address; returns whether one took it."""
    os.environ.update(with_direct_loopback())
    places = addresses(settings)
    taken = within(PATIENCE, [partial(_post, place, message) for place in places])
    for place, is_taken in zip(places, taken, strict=True):
        if not is_taken:
            why = "did not answer in time" if is_taken is None else "did not take it"
            note(f"The message {message.title!r} was not sent: {place.name} of {variable('notify_url')} {why}.")
    return any(taken)


def _post(address: Address, message: "Message") -> bool:
    from apprise import NotifyFormat

    return bool(address.place.notify(title=message.title, body=message.body, body_format=NotifyFormat.TEXT))


def _request(address: str) -> str:
    """Request an address; returns what went wrong, or nothing. An exception could show the address."""
    os.environ.update(with_direct_loopback())
    context = trusted_authorities() if address.startswith("https:") else None
    try:
        with urllib.request.urlopen(address, timeout=PATIENCE, context=context):  # noqa: S310 (checked by the settings)
            return ""
    except HTTPError as error:
        return f"the answer was {error.code}"
    except (OSError, ValueError, HTTPException) as error:
        return _in_words(error.reason if isinstance(error, URLError) else error)


@contextmanager
def _turn(data_dir: Path) -> Iterator[None]:
    """The right to decide what is said. A process that sends has it for seconds.

    Raises:
        NotifierError: another process keeps it.
        OSError: the data directory cannot be written.
    """
    descriptor = os.open(data_dir / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    try:
        deadline = time.monotonic() + 1.5 * PATIENCE
        while not has_locked(descriptor):
            if time.monotonic() > deadline:
                raise NotifierError(f"another process has {data_dir / LOCK} for too long")
            time.sleep(0.1)
        yield
    finally:
        os.close(descriptor)


def _in_words(error: object) -> str:
    """An error in a few words that show no address."""
    if isinstance(error, CivitaiEtlError):
        return str(error)
    if isinstance(error, TimeoutError):
        return _LATE
    return (isinstance(error, OSError) and error.strerror) or type(error).__name__
