"""Graphs that are traced or exported ask nothing of the example that they were made with."""

import pytest
import torch
from torch.func import functional_call, grad, vmap

from hf_rnn import RNNConfig, RNNForSequenceClassification

WHOLE = torch.ones(3, 6, dtype=torch.long)
MASKS = [WHOLE, WHOLE.tril(2), WHOLE.triu(1), torch.tensor([[1, 0, 1, 0, 1, 1]] * 3), torch.zeros_like(WHOLE)]


class Logits(torch.nn.Module):
    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask):
        return self.model(input_ids=input_ids, attention_mask=attention_mask).logits


def logits_of(cell_type: str, bidirectional: bool) -> Logits:
    settings = {"vocab_size": 30, "embedding_size": 8, "hidden_size": 8, "num_hidden_layers": 2, "pooling": "concat"}
    return Logits(
        RNNForSequenceClassification(RNNConfig(cell_type=cell_type, bidirectional=bidirectional, **settings)).eval()
    )


def check(graph, model: Logits) -> None:
    ids = torch.randint(0, 30, (3, 6))
    for mask in MASKS:
        assert torch.allclose(graph(ids, mask), model(ids, mask), atol=1e-5)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
@pytest.mark.parametrize("with_gradients", [False, True])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore::DeprecationWarning", "ignore::FutureWarning")
def test_a_traced_graph_reads_masks_that_its_example_had_not(with_gradients, cell_type, bidirectional):
    model = logits_of(cell_type, bidirectional)
    with torch.set_grad_enabled(with_gradients):
        traced = torch.jit.trace(model, (torch.ones_like(WHOLE), WHOLE))
    check(traced, model)


@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("cell_type", ["lstm", "gru"])
def test_an_exported_graph_reads_masks_that_its_example_had_not(cell_type, bidirectional):
    model = logits_of(cell_type, bidirectional)
    check(torch.export.export(model, (torch.ones_like(WHOLE), WHOLE)).module(), model)


@pytest.mark.filterwarnings("ignore:There is a performance drop because we have not yet implemented the batching rule")
def test_gradients_of_each_row_with_a_mask():
    model = logits_of("lstm", True)
    parameters, ids = dict(model.named_parameters()), torch.randint(0, 30, (3, 6))

    def loss(parameters, row, mask):
        return functional_call(model, parameters, (row[None], mask[None])).sum()

    found = vmap(grad(loss), (None, 0, 0), randomness="same")(parameters, ids, MASKS[1])
    for place in range(3):
        model.zero_grad()
        model(ids[place][None], MASKS[1][place][None]).sum().backward()
        for name, parameter in model.named_parameters():
            assert torch.allclose(found[name][place], parameter.grad, atol=1e-5)
