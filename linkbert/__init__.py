"""From training shards to an exported Hugging Face folder: LinkBERT's pretraining and its use.

The names below are the public interface. They are imported when first used, so that the stages
before pretraining run without PyTorch.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from linkbert.config import PretrainConfig, load_config
    from linkbert.pretraining import LinkBertForPreTraining
    from linkbert.trainer import pretrain

__all__ = ["LinkBertForPreTraining", "PretrainConfig", "load_config", "pretrain"]

_MODULES = {
    "LinkBertForPreTraining": "linkbert.pretraining",
    "PretrainConfig": "linkbert.config",
    "load_config": "linkbert.config",
    "pretrain": "linkbert.trainer",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'linkbert' has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
