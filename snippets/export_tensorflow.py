"""What becomes of a Dropout in an ONNX, a LiteRT and a SavedModel file: run each file twice."""

import tempfile
from pathlib import Path

import keras
import numpy as np
import onnxruntime
import tensorflow as tf
from keras import layers

FILES = {"onnx": "model.onnx", "litert": "model.tflite", "tf_saved_model": "saved_model"}


class AlwaysOn(layers.Dropout):
    def call(self, inputs, training=None):
        return super().call(inputs, training=True)


class TFRandom(layers.Dropout):  # always on, and drawn by an op that every one of these formats has
    def call(self, inputs, training=None):
        kept = tf.random.uniform(tf.shape(inputs)) >= self.rate
        return tf.where(kept, inputs / (1 - self.rate), 0)


def start(path):
    """Load a file as its runtime does, and return it as a function of its inputs, by name."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path)
        return lambda **given: session.run(None, given)[0]
    if path.suffix == ".tflite":
        runner = tf.lite.Interpreter(str(path)).get_signature_runner()
        return lambda **given: runner(**given)["output_0"]
    serve = tf.saved_model.load(str(path)).signatures["serving_default"]
    return lambda **given: np.asarray(
        serve(**{name: tf.constant(x) for name, x in given.items()})["output_0"]
    )


def behaviour(path, x):
    try:
        run = start(path)
        first, second = run(features=x), run(features=x)
        return "always the same" if np.array_equal(first, second) else "new masks"
    except Exception:  # each runtime has its own
        return "does not load"


KINDS = {
    "Dropout": layers.Dropout(0.5),
    "Dropout, training=True": lambda x: layers.Dropout(0.5)(x, training=True),
    "AlwaysOn": AlwaysOn(0.5),
    "TFRandom": TFRandom(0.5),
}

if __name__ == "__main__":
    x = np.ones((4, 8), "float32")
    print(f"{'':24}" + "".join(f"{name:17}" for name in FILES).rstrip())
    #>                         onnx             litert           tf_saved_model
    for name, dropout in KINDS.items():
        inputs = keras.Input((8,), name="features")
        model = keras.Model(inputs, layers.Dense(1)(dropout(layers.Dense(64)(inputs))))
        model(x)  # for ONNX, a model has to have been called
        found = []
        with tempfile.TemporaryDirectory() as folder:
            for kind, file in FILES.items():
                model.export(f"{folder}/{file}", format=kind, verbose=False)
                found.append(behaviour(Path(folder, file), x))
        print(f"{name:24}" + "".join(f"{what:17}" for what in found).rstrip())
        #> Dropout                 always the same  always the same  always the same
        #> Dropout, training=True  does not load    always the same  new masks
        #> AlwaysOn                does not load    does not load    new masks
        #> TFRandom                new masks        new masks        new masks
