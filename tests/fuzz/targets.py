"""What inputs are given to, and the law: our own error with a message, or a result in which every row is once."""

from __future__ import annotations

import base64
import contextlib
import csv
import io
import json
import re
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any, Final

import pyarrow as pa

import voicebatch
from tests.fuzz import tokens
from voicebatch import phones, speech
from voicebatch.app import SystemClock
from voicebatch.errors import VoicebatchError
from voicebatch.models import Fault, RowStatus
from voicebatch.pipeline.grouping import grouped
from voicebatch.pipeline.opt_outs import read_opt_outs
from voicebatch.readers import Source, blocks, open_sources
from voicebatch.templates import MissingValue, RenderError, Template
from voicebatch.validation import explain, load_schema

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.cases import Case
    from voicebatch.readers import Rows

Target = Callable[["Case", "Path"], bool]
"""Gets an input, and a folder for its files; whether it was accepted. Whatever it raises is a failure."""

_A_NUMBER: Final = re.compile(r"4\D?65\D?71\D?\d\d\D?\d\d(?!\d)")  # such as stand in the seeds
_WELL_FORMED = "_is_well_formed"
SMALL: Final = {"_BLOCK": 256, "_FEW": 64}
"""Sizes for ``blocks``, so that small files are cut up as large ones are."""


class _Noon(SystemClock):
    def now(self) -> datetime:
        return datetime(2027, 3, 1, 12, tzinfo=UTC)


def run(case: Case, folder: Path, targets: Mapping[str, Target]) -> bool:
    """Gives a case to its target; whether it was accepted. What breaks the law is raised."""
    try:
        return targets[case.target](case, folder)
    except VoicebatchError as error:
        _hold_to_the_law(error)
        return False


def _hold_to_the_law(error: VoicebatchError) -> None:
    assert error.message.strip(), "an error without a message"
    assert not _A_NUMBER.search(f"{error.message} {error.hint}"), f"a phone number in: {error.message} {error.hint}"


def _can_be_shown(faults: Iterable[Fault]) -> None:
    """Reasons may quote a cell, and are for reports; the sentences made of them are for the screen."""
    for group in grouped(faults):
        assert group.sentence.strip(), "a fault without a sentence"
        assert not _A_NUMBER.search(group.sentence), f"a phone number in: {group.sentence}"


def _file(case: Case, folder: Path) -> Path:
    path = folder / f"input{case.suffix}"
    path.write_bytes(case.content)
    return path


# Reading


def read(case: Case, folder: Path) -> bool:
    """Every row of every table, in its order and once."""
    sources = open_sources(_file(case, folder), **case.options)
    for source in sources:
        told = _told(source.batches())
        numbers = [number for number, _ in told]
        assert numbers == sorted(set(numbers)), f"rows out of order: {numbers}"
        if source.origin.codec and source.origin.header_row:
            assert told == _by_csv(source), "the fast path and the slow one differ"
    return bool(sources)


def _told(batches: Iterator[Rows]) -> list[tuple[int, Any]]:
    told: list[tuple[int, Any]] = []
    for rows in batches:
        numbers = rows.numbers.tolist()
        assert rows.faults.keys() <= set(numbers), "a fault of no row"
        cells = zip(*(column.to_pylist() for column in rows.cells.columns), strict=True)
        told += [(n, (row, rows.faults.get(n, ""))) for n, row in zip(numbers, cells, strict=True)]
    return told


def _by_csv(source: Source) -> list[tuple[int, Any]]:
    """The rows as Python's csv module reads all of them."""
    is_well_formed = blocks._is_well_formed
    setattr(blocks, _WELL_FORMED, lambda *_: False)
    try:
        return _told(source.batches())
    finally:
        setattr(blocks, _WELL_FORMED, is_well_formed)


def opt_outs(case: Case, folder: Path) -> bool:
    """An entry has a number and a place."""
    found = read_opt_outs(_file(case, folder), region=case.options["region"])
    assert len(found.numbers) == len(found.rows) == len(found.sources)
    assert all(found.reason(entry) for entry in range(len(found.numbers)))
    return True


# The whole pipeline


def _options(case: Case, folder: Path) -> dict[str, Any]:
    """The options of ``validate`` and ``plan``; those that are files become files."""
    options = {**case.options, "out": folder / "out", "clock": _Noon()}
    if "schema" in options:
        options["schema"] = folder / "schema.yaml"
        options["schema"].write_text(case.options["schema"], "utf-8", "replace")
    if "suppress" in options:
        options["suppress"] = [folder / "opposition.txt"]
        options["suppress"][0].write_bytes(base64.b64decode(case.options["suppress"]))
    return options


def validate(case: Case, folder: Path, *, annotate: bool = False) -> bool:
    """Every row that is read is counted, and every bad one is given back."""
    path = _file(case, folder)
    shutil.rmtree(folder / "out", ignore_errors=True)
    result = voicebatch.validate([path], annotate=annotate, **_options(case, folder))
    _can_be_shown(result.faults)
    bad = {(fault.file, fault.row) for fault in result.faults}
    assert result.rows.rejected == len(bad), f"{result.rows.rejected} rejected, {len(bad)} with a fault"
    assert result.rows.total == sum(file.rows for file in result.files) == _rows_of(path, case)
    text = (result.report_dir / "rejected.csv").read_text("utf-8-sig")
    given_back = list(csv.DictReader(io.StringIO(text, newline="")))
    assert len(given_back) == len(result.faults), f"{len(result.faults)} faults, {len(given_back)} given back"
    assert bool(result.annotated) <= bool(bad)
    for copy in result.annotated:
        assert copy.stat().st_size
    return True


def _rows_of(path: Path, case: Case) -> int:
    how: dict[str, Any] = {name: case.options.get(name) for name in ("phone_column", "sheet", "delimiter", "encoding")}
    how["delimiter"] = "\t" if how["delimiter"] in {"\\t", "tab"} else how["delimiter"]
    return sum(len(rows.numbers) for source in open_sources(path, **how) for rows in source.batches())


def plan(case: Case, folder: Path) -> bool:
    """Every row has one status, every one that is not called a reason, and the requests hold the others."""
    path, options = _file(case, folder), _options(case, folder)
    message = voicebatch.Message(text=options.pop("text"), lang=options.pop("lang", "fr"))
    made = voicebatch.plan([path], message, sandbox=True, ledger=str(folder / "none.sqlite"), **options)
    lines = list(made.lines())
    counts, statuses = made.counts, Counter(line.status for line in lines)
    assert len(lines) == counts.total == len({(line.file, line.row) for line in lines}) == _rows_of(path, case)
    assert statuses[RowStatus.QUEUED] == counts.queued == sum(len(batch.numbers) for batch in made.batches())
    assert (statuses[RowStatus.REJECTED], statuses[RowStatus.SUPPRESSED]) == (counts.rejected, counts.suppressed)
    assert sum(statuses.values()) == counts.queued + counts.rejected + counts.suppressed
    assert all(line.batch_id and line.phone for line in lines if line.status is RowStatus.QUEUED)
    assert all(line.reason for line in lines if line.status is not RowStatus.QUEUED)
    _can_be_shown(made.intake.faults)
    made.rejected_csv()
    return True


# The parts


def schema(case: Case, _folder: Path) -> bool:
    """A schema that is accepted can be explained."""
    loaded = load_schema(case.content.decode(), name="schema.yaml")
    assert loaded.columns
    assert explain(loaded)
    return True


def template(case: Case, _folder: Path) -> bool:
    """A template that is accepted says something, or why not."""
    made = Template.compile(case.content.decode(), filters=speech.FILTERS, functions=speech.FUNCTIONS)
    rng = Random(case.options["seed"])  # noqa: S311 # the same every time
    headers = (*made.names, *made.headers, "nom")
    for _ in range(2):
        values = {name: rng.choice((*tokens.CELLS, None)) for name in headers}
        with contextlib.suppress(MissingValue, RenderError):
            text = made.render(values, values)
            assert text == " ".join(text.split()) != ""
    return True


def phone(case: Case, _folder: Path) -> bool:
    """The column is read as its cells are one by one: each gives a number or a sentence."""
    cells, region = json.loads(case.content), case.options["region"]
    column = phones.normalise(pa.array(cells, pa.string()), region=region)
    one_by_one = [phones.read(cell, region=region) for cell in cells]
    assert column.e164.to_pylist() == [one if isinstance(one, str) else None for one in one_by_one]
    assert dict(column.faults) == {at: one for at, one in enumerate(one_by_one) if not isinstance(one, str)}
    assert all(re.fullmatch(r"\+[1-9]\d{6,17}", one) for one in column.e164.to_pylist() if one), "no number"
    _can_be_shown(
        Fault(file="", row=at, column="", check=fault.check, reason=fault.reason) for at, fault in column.faults.items()
    )
    return bool(column.e164.null_count < len(cells))


TARGETS: Final[Mapping[str, Target]] = {
    "text": read,
    "workbook": read,
    "parquet": read,
    "opt_outs": opt_outs,
    "validate": validate,
    "annotate": partial(validate, annotate=True),
    "plan": plan,
    "schema": schema,
    "template": template,
    "phones": phone,
}
