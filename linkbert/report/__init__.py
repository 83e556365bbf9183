"""report: one self-contained HTML file about a folder.

In: a corpus, a data set, a run, an experiment, or a folder that holds some of these. Out: an HTML
file that needs no network. Pure functions turn tables into chapters; folders that do not exist yet
have none.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from linkbert.inspection.corpus import Corpus
from linkbert.report.corpus_chapter import corpus_chapter
from linkbert.report.data_chapter import data_chapter
from linkbert.report.experiment_chapter import RESULTS_NAME, experiment_chapter
from linkbert.report.markup import Chapter, page
from linkbert.report.run_chapter import run_chapter
from schemas.errors import ConfigError, SchemaError
from schemas.manifest import MANIFEST_NAME, sweep_aside, write_whole

REPORT_NAME = "report.html"


@dataclass(frozen=True, slots=True)
class ReportResult:
    """The path of the report and what it contains."""

    report: str
    chapters: list[str]
    num_bytes: int


def write_report(folder: Path, out: Path | None = None, around: str | None = None) -> ReportResult:
    """Write the report of a folder.

    Args:
        folder: one of the folders named above.
        out: the file to write; `report.html` in the folder by default.
        around: the title of a document whose neighbourhood is drawn large.

    Raises:
        SchemaError: the folder has nothing of this project.
        GraphError: no document has the title `around`.
        ConfigError: `out` is a folder, or its folder does not exist.
    """
    target = out or folder / REPORT_NAME
    if target.is_dir():
        raise ConfigError(
            f"expected the name of a file to write, found the folder {target}: "
            f"name {target / REPORT_NAME}"
        )
    if not target.parent.is_dir() and folder.is_dir():
        raise ConfigError(
            f"expected a folder to write {target.name} into, found none at {target.parent}: "
            "create it, or choose another --out"
        )
    chapters = chapters_of(folder, around)
    if not chapters:
        raise SchemaError(
            f"expected a corpus, a data set, a run or an experiment, found none in {folder}: name "
            "a folder that parse, ingest, sample, pretrain, experiment or run wrote"
        )
    name = folder.resolve().name
    data = page(f"linkbert: {name}", _with_distinct_names(chapters)).encode()
    sweep_aside(target)
    with write_whole(target) as file:
        file.write(data)
    return ReportResult(str(target), [chapter.heading for chapter in chapters], len(data))


def chapters_of(folder: Path, around: str | None = None) -> list[Chapter]:
    """Return the chapter of the folder itself, or the chapters of the folders in it."""
    own = _chapter_of(folder, around)
    if own is not None:
        return [own]
    below = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    found = [_chapter_of(path, around) for path in below]
    order = {"corpus": 0, "data": 1, "run": 2, "experiment": 3}
    return sorted(filter(None, found), key=lambda chapter: order[chapter.name])


def _chapter_of(folder: Path, around: str | None) -> Chapter | None:
    if (folder / "pages" / MANIFEST_NAME).is_file():
        return corpus_chapter(Corpus(folder), around)
    if (folder / "train" / MANIFEST_NAME).is_file():
        return data_chapter(folder)
    if (folder / "run.json").is_file():
        return run_chapter(folder)
    if (folder / RESULTS_NAME).is_file():
        return experiment_chapter(folder)
    return None


def _with_distinct_names(chapters: list[Chapter]) -> list[Chapter]:
    """Return chapters with distinct ids, even if there are several of a kind."""
    counts: dict[str, int] = {}
    named = []
    for chapter in chapters:
        counts[chapter.name] = counts.get(chapter.name, 0) + 1
        number = counts[chapter.name]
        named.append(chapter if number == 1 else chapter.renamed(f"-{number}"))
    return named
