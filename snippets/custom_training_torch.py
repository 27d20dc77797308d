"""PyTorch: a training step on a Keras model; `training=True` starts dropout, train() does not."""

import keras
import torch

from custom_training import network

keras.utils.set_random_seed(0)
model = network()
x = torch.randn(256, 8)
y = x[:, :1] ** 2
model(x)  # makes the weights
optimizer = torch.optim.Adam(model.parameters())


def loss_of(x, y, training):
    return torch.nn.functional.mse_loss(model(x, training=training), y)


def validate():
    with torch.no_grad():
        return loss_of(x[192:], y[192:], training=False).item()


before = validate()
for _ in range(20):
    for start in range(0, 192, 32):
        optimizer.zero_grad()
        loss_of(x[start : start + 32], y[start : start + 32], training=True).backward()
        optimizer.step()
print("validation loss fell:", validate() < before)
#> validation loss fell: True

model.train()  # the mode of PyTorch's own modules, which Keras layers do not look at
print("model(x) is random after train():", not torch.equal(model(x), model(x)))
#> model(x) is random after train(): False
print("with training=True:", not torch.equal(model(x, training=True), model(x, training=True)))
#> with training=True: True
