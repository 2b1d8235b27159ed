"""`make image`: builds the image with podman and runs it: the command line, a snapshot and the health check, and the
units of systemd under a real one.

Everything is in a folder of its own, also podman's storage, and nothing of it has a network but the two builds. Where
no registry answers, deploy/base-image makes the base of Debian's packages. Needs root, podman, runc and debootstrap.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
IMAGE, SYSTEMD, BASE = "localhost/civitai-etl", "localhost/civitai-etl-systemd", "localhost/civitai-etl-base"
USER_ID = "10001"
EMULATOR = ("civitai-etl", "emulator", "--models", "60")
SETTINGS = {
    "CIVITAI_ETL_API_URL": "http://127.0.0.1:8377/api/v1",
    "CIVITAI_ETL_REQUESTS_PER_SECOND": "0",
    "CIVITAI_ETL_RETRY_MINUTES": "1",  # until the emulator listens
}
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"


class Podman:
    """podman with its storage in a folder."""

    def __init__(self, folder: Path) -> None:
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        # A root without CAP_SYS_RESOURCE cannot raise its limits: podman asks for more open files than it may have, and
        # for more processes than podman itself, which lowers that limit to 32,768, may have.
        files, processes = (resource.getrlimit(each)[1] for each in (resource.RLIMIT_NOFILE, resource.RLIMIT_NPROC))
        processes = min(processes, 32_768) if processes > 0 else 32_768
        # crun knows no machine with both versions of cgroups. runc does.
        runtime = "crun" if Path("/sys/fs/cgroup/cgroup.controllers").exists() and shutil.which("crun") else "runc"
        (folder / "containers.conf").write_text(
            f'[containers]\ndefault_ulimits = ["nofile={files}:{files}", "nproc={processes}:{processes}"]\n'
            f'[engine]\nruntime = "{runtime}"\ncgroup_manager = "cgroupfs"\nevents_logger = "file"\n'
            f'tmp_dir = "{folder}/libpod"\n'
        )
        (folder / "storage.conf").write_text(
            f'[storage]\ndriver = "overlay"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n'
        )
        self.environment = os.environ | {
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "TMPDIR": str(folder / "tmp"),
        }

    def __call__(self, *command: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
        ended = self._run(["podman", *command], check=False, capture_output=True)
        if check and ended.returncode:
            raise RuntimeError(f"podman {' '.join(command)}: {ended.returncode}\n{ended.stdout}{ended.stderr}")
        return ended

    def loudly(self, *command: str | Path) -> None:
        """A command that takes minutes, with its output."""
        self._run([*map(str, command)], check=True)

    def _run(
        self, command: list[str], *, check: bool, capture_output: bool = False
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            command, env=self.environment, cwd=ROOT, text=True, check=check, capture_output=capture_output
        )

    @contextmanager
    def container(self, *arguments: str) -> "Iterator[Callable[..., subprocess.CompletedProcess[str]]]":
        """A container that runs for the length of the block; yields a function that runs a command in it."""
        # The health checks that podman would start by systemd are asked for below.
        name = self("run", "--detach", "--network", "none", *arguments).stdout.split()[-1]
        try:
            yield lambda *command, check=True: self("exec", name, *command, check=check)
        finally:
            self("rm", "--force", "--time", "5", name)


def build(podman: Podman, base: str) -> None:
    """Build the image, on a base of Debian's packages if `base` cannot be had."""
    if podman("image", "exists", BASE, check=False).returncode == 0:
        base = BASE
    elif podman("pull", "--quiet", base, check=False).returncode:
        print(f"{base} cannot be had: making a base of Debian's packages", flush=True)
        podman.loudly(DEPLOY / "base-image", BASE)
        base = BASE
    secrets = ("--secret", f"id=authorities,src={AUTHORITIES}") if Path(AUTHORITIES).exists() else ()
    options = ("--format", "docker", "--network", "host", "--build-arg", f"BASE={base}", *secrets)
    podman.loudly("podman", "build", *options, "--file", DEPLOY / "Dockerfile", "--tag", IMAGE, ".")


def check_image(podman: Podman) -> None:
    """What the image says of itself, and a snapshot in a container that may do and write as little as possible."""
    (declared,) = json.loads(podman("image", "inspect", IMAGE).stdout)
    config = declared["Config"]
    assert (config["User"], list(config["Volumes"])) == ("civitai-etl", ["/data"])
    assert declared["HealthCheck" if "HealthCheck" in declared else "Healthcheck"]["Test"] == [
        "CMD",
        "civitai-etl",
        "status",
    ]
    assert not [name for name in config["Env"] if "KEY" in name or "TOKEN" in name]
    narrow = ("--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--name", "checked")
    settings = [part for name, value in SETTINGS.items() for part in ("--env", f"{name}={value}")]
    with podman.container(*narrow, *settings, IMAGE, *EMULATOR) as inside:
        assert "Daily snapshots of the Civitai catalogue" in inside("civitai-etl", "--help").stdout
        assert inside("id", "--user").stdout.strip() == USER_ID
        assert inside("sh", "-c", "find /opt/civitai-etl ! -user root").stdout == "", "the program can change itself"
        compiled = "find /opt/civitai-etl/lib -name '*.pyc' | grep --count /flows/"
        assert int(inside("sh", "-c", compiled).stdout) > 20
        assert podman("healthcheck", "run", "checked", check=False).returncode == 1, "healthy without a snapshot"
        inside("civitai-etl", "snapshot")
        assert podman("healthcheck", "run", "checked").returncode == 0
        owners = inside("find", "/data", "-name", "*.duckdb", "-printf", "%f %U\n").stdout.split()
        assert sorted(owners[::2]) == ["analytics.duckdb", "warehouse.duckdb"]
        assert set(owners[1::2]) == {USER_ID}
        inside("civitai-etl", "demo", "--days", "2", "--models", "60", "--data-dir", "/tmp/demo")
        drawn = inside("ls", "/tmp/demo/charts").stdout
    assert "downloads_by_base_model.png" in drawn
    print("image: a snapshot, its health and a demo, as another user than root", flush=True)


def check_units(podman: Podman) -> None:
    """The units as they are, under systemd: a snapshot by its service, metrics, a run of `serve`, and an end."""
    podman.loudly("podman", "build", "--format", "docker", "--network", "host", "--build-arg", f"BASE={IMAGE}",
                  "--file", ROOT / "tests/deploy/systemd.Dockerfile", "--tag", SYSTEMD, "tests/deploy")  # fmt: skip
    mounted = ("--volume", f"{DEPLOY}/systemd:/units:ro")
    # systemd makes namespaces and mounts for the services: in this container it may.
    with podman.container("--privileged", "--systemd", "always", *mounted, SYSTEMD) as inside:

        def shell(script: str) -> str:
            return inside("sh", "-euc", script).stdout

        _await(lambda: inside("systemctl", "is-system-running", check=False).stdout.strip() == "running", 60)
        settings = "\n".join(f"{name}={value}" for name, value in SETTINGS.items())
        shell(
            "cp -r /units/. /etc/systemd/system/; systemctl daemon-reload; mkdir --mode 700 /etc/civitai-etl\n"
            f"printf '%s\\n' '{settings}' 'CIVITAI_ETL_DAILY_CRON=* * * * *' > /etc/civitai-etl/environment\n"
            f"systemd-run --quiet --unit emulator --property User=nobody /opt/civitai-etl/bin/{' '.join(EMULATOR)}"
        )
        shell("systemctl enable --now --quiet civitai-etl-snapshot.timer civitai-etl-refresh.timer")
        assert "03:00:00 UTC" in shell("systemctl list-timers civitai-etl-snapshot.timer")
        for unit in ("snapshot", "refresh", "metrics"):  # one after the other: only one writes
            shell(f"systemctl start civitai-etl-{unit}.service")
        told = shell("cat /var/lib/civitai-etl/logs/civitai-etl.jsonl")
        assert ": complete; " in told, told
        journal = shell("journalctl --unit civitai-etl-snapshot.service --output json --output-fields=_COMM")
        assert "civitai-etl" not in {json.loads(line).get("_COMM") for line in journal.splitlines()}, "it is not quiet"
        assert "civitai_etl_newest_is_complete 1.0" in shell("cat /run/civitai-etl/metrics.prom")
        kept = shell("stat --format '%U %a' /var/lib/civitai-etl /var/lib/civitai-etl/analytics.duckdb").split()
        assert kept == ["civitai-etl", "750", "civitai-etl", "640"]
        shell("systemctl start civitai-etl-serve.service")
        assert "civitai-etl-snapshot" not in shell("systemctl list-timers"), "serve and the timers are both active"
        _await(lambda: "Finished in state Completed" in shell("journalctl --unit civitai-etl-serve.service"), 300)
        shell("systemctl stop civitai-etl-serve.service")
        assert shell("systemctl show --value --property Result civitai-etl-serve.service").strip() == "success"
        assert not shell("systemctl list-units --failed --no-legend")
    print("systemd: a snapshot, a refresh and metrics by their units, a run of serve, and its end", flush=True)


def _await(happened: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"not after {seconds} s"
        time.sleep(1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", default="python:3.13-slim", help="the image to build on")
    parser.add_argument("--keep", type=Path, help="a folder for podman's storage that stays, for the next time")
    arguments = parser.parse_args()
    with TemporaryDirectory(prefix="image-") as folder:
        podman = Podman((arguments.keep or Path(folder)).absolute())
        try:
            build(podman, arguments.base)
            check_image(podman)
            check_units(podman)
        finally:
            if not arguments.keep:
                podman("system", "reset", "--force")
    return 0


if __name__ == "__main__":
    sys.exit(main())
