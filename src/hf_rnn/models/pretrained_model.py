# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Base class of all models: initialization, loading and saving."""

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
    """Base class of all models of the package; it initializes, loads and saves them."""

    config_class = RNNConfig
    base_model_prefix = "model"
    supports_gradient_checkpointing = True
    # Losses are means over the batch and ignore `num_items_in_batch`, so the Trainer must divide by its steps.
    accepts_loss_kwargs = False
    # Functions that `import hf_rnn` sets. `push_to_hub` calls the first one, `stream` the second and `from_pretrained`
    # the third. This file is saved with a model, so it cannot import the package.
    pusher: ClassVar[Callable[..., Any] | None] = None
    opener: ClassVar[Callable[..., Any] | None] = None
    checker: ClassVar[Callable[..., Any] | None] = None

    def __init__(self, config: RNNConfig, *args: Any, **kwargs: Any):
        # Keyword arguments of `from_pretrained` change a configuration after its own check.
        config.validate_together()
        super().__init__(config, *args, **kwargs)

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | os.PathLike | None, *args: Any, **kwargs: Any) -> Any:
        """Load a model as transformers does, but from safetensors only.

        Raises:
            OSError: There are no weights, they are available as a pickle only, or a file differs from its hash.
            ValueError: `use_safetensors=False`, a configuration of another model type, or a tokenizer next to the
                weights to which the wide path's n-grams were not fitted.
            RuntimeError: Weights have other shapes than the configuration says; the message names each of them.
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
                # Weights loaded directly onto a GPU are not in one buffer, and cuDNN would copy them at each call.
                module.flatten_parameters()
        for part in file.parent.glob("model*.safetensors*") if file else ():
            if not is_intact(part):
                raise OSError(
                    f"{part.name} differs from the file that was pushed: delete {part.resolve()}, and load the model "
                    "again."
                )
        if file and RNNPreTrainedModel.checker is not None and model.config.wide_vocabulary is not None:
            RNNPreTrainedModel.checker(file.parent, model.config)
        return loaded

    @classmethod
    def get_init_context(cls, *args: Any, **kwargs: Any) -> list:
        """Return transformers' contexts, and one that skips initialization on the meta device.

        torch would import sympy for that initialization. Weights that are missing in the file are initialized later.
        """
        return [*super().get_init_context(*args, **kwargs), init.no_init_weights()]

    def push_to_hub(self, repo_id: str, **kwargs: Any) -> Any:  # type: ignore[override]
        """Push weights, configuration and code in one commit, as transformers does.

        If hf_rnn is imported, a repository without a model card also gets the package's card.
        """
        if RNNPreTrainedModel.pusher is None:
            return super().push_to_hub(repo_id, **kwargs)  # type: ignore[arg-type]
        return RNNPreTrainedModel.pusher(self, repo_id, **kwargs)

    def resize_token_embeddings(self, new_num_tokens: int | None = None, *args: Any, **kwargs: Any) -> Any:
        """Resize the token embedding as transformers does.

        Raises:
            ValueError: The size changes, but the ids after the vocabulary belong to rare tokens of a wide path.
        """
        V, rare = self.config.vocab_size, self.config.num_rare_tokens
        if rare and new_num_tokens not in (None, V):
            raise ValueError(
                f"resize_token_embeddings({new_num_tokens}): the {rare} ids from vocab_size={V} on are rare tokens of "
                "the wide path and cannot change. Train the model again with the new tokens in its training rows, or "
                "without rare tokens, tokenizer.rare_tokens=0."
            )
        return super().resize_token_embeddings(new_num_tokens, *args, **kwargs)

    def use_vocabulary(self, tokenizer: Any) -> None:
        """Read from a tokenizer what the model needs to know about tokens besides their ids: here, nothing.

        Args:
            tokenizer: Tokenizer of the model.
        """

    @torch.no_grad()
    def _init_weights(self, module: nn.Module) -> None:
        """Initialize the parameters of a module; recurrent layers differ from transformers.

        Each block of a recurrent matrix is orthogonal (Saxe et al. 2014). Each block of an input matrix is
        Xavier-uniform (Glorot and Bengio 2010). A bias is 0, or the configuration's value that the cell names for it.
        """
        if not isinstance(module, Recurrence):
            super()._init_weights(module)
            return
        H = module.hidden_size
        for name, parameter in module.named_parameters():
            # `init` does not change a parameter that was loaded from a checkpoint, so no values are drawn for it.
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
