"""Flax: dropout takes its key from `rngs`, and a new one in every step."""

import flax.linen as nn
import jax
import jax.numpy as jnp


class Network(nn.Module):
    @nn.compact
    def __call__(self, x, train):
        return nn.Dropout(0.5, deterministic=not train)(x)


model, x, key = Network(), jnp.ones((2, 1000)), jax.random.key(0)
print("off, without a key:", bool((model.apply({}, x, train=False) == x).all()))
#> off, without a key: True
try:
    model.apply({}, x, train=True)
except Exception as error:
    print(type(error).__name__)
    #> InvalidRngError


def step(number):
    return model.apply({}, x, train=True, rngs={"dropout": jax.random.fold_in(key, number)})


print("the same key, the same mask:", bool((step(0) == step(0)).all()))
#> the same key, the same mask: True
print("the next key, the next mask:", bool((step(0) != step(1)).any()))
#> the next key, the next mask: True

shared = nn.Dropout(0.5, broadcast_dims=(0,), deterministic=False)  # Keras: noise_shape=(1, None)
rows = shared.apply({}, x, rngs={"dropout": key})
print("rows share a mask:", bool((rows[0] == rows[1]).all()))
#> rows share a mask: True
