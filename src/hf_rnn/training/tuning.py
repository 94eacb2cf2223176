# Copyright 2026 The hf_rnn authors. Licensed under the Apache License, Version 2.0.
"""Search of settings under a budget of time: `hf-rnn tune`.

The first trial has the values of the preset. The next ones change some of them at random, and optuna's TPE sampler
(Bergstra et al. 2011) chooses the values of all others. A pruner stops trials that are worse than the median of the
others. The checkpoint of the chosen trial becomes the model, so nothing is trained again.
"""

from __future__ import annotations

import math
import random
import shutil
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transformers import set_seed

from ..hub.folder import RUN_FILE
from ..tasks import task_class
from ..utils.errors import CheckpointError, ConfigError, HfRnnError, check_choice, first_line
from ..utils.output import say
from .checkpoints import numbered
from .going_on import with_pretrained_settings
from .preset_facts import Facts
from .presets import choose, rules_of
from .python_config import read_config
from .run import Run
from .run_checks import check_use
from .run_config import parse_run, with_values
from .run_folder import check_writable, claim_folder, traces_of_a_run
from .search_space import SPACES, SearchSpace, Start
from .search_study import JOURNAL, STARTS, alone_in, check_optuna, open_study, remove_search
from .trial_run import ChosenRun, OutOfTime, SharedRows, TooLarge, TrialRun, TrialWatch
from .trials import FINISHED, TOO_LARGE, Limits, Trial, Trials, shown
from .written_settings import written_settings

if TYPE_CHECKING:
    from .run_config import RunConfig

# Subfolder of the output folder until the search ends: the study, and a folder for each trial.
SEARCH = ".tune"
# Probability that one of the first trials changes a setting.
SHARE = 0.35
# Number of models in a row that are too large, after which the search ends. None of them is trained.
MOST_TOO_LARGE = 200
# Values of a trial that the run of its model does not have.
_OF_A_TRIAL = {"training.disable_tqdm": True, "training.push_to_hub": False}


def tune(
    config: str | Path | dict | list[str] | None = None,
    *,
    data: Any = None,
    minutes: float = 10.0,
    trials: int | None = None,
    megabytes: float | None = None,
    metric: str | None = None,
) -> dict:
    """Search the settings of a text classifier or a tagger, and save the best model with the run.yaml that trains it.

    Settings that `config` has are kept; the search chooses the others. The first trial has the values of the preset.
    The validation split alone decides. The test split is read once, by the saved model. The same call continues a
    search that was interrupted, and the minutes that it has taken count.

    Args:
        config: Configuration as [`train`][hf_rnn.training.run.train] reads it. `training.seed` seeds the search too.
        data: Rows in memory that replace `data.path`, as in [`train`][hf_rnn.training.run.train].
        minutes: Time for the whole search, reading the rows and saving the model included.
        trials: Maximum number of trials that are trained; None for no maximum.
        megabytes: Maximum size of the weights and the tokenizer of the saved model, in millions of bytes; None for no
            maximum.
        metric: Metric of the validation split that the search improves, also over the epochs of a trial; None for
            `training.metric_for_best_model`, which the preset may choose, or else the first metric of the task.

    Returns:
        Content of `metrics.json`. The entry `tune` has all trials, and the number and the values of the chosen one.

    Raises:
        HfRnnError: A setting is invalid, the folder holds another run or search, another process searches in it, the
            time is too short for the first trial, no model is small enough, or optuna is not installed.
    """
    check_optuna()
    limits = Limits(minutes, trials, megabytes)
    return Search(*read_config(config, data), limits, metric).run()


class Search:
    """Search of the settings of a run.

    Args:
        run: Parsed configuration.
        text: YAML text that reproduces it.
        source: Rows in memory that replace `data.path`; None for none.
        limits: Limits of time, trials and size.
        metric: Same as in [`tune`].
    """

    def __init__(self, run: RunConfig, text: str, source: Any, limits: Limits, metric: str | None):
        self.begun, self.seconds_before = time.monotonic(), 0.0
        self.config, self.text, self.source, self.limits = run, text, source, limits
        self.folder = Path(str(run.training.output_dir))
        self.place = self.folder / SEARCH
        self._check_run()
        set_seed(run.training.seed)
        self.rows = self._read()
        self.start = run
        if rules_of(run):
            self.start, _ = choose(run, self.rows.task, self.rows.prepared["train"])
        self.trials = self._trials(metric)
        self.space = self._space()

    def run(self) -> dict:
        """Search, save the model, and return the content of `metrics.json`."""
        with alone_in(self.place):
            self._check_folder()  # Another search may have ended while this one read the rows.
            self._open()
            while self._may_go_on():
                self._try()
            results = self._save()
            remove_search(self.place)
        shutil.rmtree(self.place)  # The lock is left.
        return results

    # Before the trials -----------------------------------------------------------------------------------------------

    def _check_run(self) -> None:
        run, args = self.config, self.config.training
        if run.task not in SPACES:
            raise ConfigError(
                f"task={run.task!r} has no settings to search: name {' or '.join(SPACES)}, or train without a search "
                "(hf-rnn train)."
            )
        if run.data.streaming:
            raise ConfigError("data.streaming=True never loads all rows, which each trial reads: leave it out.")
        if args.world_size > 1:
            raise ConfigError(f"a search runs in one process, and there are {args.world_size}: start only one.")
        if args.resume:
            raise ConfigError("a search continues by itself: leave training.resume=True out.")
        if run.cross_validate:
            raise ConfigError(
                f"cross_validate={run.cross_validate} measures one choice of settings, and a search has many: leave it "
                "out, and cross-validate the run.yaml of the result."
            )
        if run.teacher:
            raise ConfigError(
                f"teacher.path={run.teacher.path} would teach every trial: leave it out, and train a student with the "
                "settings of the result (hf-rnn distil)."
            )
        if args.gradient_flow_steps:
            raise ConfigError(
                f"training.gradient_flow_steps={args.gradient_flow_steps} measures one training, and a search has "
                "many: leave it out, and train with the run.yaml of the result."
            )
        check_use(run, task_class(run.task))
        if with_pretrained_settings(run, self.text)[0].model.keep_head:
            raise ConfigError(
                f"a search does not go on from a text classifier, such as {run.model.pretrained!r}: write "
                "model.keep_head=False to take its encoder only, or train without a search (hf-rnn train)."
            )
        check_writable(self.folder)
        self._check_folder()

    def _check_folder(self) -> None:
        """Raise [`CheckpointError`] if the folder holds a run that the search would replace without being asked to."""
        begun = (self.place / JOURNAL).exists()
        if not self.config.training.overwrite and not begun and (held := traces_of_a_run(self.folder)):
            raise CheckpointError(
                f"{str(self.folder)!r} already holds a run ({held[0].name}): write training.overwrite=True to replace "
                "it, or name another training.output_dir."
            )

    def _read(self) -> SharedRows:
        """Read the rows as a run does, and print the decisions about them."""
        reader, text = with_values(self.config, {"training.output_dir": str(self.place / "rows")})
        task, prepared, _, schema = Run(reader, text, self.source)._read()
        say(schema.table(self.config.data.path))
        return SharedRows(task, prepared, schema)

    def _trials(self, metric: str | None) -> Trials:
        args, directions = self.start.training, {**self.rows.task.measures, "loss": False}
        if metric is None:
            metric = str(args.metric_for_best_model) if args.chose_metric else next(iter(directions))
        metric = metric.removeprefix("eval_")
        check_choice("metric", metric, directions)
        return Trials(metric, directions[metric], len(self.rows.prepared["validation"]))

    def _space(self) -> SearchSpace:
        """Return the search space around the values of the preset."""
        start = self.start
        words = Facts.of(start, self.rows.task, self.rows.prepared["train"]).words
        space = SearchSpace(start.task, start.given, Start(start.parsed, words, self.limits.megabytes))
        if not space.keys:
            raise ConfigError(
                "every setting that a search chooses is written already: leave one of them out, such as "
                "training.learning_rate, or train without a search (hf-rnn train)."
            )
        return space

    def _open(self) -> None:
        """Open the study, and read the trials of an interrupted search."""
        if self.config.training.overwrite:
            remove_search(self.place)
        of_search = {"metric": self.trials.metric, "megabytes": self.limits.megabytes}
        known = written_settings(self.config, self.text) | of_search | {"rows": self.rows.schema.fingerprint}
        seed = self.config.training.seed
        self.study, self.again = open_study(self.place, known, self.trials.is_greater_better, seed)
        self.seconds_before = self.study.user_attrs.get("seconds", 0.0)
        self.trials.read(self.study)
        if self.trials.counted:
            say(f"search     continues after {len(self.trials.counted)} trials and {self.seconds / 60:.1f} minutes")

    # Time ------------------------------------------------------------------------------------------------------------

    @property
    def seconds(self) -> float:
        """The time that the search has taken, before an interruption too, in seconds."""
        return self.seconds_before + time.monotonic() - self.begun

    @property
    def seconds_left(self) -> float:
        """The time for further training, in seconds.

        Saving the chosen model takes at most as long as the part of a trial that is no training: the n-grams are
        fitted already, and the baseline of the report takes less time than they.
        """
        return 60 * self.limits.minutes - self.seconds - self.trials.longest_rest

    def _may_go_on(self) -> bool:
        """Return True if another trial may start."""
        most = math.inf if self.limits.trials is None else self.limits.trials
        if self.trials.too_large_in_a_row >= MOST_TOO_LARGE or len(self.trials.trained) >= most:
            return False
        return self.seconds_left > self.trials.shortest_training

    def _keep_time(self) -> None:
        self.study.set_user_attr("seconds", self.seconds)

    # Trials ----------------------------------------------------------------------------------------------------------

    def _try(self) -> None:
        """Run one trial, print it, and record its result."""
        parameters, self.again = self.again or self._parameters(), None
        if parameters is not None:
            self.study.enqueue_trial(parameters)
        trial, begun = self.study.ask(), self.seconds
        chosen = self.space.suggested(trial)
        trial.set_user_attr("chosen", chosen)
        trial.set_user_attr("values", self.space.changes(chosen))
        try:
            value, why, facts = self._outcome(trial, chosen)
        except HfRnnError:
            # Without a model, the search ends, and the trial runs again when it continues.
            self.study.tell(trial, state=_states().FAIL)
            raise
        seconds = self.seconds - begun
        rest = seconds - facts["training_seconds"] if value is not None else 0.0
        for name, known in {**facts, "why": why, "seconds": seconds, "rest": rest}.items():
            trial.set_user_attr(name, known)
        self.study.tell(trial, value, state=_states().PRUNED if value is None else None)
        self._keep_time()
        self.trials.read(self.study)
        self._tell(self.trials.counted[-1])
        kept = {f"trial-{each.number}" for each in self.trials.undominated}
        for folder in (each for each in self.place.glob("trial-*") if each.name not in kept):
            shutil.rmtree(folder)

    def _outcome(self, trial: Any, chosen: dict[str, Any]) -> tuple[float | None, str, dict[str, Any]]:
        """Train a trial. Return its metric or None, `FINISHED` or the reason for None, and facts about the model."""
        from optuna import TrialPruned

        trials, begun = self.trials, self.seconds
        watch = TrialWatch(trial, trials.metric, trials.is_greater_better, lambda: self.seconds_left, self._keep_time)
        run: Any = None
        try:
            run = self._trial_run(trial, chosen, watch)
            measured = run.train()["validation"]
            facts = {"loss": measured["loss"], "bytes": run.bytes, "training_seconds": run.training_seconds}
            return measured[trials.metric], FINISHED, facts
        except TooLarge:
            # The sampler learns from it which models are smaller.
            trial.set_constraint("megabytes", run.bytes / self.limits.bytes - 1)
            return None, TOO_LARGE, {"bytes": run.bytes}
        except TrialPruned:
            return None, f"worse than the median at {watch.progress:.0%} of its training", {}
        except OutOfTime:
            if not trials.finished:
                raise self._too_short(watch.progress, self.seconds - begun) from None
            return None, f"out of time at {watch.progress:.0%} of its training", {}
        except HfRnnError as error:
            if not trials.finished:
                raise
            return None, f"failed: {first_line(error)}", {}

    def _parameters(self) -> dict[str, Any] | None:
        """Return the parameters of the next trial; None if optuna chooses them."""
        counted = self.trials.counted
        rng = random.Random(self.config.training.seed * STARTS + len(counted))
        if not counted:
            return self.space.drawn(rng, share=0.0)
        shrink = counted[0].is_too_large
        if shrink and len(counted) == 1:
            return self.space.smallest()
        return self.space.drawn(rng, SHARE, shrink) if len(counted) < STARTS else None

    def _trial_run(self, trial: Any, chosen: dict[str, Any], watch: TrialWatch) -> TrialRun:
        folder = self.place / f"trial-{trial.number}"
        shutil.rmtree(folder, ignore_errors=True)
        config, text = self._with(chosen, {**_OF_A_TRIAL, "training.output_dir": str(folder)})
        return TrialRun(config, text, self.rows, watch, self.limits.bytes)

    def _with(self, chosen: dict[str, Any], others: dict[str, Any]) -> tuple[RunConfig, str]:
        """Return the run with the values of a trial, as if the user had written them, and with other values."""
        # A trial without changes is left to the rules of the preset.
        values = {
            **(chosen if self.space.changes(chosen) else {}),
            "training.metric_for_best_model": self.trials.metric,
        }
        given = replace(self.config, given=self.config.given | values.keys())
        return with_values(given, {**values, "training.overwrite": False, **others})

    def _tell(self, trial: Trial) -> None:
        """Print a trial on one line; of those that are too large, only the first one."""
        if self.trials.too_large_in_a_row > 1:
            return
        result = trial.why if trial.value is None else f"{self.trials.metric} {trial.value:.4f} · loss {trial.loss:.4f}"
        size = f" · {trial.bytes / 1e6:.2f} MB" if self.limits.megabytes is not None and trial.bytes else ""
        left = max(0.0, self.limits.minutes - self.seconds / 60)
        say(
            f"trial {trial.number:<5}{result}{size} · {trial.seconds:.0f} s · {shown(trial.values) or 'the preset'} · "
            f"{left:.1f} minutes left"
        )

    def _too_short(self, progress: float, seconds: float) -> HfRnnError:
        minutes, reached = math.ceil(3 * self.limits.minutes), "had not begun to train"
        if progress:
            needs = seconds / progress / 60
            minutes = math.ceil(self.seconds / 60 + 3 * needs)
            reached = f"was at {progress:.0%} of its training, for which it needs up to {needs:.1f} minutes"
        return HfRnnError(
            f"minutes={self.limits.minutes:g} are too few for one trial: after {self.seconds / 60:.1f} minutes, the "
            f"first one {reached}. Write minutes={minutes}, or preset='fast' with training.overwrite=True."
        )

    # After the trials ------------------------------------------------------------------------------------------------

    def _save(self) -> dict:
        """Save the model of the chosen trial, and return the content of `metrics.json`."""
        chosen = self.trials.chosen
        if chosen is None:
            raise self._nothing_found()
        say(self.trials.told(chosen))
        trial = self.place / f"trial-{chosen.number}"
        begun, _ = parse_run(trial / RUN_FILE)
        places = {"training.output_dir": str(self.folder), "data.path": self.config.data.path}
        claim_folder(self.folder, None, with_values(begun, places)[1])
        for checkpoint in numbered(trial):
            shutil.copytree(checkpoint, self.folder / checkpoint.name)
        config, text = self._with(chosen.chosen, {"training.resume": True})
        entry = partial(self._entry, chosen)
        return ChosenRun(config, text, self.rows, self.source, entry, self.trials.table()).train()

    def _entry(self, chosen: Trial) -> dict[str, Any]:
        """Return the entry `tune` of metrics.json."""
        return {
            "metric": self.trials.metric,
            "chosen": chosen.number,
            "values": chosen.values,
            "minutes": self.limits.minutes,
            "minutes_used": round(self.seconds / 60, 2),
            "megabytes": self.limits.megabytes,
            "trials": [each.to_dict(self.trials.metric) for each in self.trials.counted],
        }

    def _nothing_found(self) -> HfRnnError:
        sizes = [each.bytes for each in self.trials.counted if each.is_too_large]
        if sizes:
            smallest = min(sizes) / 1e6
            return HfRnnError(
                f"none of {len(self.trials.counted)} models has at most megabytes={self.limits.megabytes:g}: the "
                f"smallest has {smallest:.3f}. Write megabytes={math.ceil(1100 * smallest) / 1000:g} with "
                "training.overwrite=True."
            )
        return HfRnnError(
            f"minutes={self.limits.minutes:g} are over, and no trial has finished: write minutes="
            f"{math.ceil(self.seconds / 60 + self.limits.minutes)} to continue."
        )


def _states() -> Any:
    from optuna.trial import TrialState

    return TrialState


__all__ = ["tune"]
