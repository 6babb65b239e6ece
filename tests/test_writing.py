"""Messages of whole columns at once are those of one row after another."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from voicebatch.models import Message
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


@pytest.mark.parametrize("template", TEMPLATES)
@given(rows=st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12))
@settings(max_examples=60, deadline=None)
def test_columns_give_what_rows_give(template: str, rows: list[tuple[str | None, str | None]]) -> None:
    writer = MessageWriter(Message(text=template), now=NOW)
    cells = pa.RecordBatch.from_pydict({"a": [a for a, _ in rows], "b": [b for _, b in rows], "c": [None] * len(rows)},
                                       pa.schema([(name, pa.string()) for name in "abc"]))  # fmt: skip
    table = writer.for_table(("a", "b", "c"), file="f.csv")
    codes, faults = table.write(np.arange(2, 2 + len(rows)), cells)
    expected: dict[int, str] = {}
    reasons: dict[int, str] = {}
    for number, (a, b) in enumerate(rows, 2):
        try:
            expected[number] = str(writer.message_for({"a": a, "b": b, "c": None}, {}, table.variables).text)
        except MissingValue as error:
            reasons[number] = f"the template needs “{error.name}”, and the cell is empty"
        except RenderError as error:
            reasons[number] = str(error)
    texts = {
        row: writer.messages[code].text for row, code in zip(range(2, 2 + len(rows)), codes, strict=True) if code >= 0
    }
    assert (texts, {fault.row: fault.reason for fault in faults}) == (expected, reasons)
    assert [message.text for message in writer.messages] == list(dict.fromkeys(expected.values()))
