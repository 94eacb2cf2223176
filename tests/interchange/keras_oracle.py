"""Build Keras models, save them, and write their answers: run in a process of its own.

`keras_oracle.py FOLDER BACKEND NAME …` runs the models of these names with a backend of Keras. NumPy takes a second for
a model, and JAX, which compiles, five.

Each model is saved as NAME.keras and NAME.h5. NAME.npz has the rows of token ids, unpadded, and the answers of Keras to
these rows as they were padded.
"""

import json
import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = sys.argv[2]
os.environ["JAX_PLATFORMS"] = "cpu"

import keras
import numpy as np
from keras import layers

V, LENGTH = 40, 9


def embedding(masked=True, size=V, width=6):
    return layers.Embedding(size, width, mask_zero=masked)


def sequential(*rest, masked=True, shape=(None,)):
    return keras.Sequential([keras.Input(shape), embedding(masked), *rest])


def pooled(*poolings, masked=False):
    text = keras.Input((None,))
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True))(embedding(masked)(text))
    x = layers.Concatenate()([pooling()(x) for pooling in poolings])
    x = layers.Dense(4, activation="relu")(layers.Dropout(0.3)(x))
    x = layers.BatchNormalization()(x)
    return keras.Model(text, layers.Dense(3, activation="softmax")(x))


def nested():
    inner = sequential(layers.SpatialDropout1D(0.2), layers.GRU(5), layers.Dense(1))
    return keras.Sequential([keras.Input((None,)), inner, layers.Activation("sigmoid")])


def seed_model():
    """The model that this package began with."""
    parts = [layers.Embedding(20000, 128), layers.LSTM(128, return_sequences=True), layers.LSTM(128)]
    return keras.Sequential([keras.Input((None,)), *parts, layers.Dense(1, activation="sigmoid")])


def imdb_example():
    """keras.io's example "Bidirectional LSTM on IMDB"."""
    inputs = keras.Input(shape=(None,), dtype="int32")
    x = layers.Embedding(20000, 128)(inputs)
    x = layers.Bidirectional(layers.LSTM(64, return_sequences=True))(x)
    x = layers.Bidirectional(layers.LSTM(64))(x)
    model = keras.Model(inputs, layers.Dense(1, activation="sigmoid")(x))
    model.compile("adam", "binary_crossentropy", metrics=["accuracy"])
    return model


def compiled(model, loss):
    model.compile("sgd", loss)
    return model


RNN, GRU, LSTM, Bi = layers.SimpleRNN, layers.GRU, layers.LSTM, layers.Bidirectional
AVERAGE, MAXIMUM = layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D
SIGMOID = {"units": 1, "activation": "sigmoid"}
# Each model, with the padding of its rows.
MODELS = {
    "seed_model": (seed_model, "pre"),
    "imdb_example": (imdb_example, "pre"),
    "lstm": (lambda: sequential(LSTM(5, return_sequences=True), LSTM(5), layers.Dense(**SIGMOID), masked=False), "pre"),
    "widths": (lambda: sequential(LSTM(7, return_sequences=True), LSTM(4), layers.Dense(**SIGMOID)), "post"),
    "gru": (lambda: sequential(GRU(4, return_sequences=True), GRU(6), layers.Dense(3, activation="softmax")), "pre"),
    "tanh": (lambda: sequential(RNN(5, use_bias=False), layers.Dense(2, activation="softmax")), "post"),
    "relu": (lambda: sequential(RNN(5, activation="relu"), layers.Dense(4, activation="sigmoid")), "post"),
    "no_bias": (
        lambda: sequential(GRU(5, use_bias=False), layers.Dense(1, "sigmoid", use_bias=False), masked=False),
        "post",
    ),
    "bidirectional": (
        lambda: sequential(Bi(GRU(4, return_sequences=True)), Bi(GRU(3)), layers.Dense(**SIGMOID)),
        "post",
    ),
    "then_forward": (
        lambda: sequential(Bi(LSTM(3, return_sequences=True)), LSTM(5), layers.Dense(**SIGMOID), masked=False),
        "pre",
    ),
    "own_backward": (
        lambda: sequential(
            Bi(LSTM(3, return_sequences=True), backward_layer=LSTM(3, return_sequences=True, go_backwards=True)),
            MAXIMUM(),
            layers.Dense(**SIGMOID),
            masked=False,
        ),
        "post",
    ),
    "backwards": (lambda: sequential(LSTM(5, go_backwards=True), layers.Dense(**SIGMOID)), "pre"),
    "all_backwards": (
        lambda: sequential(
            LSTM(5, return_sequences=True, go_backwards=True), LSTM(4), layers.Dense(**SIGMOID), masked=False
        ),
        "post",
    ),
    "there_and_back": (
        lambda: sequential(
            GRU(5, return_sequences=True, go_backwards=True),
            GRU(4, go_backwards=True),
            layers.Dense(**SIGMOID),
            masked=False,
        ),
        "pre",
    ),
    "average": (
        lambda: sequential(Bi(LSTM(4, return_sequences=True)), AVERAGE(), layers.Dense(3, activation="softmax")),
        "post",
    ),
    "maximum": (
        lambda: sequential(Bi(LSTM(4, return_sequences=True)), MAXIMUM(), layers.Dense(3, activation="softmax")),
        "post",
    ),
    "average_unmasked": (
        lambda: sequential(GRU(4, return_sequences=True), AVERAGE(), layers.Dense(**SIGMOID), masked=False),
        "post",
    ),
    "concatenated": (lambda: pooled(AVERAGE, MAXIMUM), "post"),
    "regression": (lambda: compiled(sequential(LSTM(5), layers.Dense(1)), "mse"), "pre"),
    "logit": (
        lambda: compiled(sequential(LSTM(5), layers.Dense(1)), keras.losses.BinaryCrossentropy(from_logits=True)),
        "pre",
    ),
    "logits": (
        lambda: compiled(
            sequential(LSTM(5), layers.Dense(3)), keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        ),
        "pre",
    ),
    "nested": (nested, "post"),
}


def loud(model, random):
    """Set large random weights: with the initial ones, an ignored text would change no answer."""
    model.set_weights(
        [
            np.abs(random.normal(size=weight.shape)) + 0.5
            if "variance" in weight.path
            else random.normal(
                scale=1.0 if weight.ndim == 1 else min(0.7, 4 / weight.shape[0] ** 0.5), size=weight.shape
            )
            for weight in model.weights
        ]
    )


def write(folder, names):
    random = np.random.default_rng(0)
    for name in names:
        build, padding = MODELS[name]
        model = build()
        loud(model, random)
        model.save(folder / f"{name}.keras")
        model.save(folder / f"{name}.h5")
        lookup = next(each for each in model._flatten_layers() if isinstance(each, layers.Embedding))
        words = lookup.input_dim
        rows = [random.integers(1, words, size=length).tolist() for length in (1, 2, 5, LENGTH, LENGTH + 4)]
        ids = keras.utils.pad_sequences(rows, maxlen=LENGTH, padding=padding, truncating=padding)
        answers = np.asarray(model(ids)).tolist()
        told = {"rows": rows, "padding": padding, "answers": answers, "words": words, "masked": lookup.mask_zero}
        (folder / f"{name}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    write(Path(sys.argv[1]), sys.argv[3:])
