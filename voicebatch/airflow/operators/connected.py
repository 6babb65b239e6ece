"""What all operators have: a connection, and a place for reports."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from voicebatch.airflow.hooks.voicebatch import VoicebatchHook

if TYPE_CHECKING:
    from airflow.providers.openlineage.extractors import OperatorLineage

    from voicebatch.airflow.hooks.voicebatch import Account
    from voicebatch.airflow.storage import Place
    from voicebatch.models import RunSummary


class ConnectedOperator(BaseOperator):
    """What all of them have.

    :param out: a folder for reports, here or on object storage: they go to ``out/<run id>``. Default: ``reports`` in
        AIRFLOW_HOME.
    :param voicebatch_conn_id: a connection of type ``voicebatch``.
    """

    ui_color = "#d8ecdf"

    def __init__(
        self,
        *,
        out: Place | None = None,
        voicebatch_conn_id: str = VoicebatchHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.out = out
        self.voicebatch_conn_id = voicebatch_conn_id
        self._worked_on: str | None = None
        self._reported: RunSummary | None = None

    @cached_property
    def account(self) -> Account:
        """What the connection says."""
        return VoicebatchHook(self.voicebatch_conn_id).get_conn()

    @property
    def where(self) -> dict[str, Any]:
        """The ledger, as all of voicebatch's functions take it."""
        return {"ledger": self.account.ledger, "sandbox": self.account.sandbox}

    def get_openlineage_facets_on_complete(self, _task_instance: object) -> OperatorLineage | None:
        """The files that were read and the reports that were written, if OpenLineage listens."""
        from voicebatch import app
        from voicebatch.airflow.lineage import lineage_of

        run = app.find_run(self._worked_on, **self.where) if self._worked_on else None
        return lineage_of(run, self._reported) if run else None

    @property
    def reports(self) -> Place:
        """The folder for reports."""
        if self.out is not None:
            return self.out
        from airflow.configuration import AIRFLOW_HOME

        return f"{AIRFLOW_HOME}/reports"
