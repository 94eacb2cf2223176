# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""The base class of all models: initialisation, loading and saving."""

import os
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import nn
from transformers import PreTrainedModel
from transformers import initialization as init

from .configuration_rnn import RNNConfig
from .recurrence import Recurrence
from .weight_files import is_intact, safetensors_of


class RNNPreTrainedModel(PreTrainedModel):
    """Initialisation, loading and saving, shared by all models of the package."""

    config_class = RNNConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    # Losses are means over the batch, whatever `num_items_in_batch` says: the Trainer has to divide by its steps.
    accepts_loss_kwargs = False
    # `import hf_rnn` sets all: `push_to_hub` calls the first, `stream` the second and `from_pretrained` the third. This
    # file is saved with a model, and cannot import the package.
    pusher: ClassVar[Callable[..., Any] | None] = None
    opener: ClassVar[Callable[..., Any] | None] = None
    checker: ClassVar[Callable[..., Any] | None] = None

    def __init__(self, config: RNNConfig, *args: Any, **kwargs: Any):
        # Keyword arguments of `from_pretrained` change a configuration that was checked before.
        config.validate_together()
        super().__init__(config, *args, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike | None, *args: Any, **kwargs: Any) -> Any:
        """As transformers', from safetensors alone.

        Raises:
            OSError: nothing is there, or the weights are offered as a pickle only.
            ValueError: `use_safetensors=False`, a configuration that is not one of ours, or a tokenizer beside the
                weights that is not the one to which the n-grams of a wide path were fitted.
            RuntimeError: weights of other shapes than the configuration's; each is named.
        """
        if kwargs.get("use_safetensors") is False:
            raise ValueError("use_safetensors=False asks for a pickle, and reading one can run any code: leave it out.")
        path = None if kwargs.get("state_dict") else pretrained_model_name_or_path
        if path is None:
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)
        file = safetensors_of(str(path), kwargs)
        loaded: Any = super().from_pretrained(path, *args, **{**kwargs, "use_safetensors": True})
        model = loaded[0] if isinstance(loaded, tuple) else loaded  # the other part is `output_loading_info`
        for module in model.modules():
            if isinstance(module, Recurrence):
                # Weights that were loaded straight onto a GPU lie apart, and cuDNN would copy them at each call.
                module.flatten_parameters()
        for part in file.parent.glob("model*.safetensors*") if file else ():
            if not is_intact(part):
                raise OSError(f"{part.name} is not what was pushed: delete {part.resolve()}, and load the model again.")
        if file and RNNPreTrainedModel.checker is not None and model.config.wide_vocabulary is not None:
            RNNPreTrainedModel.checker(file.parent, model.config)
        return loaded

    @classmethod
    def get_init_context(cls, *args: Any, **kwargs: Any) -> list:
        """As transformers', without drawing weights on the meta device before they are loaded: torch would import sympy
        for it. Weights that are missing in the file are drawn later."""
        return [*super().get_init_context(*args, **kwargs), init.no_init_weights()]

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> Any:  # type: ignore[override]
        """As transformers': one commit of weights, configuration and code; with a card of ours where hf_rnn is
        imported and the repository has none."""
        if RNNPreTrainedModel.pusher is None:
            return super().push_to_hub(repo_id, **kwargs)  # type: ignore[arg-type]
        return RNNPreTrainedModel.pusher(self, repo_id, **kwargs)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """As transformers'.

        Raises:
            ValueError: the ids behind the vocabulary are those of rare tokens, which a wide path tells apart.
        """
        V, rare = self.config.vocab_size, self.config.num_rare_tokens
        if rare and new_num_tokens not in (None, V):
            raise ValueError(
                f"resize_token_embeddings({new_num_tokens}): the {rare} ids from vocab_size={V} on are rare tokens, "
                "which the wide path of this model knows by these ids. Train it again with the new tokens in its "
                "training rows, or without rare tokens, --tokenizer.rare_tokens 0."
            )
        return super().resize_token_embeddings(new_num_tokens, *args, **kwargs)

    def use_vocabulary(self, tokenizer: Any) -> None:
        """Takes from a tokenizer what the model has to know of tokens beside their ids: for most models, nothing."""

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialise recurrent matrices orthogonally, gate by gate (Saxe et al. 2014), input matrices Xavier-uniformly
        (Glorot and Bengio 2010), biases to 0 or to the field that the cell names, all else as transformers does it."""
        if not isinstance(module, Recurrence):
            super()._init_weights(module)
            return
        H = module.hidden_size
        for name, parameter in module.named_parameters():
            # A parameter that came with a checkpoint is left alone by `init`, so nothing has to be made for it.
            if getattr(parameter, "_is_hf_initialized", False):
                continue
            if name.startswith("weight"):
                fill = init.orthogonal_ if name.startswith("weight_hh") else init.xavier_uniform_
                gates = [fill(gate) for gate in torch.empty_like(parameter).split(H)]
                init.copy_(parameter, torch.cat(gates))
            else:
                bias = torch.zeros_like(parameter)
                if name.startswith("bias_ih"):
                    for block, field in module.cell.bias_fields.items():
                        bias.split(H)[module.cell.blocks.index(block)].fill_(getattr(self.config, field))
                init.copy_(parameter, bias)


__all__ = ["RNNPreTrainedModel"]
