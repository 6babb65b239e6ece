"""From Python the API key is in no error, however it is shown, in no log of any library, and in no repr."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import logging
import pkgutil
import socket
import traceback
from typing import TYPE_CHECKING, Any, Final

import pytest

import voicebatch
from tests.cli.canary import KEY, WORDS, leaks, traces
from tests.cli.desk import number
from tests.cli.parrot import WORDS as SAID
from tests.cli.parrot import Act, Parrot, accept, agree, http, perched, refuse
from tests.cli.ways import CODES, WAYS
from voicebatch.app.addresses import Address
from voicebatch.models import Batch, Message
from voicebatch.provider import Account, Provider
from voicebatch.provider.connection import Answered, Connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = pytest.mark.canary

BATCH: Final = Batch(
    id="b" * 24, run_id="r" * 12, ordinal=0, message=Message(text="Bonjour"), numbers=(number(1), number(2))
)
PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    with perched() as one:
        yield one


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What every library has to say, in all its detail."""
    for name in (None, "urllib3", "requests", "voicebatch"):
        caplog.set_level(logging.DEBUG, name)
    return caplog


@dataclasses.dataclass(slots=True, kw_only=True)
class Ear:
    """What could be heard from Python: errors in every way of showing them, what came back, and the log."""

    heard: dict[str, str] = dataclasses.field(default_factory=dict)

    def ask(self, name: str, ask: Callable[[], object]) -> None:
        """Asks, and listens to what comes of it."""
        try:
            self.heard[f"{name}, answer"] = repr(ask())
        except Exception as error:  # noqa: BLE001 # whatever it is, it is shown
            self.heard[f"{name}, traceback"] = "".join(traceback.format_exception(error))
            for at, one in enumerate(_chain(error)):
                self.heard[f"{name}, error {at}"] = f"{one!r} {one} {one.args!r} {vars(one)!r}"

    def listen(self, log: pytest.LogCaptureFixture) -> None:
        """The records with their arguments and tracebacks."""
        formatter = logging.Formatter()
        for at, record in enumerate(log.records):
            self.heard[f"log of {record.name}, {at}"] = f"{formatter.format(record)} {record.args!r} {vars(record)!r}"


def _chain(error: BaseException) -> Iterator[BaseException]:
    """It, its causes and what was being handled, and whatever others keep in it."""
    yield error
    inside = (error.__cause__, error.__context__, *error.args, getattr(error, "reason", None))
    for one in inside:
        if isinstance(one, BaseException):
            yield from _chain(one)


def ask_everything(url: str, ear: Ear, *, timeout: float = 0.3, key: str = KEY) -> None:
    """Every request that there is."""
    account = Account(base_url=url, api_key=key, timeout=timeout)
    provider = Provider(base_url=url, api_key=key, timeout=timeout)
    with contextlib.closing(account), contextlib.closing(provider):
        ear.ask("credit", account.credit)
        ear.ask("audios", account.audios)
        ear.ask("rename", lambda: account.rename("t0ken", "Bienvenue"))
        ear.ask("cancel", lambda: account.cancel("c4mpa1gn"))
        ear.ask("send", lambda: provider.send(BATCH, notify_url="https://me.example/calls"))


@pytest.mark.parametrize("name", [*WAYS, "a yes"])
def test_no_error_and_no_log_tells_the_key_when_there_is(
    parrot: Parrot,
    monkeypatch: pytest.MonkeyPatch,
    everything_logged: pytest.LogCaptureFixture,
    tmp_path: Path,
    name: str,
) -> None:
    for variable in PROXIES:
        monkeypatch.delenv(variable, raising=False)
        monkeypatch.delenv(variable.lower(), raising=False)
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        way = (WAYS | {"a yes": WAYS["no answer"]._replace(act=agree)})[name].at(
            port=parrot.port, closed=bound.getsockname()[1]
        )
        for variable, value in way.variables.items():
            monkeypatch.setenv(variable, value)
        parrot.act, ear = way.act, Ear()
        ear.ask("all", lambda: ask_everything(way.address, ear))
        ear.listen(everything_logged)
    assert leaks(tmp_path, ear.heard) == []


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("status", [200, 400, 401])
def test_no_error_and_no_log_tells_the_key_with_a_code(
    parrot: Parrot, everything_logged: pytest.LogCaptureFixture, tmp_path: Path, code: str, status: int
) -> None:
    parrot.act, ear = lambda _: refuse(code, status), Ear()
    ask_everything(parrot.base_url, ear, timeout=5)
    ear.listen(everything_logged)
    assert len(ear.heard) > 5
    assert leaks(tmp_path, ear.heard) == []
    assert not any(set(traces(text.encode(), ("46571000", "65710002"))) for name, text in ear.heard.items()
                   if not name.startswith("send"))  # fmt: skip # what becomes of a send is for the ledger


def test_the_ear_hears(everything_logged: pytest.LogCaptureFixture, tmp_path: Path) -> None:
    def fail() -> None:
        try:
            int(KEY)
        except ValueError:
            raise OSError("hidden") from None

    ear = Ear()
    ear.ask("fail", fail)
    ear.ask("tell", lambda: KEY)
    for said in (KEY, "nothing"):
        logging.getLogger("urllib3.connectionpool").debug("%s", said)
    ear.listen(everything_logged)
    heard = [place.partition(":")[0] for place in leaks(tmp_path, ear.heard)]
    assert heard == ["fail, error 1", "tell, answer", "log of urllib3.connectionpool, 0"]


# The pipeline


@pytest.mark.parametrize("act", [accept, agree, lambda _: refuse("10", 401), lambda _: http(500, SAID)])
def test_a_run_from_python_tells_nothing(
    parrot: Parrot, everything_logged: pytest.LogCaptureFixture, tmp_path: Path, act: Act
) -> None:
    (tmp_path / "people.csv").write_text(f"nom,telephone\nA,{number(1)}\nB,{number(2)}\n", encoding="utf-8")
    parrot.act, ear, how = act, Ear(), {"ledger": str(tmp_path / "ledger.sqlite"), "out": tmp_path / "reports"}
    plan = voicebatch.plan([tmp_path / "people.csv"], Message(text="Bonjour"), **how)  # type: ignore[arg-type]
    ear.ask("send", lambda: voicebatch.send(plan, api_key=KEY, base_url=parrot.base_url))
    ear.ask("resume", lambda: voicebatch.resume("latest", api_key=KEY, ledger=how["ledger"]))  # type: ignore[arg-type]
    ear.listen(everything_logged)
    assert parrot.asked
    assert leaks(tmp_path, ear.heard) == []


# What holds the key


@pytest.mark.parametrize("key", [f"{KEY}\ud800", f"{KEY}\n{KEY}", KEY * 30], ids=["half a character", "lines", "long"])
@pytest.mark.parametrize("client", [Account, Provider])
def test_what_can_be_no_key_is_refused_without_showing_it(client: Any, key: str, tmp_path: Path) -> None:
    ear = Ear()
    ear.ask("client", lambda: client(base_url="https://voicebatch.invalid", api_key=key, timeout=1.0))
    assert "UsageError" in ear.heard["client, traceback"]
    assert leaks(tmp_path, ear.heard) == []


def test_a_key_of_a_character_or_two_spoils_no_figure(parrot: Parrot) -> None:
    parrot.act = lambda _: http(
        200, '{"success": true, "credit": "19.3", "currency": "EUR", "details": {"tts": {"h": 3}}}'
    )
    with contextlib.closing(Account(base_url=parrot.base_url, api_key="3", timeout=5)) as account:
        left = account.credit()
    assert (str(left.amount), left.currency, left.details) == ("19.3", "EUR", {"tts": {"h": 3}})


def holders() -> list[type]:
    """Every dataclass with a field for the key."""
    found = [Address, Answered]
    for module in pkgutil.walk_packages(voicebatch.__path__, "voicebatch."):
        skipped = "migrations" in module.name or module.name.startswith("voicebatch.airflow")  # it has tests of its own
        if not skipped and not module.name.endswith("__main__"):
            classes = inspect.getmembers(importlib.import_module(module.name), dataclasses.is_dataclass)
            found += [one for _, one in classes if isinstance(one, type) and "api_key" in one.__annotations__]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("holder", holders())
def test_no_repr_shows_what_a_record_holds(holder: Any) -> None:
    made = object.__new__(holder)
    for one in dataclasses.fields(holder):
        is_secret = one.name in {"api_key", "key", "text", "phone_numbers"}
        object.__setattr__(made, one.name, (f"{KEY} {number(1)}",) if is_secret else "")
    assert traces(f"{made!r} {made}".encode(), (*WORDS, number(1))) == []


def test_the_known_holders_are_found() -> None:
    names = {holder.__name__ for holder in holders()}
    assert names >= {"SendRequest", "CampaignRequest", "RenameRequest", "_Sending", "Address", "Answered"}


def test_no_repr_shows_what_a_client_holds() -> None:
    how: dict[str, Any] = {"base_url": "https://voicebatch.invalid/v1", "api_key": KEY, "timeout": 1.0}
    clients = (Account(**how), Provider(**how), Connection(**how))
    assert traces("".join(f"{one!r} {one}" for one in clients).encode()) == []
