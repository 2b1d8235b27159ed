"""The first three weeks of the year of `make soak`."""

import pytest

from tests.soak.year import main


def test_weeks_with_gaps_partial_crawls_burials_and_a_late_day_give_the_same_files_by_a_rebuild(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--days", "20", "--models", "40", "--seed", "1"]) == 0
    assert "the same by a rebuild" in capsys.readouterr().out
