"""In PyTorch the ONNX file takes over the mode that each module is in when it is exported."""

import tempfile
from pathlib import Path

import numpy as np
import onnxruntime
import torch
from torch import nn


class Functional(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 64)

    def forward(self, x):
        return nn.functional.dropout(self.linear(x), 0.5)  # needs training=self.training


def only_dropout_on(model):
    """Everything in eval mode, BatchNorm too, but for the Dropout modules."""
    model.eval()
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.train()
    return model


def behaviour(model, x):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.onnx")
        torch.onnx.export(model, (x,), path, dynamo=True, verbose=False)
        session = onnxruntime.InferenceSession(path)
    given = {session.get_inputs()[0].name: x.numpy()}
    first, second = (session.run(None, given)[0] for _ in range(2))
    return "always the same" if np.array_equal(first, second) else "new masks"


if __name__ == "__main__":
    torch.manual_seed(0)
    x, model = torch.ones(4, 8), nn.Sequential(nn.Linear(8, 64), nn.Dropout(0.5))
    print("nn.Dropout after eval():", behaviour(model.eval(), x))
    #> nn.Dropout after eval(): always the same
    print("nn.Dropout, only the dropouts on:", behaviour(only_dropout_on(model), x))
    #> nn.Dropout, only the dropouts on: new masks
    print("F.dropout after eval():", behaviour(Functional().eval(), x))
    #> F.dropout after eval(): new masks
