"""Trains the digit classifier and writes its weights and its held-out test set.

    python3 -m venv .venv && .venv/bin/pip install torch scikit-learn safetensors
    .venv/bin/python examples/digits/train.py

Data: scikit-learn's `load_digits`, 1797 real handwritten digits of 8x8 pixels with values 0 to 16
(E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning
Repository, 1998, doi.org/10.24432/C50P49, CC BY 4.0).
A quarter of them, stratified by class, is held out: it is used here for nothing but the accuracy
that is printed at the end, and it is what `cargo run --example digits` classifies.

Writes, beside this file:
    digits.safetensors   {hidden.0, hidden.1, output}.{weight, bias}, f32, weight as [out, in]
    test.safetensors     images u8 [450, 8, 8], labels i32 [450], logits f32 [450, 10]
"""

from pathlib import Path

import torch
from safetensors.torch import save_file
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 0
EPOCHS = 150
BATCH = 64
HERE = Path(__file__).parent


class Network(torch.nn.Module):
    """64 pixels -> 128 -> 64 -> 10 logits, gelu between the layers."""

    def __init__(self):
        super().__init__()
        self.hidden = torch.nn.ModuleList([torch.nn.Linear(64, 128), torch.nn.Linear(128, 64)])
        self.output = torch.nn.Linear(64, 10)

    def forward(self, pixels):
        for layer in self.hidden:
            pixels = torch.nn.functional.gelu(layer(pixels))
        return self.output(pixels)


def shifted(images, generator):
    """Each image moved by at most one pixel in each direction, at random."""
    padded = torch.nn.functional.pad(images, (1, 1, 1, 1))
    shifts = torch.randint(0, 3, (len(images), 2), generator=generator)
    return torch.stack([p[y : y + 8, x : x + 8] for p, (y, x) in zip(padded, shifts.tolist())])


def train(images, labels):
    """Cross-entropy with label smoothing; AdamW under one cosine cycle."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    network = Network()
    optimizer = torch.optim.AdamW(network.parameters(), lr=3e-3, weight_decay=1e-2)
    steps = EPOCHS * (len(images) // BATCH)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(EPOCHS):
        order = torch.randperm(len(images), generator=generator)
        for batch in order[: len(order) // BATCH * BATCH].split(BATCH):
            logits = network(shifted(images[batch], generator).flatten(1))
            loss = torch.nn.functional.cross_entropy(logits, labels[batch], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def main():
    data = load_digits()
    images = torch.tensor(data.images, dtype=torch.float32)
    labels = torch.tensor(data.target)
    train_at, test_at = train_test_split(
        range(len(labels)), test_size=450, random_state=SEED, stratify=data.target
    )
    network = train(images[train_at] / 16, labels[train_at])

    with torch.no_grad():
        logits = network(images[test_at].flatten(1) / 16)
    accuracy = (logits.argmax(1) == labels[test_at]).float().mean().item()
    print(f"{len(train_at)} training images, {len(test_at)} held out, accuracy {100 * accuracy:.2f} %")

    weights = {name: tensor.detach().contiguous() for name, tensor in network.state_dict().items()}
    save_file(weights, HERE / "digits.safetensors")
    test = {
        "images": images[test_at].to(torch.uint8),
        "labels": labels[test_at].to(torch.int32),
        "logits": logits,
    }
    save_file(test, HERE / "test.safetensors")
    for name in ("digits.safetensors", "test.safetensors"):
        (HERE / name).chmod(0o644)
        print(f"{name}: {(HERE / name).stat().st_size} bytes")


if __name__ == "__main__":
    main()
