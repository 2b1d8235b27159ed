"""What the Makefile tells pip and uv."""

import os
import subprocess
from pathlib import Path

import pytest

MAKEFILE = Path(__file__).parents[2] / "Makefile"


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, {}),
        ({"SSL_CERT_FILE": "/a"}, {"SSL_CERT_FILE": "/a", "REQUESTS_CA_BUNDLE": "/a"}),
        ({"SSL_CERT_FILE": "", "REQUESTS_CA_BUNDLE": "/b"}, {"SSL_CERT_FILE": "/b", "REQUESTS_CA_BUNDLE": "/b"}),
        ({"SSL_CERT_FILE": "/a", "REQUESTS_CA_BUNDLE": "/b"}, {"SSL_CERT_FILE": "/a", "REQUESTS_CA_BUNDLE": "/b"}),
    ],
)
def test_pip_and_uv_trust_the_same_authorities(tmp_path, given, told):
    shows = tmp_path / "shows.mk"
    shows.write_text("shows: ; @env\n")
    command = ["make", "--silent", "--file", MAKEFILE, "--file", shows, "shows"]
    lines = subprocess.run(command, env=os.environ | given, capture_output=True, text=True, check=True).stdout
    environment = dict(line.split("=", 1) for line in lines.splitlines() if "=" in line)
    assert {name: environment[name] for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE") if name in environment} == told
    assert environment["UV_SYSTEM_CERTS"] == "true"
