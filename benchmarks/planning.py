"""``voicebatch plan`` against a bare read of its file, and against the script that one would write.

The script reads with pandas, goes through the rows, reads each number with phonenumbers, renders with Jinja2, leaves
repeats out, groups by message and writes recipients.csv, as ``plan`` does. It checks no schema, gives no bad row back
and restores no zero, so it does less. Its loop is over ``iterrows``, as in most such scripts, or over dictionaries,
which is the fastest plain way. Its time goes with the rows: it is measured on a tenth of them, without its start-up.
"""

from __future__ import annotations

import os
import random
import statistics
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

import jinja2
import numpy as np
import pyarrow as pa

from benchmarks.measuring import Spent, calls_in_turn, process
from voicebatch.models import Message
from voicebatch.pipeline.writing import MessageWriter

TEMPLATE = "Bonjour {{ prenom }}, votre commande sera livrée {{ jour }} à {{ ville }}."
CONDITIONS = "{% if ville == 'Ville3' %}Bonjour{% else %}Salut{% endif %} {{ nom | upper }}, livraison {{ jour }}."
_FIRST_NAMES = [f"Prénom{number}" for number in range(400)]
_TOWNS = [f"Ville{number}" for number in range(30)]
_DAYS = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"]
_RUNS = 3

_SCRIPT = """
import csv, sys
import jinja2, pandas, phonenumbers
from phonenumbers import PhoneNumberFormat, PhoneNumberType
frame = pandas.read_csv(sys.argv[1], sep=";", dtype=str, encoding="utf-8")
template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(sys.argv[2])
batches, lines = {}, []
for number, row in enumerate(LOOP, 2):
    try:
        phone = phonenumbers.parse(row["telephone"], "FR")
    except phonenumbers.NumberParseException:
        lines.append((number, row["telephone"], "rejected"))
        continue
    if not phonenumbers.is_valid_number(phone) or phonenumbers.number_type(phone) == PhoneNumberType.PREMIUM_RATE:
        lines.append((number, row["telephone"], "rejected"))
        continue
    e164 = phonenumbers.format_number(phone, PhoneNumberFormat.E164)
    heard = batches.setdefault(template.render(row), set())
    lines.append((number, e164, "suppressed" if e164 in heard else "queued"))
    heard.add(e164)
with open(sys.argv[3], "w", newline="") as file:
    csv.writer(file).writerows(lines)
print(sum((len(numbers) + 499) // 500 for numbers in batches.values()))
"""

_LOOPS = {"iterrows": "(row for _, row in frame.iterrows())", "dictionaries": 'frame.to_dict("records")'}

_BARE_READ = """
import sys
from pyarrow import csv, string
names = csv.open_csv(sys.argv[1], parse_options=csv.ParseOptions(delimiter=";")).schema.names
with csv.open_csv(sys.argv[1], parse_options=csv.ParseOptions(delimiter=";"),
                  convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, string()))) as blocks:
    print(sum(len(block) for block in blocks))
"""


def plan(folder: Path, *, rows: int) -> str:
    """The claims with their figures."""
    data = folder / "recipients.csv"
    write_recipients(data, rows)
    environment = _environment(folder)
    read = [sys.executable, "-c", _BARE_READ, str(data)]
    pairs = [(_plan(folder, data, TEMPLATE), process(read, environment)) for _ in range(_RUNS + 1)][1:]
    ours = statistics.median(mine.seconds for mine, _ in pairs)
    reads = [mine.seconds / bare.seconds for mine, bare in pairs]
    megabytes = max(mine.megabytes for mine, _ in pairs)
    scripts = [f"{rows * _of_a_row(folder, loop, rows // 10) / ours:.0f} with {name}" for name, loop in _LOOPS.items()]
    return (
        f"plan of {rows:,} rows: {ours:.1f} s ({rows / ours:,.0f} rows/s; at least 100,000), {megabytes:.0f} MB. "
        f"{statistics.median(reads):.1f} times a bare Arrow read of the file with its own start-up (at most 12; of "
        f"{len(reads)} pairs {min(reads):.1f} to {max(reads):.1f}). "
        f"Times as fast as the plain script (at least 20): {', '.join(scripts)}"
    )


def _of_a_row(folder: Path, loop: str, rows: int) -> float:
    """Seconds that the plain script takes for a row."""
    seconds = []
    for count in (1, rows):
        data = folder / "some.csv"
        write_recipients(data, count)
        script = [sys.executable, "-c", _SCRIPT.replace("LOOP", loop), str(data), TEMPLATE, str(folder / "script.csv")]
        seconds.append(process(script, _environment(folder)).seconds)
    return (seconds[1] - seconds[0]) / (rows - 1)


def long_plan(folder: Path, *, rows: int) -> str:
    """The claim about memory, with its figures."""
    data = folder / "long.csv"
    write_recipients(data, rows)
    ours = _plan(folder, data, TEMPLATE)
    data.unlink()
    return (
        f"plan of {rows:,} rows: {ours.seconds:.0f} s ({rows / ours.seconds:,.0f} rows/s), "
        f"{ours.megabytes:.0f} MB (at most 1,000 for ten million)"
    )


def texts(rows: int) -> str:
    """Rendering a template with a condition and a filter, each row another text, against Jinja2 alone in a loop."""
    cells = pa.RecordBatch.from_pydict(
        {
            "nom": [f"Nom{number}" for number in range(rows)],
            "ville": [_TOWNS[number % 30] for number in range(rows)],
            "jour": [_DAYS[number % 6] for number in range(rows)],
        }
    )
    lines, numbers = cells.to_pylist(), np.arange(rows)
    bare = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False).from_string(CONDITIONS)  # noqa: S701

    def ours() -> None:
        writer = MessageWriter(Message(text=CONDITIONS), now=datetime(2027, 3, 1, tzinfo=UTC))
        with writer.for_table(cells.schema.names, file="") as table:
            keys, _ = table.write(numbers, cells, np.ones(rows, np.bool_), table.plain_texts(cells))
        writer.book.add(keys)
        _, messages = writer.book.finish()
        assert len(messages) == rows

    def jinja2_alone() -> None:
        assert len({bare.render(line) for line in lines}) == rows

    clock, _ = calls_in_turn(ours, jinja2_alone, runs=_RUNS)
    return (
        f"{rows:,} distinct texts with a condition: {clock.ours:.1f} s ({rows / clock.ours:,.0f} texts/s), "
        f"Jinja2 alone on one core {clock.baseline:.1f} s. {clock.spread} times its time"
    )


def _plan(folder: Path, data: Path, template: str) -> Spent:
    command = [sys.executable, "-m", "voicebatch", "plan", str(data), "--text", template, "--out", str(folder / "out")]
    return process(command, _environment(folder))


def _environment(folder: Path) -> Mapping[str, str]:
    return {**os.environ, "XDG_DATA_HOME": str(folder)}


def write_recipients(path: Path, rows: int) -> None:
    """A French export with eight columns: 2 % of the numbers are bad, and the spellings vary."""
    source = random.Random(20_260_301)  # noqa: S311 # data, not secrets
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("nom;prenom;telephone;ville;jour;code postal;reference;remarque\r\n")
        for number in range(rows):
            cells = (f"Nom{number}", source.choice(_FIRST_NAMES), _phone(source, number), source.choice(_TOWNS))
            file.write(";".join((*cells, source.choice(_DAYS), "69001", f"R{number:08d}", "")) + "\r\n")


def _phone(source: random.Random, number: int) -> str:
    digits = source.choice((f"6{12_000_000 + number}", f"7{50_000_000 + number}"))
    if source.random() < 0.02:
        return f"0{digits[:6]}"
    spelling = source.randrange(3)
    return (f"0{digits}", f"+33{digits}", f"0{digits[0]} " + " ".join(digits[at : at + 2] for at in (1, 3, 5, 7)))[
        spelling
    ]
