"""LinkBERT from Python: everything the commands do, as typed functions and plain objects.

Up to the shards: `parse`, `ingest`, `graph`, `subset`, `tokenizer`, `segment` and `sample_pairs`,
each with its config, and `Corpus` and `LinkGraph` to look at what they wrote. From the shards on:
`pretrain`, `export_model`, `finetune_qa`, `finetune_classify`, `finetune_tag`, `evaluate`,
`run_experiment`, and `LinkBertForPreTraining` to use a model. For people: `show_path`,
`check_folder`, `write_report`.

The names are imported when first used, so that the stages before pretraining run without PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkbert.api import (
        check_folder,
        graph,
        ingest,
        pack,
        parse,
        run_experiment,
        sample_pairs,
        segment,
        subset,
        tokenizer,
    )
    from linkbert.evaluation.evaluate import EvaluationOptions, evaluate
    from linkbert.experiment.config import load_experiment
    from linkbert.export.export import export as export_model
    from linkbert.finetuning.classify import finetune_classify
    from linkbert.finetuning.options import FinetuneOptions
    from linkbert.finetuning.qa import finetune_qa
    from linkbert.finetuning.tag import finetune_tag
    from linkbert.inspection.corpus import Corpus
    from linkbert.inspection.show import show as show_path
    from linkbert.model.pretrained import LinkBertForPreTraining
    from linkbert.report import write_report
    from linkbert.training.config import PretrainConfig, load_config
    from linkbert.training.trainer import pretrain
    from pipeline.graph.config import SubsetConfig
    from pipeline.graph.link_graph import LinkGraph
    from pipeline.ingest.config import IngestConfig
    from pipeline.parse.config import ParseConfig
    from pipeline.sample.config import SampleConfig
    from pipeline.segment.config import SegmentConfig
    from pipeline.tokenizer.config import TokenizerConfig

__all__ = [  # in the order of the chain
    "Corpus",
    "EvaluationOptions",
    "FinetuneOptions",
    "IngestConfig",
    "LinkBertForPreTraining",
    "LinkGraph",
    "ParseConfig",
    "PretrainConfig",
    "SampleConfig",
    "SegmentConfig",
    "SubsetConfig",
    "TokenizerConfig",
    "check_folder",
    "evaluate",
    "export_model",
    "finetune_classify",
    "finetune_qa",
    "finetune_tag",
    "graph",
    "ingest",
    "load_config",
    "load_experiment",
    "pack",
    "parse",
    "pretrain",
    "run_experiment",
    "sample_pairs",
    "segment",
    "show_path",
    "subset",
    "tokenizer",
    "write_report",
]

_PLACES = {
    **{
        name: ("linkbert.api", name)
        for name in ("parse", "ingest", "graph", "subset", "tokenizer", "segment", "sample_pairs")
    },
    "run_experiment": ("linkbert.api", "run_experiment"),
    "pack": ("linkbert.api", "pack"),
    "ParseConfig": ("pipeline.parse.config", "ParseConfig"),
    "IngestConfig": ("pipeline.ingest.config", "IngestConfig"),
    "SubsetConfig": ("pipeline.graph.config", "SubsetConfig"),
    "TokenizerConfig": ("pipeline.tokenizer.config", "TokenizerConfig"),
    "SegmentConfig": ("pipeline.segment.config", "SegmentConfig"),
    "SampleConfig": ("pipeline.sample.config", "SampleConfig"),
    "LinkGraph": ("pipeline.graph.link_graph", "LinkGraph"),
    "Corpus": ("linkbert.inspection.corpus", "Corpus"),
    "pretrain": ("linkbert.training.trainer", "pretrain"),
    "PretrainConfig": ("linkbert.training.config", "PretrainConfig"),
    "load_config": ("linkbert.training.config", "load_config"),
    "export_model": ("linkbert.export.export", "export"),
    "LinkBertForPreTraining": ("linkbert.model.pretrained", "LinkBertForPreTraining"),
    "finetune_qa": ("linkbert.finetuning.qa", "finetune_qa"),
    "finetune_classify": ("linkbert.finetuning.classify", "finetune_classify"),
    "finetune_tag": ("linkbert.finetuning.tag", "finetune_tag"),
    "FinetuneOptions": ("linkbert.finetuning.options", "FinetuneOptions"),
    "evaluate": ("linkbert.evaluation.evaluate", "evaluate"),
    "EvaluationOptions": ("linkbert.evaluation.evaluate", "EvaluationOptions"),
    "load_experiment": ("linkbert.experiment.config", "load_experiment"),
    "show_path": ("linkbert.inspection.show", "show"),
    "check_folder": ("linkbert.api", "check_folder"),
    "write_report": ("linkbert.report", "write_report"),
}


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'linkbert' has no attribute {name!r}")
    module, own_name = _PLACES[name]
    found = globals()[name] = getattr(import_module(module), own_name)
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
