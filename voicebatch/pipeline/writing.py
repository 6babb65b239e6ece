"""Writes each recipient's message: the template rendered with the row's cells, and the row's own settings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal, InvalidOperation
from itertools import repeat
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch import headers, wire
from voicebatch.errors import InputError
from voicebatch.models import Fault, Message
from voicebatch.pipeline.messages import MessageBook
from voicebatch.pipeline.rendering import Rendered, Renderer, Row, compile_text
from voicebatch.schedules import read_schedule
from voicebatch.templates import MissingValue, RenderError, Template, distinct

if TYPE_CHECKING:
    from numpy.typing import NDArray

_REMEMBERED: Final = 100_000  # texts
_NOTHING_TO_SAY: Final = RenderError("there is neither a text nor an audio token for it")
_OWN_SETTINGS: Final = ("lang", "speech_rate", "scheduled_date", "audio_token")
"""Columns that override the run's own value, row by row."""


class MessageWriter:
    """Renders rows into messages, each distinct one once. ``now`` decides which schedules are past.

    Raises ``UsageError`` for a template that is none.
    """

    def __init__(self, message: Message, *, now: datetime) -> None:
        self.book: Final = MessageBook(message)
        self._message = message
        self._now = now
        self._template = None if message.text is None else compile_text(message.text)

    @contextmanager
    def for_table(self, header: Sequence[str], *, file: str) -> Iterator[TableWriter]:
        """Ties the template to one table's columns. Raises ``InputError`` for a variable that is no column."""
        own = {name: found for name in _OWN_SETTINGS if (found := headers.column(header, name))}
        variables = _columns_called(self._template, header, file) if self._template else {}
        used = _columns_used(self._template, header, {*own.values(), *variables.values()})
        renderer = Renderer(self._message.text or "", columns=used, variables=variables) if self._template else None
        with renderer or nullcontext():
            yield TableWriter(writer=self, file=file, own=own, variables=variables, used=used, renderer=renderer)

    def texts(self, values: Mapping[str, Any]) -> Any:
        """The texts of columns that are the template's variables, null where a ``Renderer`` has to tell."""
        if self._template is None or self._message.audio:
            return None
        return self._template.render_columns(values)

    def key_for(self, own: Mapping[str, str], text: Rendered) -> str:
        """The book's key of what one row's recipient hears: ``text``, with the row's own settings.

        Raises ``MissingValue`` or ``RenderError``.
        """
        if own or self._message.audio:
            return self.book.key(self._message_for(own, text))
        return _said(text)

    def _message_for(self, own: Mapping[str, str], text: Rendered) -> Message:
        changes = self._own_settings(own)
        if changes.get("audio") or self._message.audio:
            heard = {name: changes[name] for name in ("audio", "schedule") if name in changes}
            return replace(self._message, text=None, **heard)  # language and rate are of a text only
        return replace(self._message, text=_said(text), **changes)

    def _own_settings(self, own: Mapping[str, str]) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        if lang := own.get("lang"):
            changes["lang"] = lang.lower()
        if rate := own.get("speech_rate"):
            changes["speech_rate"] = read_speech_rate(rate)
        if date := own.get("scheduled_date"):
            changes["schedule"] = _schedule(date, self._now)
        if token := own.get("audio_token"):
            changes["audio"] = token
        return changes


@dataclass(frozen=True, slots=True, kw_only=True)
class TableWriter:
    """A message writer for the columns of one table. ``used`` are those that a message depends on."""

    writer: MessageWriter
    file: str
    own: Mapping[str, str]
    variables: Mapping[str, str]
    used: Sequence[str]
    renderer: Renderer | None
    _rendered: dict[Row, Rendered] = field(default_factory=dict)

    def plain_texts(self, cells: Any) -> Any:
        """The texts of a record batch, as a dictionary array; null where ``write`` has to tell (``None``: all)."""
        if self.own:
            return None
        return self.writer.texts({name: cells.column(header) for name, header in self.variables.items()})

    def write(
        self, rows: NDArray[np.int64], cells: Any, good: NDArray[np.bool_], texts: Any
    ) -> tuple[Any, list[Fault]]:
        """The keys of some rows' messages (null for none), and why there can be none.

        ``texts`` is what ``plain_texts`` said of the same cells; rows that are not ``good`` have no message.
        """
        if texts is None:
            texts = pa.nulls(len(rows), pa.string()).dictionary_encode()
        careful = np.flatnonzero(good & texts.is_null().to_numpy(zero_copy_only=False))
        texts = pa.DictionaryArray.from_arrays(pc.if_else(pa.array(good), texts.indices, None), texts.dictionary)
        if not len(careful):
            return texts, []
        told, faults = self._one_by_one(rows[careful], cells.take(pa.array(careful)))
        return pc.replace_with_mask(texts.dictionary_decode(), _mask(len(rows), careful), told), faults

    def _one_by_one(self, rows: NDArray[np.int64], cells: Any) -> tuple[Any, list[Fault]]:
        """Every distinct combination of the cells that matter is rendered once."""
        groups, firsts = distinct([cells.column(header) for header in self.used], rows=len(rows))
        columns = [cells.column(header).take(pa.array(firsts)).to_pylist() for header in self.used]
        lines: list[Row] = list(zip(*columns, strict=True)) if columns else [()] * len(firsts)
        keys: list[str | None] = []
        errors: dict[int, MissingValue | RenderError] = {}
        for own, text in zip(self._own(lines), self._texts(lines), strict=True):
            try:
                keys.append(self.writer.key_for(own, text))
            except (MissingValue, RenderError) as error:
                errors[len(keys)] = error
                keys.append(None)
        unwritten = np.flatnonzero(np.isin(groups, [*errors]))
        faults = [self._fault(int(rows[at]), errors[int(groups[at])]) for at in unwritten]
        return pa.array(keys, pa.string()).take(pa.array(groups)), faults

    def _own(self, lines: Sequence[Row]) -> Iterable[Mapping[str, str]]:
        """The settings that the rows say themselves."""
        if not self.own:
            return repeat({}, len(lines))
        places = {name: self.used.index(header) for name, header in self.own.items()}
        return ({name: (line[place] or "").strip() for name, place in places.items()} for line in lines)

    def _texts(self, lines: Sequence[Row]) -> Sequence[Rendered]:
        """The lines' texts. Those of a first many are kept: what is seldom distinct is not rendered again."""
        if self.renderer is None:
            return [_NOTHING_TO_SAY] * len(lines)
        new = [line for line in lines if line not in self._rendered]
        rendered = dict(zip(new, self.renderer.render(new), strict=True))
        if len(self._rendered) + len(rendered) <= _REMEMBERED:
            self._rendered.update(rendered)
        return [rendered.get(line) or self._rendered[line] for line in lines]

    def _fault(self, row: int, error: MissingValue | RenderError) -> Fault:
        if isinstance(error, MissingValue):
            column = self.variables.get(error.name, error.name)
            reason = f"the template needs “{column}”, and the cell is empty"
            return Fault(file=self.file, row=row, column=column, check="missing_value", reason=reason)
        return Fault(file=self.file, row=row, column="", check="message", reason=str(error))


def _mask(length: int, places: NDArray[np.int64]) -> Any:
    mask = np.zeros(length, np.bool_)
    mask[places] = True
    return pa.array(mask)


def _columns_used(template: Template | None, header: Sequence[str], called: Set[str]) -> list[str]:
    if template is None:
        return sorted(called, key=header.index)
    if template.whole_row:
        return list(header)
    named = (headers.column(header, name) or name for name in template.headers)
    return sorted({*called, *named}, key=header.index)


def read_speech_rate(text: str) -> Decimal:
    """A speech rate with a decimal point or comma. Raises ``RenderError`` for what the provider would change."""
    try:
        rate = Decimal(text.replace(",", "."))
        if wire.SPEECH_RATE_MIN <= rate <= wire.SPEECH_RATE_MAX:
            return rate
    except InvalidOperation:
        pass
    raise RenderError(f"the speech rate is not between {wire.SPEECH_RATE_MIN} and {wire.SPEECH_RATE_MAX}")


def _said(text: Rendered) -> str:
    if isinstance(text, str):
        return text
    raise text


def _schedule(text: str, now: datetime) -> datetime:
    try:
        return read_schedule(text, now=now, zone=wire.TIME_ZONE)
    except ValueError as error:
        raise RenderError(str(error)) from error


def _columns_called(template: Template, header: Sequence[str], file: str) -> dict[str, str]:
    """The header of each variable. What is called and is no column stops the run before a row is read."""
    known = headers.variables(header)
    strangers = sorted(name for name in template.names if name not in known)
    strangers += sorted(f'row["{name}"]' for name in template.headers if name not in header)
    if strangers:
        raise InputError(
            f"{file}: the template uses {', '.join(strangers)}, and there is no such column.",
            hint=f"The columns are: {headers.listed(list(known))}",
        )
    for name in sorted(template.names):
        if len(known[name]) > 1:
            raise InputError(
                f"{file}: the template's {name} could be any of the columns {headers.listed(known[name])}.",
                hint=f'Say which: row["{known[name][0]}"]',
            )
    return {name: known[name][0] for name in template.names}
