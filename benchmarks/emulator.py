"""`make bench-emulator`: how soon the emulator of 900,000 models is up, and how many models a second it lists: all of
them, to each of two clients in processes of their own, which share the cores with it.
"""

import http.client
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from urllib.parse import urlsplit

from benchmarks.scale import DIALECTS, FIRST_DAY, proportional_mib, tree_mib
from emulator.launch import launch

MODELS = 900_000
CLIENTS = 2
#: To decode the whole page would take longer than to make it.
_NEXT_PAGE = re.compile(rb'"nextPage": ?"([^"]+)"')


def main() -> int:
    for dialect in DIALECTS:
        began = time.perf_counter()
        with launch(models=MODELS, on=FIRST_DAY, dialect=dialect) as emulator:
            up_seconds = time.perf_counter() - began
            began = time.perf_counter()
            with ProcessPoolExecutor(CLIENTS, mp_context=get_context("spawn")) as clients:
                listed = sum(clients.map(listed_models, [f"{emulator.api_url}/models?limit=100"] * CLIENTS))
            rate = listed / (time.perf_counter() - began)
            memory = f"{tree_mib(emulator.pid, proportional_mib):,.0f} MiB"
            print(f"{dialect}: up in {up_seconds:.1f} s, {rate:,.0f} models a second, {memory}", flush=True)
    return 0


def listed_models(url: str) -> int:
    """How many models a list has, from its first page to its last."""
    connection, models, page = http.client.HTTPConnection(urlsplit(url).netloc), 0, url
    while page:
        connection.request("GET", page.removeprefix(f"http://{connection.host}:{connection.port}"))
        response = connection.getresponse()
        answer = response.read()
        if response.status != http.client.OK:
            raise RuntimeError(f"{page}: {response.status} {answer[:200]!r}")
        models += answer.count(b'"modelVersions":')
        found = _NEXT_PAGE.search(answer)
        page = found[1].decode() if found else ""
    return models


if __name__ == "__main__":
    sys.exit(main())
