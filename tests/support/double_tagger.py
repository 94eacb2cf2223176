"""A small tagger in double precision, and its vocabulary."""

import torch

from hf_rnn import RNNConfig, RNNForTokenClassification

TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
V, C = 40, len(TAGS)


class Words:
    """Minimal tokenizer that only knows its tokens."""

    def __init__(self, tokens):
        self.tokens = tokens

    def __len__(self):
        return len(self.tokens)

    def convert_ids_to_tokens(self, ids):
        return [self.tokens[i] for i in ids]


def make(**fields) -> RNNForTokenClassification:
    torch.manual_seed(0)
    config = {
        "vocab_size": V,
        "embedding_size": 6,
        "hidden_size": 5,
        "bidirectional": True,
        "initializer_range": 1.0,
        "id2label": dict(enumerate(TAGS)),
        "label2id": {tag: i for i, tag in enumerate(TAGS)},
        **fields,
    }
    model = RNNForTokenClassification(RNNConfig(**config)).double().eval()
    model.use_vocabulary(Words([f"{'ab' * (i % 14)}{i}" for i in range(V)]))
    if model.crf is not None:
        for parameter in model.crf.parameters():
            torch.nn.init.normal_(parameter)
    return model
