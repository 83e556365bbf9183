"""Which extra brings a package that a plain `pip install linkbert` leaves out."""

from __future__ import annotations

EXTRAS = {
    "torch": "train",
    "safetensors": "train",
    "transformers": "finetune",
    "accelerate": "finetune",
    "sklearn": "finetune",
    "bm25s": "finetune",
    "matplotlib": "report",
    "shtab": "completion",
    "huggingface_hub": "hub",
    "indexed_bzip2": "pipeline",
    "zstandard": "pipeline",
    "py7zr": "7z",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
}
"""Package as imported: extra of `linkbert`."""


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """Return what to install where a package of an extra is missing, None for any other.

    >>> missing_extra(ModuleNotFoundError("No module named 'torch'", name="torch"))
    "expected the package torch, found none: pip install 'linkbert[train]'"
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return f"expected the package {package}, found none: pip install 'linkbert[{EXTRAS[package]}]'"
