"""GoogLeNet (Szegedy 2014, arXiv:1409.4842), table 1, with both auxiliary classifiers; and its batch-norm form.

The paper's local response normalisation is left out, as in every later implementation. `googlenet_bn` is
torchvision's: batch norm, 3×3 where the paper has 5×5, and a 2×2 pool before 5a. Its published weights expect
images normalised to mean 0.5 and deviation 0.5 (torchvision's `transform_input`).
"""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.aux_head import AuxHead
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.inception import Inception
from search_spaces.blocks.max_pool import MaxPool
from search_spaces.blocks.plain_conv import PlainConv
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.zoo.network import Judge, Network, Place, Published

TABLE = {  # #1×1, #3×3 reduce, #3×3, #5×5 reduce, #5×5, pool proj
    "3a": (64, 96, 128, 16, 32, 32),
    "3b": (128, 128, 192, 32, 96, 64),
    "4a": (192, 96, 208, 16, 48, 64),
    "4b": (160, 112, 224, 24, 64, 64),
    "4c": (128, 128, 256, 24, 64, 64),
    "4d": (112, 144, 288, 32, 64, 64),
    "4e": (256, 160, 320, 32, 128, 128),
    "5a": (256, 160, 320, 32, 128, 128),
    "5b": (384, 192, 384, 48, 128, 128),
}
AUX = ("4a", "4d")
ROWS = ("pool", "conv1", "conv3", "pool", "3a", "3b", "pool", "4a", "4b", "4c", "4d", "4e", "pool", "5a", "5b")


def googlenet(norm: bool) -> Arch:
    """22 layers; `norm` for torchvision's form."""
    stages, width, kernel = [], 64, 3 if norm else 5
    for i, row in enumerate(ROWS):
        if row == "pool":
            small = norm and ROWS[i + 1] == "5a"
            stages.append(Stage(MaxPool(2 if small else 3, valid=True, ceil=True), width, stride=2))
        elif row.startswith("conv"):
            width = 64 if row == "conv1" else 192
            stages.append(Stage(PlainConv(int(row[-1]), norm=norm), width))
        else:
            one, _, three, _, five, pooled = TABLE[row]
            width = one + three + five + pooled
            aux = AuxHead(norm=norm) if row in AUX else None
            stages.append(Stage(Inception(kernel=kernel, norm=norm, widths=TABLE[row]), width, aux=aux))
    head = PoolHead(dropout=0.2 if norm else 0.4)
    return Arch(224, ConvStem(64, kernel=7, norm=norm), tuple(stages), head, 1e-3 if norm else 1e-5)


def torchvision(at: Place) -> str:
    """The layer's name in torchvision's `googlenet`."""
    if at.part == "head":
        return "fc"
    *names, kind = at.layer.split(".")
    kind = {"norm": "bn"}.get(kind, kind)
    if at.part == "aux":
        inner = {"conv": f"conv.{kind}", "hidden1": "fc1", "classifier": "fc2"}[at.layer.split(".")[0]]
        return f"aux{AUX.index(ROWS[at.stage - 1]) + 1}.{inner}"
    if at.part == "stem":
        return f"conv1.{kind}"
    row = ROWS[at.stage - 1]
    if row.startswith("conv"):
        return f"{'conv2' if row == 'conv1' else 'conv3'}.{kind}"
    branches = {
        "one": "1",
        "three.reduce": "2.0",
        "three.conv": "2.1",
        "five.reduce": "3.0",
        "five.conv": "3.1",
        "pool.conv": "4.1",
    }
    return f"inception{row}.branch{branches['.'.join(names)]}.{kind}"


NETWORKS = [
    Network(
        "googlenet",
        googlenet(norm=False),
        "Szegedy 2014, arXiv:1409.4842",
    ),
    Network(
        "googlenet_bn",
        googlenet(norm=True),
        "Szegedy 2014, arXiv:1409.4842, as torchvision has it",
        Published("1.498G", "6624904", 69.778, "torchvision IMAGENET1K_V1"),
        Judge("torchvision", "googlenet", torchvision, (("aux_logits", True), ("init_weights", False))),
    ),
]
