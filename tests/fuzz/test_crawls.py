"""A dozen crawls of the hostile service, each against its truth; `make fuzz` runs hundreds."""

import pytest

from tests.fuzz.crawls import Trial, try_out

#: Short ones, in which most of the faults have their turn.
SEEDS = (3, 5, 10, 12, 18, 20, 23, 33, 44, 54, 65, 66)


def told(trial: Trial) -> str:
    return "\n".join([str(trial), *trial.outcomes, *map(str, trial.site.log[-40:]), *trial.problems])


@pytest.mark.parametrize("seed", SEEDS)
def test_a_crawl_of_a_hostile_service_ends_as_the_truth_or_says_why_not(seed: int) -> None:
    trial = try_out(seed, kills=False)
    assert not trial.problems, told(trial)
