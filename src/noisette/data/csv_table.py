"""Tables as pandas and spreadsheets write them: other separators, other encodings, an index without a name."""

import csv
import io
import re

from ..errors import InputError

SEPARATORS = (",", ";", "\t", "|")
EXCEL_SEPARATOR = re.compile(r"sep=(.)\r?\n")  # a first line that Excel writes and reads
MAX_SHOWN = 200  # characters of the first line in a message
UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
FALLBACK_ENCODING = "cp1252"  # of Windows in western Europe and America
NAMELESS = re.compile(r"(Unnamed: \d+(\.\d+)?|Unnamed: \d+_level_\d+)?")  # pandas' name of a column without one

Record = dict[str, str | None]  # column → cell; None: empty


def decode_text(data: bytes, where: str) -> tuple[str, list[str]]:
    """The text of a table, and a note if its encoding was guessed. Raises InputError if no encoding fits."""
    try:
        return data.decode("utf-16" if data.startswith(UTF16_MARKS) else "utf-8-sig"), []
    except UnicodeDecodeError as error:
        try:
            return data.decode(FALLBACK_ENCODING), [f"{where} is not UTF-8, so it was read as Windows-1252"]
        except UnicodeDecodeError:
            raise InputError(f"{where} is not UTF-8 text (byte {error.start}): save it as UTF-8") from error


def parse_csv(text: str, name_columns: tuple[str, ...], where: str) -> tuple[list[Record], list[str]]:
    """The rows of a table, and notes on columns that were left out.

    The first line names the columns, one of `name_columns` among them. Lines without any cell and cells beyond the
    named columns are left out if they are empty. Raises InputError for a table that cannot be read.
    """
    if marked := EXCEL_SEPARATOR.match(text):
        text, separator = text[marked.end() :], marked.group(1)
    else:
        text = text.lstrip("\r\n")
        separator = _find_separator(text, name_columns)
    try:
        lines = [[cell.strip() for cell in line] for line in _read(text, separator)]
    except csv.Error as error:
        raise InputError(f"{where} cannot be read as CSV: {error}") from error
    header = lines[0] if lines else []
    while header and not header[-1]:
        header = header[:-1]
    if not set(name_columns) & set(header):
        shown = ", ".join(header)
        columns = f"it has {shown[:MAX_SHOWN]}{'…' if len(shown) > MAX_SHOWN else ''}" if header else "it is empty"
        raise InputError(f"the first line of {where} must name a column {name_columns[0]}: {columns}")
    rows = [line for line in lines[1:] if any(line)]
    if all(len(line) == len(header) + 1 for line in rows) and any(line[-1] for line in rows):
        header = ["", *header]  # R gives the column of row names no name
    named = [c for c in header if not NAMELESS.fullmatch(c)]
    if len(set(named)) < len(named):
        raise InputError(f"the first line of {where} names a column twice: give columns different names")
    records: list[Record] = []
    for cells in rows:
        if len(cells) < len(header) or any(cells[len(header) :]):
            raise InputError(f"row {len(records) + 1} of {where} does not have {len(header)} cells like the first line")
        row = zip(header, cells, strict=False)
        records.append(
            {c: _with_decimal_point(cell, separator) or None for c, cell in row if not NAMELESS.fullmatch(c)}
        )
    nameless = len(header) - len(named)
    return records, [f"columns without a name in {where}, left out: {nameless}"] if nameless else []


def _read(text: str, separator: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=True, strict=True))


def _find_separator(text: str, name_columns: tuple[str, ...]) -> str:
    """The separator that makes a name column of the first line; of several, the one with most columns."""
    first = text.splitlines()[0] if text.strip() else ""
    columns = {}
    for separator in SEPARATORS:
        try:
            cells = [cell.strip() for line in _read(first, separator) for cell in line]
        except csv.Error:
            continue
        if set(name_columns) & set(cells):
            columns[separator] = len(cells)
    return max(columns, key=lambda s: columns[s]) if columns else ","


def _with_decimal_point(cell: str, separator: str) -> str:
    """A number like 1,5 as 1.5 where the comma is not the separator, as in the tables of many countries."""
    return cell.replace(",", ".") if separator != "," and re.fullmatch(r"[+-]?\d+,\d+", cell) else cell
