"""AutoDropout's structured patterns as a Keras layer: squares, tiled, sheared, turned and moved."""

import keras
import numpy as np
from keras import ops


def pattern(height, width, size, stride, repeat, rotate=0, shear_x=0, shear_y=0):
    """What one pattern drops: True in a map `(height, width)`, in whose middle it stands.

    `repeat` by `repeat` squares of `size` pixels, one every `stride` pixels, sheared by `shear_x`
    and `shear_y` pixels per pixel, then turned by `rotate` degrees.
    """
    y, x = np.mgrid[:height, :width] - np.reshape([height - 1, width - 1], (2, 1, 1)) / 2
    cos, sin = np.cos(np.deg2rad(rotate)), np.sin(np.deg2rad(rotate))
    y, x = cos * y - sin * x, sin * y + cos * x  # back to where the pixel was before the turn
    x = x - shear_x * y
    y = y - shear_y * x
    extent = (repeat - 1) * stride + size
    y, x = (np.floor(np.round(a + extent / 2, 6)) for a in (y, x))
    return np.all([(a >= 0) & (a < extent) & (a % stride < size) for a in (y, x)], axis=0)


class AutoDropout(keras.layers.Layer):
    """Drops a pattern at a random place, another place for each example and channel.

    Input and output are `(batch, height, width, channels)`, and so is the shortcut, which is added
    if there is one. `size=0` drops nothing. `share_c` drops the same place in all channels,
    `residual` drops it in the shortcut too. A pattern that leaves the map comes in on the other
    side, and what is kept is divided by its share. Raises `ValueError` if squares would overlap.
    After Pham and Le, 2021, https://arxiv.org/abs/2101.01761.
    """

    def __init__(self, size, stride, repeat, share_c=False, residual=False, seed=None, **kwargs):
        geometry = {key: kwargs.pop(key, 0) for key in ("rotate", "shear_x", "shear_y")}
        super().__init__(**kwargs)
        if not 0 <= size <= stride or stride < 1 or repeat < 1:
            raise ValueError(f"0 <= size <= stride, 1 <= repeat: got {size}, {stride}, {repeat}")
        self.pattern = {"size": size, "stride": stride, "repeat": repeat} | geometry
        self.own = {"share_c": share_c, "residual": residual, "seed": seed}
        self.seed_generator = keras.random.SeedGenerator(seed)

    def mask(self, x):
        (batch, _, _, channels), (height, width) = ops.shape(x), x.shape[1:3]
        places = (batch, 1, 1, 1 if self.own["share_c"] else channels)
        moves = [keras.random.randint(places, 0, n, seed=self.seed_generator) for n in x.shape[1:3]]
        rows, columns = ops.arange(height)[:, None, None], ops.arange(width)[:, None]
        index = (rows + moves[0]) % height * width + (columns + moves[1]) % width
        kept = 1 - pattern(height, width, **self.pattern)
        return ops.take(ops.cast((kept / max(kept.mean(), 1e-9)).ravel(), x.dtype), index)

    def call(self, x, shortcut=0.0, training=False):
        mask = self.mask(x) if training else 1.0
        return (x + shortcut) * mask if self.own["residual"] else x * mask + shortcut

    def get_config(self):
        return super().get_config() | self.pattern | self.own


if __name__ == "__main__":
    print(1 * pattern(8, 8, size=2, stride=3, repeat=2))
    #> [[0 0 0 0 0 0 0 0]
    #>  [0 1 1 0 1 1 0 0]
    #>  [0 1 1 0 1 1 0 0]
    #>  [0 0 0 0 0 0 0 0]
    #>  [0 1 1 0 1 1 0 0]
    #>  [0 1 1 0 1 1 0 0]
    #>  [0 0 0 0 0 0 0 0]
    #>  [0 0 0 0 0 0 0 0]]
    layer = AutoDropout.from_config(AutoDropout(size=2, stride=3, repeat=2).get_config())
    ones = np.ones((10, 8, 8, 5), "float32")
    y = ops.convert_to_numpy(layer(ones, training=True))
    print(f"dropped: {np.mean(y == 0):.2f}, mean of the output: {y.mean():.2f}")
    #> dropped: 0.25, mean of the output: 1.00
    print(f"least with a shortcut of ones: {float(ops.min(layer(ones, ones, training=True))):.2f}")
    #> least with a shortcut of ones: 1.00
    try:
        AutoDropout(size=3, stride=2, repeat=2)
    except ValueError as error:
        print(error)
        #> 0 <= size <= stride, 1 <= repeat: got 3, 2, 2
