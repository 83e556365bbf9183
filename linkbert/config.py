"""The configuration of pretraining under its public name; see `linkbert.training.config`."""

from linkbert.training.config import PretrainConfig, load_config

__all__ = ["PretrainConfig", "load_config"]
