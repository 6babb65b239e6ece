"""Finds the recipients who must not be called: twice in the file, on an opt-out list, or called already.

Numbers are E.164 digits as 64-bit integers, messages are codes: two columns of one table, compared as a pair.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Numbers = NDArray[np.int64]
    Codes = NDArray[np.int32]


_PAIR: Final = ["message", "number"]


def first_of_same(messages: Codes, numbers: Numbers) -> Numbers:
    """For every recipient the position of the first with the same message and number: itself if it is the first."""
    import numpy as np

    firsts = _positions(len(numbers))
    some = _not_alone(numbers)
    order = some[np.lexsort((messages[some], numbers[some]))]  # stable: of the same, the first in the file comes first
    is_new = np.ones(len(order), np.bool_)
    is_new[1:] = (np.diff(numbers[order]) != 0) | (np.diff(messages[order]) != 0)
    firsts[order] = order[np.maximum.accumulate(np.where(is_new, np.arange(len(order)), 0))]
    return firsts


def _not_alone(numbers: Numbers) -> Numbers:
    """The positions of numbers that stand more than once: few, in most files."""
    import numpy as np

    ordered = np.sort(numbers)
    again = np.unique(ordered[1:][ordered[1:] == ordered[:-1]])
    return np.flatnonzero(np.isin(numbers, again))


def already_contacted(messages: Codes, numbers: Numbers, contacts: pd.DataFrame) -> Numbers:
    """For every recipient the position in ``contacts`` of its own pair, or -1.

    ``contacts`` has the columns ``message`` (the same codes) and ``number``; of equal pairs the first counts.
    """
    known = contacts[_PAIR].drop_duplicates()
    known = known.assign(contact=known.index)
    found = _pairs(messages, numbers).merge(known, how="left", on=_PAIR)
    return found["contact"].fillna(-1).to_numpy().astype("int64")


def listed(numbers: Numbers, opt_outs: Numbers) -> Numbers:
    """For every recipient the position of its number in ``opt_outs``, or -1; of equal numbers the first counts."""
    import pandas as pd

    first_entries = pd.Series(_positions(len(opt_outs)), index=opt_outs)
    first_entries = first_entries[~first_entries.index.duplicated()]
    return first_entries.reindex(numbers, fill_value=-1).to_numpy()


def _pairs(messages: Codes, numbers: Numbers) -> pd.DataFrame:
    import pandas as pd

    return pd.DataFrame({"message": messages, "number": numbers, "position": _positions(len(numbers))})


def _positions(count: int) -> Numbers:
    import numpy as np

    return np.arange(count, dtype=np.int64)
