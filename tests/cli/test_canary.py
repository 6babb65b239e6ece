"""The API key is nowhere but in requests: every command, at every verbosity, against a provider that repeats it."""

from __future__ import annotations

import base64
import json
import re
import signal
import sqlite3
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlsplit

import click
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import requests

from tests.cli.canary import ENCODINGS, KEY, SPELLINGS, WORDS, leaks, rows_of_postgresql, traces
from tests.cli.desk import FICTION, Desk, Result, number
from tests.cli.parrot import CAMPAIGN, Asked, Parrot, accept, agree, http, perched, refuse
from tests.cli.parrot import WORDS as SAID
from voicebatch.cli import COMMANDS, main
from voicebatch.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.forge import Forged, ForgedDesk
    from tests.servers import PostgresqlServer

pytestmark = pytest.mark.canary

VOICES: Final = {
    "quietly": ("-q",),
    "without a word about it": (),
    "verbosely": ("-v",),
    "with tracebacks": ("-vv",),
    "in JSON": ("--json",),
}
ON_POSTGRESQL: Final = "on PostgreSQL"
FOUND: Final = sorted(WORDS)
SECONDS: Final = 10


def every_command() -> set[str]:
    """Whatever can be typed after ``voicebatch``."""
    context, found = click.Context(main), set()
    for name in COMMANDS:
        command = main.get_command(context, name)
        below = command.commands if isinstance(command, click.Group) else {}
        found |= {f"{name} {one}" for one in below}
        if not isinstance(command, click.Group) or command.invoke_without_command:
            found.add(name)
    return found


# The story


def _in_a_folder(home: Path) -> None:
    (home / "reports").mkdir()
    (home / "reports" / "manifest.json").write_text(json.dumps({"key": KEY}), encoding="utf-8")


def _packed_in_a_database(home: Path) -> None:
    with closing(sqlite3.connect(home / "ledger.sqlite")) as connection:
        connection.execute("CREATE TABLE documents (content BLOB)")
        connection.execute("INSERT INTO documents VALUES (?)", (zlib.compress(KEY.encode()),))
        connection.commit()


def _in_a_package(home: Path) -> None:
    with zipfile.ZipFile(home / "people.xlsx", "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("xl/sharedStrings.xml", KEY * 9)


PLACES: Final[dict[str, Callable[[Path], object]]] = {
    "a folder below": _in_a_folder,
    "a name": lambda home: (home / WORDS[0]).touch(),
    "Parquet": lambda home: pq.write_table(pa.table({"a": [KEY] * 9}), home / "a.parquet", compression="zstd"),
    "a package": _in_a_package,
    "a packed value of a database": _packed_in_a_database,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """Every command, one after another, on one machine; and what each said and ended with."""

    desk: ForgedDesk
    parrot: Parrot
    voice: tuple[str, ...]
    told: dict[str, list[Result]] = field(default_factory=dict)
    shown: dict[str, str] = field(default_factory=dict)
    """What else anybody may see."""

    def tell(self) -> None:
        """All of it."""
        self._about_files()
        self._about_the_account()
        self._about_a_run()
        self._about_callbacks()
        self._about_the_sandbox()

    @property
    def said(self) -> dict[str, str]:
        """What came out of every command."""
        results = [(command, result) for command, some in self.told.items() for result in some]
        return {f"{command}, {name}": text for command, result in results
                for name, text in (("stdout", result.out), ("stderr", result.err))} | self.shown  # fmt: skip

    @property
    def rows(self) -> dict[str, bytes]:
        """What is in a ledger that is not in a file."""
        url = self.desk.environment.get("VOICEBATCH_LEDGER")
        return rows_of_postgresql(url) if url else {}

    @property
    def secret(self) -> bytes:
        """What the codes of callbacks are made with."""
        url = self.desk.environment.get("VOICEBATCH_LEDGER", str(self.desk.home / "data/voicebatch/ledger.sqlite"))
        with closing(Ledger(url)) as ledger:
            return ledger.callback_secret()

    def _run(self, code: int, command: str, *arguments: str) -> None:
        self._tell(code, command, self.desk.run(*command.split(), *arguments, *self.voice))

    def _tell(self, code: int, command: str, result: Result) -> None:
        assert result.code == code, (command, result)
        self.told.setdefault(command, []).append(result)

    def _about_files(self) -> None:
        self.desk.write("people.csv", [("nom", "telephone"), *((f"A{at}", number(at)) for at in range(7)), ("B", "1")])
        self._run(0, "schema init", "schema.yaml")
        self._run(0, "schema infer", "people.csv")
        self._run(0, "schema show", "schema.yaml")
        self._run(3, "validate", "people.csv", "--annotate")
        self._run(0, "plan", "people.csv", "--text", "Bonjour", "--max-invalid", "20%")

    def _about_the_account(self) -> None:
        where = ("--base-url", self.parrot.base_url)
        self._run(0, "credit", *where)
        self._run(0, "audio list", *where)
        self._run(0, "audio rename", "t0ken", "Bienvenue", *where)

    def _about_a_run(self) -> None:
        self.parrot.act = in_turn(accept, agree, http(500, SAID), refuse("13"), refuse("11", 403), refuse("10", 401))
        how = ("--yes", "--concurrency", "1", "--max-invalid", "20%", "--batch-size", "1", "--annotate")
        when = ("--schedule", "2033-03-01 09:00", "--notify-url", "http://127.0.0.1:9/calls")
        self._run(6, "send", "people.csv", "--text", "Bonjour", *when, *how, "--base-url", self.parrot.base_url)
        self._run(6, "resume", "latest", "--yes", "--concurrency", "1")
        self._run(5, "resume", "latest", "--yes", "--concurrency", "1")
        self._run(0, "runs")
        self._run(0, "runs show", "latest")
        self._run(0, "report", "latest")
        self._run(0, "resolve", "latest", "--as", "not-sent", "--reason", "seen there", "--yes")
        self._run(0, "cancel", "latest", "--yes")
        self._run(0, "runs show", "latest")

    def _about_callbacks(self) -> None:
        listening = self.desk.begin("listen", "--port", "0", *self.voice)
        url = _address_of(listening)
        for path in self._callback_paths():
            requests.post(f"{url}{path[:-1]}", SAID.encode(), timeout=SECONDS)
            requests.post(url + path, SAID.encode(), timeout=SECONDS)
            requests.post(url + path, json=_delivered(), timeout=SECONDS)
            requests.get(f"{url}{path}?campaign_id={CAMPAIGN}", timeout=SECONDS)
        self.shown["metrics"] = requests.get(f"{url}/metrics", timeout=SECONDS).text
        self._tell(0, "listen", _interrupted(listening))

    def _callback_paths(self) -> list[str]:
        """Those of this run, each with its code."""
        bodies = [json.loads(asked.body) for asked in self.parrot.asked if asked.what == "send"]
        return [urlsplit(body["notifyUrl"]).path for body in bodies]

    @property
    def codes(self) -> tuple[str, ...]:
        """The secret part of the addresses of callbacks."""
        return tuple(path.rpartition("/")[2] for path in self._callback_paths())

    def _about_the_sandbox(self) -> None:
        serving = self.desk.begin("sandbox", "--port", "0", *self.voice)
        url, key = _address_of(serving), quote(KEY, safe="")
        said = {"apiKey": KEY, "phoneNumbers": number(1), "text": "Bonjour"}
        requests.post(f"{url}/v1/tts/send", json=said, timeout=SECONDS)
        requests.post(f"{url}/v1/audio-file/rename", json=said, timeout=SECONDS)
        for path in ("me", "audios", "me/x", "nowhere", "campaign/cancel", "campaign/cancel/x/y"):
            for method in ("GET", "DELETE", "PUT"):
                requests.request(method, f"{url}/v1/{path}/{key}", timeout=SECONDS)
        for listing in ("requests", "calls", "callbacks", "faults"):
            self.shown[f"/sandbox/{listing}"] = requests.get(f"{url}/sandbox/{listing}", timeout=SECONDS).text
        self._tell(0, "sandbox", _interrupted(serving))


def in_turn(*answers: bytes | Callable[[Asked], bytes]) -> Callable[[Asked], bytes]:
    """These answers to sends, then a yes; a yes to whatever else."""
    left = iter(answers)

    def act(asked: Asked) -> bytes:
        answer = next(left, accept) if asked.what == "send" else agree
        return answer if isinstance(answer, bytes) else answer(asked)

    return act


def _delivered() -> dict[str, str]:
    return {"campaignId": CAMPAIGN, "status": "delivered", "phoneNumber": number(1)}


def _address_of(command: Forged) -> str:
    command.until_said("http://127.0.0.1")
    found = re.search(r"http://127\.0\.0\.1:\d+", command.out.read_text())
    assert found
    return found[0]


def _interrupted(command: Forged) -> Result:
    command.signal(signal.SIGINT)
    return command.end()


@pytest.fixture(scope="module", params=[*VOICES, ON_POSTGRESQL])
def story(request: pytest.FixtureRequest, new_forged_desk: Callable[..., ForgedDesk]) -> Iterator[Story]:
    """One at each verbosity, and one whose ledger is on PostgreSQL."""
    variables = {"VOICEBATCH_API_KEY": KEY}
    if request.param == ON_POSTGRESQL:
        variables["VOICEBATCH_LEDGER"] = _database(request.getfixturevalue("postgresql"))
    with perched() as parrot:
        told = Story(desk=new_forged_desk(**variables), parrot=parrot, voice=VOICES.get(request.param, ("-vv",)))
        told.tell()
        yield told


def _database(server: PostgresqlServer) -> str:
    server.run("CREATE DATABASE canary TEMPLATE migrated")
    return server.url("canary")


class TestEveryCommandAtEveryVerbosity:
    def test_none_is_left_out(self, story: Story) -> None:
        assert set(story.told) == every_command()

    def test_the_key_was_sent_and_repeated(self, story: Story) -> None:
        assert {asked.what for asked in story.parrot.asked} == {"send", "me", "audios", "rename", "cancel"}
        assert all(set(traces(f"{asked.path} ".encode() + asked.body)) == set(WORDS) for asked in story.parrot.asked)

    def test_the_key_is_in_nothing_that_is_said_or_written(self, story: Story) -> None:
        assert leaks(story.desk.home, {**story.said, **story.rows}) == []

    def test_no_number_and_no_fault_of_ours_is_on_standard_error(self, story: Story) -> None:
        for command, text in story.said.items():
            if command.endswith("stderr"):
                assert not FICTION.search(text), command
                assert "fault of voicebatch" not in text, command

    def test_neither_a_code_of_a_callback_nor_what_it_is_made_with_is_said(self, story: Story) -> None:
        codes = story.codes
        assert len(codes) > 5
        assert not any(code in text for code in codes for text in story.said.values())
        secret = story.secret
        shown = (secret.hex(), base64.b64encode(secret).decode(), repr(secret)[2:-1])
        assert not any(one in text for one in shown for text in story.said.values())


@pytest.mark.parametrize("command", [("credit",), ("send", "people.csv", "--text", "Bonjour", "--yes")])
def test_a_process_that_nobody_forked_says_as_little(new_desk: Callable[..., Desk], command: tuple[str, ...]) -> None:
    desk = new_desk(VOICEBATCH_API_KEY=KEY)
    desk.people("people.csv", 2)
    with perched(lambda _: refuse("10", 401)) as parrot:
        done = desk.run(*command, "--base-url", parrot.base_url, "-vv")
        assert parrot.asked
    assert done.code == 6
    assert "Traceback" in done.err
    assert leaks(desk.home, {"out": done.out, "err": done.err}) == []


# Whether it would be found


class TestAKeyThatIsSomewhere:
    @pytest.mark.parametrize("spelling", [*SPELLINGS, *ENCODINGS])
    def test_is_found_however_it_is_written(self, tmp_path: Path, spelling: str) -> None:
        written = ENCODINGS[spelling](KEY) if spelling in ENCODINGS else SPELLINGS[spelling](KEY).encode()
        (tmp_path / "log").write_bytes(b"before " + written + b" after")
        assert leaks(tmp_path, {"stderr": written}) == [f"stderr: {FOUND}", f"log: {FOUND}"]

    @pytest.mark.parametrize("part", [KEY[: len(KEY) // 2], KEY[len(KEY) // 2 :], KEY[3:-3]])
    def test_is_found_in_part(self, tmp_path: Path, part: str) -> None:
        (tmp_path / "log").write_text(part, encoding="utf-8")
        assert leaks(tmp_path)

    @pytest.mark.parametrize("place", PLACES)
    def test_is_found_wherever_it_is(self, tmp_path: Path, place: str) -> None:
        PLACES[place](tmp_path)
        assert leaks(tmp_path)

    def test_is_found_in_a_file_of_a_ledger_that_is_being_written(self, tmp_path: Path) -> None:
        with closing(sqlite3.connect(tmp_path / "ledger.sqlite")) as connection:
            connection.execute("PRAGMA journal_mode = wal")
            connection.execute("CREATE TABLE attempts (reason TEXT)")
            connection.execute("INSERT INTO attempts VALUES (?)", (KEY,))
            connection.commit()
            assert any(place.startswith("ledger.sqlite-wal") for place in leaks(tmp_path))

    @pytest.mark.parametrize("value", [KEY, zlib.compress(KEY.encode())], ids=["text", "packed"])
    def test_is_found_in_postgresql(self, postgresql_url: str, tmp_path: Path, value: object) -> None:
        with psycopg.connect(postgresql_url) as connection:
            kind = "TEXT" if isinstance(value, str) else "BYTEA"
            connection.execute(f"CREATE TABLE planted (one {kind})".encode())
            connection.execute("INSERT INTO planted VALUES (%s)", (value,))
        assert leaks(tmp_path, rows_of_postgresql(postgresql_url)) == [f"planted: {FOUND}"]

    def test_is_not_found_where_it_is_not(self, tmp_path: Path) -> None:
        (tmp_path / "log").write_text("zq7h core9f tail", encoding="utf-8")
        assert leaks(tmp_path, {"stdout": "***", "stderr": base64.b64encode(b"zq7h core9f tail")}) == []
