"""Run by test_export, for the older version in a process of its own: load a folder in every way.

Arguments: the folder, and the major version of transformers that must be found; then folders of
tokenizers, whose ids of the texts on stdin are printed.
"""

import io
import json
import logging
import re
import sys
from pathlib import Path
from typing import Any

import torch
import transformers
from tokenizers import Tokenizer
from transformers import (
    AutoModel,
    AutoModelForMaskedLM,
    AutoModelForQuestionAnswering,
    AutoModelForSequenceClassification,
    AutoModelForTokenClassification,
    AutoTokenizer,
    pipeline,
)

from linkbert import LinkBertForPreTraining
from tests.pipeline.tokenizer.multilingual import auto_ids

TEXTS = [("w1 w2 w3", "w9 w4"), ("w5", "w6 w7 w8 w1 w2 nothing")]
NEW_HEADS = {
    AutoModel: r"$^",
    AutoModelForMaskedLM: r"$^",
    AutoModelForQuestionAnswering: r"qa_outputs\.",
    AutoModelForSequenceClassification: r"classifier\.",
    AutoModelForTokenClassification: r"classifier\.",
}
LEFT_OVER = r"(cls|bert\.pooler|pooler)\."


def check_loading(folder: str) -> dict[Any, Any]:
    loaded = {}
    for kind, new_head in NEW_HEADS.items():
        model, report = kind.from_pretrained(folder, output_loading_info=True)
        missing, unexpected = set(report["missing_keys"]), set(report["unexpected_keys"])
        assert all(re.match(new_head, name) for name in missing), (kind, missing)
        assert all(re.match(LEFT_OVER, name) for name in unexpected), (kind, unexpected)
        assert not report["mismatched_keys"], (kind, report["mismatched_keys"])
        loaded[kind] = model.eval()
    return loaded


def check_tokenizer(tokenizer: Any, folder: str) -> None:
    own = Tokenizer.from_file(f"{folder}/tokenizer.json")
    for a, b in TEXTS:
        expected = own.encode(a, b)
        found = tokenizer(a, b)
        assert found["input_ids"] == expected.ids
        assert found["token_type_ids"] == expected.type_ids
        cls, sep = tokenizer.cls_token_id, tokenizer.sep_token_id
        parts = [own.encode(text, add_special_tokens=False).ids for text in (a, b)]
        assert expected.ids == [cls, *parts[0], sep, *parts[1], sep]
        assert expected.type_ids == [0] * (len(parts[0]) + 2) + [1] * (len(parts[1]) + 1)
    vocabulary = Path(folder, "vocab.txt").read_text().splitlines()
    assert tokenizer.convert_tokens_to_ids(vocabulary) == list(range(len(vocabulary)))
    special = (tokenizer.pad_token, tokenizer.unk_token, tokenizer.mask_token)
    assert special == ("[PAD]", "[UNK]", "[MASK]")
    assert tokenizer.model_max_length == 32


def check_numbers(models: dict[Any, Any], tokenizer: Any, folder: str) -> None:
    inputs = tokenizer(*map(list, zip(*TEXTS, strict=True)), padding=True, return_tensors="pt")
    mask = inputs["attention_mask"].bool()
    with torch.no_grad():
        ours = LinkBertForPreTraining.from_pretrained(folder)(**inputs)
        theirs = models[AutoModel](**inputs, output_hidden_states=True)
        logits = models[AutoModelForMaskedLM](**inputs).logits
    for found, expected in zip(ours.hidden_states, theirs.hidden_states, strict=True):
        assert (found - expected)[mask].abs().max() < 1e-5
    assert (ours.mlm_logits_BTV - logits)[mask].abs().max() < 1e-5


def main(folder: str, version: str, *tokenizers: str) -> None:
    assert transformers.__version__.startswith(f"{version}."), transformers.__version__
    told = io.StringIO()
    logging.getLogger("transformers").addHandler(logging.StreamHandler(told))
    tokenizer = AutoTokenizer.from_pretrained(folder)
    models = check_loading(folder)
    check_tokenizer(tokenizer, folder)
    check_numbers(models, tokenizer, folder)
    best = pipeline("fill-mask", model=folder, device="cpu")("w1 w2 [MASK] w4")
    assert len(best) == 5
    assert all(answer["token"] >= 5 for answer in best), best
    relations = LinkBertForPreTraining.from_pretrained(folder).relation_probabilities(*TEXTS[0])
    assert list(relations) == ["contiguous", "random", "linked"]
    assert abs(sum(relations.values()) - 1) < 1e-6
    print("all loaded and equal")
    if tokenizers:
        texts = json.load(sys.stdin)
        print(json.dumps([auto_ids(each, texts) for each in tokenizers]))


if __name__ == "__main__":
    main(*sys.argv[1:])
