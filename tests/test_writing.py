"""Messages of whole columns at once are those of one row after another."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebatch.models import NUMBERS_APART, Message, batch_ids, digest
from voicebatch.pipeline.messages import MessageBook
from voicebatch.pipeline.rendering import compile_text
from voicebatch.pipeline.writing import MessageWriter
from voicebatch.templates import MissingValue, RenderError

NOW = datetime(2027, 3, 1, 9, 0, tzinfo=UTC)
CELLS = st.one_of(
    st.none(),
    st.sampled_from(["Zoé", "a", " a", "a ", "a  b", "a\u00a0b", "a\nb", "\x1c", "\x85", "\u3000b", "\0", "{{ b }}"]),
    st.text(st.characters(codec="utf-8"), min_size=1, max_size=5),
).map(lambda cell: cell if cell and cell.strip() else None)  # as readers give them
TEMPLATES = [
    "{{ a }}",
    " {{ a }}\n",
    "Bonjour  {{ a }},\n votre {{ b }}{{ a }} \u00a0 ! ",
    "\n{{ a }} {{ b }}",
    "{{ a }}\x1c{{ b }}\t",
]


@pytest.mark.parametrize("at_once", [True, False])
@pytest.mark.parametrize("template", TEMPLATES)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_columns_give_what_rows_give(
    template: str, rows: list[tuple[str | None, str | None]], *, at_once: bool
) -> None:
    writer, numbers = MessageWriter(Message(text=template), now=NOW), np.arange(2, 2 + len(rows))
    cells = pa.RecordBatch.from_pydict({"a": [a for a, _ in rows], "b": [b for _, b in rows], "c": [None] * len(rows)},
                                       pa.schema([(name, pa.string()) for name in "abc"]))  # fmt: skip
    with writer.for_table(("a", "b", "c"), file="f.csv") as table:
        everyone = np.ones(len(rows), np.bool_)
        keys, faults = table.write(numbers, cells, everyone, table.plain_texts(cells) if at_once else None)
    writer.book.add(keys)
    codes, messages = writer.book.finish()
    expected: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for number, (a, b) in zip(numbers.tolist(), rows, strict=True):
        try:
            expected[number] = said(template, {"a": a, "b": b})
        except MissingValue as error:
            reasons[number] = f"the template needs “{error.name}”, and the cell is empty"
        except RenderError as error:
            reasons[number] = str(error)
    texts = {row: messages[code].text for row, code in zip(numbers.tolist(), codes.tolist(), strict=True) if code >= 0}
    assert (texts, {fault.row: fault.reason for fault in faults}) == (expected, reasons)
    assert [message.text for message in messages] == list(dict.fromkeys(expected.values()))


def said(template: str, values: dict[str, str | None]) -> str:
    text = compile_text(template).render(values, {})
    if "\0" in text:
        raise RenderError("the text holds a NUL character, which nobody can say")
    return text


@given(texts=st.lists(st.text(st.characters(codec="utf-8")), max_size=5), rate=st.sampled_from(["1", "1.50", "0.5"]))
def test_ids_of_many_texts_are_those_of_one_message_after_another(texts: list[str], rate: str) -> None:
    lang, shown = '"text":0', f"{Decimal(rate).normalize():f}"  # as if it were the place of the text
    settings_of_all = Message(lang=lang, speech_rate=Decimal(rate), schedule=NOW)
    heard = [digest("voice-sms", {"text": text, "lang": lang, "rate": shown}, NOW.isoformat()) for text in texts]
    assert settings_of_all.ids(texts) == [replace(settings_of_all, text=text).id for text in texts] == heard


def test_a_batch_is_known_by_its_run_its_message_and_its_numbers() -> None:
    numbers = ["+33600000001", "+33600000002"]
    assert batch_ids("r", ["m"], [NUMBERS_APART.join(numbers)]) == [digest("r", "m", numbers)]


def test_messages_keep_their_codes_however_many_are_told_apart_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicebatch.pipeline.messages._AT_ONCE", 2)
    book = MessageBook(Message(text="{{ a }}"))
    late = book.key(Message(text="a", schedule=NOW))
    for keys in (["b", "a", None], [late, "b"], [None, None], ["c", late, "a"]):
        book.add(pa.array(keys, pa.string()))
    codes, messages = book.finish()
    assert codes.tolist() == [0, 1, -1, 2, 0, -1, -1, 3, 2, 1]
    assert list(messages) == [Message(text="b"), Message(text="a"), Message(text="a", schedule=NOW), Message(text="c")]
    assert messages.ids(codes[codes >= 0]) == [messages[code].id for code in codes.tolist() if code >= 0]


def test_a_text_of_bad_rows_alone_is_no_message() -> None:
    writer, good = MessageWriter(Message(text="{{ a }}"), now=NOW), np.array([False, True, True])
    cells = pa.RecordBatch.from_pydict({"a": ["bad", "b", "a"]})
    with writer.for_table(("a",), file="f.csv") as table:
        keys, faults = table.write(np.arange(3), cells, good, table.plain_texts(cells))
    writer.book.add(keys)
    codes, messages = writer.book.finish()
    assert (codes.tolist(), [message.text for message in messages], faults) == ([-1, 0, 1], ["b", "a"], [])
