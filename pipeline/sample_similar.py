"""The phase `similar` of `sample --links tfidf`: the nearest documents in words.

CORPUS/tokens, tokenizer, the index ──▶ similar_start int64 [N + 1], similar_ids int32
"""

from __future__ import annotations

from contextlib import ExitStack

import numpy as np

from pipeline import files
from pipeline.graph_arrays import save_array
from pipeline.sample_catalogue import token_paths_of
from pipeline.sample_config import TFIDF
from pipeline.sample_corpus import array_name, open_index, sources_of
from pipeline.similarity import hash_words, most_similar, weigh_words
from pipeline.stage import Job, Record, Records, Task, load_manifest
from pipeline.tokenizer import load_tokenizer

# LinkBERT (arXiv:2203.15827), section 4.1.
_NUM_SIMILAR = 5


def plan_similar(job: Job, records: Records) -> list[Task]:
    """One task a corpus whose links are TF-IDF neighbours; most often none."""
    chosen = [source for source in sources_of(job) if source.links == TFIDF]
    return [
        Task(index, {"source": source.index, "path": source.path})
        for index, source in enumerate(chosen)
    ]


def run_similar(job: Job, task: Task) -> Record:
    """Write the nearest documents of every document of one corpus."""
    source, corpus = task.args["source"], task.args["path"]
    facts = load_manifest(files.join(corpus, "tokens")).extra
    vocab = load_tokenizer(corpus).get_vocab(with_added_tokens=True)
    continues = np.zeros(facts["vocab_size"], np.bool_)
    continues[[token_id for token, token_id in vocab.items() if token.startswith("##")]] = True
    stored = [
        np.frombuffer(files.read_bytes(path), facts["token_dtype"])
        for path in token_paths_of(corpus)
    ]
    token_ids = np.concatenate(stored).astype(np.int64)
    with ExitStack() as stack:
        names = ("first", "node", "num_tokens", "token_start")
        arrays = open_index(job, source, names, stack)
        # Stored order may differ from canonical order; segments tell whose each token is.
        by_place = np.argsort(arrays["token_start"], kind="stable")
        owners = np.repeat(arrays["node"][by_place], arrays["num_tokens"][by_place])
        num_documents = len(arrays["first"]) - 1
    starts_word = ~continues[token_ids]
    starts_word[np.flatnonzero(np.diff(owners, prepend=-1))] = True
    words, places = hash_words(token_ids, starts_word)
    matrix = weigh_words(words, owners[places], num_documents)
    start, ids = most_similar(matrix, _NUM_SIMILAR)
    written = save_array(job, array_name(source, "similar_start"), start)
    written |= save_array(job, array_name(source, "similar_ids"), ids)
    return {"counts": {"similar": len(ids)}, "files": written}
