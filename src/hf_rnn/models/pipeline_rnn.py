# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Text classification pipeline that uses the thresholds of a model; without thresholds it is that of transformers."""

from typing import Any

import numpy as np
from transformers import TextClassificationPipeline

from .decisions import MULTI, decide


class RNNTextClassificationPipeline(TextClassificationPipeline):
    """Pipeline of transformers for text classification, which obeys `config.thresholds`.

    With thresholds, the single answer to a text is the label that the thresholds choose, with its probability. Several
    answers, `top_k=None`, are all labels and their probabilities, as in transformers.
    """

    def postprocess(  # type: ignore[override]
        self, model_outputs: Any, function_to_apply: Any = None, top_k: int | None = 1, _legacy: bool = True
    ) -> Any:
        """Return the label of a text, or the labels, as transformers does, but obey the thresholds of the model.

        Args:
            model_outputs: Outputs of the model for one text.
            function_to_apply: Function from logits to scores; None selects it by the problem type. Thresholds are
                compared with probabilities, so they are ignored for any other function.
            top_k: Number of labels; None for all.
            _legacy: True if the caller did not write `top_k`, and gets a dict instead of a list.
        """
        answer = super().postprocess(model_outputs, function_to_apply, top_k, _legacy)
        config: Any = self.model.config
        if top_k != 1 or function_to_apply is not None or not getattr(config, "thresholds", None):
            return answer
        found = super().postprocess(model_outputs, None, None, False)
        scores = {each["label"]: each["score"] for each in found}
        decided = decide(np.array([[scores[config.id2label[i]] for i in range(len(scores))]]), config)[0]
        if config.problem_type == MULTI:
            # One label is asked for: the most probable one of those over their thresholds, or of all if there is none.
            chosen = [config.id2label[i] for i in np.flatnonzero(decided)] or list(scores)
            label = max(chosen, key=scores.__getitem__)
        else:
            label = config.id2label[int(decided)]
        answer = {"label": label, "score": scores[label]}
        return answer if _legacy else [answer]


__all__ = ["RNNTextClassificationPipeline"]
