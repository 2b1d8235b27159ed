"""Starts the emulator as a child process, for tests, benchmarks and the demo."""

import http.client
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from urllib.parse import urlsplit


class Emulator:
    """A running emulator: its address, its process id, its clock and its true state."""

    def __init__(self, process: "subprocess.Popen[str]", api_url: str) -> None:
        self._process = process
        self.api_url = api_url
        self._host = urlsplit(api_url).netloc

    @property
    def pid(self) -> int:
        return self._process.pid

    def set_date(self, on: date) -> None:
        """Sets the emulator's clock to noon of a date."""
        self._ask("/clock", json.dumps({"date": on.isoformat()}).encode())

    def set_tier(self, tier: str) -> None:
        """Gives the key's member another membership (`emulator.member.QUOTA_KB`)."""
        self._ask("/member", json.dumps({"tier": tier}).encode())

    def order_faults(self, spec: str) -> None:
        """Replaces the faults, in the language of `emulator.faults`; "" for none."""
        self._ask("/faults", json.dumps({"faults": spec}).encode())

    def requests(self, since: int = 0) -> list[dict[str, object]]:
        """The requests below /api/v1 after the request number `since`: number, method, request (path and query, secrets
        masked), status (None without an answer), fault (the rule that matched), at and until (seconds).
        """
        answered = self._ask(f"/requests?since={since}")["requests"]
        assert isinstance(answered, list)
        return answered

    def account(self, on: date) -> dict[str, object]:
        """The entities of a date with true counters (`emulator.truth.account`); ids are text."""
        return self._ask(f"/account?date={on}")

    def changes(self, since: date, until: date) -> dict[str, object]:
        """The changes between two dates, without counters (`emulator.truth.changes`)."""
        return self._ask(f"/changes?from={since}&to={until}")

    def stop(self) -> None:
        """Ends the process, if it still runs."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()

    def _ask(self, path: str, body: bytes | None = None) -> dict[str, object]:
        connection = http.client.HTTPConnection(self._host, timeout=120)
        try:
            connection.request("PUT" if body else "GET", "/control" + path, body)
            response = connection.getresponse()
            answer: dict[str, object] = json.load(response)
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"/control{path}: {answer['message']}")
        return answer


@contextmanager
def launch(
    *,
    models: int = 2000,
    seed: int = 1,
    on: date = date(2026, 1, 1),
    dialect: str = "spec",
    catalogue: Path | None = None,
    key: str = "test-key",
    faults: str = "",
    workers: int | None = None,
) -> Iterator[Emulator]:
    """An emulator on a free port, with the control endpoint, that ends with the `with` block or with this process.

    Example:
        with launch(models=200) as emulator:
            page = urllib.request.urlopen(emulator.api_url + "/models")

    Raises:
        RuntimeError: it did not start; the text has the reason.
    """
    options: dict[str, object] = {"--port": 0, "--models": models, "--seed": seed, "--date": on, "--dialect": dialect}
    options |= {"--key": key, "--faults": faults} | ({"--catalogue": catalogue.absolute()} if catalogue else {})
    options |= {} if workers is None else {"--workers": workers}
    command = [sys.executable, "-m", "emulator", "serve", "--control", "--attached"]
    command += [str(part) for option in options.items() for part in option]
    root = Path(__file__).resolve().parent.parent
    # The child shares the caller's stderr: its traceback belongs in the test's output.
    with subprocess.Popen(  # noqa: S603 -- our own module, no shell
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root
    ) as process:
        assert process.stdout is not None
        address = process.stdout.readline().strip()  # printed when the socket listens and the catalogue is ready
        if not address:
            raise RuntimeError(f"the emulator did not start (exit {process.wait()}): {' '.join(command)}")
        emulator = Emulator(process, address)
        try:
            yield emulator
        finally:
            emulator.stop()
