"""Calls a spreadsheet of people: nobody twice, nobody forgotten, and an exact cost report.

    plan = voicebatch.plan(["people.csv"], voicebatch.Message(text="Bonjour {{ prenom }}"))
    summary = voicebatch.send(plan)

The command line is a thin layer over this. Nothing heavy is imported before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from voicebatch.app import plan, report, resume, send, validate
    from voicebatch.errors import (
        AccountError,
        GuardError,
        InputError,
        Interrupted,
        LedgerError,
        RefusedError,
        UnknownError,
        UsageError,
        VoicebatchError,
    )
    from voicebatch.models import Message, RunSummary
    from voicebatch.pipeline.plan import Plan

_HOMES = {
    **dict.fromkeys(("plan", "report", "resume", "send", "validate"), "voicebatch.app"),
    **dict.fromkeys(("Message", "RunSummary"), "voicebatch.models"),
    "Plan": "voicebatch.pipeline.plan",
    **dict.fromkeys(
        ("AccountError", "GuardError", "InputError", "Interrupted", "LedgerError", "RefusedError", "UnknownError",
         "UsageError", "VoicebatchError"),
        "voicebatch.errors",
    ),
}  # fmt: skip

__all__ = [
    "AccountError", "GuardError", "InputError", "Interrupted", "LedgerError", "Message", "Plan", "RefusedError",
    "RunSummary", "UnknownError", "UsageError", "VoicebatchError", "plan", "report", "resume", "send", "validate",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    """Imports a public name from its home when it is first asked for (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return __all__
