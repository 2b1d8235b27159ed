"""Headless Chromium over its DevTools protocol: open a page at a width, run a script in it, take a picture of it."""

import base64
import json
import re
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from websockets.sync.client import connect

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def found():
    """The browser of this machine, or none."""
    return next(filter(None, map(shutil.which, NAMES)), None)


class Tab:
    """A page of the browser. `errors` are the errors and warnings of its console and the requests that it made."""

    def __init__(self, send, receive):
        self._send, self._receive, self._ids = send, receive, count(1)
        self.errors, self._events = [], []
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")

    def call(self, method, **parameters):
        number = next(self._ids)
        self._send(json.dumps({"id": number, "method": method, "params": parameters}))
        while (message := json.loads(self._receive())).get("id") != number:
            self._note(message)
        if "error" in message:
            raise RuntimeError(f"{method}: {message['error']}")
        return message["result"]

    def _note(self, message):
        method, parameters = message.get("method"), message.get("params", {})
        self._events.append(method)
        if method == "Runtime.exceptionThrown":
            self.errors.append(parameters["exceptionDetails"].get("exception", {}).get("description", "exception"))
        elif method == "Runtime.consoleAPICalled" and parameters["type"] in {"error", "warning", "assert"}:
            self.errors.append(" ".join(str(argument.get("value")) for argument in parameters["args"]))
        elif method == "Log.entryAdded" and parameters["entry"]["level"] in {"error", "warning"}:
            self.errors.append(parameters["entry"]["text"])
        elif method == "Network.requestWillBeSent" and not re.match("(file|data|about):", parameters["request"]["url"]):
            self.errors.append(f"asked for {parameters['request']['url']}")

    def size(self, width, height=900):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )

    def theme(self, name):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def open(self, address):
        self._events.clear()
        self.call("Page.navigate", url=address)
        while "Page.loadEventFired" not in self._events:
            self._note(json.loads(self._receive()))

    def run(self, script):
        """The value of an expression, or of what it promises."""
        answer = self.call("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"]["exception"].get("description", answer))
        return answer["result"].get("value")

    def move_to(self, x, y):
        self.call("Input.dispatchMouseEvent", type="mouseMoved", x=x, y=y)

    def picture(self, file, scale=1):
        size = self.call("Page.getLayoutMetrics")["cssContentSize"]
        clip = {"x": 0, "y": 0, "width": size["width"], "height": size["height"], "scale": scale}
        shot = self.call("Page.captureScreenshot", clip=clip, captureBeyondViewport=True)
        Path(file).write_bytes(base64.b64decode(shot["data"]))


@contextmanager
def tab():
    """A browser with one page; it ends with the block."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        browser = subprocess.Popen(
            [
                found(),
                *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars"),
                *("--remote-debugging-port=0", "--no-first-run", "--disable-background-networking"),
                *(f"--user-data-dir={profile}", "about:blank"),
            ],
            stderr=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            text=True,
        )
        try:
            lines = iter(browser.stderr.readline, "")
            port = next(match[1] for line in lines if (match := re.search(r"ws://127.0.0.1:(\d+)/", line)))
            yield from _attached(port)
        finally:
            browser.terminate()
            browser.wait(20)
            browser.stderr.close()


def _attached(port):
    import httpx

    targets = httpx.get(f"http://127.0.0.1:{port}/json", trust_env=False).json()
    page = next(target for target in targets if target["type"] == "page")
    with connect(page["webSocketDebuggerUrl"], max_size=None, proxy=None) as socket:
        yield Tab(socket.send, lambda: socket.recv(timeout=60))
