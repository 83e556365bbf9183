"""The errors a person can act on: each says what was expected, what was found, where, what to do.

The command line prints the message alone, on one line, and exits 1.
"""


class LinkBertError(Exception):
    """Base of every error that is the input's or the user's to mend, not a bug.

    Attributes:
        exit_status: of a command that ends with it.
    """

    exit_status = 1


class ConfigError(LinkBertError):
    """A configuration key or value is unknown, of the wrong type or out of range."""


class SchemaError(LinkBertError):
    """A table, manifest or folder does not fit the contract in `schemas`."""


class DumpError(LinkBertError):
    """A dump cannot be read as a MediaWiki export."""


class GraphError(LinkBertError):
    """The link graph cannot be built or does not hold what was asked of it."""


class CheckpointError(LinkBertError):
    """A checkpoint is missing, damaged or of another configuration."""


class StageError(LinkBertError):
    """An output folder is in use, made from something else, or its counts do not add up."""


class StoppedError(StageError):
    """A signal ended a run, which is saved; the status is the shell's, 128 and its number."""

    def __init__(self, message: str, signal_number: int) -> None:
        super().__init__(message)
        self.exit_status = 128 + signal_number
