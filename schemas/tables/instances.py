"""instances: the sharded training data, `[CLS] A [SEP] B [SEP]` and the relation of B to A.

LinkBERT (arXiv:2203.15827), section 4.2. Which special tokens stand around A and B, and whether
there are token types, the manifest says (`schemas.pair_frame`); with BERT's, the token type of
position i is 1 from `num_tokens_a + 2` on. `token_ids` is encoded as in `segments`.
"""

import pyarrow as pa

CONTIGUOUS = 0
RANDOM = 1
LINKED = 2
RELATIONS = ("contiguous", "random", "linked")
"""Names of the classes of document relation prediction, indexed by their label."""
HELD_OUT_SPLITS = ("validation", "validation_closed")
"""In the first, training has not seen the article of A; in the second, neither article."""
SPLITS = ("train", *HELD_OUT_SPLITS)

SCHEMA = pa.schema(
    [
        # Dense from 0 over a whole split, in stored order: epoch, shard, row.
        pa.field("instance_id", pa.int64(), nullable=False),
        pa.field("epoch", pa.int32(), nullable=False),
        # Index into the corpora that the manifest lists.
        pa.field("corpus", pa.int32(), nullable=False),
        pa.field("token_ids", pa.binary(), nullable=False),
        pa.field("num_tokens", pa.int32(), nullable=False),
        pa.field("num_tokens_a", pa.int32(), nullable=False),
        pa.field("relation", pa.int8(), nullable=False),
        pa.field("source_id", pa.int32(), nullable=False),
        pa.field("source_segment", pa.int32(), nullable=False),
        pa.field("target_id", pa.int32(), nullable=False),
        pa.field("target_segment", pa.int32(), nullable=False),
    ]
)
