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
    return lambda **given: serve(**{k: tf.constant(v) for k, v in given.items()})["output_0"]


def behaviour(model, kind, x):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, FILES[kind])
        model.export(path, format=kind, verbose=False)
        try:
            first, second = (run(features=x) for run in [start(path)] * 2)
        except Exception:  # each runtime has its own
            return "does not load"
        return "always the same" if np.array_equal(first, second) else "new masks"


KINDS = {"Dropout": layers.Dropout(0.5), "AlwaysOn": AlwaysOn(0.5), "TFRandom": TFRandom(0.5)}
KINDS["Dropout, training=True"] = lambda x: layers.Dropout(0.5)(x, training=True)

if __name__ == "__main__":
    x = np.ones((4, 8), "float32")
    print(f"{'':24}" + "".join(f"{name:17}" for name in FILES).rstrip())
    #>                         onnx             litert           tf_saved_model
    for name, dropout in KINDS.items():
        inputs = keras.Input((8,), name="features")
        model = keras.Model(inputs, layers.Dense(1)(dropout(layers.Dense(64)(inputs))))
        model(x)  # for ONNX, a model has to have been called
        found = [behaviour(model, kind, x) for kind in FILES]
        print(f"{name:24}" + "".join(f"{what:17}" for what in found).rstrip())
        #> Dropout                 always the same  always the same  always the same
        #> AlwaysOn                does not load    does not load    new masks
        #> TFRandom                new masks        new masks        new masks
        #> Dropout, training=True  does not load    always the same  new masks
