"""The parts of an .xlsx file, read as text and changed as little as can be: what nobody touches stays byte for byte.

Elements are found by their tags and text is put between them. A parser that writes the whole part again would lose what
it does not know, and Excel would offer to repair the file. Source: ECMA-376, part 2.
"""

from __future__ import annotations

import html
import posixpath
import re
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final
from xml.sax.saxutils import quoteattr

_MARKUP: Final = re.compile(r"""<!--|<!\[CDATA\[|<\?|<(/?)([\w:.-]+)((?:[^<>"']|"[^"<]*"|'[^'<]*')*?)(/?)>""")
_CLOSINGS: Final = {"<!--": "-->", "<![CDATA[": "]]>", "<?": "?>"}
_ATTRIBUTE: Final = re.compile(r"""([\w:.-]+)\s*=\s*(?:"([^"]*)"|'([^']*)')""")
_LARGEST_PART: Final = 1 << 26  # bytes of a part that is read as a whole
_LARGEST_BOOK: Final = 1 << 32
_RELATIONS: Final = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_EMPTY_RELATIONS: Final = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
    '<Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships"></Relationships>'
)
_FIRST_DATE: Final = (1980, 1, 1, 0, 0, 0)  # of a new part: the same input gives the same file


@dataclass(frozen=True, slots=True, kw_only=True)
class Element:
    """An element in a text: its name without the prefix, its attributes, and where it stands."""

    name: str
    attributes: dict[str, str]
    start: int
    end: int


def elements(xml: str, level: int) -> Iterator[Element]:
    """The elements so many levels below the first one's, in their order. Raises ``ValueError`` for what is no XML."""
    depth, opened = 0, (0, "")
    for tag in _tags(xml):
        closing, name, written, empty = tag.groups()
        depth -= bool(closing)
        if depth == level and not closing:
            opened = tag.start(), written
        if depth == level and (closing or empty):
            yield Element(name=name.split(":")[-1], attributes=attributes(opened[1]), start=opened[0], end=tag.end())
        depth += not closing and not empty


def _tags(xml: str) -> Iterator[re.Match[str]]:
    """The tags, without what only looks like one in a remark."""
    at = 0
    while tag := _MARKUP.search(xml, at):
        at = tag.end()
        if closing := _CLOSINGS.get(tag[0]):
            at = xml.index(closing, at)
        else:
            yield tag


def attributes(tag: str) -> dict[str, str]:
    """What a tag says, by name."""
    return {name: html.unescape(double or single) for name, double, single in _ATTRIBUTE.findall(tag)}


def with_attribute(xml: str, name: str, value: str) -> str:
    """An element whose tag says so, whether or not it said something else. Raises ``ValueError`` for what is none."""
    tag = _MARKUP.match(xml)
    if not tag:
        raise ValueError("there is no element")
    end = tag.end(3)
    for found in _ATTRIBUTE.finditer(xml, 0, end):
        if found[1] == name:
            return f"{xml[: found.start()]}{name}={quoteattr(value)}{xml[found.end() :]}"
    return f"{xml[:end].rstrip()} {name}={quoteattr(value)}{xml[end:]}"


def root(xml: str) -> tuple[str, str]:
    """The prefix of a document's own elements, with its colon, and the closing tag of its first one."""
    last = xml.rindex("</")
    name = xml[last + 2 : xml.index(">", last)].strip()
    prefix, colon, _ = name.rpartition(":")
    return prefix + colon, xml[last:]


def append(xml: str, added: str) -> str:
    """The document with something added at the end of its first element."""
    xml = opened(xml)
    last = xml.rindex("</")
    return xml[:last] + added + xml[last:]


def opened(xml: str) -> str:
    """A document whose one element is empty, with a closing tag to put something before."""
    return re.sub(r"<([\w:.-]+)([^<>]*)/>\s*$", r"<\1\2></\1>", xml) if "</" not in xml else xml


def inserted(xml: str, added: str, *, before: frozenset[str], level: int) -> str:
    """The text with something added before the first element that is called so, or at the end."""
    for element in elements(xml, level):
        if element.name in before:
            return xml[: element.start] + added + xml[element.start :]
    last = xml.rindex("</")
    return xml[:last] + added + xml[last:]


class Package:
    """A workbook's file with some of its parts changed, and some new."""

    def __init__(self, archive: zipfile.ZipFile) -> None:
        self._archive = archive
        self._infos = {info.filename: info for info in archive.infolist()}
        self._changed: dict[str, str] = {}
        if sum(info.file_size for info in self._infos.values()) > _LARGEST_BOOK:
            raise ValueError("too large to be copied")

    def open(self, name: str) -> IO[bytes]:
        """A part as it came. Raises ``KeyError`` when there is none."""
        return self._archive.open(name)

    def text(self, name: str) -> str:
        """A part as it is now. Raises ``KeyError`` when there is none, ``ValueError`` for what is not UTF-8."""
        if name in self._changed:
            return self._changed[name]
        with self.open(name) as part:
            return small(part.read(_LARGEST_PART + 1)).decode("utf-8-sig")

    def put(self, name: str, text: str) -> None:
        """Changes a part."""
        self._changed[name] = text

    def add(self, pattern: str, text: str, *, content_type: str, owner: str, kind: str) -> str:
        """A new part, which belongs to another one. Returns the id of the relation."""
        known = {name.casefold() for name in [*self._infos, *self._changed]}
        name = next(name for serial in range(1, 1 << 20) if (name := pattern.format(serial)).casefold() not in known)
        self.put(name, text)
        self._declare(name, content_type)
        return self._relate(owner, name, kind)

    def related(self, owner: str, kind: str) -> dict[str, str]:
        """The parts of this kind that belong to one, by the ids of the relations."""
        if (name := _relations_of(owner)) not in {**self._infos, **self._changed}:
            return {}
        folder = "/" + posixpath.dirname(owner)
        return {
            one.attributes["Id"]: posixpath.normpath(posixpath.join(folder, one.attributes["Target"])).lstrip("/")
            for one in elements(self.text(name), 1)
            if one.attributes.get("Type") == f"{_RELATIONS}/{kind}"
        }

    def _relate(self, owner: str, name: str, kind: str) -> str:
        of_owner = _relations_of(owner)
        xml = opened(self.text(of_owner) if of_owner in {**self._infos, **self._changed} else _EMPTY_RELATIONS)
        taken = {one.attributes.get("Id") for one in elements(xml, 1)}
        new_id = next(one for serial in range(1, 1 << 20) if (one := f"rId{serial}") not in taken)
        tag = f'<{root(xml)[0]}Relationship Id="{new_id}" Type="{_RELATIONS}/{kind}" Target="/{name}"/>'
        self.put(of_owner, append(xml, tag))
        return new_id

    def _declare(self, name: str, content_type: str) -> None:
        part = "[Content_Types].xml"
        xml = self.text(part)
        prefix, ending = root(xml)[0], posixpath.splitext(name)[1][1:]
        if ending == "vml":
            defaults = {one.attributes.get("Extension", "").casefold() for one in elements(xml, 1)}
            tag = f"<{prefix}Default Extension={quoteattr(ending)} ContentType={quoteattr(content_type)}/>"
            self.put(part, xml if ending in defaults else _at_the_beginning(xml, tag))
        else:
            tag = f"<{prefix}Override PartName={quoteattr('/' + name)} ContentType={quoteattr(content_type)}/>"
            self.put(part, append(xml, tag))

    def write(self, path: Path, streamed: dict[str, Callable[[IO[bytes]], None]]) -> None:
        """Writes the whole file; last, and in their order, the parts that are ``streamed``, by whom they name."""
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as copy:
            others = [name for name in {**self._infos, **self._changed} if name not in streamed]
            for name in [*others, *streamed]:
                old = self._infos.get(name)
                info = zipfile.ZipInfo(name, old.date_time if old else _FIRST_DATE)
                info.compress_type = old.compress_type if old else zipfile.ZIP_DEFLATED
                info.external_attr = old.external_attr if old else 0
                info.file_size = old.file_size if old else 0  # how zipfile knows a large one
                with copy.open(info, "w", force_zip64=info.file_size > zipfile.ZIP64_LIMIT // 2) as part:
                    self._write_part(name, part, streamed)

    def _write_part(self, name: str, part: IO[bytes], streamed: dict[str, Callable[[IO[bytes]], None]]) -> None:
        if name in streamed:
            streamed[name](part)
        elif name in self._changed:
            part.write(self._changed[name].encode())
        else:
            with self.open(name) as source:
                shutil.copyfileobj(source, part, 1 << 20)


def small(content: bytes) -> bytes:
    """The content of a part that was read as a whole. Raises ``ValueError`` when it is too large for that."""
    if len(content) > _LARGEST_PART:
        raise ValueError("a part of the workbook is too large")
    return content


def _relations_of(name: str) -> str:
    folder, base = posixpath.split(name)
    return posixpath.join(folder, "_rels", f"{base}.rels")


def _at_the_beginning(xml: str, added: str) -> str:
    """Defaults stand before overrides."""
    first = next(elements(xml, 1), None)
    return append(xml, added) if first is None else xml[: first.start] + added + xml[first.start :]
