"""``python -m voicebatch`` is the command ``voicebatch``."""

from voicebatch.cli import run

run()
