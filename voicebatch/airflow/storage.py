"""Files and reports, wherever they are: on this machine, or on object storage as fsspec knows it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, TypeAlias

from voicebatch.errors import NoSuchFileError, UsageError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import ObjectStoragePath
    from upath import UPath

Place: TypeAlias = "str | Path | ObjectStoragePath"
"""A path, a URL that fsspec knows (``s3://bucket/people.csv``, ``s3://CONNECTION@bucket/…``), or Airflow's own kind."""

_MANIFEST: Final = "manifest.json"


@dataclass(frozen=True, slots=True)
class Stage:
    """A local folder with copies of what is elsewhere, each brought once.

    ``names`` are the copies' names for people, by their paths.
    """

    folder: Path
    names: dict[str, str] = field(default_factory=dict)

    def bring(self, place: Place) -> Path:
        """The file or folder on this machine. Raises ``NoSuchFileError`` when what is elsewhere is not there."""
        if (here := local(place)) is not None:
            return here
        for path, name in self.names.items():
            if name == str(place):
                return Path(path)
        there = remote(place)
        copy = self.folder / str(len(self.names)) / there.name
        try:
            if there.is_dir():
                for file in (one for one in there.rglob("*") if one.is_file()):
                    _copy_here(file, copy / str(file)[len(str(there)) :].lstrip("/"))
            else:
                _copy_here(there, copy)
        except FileNotFoundError:
            raise NoSuchFileError(f"There is no file {place}.", hint="Check the path and its connection.") from None
        except ImportError as error:
            raise UsageError(f"{place} cannot be read here: {error}.", hint="On every worker, too.") from None
        self.names[str(copy)] = str(place)
        return copy


@contextmanager
def stage() -> Iterator[Stage]:
    """A stage that is gone afterwards, with the phone numbers on it."""
    with TemporaryDirectory(prefix="voicebatch-") as folder:
        yield Stage(Path(folder))


@contextmanager
def delivered(to: Place) -> Iterator[Path]:
    """A local folder to write into, whose files are then in ``to``: at once if that is here, else when it is left."""
    if (here := local(to)) is not None:
        yield here
        return
    with TemporaryDirectory(prefix="voicebatch-") as folder:
        yield Path(folder)
        _copy_there(Path(folder), remote(to))


def join(place: Place, name: str) -> str:
    """What is called so in a folder, as text."""
    return f"{str(place).rstrip('/')}/{name}"


def several(given: Place | Sequence[Place]) -> list[Place]:
    """One or several, as a list."""
    if not given:
        return []
    return list(given) if isinstance(given, Sequence) and not isinstance(given, str) else [given]


def local(place: Place) -> Path | None:
    """The path on this machine, if it is there."""
    text = str(place)
    if "://" not in text:
        return Path(text)
    if text.startswith("file://"):
        return Path("/" + text.removeprefix("file://").lstrip("/"))
    return None


def remote(place: Place) -> UPath:
    """As Airflow opens it, with its connection's credentials; as fsspec does where Airflow knows no such scheme."""
    from airflow.providers.common.compat.sdk import ObjectStoragePath
    from upath import UPath

    path = place if isinstance(place, UPath) else ObjectStoragePath(str(place))
    try:
        path.fs  # noqa: B018 # Airflow looks for it only now
    except ValueError:
        return UPath(str(place))
    return path


def _copy_here(there: UPath, copy: Path) -> None:
    copy.parent.mkdir(parents=True, exist_ok=True)
    with there.open("rb") as source, copy.open("wb") as target:
        shutil.copyfileobj(source, target)


def _copy_there(folder: Path, there: UPath) -> None:
    """The manifest comes last: who sees it has the others too."""
    files = sorted((file for file in folder.rglob("*") if file.is_file()), key=lambda file: file.name == _MANIFEST)
    for file in files:
        target = there.joinpath(*file.relative_to(folder).parts)
        target.parent.mkdir(parents=True, exist_ok=True)
        with file.open("rb") as source, target.open("wb") as copy:
            shutil.copyfileobj(source, copy)
