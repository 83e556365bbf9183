"""Measure the memory that training windows of question answering take, and the time to cut them.

    python -m tests.benchmarks.bench_windows [--contexts 50000] [--words 700]

A generated file in MRQA's form, one question per context, windows of 384 tokens that share 128.
Memory is what the process grows by at its highest while windows are cut, over their number; the
questions are in memory before. Target: at most 2 kB per window. As lists they took 171 kB each.
"""

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path

import numpy as np
from tokenizers.processors import BertProcessing
from transformers import PreTrainedTokenizerFast

from linkbert.finetuning.data.questions import read_questions
from linkbert.finetuning.windows import training_windows
from tests.benchmarks.synthetic_steps import SPECIAL_IDS
from tests.linkbert.shards_folder import write_tokenizer

VOCAB_SIZE = 30_000


def main() -> None:
    """Print windows, bytes per window and windows per CPU second."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--contexts", type=int, default=50_000)
    parser.add_argument("--words", type=int, default=700)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "train.jsonl"
        write_questions(path, args.contexts, args.words)
        tokenizer = PreTrainedTokenizerFast(
            tokenizer_file=str(write_tokenizer(Path(name) / "tokenizer.json", VOCAB_SIZE)),
            **{f"{role}_token": f"[{role.upper()}]" for role in SPECIAL_IDS},
        )
        ends = (("[SEP]", SPECIAL_IDS["sep"]), ("[CLS]", SPECIAL_IDS["cls"]))
        tokenizer.backend_tokenizer.post_processor = BertProcessing(*ends)
        questions = read_questions(path).questions
        # What the tokenizer itself needs, whatever the number of windows, counts for none of them.
        training_windows(questions[:64], tokenizer, 384, 128)
        before, started = peak_bytes(), time.process_time()
        windows = training_windows(questions, tokenizer, 384, 128)
        seconds = time.process_time() - started
    grown = peak_bytes() - before
    print(f"windows                {len(windows):,} of {args.contexts:,} contexts")
    print(f"packed                 {windows.num_bytes / len(windows):,.0f} bytes per window")
    print(f"process grew by        {grown / len(windows):,.0f} bytes per window")
    print(f"windows per CPU second {len(windows) / seconds:,.0f}")


def write_questions(path: Path, num_contexts: int, num_words: int) -> None:
    """Write questions whose answer is a word in the middle of a context."""
    rng = np.random.default_rng(0)
    with open(path, "w", encoding="utf-8") as file:
        file.write(json.dumps({"header": {"dataset": "generated"}}) + "\n")
        for number in range(num_contexts):
            # A dash, as most texts have one, makes Python keep a text otherwise than plain ASCII.
            words = ["–", *(f"w{word}" for word in rng.integers(0, VOCAB_SIZE - 10, num_words - 1))]
            start = len(" ".join(words[: num_words // 2])) + 1
            answer = words[num_words // 2]
            found = [{"text": answer, "char_spans": [[start, start + len(answer) - 1]]}]
            qa = {"qid": str(number), "question": "w1 w2", "detected_answers": found}
            file.write(json.dumps({"context": " ".join(words), "qas": [qa]}) + "\n")


def peak_bytes() -> int:
    """Return the most memory this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
