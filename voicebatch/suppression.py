"""Finds the recipients who must not be called: twice in the file, on an opt-out list, or called already.

Numbers are E.164 digits as 64-bit integers, messages are codes: two columns of one table, of whose rows those count
that are ``among`` (a mask). There may be ten million: few of them are found, and only those are looked at closely.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Codes = NDArray[np.int32]
    Mask = NDArray[np.bool_]

_PAIR: Final = ["message", "number"]
_AT_ONCE: Final = 1 << 20  # rows


class Found(NamedTuple):
    """The positions of recipients, in order, and beside each what it was found by."""

    positions: Numbers
    by: Numbers


def repeated(messages: Codes, numbers: Numbers, among: Mask) -> Found:
    """Who has the same message and number as somebody before, by the position of the first of them."""
    some = _having(numbers, among, _not_alone(numbers[among]))
    order = some[np.lexsort((messages[some], numbers[some]))]  # stable: of the same, the first in the file comes first
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (np.diff(numbers[order]) != 0) | (np.diff(messages[order]) != 0)
    firsts = order[np.maximum.accumulate(np.where(is_new, np.arange(len(order)), 0))]
    positions = order[~is_new]
    in_order = np.argsort(positions)
    return Found(positions[in_order], firsts[~is_new][in_order])


def already_contacted(messages: Codes, numbers: Numbers, among: Mask, contacts: pd.DataFrame) -> Found:
    """Whose message and number is in ``contacts``, by the position there; of equal pairs the first counts.

    ``contacts`` has the columns ``message`` (the same codes) and ``number``.
    """
    import pandas as pd

    positions = _having(numbers, among, np.unique(contacts["number"].to_numpy()))
    known = contacts[_PAIR].drop_duplicates()
    known = known.assign(contact=known.index)
    pairs = pd.DataFrame({"message": messages[positions], "number": numbers[positions]})
    contact = pairs.merge(known, how="left", on=_PAIR)["contact"].fillna(-1).to_numpy().astype("int64")
    return Found(positions[contact >= 0], contact[contact >= 0])


def listed(numbers: Numbers, among: Mask, opt_outs: Numbers) -> Found:
    """Whose number is among ``opt_outs``, by the position there; of equal numbers the first counts."""
    known, firsts = np.unique(opt_outs, return_index=True)
    positions = _having(numbers, among, known)
    return Found(positions, firsts[np.searchsorted(known, numbers[positions])])


def _not_alone(numbers: Numbers) -> Numbers:
    """The numbers that stand more than once, in order: few, in most files. Sorts what it is given."""
    numbers.sort()
    return np.unique(numbers[1:][numbers[1:] == numbers[:-1]])


def _having(numbers: Numbers, among: Mask, known: Numbers) -> Numbers:
    """The positions of those that have one of the known numbers, which are in order."""
    return np.concatenate([np.zeros(0, np.int64), *_pieces(numbers, among, known)])


def _pieces(numbers: Numbers, among: Mask, known: Numbers) -> Iterator[Numbers]:
    for start in range(0, len(numbers) if len(known) else 0, _AT_ONCE):
        part = slice(start, start + _AT_ONCE)
        places = np.searchsorted(known, numbers[part]).clip(max=len(known) - 1)
        yield start + np.flatnonzero(among[part] & (known[places] == numbers[part]))
