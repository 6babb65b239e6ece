"""What the tests on real Airflow share: deployments, and sandboxes that are called from them."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.airflow.deployment import Deployment
from tests.servers import PostgresqlServer

DAGS: Final = (Path(__file__).parent / "dags" / "calls.py",)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Function) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that failed shows what its deployment has said."""
    report = yield
    if report.failed:
        deployments = [given for given in item.funcargs.values() if isinstance(given, Deployment)]
        report.sections.extend((f"Airflow in {one.home}", one.told()) for one in deployments)
    return report


@pytest.fixture(scope="session")
def on_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Airflow as one gets it: SQLite and LocalExecutor."""
    with Deployment.started(tmp_path_factory.mktemp("sqlite") / "airflow", dags=DAGS) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def on_postgresql(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgresqlServer) -> Iterator[Deployment]:
    """Airflow with its metadata in PostgreSQL."""
    variables = metadata_in(postgresql, "airflow")
    home = tmp_path_factory.mktemp("postgresql") / "airflow"
    with Deployment.started(home, dags=DAGS, variables=variables) as deployment:
        yield deployment


@pytest.fixture
def shared_ledger(postgresql_url: str) -> str:
    """A ledger in PostgreSQL for one test."""
    return _driven_by("psycopg", postgresql_url)


def metadata_in(postgresql: PostgresqlServer, database: str) -> dict[str, str]:
    """The setting for a deployment that has its metadata in a new database of this server."""
    postgresql.run(f"CREATE DATABASE {database}")
    return {"AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": _driven_by("psycopg2", postgresql.url(database))}


def _driven_by(driver: str, url: str) -> str:
    """SQLAlchemy 2.1 has changed which driver the bare name means."""
    return url.replace("postgresql://", f"postgresql+{driver}://", 1)
