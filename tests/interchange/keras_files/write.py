"""Write `text_vectorization.keras` and the answers of Keras to some texts.

The layer TextVectorization needs TensorFlow, which the tests do not install: `pip install tensorflow-cpu keras`, then
run this script in its folder.
"""

import json

import keras
import numpy as np
import tensorflow as tf
from keras import layers

TEXTS = [
    "The film was GREAT!",
    "it's a dull, dull film; don't go.",
    "École normale — CAFÉ\u00a0noir\nand\ttea",
    "",
    "one two three four five six seven eight nine ten eleven",
    "unknown-words (only)",
]

keras.utils.set_random_seed(0)
vectorize = layers.TextVectorization(max_tokens=40, output_sequence_length=8)
vectorize.adapt([*TEXTS, "the film the film a a"])
model = keras.Sequential(
    [
        keras.Input((), dtype="string"),
        vectorize,
        layers.Embedding(40, 5),
        layers.Bidirectional(layers.LSTM(4)),
        layers.Dense(1, activation="sigmoid"),
    ]
)
# The initial weights are so small that an ignored text would change no answer.
random = np.random.default_rng(0)
model.set_weights([random.normal(size=weight.shape) for weight in model.get_weights()])
model.save("text_vectorization.keras")
ids = vectorize(tf.constant(TEXTS)).numpy()
scores = model.predict(tf.constant(TEXTS), verbose=0)[:, 0].tolist()
answers = [
    {"text": text, "ids": row.tolist(), "score": score} for text, row, score in zip(TEXTS, ids, scores, strict=True)
]
with open("text_vectorization.json", "w", encoding="utf-8") as file:
    json.dump(answers, file, indent=1, ensure_ascii=False)
