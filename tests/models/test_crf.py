"""Tests of the conditional random field against an enumeration of all tag sequences."""

from itertools import product

import pytest
import torch

from hf_rnn.models.crf import CRF, bio_transitions

LABELS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
C = len(LABELS)


def test_a_scheme_without_beginnings_is_no_constraint():
    assert bio_transitions(["O", "I-PER"]).all()


def crf_of(constrained: bool) -> CRF:
    torch.manual_seed(0)
    crf = CRF(C, bio_transitions(LABELS) if constrained else None).double()
    for parameter in crf.parameters():
        torch.nn.init.normal_(parameter)
    return crf


def score(crf: CRF, emissions, tags) -> float:
    """Compute the score of one tag sequence from the definition, or -inf if the scheme forbids the sequence."""
    allowed = crf.allowed
    total = crf.start[tags[0]] + crf.end[tags[-1]]
    possible = bool(allowed[-1, tags[0]] and allowed[tags[0] if len(tags) == 1 else tags[-1], -1])
    for place, tag in enumerate(tags):
        total = total + emissions[place, tag]
        if place:
            total = total + crf.transitions[tags[place - 1], tag]
            possible = possible and bool(allowed[tags[place - 1], tag])
    return float(total) if possible else -float("inf")


def all_of(crf, emissions) -> dict[tuple, float]:
    return {tags: score(crf, emissions, tags) for tags in product(range(C), repeat=len(emissions))}


@pytest.mark.parametrize("constrained", [False, True], ids=["free", "BIO"])
@pytest.mark.parametrize("T", [1, 2, 3, 4, 5, pytest.param(6, marks=pytest.mark.slow)])
@torch.no_grad()
def test_everything_is_what_brute_force_finds(T, constrained):
    crf, emissions = crf_of(constrained), torch.randn(T, C, dtype=torch.double)
    valid = torch.ones(1, T, dtype=torch.bool)
    sequences = all_of(crf, emissions)
    scores = torch.tensor(list(sequences.values()), dtype=torch.double)
    log_z = scores.logsumexp(0)
    torch.testing.assert_close(crf.log_partition(emissions[None], valid)[0], log_z, rtol=0, atol=1e-10)
    probability = (scores - log_z).exp()
    expected = torch.zeros(T, C, dtype=torch.double)
    highest = torch.full((T, C), -float("inf"), dtype=torch.double)
    for tags, share, total in zip(sequences, probability, scores, strict=True):
        for place, tag in enumerate(tags):
            expected[place, tag] += share
            highest[place, tag] = max(highest[place, tag], total)
    torch.testing.assert_close(crf.marginals(emissions[None], valid)[0], expected, rtol=0, atol=1e-10)
    found = crf.max_marginals(emissions[None], valid)[0]
    possible = highest.isfinite()
    torch.testing.assert_close(found[possible], highest[possible] - highest.max(), rtol=0, atol=1e-10)
    assert (found[~possible] < -1e3).all()
    best = max(sequences, key=sequences.get)
    assert tuple(crf.decode(emissions[None], valid)[0].tolist()) == best
    assert tuple(found.argmax(1).tolist()) == best
    for tags in list(sequences)[:: max(1, len(sequences) // 20)]:
        if sequences[tags] > -float("inf"):
            likelihood = crf.log_likelihood(emissions[None], torch.tensor([tags]), valid)[0]
            assert float(likelihood) == pytest.approx(float(sequences[tags] - log_z), abs=1e-10)


@torch.no_grad()
def test_a_tag_that_is_not_known_may_be_any():
    crf, emissions = crf_of(False), torch.randn(4, C, dtype=torch.double)
    sequences = all_of(crf, emissions)
    log_z = torch.tensor(list(sequences.values()), dtype=torch.double).logsumexp(0)
    fitting = [value for tags, value in sequences.items() if tags[0] == 1 and tags[2] == 3]
    expected = torch.tensor(fitting, dtype=torch.double).logsumexp(0) - log_z
    tags, valid = torch.tensor([[1, -100, 3, -100]]), torch.ones(1, 4, dtype=torch.bool)
    torch.testing.assert_close(crf.log_likelihood(emissions[None], tags, valid)[0], expected, rtol=0, atol=1e-10)


@pytest.mark.parametrize("constrained", [False, True], ids=["free", "BIO"])
@torch.no_grad()
def test_a_row_alone_is_that_row_in_any_batch(constrained):
    crf, lengths = crf_of(constrained), [6, 1, 3, 5, 0]
    emissions = torch.randn(len(lengths), 6, C, dtype=torch.double)
    valid = torch.arange(6) < torch.tensor(lengths)[:, None]
    poisoned = torch.where(valid.unsqueeze(-1), emissions, 1e6)
    tags = crf.decode(poisoned, valid)
    known = tags.clone()
    answers = {
        "partition": crf.log_partition(poisoned, valid),
        "likelihood": crf.log_likelihood(poisoned, known, valid),
        "marginals": crf.marginals(poisoned, valid),
        "max_marginals": crf.max_marginals(poisoned, valid),
    }
    for row, length in enumerate(lengths):
        if not length:
            assert float(answers["partition"][row]) == float(answers["likelihood"][row]) == 0
            assert (tags[row] == -100).all()
            continue
        alone, one = emissions[row : row + 1, :length], torch.ones(1, length, dtype=torch.bool)
        assert crf.decode(alone, one)[0].tolist() == tags[row, :length].tolist()
        assert (tags[row, length:] == -100).all()
        expected = {
            "partition": crf.log_partition(alone, one),
            "likelihood": crf.log_likelihood(alone, known[row : row + 1, :length], one),
            "marginals": crf.marginals(alone, one),
            "max_marginals": crf.max_marginals(alone, one),
        }
        for name, value in expected.items():
            found = answers[name][row] if name in ("partition", "likelihood") else answers[name][row, :length]
            torch.testing.assert_close(found, value[0], rtol=0, atol=1e-9, msg=name)
    assert not answers["marginals"][~valid].any()


@pytest.mark.parametrize("constrained", [False, True], ids=["free", "BIO"])
def test_gradients_are_those_of_differences(constrained):
    crf = crf_of(constrained)
    emissions = torch.randn(3, 4, C, dtype=torch.double, requires_grad=True)
    valid = torch.arange(4) < torch.tensor([4, 2, 1])[:, None]
    tags = torch.tensor([[1, 2, -100, 0], [0, 3, 0, 0], [-100, 0, 0, 0]])

    def likelihood(emissions, transitions, start, end):
        parameters = {"transitions": transitions, "start": start, "end": end}
        return torch.func.functional_call(_Likelihood(crf), {f"crf.{n}": p for n, p in parameters.items()}, emissions)

    class _Likelihood(torch.nn.Module):
        def __init__(self, crf):
            super().__init__()
            self.crf = crf

        def forward(self, emissions):
            return self.crf.log_likelihood(emissions, tags, valid)

    parameters = (crf.transitions, crf.start, crf.end)
    assert torch.autograd.gradcheck(likelihood, (emissions, *parameters))


@pytest.mark.parametrize(
    ("given", "learnt"),
    [
        # An I- tag without a beginning stands at the start of the window, or after another tag.
        ([2, 2, 0], [1, 2, 0]),
        ([0, 4, 4], [0, 3, 4]),
        ([1, 4, 2], [1, 3, 1]),
        # An unknown tag (-100) may be the beginning of the span.
        ([-100, 2, 0], [-100, 2, 0]),
        ([0, -100, 2], [0, -100, 2]),
    ],
)
@torch.no_grad()
def test_a_span_that_goes_on_without_having_begun_is_learnt_as_begun(given, learnt):
    crf, emissions, valid = crf_of(True), torch.randn(1, 3, C, dtype=torch.double), torch.ones(1, 3, dtype=torch.bool)
    found = crf.log_likelihood(emissions, torch.tensor([given]), valid)
    assert float(found) > -50
    torch.testing.assert_close(found, crf.log_likelihood(emissions, torch.tensor([learnt]), valid))
    # Without a scheme, the tags stay unchanged.
    free = crf_of(False)
    assert free.begun(torch.tensor([given]), valid).tolist() == [given]


def test_an_entity_goes_on_only_where_it_began():
    allowed = bio_transitions(LABELS)
    may = {(a, b) for a in range(C) for b in range(C) if allowed[a, b]}
    names = {(LABELS[a], LABELS[b]) for a, b in may}
    assert ("B-PER", "I-PER") in names
    assert ("I-PER", "I-PER") in names
    assert ("O", "I-PER") not in names
    assert ("B-LOC", "I-PER") not in names
    assert not allowed[-1, LABELS.index("I-LOC")]
    assert allowed[-1, LABELS.index("B-LOC")]
    assert allowed[:-1, -1].all()


@pytest.mark.parametrize("T", [100_000])
@torch.no_grad()
@pytest.mark.proof
@pytest.mark.slow
def test_tags_of_long_texts_are_the_best_sequence_and_follow_one_another(T):
    """Check float32 marginals; sums over so many tokens cannot separate the best sequences in 32 bits."""
    crf = crf_of(constrained=True)
    emissions, valid = torch.randn(1, T, C), torch.ones(1, T, dtype=torch.bool)
    best = crf.decode(emissions.double(), valid)
    crf = crf.float()
    found = crf.max_marginals(emissions, valid).argmax(-1)
    assert torch.equal(found, best)
    assert crf.allowed[found[0, :-1], found[0, 1:]].all()
