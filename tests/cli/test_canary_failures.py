"""The API key is in no word about what went wrong: every code, every broken answer, every broken way there."""

from __future__ import annotations

import itertools
import json
import shutil
import signal
import socket
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest

from tests.cli.canary import KEY, WORDS, leaks, traces
from tests.cli.desk import FICTION, Result
from tests.cli.parrot import Asked, Parrot, accept, agree, http, perched, refuse
from tests.cli.ways import CODES, WAYS
from voicebatch import wire

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.cli.forge import ForgedDesk

pytestmark = pytest.mark.canary

EVERYTHING: Final = ("-vv", "--json")
"""All that can be said on standard error; on standard output JSON, which says more than a person is told."""
TO_A_PERSON: Final = EVERYTHING[:1]
QUICKLY: Final = ("--timeout", "0.3")
LOOK_UPS: Final = (("credit",), ("audio", "list"), ("audio", "rename", "t0ken", "Bienvenue"))
WAITING: Final = (": not sent", ": throttled")
"""What the log says of a request that is to be repeated."""
STOPPING: Final = tuple(wire.ACCOUNT_CODES)
NO_KEYS: Final = ("half a character", "too long", "lines", "control characters")
REFUSING: Final = tuple(code for code in CODES if code not in STOPPING)


@pytest.fixture
def parrot() -> Iterator[Parrot]:
    with perched() as one:
        yield one


@pytest.fixture(scope="module")
def scheduled(new_forged_desk: Callable[..., ForgedDesk]) -> ForgedDesk:
    """A machine from which requests are scheduled, one for each code and some more."""
    desk = new_forged_desk(VOICEBATCH_API_KEY=KEY)
    desk.people("many.csv", len(CODES) + 5)
    with perched(accept) as parrot:
        sent = desk.run("send", "many.csv", "--text", "Bonjour", "--schedule", "2033-03-01 09:00", "--batch-size", "1",
                        "--yes", "--base-url", parrot.base_url)  # fmt: skip
        assert sent.code == 0, sent
    return desk


@pytest.fixture
def desk(scheduled: ForgedDesk, tmp_path: Path) -> ForgedDesk:
    """The same machine once more, for one test."""
    home = tmp_path / "home"
    shutil.copytree(scheduled.home, home)
    return replace(scheduled, home=home)


@pytest.fixture(scope="module")
def closed() -> Iterator[int]:
    """A port at which nobody listens, nor will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]


def discreet(desk: ForgedDesk, *results: Result) -> None:
    """The key is nowhere, and on standard error there is no number and no fault of ours."""
    said = {
        f"{at}, {name}": text for at, one in enumerate(results) for name, text in (("out", one.out), ("err", one.err))
    }
    assert leaks(desk.home, said) == []
    for one in results:
        assert not FICTION.search(one.err), one.err
        assert "fault of voicebatch" not in one.err, one.err
        assert one.code in {0, 2, 4, 5, 6, 7, 130}, one


def send(desk: ForgedDesk, *how: str, **variables: str) -> Result:
    """Sends to three people; whatever it would wait for is not waited for."""
    desk.people("few.csv", 3, first=9000)
    sending = desk.begin("send", "few.csv", "--text", "Salut", "--yes", "--concurrency", "1", *how, **variables)
    sending.until_said(*WAITING, '"schema_version"')
    if any(word in sending.err.read_text() for word in WAITING):
        sending.signal(signal.SIGINT)
    return sending.end()


def every_asking_command(desk: ForgedDesk, *how: str, **variables: str) -> Iterator[Result]:
    """Each command that asks the provider for something, and what the ledger then has to say about it."""
    for look_up in LOOK_UPS:
        yield desk.run(*look_up, *how, *EVERYTHING, **variables)
    for voice in (TO_A_PERSON, EVERYTHING):
        yield desk.run("cancel", "latest", "--yes", *how, *voice, **variables)
    yield send(desk, *how, *EVERYTHING, **variables)
    yield desk.run("runs", "show", "latest", *EVERYTHING)


@pytest.mark.parametrize("name", WAYS)
def test_no_command_tells_the_key_when_what_stands_between_it_and_an_answer_is(
    desk: ForgedDesk, parrot: Parrot, closed: int, name: str
) -> None:
    way = WAYS[name].at(port=parrot.port, closed=closed)
    parrot.act = way.act
    discreet(desk, *every_asking_command(desk, "--base-url", way.address, *QUICKLY, **way.variables))


class TestADocumentedCodeWithTheKeyInItsMessage:
    @pytest.mark.parametrize(("at", "status"), [(0, 200), (1, 400), (2, 401)])
    def test_is_told_without_it_by_look_ups(self, desk: ForgedDesk, parrot: Parrot, at: int, status: int) -> None:
        results = []
        for code, look_up in zip(CODES, itertools.islice(itertools.cycle(LOOK_UPS), at, None), strict=False):
            parrot.act = answering(code, status)
            where = ("--base-url", parrot.base_url, "--ledger", f"{code}.sqlite")
            results.append(desk.run(*look_up, *where, *EVERYTHING))
        assert {result.code for result in results} == {2, 6, 7}
        discreet(desk, *results)

    def test_is_told_without_it_by_a_cancellation(self, desk: ForgedDesk, parrot: Parrot) -> None:
        codes = iter(CODES)
        parrot.act = lambda _: refuse(next(codes, "404"))
        how = ("--yes", "--base-url", parrot.base_url, *EVERYTHING)
        results = [desk.run("cancel", "latest", *how) for _ in STOPPING]
        assert next(codes, None) is None
        assert {result.code for result in results} >= {5, 6}
        discreet(desk, *results, *self._told_again(desk))

    def test_is_told_without_it_by_a_send(self, desk: ForgedDesk, parrot: Parrot) -> None:
        codes = iter((*REFUSING, *STOPPING))
        parrot.act = lambda asked: refuse(next(codes, "14")) if asked.what == "send" else agree(asked)
        desk.people("all.csv", len(CODES), first=8000)
        how = ("--yes", "--concurrency", "1", "--base-url", parrot.base_url, *EVERYTHING)
        results = [desk.run("send", "all.csv", "--text", "Salut", "--batch-size", "1", *how)]
        results += [desk.run("resume", "latest", *how) for _ in STOPPING]
        assert next(codes, None) is None
        assert {result.code for result in results} == {5, 6}
        discreet(desk, *results, *self._told_again(desk))

    def _told_again(self, desk: ForgedDesk) -> Iterator[Result]:
        for voice in (TO_A_PERSON, EVERYTHING):
            yield desk.run("runs", "show", "latest", *voice)
            yield desk.run("report", "latest", *voice)


def answering(code: str, status: int) -> Callable[[Asked], bytes]:
    """The same no to everything."""
    return lambda _: refuse(code, status)


def echo(asked: Asked) -> bytes:
    """A wrong key, said with the whole request."""
    return http(401, json.dumps({"success": False, "code": 10, "message": f"{asked.path} {asked.body.decode()}"}))


class TestWhereTheKeyComesFrom:
    @pytest.fixture
    def bare(self, new_forged_desk: Callable[..., ForgedDesk]) -> ForgedDesk:
        """A machine without a key."""
        return new_forged_desk(VOICEBATCH_API_KEY="")

    @pytest.mark.parametrize("content", [f"{KEY}\n".encode(), f"\ufeff {KEY}\r\n".encode()])
    def test_a_file(self, bare: ForgedDesk, parrot: Parrot, tmp_path: Path, content: bytes) -> None:
        path = tmp_path / "key"
        path.write_bytes(content)
        parrot.act = answering("10", 401)
        results = self._ask(bare, parrot, VOICEBATCH_API_KEY_FILE=str(path))
        assert set(traces(repr(parrot.asked).encode())) == set(WORDS)
        discreet(bare, *results)

    @pytest.mark.parametrize("content", [f"{KEY}\xff".encode("latin-1"), None])
    def test_a_file_that_cannot_be_read(
        self, bare: ForgedDesk, parrot: Parrot, tmp_path: Path, content: bytes | None
    ) -> None:
        path = tmp_path / "key"
        path.write_bytes(content) if content else path.mkdir()
        self._refused(bare, parrot, VOICEBATCH_API_KEY_FILE=str(path))

    def test_the_key_in_the_place_of_its_file(self, bare: ForgedDesk, parrot: Parrot) -> None:
        self._refused(bare, parrot, VOICEBATCH_API_KEY_FILE=KEY)

    @pytest.mark.parametrize(
        "key", [f"{KEY}\udcff", KEY * 30, f"{KEY}\r\nX-Y: {KEY}", f"\x07{KEY}\x1b[31m"], ids=NO_KEYS
    )
    def test_a_variable_that_is_no_key(self, bare: ForgedDesk, parrot: Parrot, key: str) -> None:
        self._refused(bare, parrot, VOICEBATCH_API_KEY=key)

    @pytest.mark.parametrize("key", [f"{KEY}😀", f" {KEY}\t"], ids=["beyond the basic plane", "with blanks around"])
    def test_a_variable_that_is_a_strange_key(self, bare: ForgedDesk, parrot: Parrot, key: str) -> None:
        parrot.act = echo
        results = self._ask(bare, parrot, VOICEBATCH_API_KEY=key)
        assert set(traces(repr(parrot.asked).encode())) == set(WORDS)
        discreet(bare, *results)

    @pytest.mark.parametrize("option", [("--api-key", KEY), (f"--api-key={KEY}",)])
    def test_an_option_that_there_is_not(self, bare: ForgedDesk, parrot: Parrot, option: tuple[str, ...]) -> None:
        self._refused(bare, parrot, *option)

    @pytest.mark.parametrize(
        "line", ["api-key = {}", "api_key = {}", "[send]\napi-key = {}", "apikey = {}", "api-key {}"]
    )
    def test_the_configuration(self, bare: ForgedDesk, parrot: Parrot, line: str) -> None:
        path = bare.home / "voicebatch.toml"
        path.write_text(line.format(f"'''{KEY}'''"), encoding="utf-8")
        self._refused(bare, parrot, afterwards=path.unlink)

    def _ask(self, desk: ForgedDesk, parrot: Parrot, *more: str, **variables: str) -> list[Result]:
        how = ("--base-url", parrot.base_url, *QUICKLY, *EVERYTHING, *more)
        return [desk.run("credit", *how, **variables), send(desk, *how, **variables)]

    def _refused(
        self, desk: ForgedDesk, parrot: Parrot, *more: str, afterwards: Callable[[], object] = list, **variables: str
    ) -> None:
        results = self._ask(desk, parrot, *more, **variables)
        afterwards()
        assert [result.code for result in results] == [2, 2], results
        assert not parrot.asked
        discreet(desk, *results)
