"""A small run that is played again and again, with a kill at another step each time."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import requests
from sqlalchemy import create_engine, make_url, text

import voicebatch
from tests.crash.evidence import Evidence, faults
from tests.crash.forks import Trap, fork

PEOPLE: Final = (
    ("nom", "telephone"),
    ("Anne", "04 65 71 00 01"),
    ("Bruno", "04 65 71 00 02"),
    ("Chloé", "04 65 71 00 03"),
    ("David", "+33600000014"),  # the sandbox refuses a request with this number
    ("Emma", "04 65 71 00 05"),
    ("Farid", "04 65 71 00 06"),
    ("Gaël", "3.36E+10"),
    ("Anne", "+33465710001"),
)
MAY_BE: Final = {
    **dict.fromkeys((2, 3, 4, 6, 7), ("accepted", "unknown")),
    5: ("refused", "unknown"),
    8: ("rejected",),
    9: ("suppressed",),  # a duplicate
}
"""What may become of each row."""

BATCH_SIZE: Final = 2
REPORTS: Final = {"country_report.csv", "country_report.parquet", "manifest.json", "recipients.csv", "rejected.csv"}


def do_nothing() -> None:
    """The product as it is."""


class Kill(NamedTuple):
    """At which step, and what was about to be done or just done."""

    step: int
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What came of a run that was killed and gone on with.

    ``uncalled`` counts those of the ``unknown`` who were not called.
    """

    kills: list[Kill]
    faults: list[str]
    unknown: int
    uncalled: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where the run is played: ``base_url`` is a sandbox in another process, ``ledger_url`` a place for a ledger."""

    home: Path
    people: Path
    ledger_url: str
    base_url: str

    def play(self, *points: int, alter: Callable[[], None] = do_nothing) -> Ending:
        """Kills the run at each of the points in turn, as far as it gets there, and then goes on with it.

        ``alter`` changes the product that goes on.
        """
        self._clear()
        plan = self._plan(points)
        kills = [kill for point in points if (kill := self._kill(plan, point))]
        assert kills, f"the run has no step {points[0]}"
        code = fork(lambda: self._go_on(plan, alter))
        assert code == 0, f"after {kills} it ends with {code}"
        return self._ending(plan, kills)

    def steps(self) -> list[str]:
        """Every point at which the run can be killed, in order: the first one's number is 1."""
        self._clear()
        plan = self._plan(())
        code = fork(lambda: self._rehearse(plan))
        assert code == 0, code
        return self._diary.read_text(encoding="utf-8").splitlines()

    def warm_up(self) -> None:
        """Has this process import what a run needs, so that its forks need not."""
        self._clear()
        voicebatch.send(self._plan((0,)), api_key="key", base_url=self.base_url)

    @property
    def _diary(self) -> Path:
        return self.home / "diary"

    @property
    def _result(self) -> Path:
        return self.home / "result.json"

    def _kill(self, plan: voicebatch.Plan, point: int) -> Kill | None:
        """Lets the run go on until this point; None when it ended before."""
        self._diary.write_text("", encoding="utf-8")
        code = fork(lambda: self._send(plan, Trap(at=point, diary=self._diary)))
        told = self._diary.read_text(encoding="utf-8")
        assert code == (-signal.SIGKILL if told else 0), f"at step {point}, {told!r}, it ends with {code}"
        return Kill(point, told) if told else None

    def _plan(self, points: tuple[int, ...]) -> voicebatch.Plan:
        return voicebatch.plan(
            [self.people],
            voicebatch.Message(text=_message(points)),
            batch_size=BATCH_SIZE,
            max_invalid="50%",
            ledger=self.ledger_url,
            out=self.home / "reports",
        )

    def _send(self, plan: voicebatch.Plan, trap: Trap) -> None:
        trap.watch_database()
        trap.watch_files(self.home / "reports")
        with trap.session() as session:
            voicebatch.send(plan, api_key="key", base_url=self.base_url, session=session, concurrency=1)

    def _rehearse(self, plan: voicebatch.Plan) -> None:
        trap = Trap(at=0, diary=self._diary)
        self._send(plan, trap)
        self._diary.write_text("\n".join(trap.passed), encoding="utf-8")

    def _go_on(self, plan: voicebatch.Plan, alter: Callable[[], None]) -> None:
        alter()
        for abandoned in plan.report_dir.glob("*.partial"):
            os.utime(abandoned, (0, 0))
        summary = voicebatch.send(plan, api_key="key", base_url=self.base_url)
        self._result.write_text(json.dumps(asdict(summary.rows)))

    def _ending(self, plan: voicebatch.Plan, kills: list[Kill]) -> Ending:
        folder, counts = plan.report_dir, json.loads(self._result.read_text())
        with (folder / "recipients.csv").open(encoding="utf-8", newline="") as file:
            lines = list(csv.DictReader(file))
        evidence = Evidence(called=self._called(plan), rows=MAY_BE.keys(), lines=lines, counts=counts)
        unknown = evidence.with_status("unknown")
        return Ending(
            kills=kills,
            faults=[
                *faults(evidence),
                *_wrong_statuses(evidence, len(kills)),
                *_wrong_reports(folder, counts),
                *(f"{path.name} is left over" for path in folder.iterdir() if path.name not in REPORTS),
            ],
            unknown=len(unknown),
            uncalled=sum(line["phone"] not in evidence.called for line in unknown),
        )

    def _called(self, plan: voicebatch.Plan) -> Counter[str]:
        """By the sandbox's own list."""
        calls = requests.get(self.base_url.removesuffix("/v1") + "/sandbox/calls", timeout=10).json()
        return Counter(call["number"] for call in calls if call["text"] == plan.message.text)

    def _clear(self) -> None:
        shutil.rmtree(self.home / "reports", ignore_errors=True)
        for path in (self._diary, self._result):
            path.unlink(missing_ok=True)
        clear_ledger(self.ledger_url)


def clear_ledger(ledger_url: str) -> None:
    """Makes it a place where no ledger ever was."""
    url = make_url(ledger_url)
    if url.get_backend_name() == "sqlite":
        for suffix in ("", "-wal", "-shm"):
            Path(f"{url.database}{suffix}").unlink(missing_ok=True)
        return
    engine = create_engine(url)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()


def _message(points: tuple[int, ...]) -> str:
    """Every play has its own, by which the sandbox's list tells them apart."""
    return f"Bonjour, essai {points}."


def _wrong_statuses(evidence: Evidence, kills: int) -> list[str]:
    wrong = [line for line in evidence.lines if line["status"] not in MAY_BE.get(int(line["row"]), ())]
    said = [f"row {line['row']} cannot be {line['status']}" for line in wrong]
    if len(evidence.with_status("unknown")) > BATCH_SIZE * kills:
        said.append("a kill made more than one request unknown")
    return said


def _wrong_reports(folder: Path, counts: dict[str, int]) -> list[str]:
    missing = sorted(REPORTS - {path.name for path in folder.iterdir()})
    manifest: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    said = [f"no {name}" for name in missing]
    said += [f"a check failed: {check}" for check in manifest["checks"] if check["ok"] is not True]
    if manifest["rows"] != counts:
        said.append(f"the manifest counts {manifest['rows']}, the summary {counts}")
    return said
