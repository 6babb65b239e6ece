"""A sandbox for one test, with people, a ledger and a connection of their own in a deployment."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import requests

from tests.airflow.deployment import Deployment, until

ANY_KEY: Final = "any"
_SERIAL: Final = itertools.count(1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """Who was called, and by which requests, is the sandbox's own word."""

    deployment: Deployment
    name: str
    url: str
    ledger: str
    folder: Path

    @classmethod
    def started(
        cls,
        deployment: Deployment,
        *options: str,
        ledger: str | None = None,
        rate: str = "2000/h",
        connection: str | None = None,
    ) -> Rehearsal:
        """A new sandbox that allows this rate, and a connection that knows of it; ``options`` are the command's.

        It ends with the deployment. The ledger is a file unless one is given.
        """
        name = f"sandbox_{next(_SERIAL)}"
        folder = deployment.home / name
        folder.mkdir()
        deployment.start("sandbox", "--port", "0", "--json", "--rate", rate, *options, command="voicebatch", name=name)
        until(lambda: deployment.said(name).endswith("}\n"), "the sandbox is served")
        rehearsal = cls(
            deployment=deployment,
            name=connection or name,
            url=json.loads(deployment.said(name))["base_url"],
            ledger=ledger or str(folder / "ledger.sqlite"),
            folder=folder,
        )
        extra = {"ledger": rehearsal.ledger, "rate": rate}
        deployment.connect(rehearsal.name, host=rehearsal.url, password=ANY_KEY, extra=extra)
        return rehearsal

    def people(self, count: int) -> Path:
        """A file of that many people."""
        file = self.folder / "people.csv"
        rows = (f"client {at},+334657101{at:02}" for at in range(count))
        file.write_text("\n".join(["nom,telephone", *rows]))
        return file

    def call(self, count: int, *, dag_id: str = "calls", **conf: Any) -> str:
        """Starts a DAG run that calls that many people, with a request for each."""
        files = str(self.people(count))
        out = str(self.folder / "reports")
        return self.deployment.trigger(dag_id, files=files, out=out, connection=self.name, **conf)

    @property
    def called(self) -> Counter[str]:
        """How often each number was called."""
        return Counter(call["number"] for call in self._ask("calls"))

    @property
    def outcomes(self) -> Counter[str]:
        """How often each outcome of a request that calls people occurred."""
        return Counter(one["outcome"] for one in self._ask("requests") if one["endpoint"].startswith("POST"))

    def go_wrong(self, *faults: str) -> None:
        """What goes wrong from now on."""
        requests.post(f"{self._origin}/sandbox/faults", json=faults, timeout=60).raise_for_status()

    def command(self, *arguments: str) -> str:
        """Runs voicebatch on the rehearsal's ledger, as a user would after a task has failed."""
        return self.deployment.run("voicebatch", *arguments, VOICEBATCH_LEDGER=self.ledger)

    def runs(self) -> list[dict[str, Any]]:
        """The ledger's runs."""
        listed: list[dict[str, Any]] = json.loads(self.command("runs", "--json"))["runs"]
        return listed

    def _ask(self, what: str) -> Sequence[dict[str, Any]]:
        answer = requests.get(f"{self._origin}/sandbox/{what}", timeout=60)
        answer.raise_for_status()
        listed: Sequence[dict[str, Any]] = answer.json()
        return listed

    @property
    def _origin(self) -> str:
        return self.url.removesuffix("/v1")


def everyone_once(count: int) -> Counter[str]:
    """What the sandbox says if each of them was called once, and nobody else."""
    return Counter(f"+334657101{at:02}" for at in range(count))
