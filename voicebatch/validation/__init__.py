"""Rules on the input: pandera schemas in YAML, and every fault of a batch of rows in plain words.

``loading`` turns the YAML into a ``Schema``, and refuses one that says anything without effect. ``checks`` is the
table of what a schema may ask, ``cells`` reads the text of a column as values, and ``validator`` finds the faults.
"""

from voicebatch.validation.explaining import explain
from voicebatch.validation.loading import load_schema
from voicebatch.validation.rules import CheckRule, ColumnRule, Rules, Schema, Verdict
from voicebatch.validation.validator import Validator

__all__ = ["CheckRule", "ColumnRule", "Rules", "Schema", "Validator", "Verdict", "explain", "load_schema"]
