"""What another thread makes ahead is what would have been made."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from voicebatch.pipeline.ahead import ahead, in_background, map_ahead


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_all_items_come_in_their_order(count: int) -> None:
    assert list(ahead(range(count))) == list(range(count))


def test_what_goes_wrong_comes_behind_what_went_well() -> None:
    def broken() -> Iterator[int]:
        yield 1
        raise OSError("the file is gone")

    items = ahead(broken())
    assert next(items) == 1
    with pytest.raises(OSError, match="the file is gone"):
        next(items)


def test_who_stops_asking_stops_the_work() -> None:
    made: list[int] = []

    def endless() -> Iterator[int]:
        while True:
            made.append(len(made))
            yield made[-1]

    items = ahead(endless())
    assert (next(items), next(items)) == (0, 1)
    items.close()  # type: ignore[attr-defined] # it is a generator
    assert len(made) <= 3


@pytest.mark.parametrize("count", [0, 1, 2, 50])
def test_what_several_threads_make_comes_in_order(count: int) -> None:
    assert list(map_ahead(lambda number: number * number, range(count))) == [number * number for number in range(count)]


def test_what_one_thread_cannot_make_comes_at_its_place() -> None:
    items = map_ahead(lambda number: 6 // number, [3, 0, 2])
    assert next(items) == 2
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_what_goes_wrong_in_the_background_is_raised_to_who_waits_for_it() -> None:
    assert in_background(max, 1, 2)() == 2
    with pytest.raises(ZeroDivisionError):
        in_background(divmod, 1, 0)()
