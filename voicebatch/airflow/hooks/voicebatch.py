"""The connection ``voicebatch``: an account at the provider, and the ledger that remembers what was sent with it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlsplit

from airflow.providers.common.compat.sdk import BaseHook, mask_secret

from voicebatch.airflow.get_provider_info import CONNECTION_TYPE, EXTRA_FIELDS, UI_FIELD_BEHAVIOUR
from voicebatch.airflow.words import in_arguments
from voicebatch.errors import UsageError, VoicebatchError

if TYPE_CHECKING:
    from airflow.providers.common.compat.sdk import Connection

_TEST_SECONDS: Final = 10.0  # somebody is waiting before a form


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What a connection says. ``None`` means voicebatch's own default; ``sandbox``: each task has one of its own."""

    api_key: str | None = field(repr=False)
    base_url: str | None
    ledger: str | None = field(repr=False)
    rate: str | None
    region: str
    sandbox: bool


class VoicebatchHook(BaseHook):
    """Reads the connection and tests it.

    :param voicebatch_conn_id: a connection of type ``voicebatch``: the provider's base URL as host, the API key as
        password, and as extras ``ledger``, ``rate``, ``region`` and ``sandbox``.
    """

    conn_name_attr = "voicebatch_conn_id"
    default_conn_name = "voicebatch_default"
    conn_type = CONNECTION_TYPE
    hook_name = "Voicebatch"

    def __init__(self, voicebatch_conn_id: str = default_conn_name) -> None:
        super().__init__()
        self.voicebatch_conn_id = voicebatch_conn_id

    @classmethod
    def get_connection_form_widgets(cls) -> dict[str, Any]:
        """The fields of our own, for a version of Airflow that asks the hook for them and not the provider's info."""
        from flask_appbuilder.fieldwidgets import BS3PasswordFieldWidget, BS3TextFieldWidget
        from flask_babel import lazy_gettext
        from wtforms import BooleanField, PasswordField, StringField

        def field(label: str, schema: dict[str, Any], description: str) -> Any:
            if "boolean" in schema["type"]:
                return BooleanField(lazy_gettext(label), description=description)
            if schema.get("format") == "password":
                return PasswordField(lazy_gettext(label), description=description, widget=BS3PasswordFieldWidget())
            return StringField(lazy_gettext(label), description=description, widget=BS3TextFieldWidget())

        return {name: field(**one) for name, one in EXTRA_FIELDS.items()}

    @classmethod
    def get_ui_field_behaviour(cls) -> dict[str, Any]:
        """How the fields that every connection has are named here, and which of them mean nothing."""
        return UI_FIELD_BEHAVIOUR

    def get_conn(self) -> Account:
        """What the connection says. Its secrets are masked in every log from then on.

        Raises ``UsageError`` where it cannot be used: above all without a ledger, since tasks that run on several
        machines, each with a ledger of its own, would call people twice.
        """
        account = _account(self.get_connection(self.voicebatch_conn_id))
        for secret in _secrets(account):
            mask_secret(secret)
        _check(account)
        return account

    def test_connection(self) -> tuple[bool, str]:
        """Looks up the credit: whether the address, the key and the ledger work. Nothing is sent."""
        from voicebatch.app.account import credit
        from voicebatch.pricing import money

        try:
            account = self.get_conn()
            if account.sandbox:
                return True, "A rehearsal: each task sends to a sandbox of its own. No key, no call, no cost."
            left = credit(
                api_key=account.api_key, base_url=account.base_url, ledger=account.ledger, timeout=_TEST_SECONDS
            )
        except VoicebatchError as error:
            return False, in_arguments(f"{error.message} {error.hint}".strip())
        return True, f"Credit: {money(left.amount)} {left.currency}".rstrip()


def _account(connection: Connection) -> Account:
    extra = connection.extra_dejson
    if strange := extra.keys() - EXTRA_FIELDS.keys():
        known = ", ".join(EXTRA_FIELDS)
        raise UsageError(f"The connection has an extra {min(strange)!r}.", hint=f"Its extras may be {known}.")
    return Account(
        api_key=connection.password or None,
        base_url=_base_url(connection),
        ledger=_ledger(_text(extra, "ledger"), _text(extra, "ledger_password")),
        rate=_text(extra, "rate"),
        region=_text(extra, "region") or "FR",
        sandbox=str(extra.get("sandbox", "")).lower() in {"true", "1", "yes", "on"},
    )


def _ledger(url: str | None, password: str | None) -> str | None:
    if url is None or password is None or "://" not in url:
        return url
    from sqlalchemy.engine import make_url

    return make_url(url).set(password=password).render_as_string(hide_password=False)


def _check(account: Account) -> None:
    """Raises ``UsageError`` for what no task could use."""
    from voicebatch import phones
    from voicebatch.ledger.engine import parse_url
    from voicebatch.pacing import parse_rate

    if account.ledger is None and not account.sandbox:
        raise UsageError(
            "The connection names no ledger.",
            hint="Give it the extra ledger, the same for all machines: postgresql+psycopg://USER@HOST/DATABASE, or a "
            "path where everything runs on one machine.",
        )
    if not account.api_key and not account.sandbox:
        raise UsageError("The connection has no API key.", hint="It is the connection's password.")
    if account.ledger:
        parse_url(account.ledger)
    if account.rate:
        parse_rate(account.rate)
    if not phones.known_region(account.region.upper()):
        raise UsageError(f"region {account.region!r} is no country code.", hint="Write it like FR, BE or GB.")


def _secrets(account: Account) -> Iterator[str]:
    """Airflow knows that a password is one, and nothing of a ledger's URL."""
    if account.api_key:
        yield account.api_key
    if account.ledger and (password := urlsplit(account.ledger).password):
        yield from {password, unquote(password)}


def _base_url(connection: Connection) -> str | None:
    """The host as it was typed: an address with its scheme."""
    if not connection.host:
        return None
    parts = urlsplit(connection.host)
    if not parts.scheme or not parts.netloc or parts.path in {"", "/"}:
        raise UsageError(
            f"The connection's host {connection.host!r} is no base URL.",
            hint="Write all of it, like https://HOST/v1. Empty, it is the provider's own.",
        )
    return connection.host


def _text(extra: dict[str, Any], name: str) -> str | None:
    return str(extra[name]).strip() or None if extra.get(name) is not None else None
