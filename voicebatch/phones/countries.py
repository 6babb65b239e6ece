"""Countries and their calling codes."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import phonenumbers
import pyarrow as pa
import pyarrow.compute as pc

from voicebatch.phones.country_names import NAMES

CALLING_CODES: Final = frozenset(str(code) for code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE)


def known_region(region: str) -> bool:
    """Whether numbers can be read as those of this country (two capital letters, ISO 3166)."""
    return region in phonenumbers.SUPPORTED_REGIONS


def calling_code(e164: str) -> str:
    """The calling code of a number in E.164: ``33`` of ``+33612345678``; empty when there is no such code."""
    return _code_of_beginning(e164[1:4])


@lru_cache(maxsize=1000)
def _code_of_beginning(digits: str) -> str:
    return next((digits[:end] for end in (1, 2, 3) if digits[:end] in CALLING_CODES), "")


def calling_codes(e164: pa.Array | pa.ChunkedArray) -> pa.Array:
    """The calling code of every number; null where the number is null or has none."""
    beginnings = pc.utf8_slice_codeunits(e164.cast(pa.string()), 1, 4)
    encoded = (
        beginnings.combine_chunks() if isinstance(beginnings, pa.ChunkedArray) else beginnings
    ).dictionary_encode()
    codes = [_code_of_beginning(beginning) or None for beginning in encoded.dictionary.to_pylist()]
    return pa.array(codes, pa.string()).take(encoded.indices)


def main_region(calling_code: str) -> str:
    """The country that a calling code stands for: ``FR`` for ``33``; empty when there is no one country."""
    regions = phonenumbers.COUNTRY_CODE_TO_REGION_CODE.get(int(calling_code)) if calling_code.isdecimal() else None
    return "" if regions is None or regions[0] == "001" else str(regions[0])


def country_name(region: str) -> str:
    """The English name of a country: ``France`` for ``FR``; empty when unknown."""
    return NAMES.get(region, "")
