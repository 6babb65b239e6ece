"""Airflow with CeleryExecutor: two workers, a Redis server, and a ledger in PostgreSQL whose limit they share."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Final

import psutil
import pytest

from tests.airflow.conftest import DAGS, metadata_in
from tests.airflow.deployment import Deployment, Task, free_port, until
from tests.airflow.examples import PEOPLE, SHARDS, add_example
from tests.airflow.rehearsal import Rehearsal, everyone_once

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.servers import PostgresqlServer

pytestmark = pytest.mark.airflow_celery

WORKERS: Final = ("worker-1", "worker-2")
LANES: Final = 4  # requests that a task has in flight


@pytest.fixture(scope="module")
def on_celery(tmp_path_factory: pytest.TempPathFactory, postgresql: PostgresqlServer) -> Iterator[Deployment]:
    """Each worker does one task at a time, so that several tasks need both."""
    redis, port = shutil.which("redis-server"), str(free_port())
    assert redis, "install redis-server"
    metadata = metadata_in(postgresql, "airflow_celery")
    variables = {
        **metadata,
        "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
        "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{port}/0",
        "AIRFLOW__CELERY__RESULT_BACKEND": "db+" + metadata["AIRFLOW__DATABASE__SQL_ALCHEMY_CONN"],
        "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
    }
    home = tmp_path_factory.mktemp("celery") / "airflow"
    with Deployment.started(home, dags=DAGS, variables=variables) as deployment:
        here = ("--bind", "127.0.0.1", "--port", port)
        deployment.start(*here, "--save", "", "--set-proc-title", "no", command=redis, name="redis")
        for name in WORKERS:
            start_worker(deployment, name)
        yield deployment


def start_worker(deployment: Deployment, name: str) -> None:
    own = ("--celery-hostname", f"{name}@%h", "--pid", str(deployment.home / f"{name}.pid"), "--skip-serve-logs")
    deployment.start("celery", "worker", *own, name=name)


def worker_of(deployment: Deployment, task: Task) -> str:
    """The name of the worker that has the task."""
    pid = until(lambda: deployment.task(task)["pid"], "the task has a process")
    parents = {parent.pid for parent in psutil.Process(pid).parents()}
    return next(name for name in WORKERS if deployment.processes[name].pid in parents)


def test_two_workers_share_one_limit_and_call_everybody_once(
    on_celery: Deployment, shared_ledger: str, tmp_path: Path
) -> None:
    add_example(on_celery, SHARDS, tmp_path)
    sandbox = Rehearsal.started(on_celery, ledger=shared_ledger, rate="20/8s", connection="voicebatch_default")
    run_id = on_celery.trigger(SHARDS)
    assert on_celery.run_ends(SHARDS, run_id) == "success"
    assert sandbox.called == everyone_once(PEOPLE)
    assert sandbox.outcomes == {"accepted": PEOPLE}
    for name in WORKERS:
        assert "succeeded" in on_celery.said(name)


def test_a_killed_worker_s_requests_are_unknown_and_the_other_worker_calls_the_rest(
    on_celery: Deployment, shared_ledger: str
) -> None:
    sandbox = Rehearsal.started(on_celery, "--fault", f"slow:{LANES}x:120s", ledger=shared_ledger)
    task = Task("calls", sandbox.call(10), "call")
    until(lambda: sandbox.called.total() == LANES, "all lanes wait for an answer")
    killed = worker_of(on_celery, task)
    on_celery.kill(killed)
    failed = on_celery.task_is(task, "failed")
    start_worker(on_celery, killed)
    assert failed["try_number"] == 2
    assert sandbox.called == everyone_once(10)
    rows = sandbox.runs()[0]["rows"]
    assert (rows["accepted"], rows["unknown"]) == (10 - LANES, LANES)
