"""Where the API key comes from: never an option, because a process list shows those."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from voicebatch.errors import UsageError

VARIABLE: Final = "VOICEBATCH_API_KEY"
FILE_VARIABLE: Final = "VOICEBATCH_API_KEY_FILE"
KEYRING_SERVICE: Final = "voicebatch"
KEYRING_USER: Final = "api-key"


def find_api_key(environment: Mapping[str, str]) -> str:
    """The key from the variable, the file that a variable names, or the system keyring, in this order.

    Raises ``UsageError`` when there is none.
    """
    key = environment.get(VARIABLE, "").strip() or _from_file(environment) or _from_keyring()
    if not key:
        raise UsageError(
            "There is no API key.",
            hint=f"Set {VARIABLE} or {FILE_VARIABLE}, or store it: python -m keyring set {KEYRING_SERVICE} "
            f"{KEYRING_USER}. To rehearse without one: --sandbox",
        )
    return key


def _from_file(environment: Mapping[str, str]) -> str:
    path = environment.get(FILE_VARIABLE, "")
    if not path:
        return ""
    try:
        return Path(path).read_text(encoding="utf-8-sig").strip()
    except OSError as error:
        why = error.strerror
    except ValueError:
        why = "it is not written in UTF-8"
    # Out here, where no error comes with it that holds what was read; without the path, for that may be the key itself.
    raise UsageError(
        f"{FILE_VARIABLE} names a file that cannot be read: {why}.",
        hint=f"Check the path. If this is the key itself, its place is {VARIABLE}.",
    )


def _from_keyring() -> str:
    import keyring
    from keyring.errors import KeyringError

    try:
        return (keyring.get_password(KEYRING_SERVICE, KEYRING_USER) or "").strip()
    except KeyringError:
        return ""  # no keyring on this machine: there is no key in it
