"""Targets broken on purpose: every one of them has to be found out."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from voicebatch.errors import InputError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fuzz.cases import Case


def _raise(case: Case, _folder: Path) -> bool:
    raise KeyError(case.suffix)


def _say_nothing(_case: Case, _folder: Path) -> bool:
    raise InputError(" ")


def _tell_a_number(_case: Case, _folder: Path) -> bool:
    raise InputError("04 65 71 12 34 is bad")


def _abort(_case: Case, _folder: Path) -> bool:
    os.abort()


def _turn_in_circles(_case: Case, _folder: Path) -> bool:
    while True:
        pass


def _take_all_memory(_case: Case, _folder: Path) -> bool:
    return bool(bytearray(4 << 30))


TARGETS: Final = {
    "text": _raise,
    "schema": _say_nothing,
    "template": _tell_a_number,
    "phones": _take_all_memory,
    "workbook": _abort,
    "parquet": _turn_in_circles,
}
