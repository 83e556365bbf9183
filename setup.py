"""Metadata, dependencies with their reasons, and the source package that Dataflow stages.

A staged package installs without extras, so `install_requires` holds all that Beam workers import.
"""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent

CORE = [
    "numpy>=1.26",  # vectorised sampling, title index, masks
    "pyarrow>=17",  # every table of the chain
    "apache-beam>=2.76",  # runs the stages, here or on Dataflow; earlier ones leak on retries
    "mwparserfromhell>=0.7.2",  # tokenizer of record for wikitext
    "tokenizers>=0.22",  # WordPiece, trained and applied
    "requests>=2.31",  # downloads of dumps; apache-beam brings it as well
    "networkx>=3.2",  # what people do with a link graph by hand
    "scipy>=1.11",  # components and PageRank on the sparse graph
]
PIPELINE = [
    "indexed_bzip2>=1.6,<2",  # decodes bz2 a fifth faster than the standard library; 2 is untried
    "zstandard>=0.22",  # dumps and corpora as .zst
    "scikit-learn>=1.4",  # TF-IDF neighbours, the lexical comparison arm
]
TRAIN = [
    "torch>=2.4",  # the model and the training step
    "safetensors>=0.4",  # weights without pickle
    "pyyaml>=6",  # the front matter of model cards
]
TENSORBOARD = ["tensorboard>=2.15"]  # events beside metrics.jsonl
WANDB = ["wandb>=0.16"]  # figures in Weights & Biases, by --log
MLFLOW = ["mlflow>=2.9"]  # figures in MLflow, by --log; mlflow-skinny has no store of its own
REPORT = [
    "matplotlib>=3.8",  # the plots of report and experiment, as SVG
]
COMPLETION = ["shtab>=1.7"]  # what the shell completes
DOCS = [
    "mkdocs-material>=9.5",  # the site of docs/
    "mkdocstrings[python]>=0.26",  # its API page, from docstrings
]
FINETUNE = [
    "transformers>=4.57",  # models and Trainer of every task
    "accelerate>=1.1",  # what the Trainer asks for
    "scikit-learn>=1.4",  # GLUE's metrics
    "bm25s>=0.2",  # hard negatives of ranking
]
HUB = ["huggingface_hub>=0.30"]  # uploads of models and data sets
SEVEN_ZIP = ["py7zr>=1.0"]  # full histories as .7z
GCP = ["apache-beam[gcp]>=2.76"]  # Dataflow and gs://
AWS = ["apache-beam[aws]>=2.76"]  # s3://
DEV = [
    "moto[server]>=5",  # S3, on loopback
    "pytest>=8",
    "pytest-xdist>=3.8",  # one process per core, files in our order
    "nbclient>=0.10",  # the notebook of the docs, run from end to end
    "ipykernel>=6.29",  # what runs it
    "pytest-timeout>=2.3",  # ends a test that hangs
    "hypothesis>=6.100",  # properties of offsets and titles
    "pre-commit>=3.5",  # runs before a commit what CI runs
    "ruff>=0.6",  # lint and format
    "mypy>=1.11",  # strict types
    "markdown-it-py>=3",  # the cards as their readers see them
    "playwright>=1.40",  # the report in a real browser, where one is installed
    "wikiextractor>=3.1",  # what the parse benchmark is measured beside
    "transformers>=4.57",  # what the exported folder must load in
    "datasets>=3",  # what the shards must load in
]

setup(
    name="linkbert",
    version="0.1.0",
    description="Link graphs, linked-segment pairs and pretraining: LinkBERT from a wiki dump",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE", "linkbert/data/ATTRIBUTION.md"],
    python_requires=">=3.11",
    classifiers=[
        "Operating System :: MacOS",
        "Operating System :: POSIX :: Linux",
        # Tested whole on 3.11; a wheel with all extras, the newest versions and the demo on 3.13.
        # 3.14 has no wheels of mwparserfromhell and indexed_bzip2 yet: they are built there.
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
    packages=find_packages(
        include=["schemas", "schemas.*", "pipeline", "pipeline.*", "linkbert", "linkbert.*"]
    ),
    package_data={
        "schemas": ["py.typed"],
        "pipeline": ["py.typed", "wiki/*.json", "wikitext/templates/*.toml"],
        "linkbert": ["py.typed", "configs/*.toml", "data/*", "report/*.css", "report/*.js"],
    },
    install_requires=CORE,
    extras_require={
        "pipeline": PIPELINE,
        "train": TRAIN,
        "tensorboard": TENSORBOARD,
        "wandb": WANDB,
        "mlflow": MLFLOW,
        "finetune": FINETUNE,
        "report": REPORT,
        "completion": COMPLETION,
        "docs": DOCS,
        "all": [*PIPELINE, *TRAIN, *FINETUNE, *REPORT, *COMPLETION],
        "hub": HUB,
        "7z": SEVEN_ZIP,
        "gcp": GCP,
        "aws": AWS,
        # The jobs are built for Dataflow in the tests, events are read back, archives too.
        "dev": [*DEV, *DOCS, *GCP, *AWS, *TENSORBOARD, *SEVEN_ZIP, *HUB],
    },
    entry_points={"console_scripts": ["linkbert = linkbert.cli:main"]},
)
