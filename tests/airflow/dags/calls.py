"""One task that calls, as the tests want it: once as it is, and once asleep where it would defer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from airflow.sdk import DAG

from voicebatch.airflow.operators.voicebatch import VoicebatchSendOperator

for dag_id, deferrable in (("calls", True), ("calls_asleep", False)):
    with DAG(
        dag_id,
        schedule=None,
        start_date=datetime(2026, 1, 1, tzinfo=UTC),
        catchup=False,
        default_args={"retries": 2, "retry_delay": timedelta(seconds=1)},
    ):
        VoicebatchSendOperator(
            task_id="call",
            files="{{ dag_run.conf['files'] }}",
            text="Bonjour {{ nom }}.",
            key="{{ dag_run.conf.get('key', '') }}",
            batch_size=1,
            out="{{ dag_run.conf['out'] }}",
            voicebatch_conn_id="{{ dag_run.conf['connection'] }}",
            deferrable=deferrable,
        )
