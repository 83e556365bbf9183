"""Fine-tuning on questions, sentences, words and choices, over transformers' Trainer."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkbert.finetuning.options import FinetuneOptions

KINDS = ("qa", "classify", "tag", "choice")
"""The kinds of tasks; each is a module of this package."""


def finetune(
    kind: str,
    model: Path,
    data: Sequence[Path],
    out: Path,
    *,
    options: FinetuneOptions,
    task: str | None = None,
    overwrite: bool = False,
) -> dict[str, Any]:
    """Fine-tune on a kind of task, as `finetune_qa` and the like do; `task` is for `classify`."""
    function = getattr(import_module(f"linkbert.finetuning.{kind}"), f"finetune_{kind}")
    further = {"task_name": task} if kind == "classify" else {}
    found: dict[str, Any] = function(model, data, out, options, overwrite=overwrite, **further)
    return found
