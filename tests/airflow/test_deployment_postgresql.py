"""Airflow and ledger in PostgreSQL: tasks that are killed, marked and cleared while they work, and started twice."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any, Final

import psutil
import pytest

from tests.airflow.deployment import Task, until
from tests.airflow.rehearsal import Rehearsal, everyone_once

if TYPE_CHECKING:
    from tests.airflow.deployment import Deployment

pytestmark = pytest.mark.airflow

LANES: Final = 4  # requests that a task has in flight
STOPPED: Final = "Stopped: what was in flight is recorded"
WITHIN_GRACE: Final = ("--answer-delay", "1.5")  # Airflow waits five seconds for a task that it stops


def task_of(run_id: str) -> Task:
    return Task("calls", run_id, "call")


def process_of(deployment: Deployment, task: Task) -> psutil.Process:
    """The process in which the task runs."""
    return psutil.Process(until(lambda: deployment.task(task)["pid"], "the task has a process"))


def rows_of(sandbox: Rehearsal) -> dict[str, int]:
    """What the ledger says of the people of its only run."""
    rows: dict[str, Any] = sandbox.runs()[0]["rows"]
    return {status: count for status, count in rows.items() if count and status != "total"}


def test_a_task_killed_in_mid_request_calls_nobody_twice_and_loses_nobody(
    on_postgresql: Deployment, shared_ledger: str
) -> None:
    sandbox = Rehearsal.started(on_postgresql, "--fault", f"slow:{LANES}x:120s", ledger=shared_ledger)
    task = task_of(sandbox.call(10))
    until(lambda: sandbox.called.total() == LANES, "all lanes wait for an answer")
    os.kill(process_of(on_postgresql, task).pid, signal.SIGKILL)
    failed = on_postgresql.task_is(task, "failed")
    assert failed["try_number"] == 2  # the retry called the others, and a third try would change nothing
    assert sandbox.called == everyone_once(10)
    assert rows_of(sandbox) == {"accepted": 10 - LANES, "unknown": LANES}
    run = sandbox.runs()[0]["run_id"]
    log = on_postgresql.log(task)
    assert f"voicebatch resolve {run} --as sent" in log
    assert shared_ledger not in log

    sandbox.command("resolve", run, "--as", "sent", "--yes", "--reason", "seen on the platform")
    on_postgresql.clear(task)
    assert on_postgresql.run_ends("calls", task.run_id) == "success"
    assert on_postgresql.result(task)["rows"]["accepted"] == 10
    assert sandbox.called == everyone_once(10)


def test_a_running_task_that_is_marked_as_failed_stops_after_what_is_in_flight(
    on_postgresql: Deployment, shared_ledger: str
) -> None:
    sandbox = Rehearsal.started(on_postgresql, *WITHIN_GRACE, ledger=shared_ledger)
    task = task_of(sandbox.call(40))
    until(lambda: sandbox.called, "it calls")
    process = process_of(on_postgresql, task)
    on_postgresql.set_state(task, "failed")
    psutil.wait_procs([process], timeout=60)
    called = sandbox.called.total()
    assert called < 40
    assert rows_of(sandbox) == {"accepted": called, "queued": 40 - called}
    assert STOPPED in on_postgresql.log(task)
    assert on_postgresql.task(task)["state"] == "failed"

    on_postgresql.clear(task)
    assert on_postgresql.run_ends("calls", task.run_id) == "success"
    assert sandbox.called == everyone_once(40)


def test_a_running_task_that_is_cleared_stops_and_begins_again_where_it_was(
    on_postgresql: Deployment, shared_ledger: str
) -> None:
    sandbox = Rehearsal.started(on_postgresql, *WITHIN_GRACE, ledger=shared_ledger)
    task = task_of(sandbox.call(40))
    until(lambda: sandbox.called, "it calls")
    on_postgresql.clear(task)
    assert on_postgresql.run_ends("calls", task.run_id) == "success"
    assert on_postgresql.task(task)["try_number"] == 2
    assert STOPPED in on_postgresql.log(task)
    assert sandbox.called == everyone_once(40)
    assert rows_of(sandbox) == {"accepted": 40}


def test_a_deferred_task_that_is_cleared_begins_again_where_it_was(
    on_postgresql: Deployment, shared_ledger: str
) -> None:
    sandbox = Rehearsal.started(on_postgresql, ledger=shared_ledger, rate="5/8s")
    task = task_of(sandbox.call(15))
    on_postgresql.task_is(task, "deferred")
    on_postgresql.clear(task)
    assert on_postgresql.run_ends("calls", task.run_id) == "success"
    assert on_postgresql.task(task)["try_number"] == 2
    assert sandbox.called == everyone_once(15)
    assert sandbox.outcomes == {"accepted": 15}


def test_two_dag_runs_with_one_key_at_once_call_everybody_once(on_postgresql: Deployment, shared_ledger: str) -> None:
    sandbox = Rehearsal.started(on_postgresql, "--answer-delay", "1", ledger=shared_ledger)
    tasks = [task_of(sandbox.call(40, key="outage of March 1")) for _ in range(2)]
    assert [on_postgresql.run_ends("calls", task.run_id) for task in tasks] == ["success"] * 2
    assert sandbox.called == everyone_once(40)
    assert [on_postgresql.result(task)["rows"]["accepted"] for task in tasks] == [40, 40]
    assert len(sandbox.runs()) == 1
