"""Ranks of one machine, as torchrun would start them."""

import os
import socket


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def environments(num_ranks: int) -> list[dict[str, str]]:
    """Return what each rank finds in its environment."""
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    shared = {**os.environ, **where, "WORLD_SIZE": str(num_ranks)}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(num_ranks)]
