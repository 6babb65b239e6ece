"""What Airflow reads about this provider when it starts; nothing else is imported for it."""

from __future__ import annotations

from typing import Any, Final

CONNECTION_TYPE: Final = "voicebatch"

EXTRA_FIELDS: Final[dict[str, Any]] = {
    "ledger": {
        "label": "Ledger",
        "schema": {"type": ["string", "null"]},
        "description": "The database that remembers what was sent, the same for all workers: "
        "postgresql+psycopg://USER@HOST/DATABASE, or a path for a single machine",
    },
    "ledger_password": {
        "label": "Ledger password",
        "schema": {"type": ["string", "null"], "format": "password"},
        "description": "Of that database's user. Airflow hides it, also in its API",
    },
    "rate": {
        "label": "Rate",
        "schema": {"type": ["string", "null"]},
        "description": "Requests in a period, like 2000/h. Default: the provider's documented limits",
    },
    "region": {
        "label": "Region",
        "schema": {"type": ["string", "null"]},
        "description": "Country of numbers written nationally, like FR, BE or GB. Default: FR",
    },
    "sandbox": {
        "label": "Sandbox",
        "schema": {"type": ["boolean", "null"], "default": False},
        "description": "Rehearse: send to a local copy of the API. No key, no call, no cost",
    },
}
"""Fields of a connection beside Airflow's own, by name; kept as extras."""

UI_FIELD_BEHAVIOUR: Final[dict[str, Any]] = {
    "hidden_fields": ["login", "port", "schema", "extra"],
    "relabeling": {"host": "Base URL", "password": "API key"},
    "placeholders": {"host": "Empty: the provider's own address"},
}
"""Airflow's own fields, as they mean something here."""


def get_provider_info() -> dict[str, Any]:
    """Entry point ``apache_airflow_provider``."""
    name = "Voicebatch"
    hook = "voicebatch.airflow.hooks.voicebatch"
    return {
        "package-name": "voicebatch",
        "name": name,
        "description": "Calls a spreadsheet of people through Voice Partner's API: nobody twice, nobody forgotten.",
        "integrations": [{"integration-name": name, "tags": ["service"]}],
        "operators": [{"integration-name": name, "python-modules": ["voicebatch.airflow.operators.voicebatch"]}],
        "hooks": [{"integration-name": name, "python-modules": [hook]}],
        "triggers": [{"integration-name": name, "python-modules": ["voicebatch.airflow.triggers.voicebatch"]}],
        "connection-types": [
            {
                "connection-type": CONNECTION_TYPE,
                "hook-class-name": f"{hook}.VoicebatchHook",
                "hook-name": name,
                "conn-fields": EXTRA_FIELDS,
                "ui-field-behaviour": {name.replace("_", "-"): value for name, value in UI_FIELD_BEHAVIOUR.items()},
            }
        ],
    }
