"""When is dropout on in PyTorch? Count the zeros behind it in each mode of the model."""

import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.module = nn.Dropout(0.5)
        self.unlisted = [nn.Dropout(0.5)]  # in a plain list, where eval() does not find it

    def forward(self, x):
        return {
            "nn.Dropout": self.module(x),
            "F.dropout(x, 0.5)": F.dropout(x, 0.5),  # training=True unless told otherwise
            "F.dropout(…, training=self.training)": F.dropout(x, 0.5, training=self.training),
            "nn.Dropout in a list": self.unlisted[0](x),
        }


def shares(model, x):
    """The share of zeros behind each dropout."""
    return {name: (y == 0).float().mean().item() for name, y in model(x).items()}


if __name__ == "__main__":
    torch.manual_seed(0)
    x, model = torch.ones(1000, 100), Net()
    table = {"as built": shares(model, x), "eval()": shares(model.eval(), x)}
    with torch.no_grad():  # about gradients alone
        table["train(), no_grad"] = shares(model.train(), x)
    model.eval()
    for module in model.modules():  # Monte Carlo dropout: the dropouts on, all else off
        module.train(isinstance(module, nn.modules.dropout._DropoutNd))
    table["dropouts alone"] = shares(model, x)

    for mode, row in table.items():
        print(f"{mode:17}" + "  ".join(f"{share:.2f}" for share in row.values()))
        #> as built         0.50  0.50  0.50  0.50
        #> eval()           0.00  0.50  0.00  0.50
        #> train(), no_grad 0.50  0.50  0.50  0.50
        #> dropouts alone   0.50  0.50  0.00  0.50
