# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Trainer that pushes to the Hub during training: each push is one commit with a model card."""

import logging
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import CommitInfo
from transformers import Trainer
from transformers.trainer_utils import HubStrategy, SaveStrategy

from ..hub.card import render
from ..hub.card_merge import add_tags, merge, read_card
from ..hub.folder import CARD_FILE, RUN_FILE, model_files
from ..hub.push import commit, create, is_stale, kept_for_later
from ..utils.errors import first_line
from ..utils.hub_errors import PATIENCE, PATIENCE_OF_A_PUSH
from .arguments import RNNTrainingArguments
from .remote_checkpoint import BEST, LAST
from .trainer_hooks import TrainerHooks

logger = logging.getLogger(__name__)


class PushingTrainer(TrainerHooks, Trainer):
    """Part of [`RNNTrainer`] that communicates with the Hub."""

    args: RNNTrainingArguments
    # `Run` sets both for the model card: the YAML of the run, and facts about its data.
    run_text = ""
    facts: Mapping[str, Any] = {}

    def init_hf_repo(self, token: str | None = None, private: bool | None = None) -> None:
        """Create the repository `hub_model_id` if it does not exist.

        Args:
            token: Access token of the Hub; None for `args.hub_token`.
            private: True to create a private repository; None for `args.hub_private_repo`.

        Raises:
            HubError: There is no token, it has no write permission, or the name is taken by another kind of model.
        """
        if self.is_world_process_zero():
            private = self.args.hub_private_repo if private is None else private
            self.hub_model_id: Any = create(self.args.hub_name, private, token or self.args.hub_token)

    def create_model_card(  # type: ignore[override]
        self, language: str | None = None, license: str | None = None, tags: str | list[str] | None = None
    ) -> None:
        """Write the model card of the current model into `output_dir`.

        Args:
            language: Language for the metadata of the card; None for that of the run.
            license: License for the metadata of the card; None for that of the run.
            tags: Tags to add to the metadata of the card.
        """
        if self.is_world_process_zero():
            file = Path(self.args.output_dir, CARD_FILE)
            card = merge(self._card(self.hub_model_id or self.args.hub_name, language, license), read_card(file))
            file.write_text(add_tags(card, _listed(tags)), encoding="utf-8")

    def push_to_hub(  # type: ignore[override]
        self,
        commit_message: str | None = "End of training",
        blocking: bool = True,
        token: str | None = None,
        revision: str | None = None,
        private: bool | None = None,
        *,
        language: str | None = None,
        license: str | None = None,
        tags: str | list[str] | None = None,
    ) -> CommitInfo | None:
        """Save the model into `output_dir` and push it.

        Args:
            commit_message: Title of the commit.
            blocking: Not used; the method always returns after the push.
            token: Access token of the Hub; None for `args.hub_token`.
            revision: Branch to push to; None for `args.hub_revision`.
            private: True to create a private repository; None for `args.hub_private_repo`.
            language: Language for the metadata of the card; None for that of the run.
            license: License for the metadata of the card; None for that of the run.
            tags: Tags to add to the metadata of the card.

        Returns:
            The commit; None in processes other than the main process.
        """
        self.callback_handler.on_push_begin(self.args, self.state, self.control)
        if self.hub_model_id is None:
            self.init_hf_repo(token, private)
        self.save_model(_internal_call=True)
        if not self.is_world_process_zero():
            return None
        folder = Path(self.args.output_dir)
        with kept_for_later(folder, self.hub_model_id, revision or self.args.hub_revision):
            card = add_tags(self._card(self.hub_model_id, language, license), _listed(tags))
            files, message = model_files(folder), commit_message or "End of training"
            return self._commit(files, card, message, is_stale, token, revision, PATIENCE_OF_A_PUSH)

    def push_checkpoint(self, folder: str) -> None:
        """Push the model in one commit, with the files to resume the run if `hub_strategy` asks for them.

        An error of the push is logged, and training continues.

        Args:
            folder: Folder of the checkpoint.
        """
        args, state, checkpoint = self.args, self.state, Path(folder)
        if not self.is_world_process_zero() or args.hub_strategy == HubStrategy.END:
            return

        def of_another_run(path: str) -> bool:
            place = path.partition("/")[0]
            number = re.fullmatch(r"checkpoint-(\d+)", place)
            later = number is not None and int(number[1]) > state.global_step
            return later or place in (LAST, BEST) or is_stale(path)

        by_steps = args.save_strategy == SaveStrategy.STEPS
        done = f"step {state.global_step}" if by_steps else f"epoch {state.epoch:g}"
        try:
            self.callback_handler.on_push_begin(args, state, self.control)
            card = self._card(self.hub_model_id, last=True)
            self._commit(self._files_of(checkpoint), card, f"Training in progress, {done}", of_another_run)
        except Exception as error:
            # A failed push must not end a training run.
            logger.warning(
                f"this checkpoint was not pushed: {first_line(error)}. Training continues, and the next one is pushed."
            )

    def _files_of(self, folder: Path) -> dict[str, Path | bytes]:
        """Return the files to push with a checkpoint, by their paths in the repository."""
        args, state = self.args, self.state
        files = model_files(folder)
        if self.run_text:
            files[RUN_FILE] = self.run_text.encode()
        if args.hub_strategy == HubStrategy.ALL_CHECKPOINTS:
            files |= _whole(folder, folder.name)
        elif args.hub_strategy == HubStrategy.CHECKPOINT:
            files |= _whole(folder, LAST)
            best = Path(state.best_model_checkpoint) if state.best_model_checkpoint else folder
            if best.name != folder.name and best.is_dir():
                files |= _whole(best, BEST)
        return files

    def _commit(
        self,
        files,
        card: str,
        message: str,
        stale,
        token: str | None = None,
        revision: str | None = None,
        patience: float = PATIENCE,
    ):
        return commit(
            self.hub_model_id,
            files,
            card=lambda old: merge(card, old),
            message=message,
            revision=revision or self.args.hub_revision,
            token=token or self.args.hub_token,
            is_stale=stale,
            patience=patience,
        )

    def _card(self, model_id: str, language: str | None = None, license: str | None = None, last: bool = False) -> str:
        """Render the model card of the current model, before the run ends.

        Args:
            model_id: Name of the model on the Hub.
            language: Language for the metadata; None for that of the run.
            license: License for the metadata; None for that of the run.
            last: True to show the metrics of the newest model; False for those of the best one if training ends with
                it.
        """
        state = self.state
        rows = [row for row in state.log_history if "eval_loss" in row]
        if self.args.load_best_model_at_end and not last:
            rows = [row for row in rows if row["step"] == state.best_global_step] or rows
        validation = {name.removeprefix("eval_"): value for row in rows[-1:] for name, value in row.items()}
        facts = {**self.facts, **({"validation": validation} if validation else {})}
        run = yaml.safe_load(self.run_text) or {}
        given = {name: value for name, value in (("language", language), ("license", license)) if value}
        run["card"] = {**(run.get("card") or {}), **given}
        config: Any = self.accelerator.unwrap_model(self.model).config
        return render(model_id, config, run, facts, pictures=[])


def _whole(checkpoint: Path, place: str) -> dict[str, Path]:
    """Return all files of a checkpoint, by their paths in the repository."""
    files = sorted(file for file in checkpoint.rglob("*") if file.is_file())
    return {f"{place}/{file.relative_to(checkpoint).as_posix()}": file for file in files}


def _listed(tags: str | list[str] | None) -> list[str]:
    return [tags] if isinstance(tags, str) else list(tags or [])


__all__ = ["PushingTrainer"]
