"""The connection as Airflow's pages show and test it, on every version: nothing is sent, and a fault is a sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.airflow.deployment import Deployment
from tests.airflow.rehearsal import ANY_KEY, Rehearsal
from voicebatch.airflow.get_provider_info import EXTRA_FIELDS

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.airflow


@pytest.fixture(scope="module")
def airflow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """The pages alone: no task is to run."""
    with Deployment.started(tmp_path_factory.mktemp("pages") / "airflow", components=("api-server",)) as deployment:
        yield deployment


@pytest.fixture(scope="module")
def sandbox(airflow: Deployment) -> Rehearsal:
    """An account."""
    return Rehearsal.started(airflow, "--credit", "12.50")


def tried(airflow: Deployment, *, extra: dict[str, Any], **connection: str) -> tuple[bool, str]:
    """What the button "Test" says of a connection."""
    body = {"connection_id": "tried", "conn_type": "voicebatch", "extra": json.dumps(extra), **connection}
    answer = airflow.api("POST", "connections/test", body)
    return answer["status"], answer["message"]


def test_its_type_is_offered_with_its_own_fields(airflow: Deployment) -> None:
    offered = {one["connection_type"]: one for one in airflow.api("GET", "/ui/connections/hook_meta")}["voicebatch"]
    assert offered["hook_name"] == "Voicebatch"
    assert set(offered["extra_fields"]) == set(EXTRA_FIELDS)
    assert offered["extra_fields"]["ledger_password"]["schema"]["format"] == "password"
    assert offered["standard_fields"]["host"]["title"] == "Base URL"
    assert offered["standard_fields"]["password"]["title"] == "API key"
    assert offered["standard_fields"]["login"]["hidden"]


def test_the_command_line_knows_the_provider(airflow: Deployment) -> None:
    assert "voicebatch.airflow.hooks.voicebatch.VoicebatchHook" in airflow.run(
        "airflow", "providers", "hooks", "-o", "json"
    )


def test_a_good_one_says_the_credit_and_calls_nobody(airflow: Deployment, sandbox: Rehearsal) -> None:
    works, words = tried(airflow, host=sandbox.url, password=ANY_KEY, extra={"ledger": sandbox.ledger})
    assert (works, words) == (True, "Credit: 12.5000 EUR")
    assert not sandbox.called


@pytest.mark.parametrize(
    ("key", "extra", "words"),
    [
        ("sandbox-wrong-key", {"ledger": "any.sqlite"}, "the API key is wrong"),
        (ANY_KEY, {}, "names no ledger"),
        ("", {"ledger": "any.sqlite"}, "has no API key. It is the connection's password."),
    ],
)
def test_a_bad_one_says_why_in_a_sentence(
    airflow: Deployment, sandbox: Rehearsal, key: str, extra: dict[str, Any], words: str
) -> None:
    works, said = tried(airflow, host=sandbox.url, password=key, extra=extra)
    assert not works
    assert words in said
    assert "Traceback" not in said
    assert said.endswith(".")


def test_a_rehearsal_needs_nothing_but_its_tick(airflow: Deployment) -> None:
    works, words = tried(airflow, extra={"sandbox": True})
    assert works
    assert words.startswith("A rehearsal")
