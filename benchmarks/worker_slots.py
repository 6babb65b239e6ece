"""How long a worker's slot is held for a run that the limit makes wait: deferred, against asleep.

``make airflow-bench`` runs both at once, in one deployment of Airflow, for as many people at the same rate. A slot is
held from a task's start to its end as Airflow's supervisor reports it, each time that the task is taken up: the start
of its processes, imports and reports are in it. The ratio grows with the length of the limit's window; the provider's
is an hour. No rule depends on it and it takes minutes of waiting, so it is not in ``make airflow``.
"""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Final

import tests.airflow
from tests.airflow.deployment import Deployment, Task, until
from tests.airflow.rehearsal import Rehearsal, everyone_once

PEOPLE: Final = 30
RATE: Final = "10/min"
DAGS: Final = {"calls": "deferred", "calls_asleep": "asleep"}
_HELD: Final = re.compile(
    r"(?:Workload|Task) finished .*duration=([\d.]+) .*final_state=(\w+) .*(?:workload|task_instance)_id=([\w-]+)"
)


def worker_slots(home: Path) -> str:
    """The claim, with the seconds that it is made of."""
    with Deployment.started(home, dags=[Path(*tests.airflow.__path__) / "dags" / "calls.py"]) as deployment:
        sandboxes = {dag_id: Rehearsal.started(deployment, rate=RATE) for dag_id in DAGS}
        tasks = [Task(dag_id, one.call(PEOPLE, dag_id=dag_id), "call") for dag_id, one in sandboxes.items()]
        for task in tasks:
            assert deployment.run_ends(task.dag_id, task.run_id) == "success"
            assert sandboxes[task.dag_id].called == everyone_once(PEOPLE)
        deferred, asleep = (_seconds_held(deployment, task) for task in tasks)
    return (
        f"worker-slot seconds, {PEOPLE} requests at {RATE}: deferred {deferred:.1f}, asleep {asleep:.1f}: "
        f"{asleep / deferred:.1f} times less"
    )


def _seconds_held(deployment: Deployment, task: Task) -> float:
    """The sum over all times that a worker had the task. The last one is reported after the run has ended."""
    instance = deployment.task(task)["id"]

    def held() -> list[re.Match[str]]:
        found = [one for one in _HELD.finditer(deployment.said("scheduler")) if one[3] == instance]
        return found if any(one[2] == "success" for one in found) else []

    return sum(float(one[1]) for one in until(held, "the supervisor says how long the task took"))


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        print(worker_slots(Path(folder) / "airflow"))
