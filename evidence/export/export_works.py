"""Export of works: a selection is read from the database and written to a file, to several, or to a folder with a description."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from evidence.data_model import Doi
from evidence.database import schema
from evidence.database.connection import reading
from evidence.database.read_versions import is_date, state_named
from evidence.database.select_works import (
    Selection,
    check_selection,
    full_rows,
    labels_of_values,
    selected_dois,
    values_of_facets,
)
from evidence.errors import ConfigError
from evidence.export import abstract_rights, atomic_output, data_package, file_formats, works_as_of_date
from evidence.export.columns import LONG, Column, Layout, Row, Shape
from evidence.export.exported_dois import ExportedDois
from evidence.export.tool_presets import PRESETS


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an export is to write: a format, or what a tool reads (`tool`, whose format it then is), and how. `as_of` is a date
    (ISO), a run or a version, as a person types it: the works as of then. `with_abstracts` keeps the abstracts that may not be
    passed on (`abstract_rights`), for the reader's own screening. `address` is that of the site, for the names of tags in linked
    data."""

    format: str = "csv"
    tool: str | None = None
    shape: Shape = "lists"
    columns: tuple[str, ...] = ()
    with_reasons: bool = False
    excel: bool = False
    encoding: str = "utf-8"
    as_of: str | None = None
    with_abstracts: bool = False
    address: str | None = None


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export wrote: the files (empty: stdout), the number of works and of tags (of a table with a row a tag, else 0), of
    abstracts that were left out because they may not be passed on, in PubMed's format of works without a PMID, and the works."""

    files: tuple[Path, ...]
    works: int
    tags: int
    abstracts_left_out: int
    without_pmid: int = 0
    dois: Iterable[Doi] = ()


class _Source:
    """The works of a selection, read once for each file. It counts what was read last."""

    def __init__(
        self, conn: sqlite3.Connection, selection: Selection, wanted: Wanted, dois: Sequence[Doi] | None
    ) -> None:
        self._conn, self._selection, self._wanted, self._dois = conn, selection, wanted, dois
        self.works = self.tags = self.abstracts_left_out = self.without_pmid = self.without_doi = 0
        self.dois = ExportedDois()

    def rows(self, form: file_formats.Format, layout: Layout) -> Iterator[Row]:
        """The rows as the format needs them."""
        self.works = self.tags = self.without_pmid = self.without_doi = 0
        self.dois = ExportedDois()
        tag_rows, strengths = form.needs_tag_rows(layout), self._selection.strengths
        leaving_out = abstract_rights.LeavingOut()
        if self._wanted.as_of:
            found = works_as_of_date.selected_as_of(self._conn, self._selection, self._wanted.as_of, tag_rows=tag_rows)
        else:
            dois = selected_dois(self._conn, self._selection) if self._dois is None else self._dois
            found = full_rows(self._conn, dois, strengths, flat=form.flat, tag_rows=tag_rows)
        for row in found if self._wanted.with_abstracts else leaving_out.rows(found):
            self.works += 1
            self.dois.add(row["doi"] or row["local_id"])
            self.without_doi += not row["doi"]
            self.without_pmid += not row["pmid"]
            self.tags += len(row["tag_rows"]) if tag_rows else 0
            yield row
        self.abstracts_left_out = leaving_out.count if form.abstracts else 0


def export_works(
    db: Path,
    selection: Selection,
    wanted: Wanted,
    output: Path | None,
    *,
    folder_made: datetime | None = None,
    dois: Sequence[Doi] | None = None,
) -> Exported:
    """Write the selected works to a file (completely or not at all), or with None to stdout.

    `folder_made`: `output` is a folder, which gets the files and their description, made at this moment. `dois` are the works of
    a list, in its order, in place of those of the selection. ConfigError when the selection names an unknown tag or a file cannot
    be written.
    """
    form, limits = _format_and_limits(wanted)
    _refuse_what_does_not_fit(wanted, form)
    with reading(db) as conn:
        check_selection(conn, selection)
        state = state_named(conn, wanted.as_of) if wanted.as_of else None
        conn.execute("begin")  # all files are of the same moment
        layout = Layout(
            schema.read_topic(conn), values_of_facets(conn), wanted.as_of is not None, wanted.shape, wanted.columns,
            wanted.excel, wanted.with_reasons, labels_of_values(conn) if form.linked else {}, wanted.address,
            state is not None and state.version is not None,
        )  # fmt: skip
        layout.columns()  # refuses unknown names before anything is written
        source = _Source(conn, selection, wanted, dois)
        if output is not None and folder_made is not None:
            done = _write_folder(source, wanted, layout, output, folder_made)
        elif limits is not None:
            done = _write_parts(source, wanted, layout, form, limits, output)
        else:
            atomic_output.write(output, file_formats.encode(form(source.rows(form, layout), layout), wanted.encoding))
            files = () if output is None else (output,)
            without_pmid = source.without_pmid if wanted.format == "nbib" else 0
            done = Exported(files, source.works, source.tags, source.abstracts_left_out, without_pmid)
        return replace(done, dois=source.dois)


def _refuse_what_does_not_fit(wanted: Wanted, form: file_formats.Format) -> None:
    """ConfigError for an option that the format does not have."""
    name = f"--for {wanted.tool}" if wanted.tool else f"--format {wanted.format}"
    is_csv = wanted.tool is None and wanted.format == "csv"
    table = form.table and wanted.tool is None
    tables = ", ".join(known for known, other in file_formats.FORMATS.items() if other.table)
    dated = ", ".join(known for known, other in file_formats.FORMATS.items() if other.past)
    noted = ", ".join(known for known, other in file_formats.FORMATS.items() if other.notes)
    for given, fits, remedy in (
        (wanted.excel, is_csv, f"--excel is for --format csv, and not for {name}"),
        (wanted.shape != "lists", table, f"--shape {wanted.shape} is for tables ({tables}), and not for {name}"),
        (wanted.columns, table, f"--columns is for tables ({tables}), and not for {name}"),
        (wanted.with_reasons, form.notes, f"--with-reasons is for formats with notes ({noted}), and not for {name}"),
        (wanted.with_abstracts, form.abstracts, f"--with-abstracts is for formats that have abstracts, and not for {name}"),
        (wanted.as_of, form.past,
         f"--as-of is not for {name}, whose positions are in the text of today; it is for {dated}"),
        (wanted.encoding.lower().replace("_", "-") not in ("utf-8", "utf8"), not (form.fixed or wanted.tool),
         f"--encoding cannot be chosen for {name}: it is UTF-8, or no text"),
    ):  # fmt: skip
        if given and not fits:
            raise ConfigError(remedy)


def _format_and_limits(wanted: Wanted) -> tuple[file_formats.Format, tuple[int, int] | None]:
    """The format, and how many records and bytes a file may have."""
    if wanted.tool is None:
        return file_formats.FORMATS[wanted.format], None
    preset = PRESETS[wanted.tool]
    limited = preset.most_records is not None or preset.most_bytes is not None
    return preset.file, (preset.most_records or 1 << 62, preset.most_bytes or 1 << 62) if limited else None


def _parts(records: Iterable[bytes], most_records: int, most_bytes: int) -> Iterator[Iterator[bytes]]:
    """The records of a file, a part for each file that may have so many records and bytes. Each part is read before the next."""
    remaining = filter(None, records)
    following = next(remaining, None)
    while True:

        def part() -> Iterator[bytes]:
            nonlocal following
            count = size = 0
            while following is not None and count < most_records and (not count or size + len(following) <= most_bytes):
                count, size = count + 1, size + len(following)
                yield following
                following = next(remaining, None)

        yield part()
        if following is None:
            return


def _write_parts(
    source: _Source,
    wanted: Wanted,
    layout: Layout,
    form: file_formats.Format,
    limits: tuple[int, int],
    output: Path | None,
) -> Exported:
    """Write one file, or as many as the tool needs, numbered. They replace the files of those names together, at the end."""
    records = file_formats.encode(form(source.rows(form, layout), layout), wanted.encoding)
    if output is None or (output.exists() and not output.is_file()):  # stdout, or a pipe
        atomic_output.write(output, _one_part(records, limits, wanted.tool or ""))
        return Exported(() if output is None else (output,), source.works, source.tags, source.abstracts_left_out)
    with _temporary_folder(output.parent) as made:
        names = []
        for number, part in enumerate(_parts(records, *limits), 1):
            names.append(f"{output.stem}-{number}{output.suffix}")
            atomic_output.write_whole(made / names[-1], part)
        if len(names) == 1:
            atomic_output.write_whole(output, _blocks(made / names[0]))
            return Exported((output,), source.works, source.tags, source.abstracts_left_out)
        for name in names:
            atomic_output.write_whole(output.with_name(name), _blocks(made / name))
    files = tuple(output.with_name(name) for name in names)
    return Exported(files, source.works, source.tags, source.abstracts_left_out)


def _one_part(records: Iterable[bytes], limits: tuple[int, int], tool: str) -> Iterator[bytes]:
    """The records, all of them; ConfigError when they are more than one file may have. It is known before the first is
    written."""
    with tempfile.TemporaryFile() as ready:
        for number, part in enumerate(_parts(records, *limits), 1):
            if number > 1:
                raise ConfigError(
                    f"{tool} takes at most {limits[0]:,} records and {limits[1] // 1_000_000} MB a file, and these are more: "
                    "name a file with -o, and as many files are written as are needed"
                )
            for record in part:
                ready.write(record)
        ready.seek(0)
        while block := ready.read(1 << 20):
            yield block


# ---------------------------------------------------------------------- a folder


def _write_folder(source: _Source, wanted: Wanted, layout: Layout, folder: Path, now: datetime) -> Exported:
    """Write the files and their descriptions into the folder. They are made beside it and put in place at the end, the
    description last. A file that an earlier export made, that is unchanged and that this one does not make, is removed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be made a folder ({error.strerror}); name another") from None
    title = f"Works of {layout.topic.title}" if layout.topic else "Works"
    with _temporary_folder(folder) as made:
        files, works, tags, left_out = _data_files(source, wanted, layout, made)
        encoding = wanted.encoding.partition(":")[0]
        if any(file.columns for file in files):
            text = data_package.csvw(title, encoding, files).encode()
            atomic_output.write_whole(made / data_package.CSVW, [text])
            said = "What the columns of the CSV hold, as CSV on the Web"
            checksum = hashlib.sha256(text).hexdigest()
            about = data_package.File(data_package.CSVW, said, "application/csvm+json", len(text), checksum)
            described = (*files, about)
        else:
            described = tuple(files)
        said = data_package.data_package(
            title, _description(wanted), now.isoformat(timespec="seconds"), encoding, described
        )
        atomic_output.write_whole(made / data_package.DATA_PACKAGE, [said.encode()])
        names = [file.name for file in described]
        _remove_former(folder, {*names, data_package.DATA_PACKAGE})
        for name in (*names, data_package.DATA_PACKAGE):
            (made / name).replace(folder / name)
    return Exported(tuple(folder / file.name for file in files), works, tags, left_out)


def _description(wanted: Wanted) -> str:
    end = "the end of " if is_date(wanted.as_of or "") else ""
    of_day = f", as of {end}{wanted.as_of}" if wanted.as_of else ""
    return f"An export of the evidence tracker{of_day}. Verdicts and tags are the tracker's."


def _data_files(
    source: _Source, wanted: Wanted, layout: Layout, made: Path
) -> tuple[list[data_package.File], int, int, int]:
    """The files of the data, what they hold, and how many works and tags were read and abstracts left out. A CSV of works has its
    tags in a second file, a row a tag."""
    form, limits = _format_and_limits(wanted)
    if wanted.tool is not None or wanted.format != "csv":
        stem = "tags" if form.table and layout.shape == "long" else form.records
        records = file_formats.encode(form(source.rows(form, layout), layout), wanted.encoding)
        parts = [*_written_parts(records, limits, made, f"{stem}.{form.extension}")]
        # How many annotations there are, their file says.
        rows = {"tags": source.tags, "works": source.works}.get(stem)
        each = [rows] if len(parts) == 1 else [count for *_, count in parts]
        files = [
            data_package.File(name, f"The {stem}, {form.description}", form.media_type, size, checksum, count)
            for (name, size, checksum, _), count in zip(parts, each, strict=True)
        ]
        return files, source.works, source.tags, source.abstracts_left_out
    made_files, works, left_out = [], None, 0
    if layout.shape != "long":
        columns = _plain(layout.columns(), wanted.excel)
        of_work = ("doi",) if "doi" in (column.name for column in columns) else ()
        made_files.append(_table_file(source, wanted, layout, made, "works.csv", columns, of_work))
        works, left_out = source.works, source.abstracts_left_out
    beside = () if works is None else ("doi", *(column.name for column in LONG))
    of_tags = replace(layout, shape="long", names=layout.names if layout.shape == "long" else beside)
    columns = _plain(of_tags.columns(), wanted.excel)
    names = [column.name for column in columns]
    of_tag = ("doi", "facet", "value")
    key: tuple[str, ...] = of_tag if set(of_tag) <= set(names) else ()
    refers = "works.csv" if made_files and made_files[0].key and key else None
    made_files.append(_table_file(source, wanted, of_tags, made, "tags.csv", columns, key, refers))
    if works is None:
        left_out = source.abstracts_left_out
    return made_files, source.works, source.tags, left_out


def _plain(columns: tuple[Column, ...], excel: bool) -> tuple[Column, ...]:
    """The columns as the file has them: with `--excel`, parts of dates are joined by an en dash."""
    return tuple(replace(c, kind="text") if excel and c.kind == "partial-date" else c for c in columns)


def _table_file(
    source: _Source,
    wanted: Wanted,
    layout: Layout,
    made: Path,
    name: str,
    columns: tuple[Column, ...],
    key: tuple[str, ...],
    refers_to: str | None = None,
) -> data_package.File:
    form = file_formats.FORMATS["csv"]
    chunks = file_formats.encode(form(source.rows(form, layout), layout), wanted.encoding)
    ((_, size, checksum, _),) = _written_parts(chunks, None, made, name)
    rows = source.tags if layout.shape == "long" else source.works
    if source.without_doi:  # DOIs do not name all rows
        key, refers_to = (), None
    title = "The tags, one a row, with the words behind each" if layout.shape == "long" else "The works, one a row"
    return data_package.File(name, title, form.media_type, size, checksum, rows, columns, key, refers_to)


def _written_parts(
    records: Iterator[bytes], limits: tuple[int, int] | None, made: Path, name: str
) -> Iterator[tuple[str, int, str, int]]:
    """Write the chunks to a file, or to as many as the limits ask for: the name of each, its length, its SHA-256, and its
    chunks."""
    written = []
    for number, part in enumerate(_parts(records, *limits) if limits else [records], 1):
        measured = _Measured(part)
        path = made / str(number)
        atomic_output.write_whole(path, measured)
        written.append((path, measured))
    stem, _, extension = name.rpartition(".")
    for number, (path, measured) in enumerate(written, 1):
        own = name if len(written) == 1 else f"{stem}-{number}.{extension}"
        path.replace(made / own)
        yield own, measured.size, measured.sha256.hexdigest(), measured.count


class _Measured:
    """Chunks that are counted and summed while they are read."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = chunks
        self.size = self.count = 0
        self.sha256 = hashlib.sha256()

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self.count += bool(chunk)
            self.size += len(chunk)
            self.sha256.update(chunk)
            yield chunk


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            yield block


def _remove_former(folder: Path, kept: set[str]) -> None:
    """Remove the files that the folder's own description names with the checksum they still have, except `kept`."""
    try:
        former = json.loads((folder / data_package.DATA_PACKAGE).read_text(encoding="utf-8"))
        if former["name"] != "evidence-export":
            return
        listed = {resource["path"]: resource["hash"] for resource in former["resources"]}
    except (OSError, ValueError, KeyError, TypeError):
        return
    for name, checksum in listed.items():
        path = folder / str(name)
        if name in kept or path.parent != folder or not path.is_file():
            continue
        found = hashlib.sha256()
        for block in _blocks(path):
            found.update(block)
        if checksum == f"sha256:{found.hexdigest()}":
            path.unlink()


@contextmanager
def _temporary_folder(parent: Path) -> Iterator[Path]:
    """A folder in which files are made that are then moved into `parent`, removed in the end."""
    try:
        made = Path(tempfile.mkdtemp(prefix=".evidence-", dir=parent))
    except OSError as error:
        raise ConfigError(f"{parent}: cannot be written ({error.strerror}); name another") from None
    try:
        yield made
    finally:
        with suppress(OSError):
            shutil.rmtree(made)
