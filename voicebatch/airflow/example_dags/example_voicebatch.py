"""Calls everybody in a file once: the smallest DAG.

It runs as it is, with a connection ``voicebatch_default`` that is a rehearsal: type Voicebatch, Sandbox ticked.

    AIRFLOW_CONN_VOICEBATCH_DEFAULT='{"conn_type": "voicebatch", "extra": {"sandbox": true}}'
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import Asset, ObjectStoragePath, dag, task

from voicebatch.airflow.operators.voicebatch import VoicebatchSendOperator

STORAGE = "file:///tmp/voicebatch"  # where several machines work together: s3://CONNECTION@bucket/voicebatch

APPOINTMENTS = """\
Prénom;Téléphone;Date
Zoé;04 65 71 00 10;15/03/2032
Luc;+33 4 65 71 00 11;16/03/2032
Ada;0465710012;16/03/2032
Ada;0465710012;16/03/2032
Max;04 65;17/03/2032
"""


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1, tzinfo=UTC),
    catchup=False,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["voicebatch"],
)
def example_voicebatch() -> None:
    """An export, and a call to everybody in it."""

    @task
    def export() -> str:
        """Stands for whatever writes the real file."""
        file = ObjectStoragePath(f"{STORAGE}/appointments.csv")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(APPOINTMENTS)
        return str(file)

    VoicebatchSendOperator(
        task_id="call",
        files=export(),
        text="Bonjour {{ prenom }}, rappel de votre rendez-vous du {{ date }}.",
        max_invalid="30%",
        max_age=timedelta(hours=12),
        max_wait=timedelta(hours=6),
        out=f"{STORAGE}/reports",
        outlets=[Asset("voicebatch_reports", uri=f"{STORAGE}/reports")],
    )


example_voicebatch()
