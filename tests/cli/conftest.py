"""What the tests of the command line share: a machine of its own for every test or module."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.desk import Desk
from tests.cli.forge import Forge, ForgedDesk, QuickDesk, forge

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="session")
def one_forge() -> Iterator[Forge]:
    """What new commands are forked from."""
    with forge() as one:
        yield one


@pytest.fixture(scope="session")
def new_desk(one_forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Desk]:
    """A new machine, with these variables in its environment."""
    return lambda **environment: QuickDesk(
        home=tmp_path_factory.mktemp("desk"),
        said=tmp_path_factory.mktemp("said"),
        environment=environment,
        forge=one_forge,
    )


@pytest.fixture(scope="session")
def new_forged_desk(one_forge: Forge, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., ForgedDesk]:
    """The same, for who looks at what the commands say without a rule for it."""
    return lambda **environment: ForgedDesk(
        home=tmp_path_factory.mktemp("desk"),
        said=tmp_path_factory.mktemp("said"),
        environment=environment,
        forge=one_forge,
    )


@pytest.fixture
def desk(new_desk: Callable[..., Desk]) -> Desk:
    """A machine for one test."""
    return new_desk()


@pytest.fixture(scope="module")
def shared_desk(new_desk: Callable[..., Desk]) -> Desk:
    """A machine for the quick commands of one module: nothing is ever sent from it."""
    return new_desk()
