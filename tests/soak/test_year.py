"""The first two weeks of a year like that of `make soak`."""

import pytest

from tests.soak.year import main


@pytest.mark.soak
def test_weeks_with_gaps_partial_crawls_burials_and_a_late_day_give_the_same_files_by_a_rebuild(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--days", "14", "--models", "40", "--seed", "10"]) == 0
    told = capsys.readouterr().out
    assert "13 snapshots, 1 of them partial, 1 burials" in told
    assert "the same by a rebuild" in told
