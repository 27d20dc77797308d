"""PyTorch: the loss of the loop has dropout in it; measure the same data again after eval()."""

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

loss_of = nn.CrossEntropyLoss()


@torch.no_grad()  # spares the gradients, and leaves dropout on
def measure(model, x, y, training, calls=1):
    model.train(training)
    return sum(loss_of(model(x), y).item() for _ in range(calls)) / calls


def epoch(model, optimizer, x, y):
    """The mean that a loop reports: of each batch before its step, with dropout on."""
    model.train()  # the validation of the epoch before has left it in eval()
    total = 0.0
    for batch in torch.randperm(len(x)).split(32):
        loss = loss_of(model(x[batch]), y[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(x)


if __name__ == "__main__":
    x, y = load_digits(return_X_y=True)
    split = train_test_split(x.astype("float32") / 16, y, train_size=500, random_state=0)
    x, x_val, y, y_val = map(torch.from_numpy, split)
    torch.manual_seed(0)
    for rate in (0.0, 0.5):
        hidden = [nn.Linear(64, 128), nn.ReLU(), nn.Dropout(rate), nn.Linear(128, 64), nn.ReLU()]
        model = nn.Sequential(*hidden, nn.Dropout(rate), nn.Linear(64, 10))
        optimizer = torch.optim.Adam(model.parameters(), 0.002)
        for number in range(1, 16):
            loss = epoch(model, optimizer, x, y)
            val = measure(model, x_val, y_val, training=False)
            if number in (1, 15):
                on, off = (measure(model, x, y, mode, calls=20) for mode in (True, False))
                parts = {"earlier weights": loss - on, "training mode": on - off}
                parts["other data"] = off - val
                most = max(parts, key=lambda part: abs(parts[part]))
                print(f"rate {rate}, epoch {number}: below {val < loss}, {most}")
                #> rate 0.0, epoch 1: below True, earlier weights
                #> rate 0.0, epoch 15: below False, other data
                #> rate 0.5, epoch 1: below True, earlier weights
                #> rate 0.5, epoch 15: below True, training mode
    print("behind the validation, model.training:", model.training)
    #> behind the validation, model.training: False
    forgotten = [measure(model, x_val, y_val, training=True) for _ in range(2)]
    print("without eval() the validation loss is higher:", min(forgotten) > val)
    #> without eval() the validation loss is higher: True
    print("and the same in a second call:", forgotten[0] == forgotten[1])
    #> and the same in a second call: False
