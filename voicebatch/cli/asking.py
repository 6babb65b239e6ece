"""Asks before anything that cannot be taken back, and only a person."""

from __future__ import annotations

import sys

import click

from voicebatch.errors import UsageError


def refuse_unasked(*, yes: bool, otherwise: str) -> None:
    """Raises ``UsageError`` when somebody has to be asked and nobody is there; ``otherwise`` is what then holds."""
    if not yes and not sys.stdin.isatty():
        raise UsageError(f"There is no terminal to ask on. {otherwise}", hint="To do it without being asked: --yes")


def ask(question: str, *, otherwise: str) -> None:
    """Raises ``UsageError`` when the answer is no."""
    if not click.confirm(question, err=True):
        raise UsageError(otherwise)
