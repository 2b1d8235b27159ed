"""Text of the service on a terminal, names that are no text, and outputs with few letters."""

import json
import os
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace

import duckdb
import pytest

from flows.cli import identify, look_up
from flows.cli.main import main
from flows.reporting import logs, summary
from flows.reporting.console import Output, progress_display, say
from flows.reporting.query import answer
from flows.reporting.text import plain
from pipelines.errors import CivitaiEtlError
from pipelines.progress import Silent
from pipelines.settings import Settings
from pipelines.storage.directory import StorageError, storage_errors

COMMAND = Path(sys.executable).with_name("civitai-etl")
#: Clears the screen, sets the title of the window, turns the line around.
WICKED = "\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\r\nname"
HARMLESS = r"\u001b[2J\u001b]0;owned\u0007\u009b31m\u202e\u000d\u000aname"


def controls(text: str) -> set[str]:
    return {letter for letter in text if letter != "\n" and plain(letter) != letter}


def test_a_line_has_no_control_characters(capsys):
    assert plain(WICKED) == HARMLESS
    say(WICKED)
    assert capsys.readouterr().out == HARMLESS + "\n"
    logs.log_to_standard_error()
    with progress_display() as progress:
        progress.note(WICKED)
    assert capsys.readouterr().err.endswith(f" {HARMLESS}\n")


def test_what_is_looked_up_has_none_on_a_terminal(capsys):
    document = json.dumps({"id": 1, "name": WICKED}).encode()
    say(*look_up.lines({"1": [document]}))
    assert not controls(capsys.readouterr().out)


def test_an_answer_for_reading_has_none(analytics, capsys):
    answer(analytics, f"select '{WICKED}' as \"{WICKED}\"", "table", None)
    shown = capsys.readouterr().out
    assert "owned" in shown
    assert not controls(shown)


def test_an_error_is_one_line_without_any(analytics, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("CIVITAI_ETL_DATA_DIR", str(analytics.parent))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(["sql", f"select error('{WICKED}')"])
    assert end.value.code == 1
    told = capsys.readouterr().err
    assert told.startswith("civitai-etl: ")
    assert told.count("\n") == 1
    assert not controls(told)


@pytest.mark.parametrize("told", ["Query interrupted", "INTERRUPT Error: Interrupted!"])
def test_ctrl_c_in_a_query_is_an_interruption_and_no_error(monkeypatch, capsys, told):
    def query() -> None:
        # DuckDB makes an error of it, and whoever asks a line of that.
        raise CivitaiEtlError("The tables cannot be read.") from RuntimeError(told)

    monkeypatch.setattr("flows.cli.query_commands.read_settings", query)
    with pytest.raises(SystemExit) as end:
        main(["status"])
    assert end.value.code == 130
    assert capsys.readouterr().err.startswith("civitai-etl: interrupted")


def test_causes_in_a_circle_end(monkeypatch, capsys):
    def query() -> None:
        # As urllib3 raises them: the cause of an error was raised while that error was handled.
        first, second = RuntimeError("first"), CivitaiEtlError("second")
        first.__context__ = second
        raise second from first

    monkeypatch.setattr("flows.cli.query_commands.read_settings", query)
    with pytest.raises(SystemExit) as end:
        main(["status"])
    assert end.value.code == 1
    assert capsys.readouterr().err == "civitai-etl: second\n"


def test_ctrl_c_before_the_command_line_is_there_is_one_line(tmp_path):
    # The first library that it imports.
    (tmp_path / "cyclopts.py").write_text("import os, signal; os.kill(os.getpid(), signal.SIGINT)")
    ended = subprocess.run(
        [COMMAND, "docs"], env=os.environ | {"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, ended.stderr) == (130, "civitai-etl: interrupted before it began.\n")


def test_markdown_has_text_of_the_service_as_text():
    wicked = "A|<img src=x> [a](b)\x1b`"
    built = SimpleNamespace(record_counts=[], warnings=["a new type: ```\n# owned"])
    day = summary.Day(None, [("model", "value", wicked, 2)], [], [], 0, [wicked])
    text = summary.markdown("A run", "It *ran*.", built, {}, "", day)
    assert r"| model | value | A\|\<img src=x\> \[a\](b)\\u001b\` | 2 |" in text
    assert r"| A\|\<img src=x\> \[a\](b)\\u001b\` |" in text
    assert r"It \*ran\*." in text
    assert "\n    WARNING: a new type: ```\\u000a# owned\n" in text


def test_a_file_whose_name_is_no_text_and_one_that_is_a_pipe_are_identified(tmp_path, capsys, monkeypatch):
    odd, pipe = tmp_path / os.fsdecode(b"\xff\x1b[2J.safetensors"), tmp_path / "pipe"
    odd.write_bytes(b"weights")
    os.mkfifo(pipe)
    if not os.fork():
        pipe.write_bytes(b"weights")
        os._exit(0)
    settings = Settings(data_dir=tmp_path / "data", _env_file=None)
    files = identify.identify(settings, [odd, pipe], offline=True, progress=Silent())
    os.wait()
    assert [file.status for file in files] == ["unknown", "unknown"]
    assert files[0].fingerprints.hashes["SHA256"] == files[1].fingerprints.hashes["SHA256"]
    identify.render_files(files, "table")
    shown = capsys.readouterr().out
    assert r"\udcff\u001b[2J.safetensors" in shown
    assert not controls(shown)
    for encoding in ("utf-8", "ascii"):
        path = tmp_path / encoding
        with path.open("w", encoding=encoding) as file:
            monkeypatch.setattr(sys, "stdout", Output.of(file))
            identify.render_files(files, "json")
            sys.stdout.flush()
        assert {Path(each["file"]) for each in json.loads(path.read_text(encoding))} == {odd, pipe}


@pytest.mark.parametrize("encoding", ["ascii", "cp1252"])
def test_an_output_with_few_letters_has_tables_and_text(analytics, tmp_path, monkeypatch, encoding):
    path = tmp_path / "out"
    with path.open("w", encoding=encoding) as file:
        monkeypatch.setattr(sys, "stdout", Output.of(file))
        answer(analytics, "select 'é — 名' as a", "table", None)
        identify.render_files([], "table")
        sys.stdout.flush()
    shown = path.read_text(encoding)
    assert "+---------" in shown
    assert r"\u540d" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["sql", "select '\udcff'"],
        ["sql", "select 1", "--output", "\udcff/a"],
        ["look-up", "users", "\udcff"],
        ["look-up", "versions", "9" * 5000],
        ["docs", "\udcff"],
        ["exclude", "2026-01-01", "--because", "\udcff"],
        ["rebuild", "--into", "\udcff"],
        ["demo", "--data-dir", "\udcff"],
        ["emulator", "--catalogue", "\udcff"],
    ],
)
def test_an_argument_that_is_no_text_is_one_line(analytics, tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.setenv("CIVITAI_ETL_DATA_DIR", str(analytics.parent))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 1
    assert [line[:13] for line in capsys.readouterr().err.splitlines()] == ["civitai-etl: "]


def run(*arguments, **options):
    """The real command, whose standard streams are those of a process."""
    return subprocess.run([COMMAND, *arguments], stderr=subprocess.PIPE, text=True, check=False, **options)


@pytest.mark.parametrize("columns", ["0", "2"])
def test_help_needs_no_more_columns_than_there_are(columns):
    for arguments in (["--help"], ["sql", "--help"]):
        ended = run(*arguments, stdout=subprocess.PIPE, env=os.environ | {"COLUMNS": columns}, timeout=60)
        assert (ended.returncode, ended.stderr) == (0, "")
        assert "Usage: civitai-etl" in ended.stdout


def test_a_shell_of_ascii_is_told_so(tmp_path):
    environment = os.environ | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    ended = run("look-up", "users", "ü", env=environment, cwd=tmp_path, stdout=subprocess.PIPE)
    assert ended.returncode == 1
    assert ended.stderr == (
        "civitai-etl: Python takes arguments for ascii here: unset PYTHONUTF8, or set a UTF-8 locale.\n"
    )


@pytest.mark.parametrize(
    "arguments",
    [
        ["demo", "--data-dir="],
        ["rebuild", "--into="],
        ["sql", "select 1", "--output="],
        ["emulator", "--catalogue="],
        ["identify", ""],
    ],
)
def test_an_empty_path_is_not_the_working_directory(tmp_path, monkeypatch, capsys, arguments):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code == 2
    assert "the path is empty" in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_a_database_of_another_program_is_told_of(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    with duckdb.connect(str(tmp_path / "data/analytics.duckdb")) as connection:
        connection.execute("create table theirs as select 1 as number")
    for command in (["sql", "from theirs"], ["status"], ["quarantine"], ["relocate"]):
        with pytest.raises(SystemExit) as end:
            main(command)
        assert end.value.code == 1
        assert re.fullmatch(
            r"civitai-etl: \S+ (has no published tables|was not made by this version).*\n", capsys.readouterr().err
        )


@pytest.mark.parametrize("address", ["garbage", "http://[", "http://127.0.0.1:99999/api", "ftp://127.0.0.1/api"])
def test_an_address_of_prefect_that_is_none_is_one_line(tmp_path, monkeypatch, capsys, address):
    monkeypatch.setenv("CIVITAI_ETL_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("CIVITAI_ETL_API_URL", "http://127.0.0.1:9/api/v1")
    (tmp_path / "prefect").mkdir()
    (tmp_path / "prefect/api_url").write_text(address)
    for environment, command in ((None, ["doctor"]), (address, ["doctor"]), (address, ["serve"])):
        monkeypatch.delenv("PREFECT_API_URL", raising=False)
        if environment:
            monkeypatch.setenv("PREFECT_API_URL", environment)
        with pytest.raises(SystemExit) as end:
            main(command)
        assert end.value.code == 1
        told = capsys.readouterr()
        assert f"{address!r}, which is no address of a Prefect server" in told.out + told.err


def test_an_output_that_takes_no_more_is_one_line(tmp_path):
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    with (tmp_path / "out").open("w") as out:
        ended = run("docs", stdout=out, preexec_fn=full)
    assert ended.returncode == 1
    assert ended.stderr == (
        "civitai-etl: Standard output cannot be written (File too large): the output is incomplete.\n"
    )


def test_a_file_that_may_not_grow_is_named_with_the_limit(analytics, tmp_path):
    def small() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))

    settings = {"CIVITAI_ETL_DATA_DIR": str(analytics.parent)}
    query = ["sql", "from range(100000)", "--format", "csv", "--output", "answer.csv"]
    ended = run(*query, cwd=tmp_path, env=os.environ | settings, preexec_fn=small)
    assert ended.stderr == "civitai-etl: The answer cannot be written to answer.csv: File too large.\n"
    error = duckdb.IOException('IO Error: Could not write file "/x/y.tmp": File too large')
    with pytest.raises(StorageError, match=r"may not grow any larger .*ulimit -f"), storage_errors(tmp_path):
        raise error


def test_too_little_memory_is_one_line(monkeypatch, capsys):
    def allocate() -> None:
        bytearray(2**62)

    monkeypatch.setattr("flows.cli.query_commands.read_settings", allocate)
    with pytest.raises(SystemExit) as end:
        main(["status"])
    assert end.value.code == 1
    assert capsys.readouterr().err.startswith("civitai-etl: There is not enough memory")


@pytest.mark.parametrize("arguments", [["--help"], ["docs"], ["docs", "dim_model"]])
def test_a_reader_that_has_seen_enough_is_no_failure(tmp_path, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    ended = run(*arguments, stdout=writing, cwd=tmp_path)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, "")


def test_ctrl_c_does_not_wait_for_a_silent_pipe(tmp_path):
    pipe = tmp_path / "model.safetensors"
    os.mkfifo(pipe)
    with subprocess.Popen([COMMAND, "identify", "--offline", pipe], cwd=tmp_path, stderr=subprocess.PIPE) as silent:
        writer = None
        while silent.poll() is None and writer is None:
            time.sleep(0.1)
            with suppress(OSError):  # nobody reads it yet
                writer = os.open(pipe, os.O_WRONLY | os.O_NONBLOCK)
        time.sleep(0.5)
        silent.send_signal(signal.SIGINT)
        try:
            _, told = silent.communicate(timeout=30)
        finally:
            silent.kill()
    assert silent.returncode == 130, told


def test_a_closed_output_is_no_place_for_a_file(tmp_path):
    closed = run("docs", preexec_fn=lambda: os.closerange(0, 2), cwd=tmp_path)
    assert (closed.returncode, closed.stderr) == (0, "")


def test_a_terminal_gets_no_control_characters_of_an_answer(analytics):
    ours, theirs = pty.openpty()
    environment = os.environ | {"CIVITAI_ETL_DATA_DIR": str(analytics.parent)}
    for form in ("csv", "json"):
        ended = run("sql", "--format", form, f"select '{WICKED}' as x", stdout=theirs, env=environment)
        assert ended.returncode == 0, ended.stderr
    ended = run("sql", "--format", "parquet", "select 1", stdout=theirs, env=environment)
    assert "Parquet is nothing to read on a terminal" in ended.stderr
    os.close(theirs)
    shown = b""
    with suppress(OSError):  # the end of a terminal
        while piece := os.read(ours, 1000):
            shown += piece
    os.close(ours)
    text = shown.decode().replace("\r\n", "\n")
    assert text.count("owned") == 2
    assert not controls(text)


@pytest.mark.parametrize("command", [["dashboard", "--headless"], ["emulator"]])
def test_a_port_that_is_taken_or_is_none_is_one_line(tmp_path, monkeypatch, capsys, command):
    monkeypatch.setenv("CIVITAI_ETL_DATA_DIR", str(tmp_path))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        for port, code in ((str(listener.getsockname()[1]), 1), ("65536", 2), ("-1", 2)):
            with pytest.raises(SystemExit) as end:
                main([*command, f"--port={port}"])
            assert end.value.code == code
            assert port in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["demo", "--days", "4000000"], "The simulation has 730 days"),
        (["demo", "--models", "9999999999999999999"], "up to 10,000,000 models"),
        (["emulator", "--port", "0", "--models", "9999999999999999999"], "has 1 to 10,000,000 models"),
        (["status", "--max-age", "9999999999999999d"], "Nothing is published"),
    ],
)
def test_a_number_that_is_too_large_is_one_line(tmp_path, monkeypatch, capsys, arguments, told):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIVITAI_ETL_DATA_DIR", str(tmp_path / "data"))
    with pytest.raises(SystemExit) as end:
        main(arguments)
    assert end.value.code in (1, 4)
    assert told in capsys.readouterr().err


def test_a_query_on_standard_input_that_is_no_text_is_one_line(analytics):
    environment = os.environ | {"CIVITAI_ETL_DATA_DIR": str(analytics.parent)}
    (analytics.parent / "query.sql").write_bytes(b"select '\xff'")
    with (analytics.parent / "query.sql").open("rb") as query:
        ended = run("sql", stdin=query, env=environment)
    assert (ended.returncode, ended.stderr[:45]) == (1, "civitai-etl: The query on standard input is n")
