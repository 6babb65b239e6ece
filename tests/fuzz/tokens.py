"""What is put into inputs: the words and signs of each format, and values at the edge of something."""

from __future__ import annotations

from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, Final

import phonenumbers
import pyarrow as pa

NUMBER: Final = "0465711234"  # of the numbers that are given to nobody: 04 65 71 and four digits

TEXT: Final = (
    ",", ";", "\t", "|", '"', '""', '"\n', '\n"', "'", "\n", "\r", "\r\n", "\0", "\ufeff", "\x1f", "\x85", "\u2028",
    "\x1a", "\x0b", "\x0c", "sep=;\r\n", '"sep=,"\n', "=1+1", '="0465711234"', "\\N", "NULL", "é", "€", "œ", "ß", "İ",
    "\u200b", "\u202e", "\xad", "📞", "́", "中", "tel", "phone", "Téléphone", "mobile", ";tel;", "lang", "speech_rate",
    "scheduled_date", "audio_token", NUMBER, "+33465711234", "4.65711234E+08", "465711234.0", "04 65 71 12 34", "00",
    "2032-03-01 09:00", "01/03/2032", "1e999", "9" * 40, "-", " ", "\xa0", "{{ x }}", "{% if", "<b>", "&amp;", "#REF!",
    ";" * 9, "\n" * 30, "voicebatch", "column A",
)  # fmt: skip
BYTES: Final = (
    b"\0", b"\xff", b"\xfe\xff", b"\xff\xfe", b"\xef\xbb\xbf", b"\xff\xfe\0\0", b"\x80", b"\xe9", b"\xc3", b"\xa4",
    b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\n\0", b"\0\n", b"\r", b'"', b";", b"PK\x03\x04", b"\xd0\xcf\x11\xe0",
    b"PAR1", b"%PDF", b"\x1f\x8b", b"<html>", b"\x1b$B", b"\x0e",
)  # fmt: skip
WRITTEN_IN: Final = (
    "utf-8", "utf-8", "utf-8", "utf-8-sig", "cp1252", "cp1252", "iso-8859-15", "mac_roman", "cp850", "utf-16",
    "utf-16-le", "utf-16-be", "utf-32", "utf-7", "shift_jis",
)  # fmt: skip
SUFFIXES: Final = (".csv", ".tsv", ".txt", ".xlsx", ".xlsm", ".xls", ".ods", ".parquet", ".CSV", "", ".dat")
DELIMITERS: Final = (
    ",", ";", "tab", r"\t", "\t", "|", "^", ":", "", "ab", "\n", "\r", '"', "é", "\0", "\x1f", " ", "0", "💥", "\ufeff",
)  # fmt: skip
ENCODINGS: Final = (
    "utf-8", "utf-8-sig", "UTF8", "utf-16", "utf-16-le", "utf-32", "utf-7", "cp1252", "latin-1", "mac_roman", "cp037",
    "rot13", "hex", "base64", "zlib", "bz2", "idna", "punycode", "unicode_escape", "raw_unicode_escape", "undefined",
    "shift_jis", "iso2022_jp", "hz", "big5", "gb18030", "mbcs", "oem", "nonsense", "", " ", "\0", "a/b", "é", "x" * 500,
)  # fmt: skip
SHEETS: Final = ("Feuil1", "Caché", "A", "B", "S", "Sheet1", "feuil1", "1", "0", "", "nope", "../x", "\0", "é" * 99)
NAMES: Final = (
    "tel", "phone", "Téléphone", "Nom", "nom", "mobile", "x", "N° client", "", " ", "column A", "a\nb", "\0", "lang",
    "tel_2", "row", "voicebatch", "\u202e", "é" * 300,
)  # fmt: skip
HEADERS: Final = (*NAMES, NUMBER)
REGIONS: Final = ("FR",) * 250 + tuple(sorted(phonenumbers.SUPPORTED_REGIONS))

VALUES: Final = (
    "", "0", "1", "-1", "A1", "A0", "B2", "XFD1048576", "XFE1", "A1048577", "A1:XFD1048576", "B9:A1", "A1:", "ZZZZ9",
    "s", "str", "b", "d", "e", "n", "inlineStr", "true", "false", "1e999", "NaN", "collapse", "filter", "visible",
    "hidden", "veryHidden", "float", "date", "boolean", "time", "percentage", "currency", "string", "void", "PT9H",
    "PT99999999999H", "P1Y", "2032-03-01", "0000-00-00", "9999-12-31T23:59:60", "1048576", "16384", "4294967296",
    "00000", "0.00%", "[>=1]0;[<0]-0;x", "yyyy-mm-dd", "[h]:mm", "#,##0,,", "0" * 256, "&quot;", "&#0;", "&bad;",
    "../../x", "/xl/workbook.xml", "xl/worksheets/sheet1.xml", "rId1", "rId99", "preserve", "array", "shared", "é",
)  # fmt: skip
_XML: Final = (
    "<!-- x -->", "<!-- ", "<![CDATA[x]]>", "<![CDATA[", "]]>", "<?x y?>", "&b;", "&#0;", "&#x110000;", "&#xD800;",
    "&lt;", "&", "<", ">", "\0", "\ufeff", '<?xml version="1.1" encoding="utf-16"?>', "<a>" * 300, "<x:y/>",
    '<!DOCTYPE a [<!ENTITY b "c">]>', "text", "0465711234",
)  # fmt: skip
XLSX: Final = (
    *_XML,
    "<row/>", '<row r="5"/>', '<row r="2" hidden="1"/>', '<row r="1048577"><c><v>1</v></c></row>', "<c/>",
    '<c r="A1" t="s"><v>0</v></c>', '<c t="s"><v>999</v></c>', '<c t="s"><v>-1</v></c>', '<c t="b"><v>2</v></c>',
    '<c t="d"><v>2032-13-01</v></c>', '<c t="e"><v>#N/A</v></c>', '<c s="999"><v>1</v></c>', "<c><v>1e999</v></c>",
    '<c t="str"><f>A1</f><v>x</v></c>', "<v>1</v>", "<v>x</v>", "<is><t>x</t></is>", "<is/>", '<f t="shared" si="9"/>',
    '<col min="0" max="99999" hidden="1"/>', '<mergeCell ref="A1:B99"/>', "<sheetData/>", "</sheetData>", "<sheetData>",
    '<sheet name="Z" sheetId="9" r:id="rId9"/>', '<xf numFmtId="999"/>', '<numFmt numFmtId="999" formatCode="0;"/>',
    '<autoFilter ref="A1:B2"/>', "<si/>", "<si><t>x</t></si>", '<workbookPr date1904="1"/>', '<dimension ref="A1:A1"/>',
)  # fmt: skip
ODS: Final = (
    *_XML,
    "<table:table-row/>", "<table:table-cell/>", "<text:p/>", "<text:s/>", "<text:tab/>", "<text:line-break/>",
    '<table:table-row table:number-rows-repeated="1048576"/>', '<table:table-cell table:number-columns-repeated="99"/>',
    '<table:table-row table:visibility="collapse"><table:table-cell/></table:table-row>',
    '<table:table-column table:visibility="collapse" table:number-columns-repeated="9999999"/>',
    '<table:table-cell office:value-type="float" office:value="1e999"/>', "<table:table-header-rows>",
    '<table:table-cell office:value-type="date" office:date-value="x"><text:p>y</text:p></table:table-cell>',
    '<table:table-cell table:number-columns-spanned="9" table:number-rows-spanned="9"/>', "</table:table>",
    '<table:table table:name="Z">', "<table:covered-table-cell/>", "<text:p>a</text:p>",
    "<office:annotation><text:p>n</text:p></office:annotation>",
    '<text:s text:c="99999999999"/>', "<table:table-row-group>",
)  # fmt: skip

YAML: Final = (
    ":", ": ", "- ", "\n", "\n  ", "\n    ", "\t", "#", "&a ", "*a", "!!python/name:os.system ", "!!set ", "<<: ", "? ",
    "|\n", ">\n", "{", "}", "[", "]", ",", "'", '"', "%YAML 9.9\n", "---\n", "...\n", "null", "~", "true", "yes", "0o7",
    "1e999", ".nan", ".inf", "2032-03-01", "2032-99-99", "0x1F", "1_000", "1:30", "é", "\0", "\ufeff", "\x85", "\\",
    "phone_number: true", "isin: [1, a]", "isin: {allowed_values: []}", "str_matches: '('", "str_matches: '(a+)+$'",
    "str_matches: '(?<=a)b'", "dtype: int", "dtype: date", "dtype: object", "unique: true", "unique: [x]", "coerce: 1",
    "in_range: {min_value: 9, max_value: 1}", "str_length: {min_value: -1}", "greater_than: x", "checks: []",
    "checks:\n  - value: 1", "lambda x: x", "regex: true", "nullable: maybe", "columns:", "required: false",
    "error: ''", "phone_number: {region: ZZ}", "scheduled_date: true", "options: {check_name: isin}", "[" * 300,
    "a: {" * 200,
)  # fmt: skip
JINJA: Final = (
    "{{", "}}", "{%", "%}", "{#", "#}", "{{ nom }}", "{{ tel }}", "{{ row }}", "{{ row['x'] }}", "{{ row.nom }}",
    "{{ row.items() | list }}", "{{ x }}", "{% if nom %}", "{% else %}", "{% endif %}", "{% for x in nom %}",
    "{% endfor %}", "{% set x = 1 %}", "{% include 'x' %}", "{% extends 'x' %}", "{% block a %}", "{% raw %}",
    "{% macro m() %}", "{% endmacro %}", "{% call m() %}", "{% with a=1 %}", "{% do x %}", "{% trans %}", "{% break %}",
    " | ", " | upper", " | default('')", " | pause(3)", " | pause('x')", " | spell", " | digits", " | int", " | float",
    " | join", " | map('upper')", " | sort", " | random", " | tojson", " | format", " | batch(2)", " | attr('x')",
    " | truncate(1)", " | wordwrap(0)", " | indent(-1)", " | round(400)", " | center(99)", " | sum", " | groupby('x')",
    " | slice(0)", " | first", " | urlize", " | xmlattr", " | filesizeformat", " | replace('', 'x')", " | dictsort",
    " is divisibleby(0)", " is defined", " is string", " is sameas", " in nom", " not ", " ~ ", " ** 9", " * 9",
    " // 0", " % 0", " + 1", " - ", " == ", " < ", " if ", " else ", "[0]", "[::0]", "[99]", ".x", ".__class__", "()",
    "(1)", "(*nom)", "(**row)", "'", '"', "\\", "\n", "\0", "é", "1e999", "10 ** 10", "range(9)", "range(10 ** 6)",
    "namespace()", "pause(1)", "pause(-1)", "self", "loop.index", "caller()", "varargs", "none", "true", "[]", "{}",
    "(" * 150, "-" * 99,
)  # fmt: skip

NUMBERS: Final = (
    NUMBER, "+33465711234", "0033465711234", "465711234", "465711234.0", "04 65 71 12 34", "+33 (0)4 65 71 12 34",
    "04.65.71.12.34", "04-65-71-12-34", "tel: 04 65 71 12 34", "'0465711234", '="0465711234"', "０４６５７１１２３４",
    "٠٤٦٥٧١١٢٣٤", "0692123456", "0690123456", "+262 639 12 34 56", "+1 212 555 0100", "+49 30 23125 001",
)  # fmt: skip
CELLS: Final = (
    *NUMBERS, "4,65711234E+08", "(0)6",
    "+7 999 123 45 67", "8 999 123 45 67", "+248 2 512 345", "112", "3639", "0899123456", "O465711234", "04657l1234",
    "0465711234 ext 5", "0465711234 / 0465711235", "01/02/2032", "2032-03-01", "#N/A", "", " ", "\n", "\0", "+", "++33",
    "00", "0", "(", ")", "()", "x", "☎", "\ufe0f", "\u200e", "é", "²", "½", "Ⅷ", "𝟎𝟔", "-", "1" * 40, "ou", "poste 12",
    "<0465711234>", "«06»", "%", "e5", "E+", "1e5", ".", ",", "/", ";",
)  # fmt: skip

ARROW: Final[tuple[tuple[Any, tuple[Any, ...]], ...]] = (
    (pa.string(), ("a", "", None, "é\0", NUMBER)),
    (pa.large_string(), ("a", None)),
    (pa.int8(), (1, -128, None)),
    (pa.int64(), (465711234, 2**63 - 1, -(2**63), None)),
    (pa.uint64(), (33465711234, 2**64 - 1, None)),
    (pa.float32(), (0.5, float("nan"), float("inf"), None)),
    (pa.float64(), (465711234.0, 1e308, -0.0, float("nan"), None)),
    (pa.decimal128(38, 9), (Decimal("0.5"), Decimal(10) ** 28, None)),
    (pa.bool_(), (True, False, None)),
    (pa.date32(), (date(1, 1, 1), date(9999, 12, 31), date(2032, 3, 1), None)),
    (pa.date64(), (date(2032, 3, 1), None)),
    (pa.timestamp("us"), (datetime(1, 1, 1), datetime(9999, 12, 31), None)),  # noqa: DTZ001 # without one on purpose
    (pa.timestamp("ms", "Europe/Paris"), (datetime(2032, 3, 1), None)),  # noqa: DTZ001
    (pa.timestamp("s", "+09:30"), (0, -(2**40), 2**40, None)),
    (pa.timestamp("ns"), (0, 2**63 - 1, None)),
    (pa.time64("us"), (time(23, 59), None)),
    (pa.duration("s"), (timedelta(days=1), None)),
    (pa.binary(), (b"a", b"\xff", None)),
    (pa.binary(16), (b"0123456789abcdef", None)),
    (pa.null(), (None,)),
    (pa.list_(pa.string()), (["a"], [], [None], None)),
    (pa.struct([("a", pa.int8())]), ({"a": 1}, {"a": None}, None)),
    (pa.map_(pa.string(), pa.int8()), ([("a", 1)], None)),
)
