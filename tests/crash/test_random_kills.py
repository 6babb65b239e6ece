"""Four workers on one run, each killed at a random moment and started again, hundreds of times.

VOICEBATCH_KILLS says how often, VOICEBATCH_SEED repeats the dice of an earlier run (not its scheduling).
"""

from __future__ import annotations

import os
import random
import time
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.provider import provide
from tests.crash.evidence import Evidence, faults
from tests.crash.siege import Siege
from tests.crash.weather import Weather

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.cli.desk import Desk
    from tests.cli.provider import Provider

KILLS: Final = int(os.environ.get("VOICEBATCH_KILLS", "200"))
SEED: Final = int(os.environ.get("VOICEBATCH_SEED", random.SystemRandom().randrange(10**6)))
PEOPLE_PER_KILL: Final = 20
CONCURRENCY: Final = 4
LAST_SECONDS: Final = 900  # for the one that is not killed: on a busy machine the others left it almost everything
FICTION: Final = ("19900", "26191", "35301", "46571", "53649", "63998")  # the regulator's numbers for fiction


def person(at: int) -> str:
    """The n-th fictional number of sixty thousand."""
    return f"+33{FICTION[at // 10_000]}{at % 10_000:04d}"


@pytest.mark.crash
def test_killed_at_random_hundreds_of_times_a_run_calls_nobody_twice_and_loses_nobody(
    desk: Desk, ledger_url: str, say: Callable[[str], None]
) -> None:
    say(f"seed {SEED}")
    people = [person(at) for at in range(PEOPLE_PER_KILL * KILLS)]
    desk.write("people.csv", [("telephone",), *((number,) for number in people)])
    weather, began = Weather(SEED), time.monotonic()
    with provide(*[weather] * (10 * len(people))) as provider:
        battle = Battle(desk=desk, provider=provider, ledger_url=ledger_url, rows=range(2, len(people) + 2))
        siege = Siege(
            desk=desk,
            kills=KILLS,
            seed=SEED,
            begin=battle.command("send", "people.csv", "--text", "Bonjour", "--batch-size", "1"),
            go_on=battle.command("resume", "latest"),
            weather=weather,
        )
        killed = siege.lay()
        evidence = battle.finish()
        say(f"{figures(siege, killed, evidence)}, {time.monotonic() - began:.0f} s")
        assert faults(evidence) == []
        assert siege.surprises == []
        assert killed == KILLS, "the run came to its end before"
        assert len(evidence.with_status("unknown")) <= killed * CONCURRENCY + weather.mishaps
        weather.clear()
        settled = battle.settle(evidence)
    assert faults(settled) == []
    assert settled.called == Counter(people)
    assert settled.statuses == {"accepted": len(people)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Battle:
    """One run against one provider, by the real command."""

    desk: Desk
    provider: Provider
    ledger_url: str
    rows: range

    def command(self, *words: str) -> tuple[str, ...]:
        """A command that works on the run."""
        how = ("--base-url", self.provider.base_url, "--rate", "1000000/s", "--concurrency", str(CONCURRENCY), "--yes")
        return (*words, *how, "--ledger", self.ledger_url, "--json")

    def finish(self) -> Evidence:
        """Goes on with the run to its end, unharmed, and looks at what it says."""
        process = self.desk.start(*self.command("resume", "latest"))
        process.popen.wait(LAST_SECONDS)
        result = process.end()
        assert result.code in {0, 5}, result.err
        folder = result.json["report_dir"]
        assert all(check["ok"] is True for check in self.desk.manifest(folder)["checks"])
        return Evidence(
            called=Counter(self.provider.called),
            rows=self.rows,
            lines=self.desk.table(folder, "recipients.csv"),
            counts=result.json["rows"],
        )

    def settle(self, evidence: Evidence) -> Evidence:
        """Says of every unknown request what the server's list says of it, and goes on: as an operator would."""
        unknown = evidence.with_status("unknown")
        self._resolve([line["batch_id"] for line in unknown if line["phone"] in evidence.called], "--as", "sent")
        missed = [line["batch_id"] for line in unknown if line["phone"] not in evidence.called]
        self._resolve(missed, "--as", "not-sent", "--requeue")
        return self.finish()

    def _resolve(self, batches: list[str], *how: str) -> None:
        for start in range(0, len(batches), 100):
            named = (word for batch in batches[start : start + 100] for word in ("--batch", batch))
            why = ("--reason", "the provider's own list", "--ledger", self.ledger_url)
            result = self.desk.run("resolve", "latest", *named, *how, *why)
            assert result.code in {0, 5}, result.err


def figures(siege: Siege, killed: int, evidence: Evidence) -> str:
    """The line for whoever watches."""
    return (
        f"{killed} kills, {siege.early} before it sent, {siege.in_request} in {siege.requests_hit} requests; "
        f"{len(evidence.rows)} people, {len(evidence.with_status('unknown'))} unknown, "
        f"{sum(times > 1 for times in evidence.called.values())} called twice, "
        f"{len(evidence.rows) - len(evidence.lines)} lost"
    )
