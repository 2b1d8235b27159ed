"""Makes a catalogue that fails as small as it gets in a given time: what can go without mending it goes."""

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

from tests.fuzz.happenings import Catalogue, Crawl

#: Of a version and of its model, what no reader can do without.
NEEDED = {"id", "modelVersions"}


def shrink(told: Catalogue, fails: Callable[[Catalogue], bool], seconds: float) -> Catalogue:
    """The smallest catalogue that was found to fail; `fails` says whether one does."""
    until = time.monotonic() + seconds
    for smaller in (one_history, fewer_steps, fewer_models, smaller_items):
        candidates = smaller(told)
        while time.monotonic() < until and (candidate := next(candidates, None)) is not None:
            if fails(candidate):
                told, candidates = candidate, smaller(candidate)
    return told


def history_of(model_id: int) -> int:
    return model_id // 100


def only(told: Catalogue, keep: Callable[[int, int], bool]) -> Catalogue:
    """The catalogue with those models that are to be kept, by the place of the step and their id."""
    steps = [
        replace(
            step,
            listed={key: item for key, item in step.listed.items() if keep(place, key)},
            answered={key: item for key, item in step.answered.items() if keep(place, key)},
            gone=tuple(key for key in step.gone if keep(place, key)),
        )
        if isinstance(step, Crawl)
        else step
        for place, step in enumerate(told.steps)
    ]
    return replace(told, steps=tuple(steps))


def met(step: Crawl) -> list[int]:
    return sorted({*step.listed, *step.answered, *step.gone})


def one_history(told: Catalogue) -> Iterator[Catalogue]:
    """One of the histories alone; and without one of them, where it takes several."""
    histories = sorted({history_of(key) for step in told.steps if isinstance(step, Crawl) for key in met(step)})
    if len(histories) > 1:
        yield from (only(told, lambda _, key, one=one: history_of(key) == one) for one in histories)
        yield from (only(told, lambda _, key, one=one: history_of(key) != one) for one in histories)


def fewer_steps(told: Catalogue) -> Iterator[Catalogue]:
    if told.built:
        yield replace(told, built=())
    for place in range(len(told.steps) - 1, -1, -1):
        steps = told.steps[:place] + told.steps[place + 1 :]
        built = {each - (each > place) for each in told.built if each != place}
        if steps and isinstance(steps[0], Crawl):
            yield Catalogue(steps, tuple(sorted(built)))


def fewer_models(told: Catalogue) -> Iterator[Catalogue]:
    """Without a model; and without what one crawl told of one."""
    of_steps = [(place, key) for place, step in enumerate(told.steps) if isinstance(step, Crawl) for key in met(step)]
    if len(of_steps) > 100:  # a crowd that is needed
        return
    models = sorted({key for _, key in of_steps})
    yield from (only(told, lambda _, key, one=one: key != one) for one in models)
    yield from (only(told, lambda *met, one=one: met != one) for one in of_steps)


def smaller_items(told: Catalogue) -> Iterator[Catalogue]:
    """Without a version, or without a field of a model or of a version."""
    for place, step in enumerate(told.steps):
        if not isinstance(step, Crawl):
            continue
        for name in ("listed", "answered"):
            items = getattr(step, name)
            for key, item in items.items() if len(items) < len(told.steps) * 5 else ():
                for smaller in less(item):
                    steps = list(told.steps)
                    steps[place] = replace(step, **{name: items | {key: smaller}})
                    yield replace(told, steps=tuple(steps))


def less(item: dict) -> Iterator[dict]:
    versions = item["modelVersions"]
    for place, version in enumerate(versions):
        others = versions[:place], versions[place + 1 :]
        yield item | {"modelVersions": [*others[0], *others[1]]}
        for name in version.keys() - NEEDED:
            without = {key: value for key, value in version.items() if key != name}
            yield item | {"modelVersions": [*others[0], without, *others[1]]}
    for name in item.keys() - NEEDED:
        yield {key: value for key, value in item.items() if key != name}
