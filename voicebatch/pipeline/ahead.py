"""One step further than it is asked: the next items are made by other threads while this one is used."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, TypeVar

_T = TypeVar("_T")
_Made = TypeVar("_Made")
_THREADS: Final = 2


def ahead(items: Iterable[_T]) -> Iterator[_T]:
    """The same items. Whatever making one raises comes when it is asked for."""
    iterator, end = iter(items), object()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(next, iterator, end)
        while (item := waiting.result()) is not end:
            waiting = pool.submit(next, iterator, end)
            yield item  # type: ignore[misc] # not the end


def map_ahead(make: Callable[[_T], _Made], items: Iterable[_T]) -> Iterator[_Made]:
    """What ``map`` gives, in its order. ``make`` runs in several threads at once, for some of the items to come."""
    waiting: deque[Future[_Made]] = deque()
    with ThreadPoolExecutor(_THREADS) as pool:
        for item in ahead(items):
            waiting.append(pool.submit(make, item))
            if len(waiting) > _THREADS:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def in_background(make: Callable[..., _Made], *of: object) -> Callable[[], _Made]:
    """Begins ``make(*of)`` in another thread. What is returned waits for what it returns, or raises."""
    pool = ThreadPoolExecutor(1)
    made = pool.submit(make, *of)
    pool.shutdown(wait=False)
    return made.result
