"""A small world in which days of sending pass in milliseconds, the same way every time for one seed.

The send loop, the ledger and the reading of answers are the real ones. Simulated are the time, the hosts with their
clocks, the processes that live and die on them, the network, and a provider that keeps its own list of who was called,
and in some worlds calls back about it.
Nothing runs at the same time as anything else: events happen in the order of their times.
"""

from __future__ import annotations

import heapq
import itertools
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from typing import Any, Final

from tests.ledger.moves import committed
from tests.simulation.callbacks import Crash, Habits, Listener, Word, stray, words
from tests.simulation.provider import Campaign, Fate, Provider, Weather
from voicebatch.errors import VoicebatchError
from voicebatch.ledger import HostClock, Ledger, NewBatch, NewRow, NewRun, RowLine, Worker
from voicebatch.ledger.queue import BY_CALLBACK
from voicebatch.ledger.records import AnswerLine
from voicebatch.models import (
    Batch,
    Channel,
    Message,
    Outcome,
    Progress,
    RateLimit,
    Reply,
    RowCounts,
    RowStatus,
    Verdict,
)
from voicebatch.provider import outcomes
from voicebatch.sending import Lane, Lanes, Nap, Post, Sender

BEGIN: Final = datetime(2027, 3, 1, 12, 0, tzinfo=UTC)
LIMITER: Final = "voice-sms provider.example"
PRICE: Final = Decimal("0.045")
MARGIN: Final = 10.0  # seconds; a request is never on its way for longer than its time-out and this
TURNED_AWAY: Final = {Outcome.REFUSED, Outcome.THROTTLED, Outcome.ACCOUNT}
NO_ANSWER: Final = Reply(outcome=Outcome.UNKNOWN, reason="no answer")
LONGEST: Final = 40 * 86_400.0  # seconds; a world that is still busy then does not end


@dataclass(kw_only=True)
class Scene:
    """What a world is made of."""

    limits: tuple[RateLimit, ...]
    runs: list[NewRun]
    weather: Weather
    hosts: int
    processes: int
    lanes: int
    crashes: float  # the chance of dying at a step
    steps_of_clocks: int
    reboots: int
    terms: int
    max_cost: Decimal | None
    slowest: float  # seconds
    timeout: float  # seconds
    habits: Habits | None  # None: nobody asks for callbacks


@dataclass(kw_only=True)
class Host:
    """A machine whose clock somebody sets now and then; ``steady`` runs evenly since its last boot."""

    name: str
    skew: float
    booted_at: float = 0.0
    boots: int = 1


@dataclass(eq=False, kw_only=True)
class Process:
    """A command that works on a run, until it ends or is killed."""

    host: Host
    worker: Worker
    sender: Sender
    run_id: str
    alive: bool = True
    rounds: Any = None
    lanes: list[Lane] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class Request:
    """What a lane of a process has under way."""

    process: Process
    lane: Lane
    post: Post

    @property
    def batch(self) -> Batch:
        return self.post.batch


class World:
    """One simulated story. ``tell`` runs it to its end and checks what has to hold."""

    def __init__(self, seed: int, ledger: Ledger) -> None:
        self.random = random.Random(seed)  # noqa: S311 # the same for one seed is what it is for
        habits = Habits.of(random.Random(f"{seed} habits"))  # noqa: S311 # of their own: what is told but for them is the same
        self.scene = _called_back_about(make_scene(self.random), habits)
        self.time = 0.0
        self.trace: list[str] = []
        self.provider = Provider(limits=self.scene.limits, weather=self.scene.weather, random=self.random)
        self.hosts = [Host(name=f"host{at}", skew=self._skew()) for at in range(self.scene.hosts)]
        self.processes: list[Process] = []
        self.calm = False
        self.events, self.patience = 0, 20_000
        self._pids = itertools.count(1)
        self._serial = itertools.count()
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self.ledger = ledger
        self.listener = self._listener(random.Random(f"{seed} listener"))  # noqa: S311 # the same
        self._held_back: list[tuple[Campaign, list[tuple[float, Word]]]] = []
        self._boot()

    # The story

    def tell(self) -> None:
        """Everything up to the last settled batch. Raises ``AssertionError`` for whatever must not happen."""
        planned_at = self.ledger.now()
        for run in self.scene.runs:
            try:
                self.ledger.enqueue(replace(run, planned_at=planned_at), now=self.ledger.now())
            except VoicebatchError as error:  # all of its people are in another run's queue
                self._say(f"{run.id}: {error.message}")
        self.run_ids = [run.id for run in reversed(self.ledger.all_runs())]
        for _ in range(self.scene.processes):
            self.at(self.random.random() * 5, self._start_somewhere)
        self._plan_misfortunes()
        self._pass_time()
        self._finish()
        self.check()
        if any([self._settle(), self._release()]):
            self._finish()
            self.check()
        self.check_everybody_was_called()

    def at(self, delay: float, event: Callable[[], None]) -> None:
        """Something happens ``delay`` seconds from now."""
        heapq.heappush(self._queue, (self.time + max(0.0, delay), next(self._serial), event))

    def _pass_time(self) -> None:
        while self._queue:
            self.time, _, event = heapq.heappop(self._queue)
            self.events += 1
            assert self.time < LONGEST, "it does not end"
            assert self.events < self.patience, "it turns in circles"
            event()

    def _finish(self) -> None:
        """Fair weather, nobody crashes, and somebody resumes every run."""
        self.calm = True
        for run_id in self.run_ids:
            self._start(self.hosts[0], run_id)
            self._pass_time()

    def _plan_misfortunes(self) -> None:
        for _ in range(self.scene.steps_of_clocks):
            self.at(self.random.expovariate(1 / 60), self._set_a_clock)
        for _ in range(self.scene.reboots):
            self.at(self.random.expovariate(1 / 90), self._reboot)
        for _ in range(self.scene.terms):
            self.at(self.random.expovariate(1 / 60), self._terminate)

    def _set_a_clock(self) -> None:
        host = self.random.choice(self.hosts)
        host.skew += self.random.choice([-7200, -60, -1, 1, 60, 7200]) * self.random.random()
        self._say(f"{host.name} has its clock set: off by {host.skew:.1f} s")

    def _reboot(self) -> None:
        """Of the host that has the ledger: its steady clock begins anew, and its clock is right or behind."""
        for process in self.processes:
            if process.host is self.hosts[0]:
                self._kill(process)
        host = self.hosts[0]
        host.boots, host.booted_at = host.boots + 1, self.time
        host.skew = min(host.skew, self._anchored_skew) - abs(self._skew())
        self._boot()
        self._say("host0 boots")

    def _terminate(self) -> None:
        alive = [process for process in self.processes if process.alive]
        if alive:
            process = self.random.choice(alive)
            process.sender.stop.set()
            self._say(f"{process.worker.pid} is told to stop")

    def _skew(self) -> float:
        return self.random.choice([0.0, 0.0, self.random.uniform(-5, 5), self.random.uniform(-7200, 7200)])

    def _boot(self) -> None:
        """The ledger's host begins to count seconds anew."""
        host = self.hosts[0]
        self._anchored_skew = host.skew
        self.ledger.clock = HostClock(
            boot=f"boot {host.boots}",
            steady=lambda: 1000.0 + self.time - host.booted_at,
            wall=lambda: self.wall(host),
        )
        self.ledger.now()

    def wall(self, host: Host) -> datetime:
        """What a host's clock shows."""
        return BEGIN + timedelta(seconds=self.time + host.skew)

    # Processes

    def _start_somewhere(self) -> None:
        self._start(self.random.choice(self.hosts), self.random.choice(self.run_ids))

    def _start(self, host: Host, run_id: str) -> None:
        worker = Worker(host=host.name, pid=next(self._pids), started=str(host.boots))
        sender = Sender(
            ledger=self.ledger,
            network=Nowhere(),
            clock=WorldClock(self),
            worker=worker,
            limiter=LIMITER,
            limits=self.scene.limits,
            timeout_seconds=self.scene.timeout,
            margin_seconds=MARGIN,
            stop=threading.Event(),
            concurrency=self.scene.lanes,
            max_cost=self.scene.max_cost,
            currency="EUR",
            estimate=lambda numbers: PRICE * len(numbers),
            notify_url=lambda attempt_id: attempt_id if self.listener else None,
            is_gone=lambda other: self._is_gone(host, other),
        )
        process = Process(host=host, worker=worker, sender=sender, run_id=run_id)
        self.processes.append(process)
        self._say(f"{worker.pid} starts on {host.name} for {run_id}")
        sender.begin(run_id, Progress(stage="sending"))
        process.rounds = sender.rounds(run_id)
        self._next_round(process)

    def _is_gone(self, asking: Host, worker: Worker) -> bool:
        """Only a process of one's own host can be seen to be gone."""
        alive = any(one.alive and one.worker == worker for one in self.processes)
        return worker.host == asking.name and not alive

    def _next_round(self, process: Process) -> None:
        if not process.alive:
            return
        match next(process.rounds, None):
            case Lanes(count=count):
                process.lanes = [process.sender.lane(process.run_id) for _ in range(count)]
                for lane in process.lanes:
                    self.at(self.random.random() * 0.01, partial(self._step, process, lane, None))
            case Nap(until=until):
                self.at(self._seconds_until(until), lambda: self._next_round(process))
            case _:
                process.sender.end(process.run_id)
                self._say(f"{process.worker.pid} ends")
                self._bury(process)

    def _step(self, process: Process, lane: Lane, reply: Reply | None) -> None:
        """A lane goes on until it wants something again."""
        if not process.alive:
            return
        try:
            wish = lane.send(reply)
        except StopIteration:
            process.lanes.remove(lane)
            if not process.lanes:
                self._next_round(process)
            return
        except Crash:
            self._kill(process)
            return
        if self._unlucky():
            self._kill(process)
        elif isinstance(wish, Post):
            self._post(Request(process=process, lane=lane, post=wish))
        else:
            self.at(self._seconds_until(wish.until), lambda: self._step(process, lane, None))

    def _seconds_until(self, until: datetime) -> float:
        """Nobody wakes up too early, and everybody a little late."""
        return (until - self.ledger.now()).total_seconds() + self.random.random() * 0.005

    def _kill(self, process: Process) -> None:
        if process.alive:
            self._say(f"{process.worker.pid} is killed")
            self._bury(process)

    def _bury(self, process: Process) -> None:
        process.alive = False
        if not self.calm and len(self.processes) < 3 * self.scene.processes:
            self.at(self.random.expovariate(1 / 20), self._start_somewhere)

    def _unlucky(self) -> bool:
        return not self.calm and self.random.random() < self.scene.crashes

    # The network

    def _post(self, request: Request) -> None:
        if self.listener:
            self.listener.check_claim(request.batch)
        fate = Fate.FAIR if self.calm else self.scene.weather.fate(self.random)
        timeout, slowest = self.scene.timeout, 0.1 if self.calm else self.scene.slowest
        way, answer = (self.random.random() ** 3 * slowest for _ in range(2))
        pid, batch = request.process.worker.pid, request.batch
        self._say(f"{pid} posts {batch.id[:8]} x{len(batch.numbers)}: {fate}")
        match fate:
            case Fate.NO_CONNECTION:
                self._reply(request, way, Reply(outcome=Outcome.NOT_SENT, reason="no connection"))
            case Fate.LOST_ON_THE_WAY:
                self._reply(request, timeout, NO_ANSWER)
            case _:
                self.at(way, lambda: self._arrive(request, fate, timeout - way, answer))
                if way >= timeout:
                    self._reply(request, timeout, NO_ANSWER)

    def _arrive(self, request: Request, fate: Fate, patience: float, seconds: float) -> None:
        known = len(self.provider.campaigns)
        status, headers, body = self.provider.receive(request.post, self.time, self._server_time(), calm=self.calm)
        self._say(f"the provider answers {request.batch.id[:8]} with {status} {body[:60]}")
        self._call_back(self.provider.campaigns[known:])
        if patience <= 0:
            return  # nobody waits any more
        if fate is Fate.ANSWER_LOST or seconds > patience:
            self._reply(request, patience, NO_ANSWER)
        elif fate is Fate.RESET:
            self._reply(request, seconds, Reply(outcome=Outcome.UNKNOWN, reason="connection reset"))
        else:
            text = "<html>" if fate is Fate.GARBAGE and status == 200 else body
            self._reply(request, seconds, (status, headers, text))

    def _reply(self, request: Request, seconds: float, what: Reply | tuple[int, dict[str, str], str]) -> None:
        process = request.process

        def come() -> None:
            reply = what
            if not isinstance(reply, Reply):
                status, headers, body = reply
                reply = outcomes.read(status, headers, body, now=self.wall(process.host))
            if self._unlucky():
                self._kill(process)
            is_told = process.alive
            self._step(process, request.lane, reply)
            if is_told and reply.outcome in TURNED_AWAY:
                self._call_back_astray(request)

        self.at(seconds, come)

    # Callbacks

    def _listener(self, dice: random.Random) -> Listener | None:
        if self.scene.habits is None:
            return None
        return Listener(ledger=self.ledger, habits=self.scene.habits, random=dice, at=self.at, say=self._say)

    def _call_back(self, campaigns: Iterable[Campaign]) -> None:
        if (listener := self.listener) is None:
            return
        for campaign in campaigns:
            told = list(words(campaign, listener.habits, self._server_time(), listener.random))
            if listener.random.random() < listener.habits.held_back:
                self._held_back.append((campaign, told))
                continue
            for seconds, word in told:
                self.at(seconds, partial(listener.hear, word))

    def _call_back_astray(self, request: Request) -> None:
        listener = self.listener
        if listener and listener.random.random() < listener.habits.stray:
            word = stray(str(request.post.notify_url), listener.random.choice(request.batch.numbers), listener.random)
            self.at(listener.random.random() * listener.habits.latest, partial(listener.hear, word))

    def _release(self) -> bool:
        """What was held back comes in before anything is sent again, the rest of it later; whether there was any."""
        held_back, self._held_back = [told for _, told in self._held_back if told], []
        if not (held_back and self.listener):
            return False
        self._say(f"{len(held_back)} requests are called back about at last")
        while not self.listener.take([told[0][1] for told in held_back]):
            pass
        for seconds, word in itertools.chain.from_iterable(told[1:] for told in held_back):
            self.at(seconds, partial(self.listener.hear, word))
        return True

    def _server_time(self) -> datetime:
        return BEGIN + timedelta(seconds=self.time)

    # What has to hold

    def check(self) -> None:
        """The promises, against the provider's own list of calls."""
        calls = Counter(self.provider.calls)
        assert not [call for call, times in calls.items() if times > 1], "somebody was called twice"
        self.provider.check_windows()
        for run in self.scene.runs:
            if run.id in self.run_ids:
                lines = list(self.ledger.rows(run.id))
                answers = {answer.batch_id: answer for answer in self.ledger.answers(run.id)}
                self._check_rows(run, lines, calls)
                if self.listener:
                    self._check_callbacks(run, lines, self.listener)
                self._check_charges(run, lines, answers)
                self._check_costs(run, lines, answers)

    def _check_rows(self, run: NewRun, lines: Sequence[RowLine], calls: Counter[tuple[str, str]]) -> None:
        assert len(lines) == run.counts.total, "a row has no status, or two"
        status = Counter(str(line.status) for line in lines)
        assert self.ledger.row_counts(run.id) == RowCounts(total=len(lines), **status)
        message = next(iter(run.batches)).batch.message
        mine = self.provider.campaigns_of(run.id)
        for line in lines:
            called = calls[message.id, str(line.phone)]
            if line.status is RowStatus.ACCEPTED:
                assert called == 1, "accepted, and not called"
            elif line.status in {RowStatus.QUEUED, RowStatus.REFUSED, RowStatus.CANCELLED}:
                assert not any(line.phone in campaign.numbers for campaign in mine), f"{line.status}, and called"
        if self.scene.max_cost is None:
            assert not status["queued"], "somebody is forgotten"
        else:
            assert sum(campaign.cost for campaign in mine) <= self.scene.max_cost, "the ceiling was passed"
        assert not self.ledger.is_sending(run.id)

    def _check_charges(self, run: NewRun, lines: Sequence[RowLine], by_batch: Mapping[str, AnswerLine]) -> None:
        """What is recorded is what the provider answered; what it answered is recorded or unknown."""
        answered = {campaign.id: campaign for campaign in self.provider.campaigns_of(run.id)}
        lines = [line for line in lines if line.campaign_id]
        assert {line.campaign_id for line in lines} <= answered.keys()
        assert {line.reason for line in lines if line.batch_id not in by_batch} <= {BY_CALLBACK}
        accepted = {str(line.campaign_id): line.batch_id for line in lines if line.batch_id in by_batch}
        for campaign_id, batch_id in accepted.items():
            recorded, said = by_batch[str(batch_id)], answered[campaign_id]
            assert (recorded.cost, recorded.messages) == (said.cost, said.messages)
            assert recorded.charged == said.charged
        assert len(by_batch) == len(accepted), "an answer without its batch"
        charged = sum((charge.cost for charge, _ in self.ledger.charges(run.id)), Decimal(0))
        assert charged == sum((answered[one].charged for one in accepted), Decimal(0))

    def _check_costs(self, run: NewRun, lines: Sequence[RowLine], answers: Mapping[str, AnswerLine]) -> None:
        """What the run is committed to is what was answered, and the estimates of what nobody answered."""
        known = sum((max(answer.cost, answer.charged) for answer in answers.values()), Decimal(0))
        may_have_cost = {RowStatus.ACCEPTED, RowStatus.UNKNOWN}
        estimated = PRICE * sum(line.status in may_have_cost and line.batch_id not in answers for line in lines)
        assert committed(self.ledger, run.id) == known + estimated, "the costs do not add up"
        accepted = {line.batch_id for line in lines if line.status is RowStatus.ACCEPTED}
        assert self.ledger.request_counts(run.id).accepted == len(accepted), "the requests do not add up"

    def _check_callbacks(self, run: NewRun, lines: Sequence[RowLine], listener: Listener) -> None:
        """Whoever was called back about is known to be called, and its last word is the provider's."""
        message_id, heard = next(iter(run.batches)).batch.message.id, listener.heard
        here = {(message_id, str(line.phone)): line for line in lines if line.batch_id}  # not in another run
        for person, line in here.items():
            assert person not in listener.called or line.status is RowStatus.ACCEPTED, f"{line.status}, and called back"
            assert line.delivery == (heard[person].says if person in heard else ""), "not the last word"
        told = sum(line.people for line in self.ledger.deliveries(run.id))
        assert told == sum(person in heard and heard[person].callback.number is not None for person in here)

    def check_everybody_was_called(self) -> None:
        """After every unknown was settled truly, everybody was called once but those whose number is bad."""
        if self.scene.max_cost is not None:
            return
        for run in self.scene.runs:
            for line in self.ledger.rows(run.id) if run.id in self.run_ids else ():
                assert line.status in {RowStatus.ACCEPTED, RowStatus.REFUSED, RowStatus.SUPPRESSED}
                refused = line.status is RowStatus.REFUSED
                assert refused == (line.phone in self.provider.weather.bad_numbers) or not line.batch_id

    def _settle(self) -> bool:
        """An operator looks each unknown batch up at the provider's; whether there was one."""
        settled = False
        for run_id in self.run_ids:
            numbers: dict[str, list[str]] = {}
            for line in self.ledger.rows(run_id):
                if line.status is RowStatus.UNKNOWN and line.batch_id and line.phone:
                    numbers.setdefault(line.batch_id, []).append(line.phone)
            for batch_id, of_batch in sorted(numbers.items()):
                settled = True
                sent = any(set(of_batch) <= set(one.numbers) for one in self.provider.campaigns_of(run_id))
                errs = sent and self._errs(of_batch)
                self.ledger.resolve(
                    run_id,
                    Verdict.SENT if sent and not errs else Verdict.NOT_SENT,
                    batch_ids=[batch_id],
                    requeue=errs or not sent,
                    who="operator",
                    why="looked it up",
                    now=self.ledger.now(),
                )
        return settled

    def _errs(self, numbers: list[str]) -> bool:
        """A person may be wrong about what is called back about later, before it is sent again."""
        told = any(set(numbers) <= set(campaign.numbers) and some for campaign, some in self._held_back)
        return bool(self.listener and told and self.listener.random.random() < 0.5)

    def _say(self, text: str) -> None:
        self.trace.append(f"{self.time:10.3f} {text}")


@dataclass(frozen=True)
class WorldClock:
    """The ledger's time; waiting is the world's business."""

    world: World

    def now(self) -> datetime:
        return self.world.ledger.now()

    def wait(self, until: datetime, stop: threading.Event) -> None:
        raise NotImplementedError


class Nowhere:
    """A lane's wish to post goes to the world, never here."""

    def send(self, batch: Batch, *, notify_url: str | None, lease_seconds: float) -> Reply:  # its form
        raise NotImplementedError


def _called_back_about(scene: Scene, habits: Habits | None) -> Scene:
    """The scene with a provider that has these habits; only voicemail is counted."""
    channel = Channel.VOICEMAIL if habits and habits.counts else Channel.VOICE_SMS
    return replace(scene, habits=habits, runs=[_through(channel, run) for run in scene.runs])


def _through(channel: Channel, run: NewRun) -> NewRun:
    batches = [
        one._replace(batch=replace(one.batch, message=replace(one.batch.message, channel=channel)))
        for one in run.batches
    ]
    return replace(run, channel=channel, batches=batches)


def make_scene(dice: random.Random) -> Scene:
    """A world of about twenty requests, where anything may go wrong or nothing."""
    people = [f"+336000{at:05}" for at in range(dice.randint(1, 24))]
    weather = Weather.of(dice, people)
    first = make_run(dice, "run 1", people)
    runs = [first]
    if dice.random() < 0.4:
        runs.append(make_run(dice, "run 2", dice.sample(people, dice.randint(1, len(people)))))
    narrow = RateLimit(requests=dice.randint(1, 6), seconds=dice.choice([1.0, 5.0, 20.0]))
    wide = RateLimit(requests=dice.randint(4, 20), seconds=60.0)
    timeout = dice.choice([3.0, 3.0, 30.0])
    return Scene(
        limits=(narrow, wide) if dice.random() < 0.3 else (narrow,),
        runs=runs,
        weather=weather,
        hosts=dice.choice([1, 1, 2, 3]),
        processes=dice.randint(1, 3),
        lanes=dice.randint(1, 3),
        crashes=dice.choice([0.0, 0.01, 0.05, 0.2]),
        steps_of_clocks=dice.choice([0, 0, 1, 5]),
        reboots=dice.choice([0, 0, 0, 1]),
        terms=dice.choice([0, 0, 1, 2]),
        max_cost=dice.choice([None, None, None, PRICE * dice.randint(0, 14)]),
        slowest=dice.choice([0.1, 0.1, 1.0, timeout + MARGIN]),
        timeout=timeout,
        habits=None,
    )


def make_run(dice: random.Random, run_id: str, people: list[str], *, size: int | None = None) -> NewRun:
    """One message to these people, in batches of up to four."""
    message, size = Message(text="Bonjour"), size or dice.randint(1, 4)
    parts = [people[start : start + size] for start in range(0, len(people), size)]
    batches = [
        Batch(id=f"{run_id}.{at}", run_id=run_id, ordinal=at, message=message, numbers=tuple(part))
        for at, part in enumerate(parts)
    ]
    rows = [
        NewRow(file=0, row=row, phone=number, status=None, reason="", batch_id=batches[(row - 2) // size].id)
        for row, number in enumerate(people, start=2)
    ]
    return NewRun(
        id=run_id,
        key=run_id,
        content="content",
        channel=Channel.VOICE_SMS,
        sandbox=False,
        base_url="https://provider.example/v1",
        notify_url=None,
        report_dir="reports",
        planned_at=None,
        manifest={},
        counts=RowCounts(total=len(people), queued=len(people)),
        documents={},
        batches=[NewBatch(batch, PRICE * len(batch.numbers)) for batch in batches],
        rows=rows,
    )
