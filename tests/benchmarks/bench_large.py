"""From a made dump of gigabytes to shards and a model: time, throughput, memory and disk by stage.

    python -m tests.benchmarks.bench_large --megabytes 100 2000 10000 --folder /big/disk

Each stage is one command in a session of its own; four times a second all its processes are looked
at. CPU seconds say more than wall ones on a machine that others use. Memory is what a process has
for itself (RssAnon): mapped files are the page cache's and can be taken away. The last table scales
the largest run to English Wikipedia: computed, not measured.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass, field
from pathlib import Path

from schemas.manifest import read_manifest
from tests.benchmarks.__main__ import hardware
from tests.benchmarks.synthetic_dump import wiki_of, write_dump

ENWIKI_XML_BYTES = 125e9
ENWIKI_ARTICLES = 7e6

_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_EVERY_SECONDS = 0.25
_DISK_EVERY_LOOKS = 20
# Training is measured elsewhere; here it shows that the shards are what it takes.
_FEW_STEPS = ("max_steps=5", "batch_size=8", "micro_batch_size=8", "validation_instances=32")


@dataclass(slots=True)
class Usage:
    """What one command took; memory and disk are peaks in bytes."""

    wall_seconds: float = 0.0
    cpu_seconds: float = 0.0
    process_bytes: int = 0
    all_bytes: int = 0
    mapped_bytes: int = 0
    disk_bytes: int = 0
    kept_bytes: int = 0
    cpu_by_process: dict[int, float] = field(default_factory=dict)


def run_watched(command: list[str], folder: Path) -> Usage:
    """Run a command in a session of its own and watch all its processes until it ends.

    Raises:
        CalledProcessError: it failed.
    """
    usage = Usage()
    started = time.monotonic()
    process = subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL)
    looks = 0
    while process.poll() is None:
        _look(process.pid, usage)
        if looks % _DISK_EVERY_LOOKS == 0:
            usage.disk_bytes = max(usage.disk_bytes, tree_bytes(folder))
        looks += 1
        time.sleep(_LOOK_EVERY_SECONDS)
    usage.wall_seconds = time.monotonic() - started
    usage.cpu_seconds = sum(usage.cpu_by_process.values())
    usage.kept_bytes = tree_bytes(folder)
    usage.disk_bytes = max(usage.disk_bytes, usage.kept_bytes)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return usage


def _look(session: int, usage: Usage) -> None:
    anonymous = 0
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            if int(stat[3]) != session:
                continue
            status = (entry / "status").read_text()
        except OSError:  # it ended meanwhile
            continue
        usage.cpu_by_process[int(entry.name)] = (int(stat[11]) + int(stat[12])) / _TICKS
        own, mapped = _kilobytes(status, "RssAnon:"), _kilobytes(status, "RssFile:")
        anonymous += own
        usage.process_bytes = max(usage.process_bytes, own)
        usage.mapped_bytes = max(usage.mapped_bytes, mapped)
    usage.all_bytes = max(usage.all_bytes, anonymous)


def _kilobytes(status: str, key: str) -> int:
    at = status.find(key)
    return 0 if at < 0 else int(status[at + len(key) :].split(None, 1)[0]) * 1024


def tree_bytes(folder: Path) -> int:
    """Return the size of all files below a folder."""
    total = 0
    for path in folder.rglob("*"):
        try:
            total += path.stat().st_size if path.is_file() else 0
        except OSError:  # a writer has renamed it meanwhile
            continue
    return total


def stages(dump: Path, root: Path, workers: int) -> list[tuple[str, list[str]]]:
    """Return the commands from a dump to a model, each with its name."""
    corpus, shards = str(root / "corpus"), str(root / "shards")
    run, model = str(root / "run"), str(root / "model")
    steps = [f"--set={key}" for key in _FEW_STEPS]
    chain = {
        "parse": ["parse", str(dump), "--out", corpus],
        "graph": ["graph", corpus],
        "tokenizer": ["tokenizer", corpus],
        "segment": ["segment", corpus],
        "sample": ["sample", corpus, "--out", shards],
        "pretrain, 5 steps": ["pretrain", shards, "--out", run, "--config", "tiny", *steps],
        "export": ["export", run, "--out", model],
        "check": ["check", str(root)],
    }
    beginning = [sys.executable, "-m", "linkbert"]
    with_workers = ("parse", "graph", "tokenizer", "segment", "sample")
    ending = {name: ["--workers", str(workers)] if name in with_workers else [] for name in chain}
    return [(name, [*beginning, *args, *ending[name], "--quiet"]) for name, args in chain.items()]


def measure(megabytes: int, folder: Path, workers: int) -> dict[str, Usage]:
    """Make a dump, run the chain on it, print a line a stage; the dump is kept, the rest not."""
    dump = folder / f"made-{megabytes}.xml.bz2"
    wiki = wiki_of(megabytes * 10**6)
    if not dump.exists():
        started = time.monotonic()
        num_bytes = write_dump(str(dump), wiki, workers)
        dump.with_suffix(".json").write_text(json.dumps({"xml_bytes": num_bytes}))
        print(f"made {dump.name} in {time.monotonic() - started:.0f} s", flush=True)
    xml_bytes = json.loads(dump.with_suffix(".json").read_text())["xml_bytes"]
    print(
        f"\n{xml_bytes / 1e6:,.0f} MB of XML, {dump.stat().st_size / 1e6:,.0f} MB on disk, "
        f"{wiki.num_articles:,} articles, {wiki.num_redirects:,} redirects, {workers} workers"
    )
    print(
        f"{'':20}{'wall s':>9}{'CPU s':>9}{'MB/s wall':>11}{'MB/s CPU':>10}"
        f"{'MB a process':>14}{'MB in all':>11}{'MB mapped':>11}{'disk, MB':>10}{'kept, MB':>10}"
    )
    found: dict[str, Usage] = {}
    root = folder / f"made-{megabytes}"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir()
    for name, command in stages(dump, root, workers):
        found[name] = run_watched(command, root)
        print(line(name, found[name], xml_bytes), flush=True)
        if name == "sample":
            print_counts(root)
    (folder / f"made-{megabytes}-usage.json").write_text(
        json.dumps({name: asdict(usage) for name, usage in found.items()})
    )
    shutil.rmtree(root)
    return found


def line(name: str, usage: Usage, xml_bytes: int) -> str:
    """Return one line of the table."""
    return (
        f"{name:20}{usage.wall_seconds:9.0f}{usage.cpu_seconds:9.0f}"
        f"{xml_bytes / 1e6 / usage.wall_seconds:11.1f}{xml_bytes / 1e6 / usage.cpu_seconds:10.1f}"
        f"{usage.process_bytes / 1e6:14.0f}{usage.all_bytes / 1e6:11.0f}"
        f"{usage.mapped_bytes / 1e6:11.0f}{usage.disk_bytes / 1e6:10.0f}"
        f"{usage.kept_bytes / 1e6:10.0f}"
    )


def print_counts(root: Path) -> None:
    """Print how large the tables are."""
    tables = {
        name: read_manifest(root / where / name).rows_out
        for where, names in {
            "corpus": ("pages", "mentions", "edges", "segments"),
            "shards": ("train",),
        }.items()
        for name in names
    }
    print(", ".join(f"{name} {count:,}" for name, count in tables.items()), flush=True)


def main() -> None:
    """Measure every size, then compute what English Wikipedia would take."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, nargs="+", default=[100, 2000, 10_000])
    parser.add_argument("--folder", type=Path, help="a disk with room for three times the largest")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    args = parser.parse_args()
    print(hardware(), flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        folder = args.folder or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        for megabytes in args.megabytes:
            found = measure(megabytes, folder, args.workers)
        factor = ENWIKI_XML_BYTES / (args.megabytes[-1] * 1e6)
        print("\ncomputed for English Wikipedia, 125 GB of XML: CPU hours, then disk")
        for name in ("parse", "graph", "tokenizer", "segment", "sample"):
            usage = found[name]
            print(
                f"{name:20}{usage.cpu_seconds * factor / 3600:9.1f} h"
                f"{usage.disk_bytes * factor / 1e9:9.0f} GB at most"
            )


if __name__ == "__main__":
    main()
