"""The phase `verify` of `sample`: every file of the corpora has the bytes it was written with.

Ids are read at random and arrays are mapped, so a flipped byte would be a wrong pair and nothing
else would show it. All files that the manifests name are read once, one task per file, before any
of them is used. SHA-256 takes 0.7 s of CPU per GB.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace

from pipeline.engine.outputs import load_manifest, verify_file
from pipeline.engine.stage import Record, Records, Task
from pipeline.sample.corpus import SampleJob, sources_of
from pipeline.storage import files
from schemas.manifest import PACKED_NAME, FileEntry

INPUTS = ("nodes", "csr", "segments", "tokens", "tokenizer")
"""The folders of a corpus that `sample` reads."""


def tasks_of_verify(job: SampleJob, records: Records) -> list[Task]:
    """Make one task per file, by its bytes."""
    tasks: list[Task] = []
    for source in sources_of(job):
        packed = _packed_digests(source.path)
        for name in INPUTS:
            folder = files.join(source.path, name)
            manifest = load_manifest(folder)
            for entry in manifest.files:
                num_bytes, sha256 = packed.get(
                    f"{name}/{entry.name}", (entry.num_bytes, entry.sha256)
                )
                entry = replace(entry, num_bytes=num_bytes, sha256=sha256)
                args = {"folder": folder, "entry": asdict(entry), "stage": manifest.stage}
                tasks.append(Task(len(tasks), args, max(1, entry.num_bytes)))
    return tasks


def _packed_digests(corpus: str) -> dict[str, tuple[int, str]]:
    path = files.join(corpus, PACKED_NAME)
    if not files.exists(path):
        return {}
    return {
        name: (size, digest) for name, (size, digest) in json.loads(files.read_bytes(path)).items()
    }


def run_verify(job: SampleJob, task: Task) -> Record:
    """Compare one file with its digest.

    Raises:
        StageError: it is missing or damaged.
    """
    entry = FileEntry(**task.args["entry"])
    verify_file(task.args["folder"], entry, task.args["stage"])
    return {"counts": {"verified_bytes": entry.num_bytes}, "files": {}}
