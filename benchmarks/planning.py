"""``voicebatch plan`` against the script that one would write: pandas, a loop, phonenumbers and Jinja2.

Both read the same CSV file, normalise the phone numbers, render the message and group the recipients by it. The script
checks no schema, explains no bad row and writes no file, so it does less.
"""

from __future__ import annotations

import os
import random
import sys
from pathlib import Path

from benchmarks.measuring import in_turn

TEMPLATE = "Bonjour {{ prenom }}, votre commande sera livrée {{ jour }} à {{ ville }}."
_FIRST_NAMES = [f"Prénom{number}" for number in range(400)]
_TOWNS = [f"Ville{number}" for number in range(30)]
_DAYS = ["lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi"]

_SCRIPT = """
import sys
import jinja2, pandas, phonenumbers
frame = pandas.read_csv(sys.argv[1], sep=";", dtype=str, encoding="utf-8")
template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(sys.argv[2])
batches = {}
for row in frame.to_dict("records"):
    try:
        number = phonenumbers.parse(row["telephone"], "FR")
    except phonenumbers.NumberParseException:
        continue
    if phonenumbers.is_valid_number(number):
        e164 = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
        batches.setdefault(template.render(row), set()).add(e164)
print(sum((len(numbers) + 499) // 500 for numbers in batches.values()))
"""


def plan(folder: Path, *, rows: int) -> str:
    """The claim with its figures."""
    data = folder / "recipients.csv"
    write_recipients(data, rows)
    environment = {**os.environ, "XDG_DATA_HOME": str(folder)}
    command = [sys.executable, "-m", "voicebatch", "plan", str(data), "--text", TEMPLATE, "--out", str(folder / "out")]
    script = [sys.executable, "-c", _SCRIPT, str(data), TEMPLATE]
    measured = in_turn(command, script, environment, runs=5)
    faster = [1 / ratio for ratio in measured.ratios]
    return (
        f"plan of {rows:,} rows: {measured.ours:.1f} s ({rows / measured.ours:,.0f} rows/s), the plain script "
        f"{measured.baseline:.1f} s. Of {len(faster)} pairs: {min(faster):.2f} to {max(faster):.2f} times its speed"
    )


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
