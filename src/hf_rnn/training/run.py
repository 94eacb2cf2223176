# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""From a run's YAML to a whole model folder, on transformers' Trainer."""

import json
import logging
import math
import os
import shutil
from dataclasses import MISSING, asdict, replace
from datetime import date
from pathlib import Path
from shlex import quote
from typing import Any

import numpy as np
from accelerate.utils import broadcast_object_list
from datasets import DatasetDict, IterableDataset
from transformers import PreTrainedTokenizerBase, TrainerState, set_seed
from transformers.trainer import TRAINER_STATE_NAME
from transformers.utils import CONFIG_NAME, SAFE_WEIGHTS_NAME

from ..hub.card import render_folder
from ..hub.card_merge import merge, read_card
from ..hub.fetch import find_model
from ..hub.folder import (
    CARD_FILE,
    CODE_FILES,
    CONFUSION_MATRIX,
    GRADIENT_FLOW,
    GRADIENT_FLOW_FILE,
    METRICS_FILE,
    PICTURES,
    RUN_FILE,
    TRAINING_CURVES,
)
from ..hub.push import kept_for_later, push
from ..interpret.diagnosis import flow_batch
from ..interpret.gradient_flow_callback import GradientFlowCallback
from ..models.configuration_rnn import RNNConfig, fields_read_by
from ..tasks import Task, task_class
from ..text.arguments import BUILT_IN, IN_MEMORY
from ..text.loading import load
from ..text.schema import SCHEMA_FILE, Schema
from ..text.tokenization import TokenizerArguments, load_tokenizer, train_tokenizer
from ..utils.errors import UserError
from ..utils.figures import draw_confusion, draw_curves
from ..utils.machine import hardware, runs_bf16, versions
from ..utils.output import say
from ..utils.processes import job_id, was_restarted
from .arguments import RNNTrainingArguments
from .checkpoints import ASIDE, LOSS_FILE, claim, newest_whole, nothing_whole, numbered, remove, writing
from .pretrained import ENCODER, OUTPUT, take_encoder
from .remote_checkpoint import fetch_checkpoint
from .run_config import RunConfig, parse_run
from .streaming import EncodedStream, load_streaming
from .trainer import RNNTrainer
from .trainers import trainer_class

logger = logging.getLogger(__name__)

# In a run's folder until it ends: the launcher's or cluster's job that trains.
JOB_FILE = ".job"
# A folder that holds any of the first holds a run; all that a run writes is of these kinds.
_RUN_TRACES = (CONFIG_NAME, SAFE_WEIGHTS_NAME, METRICS_FILE, "checkpoint-*")
_RUN_FILES = (
    *_RUN_TRACES,
    RUN_FILE,
    SCHEMA_FILE,
    *CODE_FILES,
    "tokenizer*.json",
    ASIDE,
    *PICTURES,
    GRADIENT_FLOW_FILE,
)


def _check_writable(folder: Path) -> None:
    """Raises [`UserError`], before any work, where nothing can be written to a folder, or it cannot be made."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise UserError(
            f"training.output_dir={str(folder)!r} cannot be written to (no right to write in {str(there)!r}): give the "
            "right, or name another folder."
        )


def train(config: str | Path | dict | list[str] | None = None, *, data: Any = None) -> dict:
    """Trains, evaluates and saves a model.

    Args:
        config: path of a YAML file; or its sections as a dict, such as
            `{"data": {"path": "reviews.csv"}, "training": {"output_dir": "my-model"}}`; or a command line; None for the
            defaults.
        data: rows in the place of `data.path`: a pandas or polars DataFrame, a `datasets.Dataset`, a list of dicts or
            of pairs (text, label); or several of them by their splits, as a `datasets.DatasetDict` or a dict.

    Returns:
        What `metrics.json` in the folder holds: `validation` and, where the data set has one, `test` metrics, and facts
        about the run.

    Raises:
        UserError: something in the configuration, the data or the output folder; no older run was changed then.
    """
    config = {} if config is None else config
    if isinstance(config, dict) and isinstance(section := config.get("data"), dict):
        path = section.get("path")
        if path is not None and not isinstance(path, (str, os.PathLike)):
            if data is not None:
                raise UserError("there are rows both in data= and in data.path: leave one of them out.")
            config, data = {**config, "data": {k: v for k, v in section.items() if k != "path"}}, path
    if data is not None:
        if not isinstance(config, dict):
            raise UserError(
                f"data= goes with sections as a dict, and config is {config!r}: write train({{…}}, data=…)."
            )
        config = {**config, "data": {**(config.get("data") or {}), "path": IN_MEMORY}}
    run, text = parse_run(config)
    return Run(run, text, data).train()


class Run:
    """One training run. `text` is the YAML that reproduces it; `source`, rows in the place of its `data.path`."""

    def __init__(self, run: RunConfig, text: str, source: Any = None):
        self.config = run
        self.text = text
        self.source = source
        self.args = run.training
        self.folder = Path(self.args.output_dir)
        self.checkpoint = self._find_checkpoint()

    def _find_checkpoint(self) -> Path | None:
        """Decides, before any work, whether this run may write to its folder."""
        args, folder = self.args, self.folder
        if folder.exists() and not folder.is_dir():
            raise UserError(f"training.output_dir={str(folder)!r} is a file: name a folder.")
        _check_writable(folder)
        self._take_up(folder)
        held = [path for trace in _RUN_TRACES for path in folder.glob(trace)]
        if args.resume and args.overwrite:
            raise UserError("training.resume and training.overwrite exclude each other: write one of them.")
        if args.resume:
            checkpoint = newest_whole(folder, args.load_best_model_at_end)
            fetched = checkpoint is None and args.push_to_hub
            if fetched:
                checkpoint = self._fetch_checkpoint()
            if checkpoint is None:
                where = f", nor has {args.hub_name!r} on the Hub" if fetched else ""
                raise nothing_whole(folder) or UserError(
                    f"{str(folder)!r} has no checkpoint to resume from{where}: leave out --training.resume."
                )
            self._check_same_run(checkpoint, elsewhere=fetched)
            self._check_steps(checkpoint)
            logger.info(f"the run in {folder} goes on from {checkpoint.name}.")
            if fetched and args.should_save:
                # From now on this is the place of the run and of its data.
                (folder / RUN_FILE).write_text(self.text, encoding="utf-8")
            return checkpoint
        if held and not args.overwrite:
            raise UserError(
                f"{str(folder)!r} already holds a run ({held[0].name}): write --training.resume true to go on with it, "
                "--training.overwrite true to replace it, or name another --training.output_dir."
            )
        return None

    def _take_up(self, folder: Path) -> None:
        """A job that was started again goes on with what it has begun, whatever its command says."""
        args, job = self.args, folder / JOB_FILE
        if not was_restarted():
            if args.should_save:
                job.unlink(missing_ok=True)
        elif job.exists() and job.read_text(encoding="utf-8") == job_id() and newest_whole(folder):
            args.resume, args.overwrite = True, False

    def _fetch_checkpoint(self) -> Path | None:
        """The newest checkpoint that was pushed, brought here by one process for all."""
        args = self.args
        with args.main_process_first(desc="fetching the checkpoint"):
            if args.should_save:
                self.folder.mkdir(parents=True, exist_ok=True)
                fetch_checkpoint(args.hub_name, self.folder, args.hub_revision, args.hub_token)
        return newest_whole(self.folder, args.load_best_model_at_end)

    def _check_same_run(self, checkpoint: Path, elsewhere: bool) -> None:
        """What was begun with some data, tokenizer and model cannot go on with others. On another machine the same data
        may stand in another place."""
        begun, _ = parse_run(self.folder / RUN_FILE)
        for section in ("task", "data", "tokenizer", "model"):
            before, now = getattr(begun, section), getattr(self.config, section)
            # The rows are compared by their fingerprint, wherever they are.
            by_rows = BUILT_IN not in (begun.data.path, self.config.data.path) and Schema.read(checkpoint) is not None
            if section == "data" and (elsewhere or by_rows):
                before = replace(before, path=now.path)
            if before != now:
                raise UserError(
                    f"the run in {str(self.folder)!r} was begun with another {section} section: write --config "
                    f"{quote(str(self.folder / RUN_FILE))} --training.resume true to go on with it."
                )
        if begun.training.save_only_model:
            raise UserError(
                f"the run in {str(self.folder)!r} was begun with training.save_only_model=True, and its checkpoints "
                "have no optimizer to go on with: write --training.overwrite true to begin anew."
            )
        before, now = self._reading(begun.training), self._reading(self.args)
        for name in before:
            if before[name] != now[name]:
                raise UserError(
                    f"the run in {str(self.folder)!r} was begun with training.{name}={before[name]}, and this is "
                    f"{now[name]}: write --config {quote(str(self.folder / RUN_FILE))} --training.resume true to go on "
                    "with it."
                )

    def _check_steps(self, checkpoint: Path) -> None:
        saved = len(list(checkpoint.glob(LOSS_FILE.format("*"))))
        if saved not in (0, self.args.world_size):
            raise UserError(
                f"{checkpoint.name} is of {saved} processes, and this run has {self.args.world_size}: go on with "
                f"{'--nproc-per-node ' + str(saved) if saved > 1 else 'one process'}, so that the same rows are read."
            )
        done = TrainerState.load_from_json(str(checkpoint / TRAINER_STATE_NAME)).global_step
        if 0 < self.args.max_steps < done:
            raise UserError(
                f"{checkpoint.name} has gone {done} steps, and training.max_steps={self.args.max_steps} are fewer: "
                "write as many or more."
            )

    def _reading(self, args: RNNTrainingArguments) -> dict[str, Any]:
        """What decides which rows each step of an epoch reads, and what stands in a checkpoint."""
        names = ["seed", "data_seed", "train_sampling_strategy", "train_batch_tokens", "averaging"]
        # What a checkpoint's optimizer brings with it.
        names += ["optim", "learning_rate", "layer_lr_decay", "weight_decay"]
        parts = ["per_device_train_batch_size", "gradient_accumulation_steps"]
        if self.config.data.streaming:
            # Each worker reads files of its own.
            return {name: getattr(args, name) for name in [*names, *parts, "window", "dataloader_num_workers"]}
        if self.config.task == "language_modeling":
            return {name: getattr(args, name) for name in [*names, "window", *parts]}
        # A step of classifiers may be cut in more parts, as on a machine of less memory.
        rows = {" * training.".join(parts): math.prod(getattr(args, part) for part in parts)}
        return {name: getattr(args, name) for name in names} | rows

    def _check_use(self, task: type[Task]) -> None:
        """Raises [`UserError`] for a setting that the task, or a model that begins with nothing, has no use for."""
        run = self.config
        if self.args.gradual_unfreezing and run.model.pretrained is None:
            raise UserError(
                "training.gradual_unfreezing=True keeps layers as they begin, and without model.pretrained they have "
                "learnt nothing: leave it out, or name a model, --model.pretrained FOLDER."
            )
        if self.args.bf16 and self.args.use_cpu and run.model.cell_type == "lstm" and not runs_bf16():
            raise UserError(
                "training.bf16=True: this processor has no instructions for an LSTM in bf16. Leave it out, or write "
                "--model.cell_type gru."
            )
        read = fields_read_by(task.model_class.__name__)
        unread = [f"model.{name}" for name in vars(run.model) if hasattr(RNNConfig, name) and name not in read]
        for name in (*unread, *task.no_use):
            section, _, key = name.partition(".")
            settings = getattr(run, section)
            value, field = getattr(settings, key), type(settings).__dataclass_fields__[key]
            if value != (field.default if field.default is not MISSING else field.default_factory()):
                raise UserError(f"{name}={value!r} has no use in the task {run.task}: leave it out.")

    def train(self) -> dict:
        run, args = self.config, self.args
        if run.card.dataset and run.card.dataset != run.data.path and args.should_log:
            logger.info(
                f"the card will say that {run.data.path} is a copy of {run.card.dataset}: if it is not, write "
                "--card.dataset null."
            )
        set_seed(args.seed)
        self._check_use(task_class(run.task))
        with args.main_process_first(desc="reading the data"):
            task, prepared, stream, schema = self._read()
            self._check_same_data(schema)
        if args.should_log:
            say(schema.table(run.data.path))
        tokenizer = task.fitted(self._tokenizer(task, prepared["train"]), resumed=self.checkpoint is not None)
        encoded = DatasetDict()
        with args.main_process_first(desc="tokenizing"):
            for split, rows in prepared.items():
                encoded[split] = task.encode(rows, tokenizer)
                if split in ("validation", "test") and not task.in_order:
                    encoded[split] = encoded[split].select(np.argsort(encoded[split]["length"], kind="stable"))
        facts = task.facts(prepared, encoded, run.card.examples)
        if args.should_log:
            say(task.summary(facts))
        set_seed(args.seed)
        trainer = self._trainer(task, tokenizer, encoded, stream)
        # None of them still reads what is moved now.
        args.distributed_state.wait_for_everyone()
        with args.main_process_first(desc="claiming the folder"):
            if args.should_save:
                with self._writing():
                    self._claim()
        trainer.run_text, trainer.facts, trainer.schema = self.text, {"data": facts}, schema
        trainer.train(resume_from_checkpoint=self.folder / self.checkpoint.name if self.checkpoint else None)
        results, figures = self._evaluate(trainer, encoded)
        results["run"] = self._facts(trainer, None if run.data.streaming else len(encoded["train"]))
        results["data"] = facts
        if args.should_save:
            self._save(trainer, tokenizer, results, figures)
            if args.push_to_hub:
                self._push(trainer.hub_model_id)
        args.distributed_state.wait_for_everyone()
        return results

    def _read(self) -> tuple[Task, DatasetDict, IterableDataset | None, Schema]:
        """The task, the rows that it prepared, the training rows as they come where they are streamed, and what was
        decided about them."""
        run, stream = self.config, None
        task: Any = task_class(run.task)(run.data)
        if run.data.streaming and self.source is not None:
            raise UserError("data.streaming=True reads files, and rows were handed over in Python: leave it out.")
        if run.data.streaming:
            splits, stream, data = load_streaming(task, self.args)
            task = task_class(run.task)(data)
        else:
            splits = load(run.data, source=self.source, tagged=task.tagged)
        prepared = task.prepare(splits)
        return task, prepared, stream, task.schema(splits, prepared)

    def _check_same_data(self, schema: Schema) -> None:
        """Raise [`UserError`] if rows or labels differ from those that the run began with, wherever they are."""
        begun = Schema.read(self.checkpoint) if self.checkpoint else None
        if begun is None or begun.fingerprint == schema.fingerprint:
            return
        labels = f", with the labels {', '.join(begun.labels)}" if begun.labels != schema.labels else ""
        raise UserError(
            f"the run in {str(self.folder)!r} was begun with other rows than {self.config.data.path!r} has "
            f"now{labels}: put the data back as it was, or write --training.overwrite true to begin anew."
        )

    def _writing(self):
        return writing("the run", self.folder, self.folder / ASIDE / "unfinished", "begin again.")

    def _trainer(self, task, tokenizer, encoded: DatasetDict, stream: IterableDataset | None) -> RNNTrainer:
        args, train_rows = self.args, encoded["train"]
        if stream is not None:
            shuffle = args.train_sampling_strategy != "sequential"
            place = {"rank": args.process_index, "world_size": args.world_size}
            train_rows = EncodedStream(stream, task, tokenizer, shuffle, args.order_seed, **place)
        model = self._model(task, tokenizer)
        # The Trainer makes the folder.
        with self._writing():
            trainer = trainer_class(self.config.task)(
                model,
                args,
                task,
                tokenizer,
                train_dataset=train_rows,
                eval_dataset=encoded["validation"],
                unlabelled_dataset=encoded.get("unlabelled"),
            )
        if args.gradient_flow_steps:
            batch = flow_batch(encoded["validation"], self.config.task == "language_modeling")
            trainer.add_callback(GradientFlowCallback(**batch, every=args.gradient_flow_steps))
        command, processes = "hf-rnn", os.environ.get("LOCAL_WORLD_SIZE", "1")
        if args.world_size > 1:
            one_host = int(processes) == args.world_size
            where = f"--standalone --nproc-per-node {processes}" if one_host else "…"
            command = f"torchrun {where} -m hf_rnn"
        go_on = f"{command} train --config {quote(str(self.folder / RUN_FILE))} --training.resume true"
        trainer.stop.how_to_go_on = go_on if self.source is None else "the same hf_rnn.train with training.resume=True"
        return trainer

    def _facts(self, trainer: RNNTrainer, train_rows: int | None) -> dict[str, Any]:
        return {
            "task": self.config.task,
            "epochs": round(trainer.state.epoch, 3),
            "best_step": trainer.state.best_global_step,
            "train_seconds": round(trainer.train_seconds, 1),
            "train_rows": train_rows,
            "parameters": sum(parameter.numel() for parameter in trainer.model.parameters()),
            "world_size": self.args.world_size,
            "date": date.today().isoformat(),
            "hardware": hardware(),
            "versions": versions(),
        }

    def _model(self, task, tokenizer: PreTrainedTokenizerBase):
        if self.checkpoint is not None:
            # What it began with may be gone by now.
            return task.model_class.from_pretrained(self.checkpoint)
        run = self.config
        settings = asdict(run.model)
        pretrained, forward_only = settings.pop("pretrained"), settings.pop("forward_only")
        if pretrained is not None:
            # What nobody wrote is the encoder's to say.
            taken = (*ENCODER, *OUTPUT)
            settings = {name: settings[name] for name in settings if name not in taken or name in run.given}
            return take_encoder(pretrained, task.model_class, settings, task.config_fields(), tokenizer, forward_only)
        config = RNNConfig(
            vocab_size=len(tokenizer),
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            **settings,
            **task.config_fields(),
        )
        try:
            model = task.model_class(config)
        except ValueError as error:
            raise UserError(f"model: {error}") from error
        model.use_vocabulary(tokenizer)
        return model

    def _push(self, repo_id: str) -> None:
        args = self.args
        with kept_for_later(self.folder, repo_id, args.hub_revision):
            pushed = push(
                self.folder,
                repo_id,
                revision=args.hub_revision,
                token=args.hub_token,
                commit_message="End of training",
            )
        logger.info(f"pushed: {pushed.commit_url}")

    def _tokenizer(self, task, rows) -> PreTrainedTokenizerBase:
        """Trained by the first process and passed on: training one is not the same everywhere to the last bit."""
        settings = asdict(self.config.tokenizer)
        path = settings.pop("path")
        if self.checkpoint is not None:
            return load_tokenizer(str(self.checkpoint))
        if path is None and settings["kind"] is None and self.config.model.pretrained is not None:
            if self.config.tokenizer != TokenizerArguments():
                raise UserError(
                    "the tokenizer is that of model.pretrained, and its settings are fixed: leave the tokenizer "
                    "section out, or write --tokenizer.kind word (or bpe, …) too, for one of its own."
                )
            folder, _ = find_model(self.config.model.pretrained)
            path = str(folder)
        elif path is not None and self.config.tokenizer != TokenizerArguments(path=path):
            raise UserError(
                f"tokenizer.path={path!r} names a tokenizer, and its settings are fixed: leave the other ones of the "
                "tokenizer section out."
            )
        if path is not None:
            return load_tokenizer(path)
        settings["kind"] = settings["kind"] or task.tokenizer_kind
        tokenizer = None
        if self.args.process_index == 0:
            tokenizer = train_tokenizer(task.texts(rows), **settings, show_progress=not self.args.disable_tqdm)
        return broadcast_object_list([tokenizer])[0]

    @property
    def _aside(self) -> Path:
        return self.folder / ".replaced"

    def _claim(self) -> None:
        """Makes the folder this run's own. The files of a run that is to be replaced are moved aside, not deleted: if
        this one does not end, they are still there. Files that no run writes are not touched."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / JOB_FILE).write_text(job_id(), encoding="utf-8")
        if self.checkpoint is not None:
            claim(self.checkpoint, self.folder)
            return
        old = [path for kind in _RUN_FILES for path in self.folder.glob(kind)]
        if self._aside.exists() and not (self.folder / METRICS_FILE).exists():
            # What stands aside is the run that ended; what stands in the folder is one that did not.
            for path in old:
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        elif old:
            shutil.rmtree(self._aside, ignore_errors=True)
            self._aside.mkdir()
            for path in old:
                path.rename(self._aside / path.name)
        (self.folder / RUN_FILE).write_text(self.text, encoding="utf-8")

    def _evaluate(self, trainer: RNNTrainer, encoded) -> tuple[dict, dict]:
        """All metrics of the validation and test splits, and what the figures show."""
        results: dict[str, Any] = {}
        predicted: dict[str, Any] = {}
        for split in ("validation", "test"):
            if split in encoded:
                results[split], predicted[split] = trainer.judge(encoded[split], split)
        return results, predicted

    def _save(self, trainer: RNNTrainer, tokenizer, results: dict, predicted: dict) -> None:
        """Writes the model folder beside its place and moves the files in when all are there."""
        saving = self.folder / ".saving"
        shutil.rmtree(saving, ignore_errors=True)
        then = f"{trainer.stop.how_to_go_on} saves it without training again."
        with writing("the model", self.folder, saving, then):
            self._write(saving, trainer, tokenizer, results, predicted)
            self._put_in_place(saving, trainer.state.best_model_checkpoint)

    def _put_in_place(self, saving: Path, best: str | None) -> None:
        for file in sorted(saving.iterdir(), key=lambda file: file.name == METRICS_FILE):
            os.replace(file, self.folder / file.name)
        saving.rmdir()
        if not self.args.gradient_flow_steps:
            # What an earlier part of the run measured is not of this model.
            for name in (GRADIENT_FLOW_FILE, GRADIENT_FLOW):
                (self.folder / name).unlink(missing_ok=True)
        (self.folder / JOB_FILE).unlink(missing_ok=True)
        shutil.rmtree(self._aside, ignore_errors=True)
        if best and self.args.save_total_limit == 1:
            # The newest was kept until now, in case that this was cut.
            for checkpoint in numbered(self.folder):
                if checkpoint.name != Path(best).name:
                    remove(checkpoint)
        shutil.rmtree(self.folder / ASIDE, ignore_errors=True)

    def _write(self, saving: Path, trainer: RNNTrainer, tokenizer, results: dict, predicted: dict) -> None:
        trainer.accelerator.unwrap_model(trainer.model).save_pretrained(saving)
        tokenizer.save_pretrained(saving)
        (saving / RUN_FILE).write_text(self.text, encoding="utf-8")
        (saving / SCHEMA_FILE).write_text(trainer.schema.to_json(), encoding="utf-8")
        draw_curves(trainer.state.log_history, trainer.args.metric_for_best_model, saving / TRAINING_CURVES)
        if trainer.task.problem_type == "single_label_classification":
            split = "test" if "test" in predicted else "validation"
            answers, labels = predicted[split]
            draw_confusion(answers, labels, trainer.task.label_names, split, saving / CONFUSION_MATRIX)
        for callback in trainer.callback_handler.callbacks:
            if isinstance(callback, GradientFlowCallback):
                callback.save(saving)
        # Last, since a folder with metrics is a run that ended.
        (saving / METRICS_FILE).write_text(json.dumps(results, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        card = render_folder(saving, trainer.hub_model_id or self.args.hub_name)
        try:
            card = merge(card, read_card(self.folder / CARD_FILE), title=self.folder.absolute().name)
            (saving / CARD_FILE).write_text(card, encoding="utf-8")
        except UserError as error:
            logger.warning(f"{self.folder / CARD_FILE} is left as it is: {error}")


__all__ = ["Run", "train"]
