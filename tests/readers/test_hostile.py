"""Files that are made to harm: each ends in a sentence, in memory that does not grow with them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

MOST: Final = 640 << 10  # KiB in memory at any time, the libraries included
HUGE: Final = 600 << 20  # bytes

READ: Final = """
import json, resource, sys
from pathlib import Path
import voicebatch
from voicebatch.errors import InputError
from voicebatch.headers import find_phone_column
from voicebatch.readers import open_sources

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # a mistake must not bring down the machine
told = {}
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        rows = 0
        for source in open_sources(path):
            find_phone_column(source.header, wanted=None, where=source.name)
            rows += sum(len(batch.numbers) for batch in source.batches())
        told[path.name] = f"{rows} rows"
    except InputError as error:
        assert error.hint
        told[path.name] = error.message
status = Path("/proc/self/status").read_text()
print(json.dumps({"told": told, "most": int(status.split("VmHWM:")[1].split()[0])}))
"""


def sparse(beginning: bytes) -> Callable[[Path], None]:
    """NULs that take no room on the disk."""

    def write(path: Path) -> None:
        path.write_bytes(beginning)
        with path.open("r+b") as file:
            file.truncate(HUGE)

    return write


def endless(beginning: bytes, again: bytes, *, size: int = 16 << 20) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        piece = again * max((1 << 20) // len(again), 1)
        with path.open("wb") as file:
            file.write(beginning)
            for _ in range(size // len(piece)):
                file.write(piece)

    return write


def parquet(table: Callable[[], pa.Table], **options: object) -> Callable[[Path], None]:
    return lambda path: pq.write_table(table(), path, **options)


def one_text(*, length: int, rows: int) -> pa.Table:
    text = pa.DictionaryArray.from_arrays(pa.array([0] * rows, pa.int32()), pa.array(["x" * length]))
    return pa.table({"tel": pa.array(["0465710001"] * rows), "text": text})


HOSTILE: Final[dict[str, tuple[Callable[[Path], None], str]]] = {
    "nothing but NULs.csv": (sparse(b""), "is not a text file"),
    "NULs after a row.csv": (sparse(b"nom;tel\nA;0465710001\n"), "is not a text file: there is a NUL in line 3"),
    "one line.csv": (endless(b"", b"a"), "is longer than 4,194,304 characters"),
    "one line in UTF-16.csv": (endless(b"\xff\xfe", b"a\0"), "is longer than 4,194,304 characters"),
    "one cell.csv": (endless(b"nom;tel\nA;", b"0"), "is longer than 4,194,304 characters"),
    "one cell further down.csv": (endless(b"nom;tel\n" + b"A;0465710001\n" * 90_000, b"0", size=64 << 20), "row 90002"),
    "an endless quoted cell.csv": (endless(b'nom;tel\nA;"', b"0465710001\n"), "row 2 cannot be read"),
    "a cell of quotes.csv": (endless(b"nom;tel\nA;", b'""'), "is longer than 4,194,304 characters"),
    "a million columns.csv": (endless(b"tel", b";x", size=2_000_000), "row 1 has 524,289 cells"),
    "a million empty columns.csv": (endless(b"nom;tel\nA;0465710001", b";", size=2 << 20), "1 rows"),
    "rows of a million cells.csv": (
        endless(b"nom;tel\n", b"A;0465710001\n" + b";x" * 1_000_000 + b"\n", size=8 << 20),
        "row 3 has 1,000,001 cells",
    ),
    "only line ends.csv": (endless(b"", b"\n", size=9 << 20), "more than 1,048,576 blank rows"),
    "only delimiters.csv": (endless(b"tel\n", b";;;;;;;\n", size=9 << 20), "below row 1 are more than"),
    "one long text.parquet": (
        parquet(lambda: pa.table({"tel": ["0" * (130 << 20)]}), use_dictionary=False, write_statistics=False),
        "unfolds to more than people's data can be",
    ),
    "a text too long.parquet": (parquet(lambda: one_text(length=200_000, rows=10)), "longer than 131,072 bytes"),
    "a long text in every row.parquet": (
        parquet(lambda: one_text(length=100_000, rows=60_000)),
        "unfolds to more than people's data can be",
    ),
    "a text of some length in every row.parquet": (parquet(lambda: one_text(length=5_000, rows=60_000)), "60000 rows"),
    "too many columns.parquet": (
        parquet(lambda: pa.table({f"c{number}": pa.nulls(1) for number in range(17_000)})),
        "has 17,000 columns",
    ),
    "too many rows.parquet": (parquet(lambda: pa.table({"tel": pa.nulls(100_000_001)})), "has 100,000,001 rows"),
}


@pytest.fixture(scope="module")
def read(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """What one process says of all these files, and how much memory it took."""
    folder = tmp_path_factory.mktemp("hostile")
    for name, (write, _) in HOSTILE.items():
        write(folder / name)
    ended = subprocess.run([sys.executable, "-c", READ, str(folder)], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    yield json.loads(ended.stdout)
    for path in folder.iterdir():
        path.unlink()


@pytest.mark.parametrize("name", HOSTILE)
def test_a_file_that_is_made_to_harm_ends_in_a_sentence(read: dict[str, Any], name: str) -> None:
    assert HOSTILE[name][1] in read["told"][name]


def test_no_file_takes_more_memory_than_an_honest_one(read: dict[str, Any]) -> None:
    assert read["most"] < MOST
