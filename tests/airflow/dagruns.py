"""DAGs that are run in this process by Airflow's own ``dag.test()``, with a metadata database of their own.

Import it before anything of Airflow: its settings are read when that is imported.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import sys
import tempfile
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from airflow.sdk import DAG

HOME: Final = Path(tempfile.mkdtemp(prefix="airflow-"))
DAGS: Final = HOME / "dags"
LINEAGE: Final = HOME / "lineage.json"
FAILURES: Final[list[str]] = []
"""What the tasks of the last DAG said when they failed or were skipped."""

_SERIAL: Final = itertools.count(1)
_FILE: Final = """
from datetime import UTC, datetime, timedelta
from airflow.sdk import DAG, Asset, task
from upath import UPath
from tests.airflow.dagruns import saying
from voicebatch.airflow.operators import voicebatch

VoicebatchPlanOperator = saying(voicebatch.VoicebatchPlanOperator)
VoicebatchSendOperator = saying(voicebatch.VoicebatchSendOperator)
VoicebatchReportOperator = saying(voicebatch.VoicebatchReportOperator)

with DAG({dag_id!r}, schedule=None, start_date=datetime(2026, 1, 1, tzinfo=UTC)) as dag:
{body}
"""

assert "airflow" not in sys.modules, "import this before Airflow"
DAGS.mkdir()
os.environ |= {
    "AIRFLOW_HOME": str(HOME),
    "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{HOME}/airflow.db",
    "AIRFLOW__OPENLINEAGE__NAMESPACE": "tests",
    "AIRFLOW__OPENLINEAGE__TRANSPORT": f'{{"type": "file", "log_file_path": "{LINEAGE}", "append": true}}',
    "XDG_DATA_HOME": str(HOME),
}


@dataclass(frozen=True, slots=True)
class Finished:
    """A DAG run that has ended: the tasks' states and results, in the order of map indices."""

    run_id: str
    states: dict[str, list[str]]
    results: dict[str, list[Any]]
    said: str

    def result(self, task_id: str = "call") -> Any:
        """Of a task that is not mapped."""
        (found,) = self.results[task_id]
        return found

    def state(self, task_id: str = "call") -> str:
        """Of a task that is not mapped."""
        (found,) = self.states[task_id]
        return found


def saying(operator: Any) -> Any:
    """The same operator, of which is kept what it failed with: Airflow shows that in its log alone."""

    class Saying(operator):  # type: ignore[misc] # of whatever class
        def execute(self, context: Any) -> Any:
            with _kept():
                return super().execute(context)

        def execute_complete(self, context: Any, event: Any = None) -> Any:
            with _kept():
                return super().execute_complete(context, event)

    return Saying


@contextmanager
def _kept() -> Iterator[None]:
    try:
        yield
    except Exception as error:
        FAILURES.append(str(error))
        raise


def create_database() -> None:
    """The metadata database, new."""
    from airflow.utils.db import initdb

    initdb()


def written(body: str, dag_id: str = "") -> DAG:
    """A DAG of these statements, in the DAG folder alone: ``dag.test()`` reads all that is there."""
    for old in DAGS.glob("*.py"):
        old.unlink()
    dag_id = dag_id or f"dag_{next(_SERIAL)}"
    file = DAGS / f"{dag_id}_{next(_SERIAL)}.py"  # a module of that name may be loaded already
    file.write_text(_FILE.format(dag_id=dag_id, body=textwrap.indent(textwrap.dedent(body), "    ")))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    dag: DAG = module.dag
    return dag


def run(dag: DAG, *, at: datetime | None = None) -> Finished:
    """Runs it to its end. ``at`` is its logical date and when it was due: the same again is the same run."""
    FAILURES.clear()
    when = at or datetime.now(UTC)
    found = dag.test(logical_date=when, run_after=when)
    tasks = sorted(found.get_task_instances(), key=lambda one: (one.task_id, one.map_index))
    states: dict[str, list[str]] = {}
    results: dict[str, list[Any]] = {}
    for one in tasks:
        states.setdefault(one.task_id, []).append(str(one.state))
        results.setdefault(one.task_id, []).append(one.xcom_pull(one.task_id, map_indexes=one.map_index))
    return Finished(run_id=found.run_id, states=states, results=results, said="\n".join(FAILURES))
