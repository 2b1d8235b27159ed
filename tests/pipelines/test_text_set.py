"""A set of texts is one, and takes little memory."""

import tracemalloc

from hypothesis import given
from hypothesis import strategies as st

from pipelines.raw.text_set import TextSet

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


@given(st.lists(TEXTS), st.lists(TEXTS))
def test_it_has_what_a_set_has(added: list[str], others: list[str]) -> None:
    texts, expected = TextSet(added), set(added)
    assert (len(texts), sorted(texts), bool(texts)) == (len(expected), sorted(expected), bool(expected))
    assert texts == expected
    assert [other in texts for other in others] == [other in expected for other in others]
    texts.update(others)
    assert texts == expected | set(others)


def test_part_of_a_text_is_not_there() -> None:
    texts = TextSet(["123", "45", "ÿ", ""])
    asked = ["12", "23", "3", "123\xff45", "123", "ÿ", "y", ""]
    assert [text for text in asked if text in texts] == ["123", "ÿ", ""]
    assert 123 not in texts


def test_an_id_takes_a_few_bytes() -> None:
    tracemalloc.start()
    try:
        texts = TextSet(map(str, range(1_000_000, 1_200_000)))
        used, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert used < 25 * len(texts)
