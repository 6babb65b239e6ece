"""Worlds for the simulation: one ledger for all of them, emptied in between."""

from __future__ import annotations

import os
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.simulation.world import World
from voicebatch.ledger import Ledger
from voicebatch.ledger.tables import metadata

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def world_ledger() -> Iterator[Ledger]:
    """A ledger in memory, where the system has a place for that: nothing here is about disks."""
    memory = Path("/dev/shm")  # noqa: S108 # looked for, not relied on
    with tempfile.TemporaryDirectory(dir=memory if os.access(memory, os.W_OK) else None) as folder:
        ledger = Ledger(str(Path(folder) / "ledger.db"))
        yield ledger
        ledger.close()


@pytest.fixture
def tell(world_ledger: Ledger) -> Callable[[int], World]:
    """The story of one seed. What must not happen fails with the seed and the end of the story."""

    def tell(seed: int) -> World:
        empty(world_ledger)
        world = World(seed, world_ledger)
        try:
            world.tell()
        except BaseException as error:
            story = "\n".join(world.trace[-60:])
            error.add_note(f"{world.scene}\n{story}\nAgain: make sim SEED={seed}")
            raise
        return world

    return tell


def empty(ledger: Ledger) -> None:
    """Forgets everything: a new file for each of ten thousand worlds would take longer than the worlds."""
    with closing(sqlite3.connect(str(ledger), isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        for table in reversed(metadata.sorted_tables):
            connection.execute(f"DELETE FROM {table.name}")  # noqa: S608 # our own names
        connection.execute("COMMIT")
