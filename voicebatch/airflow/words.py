"""Our errors as Airflow understands them: what is skipped, what is tried again, and what only a person can mend."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal

from airflow.providers.common.compat.sdk import AirflowException, AirflowFailException, AirflowSkipException

from voicebatch.errors import KeyTakenError, NothingToSendError, UnknownError, VoicebatchError

IfEmpty = Literal["skip", "fail"]

_NO_RETRY: Final = (UnknownError, KeyTakenError)
"""What a retry cannot change: somebody has to decide."""

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


def _exception(error: VoicebatchError, if_empty: IfEmpty) -> type[Exception]:
    if isinstance(error, NothingToSendError) and if_empty == "skip":
        return AirflowSkipException
    return AirflowFailException if isinstance(error, _NO_RETRY) else AirflowException


def _message(error: VoicebatchError, names: Mapping[str, str]) -> str:
    text = "\n".join(line for line in (error.message, error.hint) if line)
    for path, name in names.items():
        text = text.replace(path, name)
    lines = [line if _COMMAND in line else _OPTION.sub(_argument, line) for line in text.splitlines()]
    if _COMMAND in text:
        lines.append(_LEDGER)
    return "\n".join(lines)


def _argument(option: re.Match[str]) -> str:
    """``--max-invalid`` is ``max_invalid`` here."""
    return option[1].replace("-", "_")
