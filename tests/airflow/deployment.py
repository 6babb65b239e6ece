"""A real deployment of Airflow: its processes on free ports, in a folder of their own, and its API as a user of it.

The processes think faster than Airflow's own settings let them, so that a test need not wait for what no user would
notice; nothing else is different.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import psutil
import requests

from tests.airflow import reaper

SECONDS: Final = 180.0
"""A deadline is for what has gone wrong. It says nothing of how long things take."""

ALL: Final = ("api-server", "scheduler", "dag-processor", "triggerer")
BIN: Final = Path(sys.executable).parent
FINAL: Final = ("success", "failed", "skipped", "upstream_failed", "removed")
_LOOK_AGAIN: Final = 0.25
_LAST_LINES: Final = 60

_QUICK: Final[Mapping[str, str]] = {
    "AIRFLOW__SCHEDULER__SCHEDULER_HEARTBEAT_SEC": "1",
    "AIRFLOW__SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.3",
    "AIRFLOW__SCHEDULER__TRIGGER_TIMEOUT_CHECK_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "3",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "20",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "1",
    "AIRFLOW__TRIGGERER__JOB_HEARTBEAT_SEC": "1",
    "AIRFLOW__TRIGGERER__TRIGGERER_HEALTH_CHECK_THRESHOLD": "6",
    "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "2",
    "AIRFLOW__DAG_PROCESSOR__BUNDLE_REFRESH_CHECK_INTERVAL": "1",
    "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "5",
}
_SMALL: Final[Mapping[str, str]] = {
    "AIRFLOW__API__WORKERS": "1",
    "AIRFLOW__CORE__PARALLELISM": "6",
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
}


def until(condition: Callable[[], Any], what: str, *, seconds: float = SECONDS) -> Any:
    """The first true value of a condition that is about to come true."""
    deadline = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < deadline, f"never came true: {what}"
        time.sleep(_LOOK_AGAIN)
    return value


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


@dataclass(frozen=True, slots=True)
class Task:
    """One task of one DAG run; ``map_index`` is -1 for one that is not mapped."""

    dag_id: str
    run_id: str
    task_id: str
    map_index: int = -1

    @property
    def path(self) -> str:
        """Where the API has it."""
        mapped = f"/{self.map_index}" if self.map_index >= 0 else ""
        return f"dags/{self.dag_id}/dagRuns/{self.run_id}/taskInstances/{self.task_id}{mapped}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """Airflow at work. ``processes`` are its components and what else was started for it, by name."""

    home: Path
    url: str
    environment: Mapping[str, str]
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    _session: requests.Session = field(default_factory=requests.Session)

    # Its processes

    @classmethod
    @contextlib.contextmanager
    def started(
        cls,
        home: Path,
        *,
        dags: Sequence[Path] = (),
        components: Sequence[str] = ALL,
        variables: Mapping[str, str] | None = None,
    ) -> Iterator[Deployment]:
        """A new one until the end of the block, with copies of these DAG files; then all of it is gone.

        The metadata database is SQLite unless ``variables`` names another. When the block fails, the last lines of each
        component's output are shown.
        """
        (home / "dags").mkdir(parents=True)
        for dag in dags:
            shutil.copy(dag, home / "dags")
        port = free_port()
        deployment = cls(home=home, url=f"http://127.0.0.1:{port}", environment=_environment(home, port, variables))
        with deployment._reaped(), deployment._showing_what_was_said():
            deployment.run("airflow", "db", "migrate")
            for component in components:
                deployment.start(component)
            deployment._until_healthy(components)
            yield deployment

    def run(self, command: str, *arguments: str, **variables: str) -> str:
        """Runs a command of this Python environment to its end, and returns its output."""
        done = subprocess.run(
            [BIN / command, *arguments],
            env={**self.environment, **variables},
            cwd=self.home,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, f"{command} {arguments}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done.stdout

    def start(self, component: str, *arguments: str, command: str = "airflow", name: str = "") -> None:
        """Starts a component: ``airflow COMPONENT``, or another command that is to end with the others."""
        here = ("--host", "127.0.0.1", "--port", self.url.rpartition(":")[2])
        given = here if component == "api-server" else arguments
        name = name or component
        with self._output_of(name).open("ab") as said:
            self.processes[name] = subprocess.Popen(
                [BIN / command, component, *given],
                env=self.environment,
                cwd=self.home,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def kill(self, component: str) -> None:
        """Kills a component and all its processes, without a warning."""
        process = self.processes.pop(component)
        root = psutil.Process(process.pid)
        for one in (*root.children(recursive=True), root):
            with contextlib.suppress(psutil.NoSuchProcess):
                one.kill()
        process.wait(SECONDS)

    def said(self, name: str) -> str:
        """What a process has written."""
        return self._output_of(name).read_text(errors="replace")

    # Its API

    def api(self, method: str, path: str, body: object = None, *, ok: bool = True, **parameters: str) -> Any:
        """A request to Airflow's public API, and what its answer holds; ``/ui/…`` is what its pages ask for."""
        url = f"{self.url}{path}" if path.startswith("/") else f"{self.url}/api/v2/{path}"
        answer = self._session.request(method, url, json=body, params=parameters, timeout=60, allow_redirects=False)
        assert answer.ok or not ok, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json() if answer.content else None

    def connect(self, name: str, **connection: Any) -> None:
        """Makes a connection, or replaces it; ``extra`` is a dictionary."""
        body = {"connection_id": name, "conn_type": "voicebatch", **connection}
        if "extra" in body:
            body["extra"] = json.dumps(body["extra"])
        self.api("DELETE", f"connections/{name}", ok=False)
        self.api("POST", "connections", body)

    def trigger(self, dag_id: str, **conf: Any) -> str:
        """Starts a run of a DAG, as soon as it is known, and returns the run's id."""
        until(lambda: self._knows(dag_id), f"the DAG {dag_id} is known")
        run = self.api("POST", f"dags/{dag_id}/dagRuns", {"logical_date": None, "conf": conf})
        return str(run["dag_run_id"])

    def run_ends(self, dag_id: str, run_id: str, *, seconds: float = SECONDS) -> str:
        """The state in which a run of a DAG ends."""

        def ended() -> str:
            state = self.api("GET", f"dags/{dag_id}/dagRuns/{run_id}")["state"]
            return state if state in {"success", "failed"} else ""

        return str(until(ended, f"{dag_id} {run_id} ends", seconds=seconds))

    def tasks(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run, as the API has them."""
        found: list[dict[str, Any]] = self.api("GET", f"dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"]
        return found

    def task(self, task: Task) -> dict[str, Any]:
        """A task instance, as the API has it."""
        found: dict[str, Any] = self.api("GET", task.path)
        return found

    def task_is(self, task: Task, *states: str, tries: int = 0, seconds: float = SECONDS) -> dict[str, Any]:
        """The task instance, as soon as it is in one of these states, in its n-th try or a later one."""

        def there() -> dict[str, Any] | None:
            found = self.task(task)
            return found if found["state"] in states and found["try_number"] >= tries else None

        instance: dict[str, Any] = until(there, f"{task} is {' or '.join(states)}", seconds=seconds)
        return instance

    def result(self, task: Task) -> Any:
        """What the task left for others."""
        path = f"dags/{task.dag_id}/dagRuns/{task.run_id}/taskInstances/{task.task_id}/xcomEntries/return_value"
        return self.api("GET", path, map_index=str(task.map_index))["value"]

    def set_state(self, task: Task, state: str) -> None:
        """What the button "mark as" does."""
        self.api("PATCH", task.path, {"new_state": state})

    def clear(self, task: Task) -> None:
        """What the button "clear task" does: also to one that is under way or waits."""
        one = task.task_id if task.map_index < 0 else [task.task_id, task.map_index]
        body = {"dry_run": False, "dag_run_id": task.run_id, "task_ids": [one], "only_failed": False,
                "reset_dag_runs": True}  # fmt: skip
        cleared = self.api("POST", f"dags/{task.dag_id}/clearTaskInstances", body)
        assert cleared["total_entries"] == 1, cleared

    def log(self, task: Task) -> str:
        """What the task has written in all its tries, those of the triggerer too."""
        parts = [f"dag_id={task.dag_id}", f"run_id={task.run_id}", f"task_id={task.task_id}"]
        if task.map_index >= 0:
            parts.append(f"map_index={task.map_index}")
        folder = self.home.joinpath("logs", *parts)
        return "\n".join(file.read_text() for file in sorted(folder.glob("attempt=*")))

    # Inside

    def _output_of(self, name: str) -> Path:
        return self.home / f"{name}.said"

    @contextlib.contextmanager
    def _reaped(self) -> Iterator[None]:
        """Everything is killed at the end of the block, or when this process is gone."""
        command = [sys.executable, "-m", "tests.airflow.reaper", str(self.home)]
        watch = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
        try:
            yield
        finally:
            watch.communicate(timeout=SECONDS)
            for process in self.processes.values():
                process.kill()
                process.wait(SECONDS)

    @contextlib.contextmanager
    def _showing_what_was_said(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            print(self.told())  # noqa: T201 # pytest shows it
            raise

    def told(self) -> str:
        """The last lines of what the components and the tasks have written, for who looks at a failed test."""
        files = [*self.home.glob("*.said"), *self.home.glob("logs/dag_id=*/**/attempt=*")]
        return "\n".join(line for file in files for line in (f"--- {file.relative_to(self.home)}", *_last_lines(file)))

    def _until_healthy(self, components: Sequence[str]) -> None:
        until(self._has_let_in, "the API lets us in")
        wanted = {name.replace("-", "_") for name in components} - {"api_server"}

        def healthy() -> bool:
            for name, process in self.processes.items():
                assert process.poll() is None, f"{name} has ended"
            health = self.api("GET", "monitor/health")
            return all((health.get(name) or {}).get("status") == "healthy" for name in wanted)

        until(healthy, f"healthy: {', '.join(wanted)}")

    def _has_let_in(self) -> bool:
        assert self.processes["api-server"].poll() is None, "the API server has ended"
        with contextlib.suppress(requests.ConnectionError):
            answer = self._session.get(f"{self.url}/auth/token", timeout=30)
            answer.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
            return True
        return False

    def _knows(self, dag_id: str) -> bool:
        errors = self.api("GET", "importErrors")["import_errors"]
        assert not errors, errors
        found = self.api("GET", "dags", dag_id_pattern=dag_id)["dags"]
        return any(dag["dag_id"] == dag_id and not dag["is_paused"] for dag in found)


def _last_lines(file: Path) -> list[str]:
    return file.read_text(errors="replace").splitlines()[-_LAST_LINES:]


def _environment(home: Path, port: int, more: Mapping[str, str] | None) -> dict[str, str]:
    """Nothing of the user's own, but where programs are."""
    return {
        "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}",
        "LANG": "C.UTF-8",
        "HOME": str(home),
        "XDG_DATA_HOME": str(home / "data"),
        reaper.VARIABLE: str(home),
        "SPT_NOENV": "1",  # a process that gives itself a title would write it over its environment, and the mark
        "AIRFLOW_HOME": str(home),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(home / "dags"),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "False",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
        "AIRFLOW__CORE__FERNET_KEY": urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"http://127.0.0.1:{port}/execution/",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{home}/airflow.db",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__CORE__TEST_CONNECTION": "Enabled",
        **_QUICK,
        **_SMALL,
        **(more or {}),
    }
