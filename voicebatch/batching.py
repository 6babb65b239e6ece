"""Groups recipients into the least number of requests that says each message to everyone who should hear it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Grouping:
    """``order`` lists the recipients' positions request after request; request i is ``order[starts[i]:starts[i+1]]``.

    ``starts`` has one more entry than there are requests.
    """

    order: NDArray[np.int64]
    starts: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.starts) - 1

    def members(self, request: int) -> NDArray[np.int64]:
        """Positions of one request's recipients, in the order of the rows."""
        return self.order[self.starts[request] : self.starts[request + 1]]


def group(messages: NDArray[np.int32], *, batch_size: int) -> Grouping:
    """One request per distinct message and ``batch_size`` recipients.

    ``messages`` holds each recipient's message code. Codes count up by first appearance in the file, so requests
    leave in the order in which the file first asks for their message, and inside a message in the order of the rows.
    """
    import numpy as np

    order = np.argsort(messages, kind="stable")
    sizes = np.bincount(messages) if len(messages) else np.zeros(0, dtype=np.int64)
    starts = [0]
    for size in sizes[sizes > 0]:
        first, end = starts[-1], starts[-1] + int(size)
        starts.extend(range(first + batch_size, end, batch_size))
        starts.append(end)
    return Grouping(order=order.astype(np.int64), starts=np.array(starts, dtype=np.int64))
