# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""transformers' Trainer on a task of ours."""

import logging
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import CommitInfo
from transformers import EarlyStoppingCallback, PreTrainedTokenizerBase, Trainer
from transformers.trainer_utils import HubStrategy, SaveStrategy

from .errors import UserError
from .hub import BEST, LAST, STALE, commit, create, model_files
from .model_card import CARD_FILE, merge, render
from .run_config import RUN_FILE
from .tasks import Task
from .training_arguments import RNNTrainingArguments

logger = logging.getLogger(__name__)


class RNNTrainer(Trainer):
    """transformers' Trainer on a task of ours: batches of similar length, metrics, early stopping.

    Args:
        model: a model of the task.
        args: an [`RNNTrainingArguments`].
        task: what to collate and measure.
        processing_class: the tokenizer, saved with each checkpoint.
        train_dataset, eval_dataset: as `task.encode` gives them.
    """

    def __init__(
        self, model, args: RNNTrainingArguments, task: Task, processing_class: PreTrainedTokenizerBase, **kwargs
    ):
        if not args.chose_metric:
            args.metric_for_best_model, args.greater_is_better = task.best_metric
        elif not args.chose_direction:
            args.greater_is_better = args.metric_for_best_model.removeprefix("eval_") not in ("loss", "mse", "mae")
        self.task = task
        # What `Run` knows beyond the Trainer, for the card: the run's YAML, and facts about its data.
        self.run_text = ""
        self.facts: dict = {}
        callbacks = list(kwargs.pop("callbacks", []))
        if args.early_stopping_patience is not None:
            callbacks.append(EarlyStoppingCallback(args.early_stopping_patience))
        super().__init__(
            model,
            args,
            data_collator=task.collator(processing_class),
            processing_class=processing_class,
            compute_metrics=self._headline,
            callbacks=callbacks,
            **kwargs,
        )

    def _headline(self, prediction) -> dict[str, float]:
        metrics = self.task.metrics(prediction.predictions, prediction.label_ids)
        return {name: value for name, value in metrics.items() if "/" not in name}

    # The Hub: each push is one commit, with a card -------------------------------------------------------------------

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Makes the repository `hub_model_id` where it is not there.

        Raises:
            UserError: no token, no right to write, or a name that is taken.
        """
        if self.is_world_process_zero():
            name = self.args.hub_model_id or Path(self.args.output_dir).absolute().name
            private = self.args.hub_private_repo if private is None else private
            self.hub_model_id: Any = create(name, private, token or self.args.hub_token)

    def create_model_card(self, *args, **kwargs) -> None:
        """Writes the card of the model as it is now into output_dir."""
        if self.is_world_process_zero():
            file = Path(self.args.output_dir, CARD_FILE)
            card = self._card(self.hub_model_id or Path(self.args.output_dir).absolute().name)
            file.write_text(merge(card, file.read_text(encoding="utf-8") if file.exists() else None), encoding="utf-8")

    def push_to_hub(
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        **kwargs,
    ) -> CommitInfo | None:
        """Saves the model into output_dir and pushes it. Returns when it is there, whatever `blocking` says."""
        if self.hub_model_id is None:
            self.init_hf_repo(token, private)
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        files = model_files(Path(self.args.output_dir))
        return self._commit(files, commit_message or "End of training", STALE, token, revision)

    def _push_from_checkpoint(self, checkpoint_folder: str) -> None:
        """One commit of the model and, if hub_strategy says so, of all that going on with the run needs."""
        args, state, folder = self.args, self.state, Path(checkpoint_folder)
        if not self.is_world_process_zero() or args.hub_strategy == HubStrategy.END:
            return
        files = model_files(folder)
        if self.run_text:
            files[RUN_FILE] = self.run_text.encode()
        # A pickle that nothing needs.
        whole = [file for file in folder.iterdir() if file.name != "training_args.bin"]
        stale: tuple[str, ...] = STALE
        if args.hub_strategy == HubStrategy.ALL_CHECKPOINTS:
            files |= {f"{folder.name}/{file.name}": file for file in whole}
        elif args.hub_strategy == HubStrategy.CHECKPOINT:
            files |= {f"{LAST}/{file.name}": file for file in whole}
            stale = (*STALE, f"{BEST}/*")
            best = Path(state.best_model_checkpoint) if state.best_model_checkpoint else folder
            if best.name != folder.name and best.is_dir():
                files |= {f"{BEST}/{name}": file for name, file in model_files(best).items()}
        by_steps = args.save_strategy == SaveStrategy.STEPS
        done = f"step {state.global_step}" if by_steps else f"epoch {state.epoch:g}"
        try:
            self._commit(files, f"Training in progress, {done}", stale)
        except UserError as error:
            logger.warning(f"this checkpoint was not pushed: {error} Training goes on, and pushes the next one.")

    def _commit(self, files, message: str, stale, token: str | None = None, revision: str | None = None) -> CommitInfo:
        return commit(
            self.hub_model_id,
            files,
            card=lambda old: merge(self._card(self.hub_model_id), old),
            message=message,
            revision=revision or self.args.hub_revision,
            token=token or self.args.hub_token,
            stale=stale,
        )

    def _card(self, model_id: str) -> str:
        """What can be said of the model in the middle of its training."""
        seen = [row for row in self.state.log_history if "eval_loss" in row][-1:]
        validation = {name.removeprefix("eval_"): value for row in seen for name, value in row.items()}
        facts = {**self.facts, **({"validation": validation} if validation else {})}
        config: Any = self.model.config
        return render(model_id, config, yaml.safe_load(self.run_text) or {}, facts, pictures=[])


__all__ = ["RNNTrainer"]
