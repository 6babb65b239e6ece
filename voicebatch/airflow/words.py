"""Our errors as Airflow understands them: what is skipped, what is tried again, and what only a person can mend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, Literal, get_args

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from voicebatch.errors import (
    AccountError,
    GuardError,
    LedgerError,
    NoSuchFileError,
    NothingToSendError,
    UnknownError,
    UsageError,
    VoicebatchError,
)

IfEmpty = Literal["skip", "fail"]

_NO_RETRY: Final = (UnknownError, UsageError)
"""What a retry cannot change: somebody has to decide, or the DAG is wrong."""

_GO_ON: Final = (AccountError, GuardError, LedgerError)
"""What left somebody queued."""

_COMMAND: Final = "voicebatch "
_OPTION: Final = re.compile(r"--([a-z][a-z-]+)")
_LEDGER: Final = "Commands need VOICEBATCH_LEDGER, set to the ledger of the connection."


@contextmanager
def in_airflows_words(*, if_empty: IfEmpty = "fail", names: Mapping[str, str] | None = None) -> Iterator[None]:
    """Raises Airflow's exceptions for ours. The message ends with what to do next, and so does the task's log.

    ``names`` are what people call the files that it may speak of, by their paths.
    """
    try:
        yield
    except VoicebatchError as error:
        raised = _exception(error, if_empty)(_message(error, names or {}))
    else:
        return
    raise raised from None  # the other traceback is about the code, and this about the data


def one_of(choices: Any, name: str, given: Any) -> Any:
    """The argument, if it is one of a ``Literal``'s. Raises ``ValueError``: a DAG with another one is not imported."""
    if given not in get_args(choices):
        raise ValueError(f"{name}={given!r} is none of {', '.join(map(repr, get_args(choices)))}")
    return given


def _exception(error: VoicebatchError, if_empty: IfEmpty) -> type[Exception]:
    if isinstance(error, NothingToSendError) and if_empty == "skip":
        return AirflowSkipException
    is_for_good = isinstance(error, _NO_RETRY) and not isinstance(error, NoSuchFileError)
    return AirflowFailException if is_for_good else AirflowException


def _message(error: VoicebatchError, names: Mapping[str, str]) -> str:
    text = "\n".join(line for line in (error.message, error.hint) if line)
    for path, name in names.items():
        text = text.replace(path, name)
    lines = [in_arguments(line) for line in text.splitlines()]
    if _COMMAND in text:
        lines.append(_LEDGER)
    if isinstance(error, _GO_ON):
        lines.append(
            "In Airflow: when the cause is gone, a retry or a clear of the task goes on with who is still queued."
        )
    return "\n".join(lines)


def in_arguments(line: str) -> str:
    """``--max-invalid`` is ``max_invalid`` here, unless it belongs to a command."""
    before, command, after = line.partition(_COMMAND)
    here = _OPTION.sub(lambda option: option[1].replace("-", "_"), before)
    return here.replace("type the same command again", "clear the task") + command + after
