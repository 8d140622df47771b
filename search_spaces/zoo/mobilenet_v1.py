"""MobileNetV1 (Howard 2017, arXiv:1704.04861), table 1, at its 16 pairs of width α and resolution ρ.

ReLU6, as in the released weights (and timm); the paper writes ReLU.
"""

from search_spaces.arch import Arch, Stage
from search_spaces.blocks.conv_stem import ConvStem
from search_spaces.blocks.depthwise_separable import DepthwiseSeparable
from search_spaces.blocks.pool_head import PoolHead
from search_spaces.zoo.network import Judge, Network, Place, Published

TABLE = (  # c, n, s of the depthwise separable convolutions
    (64, 1, 1),
    (128, 2, 2),
    (256, 2, 2),
    (512, 6, 2),
    (1024, 2, 2),
)
SLIM = "tensorflow/models, slim/nets/mobilenet_v1.md"
NO_STEM = ("stem",)  # agrees to the last digit without the first convolution; the paper's table 6 has 325M at 224
MISPRINT = "α 0.25 at 224, 160 and 128 px are printed right, and cost goes with the square of ρ"
PUBLISHED = {  # (α, resolution): multiply-adds, parameters, ImageNet top-1, what is left out
    (1.0, 224): ("569M", "4.2M", 70.9, ()),
    (1.0, 192): ("418M", "4.2M", 70.0, ()),
    (1.0, 160): ("291M", "4.2M", 68.0, ()),
    (1.0, 128): ("186M", "4.2M", 65.2, ()),
    (0.75, 224): ("325M", "2.6M", 68.4, ()),
    (0.75, 192): ("233M", "2.6M", 67.2, NO_STEM),
    (0.75, 160): ("162M", "2.6M", 65.3, NO_STEM),
    (0.75, 128): ("104M", "2.6M", 62.1, NO_STEM),
    (0.5, 224): ("149M", "1.3M", 63.3, ()),
    (0.5, 192): ("110M", "1.3M", 61.7, ()),
    (0.5, 160): ("77M", "1.3M", 59.1, ()),
    (0.5, 128): ("49M", "1.3M", 56.3, ()),
    (0.25, 224): ("41M", "0.5M", 49.8, ()),
    (0.25, 192): ("34M", "0.5M", 47.7, ()),
    (0.25, 160): ("21M", "0.5M", 45.5, ()),
    (0.25, 128): ("14M", "0.5M", 41.5, ()),
}


def mobilenet_v1(alpha: float = 1.0, resolution: int = 224) -> Arch:
    """13 depthwise separable convolutions after a full one; α scales every width."""
    stages = (Stage(DepthwiseSeparable(act="relu6"), int(c * alpha), n, s) for c, n, s in TABLE)
    return Arch(resolution, ConvStem(int(32 * alpha), act="relu6"), tuple(stages), PoolHead())


def timm(at: Place) -> str:
    """The layer's name in timm's `mobilenetv1_100`."""
    if at.part == "stem":
        return {"conv": "conv_stem", "norm": "bn1"}[at.layer]
    if at.part == "head":
        return "classifier"
    parts = {"depthwise.conv": "conv_dw", "depthwise.norm": "bn1", "pointwise.conv": "conv_pw", "pointwise.norm": "bn2"}
    return f"blocks.{at.stage - 1}.{at.block}.{parts[at.layer]}"


def _network(alpha: float, resolution: int) -> Network:
    macs, params, top1, omits = PUBLISHED[alpha, resolution]
    doubt = MISPRINT if (alpha, resolution) == (0.25, 192) else ""
    return Network(
        "mobilenet_v1" if (alpha, resolution) == (1.0, 224) else f"mobilenet_v1_{alpha}_{resolution}",
        mobilenet_v1(alpha, resolution),
        "Howard 2017, arXiv:1704.04861",
        Published(macs, params, top1, SLIM, omits, doubt),
        Judge("timm", "mobilenetv1_100", timm) if alpha == 1.0 else None,
    )


NETWORKS = [_network(*point) for point in PUBLISHED]
