"""The built-in sandbox as a process of its own: it takes no processor time from who is measured."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import requests


@contextlib.contextmanager
def served(rate: str) -> Iterator[str]:
    """Its base URL, for as long as the ``with`` lasts; ``rate`` is the limit that it keeps, like ``40/4s``."""
    command = [sys.executable, "-m", "voicebatch", "sandbox", "--port", "0", "--rate", rate, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield str(json.loads(process.stdout.readline())["base_url"])
        finally:
            process.terminate()


def sends(base_url: str) -> list[dict[str, Any]]:
    """Every request to call somebody that it got, in order; looking up the account is none."""
    listed: list[dict[str, Any]] = requests.get(f"{base_url.removesuffix('/v1')}/sandbox/requests", timeout=60).json()
    return [arrival for arrival in listed if arrival["endpoint"] == "POST /tts/send"]
