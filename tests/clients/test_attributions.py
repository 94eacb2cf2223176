"""Tests of captum, shap and lime, which attribute an answer to words."""

import numpy as np
import pytest
import torch
import transformers

from hf_rnn import RNNForCausalLM, RNNForSequenceClassification

TEXT = "the film was good and the end was better"


@pytest.fixture
def classify(make, tokenizer):
    model = make(RNNForSequenceClassification, bidirectional=True)
    return transformers.pipeline("text-classification", model, tokenizer=tokenizer, top_k=None)


@pytest.mark.works_with("captum")
@pytest.mark.parametrize("attribution", ["FeatureAblation", "ShapleyValueSampling", "LayerIntegratedGradients"])
def test_llm_attribution(make, tokenizer, attribution):
    """LLMAttribution and LLMGradientAttribution of a language model"""
    attr = pytest.importorskip("captum.attr", reason="captum is not installed: pip install 'hf-rnn[clients]'")
    model = make(RNNForCausalLM).eval()
    if attribution == "LayerIntegratedGradients":
        method = attr.LLMGradientAttribution(attr.LayerIntegratedGradients(model, model.model.embed_tokens), tokenizer)
        inputs = attr.TextTokenInput(TEXT, tokenizer)
        found = method.attribute(inputs, target=" good film", n_steps=3)
    else:
        method = attr.LLMAttribution(getattr(attr, attribution)(model), tokenizer)
        inputs = attr.TextTemplateInput("the {} was {}", values=["film", "good"])
        found = method.attribute(inputs, target=" good film", num_trials=1)
    assert torch.isfinite(found.seq_attr).all()


@pytest.mark.works_with("captum")
@pytest.mark.parametrize("training", [False, True])
def test_integrated_gradients_of_a_classifier(make, tokenizer, training):
    """LayerIntegratedGradients of a classifier"""
    attr = pytest.importorskip("captum.attr", reason="captum is not installed: pip install 'hf-rnn[clients]'")
    model = make(RNNForSequenceClassification, bidirectional=True).train(training)
    ids = tokenizer(TEXT, return_tensors="pt").input_ids
    method = attr.LayerIntegratedGradients(lambda ids: model(ids).logits, model.model.embed_tokens)
    found = method.attribute(ids, torch.zeros_like(ids), target=1, n_steps=200)
    logits = model(torch.cat([ids, torch.zeros_like(ids)])).logits[:, 1]
    torch.testing.assert_close(found.sum().item(), (logits[0] - logits[1]).item(), atol=1e-3, rtol=1e-2)


@pytest.mark.works_with("shap")
def test_shap(classify):
    """shap.Explainer(pipeline)"""
    shap = pytest.importorskip("shap", reason="shap is not installed: pip install 'hf-rnn[clients]'")
    found = shap.Explainer(classify)([TEXT])
    assert np.isfinite(found.values[0]).all()
    assert found.values[0].shape[1] == 2


@pytest.mark.works_with("lime")
def test_lime(classify):
    """LimeTextExplainer over the probabilities of a pipeline"""
    lime_text = pytest.importorskip("lime.lime_text", reason="lime is not installed: pip install 'hf-rnn[clients]'")

    def probabilities(texts):
        answers = [sorted(answer, key=lambda entry: entry["label"]) for answer in classify(list(texts))]
        return np.array([[entry["score"] for entry in answer] for answer in answers])

    found = lime_text.LimeTextExplainer(random_state=0).explain_instance(TEXT, probabilities, num_samples=50)
    assert len(found.as_list()) > 1
