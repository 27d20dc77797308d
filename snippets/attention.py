"""What the `dropout` of an attention layer drops: whom a token listens to, not what it hears."""

import keras
import numpy as np
from keras import layers

TOKENS, WIDTH = 6, 16


def transparent(tokens=TOKENS, **options):
    """Attention that puts out its own weights: each token's value names the token."""
    layer = layers.MultiHeadAttention(1, tokens, use_bias=False, output_shape=tokens, **options)
    keys, values = (None, tokens, WIDTH), (None, tokens, tokens)
    layer.build(keys, values, keys)
    query, key, _, _ = layer.get_weights()
    layer.set_weights([query, key, np.eye(tokens)[:, None], np.eye(tokens)[None]])
    return layer


def weights(layer, x, **options):
    """The weights that the layer multiplies the values by, `(batch, tokens, tokens)`."""
    names = np.tile(np.eye(x.shape[1], dtype="float32"), (len(x), 1, 1))
    return keras.ops.convert_to_numpy(layer(x, names, x, **options))


def for_inference(model):
    """A copy whose attention has a rate of zero, and so may use the backend's fused kernel."""

    def copy(layer):
        config = layer.get_config()
        return type(layer).from_config(config | {"dropout": 0.0} if "dropout" in config else config)

    twin = keras.models.clone_model(model, clone_function=copy, recursive=True)
    twin.set_weights(model.get_weights())
    return twin


if __name__ == "__main__":
    keras.utils.set_random_seed(0)
    x = np.random.default_rng(0).normal(size=(1000, TOKENS, WIDTH)).astype("float32")
    layer = transparent(dropout=0.5)
    off, on = weights(layer, x, training=False), weights(layer, x, training=True)
    print(f"weights set to zero: {np.mean(on == 0):.1f}")
    #> weights set to zero: 0.5
    print("the others are doubled:", np.allclose(on[on > 0], 2 * off[on > 0], atol=1e-5))
    #> the others are doubled: True
    sums = on.sum(axis=2)
    print(f"sum of a token's weights: mean {sums.mean():.1f}, least {sums.min():.1f}")
    #> sum of a token's weights: mean 1.0, least 0.0
    causal = weights(layer, x, training=True, use_causal_mask=True)
    deaf = (causal[:, 0] == 0).all(axis=1)
    print(f"causal, the first token hears nothing: {deaf.mean():.1f}")
    #> causal, the first token hears nothing: 0.5

    tokens = keras.Input((TOKENS, WIDTH))
    model = keras.Model(tokens, layers.MultiHeadAttention(2, 8, dropout=0.5)(tokens, tokens))
    predictions = [m.predict(x, verbose=0) for m in (model, for_inference(model))]
    print("for_inference predicts the same:", np.allclose(*predictions, atol=1e-5))
    #> for_inference predicts the same: True
