"""One plan, three tasks that send it together, one report: for more requests than one worker should hold.

The shards share one rate limit and one ceiling through the ledger, so the connection has to name a ledger that every
worker reaches. On one machine it runs as it is, with a connection ``voicebatch_default`` that is a rehearsal:

    AIRFLOW_CONN_VOICEBATCH_DEFAULT='{"conn_type": "voicebatch", "extra": {"sandbox": true, "rate": "20/30s"}}'

With that rate, 20 requests in 30 seconds, the shards wait for their turn in the triggerer.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import ObjectStoragePath, dag, task

from voicebatch.airflow.operators.voicebatch import (
    VoicebatchPlanOperator,
    VoicebatchReportOperator,
    VoicebatchSendOperator,
)

STORAGE = "file:///tmp/voicebatch"  # where several machines work together: s3://CONNECTION@bucket/voicebatch
PEOPLE = 60
SHARDS = 3


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(seconds=30)},
    tags=["voicebatch"],
)
def example_voicebatch_shards() -> None:
    """An export, its plan, the calls, the report."""

    @task
    def export() -> str:
        """Stands for whatever writes the real file."""
        file = ObjectStoragePath(f"{STORAGE}/outage.csv")
        file.parent.mkdir(parents=True, exist_ok=True)
        rows = (f"client {number},+334657101{number:02}" for number in range(PEOPLE))
        file.write_text("\n".join(["nom,telephone", *rows]))
        return str(file)

    plan = VoicebatchPlanOperator(
        task_id="plan",
        files=export(),
        text="Bonjour {{ nom }}, une coupure de courant est prévue demain.",
        shards=SHARDS,
        out=f"{STORAGE}/reports",
    )
    calls = VoicebatchSendOperator.partial(task_id="call").expand(shard=plan.output)
    report = VoicebatchReportOperator(task_id="report", run=plan.output, out=f"{STORAGE}/reports")
    calls >> report


example_voicebatch_shards()
