"""The text that is read aloud: a Jinja2 template over the file's columns, and which rows share a rendering.

A template calls a column by its variable name, or by its header with ``row["N° client"]``. It is sandboxed
and strict: what is missing or fails is an error of that row. Cells are data: template syntax in one is text.
"""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import jinja2
from jinja2 import meta, nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment, safe_range

from voicebatch.errors import UsageError

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa
    from jinja2.runtime import Context

Functions = Mapping[str, Callable[..., Any]]

ROW: Final = "row"

_MARKS: Final = ("{{", "{%", "{#")
_ELSEWHERE: Final = "a template is one text: write it out"
_REFUSED: Final[Mapping[type[nodes.Node], tuple[str, str]]] = {
    nodes.Include: ("include reads another file", _ELSEWHERE),
    nodes.Import: ("import reads another file", _ELSEWHERE),
    nodes.FromImport: ("import reads another file", _ELSEWHERE),
    nodes.Extends: ("extends reads another file", _ELSEWHERE),
    nodes.Block: ("a block is for templates that extend one another", _ELSEWHERE),
}
# The same row must give the same text: a message is known by what is heard.
_UNREPEATABLE: Final = frozenset({"random"})
_COPE_WITH_MISSING: Final = frozenset({"default", "d"})


class MissingValue(Exception):
    """The template needs a value that the row lacks. ``name`` is the column's variable name or its header."""

    def __init__(self, name: str) -> None:
        super().__init__(f"the template needs a value in {name!r}")
        self.name = name

    def __reduce__(self) -> tuple[type[MissingValue], tuple[str]]:
        """It can be pickled, which by itself an exception can only with its arguments as its message."""
        return type(self), (self.name,)


class RenderError(Exception):
    """The template cannot be rendered with this row's values. ``reason`` says why in one sentence."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


_SPACE: Final = r"\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000}"
_LONGEST_TEXT: Final = 10_000  # characters; read aloud it takes ten minutes
_MOST_BYTES: Final = 1 << 30  # of a column's texts: Arrow takes 2 GB, with what the template says between the cells
_ADDRESS: Final = " at 0x"
_UNTIDY: Final = rf"^$|^ | $|  |[\x00\t\n\v\f\r\x1c-\x1f{_SPACE}]"
"""White space that ``str.split`` would fold, in RE2's words; and NUL, which nobody can say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A checked template, and what it needs of a row.

    ``names`` are the columns that it calls by variable name, ``headers`` those that it calls as
    ``row["header"]``. With ``whole_row`` it uses ``row`` in some other way, and needs every column.
    """

    text: str
    names: frozenset[str]
    headers: frozenset[str]
    whole_row: bool
    _compiled: jinja2.Template | None  # None: a text without template syntax
    _pieces: tuple[nodes.Node, ...] = ()  # of a template of literals and plain variables: joined without Jinja2

    @classmethod
    def compile(cls, text: str, *, filters: Functions, functions: Functions) -> Template:
        """The template, ready to render; a fault in it is a ``UsageError`` with the line and a hint."""
        if not text.strip():
            raise UsageError("the text is empty", hint="give the words to read aloud")
        if not any(mark in text for mark in _MARKS):
            return cls(text=text, names=frozenset(), headers=frozenset(), whole_row=False, _compiled=None)
        environment = _environment(filters)
        functions = {"range": safe_range, "namespace": jinja2.utils.Namespace, **functions}
        try:
            return cls._checked(text, environment, functions)
        except jinja2.TemplateSyntaxError as error:
            raise _fault(error.lineno, str(error.message), "see the template's syntax there") from None
        except (RecursionError, SyntaxError, ValueError, jinja2.TemplateRuntimeError) as error:
            raise UsageError(f"the template cannot be compiled: {error}", hint="make it simpler") from None

    @classmethod
    def _checked(cls, text: str, environment: jinja2.Environment, functions: Functions) -> Template:
        tree = environment.parse(text)
        _refuse_constructs(tree)
        _refuse_unknown(tree, environment)
        free = meta.find_undeclared_variables(tree)
        _refuse_calls(tree, functions, free)
        headers, whole_row = _row_use(tree) if ROW in free else (frozenset[str](), False)
        compiled = environment.from_string(tree, globals=dict(functions))
        compiled.globals = dict(compiled.globals)  # Jinja2's own is copied key by key for every text
        return cls(
            text=text,
            names=frozenset(free - functions.keys() - {ROW}),
            headers=headers,
            whole_row=whole_row,
            _compiled=compiled,
            _pieces=_plain_pieces(tree, free - functions.keys() - {ROW}),
        )

    def render(self, values: Mapping[str, str | None], row: Mapping[str, str | None]) -> str:
        """The text for one row, white space folded to single spaces.

        ``values`` are by variable name, ``row`` by header; both may hold no more than the template needs.
        Raises ``MissingValue`` for a value that is needed and empty, ``RenderError`` for whatever else fails.
        """
        text = " ".join(self._render(values, row).split())
        if not text:
            raise RenderError("the text is empty for this row")
        if len(text) > _LONGEST_TEXT:
            raise RenderError(f"the text is longer than {_LONGEST_TEXT:,} characters")
        return text

    def render_columns(self, values: Mapping[str, pa.Array]) -> pa.DictionaryArray | None:
        """The texts of many rows at once, each distinct one once.

        Null where only ``render`` can tell, ``None`` when it has to tell of all.

        ``values`` are columns by variable name, null for an empty cell.
        """
        import pyarrow as pa
        import pyarrow.compute as pc

        if not self._pieces or not self.names:
            return None
        pieces = [*self._joinable(values)]
        if sum(piece.nbytes for piece in pieces if not isinstance(piece, str)) > _MOST_BYTES:
            return None
        texts = pc.binary_join_element_wise(*pieces, "").dictionary_encode()
        said = texts.dictionary
        needs_care = pc.or_(pc.match_substring_regex(said, _UNTIDY), pc.greater(pc.utf8_length(said), _LONGEST_TEXT))
        if not pc.any(needs_care).as_py():
            return texts
        return pa.DictionaryArray.from_arrays(pc.if_else(needs_care.take(texts.indices), None, texts.indices), said)

    def _joinable(self, values: Mapping[str, pa.Array]) -> Iterator[Any]:
        """The pieces, with white space folded in what the template says itself."""
        last = len(self._pieces) - 1
        for place, piece in enumerate(self._pieces):
            if isinstance(piece, nodes.TemplateData):
                said = re.sub(r"\s+", " ", piece.data)
                said = said.lstrip() if place == 0 else said
                yield said.rstrip() if place == last else said
            else:
                yield values[piece.name]  # type: ignore[attr-defined] # a nodes.Name, see _plain_pieces

    def _render(self, values: Mapping[str, str | None], row: Mapping[str, str | None]) -> str:
        if self._compiled is None:
            return self.text
        if self._pieces:
            return "".join(_said(piece, values) for piece in self._pieces)
        try:
            text = self._compiled.render(self._variables(values, row))
        except _MissingCellError as missing:
            raise MissingValue(str(missing.message)) from None
        except Exception as error:
            raise RenderError(f"the template fails: {str(error) or type(error).__name__}") from error
        if _ADDRESS in text:  # of an object in memory: another one each time
            raise RenderError("the template says something that is no text: is a call's () or a filter missing?")
        return text

    def _variables(self, values: Mapping[str, str | None], row: Mapping[str, str | None]) -> dict[str, Any]:
        variables: dict[str, Any] = _cells(self.names, values)
        if self.headers or self.whole_row:
            variables[ROW] = _cells([*row, *self.headers] if self.whole_row else self.headers, row)
        return variables


def _plain_pieces(tree: nodes.Template, names: Set[str]) -> tuple[nodes.Node, ...]:
    """The literals and variables that the template is made of, nothing if there is more to it."""
    pieces = [piece for output in tree.body for piece in getattr(output, "nodes", (output,))]
    plain = all(
        isinstance(one, nodes.TemplateData) or (isinstance(one, nodes.Name) and one.name in names) for one in pieces
    )
    return tuple(pieces) if plain else ()


def _said(piece: nodes.Node, values: Mapping[str, str | None]) -> str:
    if isinstance(piece, nodes.TemplateData):
        return piece.data
    name: str = piece.name  # type: ignore[attr-defined] # a nodes.Name, see _plain_pieces
    value = values.get(name)
    if value is None or not value.strip():
        raise MissingValue(name)
    return value


def distinct(columns: Sequence[pa.Array], *, rows: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Which rows share their values: a code per row, and the first row of each code.

    Codes count from 0 in the order of first appearance; a null is a value like any other. ``rows`` is needed
    only where there are no columns: then all rows are one group.
    """
    import numpy as np

    if not columns and rows is None:
        raise ValueError("without columns, say how many rows there are")
    codes = np.zeros(len(columns[0]) if columns else rows or 0, dtype=np.int64)
    for column in columns:
        codes = _refined(codes, column)
    first = np.flatnonzero(np.diff(np.maximum.accumulate(codes), prepend=-1))
    return codes, first


def _refined(codes: np.ndarray, column: pa.Array) -> np.ndarray:
    import numpy as np
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    encoded = column.dictionary_encode(null_encoding="encode")
    # Both factors are at most the number of rows, so their product stays far below 2**63.
    packed = codes * len(encoded.dictionary) + encoded.indices.to_numpy()
    renumbered: np.ndarray = pa.array(packed).dictionary_encode().indices.to_numpy()
    return renumbered.astype(np.int64)


class _MissingCellError(jinja2.TemplateRuntimeError):
    """Jinja2's side of ``MissingValue``; its message is the column's name."""


class _Missing(jinja2.StrictUndefined):
    """An empty cell: false in a condition, replaced by ``default``, an error wherever it would be heard."""

    __slots__ = ()

    def __init__(self, name: str) -> None:
        super().__init__(name=name, exc=_MissingCellError)

    @property
    def _undefined_message(self) -> str:
        return str(self._undefined_name)

    def __bool__(self) -> bool:  # type: ignore[override] # Jinja2 types the parent's as never returning
        return False

    def __repr__(self) -> str:
        # Printing a list prints the repr of what is in it.
        raise _MissingCellError(self._undefined_message)


def _cells(names: Iterable[str], values: Mapping[str, str | None]) -> dict[str, Any]:
    return {name: _cell(name, values.get(name)) for name in names}


class _False(str):
    """A truth value that a workbook or a Parquet file has as such: said as it stands, and false in a condition."""

    __slots__ = ()

    def __bool__(self) -> bool:
        return False


def _cell(name: str, value: str | None) -> str | _Missing:
    if value == "FALSE":
        return _False(value)
    return value if value and not value.isspace() else _Missing(name)


class _Environment(ImmutableSandboxedEnvironment):
    intercepted_binops = frozenset({"**"})

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ARG002
        raise ValueError("a power can take for ever: leave ** out")


def _environment(filters: Functions) -> jinja2.Environment:
    environment = _Environment(undefined=jinja2.StrictUndefined)
    # Functions are handed over template by template: what is left is what a column must give.
    environment.globals.clear()
    known = {**environment.filters, **filters}
    environment.filters = {
        name: known[name] if name in _COPE_WITH_MISSING else _needing(known[name])
        for name in known.keys() - _UNREPEATABLE
    }
    return environment


def _needing(apply: Callable[..., Any]) -> Callable[..., Any]:
    """The filter, refusing an empty cell: some of Jinja2's make nothing of it in silence."""

    @functools.wraps(apply)
    def needing(*args: Any, **options: Any) -> Any:
        for value in (*args, *options.values()):
            if isinstance(value, _Missing):
                str(value)  # raises with the column's name
        return apply(*args, **options)

    return needing


def _refuse_constructs(tree: nodes.Template) -> None:
    for node in tree.find_all(tuple(_REFUSED)):
        raise _fault(node.lineno, *_REFUSED[type(node)])


def _refuse_unknown(tree: nodes.Template, environment: jinja2.Environment) -> None:
    # Jinja2 itself finds these only where no condition stands around them.
    for node in tree.find_all(nodes.Filter):
        _refuse_stranger("filter", node.name, environment.filters, node.lineno)
    for test in tree.find_all(nodes.Test):
        _refuse_stranger("test", test.name, environment.tests, test.lineno)


def _refuse_calls(tree: nodes.Template, functions: Functions, free: set[str]) -> None:
    called = [call.node for call in tree.find_all(nodes.Call) if isinstance(call.node, nodes.Name)]
    for target in called:
        if target.name in free:
            _refuse_stranger("function", target.name, functions, target.lineno)
    for name in tree.find_all(nodes.Name):
        if name.name in free & functions.keys() and not any(name is target for target in called):
            raise _fault(
                name.lineno,
                f"{name.name} is a function",
                f'call it, or for a column of that name write row["{name.name}"]',
            )


def _refuse_stranger(kind: str, name: str, known: Iterable[str], line: int) -> None:
    known = sorted(known)
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}"
    raise _fault(line, f"there is no {kind} {name!r}", hint)


def _fault(line: int, sentence: str, hint: str) -> UsageError:
    return UsageError(f"line {line} of the template: {sentence}", hint=hint)


def _row_use(tree: nodes.Template) -> tuple[frozenset[str], bool]:
    headers = [header for item in tree.find_all(nodes.Getitem) if (header := _header(item)) is not None]
    uses = sum(name.name == ROW for name in tree.find_all(nodes.Name))
    return frozenset(headers), uses > len(headers)


def _header(item: nodes.Getitem) -> str | None:
    of_row = isinstance(item.node, nodes.Name) and item.node.name == ROW
    constant = item.arg.value if isinstance(item.arg, nodes.Const) else None
    return constant if of_row and isinstance(constant, str) else None
