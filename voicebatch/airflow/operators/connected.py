"""What all operators have: a connection, and a place for reports."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import BaseOperator

from voicebatch.airflow.hooks.voicebatch import VoicebatchHook

if TYPE_CHECKING:
    from voicebatch.airflow.hooks.voicebatch import Account
    from voicebatch.airflow.storage import Place


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

    @cached_property
    def account(self) -> Account:
        """What the connection says."""
        return VoicebatchHook(self.voicebatch_conn_id).get_conn()

    @property
    def where(self) -> dict[str, Any]:
        """The ledger, as all of voicebatch's functions take it."""
        return {"ledger": self.account.ledger, "sandbox": self.account.sandbox}

    @property
    def reports(self) -> Place:
        """The folder for reports."""
        if self.out is not None:
            return self.out
        from airflow.configuration import AIRFLOW_HOME

        return f"{AIRFLOW_HOME}/reports"
