"""Where the API key is found, and in which order."""

from __future__ import annotations

from typing import TYPE_CHECKING

import keyring
import pytest
from keyring.backend import KeyringBackend
from keyring.errors import KeyringLocked

from voicebatch.credentials import FILE_VARIABLE, KEYRING_SERVICE, KEYRING_USER, VARIABLE, find_api_key
from voicebatch.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class MemoryKeyring(KeyringBackend):
    """A keyring that forgets; locked, it raises as a desktop's does."""

    priority = 1
    locked = False

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call] # keyring's own has no types
        self.passwords: dict[tuple[str, str], str] = {}

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise KeyringLocked
        return self.passwords.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        self.passwords[service, username] = password


@pytest.fixture(autouse=True)
def memory() -> Iterator[MemoryKeyring]:
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def test_the_variable_comes_first_then_the_file_then_the_keyring(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_text("from-file\n", encoding="utf-8")
    keyring.set_password(KEYRING_SERVICE, KEYRING_USER, "from-keyring")
    assert find_api_key({VARIABLE: " from-variable ", FILE_VARIABLE: str(path)}) == "from-variable"
    assert find_api_key({VARIABLE: "  ", FILE_VARIABLE: str(path)}) == "from-file"
    assert find_api_key({}) == "from-keyring"


def test_a_key_file_of_windows_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"\xef\xbb\xbffrom-file\r\n")
    assert find_api_key({FILE_VARIABLE: str(path)}) == "from-file"


def test_an_empty_key_file_falls_through_to_the_keyring(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.touch()
    keyring.set_password(KEYRING_SERVICE, KEYRING_USER, "from-keyring")
    assert find_api_key({FILE_VARIABLE: str(path)}) == "from-keyring"


def test_a_stored_key_loses_the_line_break_that_was_pasted_with_it() -> None:
    keyring.set_password(KEYRING_SERVICE, KEYRING_USER, "from-keyring\n")
    assert find_api_key({}) == "from-keyring"


def test_without_a_key_the_hint_names_every_place() -> None:
    with pytest.raises(UsageError, match="no API key") as raised:
        find_api_key({})
    assert all(word in raised.value.hint for word in (VARIABLE, FILE_VARIABLE, "keyring set", "--sandbox"))


def test_a_locked_keyring_is_no_key(memory: MemoryKeyring) -> None:
    memory.locked = True
    with pytest.raises(UsageError, match="no API key"):
        find_api_key({})


@pytest.mark.parametrize("name", ["missing", "."])
def test_a_key_file_that_cannot_be_read_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match=FILE_VARIABLE):
        find_api_key({FILE_VARIABLE: str(tmp_path / name)})


def test_a_key_file_that_is_no_text_is_named_and_not_shown(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"secret\xff\xfe")
    with pytest.raises(UsageError, match=FILE_VARIABLE) as raised:
        find_api_key({FILE_VARIABLE: str(path)})
    assert "secret" not in str(raised.value)
