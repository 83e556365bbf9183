"""Which extra brings a package that a plain `pip install linkbert` leaves out."""

from __future__ import annotations

from importlib.util import find_spec

EXTRAS = {
    "torch": "train",
    "safetensors": "train",
    "yaml": "train",
    "transformers": "finetune",
    "accelerate": "finetune",
    "sklearn": "pipeline",
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
    "boto3": "aws",
}
"""Package as imported: extra of `linkbert`."""

TRAINING = ("torch", "safetensors", "yaml")
FINETUNING = (*TRAINING, "transformers", "accelerate", "sklearn")


def require(*packages: str) -> None:
    """Refuse to begin what would end, perhaps hours later, for want of a package.

    Nothing is imported.

    Raises:
        ModuleNotFoundError: one is not installed; `missing_extra` says what brings it.
    """
    for package in packages:
        if find_spec(package) is None:
            raise ModuleNotFoundError(f"No module named {package!r}", name=package)


def missing_extra(error: ModuleNotFoundError) -> str | None:
    """Return what to install where a package of an extra is missing, None for any other.

    >>> missing_extra(ModuleNotFoundError("No module named 'torch'", name="torch"))
    "expected the package torch, found none: pip install 'linkbert[train]'"
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return f"expected the package {package}, found none: pip install 'linkbert[{EXTRAS[package]}]'"
