"""Insert dropout into a PyTorch model with hooks: no module moves, so every saved key stays."""

import torch
from torch import nn


def insert_dropout(model, behind, rate):
    """Drop the outputs of each module for which `behind(name, module)` is true, in training."""

    def drop(module, inputs, outputs):
        return nn.functional.dropout(outputs, rate, training=module.training)

    modules = [module for name, module in model.named_modules() if behind(name, module)]
    return [module.register_forward_hook(drop) for module in modules]


def pretrained():
    return nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 5))


if __name__ == "__main__":
    torch.manual_seed(0)
    model, x = pretrained(), torch.randn(100, 20)
    saved = model.state_dict()
    before = model.eval()(x)
    handles = insert_dropout(model, lambda name, module: isinstance(module, nn.ReLU), rate=0.2)
    print("predictions the same:", torch.equal(before, model.eval()(x)))
    #> predictions the same: True
    model.train()
    print("random in training:", not torch.equal(model(x), model(x)))
    #> random in training: True
    print("the same keys:", list(saved) == list(model.state_dict()))
    #> the same keys: True

    inserted = pretrained().insert(2, nn.Dropout(0.2))  # works, and moves the keys behind it
    print(*inserted.state_dict())
    #> 0.weight 0.bias 3.weight 3.bias
    for handle in handles:
        handle.remove()
    print("random after removal:", not torch.equal(model(x), model(x)))
    #> random after removal: False
