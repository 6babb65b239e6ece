"""The sample data: what a newcomer tries first must read as the documentation shows it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from voicebatch.headers import find_phone_column, variables
from voicebatch.readers import open_sources

Read = Callable[..., dict[int, tuple[str | None, ...]]]

SAMPLES = Path(__file__).parents[2] / "sample_data"


@pytest.mark.parametrize("ending", ["csv", "xlsx", "parquet"])
def test_the_appointments_are_the_same_in_every_format(rows: Read, ending: str) -> None:
    appointments = rows(SAMPLES / f"rendez-vous.{ending}")
    assert appointments == rows(SAMPLES / "rendez-vous.csv")
    assert list(appointments) == list(range(2, 62))


def test_the_appointments_are_what_a_clinic_exports() -> None:
    (source,) = open_sources(SAMPLES / "rendez-vous.csv")
    assert source.form == "CSV, semicolon, Windows-1252"
    assert find_phone_column(source.header, wanted=None, where=source.name) == "Téléphone"
    assert {"prenom", "praticien", "date_du_rendez_vous", "heure", "lang"} <= set(variables(source.header))


def test_the_optout_list_holds_three_numbers(rows: Read) -> None:
    assert len(rows(SAMPLES / "opposition.csv", has_header=None)) == 3
