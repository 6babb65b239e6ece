"""Groups recipients into the least number of requests that says each message to everyone who should hear it.

And regroups them when a request was refused because of a number in it, so that it costs the others nothing.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


_POSITION_BITS: Final = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """``order`` lists the recipients' positions request after request; request i is ``order[starts[i]:starts[i+1]]``.

    ``starts`` has one more entry than there are requests.
    """

    order: NDArray[np.int32]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def members(self, request: int) -> NDArray[np.int32]:
        """Positions of one request's recipients, in the order of the rows."""
        return self.order[self.starts[request] : self.starts[request + 1]]


def group(messages: NDArray[np.int32], *, batch_size: int) -> Grouping:
    """One request per distinct message and ``batch_size`` recipients.

    ``messages`` holds each recipient's message code. Codes count up by first appearance in the file, so requests
    leave in the order in which the file first asks for their message, and inside a message in the order of the rows.
    """
    import numpy as np

    # Numbers that hold message and position are sorted many times as fast as positions by their messages.
    keys = messages.astype(np.int64) << _POSITION_BITS | np.arange(len(messages))
    keys.sort()
    order = (keys & ((1 << _POSITION_BITS) - 1)).astype(np.int32)
    sizes = np.bincount(messages)
    ends = np.cumsum(sizes)
    requests = -(-sizes // batch_size)  # of each message
    number = np.arange(requests.sum()) - np.repeat(np.cumsum(requests) - requests, requests)  # among its message's
    starts = np.repeat(ends - sizes, requests) + number * batch_size
    return Grouping(order=order, starts=np.append(starts, len(messages)))


LONG_NUMBER: Final = re.compile(r"\+?\d(?:[ .\-/\u00a0\u202f]?\d){5,}")
"""What may be a phone number in a provider's message."""

_FEWEST_DIGITS: Final = 7  # of a number without its country: fewer may be anything


@dataclass(frozen=True, slots=True, kw_only=True)
class Regrouping:
    """``refused`` are the numbers at fault; ``again`` the batches in which the others may be sent."""

    refused: tuple[str, ...]
    again: tuple[tuple[str, ...], ...]


def regroup(numbers: Sequence[str], *, said: str) -> Regrouping:
    """What to do after a request was refused because of one or more of its ``numbers`` (E.164).

    Numbers that the provider's words ``said`` name are taken out. If none is named, two halves are tried, until the
    bad number is alone: n numbers with one bad one cost about 2 log2(n) requests.
    """
    if len(numbers) == 1:
        return Regrouping(refused=tuple(numbers), again=())
    if named := _named(numbers, said):
        rest = tuple(number for number in numbers if number not in named)
        return Regrouping(refused=tuple(one for one in numbers if one in named), again=(rest,) if rest else ())
    half = (len(numbers) + 1) // 2
    return Regrouping(refused=(), again=(tuple(numbers[:half]), tuple(numbers[half:])))


def _named(numbers: Sequence[str], said: str) -> Collection[str]:
    """Which of the numbers are named: ``+33…``, ``0033…``, ``33…``, or nationally if that can be one only."""
    written = {re.sub(r"\D", "", one).lstrip("0") for one in LONG_NUMBER.findall(said)}
    meant = [_meant(numbers, digits) for digits in written]
    return {found.pop() for found in meant if len(found) == 1}


def _meant(numbers: Sequence[str], digits: str) -> set[str]:
    if (international := f"+{digits}") in numbers:
        return {international}
    return {number for number in numbers if len(digits) >= _FEWEST_DIGITS and number.endswith(digits)}
