"""The distinct messages of an input, as columns: there may be as many as there are rows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.models import Message

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OTHER: Final = "\0"  # begins the key of a message that is not just the run's own with a text; no text has it
_AT_ONCE: Final = 1 << 17  # texts that wait for a code, at least
NO_MESSAGE: Final = -1


@dataclass(frozen=True, slots=True, kw_only=True)
class Messages:
    """Messages by code. A key is a text, or ``_OTHER``, the position of its kind and, unless it is audio, a text.

    ``kinds`` are messages without their texts; the first is the run's own.
    """

    kinds: tuple[Message, ...]
    keys: Any  # an Arrow array

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, code: int) -> Message:
        return self._message(self.keys[code].as_py())

    def __iter__(self) -> Iterator[Message]:
        return (self[code] for code in range(len(self)))

    def ids(self, codes: NDArray[np.int32]) -> list[str]:
        """The ids of the messages of these codes."""
        keys = self.keys.take(pa.array(codes)).to_pylist()
        if len(self.kinds) == 1:
            return self.kinds[0].ids(keys)
        return [self._message(key).id for key in keys]

    def recordings(self) -> dict[int, str]:
        """The tokens of those that are recordings, by code."""
        tokens = {f"{_OTHER}{place}": kind.audio for place, kind in enumerate(self.kinds) if kind.audio}
        if not tokens:
            return {}
        codes = np.flatnonzero(pc.is_in(self.keys, value_set=pa.array([*tokens], self.keys.type)))
        return {int(code): tokens[self.keys[int(code)].as_py()] for code in codes}

    def _message(self, key: str) -> Message:
        if not key.startswith(_OTHER):
            return replace(self.kinds[0], text=key)
        kind, has_text, text = key[1:].partition(_OTHER)
        return replace(self.kinds[int(kind)], text=text) if has_text else self.kinds[int(kind)]


NO_MESSAGES: Final = Messages(kinds=(), keys=pa.array([], pa.large_string()))


class MessageBook:
    """Gives equal messages one code: 0, 1, 2 … by first appearance in the rows.

    Texts are told apart many at a time, whenever as many wait as are known: each is hashed a few times, however many
    there are, and kept once.
    """

    def __init__(self, message: Message) -> None:
        self._kinds: dict[Message, int] = {replace(message, text=None): 0}
        self._lock = threading.Lock()
        self._known: Any = pa.array([], pa.large_string())
        self._waiting: list[tuple[NDArray[np.int32], Any]] = []
        self._codes: list[NDArray[np.int32]] = []

    def key(self, message: Message) -> str:
        """What stands for this message in a column."""
        kind = replace(message, text=None)
        with self._lock:
            place = self._kinds.setdefault(kind, len(self._kinds))
        if message.text is None:
            return f"{_OTHER}{place}"
        return f"{_OTHER}{place}{_OTHER}{message.text}" if place else message.text

    def add(self, keys: Any) -> None:
        """The next rows, by their messages' keys; null for a row without a message."""
        encoded = keys if pa.types.is_dictionary(keys.type) else keys.dictionary_encode()
        indices = encoded.indices.fill_null(NO_MESSAGE).to_numpy().astype(np.int32, copy=False)
        self._waiting.append((indices, encoded.dictionary.cast(pa.large_string())))
        if sum(len(texts) for _, texts in self._waiting) > max(len(self._known), _AT_ONCE):
            self._tell_apart()

    def finish(self) -> tuple[NDArray[np.int32], Messages]:
        """The code of every row, -1 for none, and the messages."""
        self._tell_apart()
        places = np.concatenate([np.zeros(0, np.int32), *self._codes])
        self._codes = []
        heard = pa.array(places, mask=places == NO_MESSAGE).dictionary_encode()  # some may be of rows without a message
        codes: NDArray[np.int32] = heard.indices.fill_null(NO_MESSAGE).to_numpy()
        return codes, Messages(kinds=tuple(self._kinds), keys=self._known.take(heard.dictionary))

    def _tell_apart(self) -> None:
        encoded = pa.chunked_array([self._known, *(texts for _, texts in self._waiting)]).dictionary_encode().chunks
        if not encoded:  # there is no text at all
            encoded = [self._known.dictionary_encode()]
        places = np.concatenate([chunk.indices.to_numpy() for chunk in encoded])
        end = len(self._known)
        for indices, some in self._waiting:
            start, end = end, end + len(some)
            self._codes.append(np.append(places[start:end], np.int32(NO_MESSAGE))[indices])  # the last one for -1
        self._known, self._waiting = encoded[0].dictionary, []  # all chunks have the same
