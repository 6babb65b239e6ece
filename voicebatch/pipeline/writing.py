"""Writes each recipient's message: the template rendered with the row's cells, and the row's own settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch import headers, speech, wire
from voicebatch.errors import InputError
from voicebatch.models import Fault, Message
from voicebatch.schedules import read_schedule
from voicebatch.templates import MissingValue, RenderError, Template, distinct

if TYPE_CHECKING:
    from numpy.typing import NDArray

_OWN_SETTINGS: Final = ("lang", "speech_rate", "scheduled_date", "audio_token")
"""Columns that override the run's own value, row by row."""


class MessageWriter:
    """Renders rows into messages, each distinct one once. ``now`` decides which schedules are past.

    Raises ``UsageError`` for a template that is none.
    """

    def __init__(self, message: Message, *, now: datetime) -> None:
        self._message = message
        self._now = now
        self._template = _compile(message)
        self._codes: dict[Message, int] = {}
        self._texts: dict[str, int] = {}

    @property
    def messages(self) -> tuple[Message, ...]:
        """The distinct messages so far, by code."""
        return tuple(self._codes)

    def for_table(self, header: Sequence[str], *, file: str) -> TableWriter:
        """Ties the template to one table's columns. Raises ``InputError`` for a variable that is no column."""
        own = {name: found for name in _OWN_SETTINGS if (found := headers.column(header, name))}
        variables = _columns_called(self._template, header, file) if self._template else {}
        return TableWriter(writer=self, header=tuple(header), file=file, own=own, variables=variables)

    def code(self, message: Message) -> int:
        """The message's code: 0, 1, 2 … by first appearance."""
        return self._codes.setdefault(message, len(self._codes))

    def code_of_text(self, text: str) -> int:
        """The code of a message that is the run's own but for its text."""
        code = self._texts.get(text)
        if code is None:
            code = self._texts[text] = self.code(replace(self._message, text=text))
        return code

    def texts(self, values: Mapping[str, Any]) -> Any:
        """The texts of columns that are the template's variables, null where ``message_for`` has to tell."""
        if self._template is None or self._message.audio:
            return None
        return self._template.render_columns(values)

    def message_for(
        self, cells: Mapping[str, str | None], own: Mapping[str, str], values: Mapping[str, str]
    ) -> Message:
        """What one row's recipient hears. Raises ``MissingValue`` or ``RenderError``."""
        changes = self._own_settings({name: (cells[header] or "").strip() for name, header in own.items()})
        if changes.get("audio") or self._message.audio:
            heard = {name: changes[name] for name in ("audio", "schedule") if name in changes}
            return replace(self._message, text=None, **heard)  # language and rate are of a text only
        if self._template is None:
            raise RenderError("there is neither a text nor an audio token for it")
        text = self._template.render({name: cells[header] for name, header in values.items()}, cells)
        if "\0" in text:
            raise RenderError("the text holds a NUL character, which nobody can say")
        return replace(self._message, text=text, **changes)

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
    """A message writer for the columns of one table."""

    writer: MessageWriter
    header: tuple[str, ...]
    file: str
    own: Mapping[str, str]
    variables: Mapping[str, str]

    def write(self, rows: NDArray[np.int64], cells: Any) -> tuple[NDArray[np.int32], list[Fault]]:
        """Message codes for some rows (a record batch), -1 with a fault where there can be none.

        Every distinct combination of the cells that matter is rendered once.
        """
        used = self._columns_used()
        if not self.own and (texts := self._texts(rows, cells)) is not None:
            return texts
        groups, firsts = distinct([cells.column(header) for header in used], rows=len(rows))
        codes = np.full(len(firsts), -1, dtype=np.int32)
        errors: dict[int, MissingValue | RenderError] = {}
        for group, line in enumerate(cells.select(used).take(firsts).to_pylist() if used else [{}] * len(firsts)):
            try:
                codes[group] = self.writer.code(self.writer.message_for(line, self.own, self.variables))
            except (MissingValue, RenderError) as error:
                errors[group] = error
        unwritten = np.flatnonzero(codes[groups] < 0)
        return codes[groups], [self._fault(int(rows[at]), errors[int(groups[at])]) for at in unwritten]

    def _texts(self, rows: NDArray[np.int64], cells: Any) -> tuple[NDArray[np.int32], list[Fault]] | None:
        """As ``write``, of a plain template: a column at a time, and the few rows that need more care one by one."""
        texts = self.writer.texts({name: cells.column(header) for name, header in self.variables.items()})
        if texts is None:
            return None
        careful = pc.indices_nonzero(texts.is_null()).to_numpy()
        told: list[str | None] = []
        faults: list[Fault] = []
        for at, line in zip(careful, cells.select(self._columns_used()).take(careful).to_pylist(), strict=True):
            try:
                told.append(self.writer.message_for(line, self.own, self.variables).text)
            except (MissingValue, RenderError) as error:
                told.append(None)
                faults.append(self._fault(int(rows[at]), error))
        texts = pc.replace_with_mask(texts, texts.is_null(), pa.array(told, pa.string()))
        encoded = texts.dictionary_encode()
        codes = [self.writer.code_of_text(text) for text in encoded.dictionary.to_pylist()]
        of_rows = pa.array(codes, pa.int32()).take(encoded.indices)
        return pc.fill_null(of_rows, -1).to_numpy(), faults

    def _columns_used(self) -> list[str]:
        template = self.writer._template  # noqa: SLF001 # one thing in two halves
        if template is None:
            return list(dict.fromkeys(self.own.values()))
        if template.whole_row:
            return list(self.header)
        named = (headers.column(self.header, name) or name for name in template.headers)
        return sorted({*self.own.values(), *self.variables.values(), *named}, key=self.header.index)

    def _fault(self, row: int, error: MissingValue | RenderError) -> Fault:
        if isinstance(error, MissingValue):
            column = self.variables.get(error.name, error.name)
            reason = f"the template needs “{column}”, and the cell is empty"
            return Fault(file=self.file, row=row, column=column, check="missing_value", reason=reason)
        return Fault(file=self.file, row=row, column="", check="message", reason=str(error))


def read_speech_rate(text: str) -> Decimal:
    """A speech rate with a decimal point or comma. The caller checked its range."""
    return Decimal(text.replace(",", "."))


def _compile(message: Message) -> Template | None:
    if message.text is None:
        return None
    return Template.compile(message.text, filters=speech.FILTERS, functions=speech.FUNCTIONS)


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
