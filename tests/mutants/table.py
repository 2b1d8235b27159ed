"""`python -m tests.mutants.table [--check]`: the table of broken rules in docs/testing.md, made of the list."""

import sys
from pathlib import Path

from tests.mutants.mutants import MUTANTS

DOCUMENT = Path(__file__).parents[2] / "docs" / "testing.md"
HEADING = "| mutation | caught by |\n|---|---|\n"


def document(text: str) -> str:
    """The document with the table as the list has it; what stands around it stays."""
    before, _, rest = text.partition(HEADING)
    _, _, after = rest.partition("\n\n")
    return before + HEADING + "".join(f"{mutant.line}\n" for mutant in MUTANTS) + "\n" + after


def main(arguments: list[str]) -> int:
    text = DOCUMENT.read_text()
    if "--check" not in arguments:
        DOCUMENT.write_text(document(text))
    elif document(text) != text:
        print(f"{DOCUMENT} does not list the mutants as they are: run `make docs`.", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
