"""`python -m tests.mutants [WORD]`: breaks every rule (or those whose name has the word) and runs its test.

It works in a copy of the checkout, so nothing here is ever broken. Prints a line per rule, and ends with 1 if a test
did not notice, or fails for the rule as it is.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from tests.mutants.edit import ROOT, broken, read_sources
from tests.mutants.mutants import MUTANTS, Mutant


def main(word: str = "") -> int:
    chosen = [mutant for mutant in MUTANTS if word in mutant.rule]
    with TemporaryDirectory() as folder:
        copy = Path(folder)
        copy_checkout(copy)
        tests = sorted({mutant.caught_by for mutant in chosen})
        if failed := failing(copy, *tests):
            print("Tests that fail as it is; mend that first:", *failed, sep="\n  ")
            return 1
        survivors = [mutant for mutant in chosen if survives(copy, mutant)]
    print(f"{len(chosen) - len(survivors)} of {len(chosen)} rules that were broken were caught.")
    return 1 if survivors else 0


def copy_checkout(copy: Path) -> None:
    """Every file that git knows or would know, as it is on disk."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0")
    for name in filter(None, names):
        if (ROOT / name).exists():
            (copy / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, copy / name)


def survives(copy: Path, mutant: Mutant) -> bool:
    """Breaks a rule in the copy, runs the test that has to notice, and mends it."""
    name, text = broken(mutant.where, mutant.edit, read_sources(copy))
    file = copy / name
    sound = file.read_text()
    file.write_text(text)
    try:
        survived = not failing(copy, mutant.caught_by, first_alone=True)
    finally:
        file.write_text(sound)
    print(f"{'NOT CAUGHT' if survived else 'caught'}: {mutant.rule}", flush=True)
    return survived


def failing(copy: Path, *tests: str, first_alone: bool = False) -> list[str]:
    """The tests that fail in the copy, as pytest names them: all of them, or the first one."""
    options = ["-q", "-rfE", "--tb=no", "-p", "no:cacheprovider", *(["-x"] if first_alone else [])]
    command = [sys.executable, "-m", "pytest", *options, *(f"tests/{test}" for test in tests)]
    ended = subprocess.run(
        command, cwd=copy, env=os.environ | {"PYTHONPATH": str(copy)}, capture_output=True, text=True, check=False
    )
    if ended.returncode > 1:  # not a failed test: there was none, or pytest itself gave up
        raise RuntimeError(ended.stdout + ended.stderr)
    return [line.split(" ", 1)[1] for line in ended.stdout.splitlines() if line.startswith(("FAILED ", "ERROR "))]


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2]))
