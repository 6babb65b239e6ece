"""The ledger's tables. A change here needs a migration beside it; a test compares the two."""

from __future__ import annotations

from typing import Final

from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table, Text

from voicebatch.ledger.columns import Exact, Instant

metadata: Final = MetaData()

SWEPT_OFTEN: Final = {"autovacuum_vacuum_scale_factor": 0, "autovacuum_vacuum_threshold": 10_000}
"""PostgreSQL's settings for tables that every request changes. What a change leaves behind stands in the index where
the next claim looks first. By default it is swept up after a fifth of the table: of a million requests, too late."""

runs: Final = Table(
    "runs",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("key", Text, nullable=False, unique=True),  # the user's word for "this job"; sent once
    Column("content", String(24), nullable=False),  # digest of what the key stands for: other content is refused
    Column("created_at", Instant, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("sandbox", Integer, nullable=False),  # 1: a rehearsal, which never counts as a call
    Column("base_url", Text, nullable=False),
    Column("notify_url", Text),
    Column("report_dir", Text, nullable=False),
    Column("manifest", JSON, nullable=False),  # inputs, options and versions of the plan; no secret
    Column("rows_total", Integer, nullable=False),
    Column("rows_rejected", Integer, nullable=False),
    Column("rows_suppressed", Integer, nullable=False),
    Column("committed", Exact, nullable=False),  # charged, plus the estimates of what is under way or unknown
    Column("resumed_at", Instant, nullable=False),  # when somebody last let workers begin
    Column("stop_kind", String(16)),  # why the workers stopped; null: they may work
    Column("stop_message", Text),
    Column("stop_hint", Text),
    Column("max_cost", Exact),  # the ceiling of all its workers; null: none
    Column("max_cost_currency", Text),
    Column("dearer", Exact),  # how many times its estimate a request turned out to cost, under a ceiling
    Column("notify_email", Text),  # voicemail: whom the provider writes to at a campaign's end
    Column("sender", Text),  # voicemail: the number that it shows
)

documents: Final = Table(
    "documents",  # what the plan wrote and `report` writes again, compressed with zlib
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("content", LargeBinary, nullable=False),
)

messages: Final = Table(
    "messages",
    metadata,
    Column("id", String(24), primary_key=True),  # from what is heard alone: the same in every run
    Column("text", Text),
    Column("audio", Text),
    Column("lang", String(16), nullable=False),
    Column("speech_rate", Exact, nullable=False),
    Column("schedule", Instant),
)

batches: Final = Table(
    "batches",
    metadata,
    Column("id", String(24), primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("ordinal", Integer, nullable=False),
    Column("message_id", ForeignKey("messages.id"), nullable=False),
    Column("size", Integer, nullable=False),
    Column("numbers", Text, nullable=False),  # E.164 joined by commas, as they go out
    Column("status", String(16), nullable=False),  # models.BatchStatus
    Column("reason", Text, nullable=False, default=""),
    Column("queued_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("estimate", Exact),  # what it should cost; null without a price
    Column("contacted_at", Instant),  # when the attempt began that may have arrived
    Column("campaign_id", Text),
    Column("accepted_at", Instant),
    Column("cost", Exact),
    Column("split_from", String(24)),  # the batch of the plan that it is a part of, since that one was refused
    Column("settled", String(16)),  # models.Verdict: what a person said of it; null: nobody had to
    Column("opted_out", JSON),  # by number: why it is to leave, and after how many attempts it did (null: not yet)
    Index("batches_by_status", "run_id", "status", "ordinal"),
    Index("batches_by_message", "message_id"),
    postgresql_with=SWEPT_OFTEN,
)

rows: Final = Table(
    "rows",  # every row of the input, once
    metadata,
    Column("run_id", String(24), primary_key=True),  # no foreign key: checking millions takes longer than the rows do
    Column("file", Integer, primary_key=True, autoincrement=False),  # position among the run's inputs
    Column("row", Integer, primary_key=True, autoincrement=False),  # as a spreadsheet shows it
    Column("phone", String(20)),
    Column("status", String(16)),  # rejected or suppressed; null: that of its batch
    Column("reason", Text),
    Column("batch_id", String(24)),
    sqlite_with_rowid=False,
)

attempts: Final = Table(
    "attempts",  # every request; the rate limit is counted here
    metadata,
    Column("id", String(40), primary_key=True),  # batch id, a dot, 1 2 3 …
    Column("batch_id", ForeignKey("batches.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("worker", Text, nullable=False),
    Column("limiter", Text, nullable=False),  # what shares a rate limit
    Column("started_at", Instant, nullable=False),
    Column("lease_until", Instant, nullable=False),  # until then its worker is believed to be at work
    Column("ended_at", Instant),  # null: its slot is taken
    Column("outcome", String(16)),  # models.Outcome
    Column("counted", Integer, nullable=False, default=1),  # 0: it never arrived, so it took no slot after all
    Column("http_status", Integer),
    Column("code", Text),
    Column("reason", Text),
    Column("campaign_id", Text),
    Column("cost", Exact),
    Column("currency", Text),
    Column("messages", Integer),
    Column("seconds", Exact),
    Column("body", Text),
    Column("held", Exact),  # its part of the run's committed cost, as long as it is an estimate
    Column("called_at", Instant),  # when a callback first showed that the provider took it; null: none did
    Column("delivered", Integer),  # of a voicemail campaign, as its callback counts
    Column("delivered_of", Integer),
    Index("attempts_by_limiter", "limiter", "counted", "ended_at"),
    Index("attempts_by_batch", "batch_id"),
    postgresql_with=SWEPT_OFTEN,
)
_UNDER_WAY: Final = attempts.c.ended_at.is_(None)
Index("attempts_under_way", attempts.c.id, sqlite_where=_UNDER_WAY, postgresql_where=_UNDER_WAY)  # few among many

charges: Final = Table(
    "charges",  # the lines of an answer's detail, as received
    metadata,
    Column("attempt_id", ForeignKey("attempts.id"), primary_key=True),
    Column("calling_code", Text, primary_key=True),
    Column("country_code", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("messages", Integer, nullable=False),
    Column("unit_cost", Exact, nullable=False),
    Column("cost", Exact, nullable=False),
    Column("seconds", Exact, nullable=False),
)

workers: Final = Table(
    "workers",  # who works, or worked, on a run
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True),
    Column("name", Text, primary_key=True),
    Column("joined_at", Instant, primary_key=True),
    Column("seen_at", Instant, nullable=False),
    Column("left_at", Instant),  # null: still at work, or it ended without a word
)

events: Final = Table(
    "events",  # the story of a run, for people; nothing is decided by it
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("at", Instant, nullable=False),
    Column("who", Text, nullable=False),  # a worker, or the person who settled something
    Column("kind", String(16), nullable=False),  # models.EventKind
    Column("batch_id", String(24)),
    Column("text", Text, nullable=False),
    Index("events_by_run", "run_id", "id"),
)

secrets: Final = Table(
    "secrets",  # what only the ledger's owner knows
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", LargeBinary, nullable=False),
)

callbacks: Final = Table(
    "callbacks",  # every callback with a right code, once, as it came
    metadata,
    Column("id", Integer, primary_key=True),
    Column("digest", String(24), nullable=False, unique=True),  # of its attempt and body: doubled ones are one
    Column("received_at", Instant, nullable=False),
    Column("attempt_id", String(40), nullable=False),  # no foreign key: one of a ledger that lost it is kept as well
    Column("channel", String(16), nullable=False),
    Column("campaign_id", Text, nullable=False),
    Column("number", Text),
    Column("status", String(16)),  # models.Delivery; null: another word, or a campaign's count
    Column("problem", Text),  # what is odd about it; null: nothing
    Column("body", Text, nullable=False),
    Index("callbacks_by_attempt", "attempt_id"),
)
_IS_ODD: Final = callbacks.c.problem.is_not(None)
Index("callbacks_with_problem", callbacks.c.id, sqlite_where=_IS_ODD, postgresql_where=_IS_ODD)  # few among many

deliveries: Final = Table(
    "deliveries",  # what became of each message, by the callback that says the last of it
    metadata,
    Column("batch_id", ForeignKey("batches.id"), primary_key=True),
    Column("number", String(20), primary_key=True),  # E.164
    Column("calling_code", String(8), nullable=False),
    Column("status", String(16), nullable=False),  # models.Delivery
    Column("answered", Integer),  # null: not said
    Column("milliseconds", BigInteger),  # really spoken
    Column("done_at", Instant),
    Column("rank", String(64), nullable=False),  # the callback of the highest counts, in whatever order they come
    sqlite_with_rowid=False,
)

cancellations: Final = Table(
    "cancellations",  # what the provider said when a scheduled request was to be taken back
    metadata,
    Column("batch_id", ForeignKey("batches.id"), primary_key=True),
    Column("at", Instant, nullable=False),
    Column("who", Text, nullable=False),
    Column("outcome", String(16), nullable=False),  # models.CancelOutcome
    Column("credit", Exact),  # given back
    Column("currency", Text),
    Column("reason", Text, nullable=False, default=""),
)

lookups: Final = Table(
    "lookups",  # requests that call nobody, and have a rate limit of their own
    metadata,
    Column("id", Integer, primary_key=True),
    Column("limiter", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),  # the latest end that it can have, until the real one is known
    Index("lookups_by_limiter", "limiter", "ended_at"),
)

clocks: Final = Table(
    "clocks",  # the time that the workers of one host share: see ledger.clock
    metadata,
    Column("boot", String(64), primary_key=True),
    Column("began_at", Instant, nullable=False),
)

limiters: Final = Table(
    "limiters",  # the provider's word on waiting, for every worker
    metadata,
    Column("name", Text, primary_key=True),
    Column("paused_until", Instant),
    Column("reason", Text),
)
