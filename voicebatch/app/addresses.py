"""Where a run is sent to and with which key: to the provider, or to a sandbox of its own."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from voicebatch import credentials, wire
from voicebatch.app.listening import listening
from voicebatch.ledger import Run

if TYPE_CHECKING:
    import requests

    from voicebatch.ledger import Ledger
    from voicebatch.provider import Provider

SANDBOX_KEY: Final = "sandbox"
_CALLBACK_SECONDS: Final = 60.0  # that a rehearsal waits for its callbacks, at most


def check_address(base_url: str | None, *, sandbox: bool) -> str | None:
    """The API key for this address, before any work is done. Raises ``UsageError`` for an unsafe one, or no key."""
    if sandbox:
        return None
    from voicebatch.provider import check_api_key, check_base_url

    check_base_url(base_url or wire.BASE_URL)
    return check_api_key(credentials.find_api_key(os.environ))


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a run is sent to. ``finish`` waits for what is still to come from there."""

    url: str
    key: str = field(repr=False)
    notify_url: str | None
    finish: Callable[[], object] = lambda: None


def provider_address(run: Run, base_url: str, api_key: str | None) -> Address:
    """The provider. ``api_key`` None: from the environment or the keyring.

    Raises ``UsageError`` for an unsafe ``base_url``, or no key.
    """
    from voicebatch.provider import check_base_url

    key = api_key or credentials.find_api_key(os.environ)
    return Address(url=check_base_url(base_url), key=key, notify_url=run.notify_url)


@contextlib.contextmanager
def rehearsal(run: Run, ledger: Ledger, *, callbacks: bool) -> Iterator[Address]:
    """A sandbox that lives as long as the ``with``, and knows the run's recordings.

    With ``callbacks`` the ledger takes those of a run that names no address for them.
    """
    from voicebatch.sandbox import serve

    listener = listening(ledger) if callbacks else contextlib.nullcontext()
    with serve(audio_tokens=ledger.recordings(run.id)) as served, listener as own:
        yield Address(
            url=served.base_url,
            key=SANDBOX_KEY,
            notify_url=run.notify_url or (own.url if own else None),
            finish=partial(served.wait_for_callbacks, _CALLBACK_SECONDS),
        )


def network_to(
    base_url: str, api_key: str, run: Run, *, timeout: float, session: requests.Session | None = None
) -> Provider:
    """What sends this run's batches to an address."""
    from voicebatch.provider import Provider

    return Provider(
        base_url=base_url, api_key=api_key, timeout=timeout, email=run.notify_email, sender=run.sender, session=session
    )


def callback_urls(base: str | None, ledger: Ledger) -> Callable[[str], str | None]:
    """Each attempt's own address for its callbacks, by its id."""
    if base is None:
        return lambda _: None
    secret = ledger.callback_secret()
    return lambda attempt_id: wire.callback_url(base, attempt_id, secret)
