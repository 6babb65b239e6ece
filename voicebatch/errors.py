"""Every way that voicebatch fails, grouped by what to do next.

VoicebatchError
├── UsageError          2   wrong options, missing file or key: correct the command
│   ├── NoSuchFileError     a file is not there: check the path, or wait for it
│   └── KeyTakenError       the key stands for other content: take another one
├── InputError          3   the input was not accepted: correct the file; nothing was sent
│   └── NothingToSendError  nobody is left to call: nothing to correct
├── RefusedError        4   finished, and the provider refused some recipients: look at their reasons
├── UnknownError        5   finished, and some outcomes are unknown: settle them before anything else
├── AccountError        6   the account stopped the run: settle it with the provider, then resume
├── GuardError          7   a guard stopped the run: lift it or mend its cause, then resume
├── LedgerError         8   the ledger cannot be used: nothing is sent without it
└── Interrupted  130, 143   a signal: resume
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from voicebatch.models import RowCounts, RunSummary


class VoicebatchError(Exception):
    """What happened, where, and (``hint``) what to type next.

    ``exit_code`` and ``kind`` are what the command line exits with and prints in its JSON; ``rows``, ``report_dir``,
    ``annotated``, ``summary`` and ``figures`` (more for the JSON) tell how far the work got.
    """

    exit_code: ClassVar[int] = 1
    kind: ClassVar[str] = "internal"

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.rows: RowCounts | None = None
        self.report_dir: str | None = None
        self.annotated: list[str] | None = None
        self.summary: RunSummary | None = None
        self.figures: Mapping[str, Any] = {}


class UsageError(VoicebatchError):
    """The command or the configuration is wrong. Nothing was read or sent."""

    exit_code = 2
    kind = "usage"


class NoSuchFileError(UsageError):
    """A file is not there. It may come: whoever waits for it tries again."""


class KeyTakenError(UsageError):
    """The key stands for other content in the ledger already."""


class InputError(VoicebatchError):
    """What is in the input was not accepted. Nothing was sent."""

    exit_code = 3
    kind = "input"


class NothingToSendError(InputError):
    """There is nothing wrong with the input, and nobody in it to call."""


class RefusedError(VoicebatchError):
    """The run finished, and the provider said no to some recipients."""

    exit_code = 4
    kind = "refused"


class UnknownError(VoicebatchError):
    """The run finished, and nobody can tell whether some recipients were called."""

    exit_code = 5
    kind = "unknown"


class AccountError(VoicebatchError):
    """The provider would refuse every further request. The rest is still queued."""

    exit_code = 6
    kind = "account"


class GuardError(VoicebatchError):
    """A guard stopped the run. The rest is still queued."""

    exit_code = 7
    kind = "guard"


class LedgerError(VoicebatchError):
    """The ledger cannot be read or written, so nothing may be sent."""

    exit_code = 8
    kind = "ledger"


class Interrupted(VoicebatchError):
    """A signal ended the command: 130 for SIGINT, 143 for SIGTERM."""

    exit_code = 130
    kind = "interrupted"

    def __init__(self, message: str, *, hint: str = "", signal_number: int = 2) -> None:
        super().__init__(message, hint=hint)
        self.exit_code = 128 + signal_number  # type: ignore[misc] # the one error whose code depends on its cause
