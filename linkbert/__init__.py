"""LinkBERT from Python: everything the commands do, as typed functions and plain objects.

Up to the shards: `parse`, `ingest`, `graph`, `subset`, `tokenizer`, `segment` and `sample_pairs`,
each with its config, and `Corpus` and `LinkGraph` to look at what they wrote. From the shards on:
`pretrain`, `export_model`, `finetune_qa`, `finetune_classify`, `finetune_tag`, `finetune_choice`,
`evaluate`, `run_experiment`, and `LinkBertForPreTraining` to use a model. For people: `show_path`,
`check_folder`, `write_report`.

The names are imported when first used, so that the stages before pretraining run without PyTorch.
"""

import os
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from linkbert.extras import missing_extra

# Threads that wait for others sleep instead of spinning; it is read once, when torch is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
# They look for work a moment before they sleep: on two idle cores a step of the demo takes 0.22 s
# so, 0.28 s where threads sleep at once, 0.20 s where they never do.
os.environ.setdefault("GOMP_SPINCOUNT", "30000")

if TYPE_CHECKING:  # what type checkers read; a test holds it against the table below
    from linkbert.api import check_folder as check_folder
    from linkbert.api import graph as graph
    from linkbert.api import ingest as ingest
    from linkbert.api import pack as pack
    from linkbert.api import parse as parse
    from linkbert.api import run_experiment as run_experiment
    from linkbert.api import sample_pairs as sample_pairs
    from linkbert.api import segment as segment
    from linkbert.api import subset as subset
    from linkbert.api import tokenizer as tokenizer
    from linkbert.evaluation.config import EvaluationOptions as EvaluationOptions
    from linkbert.evaluation.evaluate import evaluate as evaluate
    from linkbert.experiment.config import load_experiment as load_experiment
    from linkbert.export import export as _export
    from linkbert.finetuning.choice import finetune_choice as finetune_choice
    from linkbert.finetuning.classify import finetune_classify as finetune_classify
    from linkbert.finetuning.options import FinetuneOptions as FinetuneOptions
    from linkbert.finetuning.qa import finetune_qa as finetune_qa
    from linkbert.finetuning.tag import finetune_tag as finetune_tag
    from linkbert.inspection import show as _show
    from linkbert.inspection.corpus import Corpus as Corpus
    from linkbert.model.pretrained import LinkBertForPreTraining as LinkBertForPreTraining
    from linkbert.report import write_report as write_report
    from linkbert.training.config import PretrainConfig as PretrainConfig
    from linkbert.training.config import load_config as load_config
    from linkbert.training.trainer import pretrain as pretrain
    from pipeline.graph.config import SubsetConfig as SubsetConfig
    from pipeline.graph.link_graph import LinkGraph as LinkGraph
    from pipeline.ingest.config import IngestConfig as IngestConfig
    from pipeline.parse.config import ParseConfig as ParseConfig
    from pipeline.sample.config import SampleConfig as SampleConfig
    from pipeline.segment.config import SegmentConfig as SegmentConfig
    from pipeline.tokenizer.config import TokenizerConfig as TokenizerConfig

    export_model, show_path = _export.export, _show.show

_PLACES = {  # name: module, or module:name; in the order of the chain
    "ParseConfig": "pipeline.parse.config",
    "parse": "linkbert.api",
    "IngestConfig": "pipeline.ingest.config",
    "ingest": "linkbert.api",
    "graph": "linkbert.api",
    "LinkGraph": "pipeline.graph.link_graph",
    "SubsetConfig": "pipeline.graph.config",
    "subset": "linkbert.api",
    "TokenizerConfig": "pipeline.tokenizer.config",
    "tokenizer": "linkbert.api",
    "SegmentConfig": "pipeline.segment.config",
    "segment": "linkbert.api",
    "SampleConfig": "pipeline.sample.config",
    "sample_pairs": "linkbert.api",
    "PretrainConfig": "linkbert.training.config",
    "load_config": "linkbert.training.config",
    "pretrain": "linkbert.training.trainer",
    "export_model": "linkbert.export.export:export",
    "LinkBertForPreTraining": "linkbert.model.pretrained",
    "FinetuneOptions": "linkbert.finetuning.options",
    "finetune_qa": "linkbert.finetuning.qa",
    "finetune_classify": "linkbert.finetuning.classify",
    "finetune_tag": "linkbert.finetuning.tag",
    "finetune_choice": "linkbert.finetuning.choice",
    "EvaluationOptions": "linkbert.evaluation.config",
    "evaluate": "linkbert.evaluation.evaluate",
    "load_experiment": "linkbert.experiment.config",
    "pack": "linkbert.api",
    "run_experiment": "linkbert.api",
    "Corpus": "linkbert.inspection.corpus",
    "show_path": "linkbert.inspection.show:show",
    "check_folder": "linkbert.api",
    "write_report": "linkbert.report",
}

__all__ = [*_PLACES]


def _refuse_strangers() -> None:
    """Stop before somebody's own `pipeline.py` or `schemas.py` runs in the place of a package.

    A script's folder, and the current one with `python -m`, come first on the module path.
    """
    home = Path(__file__).resolve().parents[1]
    for name in ("schemas", "pipeline"):
        spec = find_spec(name)  # finds, but does not run it
        found = None if spec is None or spec.origin is None else Path(spec.origin).resolve()
        if found is not None and found.parents[1] != home:
            message = (
                f"linkbert expected its own package {name!r} in {home}, found {found} in the way: "
                "rename that file, or run from another folder"
            )
            if sys.argv[:1] == ["-m"]:  # `python -m linkbert`, which looks for its module now
                sys.exit(message)
            raise ImportError(message)


_refuse_strangers()


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'linkbert' has no attribute {name!r}")
    module, _, own_name = _PLACES[name].partition(":")
    try:
        found = globals()[name] = getattr(import_module(module), own_name or name)
    except ModuleNotFoundError as error:
        if message := missing_extra(error):
            raise ModuleNotFoundError(message, name=error.name) from error
        raise
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
