"""Some hundred mutated documents through a crawl and a build; `make fuzz` takes ten thousand."""

import pytest

from tests.fuzz.odd_records import REAL, made_up, real_models
from tests.fuzz.records import problems


@pytest.mark.skipif(not REAL.exists(), reason=f"the recorded responses {REAL} are not on this machine")
def test_whatever_is_wrong_with_real_models_none_is_lost_and_nothing_fails() -> None:
    assert problems(7, 300, real_models()) == []


def test_whatever_is_wrong_with_models_that_have_everything_none_is_lost_and_nothing_fails() -> None:
    assert problems(8, 300, made_up("model")) == []
