# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Ensembles: several classifiers whose logits are averaged."""

from __future__ import annotations

import copy
import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..hub.folder import check_alike
from ..models.decisions import mean_thresholds

if TYPE_CHECKING:
    from ..models.configuration_rnn import RNNConfig
    from ..tasks import PredictorLike

logger = logging.getLogger(__name__)


def config_of_ensemble(first: PredictorLike, others: Sequence[PredictorLike], paths: Sequence[str]) -> RNNConfig:
    """Return the configuration by which an ensemble decides: that of the first model, with the mean thresholds.

    Args:
        first: First model.
        others: Further models.
        paths: Folder or Hub id of each further model, for errors.

    Raises:
        HfRnnError: A model has other labels or another tokenizer than the first one.
    """
    configs: list[Any] = [each.model.config for each in (first, *others)]
    for path, other, theirs in zip(paths, others, configs[1:], strict=True):
        check_alike(configs[0], first.tokenizer, theirs, other.tokenizer, path)
    config = copy.copy(configs[0])
    config.thresholds = mean_thresholds(configs)
    if config.thresholds is None and any(each.thresholds for each in configs):
        logger.warning("the models have thresholds for different labels, so the ensemble has none.")
    return config


__all__ = ["config_of_ensemble"]
