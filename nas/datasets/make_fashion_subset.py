"""Make the embedded data set: a stratified subset of Fashion-MNIST, the same bytes on every run.

`python -m nas.datasets.make_fashion_subset FOLDER`, where FOLDER holds the four `.gz` files of Fashion-MNIST.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import random
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

OUT = Path(__file__).with_name("fashion_subset.npz")
TRAIN, VAL, TEST = 1000, 300, 300  # images of each class
ZIP_TIME = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can hold: the file must not depend on when it was made

Arrays = dict[str, np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="holds train-images-idx3-ubyte.gz and its three companions")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    write_npz(arguments.out, make_subset(arguments.folder, arguments.seed))
    content = arguments.out.read_bytes()
    print(f"{arguments.out}: {len(content):,} bytes, sha256 {hashlib.sha256(content).hexdigest()}")


def make_subset(folder: Path, seed: int, train: int = TRAIN, val: int = VAL, test: int = TEST) -> Arrays:
    """Draw `train` + `val` images a class from the original train set and `test` from its test set."""
    images, labels = read_idx_pair(folder, "train")
    drawn = draw(labels, train + val, seed)
    test_images, test_labels = read_idx_pair(folder, "t10k")
    test_drawn = draw(test_labels, test, seed)
    return {
        "train_images": images[interleaved(drawn[:, :train])],
        "train_labels": labels[interleaved(drawn[:, :train])],
        "val_images": images[interleaved(drawn[:, train:])],
        "val_labels": labels[interleaved(drawn[:, train:])],
        "test_images": test_images[interleaved(test_drawn)],
        "test_labels": test_labels[interleaved(test_drawn)],
    }


def draw(labels: np.ndarray, per_class: int, seed: int) -> np.ndarray:
    """Positions `(classes, per_class)` of images drawn without replacement, a row a class.

    Python's own generator, as numpy does not promise the same stream in every release.
    """
    generator = random.Random(seed)
    positions = [np.flatnonzero(labels == label).tolist() for label in np.unique(labels)]
    return np.array([generator.sample(of_class, per_class) for of_class in positions])


def interleaved(drawn: np.ndarray) -> np.ndarray:
    """Positions in the order class 0, 1, 2 … 0, 1, 2 …: every prefix of whole rounds is balanced."""
    return drawn.T.flatten()


def read_idx_pair(folder: Path, prefix: str) -> tuple[np.ndarray, np.ndarray]:
    """Images `(N, H, W)` and labels `(N,)`, both uint8."""
    images = read_idx(folder / f"{prefix}-images-idx3-ubyte.gz")
    return images, read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz")


def read_idx(path: Path) -> np.ndarray:
    """Read a gzipped IDX file: two zeros, a type byte (8: uint8), the rank, each size as big-endian int32."""
    content = gzip.decompress(path.read_bytes())
    if content[:3] != b"\0\0\x08":
        raise ValueError(f"{path} must be an IDX file of uint8, but starts with {content[:4]!r}")
    rank = content[3]
    header = 4 + 4 * rank
    shape = np.frombuffer(content[4:header], dtype=">i4")
    return np.frombuffer(content[header:], dtype=np.uint8).reshape(shape)


def write_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Like numpy's savez_compressed, with the time of writing left out."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            entry = zipfile.ZipInfo(f"{name}.npy", ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED
            entry.create_system = 3  # Unix; otherwise the file would tell which system it was made on
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=False)
            archive.writestr(entry, buffer.getvalue(), compresslevel=9)


if __name__ == "__main__":
    main()
